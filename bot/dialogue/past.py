"""What the engine's dialogue state tells about the last turns of a conversation (its form: bot/engine/state.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from bot.policy.degree import BACK

WITHIN = 48 * 3600.0  # seconds: what was told longer ago is another story
_SKEW = 5.0  # seconds by which two clocks may differ
_MOST = 6  # turns


def topics(state: Optional[Mapping[str, Any]], now: float) -> tuple[str, ...]:
    """The intents of the last turns, the newest first; () where the person last wrote more than two days before `now` (seconds
    since 1970). What is not of the agreed shape is left out."""
    events = (state or {}).get("events")
    age = _age(state, now)
    if age is None or age > WITHIN or not isinstance(events, list):
        return ()
    named = [event[1] for event in events if isinstance(event, list) and event[:1] == ["u"] and len(event) > 1]
    return tuple(name for name in reversed(named) if isinstance(name, str))[:_MOST]


def is_recent(state: Optional[Mapping[str, Any]], now: float) -> bool:
    """Whether the last turn was just before `now` (seconds since 1970): what it was about still calms. A turn of the future, which
    a wrong clock wrote, calms nobody."""
    age = _age(state, now)
    return age is not None and -_SKEW <= age <= BACK.total_seconds()


def _age(state: Optional[Mapping[str, Any]], now: float) -> Optional[float]:
    """Seconds since the last turn, below zero of one of the future; None where its time is not told."""
    at = (state or {}).get("at")
    return now - at if isinstance(at, (int, float)) and not isinstance(at, bool) else None
