"""Hand-offs: the reply that goes with them, and the request for a human."""

from __future__ import annotations

from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions.said import intent, known
from bot.policy.intents import policy_of
from bot.policy.told import KEPT

# What parler_humain and incompris ask for, or what says it as well; with one of these known they do not ask.
ANSWERS = ("sujet", "ville", "document", "circonstance", "date", "lieu", "service", "affaire")
TOLD = {"utter_parler_humain": "utter_parler_humain_dit", "utter_incompris": "utter_incompris_dit"}
# In these categories the bot goes on answering, so that the place and date it asked for may come to it.
AWAITED = ("thanks", "request")


def answer(dispatcher: CollectingDispatcher, tracker: Tracker) -> list[dict[str, Any]]:
    """Utter the intent's reply and ask for a human as the table of intents says."""
    name = intent(tracker)
    dispatcher.utter_message(response=response(tracker, f"utter_{name}"))
    ask_human(dispatcher, tracker, like=name, reason=name)
    return [SlotSet("question", name if policy_of(name).category in AWAITED else None)]


def response(tracker: Tracker, name: str) -> str:
    """The variant of a reply that does not ask again for what was said, where there is one."""
    told = what_is_known(tracker)
    return TOLD.get(name, name) if any(answer in told for answer in ANSWERS) else name


def what_is_known(tracker: Tracker) -> dict[str, str]:
    """The slots, and the fields that this message and those of the day filled."""
    return {**_slots(tracker), **(tracker.latest_message.get("told") or {})}


def _slots(tracker: Tracker) -> dict[str, str]:
    return {slot: value for slot in KEPT if (value := known(tracker, slot))}


def note(dispatcher: CollectingDispatcher, tracker: Tracker, like: str) -> list[dict[str, Any]]:
    """What the person adds to a request that is open already: acknowledged once, then kept in silence."""
    if known(tracker, "relance") == like:
        dispatcher.utter_message(json_message={"silence": True})
    else:
        dispatcher.utter_message(response="utter_precision_notee")
    ask_human(dispatcher, tracker, like=like, reason=like)
    return [SlotSet("question", like), SlotSet("relance", like)]


def is_awaited(question: str) -> bool:
    """The open question is that of a hand-off."""
    return policy_of(question).category in AWAITED


def ask_human(dispatcher: CollectingDispatcher, tracker: Tracker, like: str, reason: str) -> None:
    """Ask for a human with the category of the intent `like` and the slots.

    The worker adds the fields: it knows which were told now, and which earlier and must not replace newer ones.
    """
    policy = policy_of(like)
    dispatcher.utter_message(
        json_message={
            "handoff": {
                "category": policy.category,
                "priority": policy.priority,
                "reason": reason,
                "slots": _slots(tracker),
            }
        }
    )
