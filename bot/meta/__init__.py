"""Meta: signature, payloads, Send API, limits."""
