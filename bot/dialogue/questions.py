"""What the engine's dialogue state tells about a question of ours (its form: bot/engine/state.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

# Questions that ask for no value: « voulez-vous qu'un agent vous oriente », and which of two subjects was meant.
_OFFER, _CHOICE = "offre_agent", "|"


def answers(before: Optional[Mapping[str, Any]], after: Mapping[str, Any]) -> bool:
    """Whether the message between two states gave the value that was asked (a town, an age, a document, a trade).

    An interruption leaves the question open; an offer or a choice is closed by any message, so that its end tells nothing.
    """
    open_ = asked(before)
    return bool(open_) and open_ != _OFFER and _CHOICE not in open_ and asked(after) != open_


def asked(state: Optional[Mapping[str, Any]]) -> str:
    """The question of ours that is open, by the slot's value; "" where none is."""
    question = (state or {}).get("question")
    return str(question.get("slot") or "") if isinstance(question, Mapping) else ""
