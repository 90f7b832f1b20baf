"""What the engine's dialogue state tells about the last turns of a conversation (its form: bot/engine/state.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

WITHIN = 48 * 3600.0  # seconds: what was told longer ago is another story
_MOST = 6  # turns


def topics(state: Optional[Mapping[str, Any]], now: float) -> tuple[str, ...]:
    """The intents of the last turns, the newest first; () where the person last wrote more than two days before `now` (seconds
    since 1970). What is not of the agreed shape is left out."""
    state = state or {}
    at, events = state.get("at"), state.get("events")
    if isinstance(at, bool) or not isinstance(at, (int, float)) or now - at > WITHIN or not isinstance(events, list):
        return ()
    named = [event[1] for event in events if isinstance(event, list) and event[:1] == ["u"] and len(event) > 1]
    return tuple(name for name in reversed(named) if isinstance(name, str))[:_MOST]
