"""The worker: claims conversations that are due, applies the policy, asks the engine, writes the outcome."""
