"""The open crisis as the worker sees it: its message, and whether a person has had it."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.policy.crisis import Standing

_STANDING = text("""
    SELECT c.id, c.message, EXISTS (
        SELECT FROM outbox o WHERE o.conversation_id = :id AND o.dedup = 'crise:' || c.id) AS told
    FROM crises c WHERE c.opened_at IS NOT NULL AND c.closed_at IS NULL
""")


def name(crisis_id: int) -> str:
    """The outbox's own name of a crisis's message: it goes out once a person, whatever happens in between."""
    return f"crise:{crisis_id}"


async def standing(connection: AsyncConnection, conversation_id: int) -> Standing | None:
    """The open crisis, None when there is none."""
    row = (await connection.execute(_STANDING, {"id": conversation_id})).one_or_none()
    return None if row is None else Standing(row.id, row.message, row.told)
