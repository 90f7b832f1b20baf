"""A statement that asks nothing: an answer to what was asked, a detail on what was talked about, or small talk.

Alone it gets a friendly line and an offer; after an answer, an offer about that topic; a question of ours that it leaves open is
asked again once. Nobody is asked to say it in other words, and nobody reads the same offer twice in a row.
"""

from __future__ import annotations

from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions import recrutement
from actions.relance import asks_again
from actions.said import age, known, last_intent, said

# The menu whose choices go with a topic, by the beginning of its intents' names; the longest counts.
MENUS = {
    "recrutement": "recrutement",
    "plainte_comment": "plainte",
    "pre_plainte_en_ligne": "plainte",
    "main_courante": "plainte",
    "suivi_plainte": "plainte",
    "perte_vol_documents": "papiers",
    "procuration": "papiers",
    "attestation_casier": "papiers",
    "armes": "papiers",
    "commissariat_contact_horaires": "papiers",
    "autre_procedure": "papiers",
    "contravention": "route",
    "permis_points": "route",
    "vol_vehicule_fourriere": "route",
    "arnaque_cyber": "internet",
    "contenu_illicite": "internet",
    "nuisances_sonores": "quotidien",
    "animaux": "quotidien",
    "operation_tranquillite_vacances": "quotidien",
}


def answer(dispatcher: CollectingDispatcher, tracker: Tracker) -> list[dict[str, Any]]:
    """The reply that what was said before calls for, and how many statements there were in a row."""
    count = int(tracker.get_slot("precisions") or 0) + 1
    return [*_reply(dispatcher, tracker, count), SlotSet("precisions", count)]


def _reply(dispatcher: CollectingDispatcher, tracker: Tracker, count: int) -> list[dict[str, Any]]:
    topic = last_intent(tracker) or ""
    if topic in recrutement.TOPICS and narrows(tracker):
        return recrutement.answer(dispatcher, tracker, _aspect(tracker, topic))
    question = known(tracker, "question") or ""
    if asks_again(question) and known(tracker, "relance") != question:
        dispatcher.utter_message(response="utter_hors_perimetre_precision_notee")
        return asks_again(question, dispatcher)
    if count > 1:
        dispatcher.utter_message(response="utter_hors_perimetre_precision_encore")
        return []
    menu = menu_of(topic)
    if menu:
        dispatcher.utter_message(json_message={"choices_of": f"utter_theme_{menu}"})
        dispatcher.utter_message(response="utter_hors_perimetre_precision_sujet")
    else:
        dispatcher.utter_message(response="utter_hors_perimetre_precision")
    return []


def narrows(tracker: Tracker) -> bool:
    """Whether the statement says what an answer about the police's trades depends on: an age, a trade, a diploma."""
    return age(tracker) is not None or bool(said(tracker, "corps") or said(tracker, "diplome"))


def _aspect(tracker: Tracker, topic: str) -> str:
    """Who tells an age and nothing else, after what it takes to enter, asks whether that age will do."""
    only_age = age(tracker) is not None and not (said(tracker, "corps") or said(tracker, "diplome"))
    return recrutement.AGE if only_age and topic == recrutement.TOPICS[0] else topic


def menu_of(topic: str) -> str:
    """The menu that offers a topic and what is near it; "" where none does, and where an agent has the matter."""
    found = [name for name in MENUS if topic == name or topic.startswith(f"{name}_")]
    return MENUS[max(found, key=len)] if found else ""
