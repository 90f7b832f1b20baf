"""Papers lost, stolen or found: which one, and what happened to it."""

from __future__ import annotations

from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions.said import known

INTENT = "perte_vol_documents"
DOCUMENTS = ("carte_identite", "passeport", "permis", "carte_grise", "titre_sejour", "carte_bancaire", "autre")
CIRCUMSTANCES = ("perdu", "vole", "retrouve")
# These have their own way of declaring a loss.
LOST = ("carte_identite", "passeport", "permis")


def answer(dispatcher: CollectingDispatcher, tracker: Tracker) -> list[dict[str, Any]]:
    """Utter the entry for what is known, and remember that something is still asked."""
    response = response_of(tracker)
    dispatcher.utter_message(response=response)
    asks = response in (f"utter_{INTENT}", f"utter_{INTENT}_circonstance")
    return [SlotSet("sujet", INTENT), SlotSet("question", INTENT if asks else None)]


def response_of(tracker: Tracker) -> str:
    """Name of the response for this paper and this circumstance."""
    value = tracker.get_slot("document")  # "autre" is an answer here, not a way back
    document = value if value in DOCUMENTS else None
    circumstance = known(tracker, "circonstance", CIRCUMSTANCES)
    if circumstance == "retrouve":
        return f"utter_{INTENT}_retrouve"
    if document == "carte_bancaire":  # stopping the card comes first, lost or stolen
        return f"utter_{INTENT}_carte_bancaire"
    if circumstance == "vole":
        return f"utter_{INTENT}_vole"
    if document is None:
        return f"utter_{INTENT}"
    if circumstance is None:
        return f"utter_{INTENT}_circonstance"
    return f"utter_{INTENT}_perdu_{document}" if document in LOST else f"utter_{INTENT}_perdu"
