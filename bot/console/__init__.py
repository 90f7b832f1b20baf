"""The agents' console: pages rendered here, a little script for what is live, one guarded door to conversations."""
