"""What Meta last said of each account's token. The sender writes it; `doctor` and the heartbeat read it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def note(
    connection: AsyncConnection,
    account: str,
    now: datetime,
    valid: bool,
    expires_at: datetime | None = None,
    data_expires_at: datetime | None = None,
    missing: Sequence[str] = (),
) -> None:
    """Keep Meta's answer."""
    await connection.execute(
        text("""
            INSERT INTO meta_tokens (account, asked_at, valid, expires_at, data_expires_at, missing)
            VALUES (:account, :now, :valid, :expires, :data, :missing)
            ON CONFLICT (account) DO UPDATE SET asked_at = excluded.asked_at, valid = excluded.valid,
                expires_at = excluded.expires_at, data_expires_at = excluded.data_expires_at, missing = excluded.missing
        """),
        {
            "account": account,
            "now": now,
            "valid": valid,
            "expires": expires_at,
            "data": data_expires_at,
            "missing": list(missing),
        },
    )


async def forget(connection: AsyncConnection, account: str) -> None:
    """Meta does not answer that question: what it said earlier may not be true any more."""
    await connection.execute(text("DELETE FROM meta_tokens WHERE account = :account"), {"account": account})
