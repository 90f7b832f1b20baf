"""Those who wait too long for their turn, and the one message that says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from bot.core.dialogue import Reply
from bot.policy.overload import Backlog, Waiter
from bot.policy.owner import AUTOMATION_WITHIN
from bot.store import blocks, outbox, places
from bot.store.codec import Codec
from bot.store.conversations import DANGER, LIVE, NEW
from bot.store.db import OUTBOX, Database, notify

NAME = "affluence:"  # begins the outbox's own name of such a message
PRIORITIES = [DANGER, NEW, LIVE]  # of the conversations: a night's bundles have been told in the night
PRIORITY = 5  # in the outbox: after replies to people who write now

_BACKLOG = text(f"""
    SELECT (SELECT extract(epoch FROM CAST(:now AS timestamptz) - min(d.due_at))
            FROM unnest(CAST(:priorities AS smallint[])) AS p(priority)
            CROSS JOIN LATERAL (
                SELECT due_at FROM conversations
                WHERE due_priority = p.priority AND due_at IS NOT NULL
                  AND (lease_until IS NULL OR lease_until < clock_timestamp())
                ORDER BY due_at LIMIT 1) d) AS turn,
           (SELECT extract(epoch FROM CAST(:now AS timestamptz) - o.due_at) FROM outbox o
            WHERE o.status = 'queued' AND o.lane = 'reply' AND o.priority <= {PRIORITY}
              AND NOT EXISTS (SELECT FROM accounts a
                              WHERE a.account = o.account AND (a.stopped_at IS NOT NULL OR a.paused_until > :now))
              AND NOT EXISTS (SELECT FROM outbox e WHERE e.conversation_id = o.conversation_id AND e.status = 'queued'
                                 AND e.lane <> 'emergency' AND e.id < o.id)
            ORDER BY o.priority, o.due_at LIMIT 1) AS reply
""")  # noqa: S608

# Words of somebody else's that no turn has judged yet: a human may have answered in Meta's inbox. What follows the first message
# for long within seconds is Meta's own instant reply, as `bot.policy.owner` will find.
_SPOKE = """EXISTS (SELECT FROM events m WHERE m.conversation_id = e.conversation_id
    AND m.kind IN ('text', 'quick_reply', 'attachment', 'postback') AND m.at {})"""
_WITHIN = f"interval '{AUTOMATION_WITHIN.total_seconds()} seconds'"
_ECHO = f"""EXISTS (
    SELECT FROM events e WHERE e.conversation_id = {{}} AND e.disposition IS NULL AND e.kind = 'echo'
      AND NOT ({_SPOKE.format(f"BETWEEN e.at - {_WITHIN} AND e.at")}
               AND NOT {_SPOKE.format(f"BETWEEN e.at - interval '25 hours' AND e.at - {_WITHIN}")}))"""

# The answer is there before its notice left: it would wait behind it. A row that somebody writes to is left for the next look:
# who waits for one while holding others may be waited for.
_OVERTAKEN = text(f"""
    UPDATE outbox SET status = 'cancelled', error_slug = 'answered'
    WHERE id IN (
        SELECT o.id FROM outbox o
        WHERE o.status = 'queued' AND o.lane = 'reply' AND o.dedup LIKE '{NAME}%' AND o.lease_until IS NULL AND NOT o.maybe_sent
          AND o.parts_sent = 0
          AND (EXISTS (SELECT FROM outbox e WHERE e.conversation_id = o.conversation_id AND e.status = 'queued' AND e.id > o.id)
               OR {_ECHO.format("o.conversation_id")})
        FOR UPDATE OF o SKIP LOCKED)
    RETURNING id
""")  # noqa: S608

# Whoever a worker holds is about to be answered. An echo or a tap alone waits for no answer.
_LATE = text(f"""
    SELECT c.id, c.due_at, c.owner, c.category, c.owner_version, c.last_person_at, c.last_agent_at,
           c.standby OR EXISTS (SELECT FROM events e WHERE e.conversation_id = c.id AND e.disposition IS NULL
                                   AND e.channel = 'standby') AS standby,
           EXISTS (SELECT FROM handoffs h WHERE h.conversation_id = c.id AND h.closed_at IS NULL
                      AND h.taken_at IS NOT NULL) AS attended,
           {blocks.STANDS} AS blocked,
           greatest(c.engine_told_at, c.emergency_at) AS told_at,
           {_ECHO.format("c.id")} AS answered
    FROM conversations c
    WHERE c.due_priority = ANY(CAST(:priorities AS smallint[])) AND c.due_at <= :before
      AND (c.due_at, c.id) > (:after, :id) AND (c.lease_until IS NULL OR c.lease_until < clock_timestamp())
      AND EXISTS (SELECT FROM events e WHERE e.conversation_id = c.id AND e.disposition IS NULL AND e.received_at <= :before
                     AND e.kind IN ('text', 'quick_reply', 'attachment', 'postback'))
    ORDER BY c.due_at, c.id LIMIT :limit FOR UPDATE OF c SKIP LOCKED
""")  # noqa: S608

# No apology for the engine follows within the hour; and whoever looked at the row in the same moment looks at it again.
_TOLD = text("UPDATE conversations SET engine_told_at = :now WHERE id = ANY(:ids)")


@dataclass(frozen=True)
class Mark:
    """Where a walk through those who wait has got to."""

    due_at: datetime
    id: int = 0


class Late:
    """Finds those who write now and wait, and tells them."""

    def __init__(self, database: Database, codec: Codec) -> None:
        self._db = database
        self._codec = codec

    async def backlog(self, now: datetime) -> Backlog:
        """How long the first in each queue has waited."""
        async with self._db.begin() as connection:
            row = (await connection.execute(_BACKLOG, {"now": now, "priorities": PRIORITIES})).one()
        return Backlog(max(0.0, float(row.turn or 0)), max(0.0, float(row.reply or 0)))

    async def withdraw(self) -> int:
        """Withdraw the notices whose person has an answer under way; how many."""
        async with self._db.begin() as connection:
            done = (await connection.execute(_OVERTAKEN)).all()
            if done:
                await notify(connection, OUTBOX)
        return len(done)

    async def tell(
        self,
        now: datetime,
        waited: timedelta,
        after: Mark,
        limit: int,
        judge: Callable[[Waiter], bool],
        reply: Reply,
    ) -> tuple[Mark | None, int]:
        """Tell those of the next `limit` who have waited for `waited` and whom `judge` lets tell: where to go on (None: the
        end), and how many were told. A person whom a worker takes up meanwhile is left to it."""
        async with self._db.begin() as connection:
            values = {
                "priorities": PRIORITIES,
                "before": now - waited,
                "after": after.due_at,
                "id": after.id,
                "limit": limit,
            }
            rows = (await connection.execute(_LATE, values)).all()
            told: list[int] = []
            numbers = await places.numbers(connection, "outbox", len(rows))
            for row, number in zip(rows, numbers, strict=True):
                waiter = Waiter(
                    row.owner,
                    row.category,
                    row.standby,
                    row.attended,
                    row.blocked,
                    row.last_person_at,
                    row.last_agent_at,
                    row.told_at,
                    row.answered,
                )
                if not judge(waiter):
                    continue
                new = outbox.NewRow(
                    row.id,
                    "reply",
                    "system",
                    reply,
                    now,
                    priority=PRIORITY,
                    owner_version=row.owner_version,
                    dedup=f"{NAME}{row.due_at.astimezone(UTC).isoformat()}",  # of this wait: the same for every worker
                    id=number,
                )
                if await outbox.add(connection, self._codec, new) is not None:
                    told.append(row.id)
            if told:
                await connection.execute(_TOLD, {"now": now, "ids": told})
        return (Mark(rows[-1].due_at, rows[-1].id) if len(rows) == limit else None), len(told)
