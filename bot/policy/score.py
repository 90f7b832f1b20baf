"""A linear score of danger over letters and words, for what no list of words foresees.

The weights are learnt by `bot/engine/danger_score.py` and read here from JSON. The features of words add up, so a word's
contribution is computed once and kept: a message costs a few look-ups a word. A long text is scored by windows of a few
sentences and the worst window counts, so that a long story cannot dilute a danger.

What the lexicon met in the message (`cues`) and its question and exclamation marks weigh in as well: an entry that often
errs weighs little, and harmless words around it can outweigh it.
"""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Optional
from zlib import crc32

from bot.policy.normalise import BOUNDARIES, sound, tokens

VERSION = 3
WINDOW = 160  # characters of a window
STRIDE = 60  # characters between the beginnings of two windows
_CACHE = 20_000
# Too few words say too little: « il est » stands in many cries for help, and in everything else. The lexicon reads those.
LEAST_WORDS = 3
LEAST_LETTERS = 3
CUE = 0.5  # the value of what the lexicon met
MARK = 0.3  # and of a mark
SHORT = 12  # words: fewer say little beside what the lexicon met, so that less of the score is enough to confirm it
HARMLESS = 0.05  # below this probability of a danger of either kind, nobody asks which
LIMITS = ("threshold", "confirm", "confirm_short", "distress_from")
Scale = tuple[float, float]  # slope and shift of a margin
_SAME: tuple[Scale, Scale] = ((1.0, 0.0), (1.0, 0.0))
_LARGEST = 1 << 22  # buckets: what a file may ask for


@dataclass(frozen=True)
class Assessment:
    """Probability that someone is in danger or distress, that someone is in distress; whether the message is short."""

    danger: float
    distress: float
    short: bool


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


def tells(words: Sequence[str]) -> bool:
    """Whether there are words enough in a window to judge by."""
    return sum(len(word) >= LEAST_LETTERS for word in words) >= LEAST_WORDS


def _bucket(feature: bytes, buckets: int) -> int:
    return crc32(feature) % buckets


@lru_cache(maxsize=_CACHE)
def _heard(word: str) -> bytes:
    return (sound(word) or word).encode("utf-8")


def word_features(word: str, buckets: int, longest: int) -> tuple[int, ...]:
    """The buckets of a word, of its sound, and of its runs of 2 to `longest` letters (bytes of UTF-8, in fact)."""
    framed = b"<" + word.encode("utf-8") + b">"
    found = {_bucket(b"w " + framed, buckets), _bucket(b"z " + _heard(word), buckets)}
    for size in range(2, longest + 1):
        found.update(_bucket(framed[at : at + size], buckets) for at in range(len(framed) - size + 1))
    return tuple(sorted(found))


_Heads = tuple[bytes, int, int, int]


def _heads_of(heard: bytes) -> _Heads:
    """What a run that begins with this word is hashed from: a checksum goes on where another stopped."""
    return heard, crc32(b"p " + heard + b" "), crc32(b"s " + heard + b" "), crc32(b"t " + heard + b" ")


@lru_cache(maxsize=_CACHE)
def _heads(word: str) -> _Heads:
    return _heads_of(_heard(word))


_FIRST, _LAST = _heads_of(b"<"), _heads_of(b">")


def runs(words: Sequence[str]) -> set[int]:
    """Hashes of two words in a row, of two with any word between them, of three in a row, as they sound; each once."""
    framed = (_FIRST, *map(_heads, words), _LAST)
    found = {crc32(right[0], left[1]) for left, right in pairwise(framed)}
    found.update(crc32(right[0], left[2]) for left, right in zip(framed, framed[2:], strict=False))
    found.update(
        crc32(b" " + right[0], crc32(middle[0], left[3]))
        for left, middle, right in zip(framed, framed[1:], framed[2:], strict=False)
    )
    return found


def run_places(words: Sequence[str]) -> dict[int, tuple[int, ...]]:
    """Each of `runs` with the numbers of the words that it is made of, where it stands first."""
    framed = (_FIRST, *map(_heads, words), _LAST)
    last = len(framed) - 1
    found: dict[int, tuple[int, ...]] = {}
    for at, left in enumerate(framed[:-1]):
        made: list[tuple[int, tuple[int, ...]]] = [(crc32(framed[at + 1][0], left[1]), (at, at + 1))]
        if at + 2 <= last:
            made.append((crc32(framed[at + 2][0], left[2]), (at, at + 2)))
            made.append((crc32(b" " + framed[at + 2][0], crc32(framed[at + 1][0], left[3])), (at, at + 1, at + 2)))
        for run, places in made:
            found.setdefault(run, tuple(place - 1 for place in places if 0 < place < last))
    return found


def features(words: Sequence[str], buckets: int, longest: int) -> dict[int, float]:
    """A window as bucket → value, scaled so that long and short windows compare."""
    values: dict[int, float] = {}
    distinct = dict.fromkeys(words)
    for word in distinct:
        for bucket in word_features(word, buckets, longest):
            values[bucket] = values.get(bucket, 0.0) + 1.0
    for run in runs(words):
        bucket = run % buckets
        values[bucket] = values.get(bucket, 0.0) + 1.0
    by = scale_of(len(distinct))
    return {bucket: value * by for bucket, value in values.items()}


def message_features(text: str, cues: Iterable[str], buckets: int) -> dict[int, float]:
    """What belongs to the whole message, as bucket → value: the lexicon's entries, and the marks."""
    named = [f"l {name}" for name in dict.fromkeys(cues)]
    named += ["l"] if named else []
    values = {_bucket(name.encode("utf-8"), buckets): CUE for name in named}
    marks = [f"m {mark}" for mark in "?!" if mark in text]
    marks += ["m end"] if text.rstrip().endswith("?") else []
    values.update((_bucket(mark.encode("utf-8"), buckets), MARK) for mark in marks)
    return values


def scale_of(distinct: int) -> float:
    """By what a window of so many distinct words is multiplied."""
    return 1.0 / math.sqrt(distinct + 1.0)


def _sigmoid(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, value))))


def _chance(margin: float, scale: Scale, short: bool) -> float:
    return _sigmoid(margin * scale[0] + scale[1] if short else margin)


def pack(weights: Sequence[int]) -> str:
    """Weights as whole numbers of 16 bits, for JSON."""
    raw = b"".join(weight.to_bytes(2, "little", signed=True) for weight in weights)
    return base64.b64encode(zlib.compress(raw, 9)).decode("ascii")


def _unpack(packed: str, buckets: int) -> array[int]:
    raw = zlib.decompress(base64.b64decode(packed.encode("utf-8"), validate=True))
    if len(raw) != 2 * buckets:
        raise ValueError("score d’urgence : nombre de poids inattendu")
    return array("h", (int.from_bytes(raw[at : at + 2], "little", signed=True) for at in range(0, len(raw), 2)))


class _Linear:
    """One weight a bucket, and a bias; keeps what each word adds."""

    def __init__(self, bias: float, weights: Sequence[int], unit: float, longest: int) -> None:
        self.bias = bias
        self._weights = weights
        self._unit = unit
        self._longest = longest
        self._word = lru_cache(maxsize=_CACHE)(self._word_sum)

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any], buckets: int, longest: int) -> _Linear:
        return cls(float(data["bias"]), _unpack(data["weights"], buckets), float(data["unit"]), longest)

    def _word_sum(self, word: str) -> int:
        weights = self._weights
        return sum(weights[bucket] for bucket in word_features(word, len(weights), self._longest))

    def margin(self, words: Sequence[str]) -> float:
        """The score of one window before it becomes a probability."""
        distinct = dict.fromkeys(words)
        weights, buckets = self._weights, len(self._weights)
        total = sum(map(self._word, distinct)) + sum(weights[run % buckets] for run in runs(words))
        return self.bias + total * self._unit * scale_of(len(distinct))

    def shares(self, words: Sequence[str]) -> list[float]:
        """What each word of a window adds to its margin; a run's weight is shared by its words. Much slower than `margin`."""
        weights, unit = self._weights, self._unit * scale_of(len(dict.fromkeys(words)))
        found = [0.0] * len(words)
        for word in dict.fromkeys(words):
            found[words.index(word)] += self._word(word) * unit
        for run, places in run_places(words).items():
            for place in places:
                found[place] += weights[run % len(weights)] * unit / len(places)
        return found

    def whole(self, text: str, cues: Iterable[str]) -> float:
        """What the message as a whole adds."""
        found = message_features(text, cues, len(self._weights))
        return sum(self._weights[bucket] * value for bucket, value in found.items()) * self._unit


class LinearScore:
    """Danger and distress probabilities.

    `limits` are where training wants an alarm (`threshold`), what the lexicon's alarm needs at least in a long message
    and in a short one (`confirm`, `confirm_short`), and where the kind is sure enough for the words that speak of wanting
    to die (`distress_from`). `short`: slope and shift that make a short message's margin believable, of danger and of distress.
    """

    def __init__(
        self, danger: _Linear, distress: _Linear, limits: Mapping[str, float], short: tuple[Scale, Scale] = _SAME
    ) -> None:
        self._danger = danger
        self._distress = distress
        self._limits = limits
        self._short = short
        self.threshold = limits["threshold"]

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> LinearScore:
        """Read the JSON that training wrote. Raises ValueError when it is not such a file."""
        try:
            if data["version"] != VERSION:
                raise ValueError(f"score d’urgence : version {data['version']} inconnue (attendue : {VERSION})")
            buckets, longest = int(data["buckets"]), int(data["longest"])
            limits = {name: float(data[name]) for name in LIMITS}
            if not (0 < buckets <= _LARGEST and longest >= 2 and all(0.0 < limit < 1.0 for limit in limits.values())):
                raise ValueError("score d’urgence : seuil, longueur ou taille hors bornes")
            danger, distress = (_Linear.from_mapping(data[kind], buckets, longest) for kind in ("danger", "distress"))
            # An earlier training weighed short messages as long ones.
            (slope, shift), (other, move) = data.get("short", _SAME)
            short = (float(slope), float(shift)), (float(other), float(move))
        except (KeyError, TypeError, AttributeError, binascii.Error, zlib.error) as error:
            raise ValueError(f"score d’urgence : fichier illisible ({error})") from None
        return cls(danger, distress, limits, short)

    def margin(self, words: Sequence[str]) -> float:
        """The danger of one window on the model's own scale."""
        return self._danger.margin(words)

    def pushing(self, text: str) -> tuple[tuple[str, ...], list[float]]:
        """The worst window of a text, and what each of its words adds to the danger; nothing where `assess` cannot tell."""
        told = [window for window in windows(text) if tells(window)]
        if not told:
            return (), []
        worst = max(told, key=self._danger.margin)
        return worst, self._danger.shares(worst)

    def assess(self, text: str, cues: Iterable[str] = ()) -> Optional[Assessment]:
        """The probabilities of the worst window; None where there are not words enough to tell."""
        cues = tuple(cues)
        best: tuple[float, tuple[str, ...]] = (-math.inf, ())
        count = 0
        for window in windows(text):
            count += len(window)
            if tells(window):
                best = max(best, (self._danger.margin(window), window), key=lambda item: item[0])
        if not best[1]:
            return None
        short = count < SHORT
        danger = _chance(best[0] + self._danger.whole(text, cues), self._short[0], short)
        distress = 0.0
        if danger >= HARMLESS:
            margin = self._distress.margin(best[1]) + self._distress.whole(text, cues)
            distress = _chance(margin, self._short[1], short)
        return Assessment(danger, distress, short)

    def confirms(self, found: Assessment) -> bool:
        """Whether the lexicon's alarm stands."""
        return found.danger >= self._limits["confirm_short" if found.short else "confirm"]

    def is_distress(self, found: Assessment) -> bool:
        """Whether it is distress, surely enough to speak of it."""
        return found.distress >= self._limits["distress_from"]

    def alarms(self, text: str, cues: Iterable[str] = ()) -> bool:
        """Whether the probability reaches the threshold."""
        found = self.assess(text, cues)
        return found is not None and found.danger >= self.threshold
