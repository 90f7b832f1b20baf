"""The actions that rules and stories name. Each looks first whether the message answers an open question."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Optional

from rasa_sdk import Action, Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions import accueil, catalogue, commissariat, cost, documents, handoff, plainte, precision, recrutement
from actions.clarify import clarify
from actions.precise import narrower
from actions.relance import OFFER, after, offers_choice
from actions.resume import resume
from actions.said import asks, intent, is_bare, known, text

Events = list[dict[str, Any]]
Reader = Callable[[CollectingDispatcher, Tracker], Optional[Events]]
# Replies that offer an agent: « oui » answers them, and so do the details that they ask for.
OFFERING = ("suivi_plainte", "recrutement_suivi_dossier", "recrutement_stage_reserve")


def _readers(tracker: Tracker) -> tuple[Reader, ...]:
    """In which order a message is read: what goes on from what we asked or said comes before the catalogue."""
    subject = known(tracker, "sujet")
    if cost.is_asked_alone(tracker) and not catalogue.is_about(tracker, subject):
        return cost.answer, resume, catalogue.answer
    bare = is_bare(tracker)
    is_answer = known(tracker, "question") and (bare or not asks(tracker))
    goes_on = subject == recrutement.AGE or not known(tracker, catalogue.SLOT)
    if is_answer or (bare and subject and goes_on) or documents.tells_more(tracker):
        return resume, catalogue.answer, cost.answer
    return catalogue.answer, cost.answer, resume


class Reply(Action, ABC):
    """What all actions share."""

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        """The answer to an open question, to one of the catalogue or to what it costs, to one that may be meant, else the action's
        own reply."""
        for read in (*_readers(tracker), catalogue.likely_answer):
            events = read(dispatcher, tracker)
            if events is None:
                continue
            of_catalogue = read in (catalogue.answer, catalogue.likely_answer)
            asked_again = after(dispatcher, tracker, events) if of_catalogue else []
            # Who got an answer that is only likely may not have been understood.
            understood = [] if read is catalogue.likely_answer else [SlotSet("incompris", 0)]
            return [*events, *asked_again, *understood, SlotSet("insultes", 0)]
        shown = (self.is_general(tracker) or self.gives_way(tracker)) and catalogue.preview(dispatcher, tracker)
        events = self.reply(dispatcher, tracker, domain)
        if shown:  # what the general text asks is not read
            events = [*events, SlotSet("question", None)]
        if not offers_choice(events):
            catalogue.offer(dispatcher, tracker)
        return [*catalogue.leave(tracker), *events, *after(dispatcher, tracker, events)]

    def is_general(self, tracker: Tracker) -> bool:
        """The reply to the latest message is but the general text of its subject: it asks, or tells a little of everything."""
        return False

    def gives_way(self, tracker: Tracker) -> bool:
        """Also a narrower reply gives way to the questions that may have been meant."""
        return catalogue.comes_first(tracker)

    @abstractmethod
    def reply(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        """Utter by name; returns the events."""


def _is_unnarrowed(tracker: Tracker) -> bool:
    """No words of the message call for a narrower reply than the intent's general one."""
    return narrower(f"utter_{intent(tracker)}", text(tracker)) is None


class ActionRepondre(Reply):
    """`utter_` and the intent's name: all that most intents need."""

    def name(self) -> str:
        return "action_repondre"

    def is_general(self, tracker: Tracker) -> bool:
        return _is_unnarrowed(tracker)

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

    def is_general(self, tracker: Tracker) -> bool:
        return recrutement.is_general(tracker, intent(tracker)) and _is_unnarrowed(tracker)

    def reply(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        name = intent(tracker)
        # The answer for a trade offers nobody.
        offers = name in OFFERING and recrutement.response_of(tracker, name) == f"utter_{name}"
        events = recrutement.answer(dispatcher, tracker, name)
        return [*events, SlotSet("question", OFFER)] if offers else events


class ActionDocuments(Reply):
    """Papers lost, stolen or found."""

    def name(self) -> str:
        return "action_documents"

    def is_general(self, tracker: Tracker) -> bool:
        return documents.is_general(tracker) and _is_unnarrowed(tracker)

    def reply(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        return documents.answer(dispatcher, tracker)


class ActionPlainte(Reply):
    """Complaints, for the offence that is known."""

    def name(self) -> str:
        return "action_plainte"

    def is_general(self, tracker: Tracker) -> bool:
        return plainte.is_general(tracker) and _is_unnarrowed(tracker)

    def reply(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        return plainte.answer(dispatcher, tracker)


class ActionCommissariat(Reply):
    """Stations, for the town that is known."""

    def name(self) -> str:
        return "action_commissariat"

    def is_general(self, tracker: Tracker) -> bool:
        return commissariat.is_general(tracker) and _is_unnarrowed(tracker)

    def reply(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        return commissariat.answer(dispatcher, tracker)


class ActionHandoff(Reply):
    """A reply and a human."""

    def name(self) -> str:
        return "action_handoff"

    def reply(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        name = intent(tracker)
        again = handoff.is_awaited(name) and known(tracker, "question") == name
        # Asked for again while the request is open: nobody reads the same sentence twice.
        if not again or narrower(f"utter_{name}", text(tracker)):
            return handoff.answer(dispatcher, tracker)
        if name != "parler_humain" or known(tracker, "relance") == name:
            return handoff.note(dispatcher, tracker, like=name)
        dispatcher.utter_message(response="utter_parler_humain_suite")
        handoff.ask_human(dispatcher, tracker, like=name, reason=name)
        return [SlotSet("relance", name)]


class ActionPrecision(Reply):
    """What asks nothing."""

    def name(self) -> str:
        return "action_precision"

    def reply(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        return precision.answer(dispatcher, tracker)


class ActionClarify(Reply):
    """No intent was clear."""

    def name(self) -> str:
        return "action_clarify"

    def gives_way(self, tracker: Tracker) -> bool:
        return False  # it shows them itself

    def reply(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        return clarify(dispatcher, tracker, domain)
