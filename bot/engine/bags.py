"""Many texts at once, as counts of words: what a word is made of is looked up once for all texts that hold it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class Bag:
    """Texts as words. `words`: distinct; `numbers`: (places,) which word stands there, text after text; `ends`: (texts + 1,)
    where the words of each text begin and end."""

    words: list[str]
    numbers: np.ndarray
    ends: np.ndarray

    @property
    def size(self) -> int:
        """How many texts."""
        return len(self.ends) - 1

    @cached_property
    def counts(self) -> csr_matrix:
        """(texts, words): how often each stands there."""
        return _counted(self.numbers, self.ends, len(self.words))

    @property
    def held(self) -> np.ndarray:
        """(words,): in how many texts each stands."""
        return np.bincount(self.counts.indices, minlength=len(self.words))

    def renamed(self, names: Sequence[str]) -> Bag:
        """The same texts, each word under another name: `names`, in the order of `words`; "" leaves it out."""
        known: dict[str, int] = {}
        by = np.array([known.setdefault(name, len(known)) if name else -1 for name in names], np.int32)
        numbers = by[self.numbers]
        kept = numbers >= 0
        return Bag(list(known), numbers[kept], np.concatenate([[0], np.cumsum(kept)])[self.ends])

    def parts(self, of: Callable[[str], list[str]]) -> tuple[list[str], csr_matrix]:
        """Distinct parts, and (texts, parts) how often each stands there. `of`: the parts of a word."""
        made = bag_of(map(of, self.words))
        found = csr_matrix(self.counts @ made.counts)
        return made.words, found

    def runs(self) -> tuple[list[str], csr_matrix]:
        """Words and pairs of words in a row (with a space between them), and (texts, both) how often each stands there."""
        width, places = len(self.words), len(self.numbers)
        last = np.zeros(places + 1, bool)
        last[self.ends[1:] - 1] = True  # an empty text marks the end before it, or the place past all others
        first = np.flatnonzero(~last[: max(places - 1, 0)])
        codes = self.numbers[first].astype(np.int64) * width + self.numbers[first + 1]
        pairs, which = np.unique(codes, return_inverse=True)
        items = [*self.words, *(f"{self.words[code // width]} {self.words[code % width]}" for code in pairs.tolist())]
        text_of = np.repeat(np.arange(self.size), np.diff(self.ends))
        lines = np.concatenate([text_of, text_of[first]])
        columns = np.concatenate([self.numbers, which + width])
        shape = (self.size, len(items))
        return items, csr_matrix((np.ones(len(columns), np.float32), (lines, columns)), shape=shape)


def bag_of(texts: Iterable[Iterable[str]]) -> Bag:
    """The bag of texts that are given as their words."""
    known: dict[str, int] = {}
    numbers: list[int] = []
    ends = [0]
    for words in texts:
        numbers += [known.setdefault(word, len(known)) for word in words]
        ends.append(len(numbers))
    return Bag(list(known), np.array(numbers, np.int32), np.array(ends, np.int64))


def _counted(numbers: np.ndarray, ends: np.ndarray, width: int) -> csr_matrix:
    found = csr_matrix((np.ones(len(numbers), np.float32), numbers, ends), shape=(len(ends) - 1, width))
    found.sum_duplicates()
    return found


def side_by_side(parts: Sequence[csr_matrix], dense: np.ndarray) -> csr_matrix:
    """One matrix of these columns, in this order; every number of `dense` is written down, zero or not.

    (scipy's `hstack` goes by way of a list of places, which needs three times the memory.)"""
    count, width = dense.shape
    lengths = [np.diff(part.indptr) for part in parts]
    ends = np.concatenate([[0], np.cumsum(np.sum(lengths, axis=0) + width)])
    values, columns = np.empty(ends[-1], np.float32), np.empty(ends[-1], np.int32)
    begin, start = ends[:-1].copy(), 0
    for part, length in zip(parts, lengths, strict=True):
        where = np.repeat(begin - part.indptr[:-1], length) + np.arange(part.nnz)
        values[where], columns[where] = part.data, part.indices + start
        begin, start = begin + length, start + part.shape[1]
    where = begin[:, None] + np.arange(width)
    values[where], columns[where] = dense, np.arange(start, start + width, dtype=np.int32)
    return csr_matrix((values, columns, ends), shape=(count, start + width))
