"""Whether something that was written down holds a secret or a citizen's words, in whatever form.

`check(what, data, words)` is for anything in bytes: output, logs, a database dump, a back-up that was opened.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import lzma
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

SHORTEST = 6  # characters: shorter ones stand anywhere by chance


def forms(word: str) -> set[bytes]:
    """How a word may be written: UTF-8, UTF-16, JSON's and Python's escapes, HTML, addresses, hexadecimal, base64."""
    plain = word.encode()
    texts = {
        word,
        json.dumps(word)[1:-1],
        word.encode("unicode_escape").decode(),
        repr(word)[1:-1],
        html.escape(word),
        quote(word),
        quote_plus(word),
        quote(word, safe=""),
        "".join(f"\\{byte:03o}" if byte > 126 else chr(byte) for byte in plain),  # PostgreSQL's old escapes
    }
    found = {text.encode() for text in texts} | {word.encode("utf-16-le"), word.encode("latin-1", "ignore")}
    found |= {binascii.hexlify(plain), binascii.hexlify(plain).upper()}
    return {one for one in found | set(_base64(plain)) if len(one) >= SHORTEST}


def _base64(plain: bytes) -> Iterator[bytes]:
    """The part that does not depend on what stands around it, at each of the three offsets."""
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            coded = encode(b"\0" * offset + plain)
            inner = coded[(0, 2, 3)[offset] :].rstrip(b"=")
            yield inner[: len(inner) - (1 if (offset + len(plain)) % 3 else 0)]


def leaks(data: bytes, words: Iterable[str]) -> list[str]:
    """The words that stand in `data`, in its compressed parts too."""
    whole = b"\n".join((data, data.replace("\u00a0".encode(), b" ").replace("\u202f".encode(), b" "), *_inside(data)))
    low = whole.decode(errors="ignore").lower()
    return sorted({word for word in words if word.lower() in low or any(one in whole for one in forms(word))})


def _inside(data: bytes) -> Iterator[bytes]:
    """What zlib, gzip or xz made smaller."""
    for at in (match.start() for match in re.finditer(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08", data)):
        try:
            unpack = zlib.decompressobj(47 if data[at : at + 1] == b"\x1f" else 15)
            yield unpack.decompress(data[at:], 50_000_000)
        except zlib.error:
            continue
    if data.startswith(b"\xfd7zXZ"):
        yield lzma.decompress(data)


def check(what: str, data: bytes | str | Path, words: Iterable[str]) -> None:
    """Fail when `data` (or the file) holds one of the words; the message names them, since they are a test's own."""
    raw = data.read_bytes() if isinstance(data, Path) else data.encode() if isinstance(data, str) else data
    found = leaks(raw, words)
    assert not found, f"{what} holds {found}"
