"""Which messages say the same thing: keyed MinHash sketches, and groups around a first message.

A text becomes a set of letter groups of its normalised words, the set a sketch of BANDS values: two texts share a value
with the chance J³, J being the part of their letter groups that they share (Broder 1997; banding: Leskovec, Rajaraman,
Ullman, Mining of Massive Datasets, ch. 3). Every hash is keyed, so that a stored sketch tells nothing without the key.
Written here because a stored sketch must mean the same for years, keyed, whatever a library's next release hashes with.
"""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Hashable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Generic, Optional, TypeVar

from bot.core.clean import for_understanding
from bot.policy.normalise import normalise

BANDS = 20
ROWS = 3
# Bands in common from which two messages say the same: J of 0.8 reaches it 98 times in 100, of 0.5 once in 40.
ALIKE = 6
SHINGLE = 4  # letters
LETTERS_AT_LEAST = 12  # « au secours » resembles too much: so short a message is read by itself

_GREETINGS = frozenset(
    "bonjour bonsoir salut coucou helo hey madame monsieur merci svp stp s il vous te plait cordialement".split()  # noqa: SIM905
)
_DENIALS = frozenset(("pas", "jamais", "rien", "aucun", "aucune", "ni", "sans"))
_SMALL = frozenset(
    "des les une mon mes son ses nos vos ete deja bien plein quelle quel qui que quoi toi moi lui eux til tele".split()  # noqa: SIM905
)
_HASHES = BANDS * ROWS
_UNPACK = struct.Struct(f"<{_HASHES}I").unpack
_BAND = struct.Struct(f"<H{ROWS}I").pack

Name = TypeVar("Name", bound=Hashable)


@lru_cache(maxsize=50_000)
def _hashes(shingle: str, key: bytes) -> tuple[int, ...]:
    digest = hashlib.shake_128(key + shingle.encode(errors="surrogatepass")).digest(4 * _HASHES)
    return _UNPACK(digest)


def _letters(text: str) -> str:
    """The words that carry the message: normalised, greetings and politeness left out at both ends."""
    words = normalise(for_understanding(text)).split()
    while words and words[0] in _GREETINGS:
        words.pop(0)
    while words and words[-1] in _GREETINGS:
        words.pop()
    return " ".join(words)


def bands(text: str, key: bytes) -> tuple[int, ...]:
    """The sketch of a text: BANDS signed 64-bit values; () when it is too short to be compared.

    `key`: 16 bytes or more; sketches of different keys have nothing in common. Linear in length; never raises.
    """
    letters = _letters(text)
    if len(letters.replace(" ", "")) < LETTERS_AT_LEAST:
        return ()
    padded = f" {letters} "
    shingles = {padded[i : i + SHINGLE] for i in range(len(padded) - SHINGLE + 1)}
    least = [min(column) for column in zip(*(_hashes(shingle, key) for shingle in shingles), strict=True)]
    decisive = _decisive(letters.split())
    return tuple(_band(i, least[i * ROWS : (i + 1) * ROWS], decisive, key) for i in range(BANDS))


def _decisive(words: Sequence[str]) -> bytes:
    """What asks for another answer however alike the rest is: a number, a town (« à lyon »), a denial."""
    found = {word for word in words if word.isdigit()}
    found.update(word for before, word in pairwise(words) if before == "a" and word not in _SMALL and len(word) > 2)
    found.update("-" for word in words if word in _DENIALS)
    return " ".join(sorted(found)).encode(errors="surrogatepass")


def _band(number: int, rows: Sequence[int], decisive: bytes, key: bytes) -> int:
    digest = hashlib.blake2b(_BAND(number, *rows) + decisive, key=key[:64], digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


class Leaders(Generic[Name]):
    """Messages around which groups form. A message joins the leader it resembles most, never a mere follower.

    So a group does not drift: all its messages resemble one, which stands for it.
    """

    def __init__(self) -> None:
        self._by_band: dict[int, list[Name]] = {}

    def add(self, name: Name, sketch: Sequence[int]) -> None:
        """One more leader."""
        for band in sketch:
            self._by_band.setdefault(band, []).append(name)

    def nearest(self, sketch: Sequence[int]) -> Optional[Name]:
        """The leader that says the same; the one added first where several are as near, None where none is near."""
        shared: Counter[Name] = Counter()
        for band in sketch:
            shared.update(self._by_band.get(band, ()))
        if not shared:
            return None
        name, count = shared.most_common(1)[0]
        return name if count >= ALIKE else None
