"""What the classifier sees of a message: its words, its letters, its sounds, and what its words mean.

Words and letters are those of `bot.policy.normalise` (SMS spelling, accents and elongation are undone there); sounds make
« koman porté plinte » close to « comment porter plainte »; vectors make « portefeuille » close to « sacoche ».
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Optional

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer

from bot.engine import vectors
from bot.engine.bags import Bag, bag_of, side_by_side
from bot.policy.normalise import normalise, sound

COMMON = 3  # examples that a word stands in, to be taken for the right spelling of its sound
# « jvoudré », « jpeu » : no French word begins with j and a consonant. What SMS tables know is left to them.
_GLUED = re.compile(r"(?<![^\W_])[jJ](?=[bcdfglmnprtv][^\W\d_]{3})")
_SPOKEN = re.compile(r"[^\W_]+")
# The options of scikit-learn's analyzers, and in how many examples an item must occur to count.
_VIEWS: dict[str, tuple[dict[str, Any], int]] = {
    "words": ({"token_pattern": r"\S+", "ngram_range": (1, 2)}, 1),
    "letters": ({"analyzer": "char_wb", "ngram_range": (2, 5)}, 2),
    "sounds": ({"token_pattern": r"\S+", "ngram_range": (1, 2)}, 1),
    "sound_letters": ({"analyzer": "char_wb", "ngram_range": (2, 4)}, 2),
}


class View:
    """One way to look at a text, as tf-idf of length one. Written out since scikit-learn's own takes 1 ms a message."""

    def __init__(self, how: dict[str, Any], at_least: int) -> None:
        self._items: Callable[[str], list[str]] = CountVectorizer(lowercase=False, **how).build_analyzer()
        self._within_words = how.get("analyzer") == "char_wb"  # the others are words, and two in a row (`Bag.runs`)
        self.at_least = at_least
        self.index: dict[str, int] = {}
        self.rarity = np.zeros(0, dtype=np.float32)

    def fit(self, bag: Bag) -> csr_matrix:
        """Learn the items and how rare they are, and give the rows of these very texts."""
        items, counts = self._counts(bag)
        seen = np.bincount(counts.indices, minlength=len(items))
        kept = sorted(np.flatnonzero(seen >= self.at_least), key=items.__getitem__)
        self.index = {items[number]: place for place, number in enumerate(kept)}
        self.rarity = (1 + np.log((1 + bag.size) / (1 + seen[kept]))).astype(np.float32)
        places = np.full(len(items), -1, np.int32)
        places[kept] = np.arange(len(kept), dtype=np.int32)
        return self._weighed(counts, places)

    def rows(self, bag: Bag) -> csr_matrix:
        """(texts, items): what `row` gives, of many texts."""
        items, counts = self._counts(bag)
        return self._weighed(counts, np.array([self.index.get(item, -1) for item in items], np.int32))

    def _counts(self, bag: Bag) -> tuple[list[str], csr_matrix]:
        """Distinct items, and (texts, items) how often each stands there. Letters do not reach over words."""
        return bag.parts(self._items) if self._within_words else bag.runs()

    def _weighed(self, counts: csr_matrix, places: np.ndarray) -> csr_matrix:
        """tf-idf of length one. `places`: (items,) the column of each, -1 for what is left out."""
        columns = places[counts.indices]
        kept = columns >= 0
        ends = np.concatenate([[0], np.cumsum(kept)])[counts.indptr]
        columns = columns[kept]
        much = ((1 + np.log(counts.data[kept])) * self.rarity[columns]).astype(np.float32)
        rows = csr_matrix((much, columns, ends.astype(np.int32)), shape=(counts.shape[0], len(self.index)))
        rows.sort_indices()
        lengths = np.sqrt(rows.multiply(rows).sum(axis=1)).A1 if rows.nnz else np.zeros(rows.shape[0])
        rows.data /= np.repeat(np.maximum(lengths, 1e-9), np.diff(rows.indptr)).astype(np.float32)
        return rows

    def row(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Which items, and how much of each."""
        counts = [
            (self.index[item], 1 + math.log(count))
            for item, count in Counter(self._items(text)).items()
            if item in self.index
        ]
        where = np.array([number for number, _ in counts], dtype=np.int32)
        much = np.array([count for _, count in counts], dtype=np.float32) * self.rarity[where]
        length = float(np.linalg.norm(much))
        return where, much / length if length else much


@dataclass(frozen=True)
class Looks:
    """A text's words as they are compared, and how each sounds ("" where it has no sound)."""

    words: tuple[str, ...]
    sounds: tuple[str, ...]


def looks(text: str) -> Looks:
    """What the views are made from, word by word."""
    words = normalise(_GLUED.sub("je ", text)).split()
    return Looks(tuple(words), tuple(sound(word) or "" for word in words))


class Features:
    """Fit on the examples of data/nlu.yml; turns texts into rows."""

    def __init__(self, weight: float = 2.0) -> None:
        self.weight = weight  # of the meaning, against the views, each of which has length one
        self._views = {name: View(how, at_least) for name, (how, at_least) in _VIEWS.items()}
        self._rarity: dict[str, float] = {}
        self._unseen = 1.0
        self._spelling: dict[str, str] = {}  # sound → the word that is usually written for it

    def fit(self, texts: list[str]) -> Features:
        """Learn vocabularies and how rare words are."""
        self.fit_rows(texts)
        return self

    def fit_rows(self, texts: list[str]) -> csr_matrix:
        """`fit`, then `rows` of the same texts, which are looked at once."""
        spoken = bag_of(map(_spoken, texts))
        seen = Counter(dict(zip(spoken.words, spoken.held.tolist(), strict=True)))
        self._unseen = math.log(1 + len(texts))
        self._rarity = {word: math.log((1 + len(texts)) / (1 + count)) for word, count in seen.items()}
        self._spelling = _spelling(seen)
        looks = _looks(texts)
        return side_by_side([view.fit(looks[name]) for name, view in self._views.items()], self._meanings(spoken))

    @property
    def seen(self) -> dict[str, int]:
        """In how many examples each word stands."""
        return {word: round(math.exp(self._unseen - rarity)) - 1 for word, rarity in self._rarity.items()}

    def row(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Column numbers and values of a text; the last columns are its meaning."""
        looks = _prepare(text)
        columns, values, start = [], [], 0
        for name, view in self._views.items():
            where, much = view.row(looks[name])
            columns.append(where + start)
            values.append(much)
            start += len(view.index)
        meaning = self._meaning(text)
        columns.append(np.arange(start, start + len(meaning), dtype=np.int32))
        values.append(meaning)
        return np.concatenate(columns), np.concatenate(values)

    def items(self, columns: Sequence[int]) -> list[Optional[tuple[str, str]]]:
        """(view, item) of each column; None for those of the meaning."""
        return [self._items[column] if column < len(self._items) else None for column in columns]

    @cached_property
    def _items(self) -> list[tuple[str, str]]:
        return [(name, item) for name, view in self._views.items() for item in view.index]

    def knows(self, text: str) -> bool:
        """Whether any word was seen before, by its spelling or by its sound."""
        looks = _prepare(text)
        return any(word in self._views[name].index for name in ("words", "sounds") for word in looks[name].split())

    def rows(self, texts: list[str]) -> csr_matrix:
        """What `row` gives, of many texts at once."""
        looks = _looks(texts)
        views = [view.rows(looks[name]) for name, view in self._views.items()]
        return side_by_side(views, self._meanings(bag_of(map(_spoken, texts))))

    def forgetting(self, rows: csr_matrix, seen: np.ndarray) -> csr_matrix:
        """The rows as if only those numbered `seen` had been there to learn the items from: what the others alone hold is
        dropped, and each view has length one again. How rare items are stays as it was."""
        held = np.diff(rows[seen].tocsc().indptr)
        kept, start = csr_matrix(rows, copy=True), 0
        lines = np.repeat(np.arange(kept.shape[0]), np.diff(kept.indptr))
        for view in self._views.values():
            end = start + len(view.index)
            here = (kept.indices >= start) & (kept.indices < end)
            kept.data[here & (held[kept.indices] < view.at_least)] = 0
            lengths = np.sqrt(np.bincount(lines[here], kept.data[here] ** 2, minlength=kept.shape[0]))
            kept.data[here] /= np.maximum(lengths, 1e-9)[lines[here]]
            start = end
        kept.eliminate_zeros()
        return kept

    @property
    def width(self) -> int:
        """Columns of a row."""
        return sum(len(view.index) for view in self._views.values()) + vectors.french().width

    def _meaning(self, text: str) -> np.ndarray:
        """Mean vector of the words, rare ones counting more."""
        total = np.zeros(vectors.french().width, dtype=np.float32)
        for spoken in _spoken(text):
            vector = self._vector(spoken)
            if vector is not None:
                total += vector
        length = float(np.linalg.norm(total))
        return total * (self.weight / length) if length else total

    def _meanings(self, spoken: Bag) -> np.ndarray:
        """(texts, width): `_meaning` of many."""
        table = np.zeros((len(spoken.words), vectors.french().width), np.float32)
        for number, word in enumerate(spoken.words):
            vector = self._vector(word)
            if vector is not None:
                table[number] = vector
        total = np.asarray(spoken.counts @ table)
        lengths = np.linalg.norm(total, axis=1, keepdims=True)
        return np.asarray(total * (self.weight / np.where(lengths > 0, lengths, 1)), dtype=np.float32)

    def _vector(self, spoken: str) -> Optional[np.ndarray]:
        """What a word adds to the meaning; None for one that says nothing. One never seen is read as one that sounds like it."""
        word = spoken if spoken in self._rarity else self._spelling.get(_sound_of(spoken), spoken)
        vector = vectors.french().of(word)
        return None if vector is None else vector * self._rarity.get(word, self._unseen)

    def save(self, folder: Path) -> None:
        """Vocabularies as JSON, weights as arrays: nothing that runs code when it is read back."""
        items = {name: list(view.index) for name, view in self._views.items()}
        content = {"items": items, "weight": self.weight}
        content.update(rarity=self._rarity, unseen=self._unseen, spelling=self._spelling)
        (folder / "features.json").write_text(json.dumps(content, ensure_ascii=False), "utf-8")
        np.savez(folder / "features.npz", **{name: view.rarity for name, view in self._views.items()})

    @classmethod
    def read(cls, folder: Path) -> Features:
        """The inverse of `save`."""
        content = json.loads((folder / "features.json").read_text("utf-8"))
        self = cls(content["weight"])
        self._rarity, self._unseen = content["rarity"], content["unseen"]
        self._spelling = content["spelling"]
        arrays = np.load(folder / "features.npz", allow_pickle=False)
        for name, view in self._views.items():
            view.index = {item: number for number, item in enumerate(content["items"][name])}
            view.rarity = arrays[name]
        return self


def _spelling(seen: Counter[str]) -> dict[str, str]:
    """For each sound the commonest word, if it is common: a word never seen is read as the one that sounds like it."""
    found: dict[str, str] = {}
    for word, count in seen.most_common():
        if count < COMMON:
            break
        found.setdefault(_sound_of(word), word)
    return found


def _sound_of(word: str) -> str:
    return sound(normalise(word))


def _prepare(text: str) -> dict[str, str]:
    plain = normalise(_GLUED.sub("je ", text))
    spoken = " ".join(filter(None, map(sound, plain.split())))
    return {"words": plain, "letters": plain, "sounds": spoken, "sound_letters": spoken}


def _looks(texts: Sequence[str]) -> dict[str, Bag]:
    """`_prepare` of many texts: each distinct word is sounded once."""
    plain = bag_of(normalise(_GLUED.sub("je ", text)).split() for text in texts)
    spoken = plain.renamed([sound(word) for word in plain.words])
    return {"words": plain, "letters": plain, "sounds": spoken, "sound_letters": spoken}


def _spoken(text: str) -> list[str]:
    return _SPOKEN.findall(_GLUED.sub("je ", text.lower()))
