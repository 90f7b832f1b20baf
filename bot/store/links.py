"""One-time links: whoever holds one is that account, once. Only a SHA-256 of the token is stored.

`login` opens a session (the demo alone); `password` lets its holder choose a password (invitation, reset).
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

Purpose = Literal["login", "password"]
LASTS = {"login": timedelta(minutes=10), "password": timedelta(hours=72)}


def digest(token: str) -> bytes:
    """What is stored of a token."""
    return hashlib.sha256(token.encode(errors="replace")).digest()


async def make(connection: AsyncConnection, user_id: int, purpose: Purpose, now: datetime) -> str:
    """A token for that account. An earlier `password` link of the account opens nothing any more."""
    token = secrets.token_urlsafe(32)
    await connection.execute(
        text("""
            DELETE FROM login_links WHERE expires_at < :now OR (user_id = :user AND purpose = 'password' AND :again)
        """),
        {"now": now, "user": user_id, "again": purpose == "password"},
    )
    await connection.execute(
        text("""
            INSERT INTO login_links (token_hash, user_id, purpose, expires_at) VALUES (:hash, :user, :purpose, :until)
        """),
        {"hash": digest(token), "user": user_id, "purpose": purpose, "until": now + LASTS[purpose]},
    )
    return token


async def holder(connection: AsyncConnection, token: str, purpose: Purpose, now: datetime) -> int | None:
    """The account of a link that would open, which stays as it is."""
    found = await connection.scalar(
        text("""
            SELECT l.user_id FROM login_links l JOIN users u ON u.id = l.user_id
            WHERE l.token_hash = :hash AND l.purpose = :purpose AND l.expires_at > :now AND u.disabled_at IS NULL
        """),
        {"hash": digest(token), "purpose": purpose, "now": now},
    )
    return None if found is None else int(found)


async def spend(connection: AsyncConnection, token: str, purpose: Purpose, now: datetime) -> int | None:
    """The account of a link, which is spent by this; None when it was spent, is too old or never was."""
    found = await connection.scalar(
        text("""
            WITH used AS (
                DELETE FROM login_links WHERE token_hash = :hash AND purpose = :purpose RETURNING user_id, expires_at)
            SELECT u.id FROM used JOIN users u ON u.id = used.user_id
            WHERE used.expires_at > :now AND u.disabled_at IS NULL
        """),
        {"hash": digest(token), "purpose": purpose, "now": now},
    )
    return None if found is None else int(found)
