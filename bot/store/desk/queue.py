"""The queue: who waits for a human: vital dangers, the newest first, then the others by priority and by what is due soonest.

A page is found in an index (migration 0003: every column that a filter asks for stands in `handoffs_due` or `handoffs_closed`),
from where the last page ended; only open emergencies, which are few, and the lines that are shown are read whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.policy.intents import PRIORITY
from bot.policy.rights import Capability
from bot.store import alarms, deadlines
from bot.store.accounts import User
from bot.store.alarms import Alarm
from bot.store.deadlines import Deadline
from bot.store.desk.access import Conversation, Desk, Handoff
from bot.store.desk.lines import lines
from bot.store.desk.said import Said, said_of, together

PAGE = 30
COUNTED = 10_000  # beyond, a count says "as many at least"
PRESSING = 100
RISING = 3  # lines about to miss their deadline that stand above the list

TAKE, MINE, ALL, SNOOZED, CLOSED, SPAM = "a-prendre", "a-moi", "toutes", "reportees", "closes", "indesirables"
FILTERS = (TAKE, MINE, ALL, SNOOZED, CLOSED, SPAM)
OVER = (CLOSED, SPAM)
LATE, SOON = "late", "soon"


@dataclass(frozen=True)
class Whom:
    """Whose hand-offs: `kind` user or team with its id, or nobody."""

    kind: str
    id: int = 0


@dataclass(frozen=True)
class Wanted:
    """What a page of the queue is filtered by; None: by everything of the kind.

    `which`: one of FILTERS. `older`, `younger`: waits longer, not longer than that. `due`: late or soon.
    """

    which: str = TAKE
    category: str | None = None
    platform: str | None = None
    whom: Whom | None = None
    older: timedelta | None = None
    younger: timedelta | None = None
    due: str | None = None

    @property
    def filtered(self) -> bool:
        """Whether anything but the state is asked for."""
        return self != Wanted(self.which)


@dataclass(frozen=True)
class QueueRow:
    """One line of the queue. `words`: what the person said last; `opener`: what opened the hand-off; `deadline`: late, soon, or
    None (far off, met, or not asked); `alarm`: the newest one that stands, of an emergency or of a likely danger."""

    conversation: Conversation
    handoff: Handoff
    words: Said | None
    words_at: datetime | None
    deadline: str | None = None
    alarm: Alarm | None = None
    opener: Said | None = None


@dataclass(frozen=True)
class Cursor:
    """Where a page of the queue begins: after that line. `at`: when it was raised (an emergency), is due, or was closed."""

    priority: int
    at: datetime
    id: int


@dataclass(frozen=True)
class Queue:
    """A page of the queue.

    `counts`: how many stand under each filter, COUNTED at most; `matching`: under the whole filter, None when nothing but
    the state is asked for; `late`, `soon`: hand-offs without reply past their deadline, and about to be; `rising`: the
    first of these.
    """

    rows: tuple[QueueRow, ...]
    counts: Mapping[str, int]
    following: Cursor | None
    matching: int | None
    late: int
    soon: int
    rising: tuple[QueueRow, ...]


@dataclass(frozen=True)
class Pressing:
    """What alerts a person: how many are late and about to be (PRESSING at most), and those that come due first."""

    late: int
    soon: int
    rows: tuple[QueueRow, ...]


@dataclass(frozen=True)
class Choices:
    """Whom the queue may be filtered by: (id, name) of colleagues who work on conversations, and of teams."""

    people: tuple[tuple[int, str], ...]
    teams: tuple[tuple[int, str], ...]


_AWAKE = "(h.snoozed_until IS NULL OR h.snoozed_until <= :now)"
_TAKEN = "SELECT id FROM conversations WHERE owner = 'agent'"
_WHERE = {
    TAKE: f"h.closed_at IS NULL AND {_AWAKE} AND h.conversation_id NOT IN ({_TAKEN})",
    MINE: f"h.closed_at IS NULL AND {_AWAKE} AND h.conversation_id IN ({_TAKEN} AND agent_id = :user)",
    ALL: f"h.closed_at IS NULL AND {_AWAKE}",
    SNOOZED: "h.closed_at IS NULL AND h.snoozed_until > :now",
    CLOSED: "h.closed_at IS NOT NULL AND h.outcome IS DISTINCT FROM 'spam'",
    SPAM: "h.closed_at IS NOT NULL AND h.outcome = 'spam'",
}
_VITAL, _THANKS = PRIORITY["emergency"], PRIORITY["thanks"]
_AFTER_OPEN = "(h.priority, h.due_at, h.id) > (:priority, CAST(:at AS timestamptz), :after)"
_AFTER_VITAL = "(h.raised_at, h.id) < (CAST(:at AS timestamptz), :after)"
_AFTER_CLOSED = "(h.closed_at, h.id) < (CAST(:at AS timestamptz), :after)"
_UNANSWERED = f"h.closed_at IS NULL AND h.replied_at IS NULL AND h.priority <> {_THANKS}"  # thanks are never late
_ORDER_OPEN = f"""h.priority, CASE h.priority WHEN {_VITAL} THEN h.raised_at END DESC NULLS LAST,
    CASE h.priority WHEN {_VITAL} THEN h.id END DESC NULLS LAST, h.due_at, h.id"""
_ORDER_CLOSED = "h.closed_at DESC, h.id DESC"
_SOON = f"""{_UNANSWERED} AND {_AWAKE} AND h.priority = d.priority
    AND h.due_at > :now AND h.due_at <= CAST(:now AS timestamptz) + d.alert_before"""


def _conditions(
    wanted: Wanted, user: User, now: datetime, terms: Sequence[Deadline]
) -> tuple[list[str], dict[str, Any]]:
    """SQL conditions on `handoffs h`, and their values."""
    where, values = [_WHERE[wanted.which]], {"now": now, "user": user.id}
    if wanted.category is not None:
        where.append("h.category = :category")
        values["category"] = wanted.category
    if wanted.platform is not None:
        where.append("h.platform = :platform")
        values["platform"] = wanted.platform
    if wanted.whom is not None:
        # Who has closed it, where it is closed: the person then assigned may have changed since.
        person = "h.user_id" if wanted.which in OVER else "h.assignee_id"
        column = "h.team_id" if wanted.whom.kind == "team" else person
        where.append(f"{person} IS NULL AND h.team_id IS NULL" if wanted.whom.kind == "nobody" else f"{column} = :whom")
        values["whom"] = wanted.whom.id
    if wanted.older is not None:
        where.append("h.opened_at <= :older")
        values["older"] = now - wanted.older
    if wanted.younger is not None:
        where.append("h.opened_at > :younger")
        values["younger"] = now - wanted.younger
    if wanted.due is not None and wanted.which not in OVER:
        where.append(f"h.replied_at IS NULL AND h.priority <> {_THANKS} AND " + _due(wanted.due, now, terms, values))
    return where, values


def _due(due: str, now: datetime, terms: Sequence[Deadline], values: dict[str, Any]) -> str:
    if due == LATE:
        return "h.due_at <= :now"
    cases = []
    for term in terms:
        values[f"until_{term.priority}"] = now + term.alert_before
        cases.append(f"WHEN {term.priority} THEN CAST(:until_{term.priority} AS timestamptz)")
    return f"h.due_at > :now AND h.due_at <= CASE h.priority {' '.join(cases)} END"


_COUNTS = text(f"""
    SELECT
        (SELECT count(*) FROM (SELECT FROM handoffs h WHERE {_WHERE[ALL]} LIMIT :most) x) AS total,
        (SELECT count(*) FROM conversations c JOIN handoffs h ON h.conversation_id = c.id AND h.closed_at IS NULL
            WHERE c.owner = 'agent' AND {_AWAKE}) AS taken,
        (SELECT count(*) FROM conversations c JOIN handoffs h ON h.conversation_id = c.id AND h.closed_at IS NULL
            WHERE c.owner = 'agent' AND c.agent_id = :user AND {_AWAKE}) AS mine,
        (SELECT count(*) FROM (SELECT FROM handoffs h WHERE {_WHERE[SNOOZED]} LIMIT :most) x) AS snoozed,
        (SELECT count(*) FROM (SELECT FROM deadlines d CROSS JOIN LATERAL (
            SELECT FROM handoffs h WHERE {_UNANSWERED} AND {_AWAKE} AND h.priority = d.priority AND h.due_at <= :now
        ) y LIMIT :most) x) AS late,
        (SELECT count(*) FROM (SELECT FROM deadlines d CROSS JOIN LATERAL (
            SELECT FROM handoffs h WHERE {_SOON}) y LIMIT :most) x) AS soon
""")  # noqa: S608
_HELD = text(f"""
    SELECT c.agent_id, count(*) AS n FROM conversations c
    JOIN handoffs h ON h.conversation_id = c.id AND h.closed_at IS NULL
    WHERE c.owner = 'agent' AND {_AWAKE} GROUP BY c.agent_id
""")  # noqa: S608
_RISING = f"""
    SELECT x.id FROM deadlines d CROSS JOIN LATERAL (
        SELECT h.id, h.due_at FROM handoffs h WHERE {_SOON} ORDER BY h.due_at LIMIT :most) x
    ORDER BY x.due_at LIMIT :most
"""  # noqa: S608
_ONES_OWN = """(:all OR h.assignee_id = :user OR h.assignee_id IS NULL AND (h.team_id IS NULL OR h.team_id IN (
    SELECT team_id FROM team_members WHERE user_id = :user)))"""
_PRESSING = text(f"""
    SELECT count(*) FILTER (WHERE due_at <= :now) AS late, count(*) FILTER (WHERE due_at > :now) AS soon
    FROM deadlines d CROSS JOIN LATERAL (
        SELECT h.due_at FROM handoffs h WHERE {_UNANSWERED} AND {_AWAKE} AND h.priority = d.priority AND {_ONES_OWN}
          AND h.due_at <= CAST(:now AS timestamptz) + d.alert_before
        ORDER BY h.due_at DESC LIMIT :most) x
""")  # noqa: S608
_PRESSING_LINES = text(
    lines(_RISING.replace(_SOON, f"{_SOON} AND {_ONES_OWN}"), "h.due_at, h.id", "c.agent_id", words=False)
)


def _closed(where: Sequence[str], after: Cursor | None) -> str:
    """Ids of closed hand-offs, the newest first, after that line."""
    all_ = " AND ".join([*where, *([_AFTER_CLOSED] if after else [])])
    return f"SELECT h.id FROM handoffs h WHERE {all_} ORDER BY {_ORDER_CLOSED} LIMIT :most"  # noqa: S608


def _open(where: Sequence[str], after: Cursor | None) -> str:
    """Ids of open hand-offs after that line: two ranges of one index, emergencies and the rest, each in its own order."""
    parts = []
    if after is None or after.priority == _VITAL:
        vital = " AND ".join([*where, f"h.priority = {_VITAL}", *([_AFTER_VITAL] if after else [])])
        parts.append(f"""(SELECT h.id, h.priority, h.raised_at, h.due_at FROM handoffs h WHERE {vital}
            ORDER BY h.raised_at DESC, h.id DESC LIMIT :most)""")  # noqa: S608
    passed = [_AFTER_OPEN] if after is not None and after.priority != _VITAL else []
    rest = " AND ".join([*where, f"h.priority > {_VITAL}", *passed])
    parts.append(f"""(SELECT h.id, h.priority, NULL, h.due_at FROM handoffs h WHERE {rest}
        ORDER BY h.priority, h.due_at, h.id LIMIT :most)""")  # noqa: S608
    if len(parts) == 1:
        return f"SELECT id FROM {parts[0]} h"  # noqa: S608
    return f"SELECT h.id FROM ({' UNION ALL '.join(parts)}) h ORDER BY {_ORDER_OPEN} LIMIT :most"  # noqa: S608


class QueueStore:
    """Pages of the queue."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def page(
        self, user: User, wanted: Wanted, now: datetime, after: Cursor | None = None, size: int = PAGE
    ) -> Queue:
        """A page of the queue: open vital dangers, newest first, other open hand-offs by priority, then deadline; closed ones
        newest first.

        Names and words are read for those only who may open a conversation.
        """
        async with self._desk.database.begin() as connection:
            terms = await deadlines.read(connection)
            where, values = _conditions(wanted, user, now, terms)
            matching = await _count(connection, where, values) if wanted.filtered else None
            rows = await self._rows(connection, user, wanted, (where, values), after, size + 1)
            counts = (await connection.execute(_COUNTS, {"user": user.id, "now": now, "most": COUNTED})).one()
            rising = await self._rising(connection, user, now) if counts.soon else []
        shown = tuple(self._row(row, user, now, terms) for row in rows[:size])
        following = None
        if len(rows) > size:
            last = shown[-1].handoff
            at = last.raised_at if last.priority == _VITAL else last.due_at or last.opened_at
            following = Cursor(last.priority, last.closed_at or at, last.id)
        return Queue(
            shown,
            {
                TAKE: max(0, counts.total - counts.taken),
                MINE: counts.mine,
                ALL: counts.total,
                SNOOZED: counts.snoozed,
            },
            following,
            matching,
            counts.late,
            counts.soon,
            tuple(self._row(row, user, now, terms) for row in rising),
        )

    async def seen(self, user: User, queue: Queue | Pressing, now: datetime, page: str) -> None:
        """Record that this user is about to be shown these lines, which may have been read for several at once.

        `page`: file, or alertes. Nothing is recorded of who sees neither names nor words.
        """
        if user.may(Capability.READ):
            rows = (*queue.rows, *queue.rising) if isinstance(queue, Queue) else queue.rows
            shown = [row.conversation.id for row in rows]
            await self._desk.sightings.record(user.id, "queue_viewed", now, shown, page=page)

    async def held(self, now: datetime) -> Mapping[int, int]:
        """Agent → how many hand-offs they have in hand."""
        async with self._desk.database.begin() as connection:
            return {row.agent_id: row.n for row in await connection.execute(_HELD, {"now": now})}

    async def pressing(self, user: User, now: datetime) -> Pressing:
        """What alerts this person: hand-offs of theirs, of their teams and of nobody; of all, for who gives work out."""
        values = {"now": now, "user": user.id, "all": user.may(Capability.ASSIGN)}
        async with self._desk.database.begin() as connection:
            counts = (await connection.execute(_PRESSING, {**values, "most": PRESSING})).one()
            terms = await deadlines.read(connection)
            rows = (await connection.execute(_PRESSING_LINES, {**values, "most": RISING})).all()
        return Pressing(counts.late, counts.soon, tuple(self._row(row, user, now, terms) for row in rows))

    async def choices(self) -> Choices:
        """Whom the queue may be filtered by."""
        async with self._desk.database.begin() as connection:
            people = await connection.execute(
                text("SELECT id, name, role FROM users WHERE disabled_at IS NULL ORDER BY name")
            )
            teams = await connection.execute(text("SELECT id, name FROM teams WHERE archived_at IS NULL ORDER BY name"))
            able = [User(*row) for row in people]
            return Choices(
                tuple((person.id, person.name) for person in able if person.may(Capability.WORK)),
                tuple((row.id, row.name) for row in teams),
            )

    async def _rows(
        self,
        connection: AsyncConnection,
        user: User,
        wanted: Wanted,
        conditions: tuple[list[str], dict[str, Any]],
        after: Cursor | None,
        most: int,
    ) -> Sequence[Row[Any]]:
        values = {**conditions[1], "most": most}
        if after is not None:
            values |= {"priority": after.priority, "at": after.at, "after": after.id}
        over = wanted.which in OVER
        found = _closed(conditions[0], after) if over else _open(conditions[0], after)
        order = _ORDER_CLOSED if over else _ORDER_OPEN
        query = lines(found, order, "h.user_id" if over else "c.agent_id", user.may(Capability.READ))
        return (await connection.execute(text(query), _used(query, values))).all()

    async def _rising(self, connection: AsyncConnection, user: User, now: datetime) -> Sequence[Row[Any]]:
        query = lines(_RISING, "h.due_at, h.id", "c.agent_id", user.may(Capability.READ))
        return (await connection.execute(text(query), {"now": now, "most": RISING})).all()

    def _row(self, row: Row[Any], user: User, now: datetime, terms: Sequence[Deadline]) -> QueueRow:
        conversation, handoff = self._desk.conversation(row), self._desk.handoff(row)
        assert handoff is not None
        due = deadline_of(handoff, now, terms)
        if not user.may(Capability.READ):  # this role sees that somebody waits, not who or what they say
            return QueueRow(replace(conversation, name=None), replace(handoff, slots={}), None, None, due)
        words = None if row.words is None else said_of(self._desk.codec, row.words_kind, row.words, row.place)
        alarm = None if row.words_at is None else self._alarm(row)
        opener = None
        if row.words_at is not None and row.bodies:
            parts = zip(row.kinds, row.bodies, row.places, strict=True)
            opener = together([said_of(self._desk.codec, *part) for part in parts])
        return QueueRow(conversation, handoff, words, row.words_at, due, alarm, opener)

    def _alarm(self, row: Row[Any]) -> Alarm | None:
        if row.alarm_id is None:
            return None
        quotes = alarms.evidence(self._desk.codec, row.id, row.alarm_id, row.evidence)
        return Alarm(
            row.alarm_id,
            row.alarm_at,
            row.alarm_kind,
            row.detector,
            row.entry,
            quotes,
            row.verdict,
            row.verdict_at,
            None,
            row.degree,
        )


def deadline_of(handoff: Handoff, now: datetime, terms: Sequence[Deadline]) -> str | None:
    """LATE or SOON while a first human reply is expected; None when it is far off, was given or is no longer asked."""
    if handoff.due_at is None or handoff.closed_at or handoff.replied_at or handoff.priority == _THANKS:
        return None
    if handoff.due_at <= now:
        return LATE
    before = next((term.alert_before for term in terms if term.priority == handoff.priority), timedelta(0))
    return SOON if handoff.due_at <= now + before else None


async def _count(connection: AsyncConnection, where: Sequence[str], values: Mapping[str, Any]) -> int:
    query = f"SELECT count(*) FROM (SELECT FROM handoffs h WHERE {' AND '.join(where)} LIMIT :most) x"  # noqa: S608
    return int(await connection.scalar(text(query), _used(query, {**values, "most": COUNTED})) or 0)


def _used(query: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that the query names: the driver cannot know the type of one that it does not."""
    return {name: value for name, value in values.items() if re.search(rf":{name}\b", query)}
