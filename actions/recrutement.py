"""Recruitment: which trade, which diploma, which question."""

from __future__ import annotations

from typing import Any, Optional

from rasa_sdk import Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions.said import age, is_about_age, is_tap, known, said

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


# The question of age, asked or answered apart from the other conditions.
AGE = "age"
# Trade → youngest, oldest, and the ages at which the very date decides.
LIMITS: dict[str, tuple[int, int, tuple[int, ...]]] = {
    "policier_adjoint": (18, 29, (17, 29)),
    "cadet": (18, 29, (17, 29)),
    "gardien_de_la_paix": (17, 45, (16, 45, 46)),
    "reserve": (18, 67, (17, 67)),
}


def answer(dispatcher: CollectingDispatcher, tracker: Tracker, topic: str) -> list[dict[str, Any]]:
    """Utter the entry of `topic` for what is known, and remember what is still asked."""
    told = age(tracker, alone=known(tracker, "question") == AGE)
    kept = [SlotSet("age", str(told))] if told else []
    if wants_age(tracker, topic):
        return [*kept, *_answer_age(dispatcher, tracker, told)]
    response = response_of(tracker, topic)
    dispatcher.utter_message(response=response)
    asked = topic if topic in ASKS_CORPS and response == f"utter_{topic}" else None
    return [*kept, SlotSet("sujet", topic), SlotSet("question", asked), SlotSet("aspect", None)]


def is_general(tracker: Tracker, topic: str) -> bool:
    """What is told of `topic` is for no trade, no diploma and no age."""
    return not wants_age(tracker, topic) and response_of(tracker, topic) == f"utter_{topic}"


def wants_age(tracker: Tracker, topic: str) -> bool:
    """Only the age is asked: by its name, by an age beside a trade, or in the question before."""
    if topic == AGE:
        return True
    if topic != "recrutement_conditions":
        return False
    if is_about_age(tracker) or (age(tracker) and said(tracker, "corps") and not said(tracker, "diplome")):
        return True
    return known(tracker, "aspect") == AGE and bool(said(tracker, "corps")) and said(tracker, "corps") in CORPS


def _answer_age(dispatcher: CollectingDispatcher, tracker: Tracker, told: Optional[int]) -> list[dict[str, Any]]:
    corps = known(tracker, "corps", CORPS)
    if corps is None:
        dispatcher.utter_message(response="utter_age")
        return [
            SlotSet("sujet", "recrutement_conditions"),
            SlotSet("question", "recrutement_conditions"),
            SlotSet("aspect", AGE),
        ]
    dispatcher.utter_message(response=f"utter_age_{corps}")
    years = told or int(known(tracker, "age") or 0)
    if corps in LIMITS:
        _join(dispatcher, corps, verdict(corps, years) if years else "utter_age_demande")
    asked = AGE if corps in LIMITS and not years else None
    return [SlotSet("sujet", AGE), SlotSet("question", asked), SlotSet("aspect", None)]


def judge_age(dispatcher: CollectingDispatcher, tracker: Tracker, topic: str) -> None:
    """Under an answer of the catalogue, whether the age that the message tells will do for the trade."""
    years, corps = age(tracker, alone=known(tracker, "question") == AGE), known(tracker, "corps", CORPS)
    if years is not None and corps in LIMITS and wants_age(tracker, topic):
        _join(dispatcher, corps, verdict(corps, years))


def _join(dispatcher: CollectingDispatcher, corps: str, response: str) -> None:
    dispatcher.utter_message(json_message={"join": True})
    dispatcher.utter_message(response=_with_no_date(corps, response))


# The reserve's limits name no date, so that nothing may speak of one.
NO_DATE = {"utter_age_demande": "utter_age_demande_reserve", "utter_age_limite": "utter_age_limite_reserve"}


def _with_no_date(corps: str, response: str) -> str:
    return NO_DATE.get(response, response) if corps == "reserve" else response


def verdict(corps: str, years: int) -> str:
    """Name of the response to an age."""
    youngest, oldest, edges = LIMITS[corps]
    if years in edges:
        return "utter_age_limite"
    if years < youngest:
        return "utter_age_jeune"
    return "utter_age_depasse" if years > oldest else "utter_age_bon"


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
    """Of this message; one told earlier counts as long as no trade is known. A tap on « other trade » asks for the list."""
    value = said(tracker, "diplome")
    if value is None and known(tracker, "corps") is None and not (is_tap(tracker) and said(tracker, "corps")):
        value = known(tracker, "diplome")
    return value if value in DIPLOMES else None
