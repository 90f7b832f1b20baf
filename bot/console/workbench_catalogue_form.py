"""The form of an answer of the catalogue: what is typed, and how it stands on a phone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Optional

from sanic import Request

from bot.console.forms import field
from bot.console.workbench_replies_form import Phone, phones
from bot.core.catalogue import Question, Value, Variant, day, listed, of_variants
from bot.trainer.replies import Button, Variation

TEXT_AT_MOST = 8_000  # characters that are taken from a field
LINE_AT_MOST = 1_000
NEIGHBOURS = 6  # fields for neighbours
_BLANKS = re.compile(r"[ \t\r\n]+")
_LINES = {
    "title": "titre",
    "question": "question",
    "source": "source",
    "seen": "copie",
    "checked": "verifiee",
    "checked_by": "verifiee-par",
    "review_by": "relire",
    "link": "lien",
    "link_title": "lien-titre",
    "reason": "raison",
}
_FLAGS = {"home_ok": "accueil", "for_agents": "aux-agents"}
_LISTS = {"related": "voisine", "apart": "comparee"}
_DATES = {"checked": "La date de vérification", "review_by": "La date de relecture"}


@dataclass(frozen=True)
class Written:
    """What stands in the form. `seen`: of the question, as it was shown; `faults`: what cannot be read, in French."""

    question: Question
    seen: str
    faults: tuple[str, ...] = ()


def written(request: Request, present: Question) -> Written:
    """What was sent about a question that stands; never raises. Wordings with conditions keep all but their text."""
    texts = [words(field(request, f"texte-{place}")) for place in range(len(present.variants))]
    metadata = told(request, present.answer.metadata)
    variants = tuple(
        replace(v, text=text, metadata=v.metadata if v.conditions else metadata)
        for v, text in zip(present.variants, texts, strict=True)
    )
    question = replace(of_variants(present.id, present.examples, variants), file=present.file)
    return Written(question, field(request, "vu")[:64], faults(metadata))


def told(request: Request, old: Mapping[str, Value]) -> dict[str, Value]:
    """The metadata that were sent. What did not change stays as it was written; an empty field takes its key away."""
    found = dict(old)
    for key, name in _LINES.items():
        value: Value = line(field(request, name)) or None
        if _flat(old.get(key)) != (value or ""):
            found[key] = value
    for key, name in _FLAGS.items():
        found[key] = "true" if field(request, name) else None
    for key, name in _LISTS.items():
        names = tuple(dict.fromkeys(filter(None, (line(field(request, f"{name}-{n}")) for n in range(NEIGHBOURS * 3)))))
        if names != (old.get(key) or ()):
            found[key] = names or None
    return {k: v for k, v in found.items() if v is not None or k == "checked" or (k in old and old[k] is None)}


def faults(metadata: Mapping[str, Value]) -> tuple[str, ...]:
    """What cannot be read."""
    wrong = (words for key, words in _DATES.items() if (given := _flat(metadata.get(key))) and day(given) is None)
    return tuple(f"{words} ne se lit pas\u00a0: écrivez-la comme 2026-01-31." for words in wrong)


def checked_today(present: Question, today: date, by: str) -> tuple[Variant, ...]:
    """The wordings with the official page seen today."""
    more = {"checked": today.isoformat(), "checked_by": by}
    return tuple(v if v.conditions else replace(v, metadata={**v.metadata, **more}) for v in present.variants)


def on_phones(variant: Variant, neighbours: Sequence[str]) -> tuple[Phone, Phone]:
    """Messenger's screen, then Instagram's. `neighbours`: the titles of the questions offered below it."""
    return phones(Variation(variant.said, tuple(Button(title, "") for title in neighbours)), variant.links)


def compared(variant: Variant) -> tuple[str, ...]:
    """The questions that somebody has compared with this one."""
    return listed(variant.metadata.get("apart"))


def conditions(variant: Variant) -> str:
    """« corps = cadet », "" of the wording for everybody."""
    return ", ".join(f"{name} = {value}" for name, value in variant.conditions)


def line(given: str) -> str:
    """One line of a form; the narrow spaces of French stay."""
    return _BLANKS.sub(" ", given[:LINE_AT_MOST]).strip(" ")


def words(given: str) -> str:
    """The words of an answer. A textarea sends CR LF; what surrounds the text, or ends a line, was not meant."""
    lines = given[:TEXT_AT_MOST].replace("\r\n", "\n").replace("\r", "\n").strip().split("\n")
    return "\n".join(one.rstrip(" ") for one in lines)


def _flat(value: Optional[Value]) -> str:
    return " ".join(value) if isinstance(value, tuple) else value or ""
