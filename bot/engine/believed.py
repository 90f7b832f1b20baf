"""The classifier's chance of a danger, made believable for short and for long messages apart (Platt's scaling).

A few words say little: the same score means less danger behind three words than behind thirty. Both scales are set on examples
that neither the linear model nor the encoder had learnt from.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bot.policy.intents import is_danger
from bot.policy.score import SHORT

FEWEST = 30  # dangers, and as many harmless messages, of a length below which its scale says nothing
AS_IT_IS = (1.0, 0.0)
_EDGE = 1e-6

Scales = np.ndarray  # (2, 2): slope and shift of short messages, then of long ones


def is_short(text: str) -> bool:
    """Of so few words that they are weighed apart."""
    return len(text.split()) < SHORT


def learn(names: Sequence[str], chances: np.ndarray, texts: Sequence[str], dangers: np.ndarray) -> Scales:
    """Both scales. `chances`: (texts, intents) of models that had not seen the texts; `dangers`: (texts,) the truth."""
    from sklearn.linear_model import LogisticRegression  # where models are trained; what serves them has no need of it

    scores = _logits(chances[:, _columns(names)].sum(axis=1))
    short = np.array([is_short(text) for text in texts])
    found = []
    for those in (short, ~short):
        truth = dangers[those]
        if min(int(truth.sum()), int((~truth).sum())) < FEWEST:
            found.append(AS_IT_IS)
            continue
        model = LogisticRegression(C=1e6).fit(scores[those].reshape(-1, 1), truth)
        slope, shift = float(model.coef_[0][0]), float(model.intercept_[0])
        found.append((slope, shift) if slope > 0 else AS_IT_IS)
    return np.array(found)


def apply(scales: Scales, names: Sequence[str], chances: np.ndarray, text: str) -> np.ndarray:
    """The same chances (intents,), those of a danger scaled, the others filling what is left; their sum stays 1."""
    columns = _columns(names)
    before = float(chances[columns].sum())
    if not columns or not _EDGE < before < 1 - _EDGE:
        return chances
    slope, shift = scales[0 if is_short(text) else 1]
    after = float(1 / (1 + np.exp(-(slope * _logits(np.array(before)) + shift))))
    scaled = chances * ((1 - after) / (1 - before))
    scaled[columns] = chances[columns] * (after / before)
    return scaled


def _columns(names: Sequence[str]) -> list[int]:
    return [i for i, name in enumerate(names) if is_danger(name)]


def _logits(chances: np.ndarray) -> np.ndarray:
    kept = np.clip(chances, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(kept / (1 - kept)))
