"""What the parts of the engine agree on about an intent; nothing here needs Rasa."""

from __future__ import annotations

from bot.policy.intents import PRIORITY, policy_of

FALLBACK = "nlu_fallback"  # Rasa's name for « not sure enough to act »


def is_grave(intent: str) -> bool:
    """Emergency, urgent or sensitive."""
    return policy_of(intent).priority <= PRIORITY["sensitive"]
