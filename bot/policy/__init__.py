"""The policy: pure functions over frozen values; no input or output, no clock of its own."""
