"""What the classifier sees of a message: its words, its letters, its sounds, and what its words mean.

Words and letters are those of `bot.policy.normalise` (SMS spelling, accents and elongation are undone there); sounds make
« koman porté plinte » close to « comment porter plainte »; vectors make « portefeuille » close to « sacoche ».
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterable, List

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer

from bot.engine import vectors
from bot.policy.normalise import normalise, sound

_SPOKEN = re.compile(r"[^\W_]+")
_VIEWS: Dict[str, Dict[str, Any]] = {
    "words": {"token_pattern": r"\S+", "ngram_range": (1, 2)},
    "letters": {"analyzer": "char_wb", "ngram_range": (2, 5), "min_df": 2},
    "sounds": {"token_pattern": r"\S+", "ngram_range": (1, 2)},
    "sound_letters": {"analyzer": "char_wb", "ngram_range": (2, 4), "min_df": 2},
}


class Features:
    """Fit on the examples of data/nlu.yml; turns texts into rows."""

    def __init__(self, weight: float = 2.0) -> None:
        self.weight = weight  # of the meaning, against the tf-idf views whose rows have length one
        self._views = {name: TfidfVectorizer(lowercase=False, sublinear_tf=True, **how) for name, how in _VIEWS.items()}
        self._rarity: Dict[str, float] = {}
        self._unseen = 1.0

    def fit(self, texts: List[str]) -> Features:
        """Learn vocabularies and how rare words are."""
        prepared = [_prepare(text) for text in texts]
        for name, view in self._views.items():
            view.fit([views[name] for views in prepared])
        seen = Counter(word for text in texts for word in set(_spoken(text)))
        self._unseen = math.log(1 + len(texts))
        self._rarity = {word: math.log((1 + len(texts)) / (1 + count)) for word, count in seen.items()}
        return self

    def rows(self, texts: List[str]) -> csr_matrix:
        """One row a text."""
        prepared = [_prepare(text) for text in texts]
        blocks = [view.transform([views[name] for views in prepared]) for name, view in self._views.items()]
        blocks.append(csr_matrix(np.array([self._meaning(text) for text in texts])))
        return hstack(blocks).tocsr()

    def _meaning(self, text: str) -> np.ndarray:
        """Mean vector of the words, rare ones counting more."""
        table = vectors.french()
        total = np.zeros(table.width, dtype=np.float32)
        for word in _spoken(text):
            vector = table.of(word)
            if vector is not None:
                total += vector * self._rarity.get(word, self._unseen)
        length = float(np.linalg.norm(total))
        return total * (self.weight / length) if length else total

    def save(self, folder: Path) -> None:
        """Vocabularies as JSON, weights as arrays: nothing that runs code when it is read back."""
        words = {name: _in_order(view.vocabulary_) for name, view in self._views.items()}
        content = {"words": words, "rarity": self._rarity, "unseen": self._unseen, "weight": self.weight}
        (folder / "features.json").write_text(json.dumps(content, ensure_ascii=False), "utf-8")
        np.savez(folder / "features.npz", **{name: view.idf_ for name, view in self._views.items()})

    @classmethod
    def read(cls, folder: Path) -> Features:
        """The inverse of `save`."""
        content = json.loads((folder / "features.json").read_text("utf-8"))
        self = cls(content["weight"])
        self._rarity, self._unseen = content["rarity"], content["unseen"]
        weights = np.load(folder / "features.npz", allow_pickle=False)
        for name, view in self._views.items():
            view.vocabulary = {word: index for index, word in enumerate(content["words"][name])}
            view.idf_ = weights[name]
        return self


def _in_order(vocabulary: Dict[str, int]) -> List[str]:
    return sorted(vocabulary, key=vocabulary.__getitem__)


def _prepare(text: str) -> Dict[str, str]:
    plain = normalise(text)
    spoken = " ".join(filter(None, map(sound, plain.split())))
    return {"words": plain, "letters": plain, "sounds": spoken, "sound_letters": spoken}


def _spoken(text: str) -> Iterable[str]:
    return _SPOKEN.findall(text.lower())
