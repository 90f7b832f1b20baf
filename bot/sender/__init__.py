"""The sender: the only process that holds page tokens; empties the outbox to the Graph API."""
