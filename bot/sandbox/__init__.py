"""The sandbox: a citizen and a Graph API for people without a Meta account."""
