"""What a piece of text tells about a person, and where it stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Kind(str, Enum):
    """The kinds of personal data that are told apart: each has stand-ins of its own shape."""

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


@dataclass(frozen=True, order=True)
class Span:
    """Characters `start` to `end` of a text."""

    start: int
    end: int
    kind: Kind

    def meets(self, other: Span) -> bool:
        """Whether the two share a character."""
        return self.start < other.end and other.start < self.end


def apart(spans: Iterable[Span]) -> list[Span]:
    """Those that do not meet an earlier one of the sequence, in the order of the text: the first rule wins."""
    kept: list[Span] = []
    for span in spans:
        if span.end > span.start and not any(span.meets(other) for other in kept):
            kept.append(span)
    return sorted(kept)
