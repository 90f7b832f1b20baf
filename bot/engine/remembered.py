"""Texts that come again and again, « bonjour », « merci », the same question from a thousand people, are read once.

No words are kept: a text is known by a hash under a key that ends with the process, and what is kept is its ranking.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b

MOST = 4096  # texts; about 15 MB

Ranking = list[tuple[str, float]]


class Remembered:
    """A classifier's `rank` that remembers the `most` texts asked for last. Not for several threads."""

    def __init__(self, rank: Callable[[str], Ranking], most: int = MOST) -> None:
        self._rank = rank
        self._most = most
        self._key = os.urandom(32)
        self._known: OrderedDict[bytes, tuple[tuple[str, float], ...]] = OrderedDict()

    def __call__(self, text: str) -> Ranking:
        mark = blake2b(text.encode("utf-8", "surrogatepass"), key=self._key, digest_size=16).digest()
        found = self._known.pop(mark, None)
        if found is None:
            found = tuple(self._rank(text))
        self._known[mark] = found
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return list(found)
