"""What the latest message says, and what is known from earlier ones."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Optional

from rasa_sdk import Tracker

OTHER = "autre"  # the value of a button that takes back what was said
_WORD = re.compile(r"\w+")

# Words that may stand around a bare answer ("non, plutôt officier") and ask nothing by themselves.
_WORDS = """
    a à ah ai alors au aussi bah beh ben bin c ça ca ce cest ct d dans de des désolé desole dire donc dsl du en enfin est
    et euh excusez fait finalement heu j jai je l la le les m ma mais me merci mieux moi mon n nn non ok on oui ouais oups
    par pardon pas plus plutôt plutot pour pr préfère prefere s serait si sorry sur svp un une voulais voulait vous
"""
_AROUND = frozenset(_WORDS.split())
# A message of these words alone closes an exchange.
_COURTESY = frozenset(
    """
    à aide beaucoup bien bcp bon bonne bonsoir compris d accord de grand infiniment info infos informations journée journee
    la merci mercii mci mrc mille nickel ok okay parfait pour renseignements reponse réponse soirée soiree super tout très tres
    un vos votre vous
    """.split()  # noqa: SIM905
)


def intent(tracker: Tracker) -> str:
    """Name of the latest message's intent."""
    return str((tracker.latest_message.get("intent") or {}).get("name") or "")


def entities(tracker: Tracker) -> list[dict[str, Any]]:
    """The latest message's entities."""
    return list(tracker.latest_message.get("entities") or [])


def said(tracker: Tracker, entity: str) -> Optional[str]:
    """The last value of an entity in the latest message: a correction comes last."""
    values = [row["value"] for row in entities(tracker) if row.get("entity") == entity]
    return str(values[-1]) if values else None


def known(tracker: Tracker, slot: str, among: Optional[Collection[str]] = None) -> Optional[str]:
    """A slot's value; None if it is not one of those that replies exist for."""
    value = tracker.get_slot(slot)
    if not isinstance(value, str) or value == OTHER:
        return None
    return value if among is None or value in among else None


def is_bare(tracker: Tracker) -> bool:
    """The message names a value and asks nothing: « gardien de la paix », « non, plutôt officier »."""
    text = str(tracker.latest_message.get("text") or "")
    spans = [(row["start"], row["end"]) for row in entities(tracker) if "start" in row and "end" in row]
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + " " + text[end:]
    return bool(spans) and all(word in _AROUND for word in _WORD.findall(text.lower()))


def is_courtesy(tracker: Tracker) -> bool:
    """« merci beaucoup », « ok merci pour votre réponse »: nothing but politeness."""
    words = _WORD.findall(str(tracker.latest_message.get("text") or "").lower())
    return bool(words) and all(word in _COURTESY for word in words)


def was_answered(tracker: Tracker) -> bool:
    """An action has spoken earlier in this conversation."""
    silent = ("action_listen", "action_session_start", "action_extract_slots")
    return any(row.get("event") == "action" and row.get("name") not in silent for row in tracker.events)
