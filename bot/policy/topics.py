"""Which messages speak of the same subject, in other words: clusters of short texts, each with its most typical one. Pure.

A text is its stems, weighed by how rare they are (tf-idf, every stem counted once); texts are compared by the cosine. One pass
puts each text with the nearest centre or opens a new one, a second one places all of them anew around the centres as they then
are (spherical k-means without a fixed k). A text meets only those centres that share one of its rarest stems: an inverted index,
so that ten thousand texts take seconds, not minutes. (`likeness` finds the same message written twice; this finds the subject.)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from bot.policy.search import stems

ALIKE = 0.4  # cosine from which two texts are of one subject
RAREST = 2  # stems of a text by which it looks for its centre
LONGEST = 2_000  # characters that are read
FEWEST = 2  # texts that share a stem: one that only one text has tells nothing
COMMON, COMMON_FROM = 0.2, 50  # a stem of more than this part of the texts tells nothing, once there are so many
# Politeness, and the words with which anything is asked.
_POLITE = """
    bonjour bonsoir salut merci madame monsieur svp stp slt cordialement aide aider question savoir sais faire fait fais comment
    pouvez pouvoir peux peut veux voudrais vouloir besoin faut dois possible quand quoi bien plus cela ca
"""
_SAID_BY_ALL = stems(_POLITE, whole=True)

Vector = Mapping[str, float]


@dataclass(frozen=True)
class Topic:
    """Texts of one subject, by their places in what was given, the most typical first. `words`: the stems that tell it best."""

    members: tuple[int, ...]
    words: tuple[str, ...]

    @property
    def typical(self) -> int:
        return self.members[0]


class _Centre:
    """The sum of its texts' vectors; its length is kept beside it."""

    def __init__(self) -> None:
        self.sum: dict[str, float] = {}
        self.length = 0.0

    def add(self, vector: Vector) -> None:
        for stem, weight in vector.items():
            self.sum[stem] = self.sum.get(stem, 0.0) + weight
        self.length = math.sqrt(sum(weight * weight for weight in self.sum.values()))

    def nearness(self, vector: Vector) -> float:
        """The cosine; the vector's length is one."""
        return sum(weight * self.sum.get(stem, 0.0) for stem, weight in vector.items()) / self.length


def topics(texts: Sequence[str], least: int = 3) -> list[Topic]:
    """The subjects that at least `least` texts share, the biggest first. A text belongs to one subject at most.

    The same texts in the same order give the same subjects. Never raises.
    """
    vectors = _vectors([stems(text[:LONGEST]) - _SAID_BY_ALL for text in texts])
    centres, _ = _place(vectors, [])
    _, where = _place(vectors, centres)
    groups: dict[int, list[int]] = {}
    for i, at in enumerate(where):
        if at is not None:
            groups.setdefault(at, []).append(i)
    found = [_topic(members, vectors) for members in groups.values() if len(members) >= least]
    return sorted(found, key=lambda topic: (-len(topic.members), topic.typical))


def _vectors(bags: Sequence[frozenset[str]]) -> list[Vector]:
    """Of each text its stems with weights, of length one; empty for a text that shares nothing with any other."""
    often = Counter(stem for bag in bags for stem in bag)
    most = COMMON * len(bags) if len(bags) >= COMMON_FROM else len(bags)
    rare = {stem: math.log(1 + len(bags) / n) for stem, n in often.items() if FEWEST <= n <= most}
    found = []
    for bag in bags:
        weights = {stem: rare[stem] for stem in sorted(bag) if stem in rare}
        length = math.sqrt(sum(weight * weight for weight in weights.values()))
        found.append({stem: weight / length for stem, weight in weights.items()})
    return found


def _place(vectors: Sequence[Vector], fixed: Sequence[_Centre]) -> tuple[list[_Centre], list[Optional[int]]]:
    """Each text beside its nearest centre; without fixed ones, centres arise on the way and move with their texts."""
    centres = list(fixed)
    index: dict[str, set[int]] = {}
    for number, centre in enumerate(centres):
        for stem in centre.sum:
            index.setdefault(stem, set()).add(number)
    where: list[Optional[int]] = []
    for vector in vectors:
        at = _nearest(vector, centres, index)
        if at is None and vector and not fixed:
            at = len(centres)
            centres.append(_Centre())
        where.append(at)
        if at is not None and not fixed:
            centres[at].add(vector)
            for stem in vector:
                index.setdefault(stem, set()).add(at)
    return centres, where


def _nearest(vector: Vector, centres: Sequence[_Centre], index: Mapping[str, set[int]]) -> Optional[int]:
    rarest = sorted(vector, key=lambda stem: (-vector[stem], stem))[:RAREST]
    met = {number for stem in rarest for number in index.get(stem, ())}
    best = max(((centres[number].nearness(vector), -number) for number in met), default=(0.0, 0))
    return -best[1] if best[0] >= ALIKE else None


def _topic(members: Sequence[int], vectors: Sequence[Vector]) -> Topic:
    centre = _Centre()
    for i in members:
        centre.add(vectors[i])
    by_nearness = sorted(members, key=lambda i: (-round(centre.nearness(vectors[i]), 9), i))
    words = sorted(centre.sum, key=lambda stem: (-centre.sum[stem], stem))
    return Topic(tuple(by_nearness), tuple(words[:4]))
