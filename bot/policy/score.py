"""A linear score of danger over letters and words, for what no list of words foresees.

The weights are learnt by `bot/engine/danger_score.py` and read here from JSON. The features add up word by word, so a
word's contribution is computed once and kept: a message costs a look-up a word. A long text is scored by windows of a few
sentences and the worst window counts, so that a long story cannot dilute a danger.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from zlib import crc32

from bot.policy.normalise import BOUNDARIES, tokens

VERSION = 1
WINDOW = 160  # characters of a window
STRIDE = 60  # characters between the beginnings of two windows
_CACHE = 20_000
# Too few words say too little: « il est » stands in many cries for help, and in everything else. The lexicon reads those.
LEAST_WORDS = 3
LEAST_LETTERS = 3


@dataclass(frozen=True)
class Assessment:
    """Probability that someone is in danger or distress, and, if so, that it is distress."""

    danger: float
    distress: float


def windows(text: str) -> Iterator[tuple[str, ...]]:
    """The words of a text in overlapping windows of about `WINDOW` characters, begun at sentences where possible."""
    words: list[str] = []
    starts: list[int] = []
    length = since = 0
    due = True
    for token in tokens(text):
        if token in BOUNDARIES:
            due = due or since >= STRIDE
            continue
        if due or since >= 2 * STRIDE:
            starts.append(len(words))
            due, since = False, 0
        words.append(token)
        length += len(token) + 1
        since += len(token) + 1
    for start in starts if length > WINDOW else starts[:1]:
        end, size = start, 0
        while end < len(words) and (size < WINDOW or length <= WINDOW):
            size += len(words[end]) + 1
            end += 1
        yield tuple(words[start:end])


def _bucket(feature: str, buckets: int) -> int:
    return crc32(feature.encode("utf-8")) % buckets


def word_features(word: str, buckets: int, longest: int) -> tuple[int, ...]:
    """The buckets of a word and of its runs of 2 to `longest` letters."""
    framed = f"<{word}>"
    found = {_bucket(f"w {word}", buckets)}
    for size in range(2, longest + 1):
        found.update(_bucket(framed[at : at + size], buckets) for at in range(len(framed) - size + 1))
    return tuple(sorted(found))


def pair_feature(left: str, right: str, buckets: int) -> int:
    """The bucket of two words in a row."""
    return _bucket(f"p {left} {right}", buckets)


def features(words: Sequence[str], buckets: int, longest: int) -> dict[int, float]:
    """A window as bucket → value, scaled so that long and short windows compare."""
    values: dict[int, float] = {}
    distinct = dict.fromkeys(words)
    for word in distinct:
        for bucket in word_features(word, buckets, longest):
            values[bucket] = values.get(bucket, 0.0) + 1.0
    for left, right in dict.fromkeys(zip(("<", *words), (*words, ">"), strict=True)):
        bucket = pair_feature(left, right, buckets)
        values[bucket] = values.get(bucket, 0.0) + 1.0
    scale = _scale(len(distinct))
    return {bucket: value * scale for bucket, value in values.items()}


def _scale(distinct: int) -> float:
    return 1.0 / math.sqrt(distinct + 1.0)


def _sigmoid(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, value))))


class _Linear:
    """One weight a bucket, and a bias; keeps what each word adds."""

    def __init__(self, bias: float, weights: Mapping[int, float], buckets: int, longest: int) -> None:
        self.bias = bias
        self._weights = weights
        self._buckets = buckets
        self._word = lru_cache(maxsize=_CACHE)(self._word_sum)
        self._longest = longest

    def _word_sum(self, word: str) -> float:
        get = self._weights.get
        return sum(get(bucket, 0.0) for bucket in word_features(word, self._buckets, self._longest))

    def margin(self, words: Sequence[str]) -> float:
        """The score of one window before it becomes a probability."""
        distinct = dict.fromkeys(words)
        total = sum(map(self._word, distinct))
        get = self._weights.get
        for left, right in dict.fromkeys(zip(("<", *words), (*words, ">"), strict=True)):
            total += get(pair_feature(left, right, self._buckets), 0.0)
        return self.bias + total * _scale(len(distinct))


class LinearScore:
    """Danger and distress probabilities. `threshold` is where training wants an alarm."""

    def __init__(self, danger: _Linear, distress: _Linear, threshold: float) -> None:
        self._danger = danger
        self._distress = distress
        self.threshold = threshold

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> LinearScore:
        """Read the JSON that training wrote. Raises ValueError when it is not such a file."""
        try:
            if data["version"] != VERSION:
                raise ValueError(f"score d’urgence : version {data['version']} inconnue (attendue : {VERSION})")
            buckets, longest, threshold = int(data["buckets"]), int(data["longest"]), float(data["threshold"])
            danger, distress = (
                _Linear(float(bias), {int(k): float(v) for k, v in weights.items()}, buckets, longest)
                for bias, weights in (
                    (data["bias"], data["weights"]),
                    (data["distress_bias"], data["distress_weights"]),
                )
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"score d’urgence : fichier illisible ({error})") from None
        if not (0.0 < threshold < 1.0 and buckets > 0 and longest >= 2):
            raise ValueError("score d’urgence : seuil, longueur ou taille hors bornes")
        return cls(danger, distress, threshold)

    def margin(self, words: Sequence[str]) -> float:
        """The danger of one window on the model's own scale; training compares windows with it."""
        return self._danger.margin(words)

    def assess(self, text: str) -> Assessment:
        """The probabilities of the worst window; zero where there are not words enough to tell."""
        best: tuple[float, tuple[str, ...]] = (-math.inf, ())
        for window in windows(text):
            if sum(len(word) >= LEAST_LETTERS for word in window) < LEAST_WORDS:
                continue
            best = max(best, (self._danger.margin(window), window), key=lambda item: item[0])
        if not best[1]:
            return Assessment(0.0, 0.0)
        return Assessment(_sigmoid(best[0]), _sigmoid(self._distress.margin(best[1])))

    def probability(self, text: str) -> float:
        """Probability that someone is in danger or distress."""
        return self.assess(text).danger

    def alarms(self, text: str) -> bool:
        """Whether the probability reaches the threshold."""
        return self.probability(text) >= self.threshold
