"""Who has a conversation's page open, and who writes there: seen by the others, kept for seconds only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from bot.core.clock import AHEAD
from bot.policy.rights import Capability
from bot.store import news
from bot.store.accounts import User
from bot.store.desk.access import Desk

HERE_FOR = timedelta(seconds=30)  # without a sign of life
WRITES_FOR = timedelta(seconds=10)
TOPIC = "presence"


@dataclass(frozen=True)
class Present:
    """A colleague on the same page."""

    user_id: int
    name: str
    writes: bool


class PresenceStore:
    """Signs of life. `now` is the sessions' clock."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def others(self, user: User, conversation_id: int, now: datetime) -> Sequence[Present]:
        """Who else is there, those who write first."""
        async with self._desk.database.begin() as connection:
            rows = await connection.execute(
                text("""
                    SELECT p.user_id, u.name, coalesce(p.writing_at > :writes, false) AS writes
                    FROM presence p JOIN users u ON u.id = p.user_id
                    WHERE p.conversation_id = :id AND p.user_id <> :user
                      AND p.seen_at > :here AND p.seen_at <= :ahead
                    ORDER BY writes DESC, u.name
                """),
                {
                    "id": conversation_id,
                    "user": user.id,
                    "here": now - HERE_FOR,
                    "writes": now - WRITES_FOR,
                    "ahead": now + AHEAD,
                },
            )
            return [Present(row.user_id, row.name, row.writes) for row in rows]

    async def beat(self, user: User, conversation_id: int, writes: bool, now: datetime) -> None:
        """A sign of life; the others' pages are told when something changed by it."""
        values = {"id": conversation_id, "user": user.id, "now": now, "writing": now if writes else None}
        async with self._desk.database.begin(durable=False) as connection:
            await self._desk.access(connection, user, conversation_id, Capability.READ)
            before = (
                await connection.execute(
                    text("SELECT seen_at, writing_at FROM presence WHERE conversation_id = :id AND user_id = :user"),
                    values,
                )
            ).one_or_none()
            await connection.execute(
                text("""
                    INSERT INTO presence (conversation_id, user_id, seen_at, writing_at) VALUES (:id, :user, :now, :writing)
                    ON CONFLICT (conversation_id, user_id) DO UPDATE SET seen_at = :now, writing_at = :writing
                """),
                values,
            )
            here = before if before is not None and before.seen_at > now - HERE_FOR else None
            wrote = here is not None and here.writing_at is not None and here.writing_at > now - WRITES_FOR
            if here is None:  # somebody comes: what crashed pages left behind goes
                await connection.execute(
                    text("DELETE FROM presence WHERE seen_at < :old"), {"old": now - timedelta(hours=1)}
                )
            if here is None or wrote != writes:
                await news.topic(connection, TOPIC, conversation_id)

    async def leave(self, user: User, conversation_id: int) -> None:
        """The page was closed."""
        async with self._desk.database.begin(durable=False) as connection:
            gone = await connection.execute(
                text("DELETE FROM presence WHERE conversation_id = :id AND user_id = :user"),
                {"id": conversation_id, "user": user.id},
            )
            if gone.rowcount:
                await news.topic(connection, TOPIC, conversation_id)
