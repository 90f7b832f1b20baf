"""Papers lost, stolen or found: which one, and what happened to it."""

from __future__ import annotations

import re
from typing import Any, Optional

from rasa_sdk import Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions.said import entities, known, text

INTENT = "perte_vol_documents"
DOCUMENTS = ("carte_identite", "passeport", "permis", "carte_grise", "titre_sejour", "carte_bancaire", "autre")
CIRCUMSTANCES = ("perdu", "vole", "retrouve")
# These have their own way of declaring a loss.
LOST = ("carte_identite", "passeport", "permis")
ABROAD = "etranger"
_ABROAD = re.compile(
    r"(?:à|a) l['’ ]?[eé]tranger|hors de france|\b(?:en|au|aux|à|a)\s+(?:espagne|italie|allemagne|angleterre|portugal|belgique|"
    r"suisse|grèce|grece|turquie|maroc|tunisie|algérie|algerie|thaïlande|thailande|usa|états-unis|etats-unis|canada|mexique|brésil|bresil|"
    r"japon|sénégal|senegal|pologne|croatie|londres|barcelone|madrid|rome|lisbonne|bruxelles|berlin|new york|marrakech)\b",
    re.IGNORECASE,
)


def answer(dispatcher: CollectingDispatcher, tracker: Tracker) -> list[dict[str, Any]]:
    """Utter the entries for what is known, and remember that something is still asked."""
    abroad = bool(_ABROAD.search(text(tracker))) or known(tracker, "lieu") == ABROAD
    responses = responses_of(tracker, abroad)
    for response in responses:
        dispatcher.utter_message(response=response)
    asks = responses[0] in (f"utter_{INTENT}", f"utter_{INTENT}_circonstance")
    return [
        SlotSet("sujet", INTENT),
        SlotSet("question", INTENT if asks else None),
        SlotSet("lieu", ABROAD if abroad else None),
    ]


def responses_of(tracker: Tracker, abroad: bool = False) -> list[str]:
    """Names of the responses: a lost bag holds several papers, and stopping the bank card comes first."""
    papers = lost_papers(tracker)
    found = [response_of(paper, known(tracker, "circonstance", CIRCUMSTANCES), abroad) for paper in papers]
    card = f"utter_{INTENT}_carte_bancaire"
    rest = [response for response in dict.fromkeys(found) if response != card]
    if len(rest) > 1:  # papers of several kinds that were lost: one reply for all
        rest = [f"utter_{INTENT}_perdu"]
    return [*([card] if card in found else []), *rest]


def lost_papers(tracker: Tracker) -> list[Optional[str]]:
    """The papers of this message if it names some, else the one that was talked about."""
    said = [row["value"] for row in entities(tracker) if row.get("entity") == "document" and row["value"] in DOCUMENTS]
    value = tracker.get_slot("document")  # "autre" is an answer here, not a way back
    return list(dict.fromkeys(said)) or [value if value in DOCUMENTS else None]


def response_of(document: Optional[str], circumstance: Optional[str], abroad: bool = False) -> str:
    """Name of the response for this paper and this circumstance."""
    if circumstance == "retrouve":
        return f"utter_{INTENT}_retrouve"
    if document == "carte_bancaire":  # lost or stolen
        return f"utter_{INTENT}_carte_bancaire"
    if abroad and (document or circumstance):
        return f"utter_{INTENT}_etranger"
    if circumstance == "vole":
        return f"utter_{INTENT}_vole"
    if document is None:
        return f"utter_{INTENT}"
    if circumstance is None:
        return f"utter_{INTENT}_circonstance"
    return f"utter_{INTENT}_perdu_{document}" if document in LOST else f"utter_{INTENT}_perdu"
