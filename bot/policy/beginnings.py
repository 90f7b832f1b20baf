"""How an answer begins: what is shown of it beside its question. Pure."""

from __future__ import annotations

import re

LONGEST = 220  # characters: a longer sentence is left out
SHORTEST = 45  # « Nous sommes désolés pour vous. », « Oui. »: a shorter one goes with the next sentence
# A sentence ends before a space and a capital, or with its line: « 1,5 », « n° 3 » and names of sites have no such stop.
_END = re.compile(r"[.!?…](?=\s+[«A-ZÀ-ÖØ-ÞŒ]|[ \t]*(?:\n|$))")
_ABBREVIATED = re.compile(r"\b(?:MM?|Dr|St|Ste|art|cf|coef|ex|no?|p|réf|tél)\.$", re.IGNORECASE)


def beginning(answer: str) -> str:
    """The first sentence of an answer, with the next one if it says little alone; "" for a list and for one that is too long.

    A question that an answer begins with tells a case, and without what holds then it would seem to be asked.
    """
    first, rest = _first_sentence(answer.strip())
    second, _ = _first_sentence(rest)
    says_little = first.endswith("?") or len(first) < SHORTEST
    if says_little and _stands(second) and _stands(both := f"{first} {second}"):
        return both
    return first if _stands(first) else ""


def _first_sentence(text: str) -> tuple[str, str]:
    """A sentence and what follows it; "" and the text where none ends."""
    for end in _END.finditer(text):
        if not _ABBREVIATED.search(text[: end.end()]):
            return text[: end.end()], text[end.end() :].lstrip()
    return "", text


def _stands(sentence: str) -> bool:
    """It may stand for the answer: neither too long, nor of a list, nor a question."""
    return 0 < len(sentence) <= LONGEST and "\n" not in sentence and sentence[0] != "•" and sentence[-1] != "?"
