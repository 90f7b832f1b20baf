"""The one codec through which a citizen's words are stored: AES-256-GCM, keys outside the database.

A stored value is: one byte of version, 4 bytes that name the key, 12 bytes of nonce, ciphertext with its 16-byte tag. The
associated data names the column, so that a value copied to another column does not open. (The first version did not name
its key: it is opened by trial.)
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
from functools import cached_property
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bot.core.errors import SettingsError

_FIRST, _VERSION = b"\x01", b"\x02"
_NONCE, _NAME = 12, 4


class Codec:
    """Encrypts with the current key and opens with every key.

    `keys`: as in the setting DATA_KEY: 32 bytes in base64; during a rotation the new key, a comma, the old one.
    """

    def __init__(self, keys: str) -> None:
        self._raws = [_raw(key) for key in keys.split(",")]
        if not 1 <= len(self._raws) <= 2:
            raise SettingsError("PLANTON_DATA_KEY contient plus de deux clés.", "Gardez la nouvelle et l’ancienne.")
        self._raw = self._raws[0]
        self._names = [_name(raw) for raw in self._raws]
        self._gcms = [AESGCM(raw) for raw in self._raws]

    @property
    def names(self) -> tuple[str, ...]:
        """What the keys are called in the database (hexadecimal), the current one first. Nothing of a key is in its name."""
        return tuple(name.hex() for name in self._names)

    @property
    def mark(self) -> bytes:
        """What every value begins with that the current key sealed during a rotation."""
        return _VERSION + self._names[0]

    @cached_property
    def parts(self) -> tuple[Codec, ...]:
        """A codec for each key, the current one first."""
        if len(self._raws) == 1:
            return (self,)
        return tuple(Codec(base64.b64encode(raw).decode()) for raw in self._raws)

    def seal(self, value: bytes, column: str) -> bytes:
        """Encrypt bytes for `column` (e.g. `events.body`). Only a rotation needs the key's name in the value: without one, the
        version before, which may run beside this one during an update, can read it too."""
        nonce = os.urandom(_NONCE)
        head = _FIRST if len(self._raws) == 1 else self.mark
        return head + nonce + self._gcms[0].encrypt(nonce, value, column.encode())

    def open(self, value: bytes, column: str) -> bytes:
        """Decrypt what `seal` made. Raises SettingsError when no key is the one it was sealed with, or the value is cut."""
        value = bytes(value)
        for name, gcm in zip(self._names, self._gcms, strict=True):
            start = _start(value, name)
            if start is None or len(value) < start + _NONCE:
                continue
            try:
                return gcm.decrypt(value[start : start + _NONCE], value[start + _NONCE :], column.encode())
            except InvalidTag:
                continue
        raise SettingsError(
            "Les données enregistrées ne s’ouvrent pas avec la clé PLANTON_DATA_KEY.",
            "Remettez la clé d’origine\u00a0: sans elle, ces données sont illisibles.",
        )

    def seal_json(self, value: Any, column: str) -> bytes:
        """Encrypt JSON types."""
        return self.seal(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), column)

    def open_json(self, value: bytes | None, column: str) -> Any:
        """Decrypt JSON types; None stays None."""
        return None if value is None else json.loads(self.open(value, column))

    def fingerprint(self, purpose: str, value: str) -> int:
        """A signed 64-bit keyed hash: tells equal values apart from others, and nothing without the (current) key.

        `purpose` (e.g. `search`) keeps hashes made for one use from being compared with those of another.
        """
        return fingerprint(self.fingerprint_key(purpose), value)

    def fingerprint_key(self, purpose: str) -> bytes:
        """The key of these fingerprints, from which neither the codec's nor another's is found."""
        return hmac.new(self._raw, b"fingerprint\x00" + purpose.encode(), hashlib.sha256).digest()

    def key(self, purpose: str) -> bytes:
        """A key of 32 bytes for one use (e.g. `likeness`), from which neither the codec's nor another's is found."""
        return hmac.new(self._raw, b"key\x00" + purpose.encode(), hashlib.sha256).digest()


def fingerprint(key: bytes, value: str) -> int:
    """A signed 64-bit hash with a key of `Codec.fingerprint_key`."""
    hashed = hmac.new(key, value.encode(errors="surrogatepass"), hashlib.sha256).digest()
    return int.from_bytes(hashed[:8], "big", signed=True)


def _start(value: bytes, name: bytes) -> int | None:
    """Where the nonce begins, if the key of this name may have sealed the value."""
    if value[:1] == _FIRST:
        return 1
    return 1 + _NAME if value[: 1 + _NAME] == _VERSION + name else None


def _raw(key: str) -> bytes:
    try:
        raw = base64.b64decode(key.strip(), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 32:
        raise SettingsError(
            "PLANTON_DATA_KEY n’est pas une clé de 32 octets en base64.",
            "Créez-en une avec\u00a0: openssl rand -base64 32",
        )
    return raw


def _name(raw: bytes) -> bytes:
    return hmac.new(raw, b"name", hashlib.sha256).digest()[:_NAME]
