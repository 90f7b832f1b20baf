"""What closing a request asks for: a second look where somebody may be in danger, and ten seconds to think better of it."""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.core.clock import plausible
from bot.policy.intents import PRIORITY

UNDO = timedelta(seconds=10)  # how long the notice offers it
# How long it is accepted: the notice has to be drawn first, and the press to arrive. What is said because of the closing waits.
ACCEPTED = UNDO + timedelta(seconds=2)


def second_look(category: str, priority: int) -> bool:
    """Whether the outcome is chosen by hand and confirmed: emergencies, likely dangers (by their `priority`), victims."""
    return min(PRIORITY.get(category, priority), priority) <= PRIORITY["sensitive"]


def untaken_emergency(category: str, owner: str) -> bool:
    """Whether a danger waits that no agent has taken: nobody puts it out of the way unread. `owner`: of the conversation."""
    return category == "emergency" and owner != "agent"


def undoable(closed_at: datetime, now: datetime) -> bool:
    """Whether a closing can still be taken back."""
    at = plausible(closed_at, now)
    return at is not None and now - at <= ACCEPTED
