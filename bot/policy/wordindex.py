"""From a word as typed to the lexicon words it may be: exact, other ending, same sound, one slip.

Each lexicon word carries a mask (an int used as a set of bits); looking a word up gives the union of the masks it meets.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from bot.policy.normalise import sound

# A slip is forgiven in words of five letters or more; the ending of a verb in words of four or more.
SLIP_LENGTH = 5
FOLD_LENGTH = 4
STEM_SLIP_LENGTH = 6
_SOUND_LENGTH = 4
_ENDING = re.compile("(?:e|es|er|ez|ee|ees|s|x)$")
_CACHE = 20_000


def fold(word: str) -> str:
    """A word without the ending that spelling confuses: frappé, frapper, frappez, frappe → frap."""
    if len(word) < FOLD_LENGTH:
        return word
    base = _ENDING.sub("", word)
    return base if len(base) >= 3 else word


def one_slip(left: str, right: str) -> bool:
    """Whether one letter missing, added, changed or two swapped lie between two words (or nothing)."""
    short, long = sorted((left, right), key=len)
    if len(long) - len(short) > 1:
        return False
    at = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    if len(short) != len(long):
        return short[at:] == long[at + 1 :]
    if short[at + 1 :] == long[at + 1 :]:
        return True
    return short[at : at + 2] == long[at : at + 2][::-1] and short[at + 2 :] == long[at + 2 :]


def _without_one(word: str) -> Iterator[str]:
    """The word, and the word less any letter but the first: people rarely miss the first one."""
    yield word
    for at in range(1, len(word)):
        yield word[:at] + word[at + 1 :]


class WordIndex:
    """Masks by word. `real` words are spelled right: they never count as a slip of another word."""

    def __init__(self, real: Iterable[str] = ()) -> None:
        self._real = frozenset(real)
        self._exact: dict[str, int] = defaultdict(int)
        self._tolerant: dict[str, int] = defaultdict(int)
        self._folds: dict[str, int] = defaultdict(int)
        self._sounds: dict[str, int] = defaultdict(int)
        self._slips: dict[str, set[str]] = defaultdict(set)
        self._stems: dict[str, int] = defaultdict(int)
        self._stem_slips: dict[str, set[str]] = defaultdict(set)
        self._stem_lengths: tuple[int, ...] = ()
        self._cache: dict[str, int] = {}

    def add_word(self, word: str, mask: int, *, exact: bool = False) -> None:
        """A whole word; `exact` forgives nothing."""
        self._exact[word] |= mask
        if exact or word.isdigit():
            return
        if len(word) >= FOLD_LENGTH:
            self._folds[fold(word)] |= mask
        if len(word) >= SLIP_LENGTH:
            self._tolerant[word] |= mask
            if len(sound(word)) >= _SOUND_LENGTH:
                self._sounds[sound(word)] |= mask
            for form in _without_one(word):
                self._slips[form].add(word)

    def add_stem(self, stem: str, mask: int) -> None:
        """Every word that begins with `stem`."""
        self._stems[stem] |= mask
        self._stem_lengths = tuple(sorted({*self._stem_lengths, len(stem)}))
        if len(stem) >= STEM_SLIP_LENGTH:
            for form in _without_one(stem):
                self._stem_slips[form].add(stem)

    def lookup(self, word: str) -> int:
        """The union of the masks of all that `word` may be."""
        mask = self._cache.get(word)
        if mask is None:
            mask = self._find(word)
            if len(self._cache) >= _CACHE:
                self._cache.clear()
            self._cache[word] = mask
        return mask

    def _find(self, word: str) -> int:
        mask = self._exact.get(word, 0)
        known = mask != 0
        for length in self._stem_lengths:
            if length > len(word):
                break
            mask |= self._stems.get(word[:length], 0)
        if len(word) >= FOLD_LENGTH:
            mask |= self._folds.get(fold(word), 0)
        if known or word in self._real or len(word) < FOLD_LENGTH or word.isdigit():
            return mask
        return mask | self._guesses(word)

    def _guesses(self, word: str) -> int:
        mask = self._sounds.get(sound(word), 0)
        for form in _without_one(word):
            for candidate in self._slips.get(form, ()):
                if one_slip(word, candidate):
                    mask |= self._tolerant[candidate]
        for length in range(STEM_SLIP_LENGTH - 1, min(len(word), 12) + 1):
            for form in _without_one(word[:length]):
                for stem in self._stem_slips.get(form, ()):
                    if one_slip(word[:length], stem):
                        mask |= self._stems[stem]
        return mask
