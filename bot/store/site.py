"""The site at a moment, for metrics and `planton top`: a handful of counts that indexes answer."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from bot.core.clock import SharedClock
from bot.store import its_clock
from bot.store.emergencies import UNREAD
from bot.watch.site import Queue, Site

DANGER, LIVE, BUNDLE = "danger", "live", "bundle"
LANES = ("emergency", "reply", "agent")
CATEGORIES = ("emergency", "urgent", "sensitive", "complaint", "witness", "thanks", "request")

# One statement, one round trip. Ages are of the clock that due times are written with.
SITE = """
WITH due AS (
    SELECT CASE WHEN due_priority = 0 THEN 'danger' WHEN due_priority < 7 THEN 'live' ELSE 'bundle' END AS label,
        count(*) AS n, min(due_at) AS first FROM conversations
    WHERE due_at <= %(now)s AND (lease_until IS NULL OR lease_until < clock_timestamp()) GROUP BY 1),
out AS (
    SELECT lane AS label, count(*) AS n, min(due_at) AS first FROM outbox
    WHERE status = 'queued' AND due_at <= %(now)s GROUP BY 1),
hand AS (
    SELECT category AS label, count(*) AS n, min(opened_at) FILTER (WHERE taken_at IS NULL) AS first
    FROM handoffs WHERE closed_at IS NULL GROUP BY 1),
acc AS (
    SELECT CASE WHEN stopped_at IS NOT NULL THEN 'stopped' WHEN paused_until > %(now)s THEN 'paused' ELSE 'ok' END AS label,
        count(*) AS n, NULL::timestamptz AS first
    FROM accounts GROUP BY 1),
one AS (
    SELECT 'leased' AS label, count(*) AS n, NULL::timestamptz AS first FROM conversations
    WHERE due_at IS NOT NULL AND lease_until >= clock_timestamp()
    UNION ALL SELECT 'later', count(*), NULL FROM conversations WHERE due_at > %(now)s
    UNION ALL SELECT 'in_flight', count(*), NULL FROM events WHERE disposition IS NULL
    UNION ALL SELECT 'refused', count(*), NULL FROM refused_values WHERE last_at > now() - interval '1 day')
SELECT 'due' AS part, label, n, first FROM due UNION ALL SELECT 'out', label, n, first FROM out
UNION ALL SELECT 'hand', label, n, first FROM hand UNION ALL SELECT 'acc', label, n, first FROM acc
UNION ALL SELECT 'one', label, n, first FROM one
"""


def site(rows: list[dict[str, Any]], unread: dict[str, Any] | None, now: datetime) -> Site:
    """A Site of the rows of SITE and of UNREAD."""
    parts: dict[str, dict[str, Queue]] = {"due": {}, "out": {}, "hand": {}, "acc": {}, "one": {}}
    for row in rows:
        parts[row["part"]][row["label"]] = Queue(row["n"], _age(row["first"], now))
    due, out, hand = parts["due"], parts["out"], parts["hand"]
    nothing = Queue()
    one = parts["one"]
    return Site(
        due={name: due.get(name, nothing) for name in (DANGER, LIVE, BUNDLE)},
        leased=one["leased"].count,
        later=one["later"].count,
        outbox={lane: out.get(lane, nothing) for lane in LANES},
        in_flight=one["in_flight"].count,
        handoffs={category: hand.get(category, nothing) for category in CATEGORIES},
        unread=Queue() if not unread or not unread["n"] else Queue(unread["n"], _age(unread["since"], now)),
        accounts={state: queue.count for state, queue in parts["acc"].items()},
        refused=one["refused"].count,
    )


def _age(first: datetime | None, now: datetime) -> float:
    return 0.0 if first is None else max(0.0, (now - first).total_seconds())


class SiteLook:
    """Looks on a connection of its own, which it opens when it is first asked and after a fault."""

    def __init__(self, url: str, name: str = "planton-watch", clock: SharedClock | None = None) -> None:
        """`clock`: hears PostgreSQL's with each new connection."""
        self._url, self._name, self._clock = url, name, clock
        self._connection: psycopg.AsyncConnection[dict[str, Any]] | None = None
        self._lock = asyncio.Lock()

    async def __call__(self, now: datetime) -> Site:
        """The site. Raises what the database raises."""
        rows, unread = await self.rows(now, SITE, UNREAD)
        return site(rows, unread[0] if unread else None, now)

    async def rows(self, now: datetime, *queries: LiteralString) -> list[list[dict[str, Any]]]:
        """The rows of queries, which may name `now`. Raises what the database raises."""
        async with self._lock:
            connection = await self._open()
            asked = {"now": now, "before": now}
            try:
                return [await (await connection.execute(query, asked)).fetchall() for query in queries]
            except BaseException:  # of who waits no longer, too: what is still coming must not answer the next question
                self._connection = None
                await connection.close()
                raise

    async def _open(self) -> psycopg.AsyncConnection[dict[str, Any]]:
        if self._connection is None:
            self._connection = await psycopg.AsyncConnection.connect(
                self._url,
                autocommit=True,
                connect_timeout=2,
                application_name=self._name,
                row_factory=dict_row,
                options="-c default_transaction_read_only=on -c statement_timeout=1500",
            )
            if self._clock is not None:
                await its_clock.ask_raw(self._connection, self._clock)
        return self._connection

    async def connect(self) -> None:
        """Open the connection, if it is not. Raises what the database raises."""
        async with self._lock:
            await self._open()

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
