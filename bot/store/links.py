"""One-time links: whoever holds one is that account, once. Only a keyed hash of the token is stored (`bearer`).

`login` opens a session (the demo alone); `password` lets its holder choose a password (invitation, reset).
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.bearer import Bearer

Purpose = Literal["login", "password"]
LASTS = {"login": timedelta(minutes=10), "password": timedelta(hours=72)}


async def make(connection: AsyncConnection, bearer: Bearer, user_id: int, purpose: Purpose, now: datetime) -> str:
    """A token for that account. An earlier `password` link of the account opens nothing any more."""
    token, until = secrets.token_urlsafe(32), now + LASTS[purpose]
    mark = bearer.mark("link", token)
    await connection.execute(
        text("""
            DELETE FROM login_links WHERE expires_at < :now OR (user_id = :user AND purpose = 'password' AND :again)
        """),
        {"now": now, "user": user_id, "again": purpose == "password"},
    )
    await connection.execute(
        text("""
            INSERT INTO login_links (token_hash, user_id, purpose, expires_at, seal)
            VALUES (:mark, :user, :purpose, :until, :seal)
        """),
        {"mark": mark, "user": user_id, "purpose": purpose, "until": until,
         "seal": bearer.seal(mark, user_id, purpose, until)},
    )  # fmt: skip
    return token


async def holder(
    connection: AsyncConnection, bearer: Bearer, token: str, purpose: Purpose, now: datetime
) -> int | None:
    """The account of a link that would open, which stays as it is."""
    row = (
        await connection.execute(
            text("""
                SELECT l.token_hash, l.seal, l.user_id, l.expires_at FROM login_links l JOIN users u ON u.id = l.user_id
                WHERE l.token_hash = ANY(:marks) AND l.purpose = :purpose AND l.expires_at > :now AND u.disabled_at IS NULL
            """),
            {"marks": bearer.marks("link", token), "purpose": purpose, "now": now},
        )
    ).one_or_none()
    return _account(bearer, row, purpose)


async def spend(connection: AsyncConnection, bearer: Bearer, token: str, purpose: Purpose, now: datetime) -> int | None:
    """The account of a link, which is spent by this; None when it was spent, is too old or never was."""
    row = (
        await connection.execute(
            text("""
                WITH used AS (
                    DELETE FROM login_links WHERE token_hash = ANY(:marks) AND purpose = :purpose
                    RETURNING token_hash, seal, user_id, expires_at)
                SELECT used.* FROM used JOIN users u ON u.id = used.user_id
                WHERE used.expires_at > :now AND u.disabled_at IS NULL
            """),
            {"marks": bearer.marks("link", token), "purpose": purpose, "now": now},
        )
    ).one_or_none()
    return _account(bearer, row, purpose)


def _account(bearer: Bearer, row: Any, purpose: Purpose) -> int | None:
    if row is None or not bearer.fits(row.seal, row.token_hash, row.user_id, purpose, row.expires_at):
        return None
    return int(row.user_id)
