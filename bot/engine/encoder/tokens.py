"""Cuts a text into the pieces that the encoder knows: the likeliest cut of each word, by the pieces' scores.

(The library `tokenizers` gives the same pieces; with these 250,000 it needs 280 MB and seconds to start.)
"""

from __future__ import annotations

import re
from functools import lru_cache

from bot.engine.encoder.weights import Vocabulary

LONGEST = 64  # pieces of a text that count: about forty-five words, the first and the last
_START_OF_WORD = "\u2581"
_SPACES = re.compile(r"\s+")
_MISSED = 10.0  # an unknown character costs that much more than the rarest piece
_REACH = 20  # characters of the longest piece that matters
_WORDS_KEPT = 20_000


class Cutter:
    """`pieces(text)`; what a word is cut into is remembered."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._known = vocabulary
        self._lost = float(vocabulary.scores.min()) - _MISSED
        self._word = lru_cache(maxsize=_WORDS_KEPT)(self._cut)

    def pieces(self, text: str) -> list[int]:
        """Numbers of the pieces, between a start and an end; of a long text the first and the last."""
        readings = self._known.readings
        plain = "".join(readings.get(ord(character), character) for character in usual_case(text))
        words = ["query:", *filter(None, _SPACES.split(plain))]  # the mark with which the encoder was trained
        found = [piece for word in words for piece in self._word(_START_OF_WORD + word)]
        room = LONGEST - 2
        if len(found) > room:
            found = found[: room // 2] + found[-(room - room // 2) :]
        return [self._known.start, *found, self._known.end]

    def _cut(self, word: str) -> tuple[int, ...]:
        """The cut whose pieces have the highest sum of scores."""
        known, scores = self._known.pieces, self._known.scores
        best = [0.0] + [float("-inf")] * len(word)
        came: list[tuple[int, int]] = [(0, 0)] * (len(word) + 1)
        for start in range(len(word)):
            for end in range(start + 1, min(len(word), start + _REACH) + 1):
                piece = known.get(word[start:end])
                if piece is None and end > start + 1:
                    continue
                total = best[start] + (self._lost if piece is None else float(scores[piece]))
                if total > best[end]:
                    best[end], came[end] = total, (start, self._known.unknown if piece is None else piece)
        cut: list[int] = []
        end = len(word)
        while end:
            end, piece = came[end]
            cut.append(piece)
        return tuple(reversed(cut))


def usual_case(text: str) -> str:
    """Capitals throughout say that someone shouts, nothing else."""
    letters = sum(map(str.isalpha, text))
    return text.lower() if sum(map(str.isupper, text)) > letters / 2 else text
