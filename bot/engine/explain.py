"""Why the classifier reads a text as it does: which of its pieces speak for and against an intent, and how much.

The linear part is a sum over what a text holds (words, letters, sounds, the mean vector of its words), and the encoder's score
is added to it. What a piece weighs for an intent is told against the mean of all intents, since only differences decide:
1.0 makes the intent about 2.7 times likelier. Letters and sounds are told by the word that they stand in.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

from bot.engine.classifier import FrenchIntentClassifier
from bot.engine.features import looks
from bot.policy.score import LinearScore

log = logging.getLogger("bot.engine")

BEST = 3  # intents that are explained
PIECES = 6  # at most, for and against each
LEAST = 0.02  # what a piece must weigh to be told
# The views of `bot.engine.features`, as they are told: a view's items → words of the text.
KINDS = {"words": "words", "letters": "letters", "sounds": "sounds", "sound_letters": "sounds"}


class Explainer:
    """Explains what one classifier makes of texts; None: trainers chose another, and there is a ranking only."""

    def __init__(self, classifier: Optional[FrenchIntentClassifier], score: Optional[LinearScore]) -> None:
        self._classifier = classifier
        self._score = score

    def danger(self, text: str) -> Optional[dict[str, float]]:
        """What the danger score makes of a text (`chance`) and where its alarm begins (`alarm`); None where it cannot tell."""
        found = self._score.assess(text) if self._score is not None else None
        if self._score is None or found is None:
            return None
        return {"chance": round(found.danger, 4), "alarm": round(self._score.threshold, 4)}

    def intents(self, text: str) -> list[dict[str, Any]]:
        """The best intents, each with what weighed most; [] without our classifier."""
        if self._classifier is None:
            return []
        inside = self._classifier.inside(text)
        pieces = _pieces(inside.text, inside.items)
        order = np.argsort(-inside.chances)[:BEST]
        return [
            {
                "intent": inside.names[number],
                "chance": round(float(inside.chances[number]), 6),
                **_weighed(pieces, inside.values, inside.weights, int(number)),
                "encoder": _against_all(inside.encoder, int(number)),
                "base": _against_all(inside.base, int(number)),
            }
            for number in order
        ]


def score_beside(model: Path) -> Optional[LinearScore]:
    """The danger score that was exported with a model; None when there is none that can be read."""
    path = model.with_name(model.name[: -len(".tar.gz")] + ".danger.json")
    try:
        return LinearScore.from_mapping(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError) as error:
        log.warning("danger score of %s: %s", model.name, type(error).__name__)
        return None


def _against_all(scores: np.ndarray, number: int) -> float:
    return round(float(scores[number] - scores.mean()), 3)


def _weighed(
    pieces: Sequence[Sequence[tuple[str, str]]], values: np.ndarray, weights: np.ndarray, number: int
) -> dict[str, Any]:
    """Pieces for and against, the heaviest first, and the whole of the word vectors."""
    shares = values * (weights[:, number] - weights.mean(axis=1))
    sums: dict[tuple[str, str], float] = defaultdict(float)
    meaning = 0.0
    for share, told in zip(shares.tolist(), pieces, strict=True):
        if not told:
            meaning += share
        for piece in told:
            sums[piece] += share / len(told)
    ranked = sorted(sums.items(), key=lambda item: -item[1])
    told_for = [_told(piece, much) for piece, much in ranked[:PIECES] if much >= LEAST]
    told_against = [_told(piece, much) for piece, much in reversed(ranked[-PIECES:]) if much <= -LEAST]
    return {"for": told_for, "against": told_against, "meaning": round(meaning, 3)}


def _told(piece: tuple[str, str], much: float) -> dict[str, Any]:
    return {"text": piece[1], "kind": piece[0], "weight": round(much, 3)}


def _pieces(text: str, items: Sequence[Optional[tuple[str, str]]]) -> list[list[tuple[str, str]]]:
    """For each (view, item) of a row the words of the text that it stands in, as (kind, words); [] for the vectors' columns."""
    seen = looks(text)
    readers: dict[str, Callable[[str], list[str]]] = {
        "words": lambda item: [item],
        "letters": _by_letters(seen.words, seen.words),
        "sounds": _by_words(seen.sounds, seen.words),
        "sound_letters": _by_letters(seen.sounds, seen.words),
    }
    return [[] if item is None else [(KINDS[item[0]], word) for word in readers[item[0]](item[1])] for item in items]


def _by_letters(written: Sequence[str], words: Sequence[str]) -> Callable[[str], list[str]]:
    """Letter groups → the words in whose written form they stand."""
    padded = [(f" {form} ", word) for form, word in zip(written, words, strict=True) if form]
    return lambda item: [word for form, word in padded if item in form] or [item.strip()]


def _by_words(spoken: Sequence[str], words: Sequence[str]) -> Callable[[str], list[str]]:
    """Sounds of one or two words → those words."""
    heard = [(sound, word) for sound, word in zip(spoken, words, strict=True) if sound]
    named: dict[str, list[str]] = defaultdict(list)
    for i, (sound, word) in enumerate(heard):
        named[sound].append(word)
        if i:
            named[f"{heard[i - 1][0]} {sound}"].append(f"{heard[i - 1][1]} {word}")
    return lambda item: sorted(set(named.get(item, ()))) or [item]
