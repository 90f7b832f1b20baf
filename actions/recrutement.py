"""Recruitment: which trade, which diploma, which question."""

from __future__ import annotations

from typing import Any, Optional

from rasa_sdk import Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions.said import known, said

CORPS = (
    "policier_adjoint",
    "cadet",
    "gardien_de_la_paix",
    "officier",
    "commissaire",
    "scientifique",
    "administratif",
    "reserve",
)
DIPLOMES = ("aucun", "bac", "licence", "master")

TOPICS = (
    "recrutement_conditions",
    "recrutement_concours",
    "recrutement_formation",
    "recrutement_carriere",
    "recrutement_stage_reserve",
    "recrutement_aptitude",
    "recrutement_suivi_dossier",
)
# The questions whose answer depends on the trade: without it, it is asked.
ASKS_CORPS = ("recrutement_conditions", "recrutement_concours", "recrutement_formation")
# The questions that have their own entry for some trades, and a general answer otherwise.
SOME_CORPS = {
    "recrutement_carriere": ("policier_adjoint", "cadet", "gardien_de_la_paix", "reserve"),
}
# A diploma opens trades: these questions are answered by it.
ASKS_DIPLOME = ("recrutement_conditions", "recrutement_concours")


def answer(dispatcher: CollectingDispatcher, tracker: Tracker, topic: str) -> list[dict[str, Any]]:
    """Utter the entry of `topic` for what is known, and remember what is still asked."""
    response = response_of(tracker, topic)
    dispatcher.utter_message(response=response)
    asked = topic if topic in ASKS_CORPS and response == f"utter_{topic}" else None
    return [SlotSet("sujet", topic), SlotSet("question", asked)]


def response_of(tracker: Tracker, topic: str) -> str:
    """Name of the response for `topic`."""
    diplome = _diplome(tracker)
    if diplome and topic in ASKS_DIPLOME and not said(tracker, "corps"):
        return f"utter_diplome_{diplome}"
    if topic == "recrutement_stage_reserve":
        # A trade talked about earlier says nothing about a traineeship.
        return "utter_recrutement_stage_reserve_reserve" if said(tracker, "corps") == "reserve" else f"utter_{topic}"
    corps = known(tracker, "corps", CORPS if topic in ASKS_CORPS else SOME_CORPS.get(topic, ()))
    return f"utter_{topic}_{corps}" if corps else f"utter_{topic}"


def _diplome(tracker: Tracker) -> Optional[str]:
    value = said(tracker, "diplome")
    return value if value in DIPLOMES else None
