"""The words of a list entry, folded so that spellings of the same thing fall together."""

from __future__ import annotations

import re
import unicodedata

from bot.policy.normalise import squeeze

WORD = re.compile(r"[^\W_]+")

Key = tuple[str, ...]


def key_of(text: str) -> Key:
    """The words of a surface. Accents, capitals, doubled letters and a plural's last letter do not matter."""
    return tuple(fold(word) for word in WORD.findall(text))


def fold(word: str) -> str:
    """One word."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", word.lower()) if not unicodedata.combining(c))
    plain = squeeze(plain.replace("œ", "oe"))
    return plain[:-1] if len(plain) > 3 and plain[-1] in "sx" else plain
