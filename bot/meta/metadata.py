"""The signed mark that our own messages carry, and that Meta's echoes bring back.

`pl1.<ref>.<truncated HMAC>`; the ref is the outbox id, `<id>-<part>` from the second part on, or a letter-led
word for what was sent without a row (the emergency lane while the database is down).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

PREFIX = "pl1"
_SIGNATURE_CHARACTERS = 20  # 80 bits: enough for a mark whose forging would only hide a message of the page itself


@dataclass(frozen=True)
class Mark:
    """A verified mark. `outbox_id` is None for a message that had no row."""

    ref: str
    outbox_id: int | None = None
    part: int = 0


def _signature(key: bytes, ref: str) -> str:
    return hmac.new(key, f"{PREFIX}.{ref}".encode(), hashlib.sha256).hexdigest()[:_SIGNATURE_CHARACTERS]


def make(key: bytes, outbox_id: int, part: int = 0) -> str:
    """The metadata of part `part` of row `outbox_id`."""
    return make_ref(key, f"{outbox_id}-{part}" if part else str(outbox_id))


def make_ref(key: bytes, ref: str) -> str:
    """The metadata for any ref."""
    return f"{PREFIX}.{ref}.{_signature(key, ref)}"


def unrowed_ref(key_of_message: str) -> str:
    """The ref of a message that has no row, from the key that the asker gave it."""
    return "e" + hashlib.sha256(key_of_message.encode()).hexdigest()[:16]


def verify(key: bytes | Sequence[bytes], metadata: str | None) -> Mark | None:
    """The mark, or None for anything that no such key signed (there are two during a rotation). Never raises."""
    keys = (key,) if isinstance(key, bytes) else key
    prefix, _, rest = (metadata or "").partition(".")
    ref, dot, signature = rest.rpartition(".")
    fits = [hmac.compare_digest(signature.encode(), _signature(one, ref).encode()) for one in keys]
    if prefix != PREFIX or not dot or not any(fits):
        return None
    number, _, part = ref.partition("-")
    if number.isascii() and number.isdigit():
        return Mark(ref, int(number), int(part) if part.isascii() and part.isdigit() else 0)
    return Mark(ref)
