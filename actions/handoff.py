"""Hand-offs: the reply that goes with them, and the request for a human."""

from __future__ import annotations

from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.executor import CollectingDispatcher

from actions.said import intent, known
from bot.policy.intents import policy_of

KEPT = ("ville", "corps", "diplome", "document", "circonstance")


class ActionHandoff(Action):
    """Utters the intent's reply and asks for a human as the table of intents says."""

    def name(self) -> str:
        return "action_handoff"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> list[dict[str, Any]]:
        name = intent(tracker)
        dispatcher.utter_message(response=f"utter_{name}")
        ask_human(dispatcher, tracker, like=name, reason=name)
        return []


def ask_human(dispatcher: CollectingDispatcher, tracker: Tracker, like: str, reason: str) -> None:
    """Ask for a human with the category of the intent `like` and what is known so far."""
    policy = policy_of(like)
    slots = {slot: value for slot in KEPT if (value := known(tracker, slot))}
    dispatcher.utter_message(
        json_message={
            "handoff": {"category": policy.category, "priority": policy.priority, "reason": reason, "slots": slots}
        }
    )
