"""Puts right what fingers get wrong: a word that no example and no French word list has becomes the common word nearest to it.

One letter wrong, missing, doubled or swapped; two in long words. SMS spelling is not touched here: `bot.policy.normalise` and the
sounds of `bot.engine.features` read it. Measured in docs/decisions/understanding.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from symspellpy import SymSpell, Verbosity

from bot.engine import vectors

COMMON = 3  # examples that hold a word, for it to be what was meant
SHORTEST, LONG = 6, 9  # letters of a word from which one slip, then two, are put right
CORRECT = 5  # letters of the words that may have been meant
_WORD = re.compile(r"[^\W\d_]+")


class Repair:
    """`repair(text)`: the text with its slips put right; in small letters where a word changed."""

    def __init__(self, seen: Mapping[str, int]) -> None:
        """`seen`: in how many examples each word stands."""
        self._seen = frozenset(seen)
        self._known = SymSpell(max_dictionary_edit_distance=2, prefix_length=7)
        for word, count in seen.items():
            if count >= COMMON and len(word) >= CORRECT:
                self._known.create_dictionary_entry(word, count)

    def __call__(self, text: str) -> str:
        return _WORD.sub(lambda found: self._word(found[0]), text)

    def _word(self, written: str) -> str:
        word = written.lower()
        if len(word) < SHORTEST or word in self._seen or vectors.french().of(word) is not None:
            return written
        near = self._known.lookup(word, Verbosity.TOP, max_edit_distance=2 if len(word) >= LONG else 1)
        return str(near[0].term) if near else written
