"""A question of ours that an interruption left open is asked again, once and shortly."""

from __future__ import annotations

from typing import Any, Optional

from rasa_sdk import Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions import commissariat, documents, recrutement
from actions.said import age, intent, known
from bot.policy.intents import ANSWER, FALLBACK, STATEMENT, policy_of

# Question → how it is asked again, and the response whose buttons go with it.
AGAIN: dict[str, tuple[str, str]] = {
    **{topic: ("utter_relance_metier", f"utter_{topic}") for topic in recrutement.ASKS_CORPS},
    recrutement.AGE: ("utter_relance_age", ""),
    documents.INTENT: ("utter_relance_document", f"utter_{documents.INTENT}"),
    documents.PLACE: ("utter_relance_pays", f"utter_{documents.INTENT}_pays"),
    commissariat.INTENT: ("utter_relance_ville", ""),
}
# A question that is part of a longer talk → the intent that takes it up.
SUBJECT = {documents.PLACE: documents.INTENT}
OFFER = "offre_agent"  # the question whether an agent should take over
CHOICE = "|"  # parts the two subjects that a question offers
# After these nothing is asked again: the person greets, leaves or rails, or the reply asks again itself.
NO_INTERRUPTION = ("salutation", "au_revoir", "insulte_troll", FALLBACK, STATEMENT)


def asks_again(question: str, dispatcher: Optional[CollectingDispatcher] = None) -> list[dict[str, Any]]:
    """Ask an open question again; without a dispatcher only say (by the events) whether it can be."""
    if question not in AGAIN:
        return []
    response, choices = AGAIN[question]
    if dispatcher is not None:
        dispatcher.utter_message(json_message={"choices_of": choices})
        dispatcher.utter_message(response=response)
    return [SlotSet("question", question), SlotSet("relance", question)]


def offers_choice(events: list[dict[str, Any]]) -> bool:
    """The reply asks which of two subjects is meant: « la première » must be the first button."""
    return any(event.get("name") == "question" and CHOICE in str(event.get("value") or "") for event in events)


def after(dispatcher: CollectingDispatcher, tracker: Tracker, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """After a reply about something else: the question that was open before the message, or its end."""
    question = str(tracker.latest_message.get("asked") or "")
    told = {event["name"]: event["value"] for event in events if event.get("event") == "slot"}
    if (question == OFFER or CHOICE in question) and not told.get("question"):
        return [SlotSet("question", None)]  # the choice or the offer was passed over
    if not tracker.latest_message.get("last", True) or question not in AGAIN:
        return []
    if intent(tracker) == SUBJECT.get(question, question) or _is_told(tracker, question):
        return [] if told.get("question") else [SlotSet("question", None)]
    if intent(tracker) in NO_INTERRUPTION or policy_of(intent(tracker)).route != ANSWER:
        return []
    if told.get("question") or known(tracker, "question") not in (None, question):
        return []  # another question of ours
    if known(tracker, "relance") == question:
        return [SlotSet("question", None), SlotSet("relance", None)]  # asked twice is enough
    return asks_again(question, dispatcher)


def _is_told(tracker: Tracker, question: str) -> bool:
    """What was asked is known by now, though said beside another question."""
    if question in recrutement.ASKS_CORPS:
        return known(tracker, "corps", recrutement.CORPS) is not None
    if question == commissariat.INTENT:
        return known(tracker, "ville") is not None
    if question == documents.PLACE:
        return known(tracker, "pays", documents.COUNTRIES) is not None
    return question == recrutement.AGE and age(tracker, alone=True) is not None
