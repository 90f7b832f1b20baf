"""Greeting and menu; insults."""

from __future__ import annotations

from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions.said import said

THEMES = ("plainte", "recrutement", "papiers", "route", "internet", "quotidien", "signaler", "violences")
PATIENCE = 2  # insults in a row that are answered


class ActionSalutation(Action):
    """The greeting with its menu, or the part of the menu that was chosen."""

    def name(self) -> str:
        return "action_salutation"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> list[dict[str, Any]]:
        theme = said(tracker, "theme")
        dispatcher.utter_message(response=f"utter_theme_{theme}" if theme in THEMES else "utter_salutation")
        return []


class ActionInsulte(Action):
    """Calm and short, then silent: an answer to each insult feeds it."""

    def name(self) -> str:
        return "action_insulte"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> list[dict[str, Any]]:
        count = int(tracker.get_slot("insultes") or 0) + 1
        if count > PATIENCE:
            dispatcher.utter_message(json_message={"silence": True})
        else:
            dispatcher.utter_message(response="utter_insulte_troll")
        return [SlotSet("insultes", count)]
