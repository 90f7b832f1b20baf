"""The brake on guessing: failures are counted by subject, and the door opens again by itself."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.clock import AHEAD
from bot.store.db import Database

WITHIN = timedelta(minutes=15)  # failures are counted over this long
PER_PAIR = 5  # one account from one address
PER_ADDRESS = 30  # one address, whatever the account
PER_ACCOUNT = 50  # one account from everywhere: beyond, one try every SLOW
PER_DEVICE = 10  # a browser that this account used before; beyond, it is treated as any other
PER_CODES = 10  # second factors of one account, from everywhere: whoever gets there knows the password
PER_JOURNEYS = (
    300  # one address, to the identity provider and back, until the log-in: a whole service may begin at once
)
SLOW = timedelta(seconds=10)

_LIMITS = {
    "pair": PER_PAIR,
    "address": PER_ADDRESS,
    "account": PER_ACCOUNT,
    "device": PER_DEVICE,
    "code": PER_CODES,
    "journey": PER_JOURNEYS,
}
_OWN = ("pair", "device", "code")  # begin anew with a success; the others keep the failures of others
_ORDER = ("device", "pair", "address", "account", "code", "journey")


def place(address: str) -> str:
    """Where somebody is, to count by: whoever has an IPv6 address has the 2⁶⁴ of its network."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(found), 64), strict=False))


class Throttle:
    """Counts tries. `secret_key` keys the subjects, so that no typed name or password is stored."""

    def __init__(self, database: Database, secret_key: str) -> None:
        self._db = database
        self._key = secret_key.encode()

    def subject(self, kind: str, *parts: str) -> str:
        """What failures are counted by."""
        message = "\x00".join((kind, *parts)).encode(errors="replace")
        return kind + ":" + hmac.new(self._key, message, hashlib.sha256).hexdigest()

    async def reserve(self, subjects: Mapping[str, str], now: datetime) -> timedelta | None:
        """Count this try as a failure (taken back if it succeeds), or say how long the door stays shut.

        `subjects`: by kind. The lock makes tries of one account one by one: a thousand at once are not counted as the
        first.
        """
        async with self._db.begin() as connection:
            for subject in sorted(subjects.values()):
                await connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:s, 7))"), {"s": subject})
            for kind in sorted(subjects, key=_ORDER.index):
                shut = await _shut(connection, kind, subjects[kind], now)
                if shut is not None:
                    return shut
            await connection.execute(
                text("INSERT INTO login_failures (subject, at) SELECT unnest(CAST(:subjects AS text[])), :now"),
                {"subjects": list(subjects.values()), "now": now},
            )
        return None

    async def forgive(self, subjects: Mapping[str, str], now: datetime) -> None:
        """It was right: this try is no failure, and the counts of one's own begin anew."""
        own = [subject for kind, subject in subjects.items() if kind in _OWN]
        shared = [subject for kind, subject in subjects.items() if kind not in _OWN]
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

    async def take_back(self, subject: str, tries: int = 1) -> None:
        """The last `tries` of that subject were no failures after all."""
        async with self._db.begin() as connection:
            await connection.execute(
                text("""
                    DELETE FROM login_failures WHERE ctid = ANY(ARRAY(
                        SELECT ctid FROM login_failures WHERE subject = :subject ORDER BY at DESC LIMIT :tries))
                """),
                {"subject": subject, "tries": tries},
            )


async def _shut(connection: AsyncConnection, kind: str, subject: str, now: datetime) -> timedelta | None:
    limit = _LIMITS[kind]
    times: Sequence[datetime] = (
        (
            await connection.execute(
                text("""
                    SELECT at FROM login_failures WHERE subject = :s AND at > :since AND at <= :ahead
                    ORDER BY at DESC LIMIT :limit
                """),
                {"s": subject, "since": now - WITHIN, "ahead": now + AHEAD, "limit": limit},
            )
        )
        .scalars()
        .all()
    )
    if len(times) < limit:
        return None
    until = times[0] + SLOW if kind == "account" else times[-1] + WITHIN
    return until - now if until > now else None
