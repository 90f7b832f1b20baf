"""The actions that rules and stories name. Each looks first whether the message answers an open question."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions import accueil, commissariat, documents, handoff, recrutement
from actions.clarify import clarify
from actions.relance import OFFER, after
from actions.resume import resume
from actions.said import intent

Events = list[dict[str, Any]]
# Replies that end with « voulez-vous qu'un agent vous oriente »: « oui » answers them.
OFFERING = ("suivi_plainte",)


class Reply(Action, ABC):
    """What all actions share."""

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        """The answer to an open question, else the action's own reply."""
        events = resume(dispatcher, tracker)
        if events is None:
            events = self.reply(dispatcher, tracker, domain)
            return [*events, *after(dispatcher, tracker, events)]
        return [*events, SlotSet("incompris", 0), SlotSet("insultes", 0)]

    @abstractmethod
    def reply(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        """Utter by name; returns the events."""


class ActionRepondre(Reply):
    """`utter_` and the intent's name: all that most intents need."""

    def name(self) -> str:
        return "action_repondre"

    def reply(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        name = intent(tracker)
        dispatcher.utter_message(response=f"utter_{name}")
        return [SlotSet("question", OFFER)] if name in OFFERING else []


class ActionSalutation(Reply):
    """Greeting and menu."""

    def name(self) -> str:
        return "action_salutation"

    def reply(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        return accueil.greet(dispatcher, tracker)


class ActionInsulte(Reply):
    """Calm, then silent."""

    def name(self) -> str:
        return "action_insulte"

    def reply(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        return accueil.stay_calm(dispatcher, tracker)


class ActionRecrutement(Reply):
    """Recruitment, for the trade or diploma that is known."""

    def name(self) -> str:
        return "action_recrutement"

    def reply(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        return recrutement.answer(dispatcher, tracker, intent(tracker))


class ActionDocuments(Reply):
    """Papers lost, stolen or found."""

    def name(self) -> str:
        return "action_documents"

    def reply(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        return documents.answer(dispatcher, tracker)


class ActionCommissariat(Reply):
    """Stations, for the town that is known."""

    def name(self) -> str:
        return "action_commissariat"

    def reply(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        return commissariat.answer(dispatcher, tracker)


class ActionHandoff(Reply):
    """A reply and a human."""

    def name(self) -> str:
        return "action_handoff"

    def reply(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        return handoff.answer(dispatcher, tracker)


class ActionClarify(Reply):
    """No intent was clear."""

    def name(self) -> str:
        return "action_clarify"

    def reply(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        return clarify(dispatcher, tracker, domain)
