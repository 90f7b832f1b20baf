"""The heartbeat: what is wrong becomes an alert, told to people until it is right again."""
