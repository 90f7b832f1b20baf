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
    asked = _asked(before)
    return bool(asked) and asked != _OFFER and _CHOICE not in asked and _asked(after) != asked


def _asked(state: Optional[Mapping[str, Any]]) -> str:
    question = (state or {}).get("question")
    return str(question.get("slot") or "") if isinstance(question, Mapping) else ""
