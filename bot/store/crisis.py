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


async def withdraw(connection: AsyncConnection, crisis_id: int) -> int:
    """The mode closes: its message goes to nobody more. What a sender holds, or may have sent, is left, and what somebody writes
    to (to send it, or to cancel it): who waits for a row while holding others may be waited for. Returns how many."""
    done = await connection.execute(
        text("""
            UPDATE outbox SET status = 'cancelled', error_slug = 'crisis_closed'
            WHERE id IN (
                SELECT id FROM outbox
                WHERE dedup LIKE 'crise:%' AND dedup = :name AND status = 'queued' AND lease_until IS NULL
                  AND NOT maybe_sent AND parts_sent = 0
                FOR UPDATE SKIP LOCKED)
        """),
        {"name": name(crisis_id)},
    )
    return int(done.rowcount)
