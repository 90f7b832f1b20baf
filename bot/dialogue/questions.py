"""What the engine's dialogue state tells about a question of ours (its form: bot/engine/state.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

OPEN = 24 * 3600.0  # seconds: the engine closes an older question
# Questions that ask for no value: « voulez-vous qu'un agent vous oriente », and which of two subjects was meant.
_OFFER, _CHOICE = "offre_agent", "|"


def answers(before: Optional[Mapping[str, Any]], after: Mapping[str, Any], now: float) -> bool:
    """Whether the message of `now` (seconds since 1970), between two states, gave the value that was asked (a town, an age, a
    document, a trade).

    An interruption leaves the question open; an offer or a choice is closed by any message, so that its end tells nothing.
    """
    open_ = asked(before, now)
    return bool(open_) and open_ != _OFFER and _CHOICE not in open_ and _slot(after) != open_


def asked(state: Optional[Mapping[str, Any]], now: float) -> str:
    """The question of ours that is open at `now`, by the slot's value; "" where none is."""
    question = (state or {}).get("question")
    at = question.get("at") if isinstance(question, Mapping) else None
    if isinstance(at, bool) or not isinstance(at, (int, float)) or now - at > OPEN:
        return ""
    return _slot(state)


def _slot(state: Optional[Mapping[str, Any]]) -> str:
    question = (state or {}).get("question")
    return str(question.get("slot") or "") if isinstance(question, Mapping) else ""
