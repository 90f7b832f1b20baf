"""What the latest message says, and what is known from earlier ones."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Optional

from rasa_sdk import Tracker

from bot.policy.intents import FALLBACK, STATEMENT

OTHER = "autre"  # the value of a button that takes back what was said
_WORD = re.compile(r"\w+")

# Words that may stand around a bare answer ("non, plutôt officier") and ask nothing by themselves.
_WORDS = """
    a à ah ai alors au aussi bah beh ben bin c ça ca ce cest ct d dans de des désolé desole dire donc dsl du en enfin est
    et euh excusez fait finalement heu j jai je l la le les m ma mais me merci mieux moi mon n nn non ok on oui ouais oups
    par pardon pas plus plutôt plutot pour pr préfère prefere s serait si sorry sur svp un une vers voulais voulait vous était etait
"""
_AROUND = frozenset(_WORDS.split())
# With one of these a message asks something itself.
_ASKING = frozenset(
    """
    comment koman komen quel quelle quels quelles kel kelle combien quand pourquoi pk où qui quoi koi est-ce esk puis peut peux faut
    savoir cherche question besoin gratuit payant horaires numéro numero téléphone adresse
    """.split()  # noqa: SIM905
)


def intent(tracker: Tracker) -> str:
    """Name of the latest message's intent."""
    return str((tracker.latest_message.get("intent") or {}).get("name") or "")


# They are about nothing: what was talked about stays.
NO_SUBJECT = (
    FALLBACK,
    "salutation",
    "au_revoir",
    "insulte_troll",
    "parler_humain",
    "remerciements",
    "hors_perimetre",
    STATEMENT,
)


def last_intent(tracker: Tracker) -> Optional[str]:
    """What the person wrote about before this message; None at the beginning."""
    before = [event for event in tracker.events if event.get("event") == "user"][:-1]
    names = [_intent_of(event) for event in before]
    return next((name for name in reversed(names) if name and name not in NO_SUBJECT), None)


def last_subject(tracker: Tracker) -> Optional[str]:
    """What was talked about before this message: an answer to a question is about what was asked, whatever its intent.

    An intent, or « age », the question of age; None at the beginning.
    """
    turn = next((at for at in range(len(tracker.events) - 1, -1, -1) if tracker.events[at].get("event") == "user"), 0)
    for event in reversed(tracker.events[:turn]):
        if event.get("event") == "slot" and event.get("name") == "sujet" and event.get("value"):
            return str(event["value"])
        name = _intent_of(event)
        if name and name not in NO_SUBJECT:
            return name
    return None


def _intent_of(event: dict[str, Any]) -> str:
    """Of a person's message; nothing for other events."""
    return str(((event.get("parse_data") or {}).get("intent") or {}).get("name") or "")


def entities(tracker: Tracker) -> list[dict[str, Any]]:
    """The latest message's entities."""
    return list(tracker.latest_message.get("entities") or [])


def said(tracker: Tracker, entity: str) -> Optional[str]:
    """The last value of an entity in the latest message: a correction comes last."""
    values = [row["value"] for row in entities(tracker) if row.get("entity") == entity]
    return str(values[-1]) if values else None


def known(tracker: Tracker, slot: str, among: Optional[Collection[str]] = None) -> Optional[str]:
    """A slot's value; None if it is not one of those that replies exist for."""
    value = tracker.get_slot(slot)
    if not isinstance(value, str) or value == OTHER:
        return None
    return value if among is None or value in among else None


def is_bare(tracker: Tracker, besides: Collection[str] = ()) -> bool:
    """The message names a value and asks nothing: « gardien de la paix », « non, plutôt officier ».

    `besides`: what else it names, as it stands in the text.
    """
    rest = text(tracker)
    spans = [(row["start"], row["end"]) for row in entities(tracker) if "start" in row and "end" in row]
    for start, end in sorted(spans, reverse=True):
        rest = rest[:start] + " " + rest[end:]
    for part in besides:
        rest = rest.replace(part, " ")
    return bool(spans or besides) and all(word in _AROUND for word in _WORD.findall(rest.lower()))


def is_short(tracker: Tracker, words: int) -> bool:
    """At most so many words."""
    return len(_WORD.findall(text(tracker))) <= words


def asks(tracker: Tracker) -> bool:
    """A question or a request by its words, and so no mere answer."""
    return "?" in text(tracker) or any(word in _ASKING for word in _WORD.findall(text(tracker).lower()))


def text(tracker: Tracker) -> str:
    """The latest message's words."""
    return str(tracker.latest_message.get("text") or "")


# « 32 ans », « j'ai 46 »: two digits. What was « il y a » or « depuis » so many years is no age, nor is a length of service.
_AGE = re.compile(
    r"(?<!\d)(?<!\d[ .,/])([1-7]\d)\s*ans?\b(?!\s*(?:de|d['’]|d)\s*(?:service|exp|anciennet|travail|métier|metier|bo[iî]te|carri))"
    r"|\b(?:j['’ ]?ai|jai|jé|g|j['’ ]?aurai|jaurai)\s+([1-7]\d)\b(?!\s*(?:jours?|mois|points?|%|€|euros?|heures?|ans?))",
    re.IGNORECASE,
)
_NO_AGE_BEFORE = re.compile(
    r"(?:depuis|il y a|ya|pendant|durant|dans|après|apres|fait|plus de|en|d['’]ici)\s*$", re.IGNORECASE
)
_NUMBER = re.compile(r"\D*([1-7]\d)\D*")
_ABOUT_AGE = re.compile(
    r"\b(?:âges?|ages?|aje|vieux|vieille|trop jeune|trop tard|(?:âgée?|agée?|age) de)\b", re.IGNORECASE
)


def age(tracker: Tracker, alone: bool = False) -> Optional[int]:
    """The age that the message tells, the last one if there are several; `alone`: a bare number is one too."""
    words = text(tracker)
    found = [
        int(match[1] or match[2]) for match in _AGE.finditer(words) if not _NO_AGE_BEFORE.search(words[: match.start()])
    ]
    bare = _NUMBER.fullmatch(text(tracker)) if alone and not found and is_short(tracker, 5) else None
    return found[-1] if found else int(bare[1]) if bare else None


def is_about_age(tracker: Tracker) -> bool:
    """The question is about an age limit."""
    return bool(_ABOUT_AGE.search(text(tracker)))


def is_tap(tracker: Tracker) -> bool:
    """A quick reply was chosen."""
    return bool(tracker.latest_message.get("tapped"))
