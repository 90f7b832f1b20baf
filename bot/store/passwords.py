"""Passwords: what one may be, and its argon2id hash."""

from __future__ import annotations

import asyncio
import base64
import secrets
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from bot.core.errors import Explained

AT_LEAST = 12
AT_MOST = 1024
_DIFFERENT = 5  # « aaaaaaaaaaaa » is no password
_BESIDES = 6  # letters and digits that have to be left beside OURS and the account's name
# What whoever guesses here tries first (docs/asvs.md lists them).
OURS = (
    "planton", "police", "nationale", "national", "gendarmerie", "commissariat", "ministere", "interieur", "accueil",
    "agent", "service", "secours", "urgence", "messenger", "instagram", "facebook", "france", "bonjour", "bienvenue",
    "motdepasse", "password", "azerty", "qwerty", "admin", "123456789", "123456", "1234",
)  # fmt: skip
# Without letters and digits that look alike: a temporary password is read out or copied by hand.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"

_HASHER = PasswordHasher()  # argon2id, the library's current parameters (RFC 9106, low memory)


def _nobody(hasher: PasswordHasher) -> str:
    """A hash that no password has, of this cost; made without hashing, since every process of ours would wait for it."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (hasher.salt_len, hasher.hash_len)
    )
    cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v={ARGON2_VERSION}${cost}${salt}${digest}"


# What is checked when there is no such account, so that both answers take as long.
_NOBODY = _nobody(_HASHER)


class AccountError(Explained):
    """An account cannot be made or changed as asked."""


def guessed(password: str, name: str = "") -> bool:
    """Whether whoever guesses here would try it soon."""
    return len(set(password)) < _DIFFERENT or len(_besides(password, name)) < _BESIDES


def checked(password: str, name: str = "", advise_only: bool = False) -> str:
    """The password as given. Raises AccountError when it is too short, too long, or guessed at once.

    `advise_only`: the last is for the caller to say (`guessed`): who has the machine decides.
    """
    if len(password) < AT_LEAST:
        raise AccountError(
            f"Le mot de passe est trop court\u00a0: {len(password)} caractères.", f"Donnez-en {AT_LEAST} ou plus."
        )
    if len(password) > AT_MOST:
        raise AccountError(
            f"Le mot de passe est trop long\u00a0: {len(password)} caractères.", f"Donnez-en {AT_MOST} au plus."
        )
    if len(set(password)) < _DIFFERENT or (guessed(password, name) and not advise_only):
        raise AccountError("Ce mot de passe se devine trop facilement.", "Prenez par exemple quatre mots sans lien.")
    return password


def _besides(password: str, name: str) -> str:
    """The letters and digits of a password beside the words that are tried first and the account's own name."""
    rest = _plain(password)
    for word in sorted({*OURS, *map(_plain, name.replace(".", " ").split()), _plain(name)}, key=len, reverse=True):
        if len(word) > 2:
            rest = rest.replace(word, "")
    return rest


def _plain(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text).casefold() if c.isalnum())


def temporary() -> str:
    """A password for a few days: four groups of four letters and digits (79 bits)."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))


class Hashing:
    """Hashes two at a time, whatever knocks at the door: each takes 64 MB and 50 ms."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(2)

    async def hash(self, password: str) -> str:
        """The hash to keep."""
        async with self._turn:
            return await asyncio.to_thread(_HASHER.hash, password)

    async def right(self, hashed: str | None, password: str) -> bool:
        """Whether the password is the one of that hash; without hash as slow, and never."""
        async with self._turn:
            return await asyncio.to_thread(_verify, hashed or _NOBODY, password) and hashed is not None

    @staticmethod
    def is_old(hashed: str) -> bool:
        """Whether the hash was made with parameters that are no longer current."""
        return _HASHER.check_needs_rehash(hashed)


def _verify(hashed: str, password: str) -> bool:
    if len(password) > AT_MOST:
        return False
    try:
        return _HASHER.verify(hashed, password.encode(errors="replace"))
    except (VerificationError, InvalidHashError):
        return False
