"""Accounts that were closed long ago: who it was goes once the audit no longer names them; their number stays, for counts.

An account stays whole as long as the audit holds a line of theirs, and while a legal hold stands that they
placed, or on a conversation in which they wrote or decided something.

The owner's functions do it (schema 0012): the purge runs in a worker, whose role reads and writes no account.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.retention import Counts

_COUNT = text("SELECT count(*) FROM former_accounts(:before)")
_FORGET = text("SELECT name, n FROM forget_accounts(:before, :most)")


async def due(connection: AsyncConnection, before: datetime) -> int:
    """How many accounts closed before that time would be pseudonymised."""
    return int(await connection.scalar(_COUNT, {"before": before}) or 0)


async def pseudonymise(connection: AsyncConnection, before: datetime, most: int) -> Counts:
    """Take who they were out of at most so many of them; table → rows that went or were emptied."""
    rows = await connection.execute(_FORGET, {"before": before, "most": most})
    return +Counter({row.name: row.n for row in rows})
