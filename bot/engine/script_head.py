"""Whose words an emergency calls for (the scripts), by what the encoder makes of a message.

The policy knows it from words alone (`bot/policy/script_score.py`), since the gateway answers before the engine has read. What the
engine alone sees has both: « je marche sur des œufs chez moi » has no word of a violent couple, and its meaning.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import numpy as np
from scipy.special import softmax

from bot.policy.script_score import NAMES

FILE = "scripts.npz"
LEAST = 0.001  # a smaller chance is not told


class ScriptHead:
    """Chances of `NAMES`, linear in the direction of a meaning."""

    def __init__(self, weights: np.ndarray, bias: np.ndarray) -> None:
        """`weights`: (width, names); `bias`: (names,)."""
        self._weights, self._bias = weights.astype(np.float32), bias.astype(np.float32)

    def chances(self, meaning: np.ndarray) -> tuple[tuple[str, float], ...]:
        """The likeliest first. `meaning`: (width,)."""
        found = softmax(directions(meaning[None])[0] @ self._weights + self._bias)
        return tuple((NAMES[i], float(found[i])) for i in np.argsort(-found) if found[i] >= LEAST)

    def save(self, folder: Path) -> None:
        """Write FILE."""
        np.savez(folder / FILE, weights=self._weights, bias=self._bias, names=np.array(NAMES))

    @classmethod
    def read(cls, folder: Path) -> Optional[ScriptHead]:
        """None in a model of before, or of other scripts than this version's."""
        if not (folder / FILE).exists():
            return None
        with np.load(folder / FILE, allow_pickle=False) as arrays:
            return cls(arrays["weights"], arrays["bias"]) if tuple(arrays["names"].tolist()) == NAMES else None


def directions(meanings: np.ndarray) -> np.ndarray:
    """(texts, width) meanings as vectors of length 1."""
    found: np.ndarray = meanings / np.maximum(np.linalg.norm(meanings, axis=1, keepdims=True), 1e-9)
    return found
