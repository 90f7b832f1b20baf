"""What adapting changed in the encoder's weights: eight steps of change for each weight, and the small vectors whole.

The file is made by `scripts/adapt_encoder.py` from the background examples, and stands beside this module: five megabytes
instead of the eighty-five of whole weights. Changes are small, so that a coarse step costs nothing measurable (one weight in
8, 4 and 2 steps, or thin matrices, were compared: docs/decisions/understanding.md).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from bot.core.errors import SetupError

FILE = Path(__file__).with_name("adaptation.npz")
STEPS = 8
LEFT_OUT = 4  # one example in so many of the catalogue and of the scripts is kept from the encoder, to tell how far to believe it
_ABOUT = "about"


class Adaptation:
    """Read-only. `names`: intents in the order of the head's rows. Raises SetupError when the file is not usable."""

    def __init__(self, path: Path = FILE) -> None:
        try:
            with np.load(path, allow_pickle=False) as arrays:
                self._arrays = {name: arrays[name] for name in arrays.files}
            about = json.loads(str(self._arrays.pop(_ABOUT)))
        except (OSError, ValueError, KeyError):
            raise SetupError(f"{path} ne se lit pas.", "Rétablissez ce fichier depuis git.") from None
        self.names: list[str] = about["names"]
        self._weights = about["weights"]
        self._learnt = set(self._arrays.pop("learnt").tolist())
        self.head = self._arrays["head.w"].astype(np.float32), self._arrays["head.b"].astype(np.float32)

    def check(self, weights: Path) -> None:
        """Raises SetupError if the weights are not those that were adapted."""
        if hashed(weights) != self._weights:
            raise SetupError(
                f"{weights} n’est pas le fichier de poids que l’adaptation attend.", "Relancez « make install »."
            )

    def learnt(self, text: str) -> bool:
        """Whether the encoder learnt from this very text."""
        return mark(text) in self._learnt

    def changed(self, name: str, base: np.ndarray) -> np.ndarray:
        """A tensor (flat) after adaptation."""
        if name in self._arrays:
            return base + self._arrays[name].astype(np.float32)
        if name + ".steps" in self._arrays:
            steps, size = (self._arrays[f"{name}.{part}"].astype(np.float32) for part in ("steps", "size"))
            return base + ((steps + 0.5) * size[:, None]).ravel()
        return base


def write(
    path: Path,
    changes: dict[str, np.ndarray],
    head: tuple[np.ndarray, np.ndarray],
    names: list[str],
    texts: list[str],
    weights: Path,
) -> None:
    """Keep of each change of a matrix (two dimensions) which step it is nearest to; of a vector the whole."""
    arrays: dict[str, np.ndarray] = {"head.w": head[0].astype(np.float16), "head.b": head[1].astype(np.float32)}
    arrays["learnt"] = np.array(sorted({mark(text) for text in texts}), np.uint64)
    for name, change in changes.items():
        if change.ndim == 1:
            arrays[name] = change.astype(np.float16)
            continue
        arrays[name + ".steps"], arrays[name + ".size"] = stepped(change)
    about = json.dumps({"names": names, "weights": hashed(weights)})
    np.savez_compressed(path, **arrays, **{_ABOUT: np.array(about)})


def stepped(change: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rows, columns) numbers from -4 to 3 and (rows,) sizes: a change is about (number + ½) × size of its row."""
    usual = np.abs(change).mean(axis=1, keepdims=True)
    best = np.full((len(change), 1), np.inf)
    numbers, sizes = np.zeros(change.shape, np.int8), np.zeros((len(change), 1))
    for factor in (0.35, 0.45, 0.55, 0.7, 0.85, 1.1):
        size = np.maximum(usual * factor, 1e-12)
        tried = np.clip(np.floor(change / size), -STEPS // 2, STEPS // 2 - 1)
        loss = (((tried + 0.5) * size - change) ** 2).sum(axis=1, keepdims=True)
        better = loss < best
        numbers, sizes = np.where(better, tried, numbers).astype(np.int8), np.where(better, size, sizes)
        best = np.minimum(loss, best)
    return numbers, sizes[:, 0].astype(np.float32)


def left_out(text: str) -> bool:
    """Whether an example of the catalogue or of the scripts is one of those that the encoder does not learn from."""
    return mark(text) % LEFT_OUT == 0


def mark(text: str) -> int:
    """Sixty-four bits that stand for a text."""
    return int.from_bytes(hashlib.sha256(text.strip().encode()).digest()[:8], "big")


def hashed(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
