"""Canned replies: variables in double braces, filled with what is known of the person, the request and the agent."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Optional

# As they are written in a reply; accents and capitals do not matter.
VARIABLES = ("prénom", "nom", "service", "ville", "lieu", "date", "agent")
SHORTCUT = re.compile(r"[a-z0-9][a-z0-9-]{0,29}")
_VARIABLE = re.compile(r"\{\{([^{}\n]{0,40})\}\}")
_NAME = re.compile(r"[^\W\d_]+(?:[-’'][^\W\d_]+)*\.?")


def folded(text: str) -> str:
    """Small letters without accents."""
    bare = unicodedata.normalize("NFD", text.casefold())
    return "".join(c for c in bare if not unicodedata.combining(c)).replace("œ", "oe").replace("æ", "ae").strip()


_KNOWN = {folded(name): name for name in VARIABLES}


def unknown(body: str) -> list[str]:
    """The variables of a reply that nothing fills, as they are written."""
    return [found[0] for found in _VARIABLE.finditer(body) if folded(found[1]) not in _KNOWN]


def filled(body: str, values: Mapping[str, str]) -> tuple[str, list[str]]:
    """The text with its variables filled (`values`: by a name of VARIABLES), and those that stay open, as written."""
    open_: list[str] = []

    def put(found: re.Match[str]) -> str:
        value = values.get(_KNOWN.get(folded(found[1]), ""), "").strip()
        if not value:
            open_.append(found[0])
        return value or found[0]

    return _VARIABLE.sub(put, body), open_


def first_name(name: Optional[str]) -> str:
    """What a person is called by, from a profile's name; "" when that is no name (a pseudonym with figures)."""
    words = (name or "").split()
    return words[0] if words and _NAME.fullmatch(words[0]) else ""


def rank(query: str, shortcut: str, title: str, body: str) -> Optional[int]:
    """How well a reply answers a search, 0 best; None: not at all. Every word of the query has to be somewhere."""
    asked = folded(query)
    code, heading = folded(shortcut), folded(title)
    if code.startswith(asked):
        return 0 if code == asked else 1
    words: Sequence[str] = asked.split()
    if all(word in f"{code} {heading}" for word in words):
        return 2
    return 3 if all(word in f"{code} {heading} {folded(body)}" for word in words) else None
