"""Papers lost, stolen or found: which one, what happened to it, and in France or abroad."""

from __future__ import annotations

import re
from typing import Any, Optional

from rasa_sdk import Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions.plainte import THEFT
from actions.said import asks, entities, known, said, text

INTENT = "perte_vol_documents"
DOCUMENTS = ("carte_identite", "passeport", "permis", "carte_grise", "titre_sejour", "carte_bancaire", "autre")
CIRCUMSTANCES = ("perdu", "vole", "retrouve")
# These have their own way of declaring a loss.
LOST = ("carte_identite", "passeport", "permis")
FRANCE, ABROAD = "france", "etranger"
COUNTRIES = ("france", "etranger")
# Questions of the catalogue about several papers, or about a loss abroad.
OF_SEVERAL = tuple(f"{INTENT}/{one}" for one in ("tous_papiers_voles", "tous_papiers_perdus", "etranger_perte"))
TOLD_SHORTLY = 6  # words: more of them may tell of something else that was lost
# The question of the place: a slot, and what the slot `question` holds while it is open.
PLACE = "pays"
# Where somebody goes, goes back to or lives is not where the paper was lost: « je pars en Espagne demain ».
_ELSEWHERE = re.compile(
    r"\b(?:pars?|part|partir|partons|partez|vais|va|vont|aller|allons|irai|ira|voyager|rentr\w*|retour\w*|rev[ie]\w*|d[eé]coll\w*|"
    r"d[eé]part|billets?|avion|vol pour|habit\w*|vis|vit|vivons|r[eé]sid\w*|travaill\w*) (?:[\w’'-]+ ){0,3}$",
    re.IGNORECASE,
)
# « Retrouvé » says how things stand; what the paper was before, « que j'avais déclaré perdu », does not undo it.
FOUND = "retrouve"
_GOES_ON = re.compile(r"\b(?:et|mais|sauf|sans|pas|puis|ensuite|depuis|par contre|cependant)\b", re.IGNORECASE)
_DECLARED = re.compile(r"\b(?:d[ée]clar|signal|croyai|pensai)\w*(?: [\w’'-]+){0,3} $", re.IGNORECASE)
_DENIED = re.compile(r"\bpas (?:(?:en|à|a|au|aux|dans|de|du) )?$", re.IGNORECASE)


def answer(dispatcher: CollectingDispatcher, tracker: Tracker) -> list[dict[str, Any]]:
    """Utter the entries for what is known, and remember that something is still asked."""
    place = place_of(tracker)
    responses = _responses(tracker, place)
    for response in responses:
        dispatcher.utter_message(response=response)
    question = INTENT if responses[0] in (f"utter_{INTENT}", f"utter_{INTENT}_circonstance") else None
    if question is None and place is None and _depends_on_place(responses[-1]):
        # What holds in France is said at once: it is nearly always there, and nobody waits for a tap.
        dispatcher.utter_message(json_message={"join": True})
        dispatcher.utter_message(response=f"utter_{INTENT}_pays")
        question = PLACE
    return [SlotSet("sujet", INTENT), SlotSet("question", question), *told(tracker)]


def is_general(tracker: Tracker) -> bool:
    """Nothing is known of the paper: it is asked for."""
    return _responses(tracker, place_of(tracker)) == [f"utter_{INTENT}"]


def _responses(tracker: Tracker, place: Optional[str]) -> list[str]:
    if known(tracker, "question") == PLACE and place == FRANCE and not _tells_more(tracker):
        return [f"utter_{INTENT}_france"]  # the answer for France stands in the message that asked
    return responses_of(tracker, place)


def told(tracker: Tracker) -> list[dict[str, Any]]:
    """Where it was and what happened, as far as they are known."""
    return [SlotSet("pays", place_of(tracker)), SlotSet("circonstance", circumstance(tracker))]


def tells_more(tracker: Tracker) -> bool:
    """A few words on how or where the paper that is spoken of was lost: « c’était en Espagne », « en fait on me l’a volée »."""
    told = said(tracker, "circonstance") or said(tracker, PLACE)
    spoken_of = known(tracker, "sujet") == INTENT and known(tracker, "document") and not said(tracker, "document")
    return bool(told and spoken_of) and not asks(tracker) and len(text(tracker).split()) <= TOLD_SHORTLY


def place_of(tracker: Tracker) -> Optional[str]:
    """In France or abroad, by the latest message or else an earlier one; None: not known, or both were said."""
    rows = [row for row in entities(tracker) if row.get("entity") == PLACE and row["value"] in COUNTRIES]
    here = [row for row in rows if not _stands_behind(_ELSEWHERE, tracker, row)]
    towns = [row for row in entities(tracker) if row.get("entity") == "ville" and not is_guess(row)]
    told = {row["value"] for row in here if not _stands_behind(_DENIED, tracker, row)}
    told |= {FRANCE for row in towns if not _stands_behind(_ELSEWHERE, tracker, row)}
    if told or rows:
        return str(told.pop()) if len(told) == 1 else None
    return known(tracker, "pays", COUNTRIES)


def is_guess(town: dict[str, Any]) -> bool:
    """A capitalised word behind « à », which no list holds: it may lie anywhere."""
    return float(town.get("confidence_entity") or 1) < 1


def tells(tracker: Tracker) -> bool:
    """The message names a paper, what happened, or where."""
    return bool(place_said(tracker) or _tells_more(tracker))


def place_said(tracker: Tracker) -> bool:
    """The message itself says where."""
    return any(row.get("entity") in (PLACE, "ville") for row in entities(tracker)) and place_of(tracker) is not None


def _tells_more(tracker: Tracker) -> bool:
    return bool(said(tracker, "document") or said(tracker, "circonstance") or said(tracker, "infraction") == THEFT)


def _stands_behind(before: re.Pattern[str], tracker: Tracker, row: dict[str, Any]) -> bool:
    start = _start(row)
    return bool(before.search(text(tracker)[max(0, start - 60) : start]))


def _depends_on_place(response: str) -> bool:
    return response not in (f"utter_{INTENT}_{name}" for name in ("carte_bancaire", "retrouve", "france"))


def circumstance(tracker: Tracker) -> Optional[str]:
    """What happened: « vol à l'arraché » names an offence and says it too."""
    if _is_found(tracker):
        return FOUND
    if said(tracker, "infraction") == THEFT and not said(tracker, "circonstance"):
        return "vole"
    return known(tracker, "circonstance", CIRCUMSTANCES)


def _is_found(tracker: Tracker) -> bool:
    """The message says that the paper was found, and nothing that happened to it since."""
    rows = sorted((row for row in entities(tracker) if row.get("entity") == "circonstance"), key=_start)
    found = next((row for row in rows if row["value"] == FOUND), None)
    if found is None:
        return False
    later = [row for row in rows if row["value"] != FOUND and _start(row) > _start(found)]
    return not any(
        _GOES_ON.search(text(tracker)[_start(found) : _start(row)]) and not _stands_behind(_DECLARED, tracker, row)
        for row in later
    )


def _start(row: dict[str, Any]) -> int:
    return int(row.get("start") or 0)


def responses_of(tracker: Tracker, place: Optional[str] = None) -> list[str]:
    """Names of the responses: a lost bag holds several papers, and stopping the bank card comes first."""
    papers = lost_papers(tracker)
    found = [response_of(paper, circumstance(tracker), place == ABROAD) for paper in papers]
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
        return f"utter_{INTENT}_retrouve_etranger" if abroad else f"utter_{INTENT}_retrouve"
    if document == "carte_bancaire":  # lost or stolen
        return f"utter_{INTENT}_carte_bancaire"
    if abroad and (document or circumstance):
        return f"utter_{INTENT}_vole_etranger" if circumstance == "vole" else f"utter_{INTENT}_etranger"
    if circumstance == "vole":
        return f"utter_{INTENT}_vole"
    if document is None:
        return f"utter_{INTENT}"
    if circumstance is None:
        return f"utter_{INTENT}_circonstance"
    return f"utter_{INTENT}_perdu_{document}" if document in LOST else f"utter_{INTENT}_perdu"
