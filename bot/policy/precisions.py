"""Narrower replies chosen by the words of a message: « nid de guêpes » gets who removes it, not the list of all services.

The words stand in data/precisions.yml, which trainers edit; the replies in domain.yml.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from bot.policy.normalise import BOUNDARIES, tokens

# Words that may stand between two words of a phrase: « nid [de] guêpes », « plaque [de ma voiture a été] volée ».
GAP = 4
# A longer story is about more than one word of it.
LONGEST = 60
_KEYS = {"reponse", "au_lieu_de", "mots", "sauf"}


# The bits of all its words together, and those of each: a message that lacks one of them need not be walked through.
_Phrase = tuple[int, tuple[int, ...]]


@dataclass(frozen=True)
class _Entry:
    """A reply, those that it stands in for, and the phrases that call for it or forbid it."""

    reply: str
    general: frozenset[str]
    phrases: tuple[_Phrase, ...]
    unless: tuple[_Phrase, ...]


class Precisions:
    """The table. Accents, capitals, doubled letters, SMS spelling and a plural are forgiven, a slip is not:
    the general reply is right too, a narrow one about something else is not."""

    def __init__(self) -> None:
        self._bits: dict[str, int] = {}
        self._stems: dict[str, int] = {}
        self._entries: list[_Entry] = []

    @classmethod
    def from_mapping(cls, data: Any) -> Precisions:
        """Read the file's content. Raises ValueError, in French, naming the entry that is wrong."""
        rows = data.get("precisions") if isinstance(data, Mapping) else None
        if not isinstance(rows, list):
            raise ValueError("la liste « precisions » manque")
        table = cls()
        for number, row in enumerate(rows, 1):
            table._add(row, number)
        return table

    def _add(self, row: Any, number: int) -> None:
        name = row.get("reponse") if isinstance(row, Mapping) else None
        where = name if isinstance(name, str) and name else f"entrée n° {number}"
        if not isinstance(row, Mapping) or where != name or set(row) - _KEYS:
            raise ValueError(f"{where} : attendu reponse, au_lieu_de, mots et, s’il le faut, sauf")
        general, phrases = _strings(row.get("au_lieu_de")), _strings(row.get("mots"))
        unless = _strings(row.get("sauf", []))
        if not general or not phrases or unless is None:
            raise ValueError(f"{where} : « au_lieu_de » et « mots » sont des listes qui ne sont pas vides")
        try:
            self._entries.append(_Entry(where, frozenset(general), self._phrases(phrases), self._phrases(unless)))
        except ValueError as error:
            raise ValueError(f"{where} : {error}") from None

    def _phrases(self, lines: Sequence[str]) -> tuple[_Phrase, ...]:
        """The masks of each form of each line: « sac|porte-monnaie vol* » has two."""
        forms = (form for line in lines for form in self._forms(line))
        return tuple((functools.reduce(operator.or_, form), form) for form in forms)

    def _forms(self, line: str) -> Iterator[tuple[int, ...]]:
        choices = [[self._words(word, line) for word in part.split("|")] for part in line.split()]
        if not choices:
            raise ValueError("une ligne de « mots » est vide")
        for form in itertools.product(*choices):
            yield tuple(bit for words in form for bit in words)

    def _words(self, raw: str, line: str) -> tuple[int, ...]:
        words = [word for word in tokens(raw.rstrip("*")) if word not in BOUNDARIES]
        if not words:
            raise ValueError(f"« {line} » : il manque un mot")
        return tuple(self._bit(word, stem=raw.endswith("*") and word is words[-1]) for word in words)

    def _bit(self, word: str, stem: bool) -> int:
        table = self._stems if stem else self._bits
        return table.setdefault(word, 1 << (len(self._bits) + len(self._stems)))

    def _mask(self, word: str) -> int:
        """The bits of all words of the file that a word of a message stands for."""
        mask = self._bits.get(word, 0) | self._bits.get(_singular(word), 0)
        for length in range(2, len(word) + 1):
            mask |= self._stems.get(word[:length], 0)
        return mask

    def replies(self) -> Iterator[tuple[str, frozenset[str]]]:
        """(reply, those that it stands in for) of each entry."""
        return ((entry.reply, entry.general) for entry in self._entries)

    def find(self, general: str, text: str) -> Optional[str]:
        """The reply of the first entry for `general` whose words the message holds; None: the general reply will do."""
        entries = [entry for entry in self._entries if general in entry.general]
        if not entries:
            return None
        words = [word for word in tokens(text) if word not in BOUNDARIES]
        if len(words) > LONGEST:
            return None
        masks = [self._mask(word) for word in words]
        together = functools.reduce(operator.or_, masks, 0)
        for entry in entries:
            if _any(entry.phrases, masks, together) and not _any(entry.unless, masks, together):
                return entry.reply
        return None


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word[-1] in "sx" else word


def _strings(value: Any) -> Optional[list[str]]:
    return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else None


def _any(phrases: Sequence[_Phrase], masks: Sequence[int], together: int) -> bool:
    """`together`: the bits of all words of the message."""
    return any(whole & together == whole and _holds(phrase, masks) for whole, phrase in phrases)


def _holds(phrase: tuple[int, ...], masks: Sequence[int]) -> bool:
    """Whether the words of a phrase follow each other in the message, with at most `GAP` other words between two."""
    ends = {at for at, mask in enumerate(masks) if mask & phrase[0]}
    for bit in phrase[1:]:
        ends = {at for end in ends for at in range(end + 1, min(end + GAP + 2, len(masks))) if masks[at] & bit}
    return bool(ends)
