"""Stations: which town, then the public directory."""

from __future__ import annotations

import re
from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions.said import asks, intent, is_bare, is_short, known, said, text
from bot.policy.intents import ANSWER, FALLBACK, policy_of

INTENT = "commissariat_contact_horaires"
LONGEST = 5  # words of a town with « à » or « celui de » before it
SURE = 0.75  # of a message that is surely about something else
_NO_TOWN = re.compile(
    r"\b(?:revoir|bient[oô]t|plus|demain|ciao|bye|adieu|merci|bonjour|bonsoir|salut|bjr|slt|aide|secours|ok|oui|non|rien)\b",
    re.IGNORECASE,
)
_PREPOSITION = re.compile(r"\s*(?:à|a|au|aux|sur|de|du|vers|près|celui|dans|pour)\b", re.IGNORECASE)


def answer(dispatcher: CollectingDispatcher, tracker: Tracker) -> list[dict[str, Any]]:
    """Utter the entry of the town that was named, or ask for it."""
    return _utter(dispatcher, named=known(tracker, "ville") is not None)


def is_general(tracker: Tracker) -> bool:
    """No town is known: it is asked for."""
    return known(tracker, "ville") is None


def answer_any_town(dispatcher: CollectingDispatcher) -> list[dict[str, Any]]:
    """The town was asked and the answer is none that we know."""
    return _utter(dispatcher, named=True)


def names_a_town(tracker: Tracker) -> bool:
    """A short message after « dans quelle ville »: a town, known or not, with or without a capital."""
    name = intent(tracker)
    if not is_short(tracker, LONGEST) or asks(tracker) or _NO_TOWN.search(text(tracker)) or name == "insulte_troll":
        return False
    if said(tracker, "corps") or said(tracker, "document") or not any(map(str.isalpha, text(tracker))):
        return False
    if (is_bare(tracker) and said(tracker, "ville")) or (_PREPOSITION.match(text(tracker)) and is_short(tracker, 4)):
        return True
    chance = float((tracker.latest_message.get("intent") or {}).get("confidence") or 0)
    return name in (FALLBACK, INTENT) or (policy_of(name).route == ANSWER and chance < SURE)


def _utter(dispatcher: CollectingDispatcher, named: bool) -> list[dict[str, Any]]:
    # The town itself is never repeated: a person's own words must not stand in a message of the police.
    dispatcher.utter_message(response=f"utter_{INTENT}_ville" if named else f"utter_{INTENT}")
    return [SlotSet("sujet", INTENT), SlotSet("question", None if named else INTENT)]
