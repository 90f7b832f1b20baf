"""The catalogue of questions as an agent looks into it: by words of a question, its title or its examples.

Accents, case and inflection do not matter, the last word need not be finished, one slip in a longer word is forgiven. Pure.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping

from bot.core.catalogue import Catalogue, Question
from bot.policy.search import LONGEST_QUERY, MOST_WORDS, STOP, stem, words
from bot.policy.wordindex import SLIP_LENGTH, one_slip

HEADING, EXAMPLE = 3.0, 1.0  # what a word counts in a question or its title, and in its examples
ENOUGH = 0.6  # of the weight of the words that the best question holds

Places = dict[str, float]  # question's id → what a word counts there


class CatalogueSearch:
    """A catalogue and its words. Making one takes a second for a thousand questions, asking it a millisecond."""

    def __init__(self, catalogue: Catalogue = Catalogue()) -> None:  # noqa: B008 (frozen)
        self.questions: Mapping[str, Question] = catalogue.questions
        self._plain: dict[str, Places] = {}
        self._stems: dict[str, Places] = {}
        for one in catalogue.questions.values():
            self._add(one.id, f"{one.title} {one.question}", HEADING)
            self._add(one.id, " ".join(one.examples), EXAMPLE)
        self._sorted = sorted(self._plain)

    def find(self, typed: str) -> tuple[Question, ...]:
        """The questions that hold the words that were typed, or most of what they weigh, the best first; without a word all, in
        their order."""
        every = words(typed[:LONGEST_QUERY])[:MOST_WORDS]
        if not every:
            return tuple(self.questions.values())
        asked = [word for word in every if word not in STOP] or every[-1:]
        met: dict[str, float] = defaultdict(float)
        points: dict[str, float] = defaultdict(float)
        for word in asked:
            places = self._places(word, begun=word == every[-1])
            for id_, worth in places.items():
                weight = math.log(1 + len(self.questions) / len(places))  # a rare word tells more
                met[id_] += weight
                points[id_] += worth * weight
        enough = ENOUGH * max(met.values(), default=0.0)
        best = sorted((id_ for id_ in met if met[id_] >= enough), key=lambda id_: -points[id_])
        return tuple(self.questions[id_] for id_ in best)

    def _add(self, id_: str, text: str, worth: float) -> None:
        for word in {word for word in words(text) if word not in STOP}:
            for index, key in ((self._plain, word), (self._stems, stem(word))):
                places = index.setdefault(key, {})
                places[id_] = max(worth, places.get(id_, 0.0))

    def _places(self, word: str, begun: bool) -> Places:
        """Where a word stands; `begun`: it may go on."""
        found = dict(self._stems.get(stem(word), {}))
        for other in self._beginning(word) if begun else ():
            _merge(found, self._plain[other])
        if not found and len(word) >= SLIP_LENGTH:
            for other in (other for other in self._sorted if one_slip(word, other)):
                _merge(found, self._plain[other])
        return found

    def _beginning(self, start: str) -> Iterator[str]:
        """The words that begin so."""
        rest = itertools.islice(self._sorted, bisect.bisect_left(self._sorted, start), None)
        return itertools.takewhile(lambda word: word.startswith(start), rest)


def _merge(found: Places, more: Places) -> None:
    for id_, worth in more.items():
        found[id_] = max(worth, found.get(id_, 0.0))
