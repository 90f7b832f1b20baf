"""Webhook signatures: HMAC-SHA256 of the raw body, as Meta sends them in `X-Hub-Signature-256`.

Meta signs the escaped form it sends (`\\u00e9`, `\\/`), so only the bytes as received may be hashed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from bot.core.errors import BadSignature

HEADER = "X-Hub-Signature-256"
_PREFIX = "sha256="


def sign(secret: str, raw: bytes) -> str:
    """The header's value for `raw`."""
    return _PREFIX + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def verify(secrets: Sequence[str], raw: bytes, header: str | None) -> int:
    """The place (from 1 on) of the secret that signed `raw`; there are two during a rotation. Raises BadSignature.

    Every secret is tried whatever the earlier ones said, and each comparison takes constant time.
    """
    if not header:
        raise BadSignature("missing")
    # Bytes, because compare_digest refuses text that is not ASCII.
    given = header.strip().encode("utf-8", "replace")
    fits = [bool(secret) and hmac.compare_digest(sign(secret, raw).encode(), given) for secret in secrets]
    if not any(fits):
        raise BadSignature("wrong")
    return fits.index(True) + 1
