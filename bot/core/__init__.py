"""Frozen messages, cleaning, ports and the error tree. Imports nothing of the project; runs on Python 3.10 too."""
