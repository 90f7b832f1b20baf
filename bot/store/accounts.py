"""People of the console: accounts, sessions, one-time links, and the brake on guessed passwords.

Passwords are kept as argon2id hashes, session and link tokens as SHA-256 hashes: what stands in the database opens
nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.errors import Explained
from bot.policy.rights import Capability, Role, may
from bot.store import audit
from bot.store.db import Database

ROLES = tuple(role.value for role in Role)
PASSWORD_AT_LEAST = 12
PASSWORD_AT_MOST = 1024
NAME_AT_MOST = 100

IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=12)
LINK_FOR = timedelta(minutes=30)
_TOUCH_EVERY = timedelta(minutes=1)

# Failures counted over this long; then the door opens again by itself.
WITHIN = timedelta(minutes=15)
PER_PAIR = 5  # one account from one address
PER_ADDRESS = 30  # one address, whatever the account
PER_ACCOUNT = 50  # one account from everywhere: beyond, one try every SLOW
PER_DEVICE = 10  # a browser that this account used before; beyond, it is treated as any other
SLOW = timedelta(seconds=10)

_HASHER = PasswordHasher()  # argon2id, the library's current parameters (RFC 9106, low memory)
# What is checked when there is no such account, so that both answers take as long.
_NOBODY = _HASHER.hash(secrets.token_urlsafe(16))


class AccountError(Explained):
    """An account cannot be made as asked."""


@dataclass(frozen=True)
class User:
    """Someone who may log in. `level`: how high their validation reaches; `preferences`: theme, sound, tour seen."""

    id: int
    name: str
    role: str
    level: str | None = None
    preferences: Mapping[str, Any] = field(default_factory=dict, compare=False, hash=False)

    def may(self, capability: Capability | str) -> bool:
        """Whether this person has that capability; templates give its name."""
        return may(self.role, capability)


@dataclass(frozen=True)
class Session:
    """A session that is alive. `stage`: open, or what is still asked for (factor, enrol, password)."""

    user: User
    csrf: str
    id: int
    stage: str


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class Accounts:
    """Accounts and sessions. `secret_key` keys the subjects of the brake, so that no typed name or password is stored."""

    def __init__(self, database: Database, secret_key: str) -> None:
        self._db = database
        self._key = secret_key.encode()
        # A hash takes 64 MB and 50 ms: two at a time, whatever knocks at the door.
        self._hashing = asyncio.Semaphore(2)

    # -- accounts ------------------------------------------------------------------------------------------------

    async def add(self, name: str, role: str, password: str | None) -> User:
        """Create an account; without password only a one-time link opens it. Raises AccountError."""
        name = name.strip()
        if not name or len(name) > NAME_AT_MOST or not name.isprintable():
            raise AccountError("Ce nom ne convient pas.", f"Donnez un nom de 1 à {NAME_AT_MOST} caractères.")
        if role not in ROLES:
            raise AccountError(f"Le rôle «\u00a0{role}\u00a0» n’existe pas.", f"Rôles\u00a0: {', '.join(ROLES)}.")
        hashed = None
        if password is not None:
            if not PASSWORD_AT_LEAST <= len(password) <= PASSWORD_AT_MOST:
                raise AccountError(
                    "Ce mot de passe ne convient pas.",
                    f"Donnez un mot de passe d’au moins {PASSWORD_AT_LEAST} caractères.",
                )
            async with self._hashing:
                hashed = await asyncio.to_thread(_HASHER.hash, password)
        try:
            async with self._db.begin() as connection:
                user = await connection.scalar(
                    text("INSERT INTO users (name, role, password_hash) VALUES (:name, :role, :hash) RETURNING id"),
                    {"name": name, "role": role, "hash": hashed},
                )
        except IntegrityError:
            raise AccountError(f"Le compte «\u00a0{name}\u00a0» existe déjà.", "Choisissez un autre nom.") from None
        assert user is not None
        return User(int(user), name, role)

    async def find(self, name: str) -> User | None:
        """The enabled account of that name."""
        async with self._db.begin() as connection:
            row = (
                await connection.execute(
                    text("SELECT id, name, role FROM users WHERE name = :name AND disabled_at IS NULL"),
                    {"name": name.strip()},
                )
            ).one_or_none()
        return None if row is None else User(row.id, row.name, row.role)

    # -- the door ------------------------------------------------------------------------------------------------

    async def check_password(
        self, name: str, password: str, address: str, now: datetime, device: str | None = None
    ) -> User | timedelta | None:
        """The user; None when name or password is wrong; a duration when the door is shut for that long.

        `device`: the id of a browser in which this account logged in before. It has a count of its own, so that
        whoever hammers at an account from elsewhere does not lock its owner out.
        """
        name = name.strip()
        subjects = self._subjects(name, address, device)
        shut = await self._reserve(subjects, device is not None, now)
        if shut is not None:
            return shut
        async with self._db.begin() as connection:
            row = (
                await connection.execute(
                    text("SELECT id, name, role, password_hash, disabled_at FROM users WHERE name = :name"),
                    {"name": name},
                )
            ).one_or_none()
        usable = row is not None and row.password_hash is not None and row.disabled_at is None
        async with self._hashing:
            right = await asyncio.to_thread(_verify, row.password_hash if usable and row else _NOBODY, password)
        if not right or not usable or row is None:
            return None
        await self._forgive(subjects, now)
        if _HASHER.check_needs_rehash(row.password_hash):
            async with self._hashing:
                renewed = await asyncio.to_thread(_HASHER.hash, password)
            async with self._db.begin() as connection:
                await connection.execute(
                    text("UPDATE users SET password_hash = :hash WHERE id = :id"), {"hash": renewed, "id": row.id}
                )
        return User(row.id, row.name, row.role)

    def _subject(self, kind: str, *parts: str) -> str:
        message = "\x00".join((kind, *parts)).encode(errors="replace")
        return kind + ":" + hmac.new(self._key, message, hashlib.sha256).hexdigest()

    def _subjects(self, name: str, address: str, device: str | None) -> dict[str, str]:
        if device is not None:
            return {"device": self._subject("device", name, device)}
        return {
            "pair": self._subject("pair", name, address),
            "address": self._subject("address", address),
            "account": self._subject("account", name),
        }

    async def _reserve(self, subjects: dict[str, str], known: bool, now: datetime) -> timedelta | None:
        """Count this try as a failure (taken back if it succeeds), or say how long the door stays shut.

        The lock makes tries of one account one by one: a thousand at once are not counted as the first.
        """
        async with self._db.begin() as connection:
            for subject in sorted(subjects.values()):
                await connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:s, 7))"), {"s": subject})
            limits = {"pair": PER_PAIR, "address": PER_ADDRESS, "account": PER_ACCOUNT, "device": PER_DEVICE}
            for kind, subject in subjects.items():
                shut = await _shut(connection, kind, subject, limits[kind], now)
                if shut is not None:
                    return shut
            await connection.execute(
                text("INSERT INTO login_failures (subject, at) SELECT unnest(CAST(:subjects AS text[])), :now"),
                {"subjects": list(subjects.values()), "now": now},
            )
        return None

    async def _forgive(self, subjects: dict[str, str], now: datetime) -> None:
        """The password was right: this try is no failure, and the browser's own count begins anew.

        The counts of address and account keep the failures of others.
        """
        own = [s for kind, s in subjects.items() if kind in ("pair", "device")]
        shared = [s for kind, s in subjects.items() if kind not in ("pair", "device")]
        async with self._db.begin() as connection:
            await connection.execute(
                text("DELETE FROM login_failures WHERE subject = ANY(:own) OR at < :old"),
                {"own": own, "old": now - timedelta(days=1)},
            )
            for subject in shared:
                await connection.execute(
                    text("""
                        DELETE FROM login_failures WHERE ctid = (
                            SELECT ctid FROM login_failures WHERE subject = :subject AND at = :now LIMIT 1)
                    """),
                    {"subject": subject, "now": now},
                )

    # -- sessions ------------------------------------------------------------------------------------------------

    async def open_session(self, user: User, now: datetime) -> str:
        """A new session; returns the token for the cookie."""
        token = secrets.token_urlsafe(32)
        async with self._db.begin() as connection:
            await connection.execute(
                text("DELETE FROM sessions WHERE seen_at < :idle OR created_at < :old"),
                {"idle": now - IDLE, "old": now - ABSOLUTE},
            )
            await connection.execute(
                text("""
                    INSERT INTO sessions (token_hash, user_id, csrf, created_at, seen_at)
                    VALUES (:hash, :user, :csrf, :now, :now)
                """),
                {"hash": _digest(token), "user": user.id, "csrf": secrets.token_urlsafe(32), "now": now},
            )
            await audit.record(connection, now, user.id, "login")
        return token

    async def session(self, token: str, now: datetime, touch: bool = True) -> Session | None:
        """The living session of a token. `touch`: the person did something, so the idle time counts from now."""
        async with self._db.begin() as connection:
            row = (
                await connection.execute(
                    text("""
                        SELECT s.csrf, s.seen_at, s.id AS session, s.stage, u.id, u.name, u.role, u.validation_level,
                               u.preferences
                        FROM sessions s JOIN users u ON u.id = s.user_id
                        WHERE s.token_hash = :hash AND s.seen_at > :idle AND s.created_at > :old
                          AND s.ended_at IS NULL AND u.disabled_at IS NULL
                    """),
                    {"hash": _digest(token), "idle": now - IDLE, "old": now - ABSOLUTE},
                )
            ).one_or_none()
            if row is None:
                return None
            if touch and now - row.seen_at >= _TOUCH_EVERY:
                await connection.execute(
                    text("UPDATE sessions SET seen_at = :now WHERE token_hash = :hash"),
                    {"now": now, "hash": _digest(token)},
                )
        user = User(row.id, row.name, row.role, row.validation_level, row.preferences)
        return Session(user, row.csrf, row.session, row.stage)

    async def close_session(self, token: str, now: datetime) -> None:
        """Log out."""
        async with self._db.begin() as connection:
            user = await connection.scalar(
                text("DELETE FROM sessions WHERE token_hash = :hash RETURNING user_id"), {"hash": _digest(token)}
            )
            if user is not None:
                await audit.record(connection, now, int(user), "logout")

    # -- one-time links (sandbox only) ---------------------------------------------------------------------------

    async def create_link(self, user: User, now: datetime) -> str:
        """A token that logs this user in once."""
        token = secrets.token_urlsafe(32)
        async with self._db.begin() as connection:
            await connection.execute(text("DELETE FROM login_links WHERE expires_at < :now"), {"now": now})
            await connection.execute(
                text("INSERT INTO login_links (token_hash, user_id, expires_at) VALUES (:hash, :user, :until)"),
                {"hash": _digest(token), "user": user.id, "until": now + LINK_FOR},
            )
        return token

    async def use_link(self, token: str, now: datetime) -> User | None:
        """The user of a link, which is spent by this; None when it was spent, is too old or never was."""
        async with self._db.begin() as connection:
            row = (
                await connection.execute(
                    text("""
                        WITH used AS (DELETE FROM login_links WHERE token_hash = :hash RETURNING user_id, expires_at)
                        SELECT u.id, u.name, u.role FROM used JOIN users u ON u.id = used.user_id
                        WHERE used.expires_at > :now AND u.disabled_at IS NULL
                    """),
                    {"hash": _digest(token), "now": now},
                )
            ).one_or_none()
        return None if row is None else User(row.id, row.name, row.role)

    # -- browsers that an account used before --------------------------------------------------------------------

    def device_cookie(self, user: User) -> str:
        """A value that proves, later, that this account logged in in this browser."""
        device = secrets.token_urlsafe(12)
        return f"{device}.{self._device_seal(user.name, device)}"

    def device_of(self, name: str, cookie: str | None) -> str | None:
        """The browser's id when the cookie is one of ours for that account."""
        device, _, seal = (cookie or "").partition(".")
        right = hmac.compare_digest(seal.encode(), self._device_seal(name.strip(), device).encode())
        return device if device and right else None

    def _device_seal(self, name: str, device: str) -> str:
        message = f"device\x00{name}\x00{device}".encode(errors="replace")
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()


async def _shut(connection: AsyncConnection, kind: str, subject: str, limit: int, now: datetime) -> timedelta | None:
    times: Sequence[datetime] = (
        (
            await connection.execute(
                text("SELECT at FROM login_failures WHERE subject = :s AND at > :since ORDER BY at DESC LIMIT :limit"),
                {"s": subject, "since": now - WITHIN, "limit": limit},
            )
        )
        .scalars()
        .all()
    )
    if len(times) < limit:
        return None
    until = times[0] + SLOW if kind == "account" else times[-1] + WITHIN
    return until - now if until > now else None


def _verify(hashed: str, password: str) -> bool:
    if len(password) > PASSWORD_AT_MOST:
        return False
    try:
        return _HASHER.verify(hashed, password.encode(errors="replace"))
    except (VerificationError, InvalidHashError):
        return False
