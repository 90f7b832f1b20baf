"""The one codec through which a citizen's words are stored: AES-256-GCM, keys outside the database.

A stored value is: one byte of version, 4 bytes that name the key, 12 bytes of nonce, ciphertext with its 16-byte tag. The
associated data names the column and the row (its place), so that a value copied elsewhere does not open. The first two versions
named the column alone, and the first not even its key: they are read until every value is bound to its row (`bot.store.places`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import logging
import os
from collections import Counter
from functools import cached_property
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bot.core.errors import SealedElsewhere, SettingsError

_FIRST, _VERSION, BOUND = b"\x01", b"\x02", b"\x03"
_NONCE, _NAME = 12, 4
REFUSALS = 1_000  # places remembered until they are written down
Part = int | str | None  # of a row's name
BETWEEN = "\x1f"  # parts; only the last one of a name may hold it
log = logging.getLogger("planton.codec")


class Binding:
    """How far this installation has come with binding values to their rows; shared by the codecs of one process.

    `writes`: new values are bound; no process of the release before reads any more. `only`: every value is, and what is not is
    refused: it goes one way. `refused`: (column, place) → how often, not yet written down.
    """

    def __init__(self) -> None:
        self.writes = True
        self.only = False
        self.refused: Counter[tuple[str, str]] = Counter()

    def refuse(self, column: str, place: str) -> None:
        """Note a value that does not belong where it stands. The place names a row, and nothing of its words."""
        if (column, place) in self.refused or len(self.refused) < REFUSALS:
            self.refused[column, place] += 1
        log.error("sealed value refused, made for another place or altered: %s, row %s", column, place)


class Codec:
    """Encrypts with the current key and opens with every key.

    `keys`: as in the setting DATA_KEY: 32 bytes in base64; during a rotation the new key, a comma, the old one.
    """

    def __init__(self, keys: str, binding: Binding | None = None) -> None:
        self.binding = binding or Binding()
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
    def marks(self) -> tuple[bytes, bytes]:
        """What values begin with that the current key sealed: bound to a row, and to the column alone."""
        return BOUND + self._names[0], _VERSION + self._names[0]

    @property
    def mark(self) -> bytes:
        """What values that are to be in the database at the end of a resealing begin with."""
        return self.marks[0] if self.binding.writes else self.marks[1]

    def older(self) -> Codec:
        """The same keys: it also opens what is bound to no row, and binds what it seals. For `planton keys bind` alone."""
        return Codec(",".join(base64.b64encode(raw).decode() for raw in self._raws), Binding())

    @cached_property
    def parts(self) -> tuple[Codec, ...]:
        """A codec for each key, the current one first."""
        if len(self._raws) == 1:
            return (self,)
        return tuple(Codec(base64.b64encode(raw).decode(), self.binding) for raw in self._raws)

    def seal(self, value: bytes, column: str, *place: Part) -> bytes:
        """Encrypt bytes for `column` (e.g. `events.body`) of the row that `place` names, as `bot.store.places` says.

        Without a place, or while the release before may have to read it, the value is bound to its column alone. Only a rotation
        needs the key's name there: without one, that release can read it.
        """
        nonce = os.urandom(_NONCE)
        if place and self.binding.writes:
            head, bound = self.marks[0], _bound(column, place)
        else:
            head, bound = _FIRST if len(self._raws) == 1 else self.marks[1], column.encode()
        return head + nonce + self._gcms[0].encrypt(nonce, value, bound)

    def open(self, value: bytes, column: str, *place: Part) -> bytes:
        """Decrypt what `seal` made for this place. Raises SealedElsewhere when it was made for another, or altered;
        SettingsError when no key is the one it was sealed with, or the value is cut."""
        value = bytes(value)
        named = False
        for name, gcm in zip(self._names, self._gcms, strict=True):
            start = _start(value, name)
            if start is None or len(value) < start + _NONCE:
                continue
            named = named or value[:1] != _FIRST  # the key is ours: another place, or another text
            try:
                bound = _bound(column, place) if value[:1] == BOUND else column.encode()
                opened = gcm.decrypt(value[start : start + _NONCE], value[start + _NONCE :], bound)
            except InvalidTag:
                continue
            if value[:1] == BOUND or not (place and self.binding.only):
                return opened
            named = True  # of before: any row of the column would open it
        if named:
            self.binding.refuse(column, _named(place))
            raise SealedElsewhere(
                f"Une valeur chiffrée n’est pas à sa place\u00a0: {column}, ligne {_named(place) or 'inconnue'}.",
                "Quelqu’un a pu écrire dans la base sans la clé\u00a0: voyez docs/pannes.md, «\u00a0Une valeur déplacée\u00a0».",
            )
        raise SettingsError(
            "Les données enregistrées ne s’ouvrent pas avec la clé PLANTON_DATA_KEY.",
            "Remettez la clé d’origine\u00a0: sans elle, ces données sont illisibles.",
        )

    def seal_json(self, value: Any, column: str, *place: Part) -> bytes:
        """Encrypt JSON types."""
        return self.seal(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), column, *place)

    def open_json(self, value: bytes | None, column: str, *place: Part) -> Any:
        """Decrypt JSON types; None stays None."""
        return None if value is None else json.loads(self.open(value, column, *place))

    def readable_json(self, value: bytes | None, column: str, *place: Part) -> Any:
        """As `open_json`; None too where it cannot be read, and the rest is worth going on with. What was refused is told."""
        try:
            return self.open_json(value, column, *place)
        except SettingsError:
            return None

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
    return 1 + _NAME if value[:1] in (_VERSION, BOUND) and value[1 : 1 + _NAME] == name else None


def _joined(place: tuple[Part, ...]) -> str:
    return BETWEEN.join("" if part is None else str(part) for part in place)


def _named(place: tuple[Part, ...]) -> str:
    """A row's name as people read it."""
    return _joined(place).replace(BETWEEN, "/")


def _bound(column: str, place: tuple[Part, ...]) -> bytes:
    return f"{column}\x00{_joined(place)}".encode(errors="surrogatepass")


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
