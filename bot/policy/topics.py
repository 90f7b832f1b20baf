"""Which messages speak of the same subject, in other words: clusters of short texts, each with its most typical one. Pure.

A text is its stems, weighed by how rare they are (tf-idf, every stem counted once); texts are compared by the cosine. One pass
puts each text with the nearest centre or opens a new one, a second one places all of them anew around the centres as they then
are (spherical k-means without a fixed k). An inverted index, read rarest stem first, leaves out every centre that shares too
little to be near enough: ten thousand texts take seconds, not minutes. (`likeness` finds one message written twice.)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from bot.policy.search import stems

ALIKE = 0.4  # cosine from which two texts are of one subject
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


class _Centres:
    """Sums of their texts' vectors, by stem, and how long each is."""

    def __init__(self) -> None:
        self.index: dict[str, dict[int, float]] = {}
        self.square: list[float] = []  # of its length

    def open(self) -> int:
        self.square.append(0.0)
        return len(self.square) - 1

    def add(self, number: int, vector: Vector) -> None:
        for stem, weight in vector.items():
            sums = self.index.setdefault(stem, {})
            old = sums.get(number, 0.0)
            sums[number] = old + weight
            self.square[number] += weight * (2 * old + weight)

    def nearest(self, vector: Vector) -> Optional[int]:
        """The centre with the largest cosine; the one opened first among equals; None where none reaches ALIKE."""
        dots: dict[int, float] = {}
        left = 1.0  # square of what is left of the vector, which has the length one
        for stem, weight in vector.items():
            sums = self.index.get(stem, {})
            if left >= ALIKE * ALIKE:
                for number, sum_ in sums.items():
                    dots[number] = dots.get(number, 0.0) + weight * sum_
            else:  # whoever shares only what is left cannot be near enough
                for number in dots.keys() & sums.keys():
                    dots[number] += weight * sums[number]
            left -= weight * weight
        best = max(((dot / math.sqrt(self.square[number]), -number) for number, dot in dots.items()), default=(0.0, 0))
        return -best[1] if best[0] >= ALIKE else None


def topics(texts: Sequence[str], least: int = 3) -> list[Topic]:
    """The subjects that at least `least` texts share, the biggest first. A text belongs to one subject at most.

    The same texts in the same order give the same subjects. Never raises.
    """
    vectors = _vectors([stems(text[:LONGEST]) - _SAID_BY_ALL for text in texts])
    centres = _Centres()
    for vector in vectors:
        if vector:
            at = centres.nearest(vector)
            centres.add(centres.open() if at is None else at, vector)
    where = [centres.nearest(vector) for vector in vectors]
    groups: dict[int, list[int]] = {}
    for i, at in enumerate(where):
        if at is not None:
            groups.setdefault(at, []).append(i)
    found = [_topic(members, vectors) for members in groups.values() if len(members) >= least]
    return sorted(found, key=lambda topic: (-len(topic.members), topic.typical))


def _vectors(bags: Sequence[frozenset[str]]) -> list[Vector]:
    """Of each text its stems with weights, the rarest first, of length one; empty for a text that shares nothing with any other."""
    often = Counter(stem for bag in bags for stem in bag)
    most = COMMON * len(bags) if len(bags) >= COMMON_FROM else len(bags)
    rare = {stem: math.log(1 + len(bags) / n) for stem, n in often.items() if FEWEST <= n <= most}
    found: list[Vector] = []
    for bag in bags:
        weights = {stem: rare[stem] for stem in sorted(bag & rare.keys(), key=lambda stem: (-rare[stem], stem))}
        length = math.sqrt(sum(weight * weight for weight in weights.values()))
        found.append({stem: weight / length for stem, weight in weights.items()})
    return found


def _topic(members: Sequence[int], vectors: Sequence[Vector]) -> Topic:
    sums: dict[str, float] = {}
    for i in members:
        for stem, weight in vectors[i].items():
            sums[stem] = sums.get(stem, 0.0) + weight

    def nearness(i: int) -> float:
        return round(sum(weight * sums[stem] for stem, weight in vectors[i].items()), 9)

    words = sorted(sums, key=lambda stem: (-sums[stem], stem))
    return Topic(tuple(sorted(members, key=lambda i: (-nearness(i), i))), tuple(words[:4]))
