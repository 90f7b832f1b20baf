"""What was not understood: rephrase, then a human."""

from __future__ import annotations

from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions.handoff import ask_human

PLAUSIBLE = 0.2  # an intent below this is not worth naming


def clarify(dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> list[dict[str, Any]]:
    """Ask to say it in other words; at the second time in a row, ask for a human."""
    count = int(tracker.get_slot("incompris") or 0) + 1
    if count == 1:
        rephrase(dispatcher, tracker, domain)
    else:
        dispatcher.utter_message(response="utter_incompris")
        ask_human(dispatcher, tracker, like="parler_humain", reason="incompris")
    return [SlotSet("incompris", count)]


def rephrase(dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> None:
    """Ask to say it in other words, with the two closest subjects if both are plausible, else the menu."""
    near = closest(tracker, titles(domain))
    if len(near) == 2:
        dispatcher.utter_message(response="utter_clarify_deux", buttons=near)
    else:
        dispatcher.utter_message(response="utter_clarify")
    dispatcher.utter_message(json_message={"clarify": True})


def closest(tracker: Tracker, names: dict[str, str]) -> list[dict[str, str]]:
    """Buttons of the best two intents that have a title and are plausible."""
    ranking = tracker.latest_message.get("intent_ranking") or []
    plausible = [
        str(row["name"]) for row in ranking if row["name"] != "nlu_fallback" and row["confidence"] >= PLAUSIBLE
    ]
    if len(plausible) < 2 or not all(name in names for name in plausible[:2]):
        return []
    return [{"title": names[name], "payload": f"/{name}"} for name in plausible[:2]]


def titles(domain: dict[str, Any]) -> dict[str, str]:
    """The title that the menus (`utter_theme_…`) give each intent."""
    return {
        button["payload"][1:]: button["title"]
        for name, variations in (domain.get("responses") or {}).items()
        if name.startswith("utter_theme_")
        for variation in variations
        for button in variation.get("buttons") or []
        if "{" not in button["payload"]
    }
