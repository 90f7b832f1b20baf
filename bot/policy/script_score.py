"""The chances of each script for a message that is an emergency, or grave: linear over letters, words and kinds of words.

Learnt by `bot/engine/script_learning.py` and kept in the file of the danger score. Few examples teach much only where words are
grouped: « mon mari », « mon ex » and « mon copain » are one thing here, and so is who does what to whom (« il me frappe », « je la
frappe »). The groups stand in data/scripts.yml and go with the weights.

Costs some tenths of a millisecond, and is asked for few messages only. Where the engine has read the message, what it makes of its
meaning counts as well (`together`).
"""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any
from zlib import crc32

from bot.policy.normalise import BOUNDARIES, sound, tokens
from bot.policy.score import features, message_features
from bot.policy.scripts import LEARNT, NONE

NAMES = (*LEARNT, NONE)
MOST_WORDS = 400  # of each end of a message
STEM = "*"  # ends what stands for every word that begins so
_GROUP = 0.6  # the value of a group of words met
_BOUND = 3  # groups in a row
_SHORT = 3  # letters: a word as short sounds like too many others
_LARGEST = 1 << 20  # buckets: what a file may ask for
# How much words and meaning say where both are known, chosen on the examples that the encoder has not read, and what is taken for a
# chance that the engine does not tell, being so small.
_BY_WORDS, _BY_MEANING, _UNTOLD = 0.7, 0.7, 0.0005

Groups = Mapping[str, Sequence[str]]  # name → words in plain writing; `STEM` ends a stem


class WordGroups:
    """Which groups a word belongs to: as it is written, as it sounds, or by its stem."""

    def __init__(self, groups: Groups) -> None:
        self._exact: dict[str, str] = {}
        self._sounds: dict[str, str] = {}
        self._stems: dict[str, str] = {}
        for name, words in groups.items():
            for word in words:
                plain = "".join(tokens(word.rstrip(STEM)))  # as messages are written
                if word.endswith(STEM):
                    self._stems.setdefault(plain, name)
                    continue
                self._exact.setdefault(plain, name)
                if len(plain) > _SHORT:
                    self._sounds.setdefault(sound(plain), name)
        self._shortest = min(map(len, self._stems), default=0)

    def of(self, word: str) -> str:
        """The group's name, or ""."""
        found = self._exact.get(word)
        if found is None and self._stems:
            ends = range(len(word), self._shortest - 1, -1)
            found = next((self._stems[word[:end]] for end in ends if word[:end] in self._stems), None)
        if found is None and len(word) > _SHORT:
            found = self._sounds.get(sound(word))
        return found or ""


def words_of(text: str) -> list[str]:
    """The plain words of both ends of a text."""
    words = [token for token in tokens(text) if token not in BOUNDARIES]
    return words if len(words) <= 2 * MOST_WORDS else words[:MOST_WORDS] + words[-MOST_WORDS:]


def script_features(text: str, cues: Iterable[str], groups: WordGroups, buckets: int, longest: int) -> dict[int, float]:
    """A message as bucket → value: its words and letters, what the lexicon met (`cues`), the groups of its words."""
    words = words_of(text)
    values = features(words, buckets, longest)
    for bucket, value in message_features(text, cues, buckets).items():
        values[bucket] = values.get(bucket, 0.0) + value
    told = _group_features(words, groups)
    scale = _GROUP / math.sqrt(1.0 + len(told) / 12)
    for name in told:
        bucket = crc32(name.encode("utf-8")) % buckets
        values[bucket] = values.get(bucket, 0.0) + scale
    return values


def _group_features(words: Sequence[str], groups: WordGroups) -> set[str]:
    met = [groups.of(word) for word in words]
    found = {f"g {name}" for name in met if name}
    # A group with the word before and after it: « ma » femme, « une » femme.
    for (left, one), (right, other) in pairwise(zip(words, met, strict=True)):
        if other:
            found.add(f"b {one or left} {other}")
        if one:
            found.add(f"a {one} {other or right}")
    row = [name for name in met if name]
    for size in range(2, _BOUND + 1):
        found.update("r " + " ".join(row[at : at + size]) for at in range(len(row) - size + 1))
    found.update(f"t {one} {other}" for one, other in combinations(sorted(set(row)), 2))
    return found


class ScriptScore:
    """Chances of the scripts."""

    def __init__(
        self, groups: WordGroups, rows: Mapping[int, Sequence[int]], biases: Sequence[float], units: Sequence[float],
        buckets: int, longest: int,
    ) -> None:  # fmt: skip
        """`rows`: bucket → a weight for each name, in `units`; buckets without weight are left out."""
        self._groups, self._rows, self._biases, self._units = groups, rows, biases, units
        self._buckets, self._longest = buckets, longest

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> ScriptScore:
        """Read what training wrote. Raises ValueError when it is not that."""
        try:
            buckets, longest = int(data["buckets"]), int(data["longest"])
            biases = [float(value) for value in data["biases"]]
            units = [float(value) for value in data["units"]]
            if list(data["names"]) != list(NAMES) or not len(biases) == len(units) == len(NAMES):
                raise ValueError("réponses d’urgence : ce ne sont pas celles de cette version")
            if not (0 < buckets <= _LARGEST and longest >= 2 and all(map(math.isfinite, (*biases, *units)))):
                raise ValueError("réponses d’urgence : taille ou poids hors bornes")
            rows = unpack(data["weights"], buckets)
            groups = {str(name): [str(word) for word in words] for name, words in data["groups"].items()}
        except (KeyError, TypeError, AttributeError, binascii.Error, zlib.error) as error:
            raise ValueError(f"réponses d’urgence : fichier illisible ({error})") from None
        return cls(WordGroups(groups), rows, biases, units, buckets, longest)

    def chances(self, text: str, cues: Iterable[str] = ()) -> dict[str, float]:
        """The chance of each of `NAMES`; they sum to 1. `cues`: the lexicon's entries that were met."""
        sums = [0.0] * len(NAMES)
        found = script_features(text, cues, self._groups, self._buckets, self._longest)
        for bucket, value in found.items():
            for place, weight in enumerate(self._rows.get(bucket, ())):
                sums[place] += weight * value
        margins = [bias + total * unit for bias, total, unit in zip(self._biases, sums, self._units, strict=True)]
        most = max(margins)
        powers = [math.exp(max(-60.0, margin - most)) for margin in margins]
        return dict(zip(NAMES, (power / sum(powers) for power in powers), strict=True))


def together(by_words: Mapping[str, float], by_meaning: Mapping[str, float]) -> dict[str, float]:
    """The chances of `NAMES` by a message's words and by its meaning; those by words where the engine tells none."""
    if not by_meaning:
        return dict(by_words)
    odds = {
        name: max(by_words.get(name, 0.0), _UNTOLD) ** _BY_WORDS
        * max(by_meaning.get(name, 0.0), _UNTOLD) ** _BY_MEANING
        for name in NAMES
    }
    found = {name: odd / sum(odds.values()) for name, odd in odds.items()}
    if _likeliest(by_words) == _likeliest(by_meaning):
        return found
    # They disagree: the likeliest may be what one of them denies, and what the other fears must still be counted as harm.
    return {name: (found[name] + by_words.get(name, 0.0)) / 2 for name in NAMES}


def _likeliest(chances: Mapping[str, float]) -> str:
    return max(chances, key=lambda name: chances[name])


def pack(rows: Mapping[int, Sequence[int]], buckets: int) -> str:
    """Weights of 8 bits for JSON: which buckets have some, then theirs name by name, which compresses better."""
    kept = sorted(rows)
    marks = bytearray((buckets + 7) // 8)
    for bucket in kept:
        marks[bucket >> 3] |= 1 << (bucket & 7)
    columns = b"".join(bytes(rows[bucket][place] & 0xFF for bucket in kept) for place in range(len(NAMES)))
    return base64.b64encode(zlib.compress(bytes(marks) + columns, 9)).decode("ascii")


def unpack(packed: str, buckets: int) -> dict[int, tuple[int, ...]]:
    """What `pack` made. Raises ValueError where the size is another."""
    raw = zlib.decompress(base64.b64decode(packed.encode("utf-8"), validate=True))
    size = (buckets + 7) // 8
    kept = [bucket for bucket in range(buckets) if bucket >> 3 < len(raw) and raw[bucket >> 3] >> (bucket & 7) & 1]
    if len(raw) != size + len(kept) * len(NAMES):
        raise ValueError("réponses d’urgence : nombre de poids inattendu")
    columns = [raw[size + place * len(kept) : size + (place + 1) * len(kept)] for place in range(len(NAMES))]
    signed = [[value - 256 if value > 127 else value for value in column] for column in columns]
    return {bucket: tuple(column[at] for column in signed) for at, bucket in enumerate(kept)}
