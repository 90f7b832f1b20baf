"""Personal data of a citizen's message, replaced by natural stand-ins before the message becomes an example.

    seen = pseudonymiser().replace(raw)      # blocks: in a thread
    seen.text, seen.replacements             # what the trainer is shown, and confirms
    pseudonymiser().leftovers(text)          # what is still personal: refused unless the trainer says that it is not
    leftovers(text)                          # the same by rules alone, for thirty thousand examples at once

A stand-in is drawn at random, never computed from the original: nobody can go back from `data/`, not even with a key.
Only its shape follows (kind, case, grouping of digits, gender of a first name). Why: docs/decisions/pseudonyms.md.
"""

from __future__ import annotations

import itertools
import random
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from bot.trainer.pseudonyms_kinds import Kind as Kind
from bot.trainer.pseudonyms_kinds import Span, apart
from bot.trainer.pseudonyms_names import merged, names
from bot.trainer.pseudonyms_rules import READ, patterns
from bot.trainer.pseudonyms_stand_ins import StandIns, is_ours
from bot.trainer.pseudonyms_words import LANGUAGE_MODEL, SPACY

if TYPE_CHECKING:
    from spacy.language import Language


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

    The model (some 200 MB of memory) is loaded by the first call that needs it. Nothing is ever fetched from a network.
    """

    def __init__(self, model: bool = True, dice: random.Random | None = None) -> None:
        """`model`: False for rules and lists alone. `dice`: for tests; else stand-ins come from the system's generator."""
        self._with_model = model
        self._dice = dice
        self._lock = threading.Lock()
        self._language: Language | None = None

    def replace(self, text: str) -> Pseudonymised:
        """The text with stand-ins: the same original gets the same one within a text, marks `[words](entity)` stay."""
        return self.put(text, self.find(text))

    def find(self, text: str) -> list[Span]:
        """Where personal data stands in a text; marks of entities are looked through and never part of a span."""
        marks = _Marks(text)
        bare = marks.bare
        known = patterns(bare)
        found = merged(names(bare, self._people(bare), known))
        return marks.back(apart((*known, *found)))

    def put(self, text: str, spans: Sequence[Span]) -> Pseudonymised:
        """The text with a stand-in at each span (in order, apart)."""
        stand_ins, new, at, done = StandIns(self._dice), "", 0, []
        for span in spans:
            original = text[span.start : span.end]
            new += text[at : span.start]
            stand_in = stand_ins.of(span.kind, original)
            done.append(Replacement(len(new), len(new) + len(stand_in), span.kind, original, stand_in))
            new, at = new + stand_in, span.end
        return Pseudonymised(new + text[at:], tuple(done))

    def leftovers(self, text: str) -> list[Replacement]:
        """What is personal in a text and is no stand-in of ours; `start` and `end` are those of this text."""
        spans = [span for span in self.find(text) if not is_ours(span.kind, text[span.start : span.end])]
        stand_ins = StandIns(self._dice)
        originals = [(span, text[span.start : span.end]) for span in spans]
        return [
            Replacement(span.start, span.end, span.kind, words, stand_ins.of(span.kind, words))
            for span, words in originals
        ]

    def stand_in(self, words: str, kind: Kind) -> str:
        """A stand-in for words that a person pointed at."""
        return StandIns(self._dice).of(kind, words)

    def _people(self, text: str) -> list[tuple[int, int]]:
        if not self._with_model or not text.strip():
            return []
        with self._lock:  # one at a time: the model is not promised to be safe otherwise
            if self._language is None:
                self._language = _load()
            read = self._language(text[:READ])
        return [(entity.start_char, entity.end_char) for entity in read.ents if entity.label_ == "PER"]


def leftovers(text: str) -> list[Replacement]:
    """`Pseudonymiser.leftovers` by rules and lists alone: fast enough for every example of the project at once."""
    return _rules_alone().leftovers(text)


@cache
def pseudonymiser() -> Pseudonymiser:
    """The one of this process."""
    return Pseudonymiser()


@cache
def _rules_alone() -> Pseudonymiser:
    return Pseudonymiser(model=False)


def _load() -> Language:
    with SPACY:
        import spacy  # seconds and memory: only when somebody corrects a message

    return spacy.load(LANGUAGE_MODEL, exclude=["parser", "lemmatizer", "morphologizer", "attribute_ruler"])


_MARK = re.compile(r"\[([^\]\[\n]*)\](?:\([A-Za-z_][\w:.-]*\)|\{[^}\n]*\})")


class _Marks:
    """A text without its marks of entities, and the way back."""

    def __init__(self, text: str) -> None:
        self._places: list[int] = []  # of each character of `bare`, in the text
        self._edges: list[int] = []  # in `bare`: where words of a mark begin or end
        letters: list[str] = []
        at = 0
        for mark in _MARK.finditer(text):
            self._keep(letters, text, at, mark.start())
            self._edges.append(len(letters))
            self._keep(letters, text, mark.start(1), mark.end(1))
            self._edges.append(len(letters))
            at = mark.end()
        self._keep(letters, text, at, len(text))
        self.bare = "".join(letters)

    def _keep(self, letters: list[str], text: str, start: int, end: int) -> None:
        letters.extend(text[start:end])
        self._places.extend(range(start, end))

    def back(self, spans: Sequence[Span]) -> list[Span]:
        """The same spans in the marked text, cut where a mark begins or ends."""
        found = []
        for span in spans:
            cuts = [span.start, *(edge for edge in self._edges if span.start < edge < span.end), span.end]
            for start, end in itertools.pairwise(cuts):
                words = self.bare[start:end]
                start, end = start + len(words) - len(words.lstrip()), end - len(words) + len(words.rstrip())
                if start < end:
                    found.append(Span(self._places[start], self._places[end - 1] + 1, span.kind))
        return found
