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
# Letters that are not heard at the end of a word, which phones leave out: « vit », « mor », « hom ».
_SILENT = (re.compile("s$"), re.compile("(?<=[aeinour])[tdx]$"), re.compile("(?<=[bcdfgklmnprtv])e$"))
_MUTE_LENGTH = 3
# Short words as phones write them, where the table of `normalise` cannot tell which word is meant.
_ALIASES = {
    "est": "e es", "et": "e", "ca": "sa", "sont": "son", "peut": "pe peu", "peux": "pe peu", "veut": "ve", "veux": "ve",
    "fait": "fe fai", "fais": "fe fai", "vais": "ve", "etait": "ete etai", "les": "le", "des": "de", "mes": "me",
    "ses": "se", "cet": "cete", "pas": "pa", "elle": "el", "vient": "vien", "un": "1", "une": "1", "deux": "2",
}  # fmt: skip
_ELIDED = re.compile("(?:qu|[cdjlmnst])(?=[aeiouyh])")
_SHORTEST_ELIDED = 4


def mutes(word: str) -> Iterator[str]:
    """A word with silent endings left out, one after the other."""
    for silent in _SILENT:
        shorter = silent.sub("", word)
        if shorter != word and len(shorter) >= _MUTE_LENGTH:
            word = shorter
            yield word


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
        self._mutes: dict[str, int] = defaultdict(int)
        self._aliases: dict[str, int] = defaultdict(int)
        self._sounds: dict[str, int] = defaultdict(int)
        self._slips: dict[str, set[str]] = defaultdict(set)
        self._stems: dict[str, int] = defaultdict(int)
        self._stem_slips: dict[str, set[str]] = defaultdict(set)
        self._stem_lengths: tuple[int, ...] = ()
        self._cache: dict[str, int] = {}
        self._parts: dict[str, tuple[str, ...]] = {}

    def add_word(self, word: str, mask: int, *, exact: bool = False) -> None:
        """A whole word; `exact` forgives nothing."""
        self._exact[word] |= mask
        if exact or word.isdigit():
            return
        for alias in _ALIASES.get(word, "").split():
            self._aliases[alias] |= mask
        for mute in mutes(word):
            self._mutes[mute] |= mask
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

    def parts(self, word: str) -> tuple[str, ...]:
        """The word, or two where an apostrophe was left out: « dadieu » → d, adieu."""
        found = self._parts.get(word)
        if found is None:
            found = self._split(word)
            if len(self._parts) >= _CACHE:
                self._parts.clear()
            self._parts[word] = found
        return found

    def _split(self, word: str) -> tuple[str, ...]:
        elided = _ELIDED.match(word)
        if elided is None or word in self._real or self._whole(word):
            return (word,)
        rest = word[elided.end() :]
        if len(rest) < _SHORTEST_ELIDED or not self._whole(rest):
            return (word,)
        return (elided[0], rest)

    def _whole(self, word: str) -> bool:
        """Whether a lexicon word is spelled so, or ends otherwise, or is written as it sounds."""
        return bool(
            self._exact.get(word)
            or self._folds.get(fold(word))
            or self._mutes.get(word)
            or self._sounds.get(sound(word))
        )

    def _find(self, word: str) -> int:
        mask = self._exact.get(word, 0)
        known = mask != 0
        mask |= self._aliases.get(word, 0)
        for length in self._stem_lengths:
            if length > len(word):
                break
            mask |= self._stems.get(word[:length], 0)
        if len(word) >= FOLD_LENGTH:
            mask |= self._folds.get(fold(word), 0)
        if known or word in self._real or word.isdigit():
            return mask
        mask |= self._mutes.get(word, 0)
        return mask if len(word) < FOLD_LENGTH else mask | self._guesses(word)

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
