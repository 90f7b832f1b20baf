"""Greeting and menu; insults."""

from __future__ import annotations

from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions.handoff import ask_human, note
from actions.precise import narrower
from actions.said import known, said, text

THEMES = ("plainte", "recrutement", "papiers", "route", "internet", "quotidien", "signaler", "violences", "autre")
PATIENCE = 2  # insults in a row that are answered
REPROACH = "reclamation_delai"  # what an insult about a late missing-child appeal is in truth


def greet(dispatcher: CollectingDispatcher, tracker: Tracker) -> list[dict[str, Any]]:
    """The greeting with its menu, or the part of the menu that was chosen."""
    theme = said(tracker, "theme")
    dispatcher.utter_message(response=f"utter_theme_{theme}" if theme in THEMES else "utter_salutation")
    return []


def stay_calm(dispatcher: CollectingDispatcher, tracker: Tracker) -> list[dict[str, Any]]:
    """Calm and short, then silent: an answer to each insult feeds it. A reproach inside it goes to an agent."""
    reproach = narrower("utter_insulte_troll", text(tracker))
    if reproach:
        return _reproached(dispatcher, tracker, reproach)
    count = int(tracker.get_slot("insultes") or 0) + 1
    if count > PATIENCE:
        dispatcher.utter_message(json_message={"silence": True})
    else:
        dispatcher.utter_message(response="utter_insulte_troll" if count == 1 else "utter_insulte_encore")
    return [SlotSet("insultes", count)]


def _reproached(dispatcher: CollectingDispatcher, tracker: Tracker, response: str) -> list[dict[str, Any]]:
    """The narrower reply promises an agent, so one is asked for; told once, the rest is kept in silence."""
    if known(tracker, "question") == REPROACH:
        return [*note(dispatcher, tracker, like=REPROACH), SlotSet("insultes", 0)]
    dispatcher.utter_message(response=response)
    ask_human(dispatcher, tracker, like=REPROACH, reason=REPROACH)
    return [SlotSet("insultes", 0), SlotSet("question", REPROACH)]
