"""Tokens that open something to whoever holds them: what the database keeps of one opens nothing, and nobody makes one there.

A token is found by its mark, a keyed hash. A seal, made with the same key, binds the mark to what its row says (whose it is,
since when, until when): a row that somebody wrote, pointed at another account or prolonged is refused. The key is outside the
database.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from datetime import UTC, datetime, timedelta

log = logging.getLogger("planton.store")

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)

Fact = int | str | datetime


class Bearer:
    """Marks and seals of tokens. `secret_key` makes them; those of `older_key`, the one before, stay good during its rotation."""

    def __init__(self, secret_key: str, older_key: str = "") -> None:
        self._keys = [
            hmac.new(key.encode(), b"bearer tokens", hashlib.sha256).digest() for key in (secret_key, older_key) if key
        ]

    def mark(self, purpose: str, token: str) -> bytes:
        """What is stored of a token, 32 bytes. `purpose`: what alone it opens (`session`, `link`, `provider`)."""
        return _mark(self._keys[0], purpose, token)

    def marks(self, purpose: str, token: str) -> list[bytes]:
        """Every mark under which that token may be stored, the present key's first."""
        return [_mark(key, purpose, token) for key in self._keys]

    def seal(self, mark: bytes, *facts: Fact) -> bytes:
        """What binds a token to the facts of its row, 32 bytes; moments count to the microsecond, in any time zone."""
        return _seal(self._keys[0], mark, facts)

    def fits(self, seal: bytes | None, mark: bytes, *facts: Fact) -> bool:
        """Whether a row is as one of our processes made it. One that is not is told to operators."""
        given = bytes(seal or b"")
        right = any([hmac.compare_digest(given, _seal(key, bytes(mark), facts)) for key in self._keys])
        if not right:
            log.error("a session or link was changed in the database by another hand: refused")
        return right


def _mark(key: bytes, purpose: str, token: str) -> bytes:
    message = b"mark\x00" + purpose.encode() + b"\x00" + token.encode(errors="replace")
    return hmac.new(key, message, hashlib.sha256).digest()


def _seal(key: bytes, mark: bytes, facts: tuple[Fact, ...]) -> bytes:
    written = json.dumps([_plain(fact) for fact in facts]).encode()
    return hmac.new(key, b"seal\x00" + mark + written, hashlib.sha256).digest()


def _plain(fact: Fact) -> int | str:
    return (fact - _BEGINNING) // timedelta(microseconds=1) if isinstance(fact, datetime) else fact
