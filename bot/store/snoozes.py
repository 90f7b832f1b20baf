"""Hand-offs that come back later. A snooze is a later due time of the conversation, so that no timer has to live for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store import audit, news

SNOOZE_AT_MOST = timedelta(days=30)


async def snooze(connection: AsyncConnection, conversation_id: int, handoff_id: int, until: datetime, by: int) -> None:
    """Put a hand-off off; the worker looks at the conversation again at that time."""
    await connection.execute(
        text("UPDATE handoffs SET snoozed_until = :until, snoozed_by = :by WHERE id = :id"),
        {"until": until, "by": by, "id": handoff_id},
    )
    await _due(connection, conversation_id, until)


async def look(connection: AsyncConnection, conversation_id: int, now: datetime) -> None:
    """Called when a turn ends: wake what is past its time; what still sleeps keeps the conversation due then."""
    row = (
        await connection.execute(
            text("""
                SELECT id, snoozed_until FROM handoffs
                WHERE conversation_id = :id AND closed_at IS NULL AND snoozed_until IS NOT NULL
            """),
            {"id": conversation_id},
        )
    ).one_or_none()
    if row is None:
        return
    if row.snoozed_until > now:
        await _due(connection, conversation_id, row.snoozed_until)
        return
    woken = await connection.execute(
        text("UPDATE handoffs SET snoozed_until = NULL WHERE id = :id AND snoozed_until <= :now"),
        {"id": row.id, "now": now},
    )
    if woken.rowcount != 1:
        return  # somebody else has just done so
    await audit.record(connection, now, None, "wake", conversation_id, handoff=row.id, by="time")
    await news.conversation(connection, conversation_id)


async def wake(connection: AsyncConnection, conversations: Sequence[int], now: datetime) -> None:
    """These people wrote: what was put off is due now."""
    rows = await connection.execute(
        text("""
            UPDATE handoffs SET snoozed_until = NULL
            WHERE conversation_id = ANY(:ids) AND closed_at IS NULL AND snoozed_until IS NOT NULL
            RETURNING id, conversation_id
        """),
        {"ids": list(conversations)},
    )
    for row in rows.all():
        await audit.record(connection, now, None, "wake", row.conversation_id, handoff=row.id, by="message")


async def _due(connection: AsyncConnection, conversation_id: int, until: datetime) -> None:
    await connection.execute(
        text("UPDATE conversations SET due_at = least(coalesce(due_at, :until), :until) WHERE id = :id"),
        {"until": until, "id": conversation_id},
    )
