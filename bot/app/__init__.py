"""The only place that wires parts together: command line, launcher, roles, commands."""
