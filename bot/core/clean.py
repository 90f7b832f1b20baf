"""Cleaning of citizens' text, once, before anything reads it."""

from __future__ import annotations

import re
import unicodedata

# Controls (but tab and newline), lone surrogates, non-characters.
_DROP = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
# Unicode's own stream-safe limit is 30 marks in a row; real text has three. Longer runs make normalisation quadratic.
_MARKS = "".join(chr(c) for c in range(0x300, 0x10000) if unicodedata.combining(chr(c)))
_PILE = re.compile(f"([{_MARKS}]{{4}})[{_MARKS}]+")
UNDERSTOOD_EDGE = 1000


def clean(text: str) -> str:
    """NFC text without NUL, surrogates or controls, trimmed; line ends become newlines. Linear in length; never raises."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", _PILE.sub(r"\1", _DROP.sub("", text))).strip()


def for_understanding(text: str) -> str:
    """The part of a cleaned text that is understood: its first and last 1,000 characters."""
    if len(text) <= 2 * UNDERSTOOD_EDGE:
        return text
    return text[:UNDERSTOOD_EDGE] + "\n" + text[-UNDERSTOOD_EDGE:]
