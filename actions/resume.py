"""A message that answers what we asked, or corrects it, whatever intent it was taken for.

« à Lyon » or « non, plutôt officier » mean nothing without what was said before, and the intents are judged without it.
"""

from __future__ import annotations

from typing import Any, Optional

from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher

from actions import commissariat, documents, handoff, recrutement
from actions.said import intent, is_bare, known, said
from bot.policy.intents import DANGER_INTENTS

FALLBACK = "nlu_fallback"
SHORT = 40  # characters: what is longer than a town's name is no answer to « which town »


def resume(dispatcher: CollectingDispatcher, tracker: Tracker) -> Optional[list[dict[str, Any]]]:
    """The answer's events; None if the message stands by itself, as most do."""
    bare, lost = is_bare(tracker), intent(tracker) == FALLBACK
    if not (bare or lost) or intent(tracker) in DANGER_INTENTS:
        return None
    question = known(tracker, "question") or ""
    # An open question takes any answer; a closed one only a message that is nothing but a correction.
    topic = question or (known(tracker, "sujet") or "" if bare else "")
    if handoff.is_awaited(question):
        return handoff.note(dispatcher, tracker, like=question)
    if said(tracker, "corps") or said(tracker, "diplome"):
        return _recruitment(dispatcher, tracker, topic, bare)
    if topic == documents.INTENT and (said(tracker, "document") or said(tracker, "circonstance")):
        return documents.answer(dispatcher, tracker)
    if topic == commissariat.INTENT and (said(tracker, "ville") or _is_short(tracker)):
        return commissariat.answer_any_town(dispatcher)
    return None


def _recruitment(
    dispatcher: CollectingDispatcher, tracker: Tracker, topic: str, bare: bool
) -> Optional[list[dict[str, Any]]]:
    if topic in recrutement.TOPICS:
        return recrutement.answer(dispatcher, tracker, topic)
    # A trade or a diploma alone: what it takes is what most people want to know.
    return recrutement.answer(dispatcher, tracker, recrutement.TOPICS[0]) if bare else None


def _is_short(tracker: Tracker) -> bool:
    return len(str(tracker.latest_message.get("text") or "")) <= SHORT
