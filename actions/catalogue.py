"""The catalogue of questions: the very answer where the question is surely known, the nearest questions where it is not.

What a message asks is found by the classifier (bot/engine/questions.py); its answers are Rasa's own: `utter_intent/question`.
"""

from __future__ import annotations

from typing import Any, Optional

from rasa_sdk import Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions import documents, recrutement
from actions.said import NO_SUBJECT, age, asks, entities, intent, is_bare, is_tap, known, said, text
from bot.policy.intents import is_grave
from bot.policy.questions import NOTHING, Asked, asked, intent_of

# The general text of the subject answers these as well as their own: « je cherche mon commissariat ».
TOLD_IN_GENERAL = frozenset(
    {"commissariat_contact_horaires/trouver", "plainte_comment/general", "procuration/comment_faire"}
)
# They compare the trades: who named one reads its own general text.
OF_ALL_TRADES = frozenset({"recrutement_formation/durees"})
SLOT = "repondu"  # the question of the catalogue that was answered last
# How the ids of questions name each trade: `recrutement_formation/duree_gardien`.
TRADES = {
    "policier_adjoint": "adjoint",
    "cadet": "cadet",
    "gardien_de_la_paix": "gardien",
    "officier": "officier",
    "commissaire": "commissaire",
    "scientifique": "pts",
    "administratif": "administratif",
    "reserve": "reserve",
}


def answer(dispatcher: CollectingDispatcher, tracker: Tracker) -> Optional[list[dict[str, Any]]]:
    """The exact answer's events; None if no question is surely asked, or if what the person told calls for a reply of its own.

    A question of ours that was open stays open: actions/relance.py asks it again.
    """
    found = of(tracker)
    if found.sure is None or (not is_tap(tracker) and _has_own_reply(tracker, found.sure)):
        return None
    events = _answered(dispatcher, tracker, found.sure)
    # Of two parts each has its own answer; a model of before has no words for it.
    if found.beside and tracker.latest_message.get("previews") and not is_tap(tracker):
        dispatcher.utter_message(json_message={"beside": found.beside, "offers": [found.beside]})
    return events


def likely_answer(dispatcher: CollectingDispatcher, tracker: Tracker) -> Optional[list[dict[str, Any]]]:
    """The events of the answer to the question that may be meant, under it and with the next ones to choose from; None if none
    leads, if the message may answer one of ours, or if it is a bare value."""
    found = of(tracker)
    if found.likely is None or _may_answer(tracker) or _has_own_reply(tracker, found.likely):
        return None
    dispatcher.utter_message(json_message={"supposed": found.likely})
    events = _answered(dispatcher, tracker, found.likely)
    dispatcher.utter_message(json_message={"offers": list(found.near)})
    return events


def _may_answer(tracker: Tracker) -> bool:
    """The message names a value alone, or may answer a question of ours."""
    return is_bare(tracker) or bool(known(tracker, "question") and not asks(tracker))


def _answered(dispatcher: CollectingDispatcher, tracker: Tracker, question: str) -> list[dict[str, Any]]:
    dispatcher.utter_message(json_message={"answered": question})
    dispatcher.utter_message(response=f"utter_{question}")
    recrutement.judge_age(dispatcher, tracker, intent(tracker))
    aspect = [] if known(tracker, "question") else [SlotSet("aspect", None)]
    return [SlotSet(SLOT, question), SlotSet("sujet", _subject(tracker, question)), *aspect, *_told(tracker)]


def preview(dispatcher: CollectingDispatcher, tracker: Tracker) -> bool:
    """In place of the general text that comes next, the questions that may have been meant with the answers to the first two;
    False if none is near enough, if the text answers one of them, or if the message may answer one of ours, or is a bare value
    or no words at all."""
    found, message = of(tracker), tracker.latest_message
    if not found.shown or not message.get("previews"):  # a model of before has no words for it
        return False
    if not TOLD_IN_GENERAL.isdisjoint(found.near) or message.get("kind") or _may_answer(tracker):
        return False
    whole = {} if _has_own_reply(tracker, found.near[0]) else {"whole": True}
    dispatcher.utter_message(json_message={"previews": list(found.near), **whole})
    return True


def comes_first(tracker: Tracker) -> bool:
    """The nearest question is likely enough to be shown in place of a narrower reply, and is of no other trade than the message."""
    found = of(tracker)
    return found.first and not _has_own_reply(tracker, found.near[0])


def offer(dispatcher: CollectingDispatcher, tracker: Tracker) -> None:
    """Under a general reply, the questions that may have been meant."""
    if near := nearest(tracker):
        dispatcher.utter_message(json_message={"offers": list(near)})


def nearest(tracker: Tracker) -> tuple[str, ...]:
    """The questions that may have been meant by a message that none of them answers, the likeliest first."""
    found = of(tracker)
    best = found.sure or found.likely
    return (best, *found.near) if best else found.near


def of(tracker: Tracker) -> Asked:
    """What the latest message asks of the catalogue; a number alone asks nothing."""
    if not is_tap(tracker) and not any(map(str.isalpha, text(tracker))):
        return NOTHING
    ranking = tracker.latest_message.get("intent_ranking") or []
    grave = sum(float(row["confidence"]) for row in ranking if is_grave(str(row["name"])))
    return asked(intent(tracker), tracker.latest_message.get("questions"), grave)


def leave(tracker: Tracker) -> list[dict[str, Any]]:
    """Behind a general reply about something, a few words no longer go on from the question that was answered before."""
    return [SlotSet(SLOT, None)] if known(tracker, SLOT) and intent(tracker) not in NO_SUBJECT else []


def is_about(tracker: Tracker, subject: Optional[str]) -> bool:
    """The message surely asks a question of this subject."""
    found = of(tracker).sure
    return found is not None and intent_of(found) == subject


def _subject(tracker: Tracker, question: str) -> str:
    """What is talked about from now on: the age alone, if that was asked; « et pour la réserve ? » then asks it too."""
    return recrutement.AGE if recrutement.wants_age(tracker, intent(tracker)) else intent_of(question)


def _told(tracker: Tracker) -> list[dict[str, Any]]:
    """What the message tells besides, which the general reply would keep too."""
    if intent(tracker) == documents.INTENT and not is_tap(tracker):
        return documents.told(tracker)
    years = age(tracker) if intent(tracker) in recrutement.TOPICS else None
    return [SlotSet("age", str(years))] if years else []


def _has_own_reply(tracker: Tracker, question: str) -> bool:
    """A trade that was named is the one that is asked about; several papers are declared in one go, and those that were lost abroad
    at the consulate, unless the question is about just that."""
    if _is_of_another_trade(tracker, question):
        return True
    if intent(tracker) != documents.INTENT or not said(tracker, "document") or question in documents.OF_SEVERAL:
        return False
    return len(documents.lost_papers(tracker)) > 1 or documents.place_of(tracker) == documents.ABROAD


def _is_of_another_trade(tracker: Tracker, question: str) -> bool:
    """The question is of all trades, or of others than the message names or, without any, than the one known before."""
    named = set(question.split("/")[1].split("_")) & set(TRADES.values())
    told = {row["value"] for row in entities(tracker) if row.get("entity") == "corps"} or {known(tracker, "corps")}
    meant = {TRADES[corps] for corps in told if corps in TRADES}
    other = question in OF_ALL_TRADES or bool(named)
    return intent(tracker) in recrutement.ASKS_CORPS and other and bool(meant) and not named & meant
