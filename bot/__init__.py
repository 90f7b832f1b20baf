"""Planton: the front desk of the police nationale on Messenger and Instagram."""
