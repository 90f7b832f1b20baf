"""The thumbs question after a hand-off: whom it is asked, and what a tap means. Why: docs/decisions/pilotage.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Optional

from bot.core.clock import plausible

QUESTION, THANKS = "utter_satisfaction", "utter_satisfaction_merci"  # replies of domain.yml
UP, DOWN = "up", "down"
# The payloads of the question's two quick replies.
ANSWERS: Mapping[str, str] = {"satisfaction:oui": UP, "satisfaction:non": DOWN}
# Who came with a question of their own. Not: people in danger or victims, witnesses and those who thank (they were not
# to be informed of anything).
FIT = frozenset({"request", "complaint"})
# Reasons of closing after which somebody was informed (`bot.store.desk.work.CLOSE_REASONS`).
FIT_REASONS = frozenset({"repondu", "transmis", "autre"})
ASKED_WITHIN = timedelta(days=7)  # once in that time a person
DANGER_WITHIN = timedelta(days=7)  # after an emergency, no such question


@dataclass(frozen=True)
class Closing:
    """A hand-off that an agent closes. `asked_at`: when the person was last asked; `emergency_at`: their last danger."""

    category: str
    reason: Optional[str]
    replied: bool  # a human wrote in it
    standby: bool  # another app owns the thread
    asked_at: Optional[datetime]
    emergency_at: Optional[datetime]


def asks(closing: Closing, now: datetime) -> bool:
    """Whether the person is asked if they were well informed. (The window is the caller's.)"""
    return (
        closing.category in FIT
        and closing.reason in FIT_REASONS
        and closing.replied
        and not closing.standby
        and not _recent(closing.asked_at, ASKED_WITHIN, now)
        and not _recent(closing.emergency_at, DANGER_WITHIN, now)
    )


def answer(payload: Optional[str]) -> Optional[str]:
    """What a tap says: UP, DOWN, or None for any other tap."""
    return ANSWERS.get(payload or "")


def _recent(at: Optional[datetime], within: timedelta, now: datetime) -> bool:
    at = plausible(at, now)
    return at is not None and now - at < within
