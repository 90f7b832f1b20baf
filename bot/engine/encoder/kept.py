"""Meanings that an earlier training had the encoder make: from one training to the next its network stays, as do most texts.

A file beside the models. Of a text it has only a digest of its pieces. It holds the texts of the last training alone; one that is
missing, broken, or of another network or program is as good as empty, and where it cannot be written, it is not.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import zipfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Optional

import numpy as np

from bot.engine.encoder import sentences, weights
from bot.engine.encoder.adaptation import hashed

_DIGEST = 16  # bytes


def key(network: Path) -> str:
    """What the meanings depend on besides the pieces of a text: network, words' vectors, and the code that reads them."""
    files = [network, weights.package_file(), Path(weights.__file__), Path(sentences.__file__)]
    parts = [*map(hashed, files), version("onnxruntime"), version("numpy")]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class Kept:
    """`known`: digest of a text's pieces → (width,) its meaning."""

    def __init__(self, path: Optional[Path], own: str) -> None:
        """`path`: None for nothing to be kept; `own`: the `key`."""
        self._path, self._own = path, own
        self.known: dict[bytes, np.ndarray] = {}
        try:
            if path is not None:
                self.known = _read(path, own)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            pass  # absent, or no such file

    def missing(self, marks: Sequence[bytes]) -> list[int]:
        """Where the texts stand that must be read, each distinct one once. `marks`: of all texts, in their order."""
        first = {mark: place for place, mark in reversed(list(enumerate(marks))) if mark not in self.known}
        return sorted(first.values())

    def together(self, marks: Sequence[bytes], places: Sequence[int], read: Sequence[np.ndarray]) -> np.ndarray:
        """(texts, width) of all texts. `read`: (width,) each, what the encoder made of those at `places`, which were `missing`."""
        self.known.update((marks[place], meaning) for place, meaning in zip(places, read, strict=True))
        return np.stack([self.known[mark] for mark in marks])

    def write(self, marks: Sequence[bytes]) -> None:
        """Keep those of these texts, and no others."""
        if self._path is None:
            return
        distinct = list(dict.fromkeys(marks))
        digests = np.frombuffer(b"".join(distinct), np.uint8).reshape(-1, _DIGEST)
        part = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            with part.open("wb") as file:
                rows = np.stack([self.known[mark] for mark in distinct])
                np.savez(file, own=np.array(self._own), digests=digests, rows=rows)
            part.replace(self._path)  # a reader never sees half a file
        except OSError:  # the next training takes longer
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def _read(path: Path, own: str) -> dict[bytes, np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        if str(arrays["own"]) != own:
            return {}
        digests, rows = arrays["digests"], arrays["rows"]
    if digests.dtype != np.uint8 or digests.shape != (len(rows), _DIGEST) or rows.dtype != np.float32 or rows.ndim != 2:
        raise ValueError
    return dict(zip(map(bytes, digests), rows, strict=True))


def mark(pieces: Sequence[int]) -> bytes:
    """What stands for a text: a digest of its pieces, on which alone its meaning depends."""
    return hashlib.sha256(np.array(pieces, np.int32).tobytes()).digest()[:_DIGEST]


def marks(encoder: sentences.Encoder, texts: Sequence[str]) -> list[bytes]:
    """Of each text."""
    return [mark(encoder.pieces(text)) for text in texts]
