"""What runs inside Rasa: French components, request-scoped tracker, in-process actions, HTTP and batch channels.

It keeps nothing between two requests, knows no secret, and listens on loopback only.
"""
