"""Complaints: what can be filed online depends on the offence."""

from __future__ import annotations

from typing import Any, Optional

from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher

from actions.said import entities, intent, known

THEFT = "vol"
OFFENCES = (
    "vol",
    "cambriolage",
    "degradation",
    "escroquerie",
    "agression",
    "agression_sexuelle",
    "menaces",
    "harcelement",
    "discrimination",
    "usurpation",
    "stupefiants",
    "delit_de_fuite",
)
# Online: against property, by somebody unknown. Against people: at the station, also when both were said.
AGAINST_PEOPLE = ("agression", "agression_sexuelle", "menaces", "harcelement")
AGAINST_PROPERTY = ("vol", "cambriolage", "degradation")


def answer(dispatcher: CollectingDispatcher, tracker: Tracker) -> list[dict[str, Any]]:
    """Utter the entry for the offence that is known, else the general one of the intent."""
    dispatcher.utter_message(response=response_of(offence(tracker), intent(tracker)))
    return []


def is_general(tracker: Tracker) -> bool:
    """The entry that is uttered is for no offence in particular."""
    return response_of(offence(tracker), intent(tracker)) == f"utter_{intent(tracker)}"


def response_of(offence: Optional[str], name: str) -> str:
    """Name of the response for an offence and the intent `name`."""
    if offence in AGAINST_PEOPLE:
        return "utter_plainte_personnes"
    if offence in AGAINST_PROPERTY:
        return "utter_plainte_biens"
    return "utter_plainte_escroquerie" if offence == "escroquerie" else f"utter_{name}"


def offence(tracker: Tracker) -> Optional[str]:
    """The offence of this message, else the one talked about. « Volé » says one too."""
    told = [row["value"] for row in entities(tracker) if row.get("entity") == "infraction" and row["value"] in OFFENCES]
    stolen = any(row.get("entity") == "circonstance" and row["value"] == "vole" for row in entities(tracker))
    told += [THEFT] if stolen else []
    grave = [value for value in told if value in AGAINST_PEOPLE]
    if told:
        return str((grave or told)[0])
    return known(tracker, "infraction", OFFENCES) or (THEFT if known(tracker, "circonstance") == "vole" else None)
