"""Deadlines of a first human reply, by priority; what is about to miss its own is told, and what was snoozed returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.clock import AHEAD
from bot.policy.intents import PRIORITY
from bot.store import audit, news
from bot.store.accounts import User
from bot.store.db import Database
from bot.store.desk.errors import DeskError
from bot.store.snoozes import SNOOZE_AT_MOST

AT_LEAST, AT_MOST = timedelta(minutes=1), timedelta(days=30)
ALERT, CHANGED = "alert", "deadlines"  # news tokens
AT_ONCE = 5000  # hand-offs that one look settles; the next look goes on


class BadDeadline(DeskError):
    """A duration does not do. `priority`: whose; `field`: delai or alerte, as the form calls it."""

    def __init__(self, priority: int, field: str, what: str, remedy: str) -> None:
        super().__init__(what, remedy)
        self.priority, self.field = priority, field


@dataclass(frozen=True)
class Deadline:
    """A first human reply is expected `within`; the alert comes `alert_before` the end."""

    priority: int
    within: timedelta
    alert_before: timedelta
    updated_at: datetime | None = None
    updated_by: str | None = None


class Deadlines:
    """The deadlines, and the look that is taken every few seconds."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def all(self) -> tuple[Deadline, ...]:
        """Every priority's, the most pressing first."""
        async with self._db.begin() as connection:
            return await read(connection)

    async def set(self, by: User, wanted: Mapping[int, tuple[timedelta, timedelta]], now: datetime) -> None:
        """Change them: priority → (within, alert_before). Hand-offs that are open keep the time they were given.

        Raises BadDeadline.
        """
        for priority, (within, before) in wanted.items():
            _check(priority, within, before)
        async with self._db.begin() as connection:
            for old in await read(connection):
                within, before = wanted.get(old.priority, (old.within, old.alert_before))
                if (within, before) == (old.within, old.alert_before):
                    continue
                await connection.execute(
                    text("""
                        UPDATE deadlines SET within = :within, alert_before = :before, updated_at = :now, updated_by = :by
                        WHERE priority = :priority
                    """),
                    {"within": within, "before": before, "now": now, "by": by.id, "priority": old.priority},
                )
                minutes: dict[str, Any] = {
                    "within": _minutes(within),
                    "alert_before": _minutes(before),
                    "within_was": _minutes(old.within),
                    "alert_before_was": _minutes(old.alert_before),
                }
                await audit.record(connection, now, by.id, "deadline_changed", priority=old.priority, **minutes)
                await news.topic(connection, CHANGED)

    async def look(self, now: datetime) -> tuple[int, int]:
        """Wake what was snoozed until now, tell what is about to miss its deadline; (woken, told).

        Several processes may look at once: each hand-off is woken and told once.
        """
        async with self._db.begin() as connection:
            return await _wake(connection, now), await _tell(connection, now)


async def read(connection: AsyncConnection) -> tuple[Deadline, ...]:
    """As `Deadlines.all`, in the caller's transaction."""
    rows = await connection.execute(
        text("""
            SELECT d.priority, d.within, d.alert_before, d.updated_at, u.name
            FROM deadlines d LEFT JOIN users u ON u.id = d.updated_by ORDER BY d.priority
        """)
    )
    return tuple(Deadline(*row) for row in rows)


def _check(priority: int, within: timedelta, before: timedelta) -> None:
    if not AT_LEAST <= within <= AT_MOST:
        raise BadDeadline(priority, "delai", "Ce délai ne convient pas.", "Donnez une durée de 1 minute à 30 jours.")
    if not timedelta(0) <= before < within:
        raise BadDeadline(
            priority, "alerte", "Cette alerte ne convient pas.", "Elle doit être plus courte que le délai."
        )


def _minutes(span: timedelta) -> int:
    return int(span.total_seconds() // 60)


async def _wake(connection: AsyncConnection, now: datetime) -> int:
    woken = (
        await connection.execute(
            text("""
                UPDATE handoffs SET snoozed_until = NULL WHERE id IN (
                    SELECT id FROM handoffs
                    WHERE closed_at IS NULL AND (snoozed_until <= :now OR snoozed_until > :stale)
                    ORDER BY snoozed_until LIMIT :most FOR UPDATE SKIP LOCKED)
                RETURNING id, conversation_id, priority
            """),
            {"now": now, "stale": now + SNOOZE_AT_MOST + AHEAD, "most": AT_ONCE},
        )
    ).all()
    for row in woken:
        await audit.record(connection, now, None, "wake", row.conversation_id, handoff=row.id)
        await news.conversation(connection, row.conversation_id)
        await news.topic(connection, "handoff", row.priority)
    return len(woken)


async def _tell(connection: AsyncConnection, now: datetime) -> int:
    told = await connection.execute(
        text("""
            UPDATE handoffs SET alerted_at = :now WHERE id IN (
                SELECT h.id FROM handoffs h JOIN deadlines d ON d.priority = h.priority
                WHERE h.closed_at IS NULL AND h.replied_at IS NULL AND h.alerted_at IS NULL
                  AND h.priority <> :thanks
                  AND h.due_at <= CAST(:now AS timestamptz) + (SELECT max(alert_before) FROM deadlines)
                  AND h.due_at <= CAST(:now AS timestamptz) + d.alert_before
                  AND (h.snoozed_until IS NULL OR h.snoozed_until <= :now)
                ORDER BY h.due_at LIMIT :most FOR UPDATE OF h SKIP LOCKED)
        """),
        {"now": now, "most": AT_ONCE, "thanks": PRIORITY["thanks"]},
    )
    if told.rowcount:
        await news.topic(connection, ALERT)
    return int(told.rowcount)
