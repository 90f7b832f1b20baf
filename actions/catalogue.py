"""The catalogue of questions: the very answer where the question is surely known, the nearest questions where it is not.

What a message asks is found by the classifier (bot/engine/questions.py); its answers are Rasa's own: `utter_intent/question`.
"""

from __future__ import annotations

from typing import Any, Optional

from rasa_sdk import Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions import recrutement
from actions.said import age, intent, is_tap, known
from bot.engine.meaning import is_grave
from bot.policy.questions import Asked, asked, intent_of

SLOT = "repondu"  # the question of the catalogue that was answered last


def answer(dispatcher: CollectingDispatcher, tracker: Tracker) -> Optional[list[dict[str, Any]]]:
    """The exact answer's events; None if no question is surely asked, or if what the person told calls for a reply of its own."""
    found = of(tracker)
    if found.sure is None or (not is_tap(tracker) and _has_own_reply(tracker)):
        return None
    dispatcher.utter_message(json_message={"answered": found.sure})
    dispatcher.utter_message(response=f"utter_{found.sure}")
    return [
        SlotSet(SLOT, found.sure),
        SlotSet("sujet", intent_of(found.sure)),
        SlotSet("question", None),
        SlotSet("aspect", None),
    ]


def offer(dispatcher: CollectingDispatcher, tracker: Tracker) -> None:
    """Under a general reply, the questions that may have been meant."""
    near = of(tracker).near
    if near:
        dispatcher.utter_message(json_message={"offers": list(near)})


def of(tracker: Tracker) -> Asked:
    """What the latest message asks of the catalogue."""
    ranking = tracker.latest_message.get("intent_ranking") or []
    grave = sum(float(row["confidence"]) for row in ranking if is_grave(str(row["name"])))
    return asked(intent(tracker), tracker.latest_message.get("questions"), grave)


def _has_own_reply(tracker: Tracker) -> bool:
    """Whoever tells their age for a known trade is told whether it will do."""
    told = age(tracker, alone=known(tracker, "question") == recrutement.AGE)
    return told is not None and recrutement.wants_age(tracker, intent(tracker))
