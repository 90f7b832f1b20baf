"""Stations: which town, then the public directory."""

from __future__ import annotations

import re
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions.said import known

_PART = re.compile(r"[\s'’-]|[^\s'’-]+")
_SMALL = ("aux", "d", "de", "des", "du", "en", "l", "la", "le", "les", "lès", "sous", "sur", "à")

INTENT = "commissariat_contact_horaires"


class ActionCommissariat(Action):
    """Points to the directory, for the town that was named."""

    def name(self) -> str:
        return "action_commissariat"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> list[dict[str, Any]]:
        return answer(dispatcher, tracker)


def answer(dispatcher: CollectingDispatcher, tracker: Tracker) -> list[dict[str, Any]]:
    """Utter the entry of the town, or ask for it."""
    town = known(tracker, "ville")
    if town is None:
        dispatcher.utter_message(response=f"utter_{INTENT}")
        return [SlotSet("question", INTENT)]
    dispatcher.utter_message(response=f"utter_{INTENT}_ville", ville=town_name(town))
    return [SlotSet("question", None)]


def town_name(value: str) -> str:
    """« la roche-sur-yon » as it is written on a map."""
    words = _PART.findall(value.lower())
    return "".join(w if i and w in _SMALL else w[:1].upper() + w[1:] for i, w in enumerate(words))


def answer_unknown_town(dispatcher: CollectingDispatcher) -> list[dict[str, Any]]:
    """The town was asked and the answer is none that we know: its words are never repeated under the police's name."""
    dispatcher.utter_message(response=f"utter_{INTENT}_suite")
    return [SlotSet("question", None)]
