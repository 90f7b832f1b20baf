"""The one codec through which a citizen's words are stored: AES-256-GCM, key outside the database.

A stored value is: one byte of version, 12 bytes of nonce, ciphertext with its 16-byte tag. The associated data
names the column, so that a value copied to another column does not open.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bot.core.errors import SettingsError

_VERSION = b"\x01"
_NONCE = 12


class Codec:
    """Encrypts and opens stored values. `key`: 32 bytes in base64, as in the setting DATA_KEY."""

    def __init__(self, key: str) -> None:
        try:
            raw = base64.b64decode(key, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != 32:
            raise SettingsError(
                "PLANTON_DATA_KEY n’est pas une clé de 32 octets en base64.",
                "Créez-en une avec\u00a0: openssl rand -base64 32",
            )
        self._gcm = AESGCM(raw)
        self._raw = raw

    def seal(self, value: bytes, column: str) -> bytes:
        """Encrypt bytes for `column` (e.g. `events.body`)."""
        nonce = os.urandom(_NONCE)
        return _VERSION + nonce + self._gcm.encrypt(nonce, value, column.encode())

    def open(self, value: bytes, column: str) -> bytes:
        """Decrypt what `seal` made. Raises SettingsError when the key is not the one it was sealed with."""
        value = bytes(value)
        try:
            return self._gcm.decrypt(value[1 : 1 + _NONCE], value[1 + _NONCE :], column.encode())
        except InvalidTag:
            raise SettingsError(
                "Les données enregistrées ne s’ouvrent pas avec la clé PLANTON_DATA_KEY.",
                "Remettez la clé d’origine\u00a0: sans elle, ces données sont illisibles.",
            ) from None

    def seal_json(self, value: Any, column: str) -> bytes:
        """Encrypt JSON types."""
        return self.seal(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), column)

    def open_json(self, value: bytes | None, column: str) -> Any:
        """Decrypt JSON types; None stays None."""
        return None if value is None else json.loads(self.open(value, column))

    def fingerprint(self, purpose: str, value: str) -> int:
        """A signed 64-bit keyed hash: tells equal values apart from others, and nothing without the key.

        `purpose` (e.g. `search`) keeps hashes made for one use from being compared with those of another.
        """
        key = hmac.new(self._raw, b"fingerprint\x00" + purpose.encode(), hashlib.sha256).digest()
        hashed = hmac.new(key, value.encode(errors="surrogatepass"), hashlib.sha256).digest()
        return int.from_bytes(hashed[:8], "big", signed=True)

    def key(self, purpose: str) -> bytes:
        """A key of 32 bytes for one use (e.g. `likeness`), from which neither the codec's nor another's is found."""
        return hmac.new(self._raw, b"key\x00" + purpose.encode(), hashlib.sha256).digest()
