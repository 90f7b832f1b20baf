"""A group's reply leaves: member by member, each judged again under the lock of their conversation, at a pace.

What a group still has to do stands in the database alone, and each member is queued in the transaction that says so:
a crash doubles nothing, and whoever comes next goes on. A member who is queued has a row of the outbox named after the
group (`groupe:<id>`), which can stand in a conversation once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.policy import window
from bot.policy.crisis import LOOKED_AT, NEVER_GROUPED
from bot.policy.rights import LEVELS, Capability
from bot.store import news
from bot.store.desk import replies
from bot.store.desk.access import SPOKEN, Desk
from bot.store.desk.grouping import TOPIC, WHY
from bot.store.user import USER, User, user_of

CLOSED = "repondu"  # why the hand-off of whom a group's reply reached is closed, in the words of the closing form
STOPPED = "group_stopped"
IN_FLIGHT = 2.0  # seconds of the pace that may be queued and unsent: little to withdraw, and agents' own replies pass


@dataclass(frozen=True)
class _Running:
    """A group whose reply is leaving."""

    id: int
    reply: str
    reply_by: int
    started_at: datetime
    upto: datetime
    validated_level: str | None
    by: User
    allowed: bool  # who let it go still may


_RUNNING = text(f"""
    SELECT {USER}, u.disabled_at, g.id AS group_id, g.reply, g.reply_by, g.started_at, g.upto, g.validated_level
    FROM message_groups g JOIN users u ON u.id = g.started_by
    WHERE g.started_at IS NOT NULL AND g.stopped_at IS NULL AND g.done_at IS NULL ORDER BY g.started_at, g.id
""")  # noqa: S608
# The worker has yet to read it. (What waits for the morning is understood: the bot answers it then.)
_UNREAD = """EXISTS (SELECT FROM events e WHERE e.conversation_id = m.conversation_id AND e.disposition IS NULL
            AND e.waiting IS DISTINCT FROM 'night' AND e.kind = ANY(CAST(:kinds AS text[])))"""
_NEXT = text(f"""
    SELECT m.conversation_id, m.seen FROM group_members m
    WHERE m.group_id = :group AND m.status = 'waiting' AND m.joined_at <= :upto AND NOT {_UNREAD}
    ORDER BY m.joined_at, m.conversation_id LIMIT :limit
""")  # noqa: S608
_JUDGED = text(f"""
    SELECT m.handoff_id, m.seen, m.status, m.admitted_at, h.category, c.owner_version, {WHY} AS why,
        {_UNREAD} AS unread,
        (SELECT steps FROM validation_rules r WHERE r.category = h.category) AS steps
    FROM group_members m JOIN conversations c ON c.id = m.conversation_id
    LEFT JOIN handoffs h ON h.conversation_id = c.id AND h.closed_at IS NULL
    WHERE m.group_id = :group AND m.conversation_id = :conversation FOR UPDATE OF m
""")  # noqa: S608


def name(group_id: int) -> str:
    """The outbox's own name of a group's reply: it can stand in a conversation once."""
    return f"groupe:{group_id}"


class Release:
    """Moves running groups on. Callers see to it that one process does so at a time. `pace`: people a second."""

    def __init__(self, desk: Desk, pace: int) -> None:
        self._desk = desk
        self._pace = pace

    async def step(self, now: datetime, people: int) -> int:
        """Settle what was sent, then queue the reply for at most so many people; returns how many were queued."""
        await self._overtaken(now)
        await self._settle(now)
        async with self._desk.database.begin() as connection:
            running = [_running(row) for row in await connection.execute(_RUNNING)]
        queued = 0
        for group in running:
            if not group.allowed:
                async with self._desk.database.begin() as connection:
                    await stop(connection, [group.id], None, now)
                continue
            queued += await self._move(group, people - queued, now)
        return queued

    async def _move(self, group: _Running, people: int, now: datetime) -> int:
        async with self._desk.database.begin() as connection:
            room = min(people, int(self._pace * IN_FLIGHT) - await _in_flight(connection))
            values = {"group": group.id, "upto": group.upto, "limit": max(0, room), "kinds": list(SPOKEN)}
            coming = (await connection.execute(_NEXT, values)).all()
        queued = 0
        for member in coming:
            queued += await self._answer(group, member.conversation_id, now)
        await self._finish(group, now)
        return queued

    async def _answer(self, group: _Running, conversation_id: int, now: datetime) -> int:
        """Queue the reply for one member, or say why not. 1 when it was queued."""
        async with self._desk.database.begin() as connection:
            if not await _still_running(connection, group):
                return 0
            conversation = await self._desk.access(connection, group.by, conversation_id, Capability.WORK)
            member = (
                await connection.execute(_JUDGED, {"group": group.id, "conversation": conversation_id, **judging(now)})
            ).one_or_none()
            if member is None or member.status != "waiting" or (member.unread and member.why is None):
                return 0  # the worker is reading what just came in: the next step decides
            why = member.why or _needs(member, group)
            if why is not None:
                status = "held" if why == "sensitive" and member.category in LOOKED_AT else "skipped"
                await _mark(connection, group.id, conversation_id, status, why, now)
                return 0
            row = await replies.queue(
                connection, self._desk, conversation, group.reply_by, group.reply, name(group.id), now,
                owner_version=member.owner_version,
            )  # fmt: skip
            if row is None:  # it stands there from before: the outbox says what became of it
                row = await _standing(connection, conversation_id, name(group.id))
            await connection.execute(
                text("""
                    UPDATE group_members SET status = 'queued', why = NULL, outbox_id = :row, at = :now
                    WHERE group_id = :group AND conversation_id = :conversation
                """),
                {"row": row, "now": now, "group": group.id, "conversation": conversation_id},
            )
            await self._desk.done(connection, now, group.by, "reply", conversation_id, outbox=row, group=group.id)
            await tell(connection, group.id)
            return 1

    async def _overtaken(self, now: datetime) -> None:
        """Who wrote again while the reply was still on its way is not answered past what they say."""
        async with self._desk.database.begin() as connection:
            await _lock_people(connection, f"m.status = 'queued' AND {_WROTE}", kinds=list(SPOKEN))
            late = (await connection.execute(_LATE, {"kinds": list(SPOKEN)})).all()
            for row in late:
                await give_back(connection, row.outbox_id)
                await _mark(connection, row.group_id, row.conversation_id, "skipped", "wrote_since", now)

    async def _settle(self, now: datetime) -> None:
        """Whom the reply reached is answered, and their hand-off closed; whom it could not reach waits for an agent."""
        async with self._desk.database.begin() as connection:
            rows = (await connection.execute(_OUTCOMES)).all()
        for row in rows:
            await self._settle_one(row, now)

    async def _settle_one(self, row: Row[Any], now: datetime) -> None:
        async with self._desk.database.begin() as connection:
            await connection.execute(
                text("SELECT 1 FROM conversations WHERE id = :id FOR UPDATE"), {"id": row.conversation_id}
            )
            if row.outcome != "sent":
                await give_back(connection, row.outbox_id)
                status, why = "failed", row.error_slug
                if why in ("owner_changed", "window_closed", "too_old"):  # the sender judged once more
                    status, why = "skipped", await self._why(connection, row, now)
                await _mark(connection, row.group_id, row.conversation_id, status, why, now)
                return
            await _mark(connection, row.group_id, row.conversation_id, "sent", None, now)
            values = {"seen": row.seen, "now": now, "kinds": list(SPOKEN), "never": list(NEVER_GROUPED)}
            closed = await connection.scalar(_CLOSE, {"id": row.handoff_id, "why": CLOSED, **values})
            if closed is not None:
                await connection.execute(
                    text("""
                        UPDATE conversations SET owner = 'closed', agent_id = NULL, owner_version = owner_version + 1,
                            owner_until = NULL, category = 'none', state = NULL WHERE id = :id
                    """),
                    {"id": row.conversation_id},
                )
            await news.conversation(connection, row.conversation_id)

    @staticmethod
    async def _why(connection: AsyncConnection, row: Row[Any], now: datetime) -> str:
        values = {"group": row.group_id, "conversation": row.conversation_id, **judging(now)}
        judged = (await connection.execute(_JUDGED, values)).one()
        return judged.why or ("taken" if row.error_slug == "owner_changed" else "window_closed")

    async def _finish(self, group: _Running, now: datetime) -> None:
        """The group is done when nobody who was in it at the start is left to answer or on the way."""
        async with self._desk.database.begin() as connection:
            done = await connection.execute(
                text("""
                    UPDATE message_groups g SET done_at = :now
                    WHERE g.id = :group AND g.started_at = :started AND g.stopped_at IS NULL AND g.done_at IS NULL
                      AND NOT EXISTS (SELECT FROM group_members m WHERE m.group_id = g.id
                          AND (m.status = 'queued' OR m.status = 'waiting' AND m.joined_at <= g.upto))
                """),
                {"now": now, "group": group.id, "started": group.started_at},
            )
            if done.rowcount:
                await tell(connection, group.id)


_OUTCOMES = text("""
    SELECT m.group_id, m.conversation_id, m.handoff_id, m.seen, m.outbox_id, o.error_slug,
        CASE WHEN o.status = 'sent' THEN 'sent' ELSE 'failed' END AS outcome
    FROM group_members m JOIN outbox o ON o.id = m.outbox_id
    WHERE m.status = 'queued' AND o.status <> 'queued' ORDER BY m.outbox_id LIMIT 500
""")
_WROTE = """EXISTS (
          SELECT FROM events e WHERE e.conversation_id = m.conversation_id AND e.id > m.seen
            AND e.kind = ANY(CAST(:kinds AS text[])))"""
_LATE = text(f"""
    UPDATE outbox o SET status = 'cancelled', error_slug = 'wrote_since', dedup = NULL
    FROM group_members m
    WHERE m.outbox_id = o.id AND m.status = 'queued' AND o.status = 'queued' AND o.lease_until IS NULL
      AND NOT o.maybe_sent AND o.parts_sent = 0 AND {_WROTE}
    RETURNING o.id AS outbox_id, m.group_id, m.conversation_id
""")  # noqa: S608
# A hand-off that somebody took meanwhile, that became pressing, or to which the person added something, stays open.
_CLOSE = text("""
    UPDATE handoffs h SET closed_at = :now, outcome = 'closed', close_reason = :why
    FROM conversations c
    WHERE h.id = :id AND h.closed_at IS NULL AND c.id = h.conversation_id AND c.owner = 'waiting'
      AND h.category <> ALL(CAST(:never AS text[]))
      AND h.assignee_id IS NULL AND NOT EXISTS (
          SELECT FROM events e WHERE e.conversation_id = c.id AND e.id > :seen
            AND (e.kind = ANY(CAST(:kinds AS text[])) OR e.kind = 'echo' AND e.reason = 'inbox_reply'))
    RETURNING h.id
""")


def judging(now: datetime) -> dict[str, Any]:
    """What the query WHY needs."""
    return {"now": now, "standard": window.STANDARD, "kinds": list(SPOKEN), "never": list(NEVER_GROUPED)}


def _running(row: Row[Any]) -> _Running:
    by = user_of(row)
    allowed = row.disabled_at is None and by.may(Capability.WORK) and by.may(Capability.RUN_CRISIS)
    return _Running(row.group_id, row.reply, row.reply_by, row.started_at, row.upto, row.validated_level, by, allowed)


def _needs(member: Row[Any], group: _Running) -> str | None:
    """Why the present category of a member forbids the reply, or None."""
    if member.category in LOOKED_AT and member.admitted_at is None:
        return "sensitive"
    asked = max((LEVELS.index(step) for step in member.steps or ()), default=-1)
    given = -1 if group.validated_level is None else LEVELS.index(group.validated_level)
    return "needs_validation" if asked > given else None


async def _still_running(connection: AsyncConnection, group: _Running) -> bool:
    """Whether nobody has stopped it; who wants to stop it waits for the end of this transaction."""
    return bool(
        await connection.scalar(
            text("""
                SELECT true FROM message_groups
                WHERE id = :id AND started_at = :started AND stopped_at IS NULL AND done_at IS NULL FOR SHARE
            """),
            {"id": group.id, "started": group.started_at},
        )
    )


async def _in_flight(connection: AsyncConnection) -> int:
    return int(
        await connection.scalar(
            text("""
                SELECT count(*) FROM group_members m JOIN outbox o ON o.id = m.outbox_id
                WHERE m.status = 'queued' AND o.status = 'queued'
            """)
        )
        or 0
    )


async def _standing(connection: AsyncConnection, conversation_id: int, dedup: str) -> int | None:
    number: int | None = await connection.scalar(
        text("SELECT id FROM outbox WHERE conversation_id = :id AND dedup = :dedup"),
        {"id": conversation_id, "dedup": dedup},
    )
    return number


async def _mark(
    connection: AsyncConnection, group_id: int, conversation_id: int, status: str, why: str | None, now: datetime
) -> None:
    await connection.execute(
        text("""
            UPDATE group_members SET status = :status, why = :why, at = :now
            WHERE group_id = :group AND conversation_id = :conversation
        """),
        {"status": status, "why": why, "now": now, "group": group_id, "conversation": conversation_id},
    )
    await tell(connection, group_id)


async def stop(connection: AsyncConnection, group_ids: Sequence[int], user_id: int | None, now: datetime) -> int:
    """Stop running groups at once; returns how many replies were taken back."""
    await connection.execute(
        text("UPDATE message_groups SET stopped_at = :now, stopped_by = :user WHERE id = ANY(:ids)"),
        {"now": now, "user": user_id, "ids": list(group_ids)},
    )
    withdrawn = await withdraw(connection, group_ids, now)
    for number in group_ids:
        await tell(connection, number)
    return withdrawn


async def withdraw(connection: AsyncConnection, group_ids: Sequence[int], now: datetime) -> int:
    """Take back what is queued and surely unsent; returns how many. What a sender holds goes on, and is counted so."""
    await _lock_people(connection, "m.status = 'queued' AND m.group_id = ANY(:groups)", groups=list(group_ids))
    rows = (
        await connection.execute(
            text("""
                UPDATE outbox o SET status = 'cancelled', error_slug = :why, dedup = NULL
                FROM group_members m
                WHERE m.outbox_id = o.id AND m.group_id = ANY(:groups) AND m.status = 'queued' AND o.status = 'queued'
                  AND o.lease_until IS NULL AND NOT o.maybe_sent AND o.parts_sent = 0
                RETURNING o.id
            """),
            {"why": STOPPED, "groups": list(group_ids)},
        )
    ).all()
    for row in rows:
        await give_back(connection, row.id)
    await connection.execute(
        text("""
            UPDATE group_members SET status = 'withdrawn', why = NULL, outbox_id = NULL, at = :now
            WHERE outbox_id = ANY(:ids) AND status = 'queued'
        """),
        {"ids": [row.id for row in rows], "now": now},
    )
    return len(rows)


async def _lock_people(connection: AsyncConnection, members: str, **values: Any) -> None:
    """Lock the conversations of these members, before their messages, and in the gateway's order: no circle of waiting."""
    await connection.execute(
        text(f"""
            SELECT 1 FROM conversations WHERE id IN (SELECT m.conversation_id FROM group_members m WHERE {members})
            ORDER BY platform COLLATE "C", account COLLATE "C", person COLLATE "C" FOR UPDATE
        """),  # noqa: S608
        values,
    )


async def give_back(connection: AsyncConnection, outbox_id: int) -> None:
    """No human answered after all: what queueing the reply noted is undone, so that figures stay honest."""
    await connection.execute(
        text("SELECT 1 FROM conversations WHERE id = (SELECT conversation_id FROM outbox WHERE id = :id) FOR UPDATE"),
        {"id": outbox_id},
    )
    await connection.execute(
        text("""
            UPDATE handoffs h SET replied_at = NULL, user_id = NULL FROM outbox o
            WHERE o.id = :id AND h.conversation_id = o.conversation_id AND h.closed_at IS NULL
              AND h.replied_at = o.created_at
        """),
        {"id": outbox_id},
    )
    await connection.execute(
        text("""
            UPDATE conversations c SET last_agent_at = (
                SELECT max(created_at) FROM outbox p
                WHERE p.conversation_id = c.id AND p.author = 'agent' AND p.status = 'sent')
            FROM outbox o WHERE o.id = :id AND c.id = o.conversation_id AND c.last_agent_at = o.created_at
        """),
        {"id": outbox_id},
    )


async def tell(connection: AsyncConnection, group_id: int) -> None:
    """News of one group, for its page and for the list."""
    await news.topic(connection, TOPIC)
    await news.topic(connection, TOPIC, group_id)
