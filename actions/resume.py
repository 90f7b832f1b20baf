"""A message that answers what we asked, or corrects it, whatever intent it was taken for.

« à Lyon » or « non, plutôt officier » mean nothing without what was said before, and the intents are judged without it.
"""

from __future__ import annotations

from typing import Any, Optional

from rasa_sdk import Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions import commissariat, documents, handoff, recrutement
from actions.relance import OFFER
from actions.said import age, asks, intent, is_bare, is_short, is_tap, known, last_intent, said, text
from bot.policy.fields import fields
from bot.policy.intents import ANSWER, FALLBACK, STATEMENT, is_grave, policy_of

UNSAID = (FALLBACK, STATEMENT)  # what they mean is said by what was asked
HUMAN = "parler_humain"
LONGEST_PLACE = 10  # words of an answer to « en France ou à l’étranger »


def resume(dispatcher: CollectingDispatcher, tracker: Tracker) -> Optional[list[dict[str, Any]]]:
    """The answer's events; None if the message stands by itself, as most do."""
    name = intent(tracker)
    if is_grave(name) or is_tap(tracker):
        return None
    question = known(tracker, "question") or ""
    if question == commissariat.INTENT and commissariat.names_a_town(tracker):
        return commissariat.answer_any_town(dispatcher)
    if question == documents.PLACE and _tells_place(tracker):
        return documents.answer(dispatcher, tracker)
    if name == "au_revoir" and (question or _abandons(tracker)):
        return _given_up(dispatcher, tracker)
    if _tells_age(tracker, question):
        return recrutement.answer(dispatcher, tracker, recrutement.AGE)
    bare = is_bare(tracker)
    if question == OFFER and _takes_offer(tracker):
        return _accepted(dispatcher, tracker)
    if handoff.is_awaited(question) and not asks(tracker) and (bare or name in UNSAID or _tells_agents(tracker)):
        return handoff.note(dispatcher, tracker, like=question)
    if not bare and name not in UNSAID:
        return None
    # An open question takes any answer; a closed one only a message that is nothing but a correction.
    topic = question or (known(tracker, "sujet") or "" if bare else "")
    if said(tracker, "corps") or said(tracker, "diplome"):
        return _recruitment(dispatcher, tracker, topic, bare)
    if topic in (documents.INTENT, documents.PLACE) and documents.tells(tracker):
        return documents.answer(dispatcher, tracker)
    if topic == commissariat.INTENT and said(tracker, "ville"):
        return commissariat.answer_any_town(dispatcher)
    return None


def _tells_place(tracker: Tracker) -> bool:
    """« c'était pendant mes vacances en Grèce », whatever the classifier takes it for."""
    short = is_short(tracker, LONGEST_PLACE) and not asks(tracker)
    return short and documents.place_said(tracker) and policy_of(intent(tracker)).route == ANSWER


def _abandons(tracker: Tracker) -> bool:
    return tracker.latest_message.get("kind") == "abandon"


def _given_up(dispatcher: CollectingDispatcher, tracker: Tracker) -> list[dict[str, Any]]:
    """« laisse tomber »: the question is closed; what an agent was asked to do stays."""
    dispatcher.utter_message(response="utter_abandon" if _abandons(tracker) else "utter_au_revoir")
    return [SlotSet("question", None), SlotSet("sujet", None), SlotSet("aspect", None), SlotSet("relance", None)]


def _tells_agents(tracker: Tracker) -> bool:
    """A place, a date, a service, a case: what the agents were said to need, whatever else it resembles."""
    told = fields(text(tracker))
    if not told and not said(tracker, "ville"):
        return False
    values = [part for value in told.values() for part in value.split(", ")]
    return policy_of(intent(tracker)).route == ANSWER or is_bare(tracker, besides=values)


def _takes_offer(tracker: Tracker) -> bool:
    """The details that an agent was said to need, in place of a plain « oui »; another question is none."""
    told = _told(tracker)
    if not told or asks(tracker):
        return False
    name = intent(tracker)
    return name in (*UNSAID, last_intent(tracker)) or is_bare(tracker, besides=told)


def _told(tracker: Tracker) -> list[str]:
    """What the message tells an agent, as it stands in the text."""
    values = [part for value in fields(text(tracker)).values() for part in value.split(", ")]
    values += [str(value) for entity in ("ville", "corps", "diplome") if (value := said(tracker, entity))]
    years = age(tracker)
    return [*values, *([str(years)] if years else [])]


def _accepted(dispatcher: CollectingDispatcher, tracker: Tracker) -> list[dict[str, Any]]:
    """An agent is asked for with what was told; what follows is added in silence."""
    years = age(tracker)
    kept = [SlotSet("age", str(years))] if years else []
    if years:
        tracker.slots["age"] = str(years)  # the request reads it before the event counts
    dispatcher.utter_message(response="utter_offre_acceptee")
    handoff.ask_human(dispatcher, tracker, like=HUMAN, reason=last_intent(tracker) or HUMAN)
    return [*kept, SlotSet("question", HUMAN), SlotSet("relance", HUMAN)]


def _tells_age(tracker: Tracker, question: str) -> bool:
    if question == recrutement.AGE:
        return age(tracker, alone=True) is not None
    about = known(tracker, "sujet") == recrutement.AGE
    return about and age(tracker) is not None and is_short(tracker, 7) and not said(tracker, "corps")


def _recruitment(
    dispatcher: CollectingDispatcher, tracker: Tracker, topic: str, bare: bool
) -> Optional[list[dict[str, Any]]]:
    if topic in (*recrutement.TOPICS, recrutement.AGE):
        return recrutement.answer(dispatcher, tracker, topic)
    # A trade or a diploma alone: what it takes is what most people want to know.
    return recrutement.answer(dispatcher, tracker, recrutement.TOPICS[0]) if bare else None
