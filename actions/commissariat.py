"""Stations: which town, then the public directory."""

from __future__ import annotations

from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions.said import known

INTENT = "commissariat_contact_horaires"


def answer(dispatcher: CollectingDispatcher, tracker: Tracker) -> list[dict[str, Any]]:
    """Utter the entry of the town that was named, or ask for it."""
    return _utter(dispatcher, named=known(tracker, "ville") is not None)


def answer_any_town(dispatcher: CollectingDispatcher) -> list[dict[str, Any]]:
    """The town was asked and the answer is none that we know."""
    return _utter(dispatcher, named=True)


def _utter(dispatcher: CollectingDispatcher, named: bool) -> list[dict[str, Any]]:
    # The town itself is never repeated: a person's own words must not stand in a message of the police.
    dispatcher.utter_message(response=f"utter_{INTENT}_ville" if named else f"utter_{INTENT}")
    return [SlotSet("sujet", INTENT), SlotSet("question", None if named else INTENT)]
