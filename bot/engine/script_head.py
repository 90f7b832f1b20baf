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
from bot.policy.scripts import NONE

FILE = "scripts.npz"
LEAST = 0.001  # a smaller chance is not told
ORDINARY = "ordinary"  # talk that has not even the words of an emergency


class ScriptHead:
    """Chances of `NAMES`, linear in the direction of a meaning."""

    def __init__(self, weights: np.ndarray, bias: np.ndarray) -> None:
        """`weights`: (width, names), with a column more where the model knows ordinary talk; `bias`: (names,) likewise."""
        self._weights, self._bias = weights.astype(np.float32), bias.astype(np.float32)

    def look(self, meaning: np.ndarray) -> tuple[tuple[tuple[str, float], ...], float]:
        """(name, chance) of each script if the message is no ordinary talk, the likeliest first, and the chance that it calls for
        any: that it tells an emergency; 0 where the model knows no ordinary talk. `meaning`: (width,)."""
        margins = directions(meaning[None])[0] @ self._weights + self._bias
        found = softmax(margins[: len(NAMES)])
        called = float(np.delete(softmax(margins), [NAMES.index(NONE), -1]).sum()) if len(margins) > len(NAMES) else 0.0
        return tuple((NAMES[i], float(found[i])) for i in np.argsort(-found) if found[i] >= LEAST), called

    def save(self, folder: Path) -> None:
        """Write FILE."""
        names = (*NAMES, ORDINARY)[: len(self._bias)]
        np.savez(folder / FILE, weights=self._weights, bias=self._bias, names=np.array(names))

    @classmethod
    def read(cls, folder: Path) -> Optional[ScriptHead]:
        """None in a model of before, or of other scripts than this version's."""
        if not (folder / FILE).exists():
            return None
        with np.load(folder / FILE, allow_pickle=False) as arrays:
            known = tuple(arrays["names"].tolist()) in (NAMES, (*NAMES, ORDINARY))
            return cls(arrays["weights"], arrays["bias"]) if known else None


def directions(meanings: np.ndarray) -> np.ndarray:
    """(texts, width) meanings as vectors of length 1."""
    found: np.ndarray = meanings / np.maximum(np.linalg.norm(meanings, axis=1, keepdims=True), 1e-9)
    return found
