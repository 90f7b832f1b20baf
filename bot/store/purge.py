"""The purge: erases what is past its time, in short transactions with rests between, and writes down how much went.

A conversation is taken only if nobody is at it (`PROTECTED`); its class is that of its gravest hand-off. Where a conversation
goes on, what is older than its limit goes all the same. Everything may be cut off at any moment: the next run goes on.
Each transaction writes its own line of the register (`deletions`), so that neither exists without the other.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.policy.retention import PSEUDONYMISED, Class, Limits, class_of
from bot.store import audit, facts, former, retention
from bot.store.codec import Codec
from bot.store.conversations import DANGER, LIVE, NEW
from bot.store.db import Database
from bot.store.retention import HELD_DELIVERIES, Counts

LOCK = 7_109_321  # advisory: one purge at a time
PAGE = 200  # conversations looked at in one statement
CONVERSATIONS = 25  # … erased in one transaction, at most
ROWS = 500  # events and messages erased in one transaction, about
SHARE = 4.0  # a rest is so many times as long as the transaction before it: at most a fifth of the time is ours
REST = 0.02  # seconds, at least

ERASED, HIDDEN, TRIMMED = "erased", "pseudonymised", "trimmed"
PROTECTED = ("held", "open", "agent", "in_flight", "validation")

# The last thing that happened and the oldest that is kept, by our own clock: Meta's may be wrong.
_STATE = """
    SELECT c.id, c.erased_at, c.emergency_at IS NOT NULL OR c.emergency_short_at IS NOT NULL AS danger,
        ARRAY(SELECT DISTINCT h.category FROM handoffs h WHERE h.conversation_id = c.id) AS categories,
        coalesce(greatest(e.newest, o.newest, c.last_agent_at, n.newest, h.newest), c.created_at) AS newest,
        least(e.oldest, o.oldest) AS oldest, e.n + o.n AS rows,
        CASE
            WHEN EXISTS (SELECT FROM legal_holds l WHERE l.conversation_id = c.id AND l.lifted_at IS NULL) THEN 'held'
            WHEN h.open THEN 'open'
            WHEN c.owner IN ('waiting', 'agent')
                OR c.owner = 'inbox' AND (c.owner_until IS NULL OR c.owner_until > :now) THEN 'agent'
            WHEN c.due_at IS NOT NULL OR c.lease_until > clock_timestamp() OR e.pending OR o.queued
                OR EXISTS (SELECT FROM group_members m WHERE m.conversation_id = c.id
                    AND m.status IN ('waiting', 'held', 'queued', 'withdrawn')) THEN 'in_flight'
            WHEN EXISTS (SELECT FROM submissions s WHERE s.conversation_id = c.id AND s.status = 'waiting') THEN 'validation'
        END AS protected
    FROM conversations c
    CROSS JOIN LATERAL (SELECT max(received_at) AS newest, min(received_at) AS oldest, count(*) AS n,
        coalesce(bool_or(disposition IS NULL), false) AS pending FROM events WHERE conversation_id = c.id) e
    CROSS JOIN LATERAL (SELECT max(created_at) AS newest, min(created_at) AS oldest, count(*) AS n,
        coalesce(bool_or(status = 'queued'), false) AS queued FROM outbox WHERE conversation_id = c.id) o
    CROSS JOIN LATERAL (SELECT max(at) AS newest FROM notes WHERE conversation_id = c.id) n
    CROSS JOIN LATERAL (SELECT max(greatest(opened_at, closed_at, reopened_at)) AS newest,
        coalesce(bool_or(closed_at IS NULL), false) AS open FROM handoffs WHERE conversation_id = c.id) h
"""
_PAGE = text(
    _STATE + " WHERE c.id IN (SELECT id FROM conversations WHERE id > :after ORDER BY id LIMIT :page) ORDER BY c.id"  # noqa: S608
)
_LOCKED = text("SELECT id FROM conversations WHERE id = ANY(:ids) ORDER BY id FOR UPDATE SKIP LOCKED")
# Judged anew once the rows are locked: what happened meanwhile counts.
AGAIN = text(_STATE + " WHERE c.id = ANY(:ids) ORDER BY c.id")
_CRISIS = text("SELECT EXISTS (SELECT FROM crises WHERE opened_at IS NOT NULL AND closed_at IS NULL)")
_COUNTED = text("""
    SELECT least((SELECT max(hour) + interval '1 hour' FROM volume_hours),
        (SELECT day::timestamp AT TIME ZONE 'UTC' - interval '1 day' FROM reading_days_until)) AS until
""")
_REGISTER = text("""
    INSERT INTO deletions (id, at, origin, user_id, class, way, days, conversations, counts, previous, hash)
    VALUES (0, :at, :origin, :user, :class, :way, :days, :conversations, CAST(:counts AS jsonb), '', '')
""")

_OLD_RAW = f"received_at < :before AND id NOT IN ({HELD_DELIVERIES})"
_NOBODY = "conversation_id IS NULL AND received_at < :before"
# Class → (table, condition, the column that orders a batch): what is no conversation.
_SWEPT: Mapping[Class, tuple[tuple[str, str, str], ...]] = {
    Class.RAW: (
        ("deliveries", _OLD_RAW, "id"),
        ("events", _NOBODY, "id"),
        ("erased_messages", "until < now()", "until"),
        # Ways in that ended long ago: a session lives for twelve hours at most.
        ("sessions", "created_at < :before", "created_at"),
        ("login_links", "expires_at < :before", "expires_at"),
        ("oidc_logins", "expires_at < :before", "expires_at"),
        ("login_failures", "at < :before", "at"),
    ),
    Class.AUDIT: (("audit", "at < :before AND at < now() - interval '90 days'", "at"),),
    Class.STATISTICS: (
        ("volumes", "hour < :before", "hour"),
        ("volume_days", "day < :before", "day"),
        ("reading_days", "day < CAST(:before AS timestamptz)::date", "day"),
    ),
}

# What the purge's role may neither read nor change: the owner's function lets old rows go (schema 0012).
_EXPIRES = ("audit", "sessions", "login_links", "oidc_logins", "login_failures")
_EXPIRE = text("SELECT expire(:table, :before, :most)")


class Counting(Protocol):
    """Figures that must be counted before what they count goes."""

    async def catch_up(self, now: datetime) -> int: ...


@dataclass(frozen=True)
class Verdict:
    """What is to become of a conversation. `before`: older things of it go (trimmed)."""

    id: int
    of: Class
    way: str
    rows: int
    before: datetime | None = None


@dataclass
class Report:
    """What went, or would. `done`: (class, way) → table → rows; "conversations" counts those, whatever became of their row.

    `protected`: why → conversations whose time is over and that stay. `seconds`, `batches`, `slowest`: of the transactions.
    `stopped`: why the run ended before its end (crisis, hours), None when it came to it.
    """

    done: dict[tuple[Class, str], Counts] = field(default_factory=dict)
    people: Counter[tuple[Class, str]] = field(default_factory=Counter)
    protected: Counter[str] = field(default_factory=Counter)
    batches: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    stopped: str | None = None

    @property
    def rows(self) -> int:
        """Everything that went."""
        return sum(sum(counts.values()) for counts in self.done.values())

    def add(self, of: Class, way: str, conversations: int, counts: Counts) -> None:
        """Count."""
        self.done.setdefault((of, way), Counter()).update(counts)
        self.people[(of, way)] += conversations


@dataclass(frozen=True)
class Origin:
    """Who has it erased: the nightly task, somebody at the command line, or a person's right."""

    kind: str
    user_id: int | None = None


class Busy(Exception):
    """Another purge is at it."""


async def register(
    connection: AsyncConnection,
    at: datetime,
    origin: Origin,
    of: Class,
    way: str,
    days: int | None,
    conversations: int,
    counts: Counts,
) -> None:
    """One line of the register, in the transaction of what it tells. Raises nothing: the database numbers and chains it."""
    await connection.execute(
        _REGISTER,
        {
            "at": at,
            "origin": origin.kind,
            "user": origin.user_id,
            "class": of.value,
            "way": way,
            "days": days,
            "conversations": conversations,
            "counts": json.dumps(dict(sorted(counts.items()))),
        },
    )


def judge(row: Row[Any], limits: Limits, now: datetime, counted: datetime) -> Verdict | None:
    """What is to become of a conversation in that state; None: nothing yet. `counted`: figures are kept until there."""
    of = class_of(row.categories, row.danger, limits)
    audit = limits.cutoff(Class.AUDIT, now)
    if row.erased_at is not None:  # only the history of its requests is left
        return Verdict(row.id, of, ERASED, row.rows) if audit is not None and row.newest < audit else None
    cutoff = limits.cutoff(of, now)
    assert cutoff is not None
    cutoff = min(cutoff, counted)
    if row.newest < cutoff:
        hidden = of in PSEUDONYMISED and (audit is None or row.newest >= audit)
        return Verdict(row.id, of, HIDDEN if hidden else ERASED, row.rows)
    if row.oldest is not None and row.oldest < cutoff:
        return Verdict(row.id, of, TRIMMED, row.rows, cutoff)
    return None


class Purge:
    """Runs the purge. `counting`: brought up to date first. `share`: see SHARE; 0 for no rest (tests)."""

    def __init__(
        self, database: Database, codec: Codec, limits: Limits, counting: Sequence[Counting], share: float = SHARE
    ) -> None:
        self.database = database
        self._codec = codec
        self._limits = limits
        self._counting = counting
        self._share = share

    # -- looking -------------------------------------------------------------------------------------------------

    async def preview(self, now: datetime) -> Report:
        """What a run would take now; nothing is erased, figures are brought up to date as the workers do."""
        report = Report()
        for one in self._counting:
            await one.catch_up(now)
        counted = await self._counted(now)
        async for row, verdict in self._due(now, counted):
            if row.protected is not None:
                report.protected[row.protected] += 1
            else:
                report.add(verdict.of, verdict.way, 1, await self._would(verdict))
        for of in _SWEPT:
            counts = await self._count(of, now, counted)
            if counts:
                report.add(of, ERASED, 0, counts)
        before = self._limits.cutoff(Class.AUDIT, now)
        if before is not None:
            async with self.database.begin() as connection:
                closed = await former.due(connection, before)
            if closed:
                report.add(Class.AUDIT, HIDDEN, 0, Counter({"users": closed}))
        return report

    async def _would(self, verdict: Verdict) -> Counts:
        if verdict.before is None:
            return Counter({"messages": verdict.rows})
        async with self.database.begin() as connection:
            n = await connection.scalar(
                text("""
                    SELECT (SELECT count(*) FROM events WHERE conversation_id = :id AND received_at < :before)
                        + (SELECT count(*) FROM outbox WHERE conversation_id = :id AND created_at < :before)
                """),
                {"id": verdict.id, "before": verdict.before},
            )
        return Counter({"messages": int(n or 0)})

    async def _count(self, of: Class, now: datetime, counted: datetime) -> Counts:
        before = self._before(of, now, counted)
        counts: Counts = Counter()
        if before is None:
            return counts
        async with self.database.begin() as connection:
            for table, condition, _ in _SWEPT[of]:
                counts[table] = int(
                    await connection.scalar(
                        text(f"SELECT count(*) FROM {table} WHERE {condition}"),  # noqa: S608
                        {"before": before},
                    )
                    or 0
                )
        return +counts

    def _before(self, of: Class, now: datetime, counted: datetime) -> datetime | None:
        cutoff = self._limits.cutoff(of, now)
        return cutoff if cutoff is None or of is not Class.RAW else min(cutoff, counted)

    async def _counted(self, now: datetime) -> datetime:
        """Until when figures are kept; nothing younger may go."""
        async with self.database.begin() as connection:
            until = await connection.scalar(_COUNTED)
        return until if isinstance(until, datetime) else now - timedelta(days=36_500)

    async def _due(self, now: datetime, counted: datetime) -> AsyncIterator[tuple[Row[Any], Verdict]]:
        """Every conversation whose time is over, protected ones included."""
        after = 0
        while True:
            async with self.database.begin() as connection:
                rows = (await connection.execute(_PAGE, {"after": after, "page": PAGE, "now": now})).all()
            if not rows:
                return
            after = rows[-1].id
            for row in rows:
                verdict = judge(row, self._limits, now, counted)
                if verdict is not None:
                    yield row, verdict
            await asyncio.sleep(REST if self._share else 0)

    # -- erasing -------------------------------------------------------------------------------------------------

    async def run(
        self, now: datetime, origin: Origin, goes_on: Callable[[], Awaitable[str | None]] | None = None
    ) -> Report:
        """Erase everything whose time is over. `goes_on`: asked between two transactions; why to stop, or None.

        Raises Busy when another purge is at it.
        """
        async with self.database.begin() as guard:
            if not await guard.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": LOCK}):
                raise Busy
            # It does nothing for as long as the purge lasts, and must not lose the lock for that.
            await guard.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            for one in self._counting:
                await one.catch_up(now)
            run = _Run(
                self.database, self._codec, self._limits, now, await self._counted(now), origin, self._share, goes_on
            )
            await self._work(run)
            await run.end()
            return run.report

    async def _work(self, run: _Run) -> None:
        waiting: list[Verdict] = []
        async for row, verdict in self._due(run.now, run.counted):
            if row.protected is not None:
                run.report.protected[row.protected] += 1
                continue
            waiting.append(verdict)
            if len(waiting) >= CONVERSATIONS or sum(v.rows for v in waiting) >= ROWS:
                if not await run.conversations(waiting):
                    return
                waiting = []
        if not await run.conversations(waiting):
            return
        for of, parts in _SWEPT.items():
            before = self._before(of, run.now, run.counted)
            for table, condition, column in parts if before is not None else ():
                if not await run.sweep(of, table, condition, column, before):
                    return
        before = self._limits.cutoff(Class.AUDIT, run.now)
        if before is not None:  # after the audit, which names them
            await run.accounts(before)


@dataclass
class _Run:
    """One run: its batches and what they did."""

    database: Database
    codec: Codec
    limits: Limits
    now: datetime
    counted: datetime
    origin: Origin
    share: float
    goes_on: Callable[[], Awaitable[str | None]] | None
    report: Report = field(default_factory=Report)

    async def _may(self) -> bool:
        """Between two transactions: rest, and ask whether to go on."""
        async with self.database.begin() as connection:
            if await connection.scalar(_CRISIS):
                self.report.stopped = "crisis"
        if self.report.stopped is None and self.goes_on is not None:
            self.report.stopped = await self.goes_on()
        return self.report.stopped is None

    async def _rest(self, began: float) -> None:
        took = time.monotonic() - began
        self.report.batches += 1
        self.report.seconds += took
        self.report.slowest = max(self.report.slowest, took)
        if self.share:
            await asyncio.sleep(max(REST, self.share * took))

    async def conversations(self, verdicts: Sequence[Verdict]) -> bool:
        """Erase these; False: stop."""
        if verdicts and not await self._may():
            return False
        for verdict in verdicts:
            if verdict.before is not None or verdict.rows > ROWS:
                new = int(verdict.before is not None)
                while await self._slice(verdict, new):
                    new = 0
                    if not await self._may():
                        return False
        whole = [verdict.id for verdict in verdicts if verdict.before is None]
        if whole:
            await self._whole(whole)
        return True

    async def _judged(self, connection: AsyncConnection, ids: Sequence[int]) -> list[Verdict]:
        """Those that may go now, locked. Whoever is at one has its row: it is passed over, and looked at the next night."""
        locked = [row.id for row in await connection.execute(_LOCKED, {"ids": list(ids)})]
        rows = (await connection.execute(AGAIN, {"ids": locked, "now": self.now})).all()
        found = [judge(row, self.limits, self.now, self.counted) for row in rows if row.protected is None]
        return [verdict for verdict in found if verdict is not None]

    async def _slice(self, asked: Verdict, new: int) -> bool:
        """Some old messages of one conversation; False when none were left, or it may no longer go.

        `new`: 1 if the register is to count the conversation, which several slices are of.
        """
        began = time.monotonic()
        async with self.database.begin() as connection:
            found = await self._judged(connection, [asked.id])
            verdict = found[0] if found else None
            if verdict is None or verdict.way != asked.way or (asked.before is None and verdict.rows <= ROWS):
                return False
            if verdict.before is not None:
                counts = await retention.trim(connection, [verdict.id], verdict.before, ROWS)
            else:
                counts = await retention.thin(connection, [verdict.id], ROWS // 2)
            if counts:
                await self._register(connection, verdict.of, TRIMMED, new, counts)
        await self._rest(began)
        return bool(counts)

    async def _whole(self, ids: Sequence[int]) -> None:
        began = time.monotonic()
        async with self.database.begin() as connection:
            groups: dict[tuple[Class, str], list[int]] = {}
            for verdict in await self._judged(connection, ids):
                if verdict.before is None:
                    groups.setdefault((verdict.of, verdict.way), []).append(verdict.id)
            for (of, way), some in groups.items():
                if way == HIDDEN:
                    counts = await retention.pseudonymise(connection, self.codec, some, self.now)
                else:
                    counts = await retention.erase(connection, some)
                await self._register(connection, of, way, len(some), counts)
        await self._rest(began)

    async def _register(
        self, connection: AsyncConnection, of: Class, way: str, conversations: int, counts: Counts
    ) -> None:
        self.report.add(of, way, conversations, counts)
        await register(connection, self.now, self.origin, of, way, self.limits.days(of), conversations, counts)

    async def end(self) -> None:
        """The audit keeps the register's last print, so that who rewrites the one has to rewrite the other."""
        if not self.report.done:
            return
        async with self.database.begin() as connection:
            head = await connection.scalar(text("SELECT encode(hash, 'hex') FROM deletions ORDER BY id DESC LIMIT 1"))
            people = sum(self.report.people.values())
            await audit.record(
                connection, self.now, self.origin.user_id, "purge",
                origin=self.origin.kind, conversations=people, rows=self.report.rows, print=head,
            )  # fmt: skip

    async def sweep(self, of: Class, table: str, condition: str, column: str, before: datetime | None) -> bool:
        """Erase old rows of a table that belongs to no conversation; False: stop."""
        while True:
            if not await self._may():
                return False
            began = time.monotonic()
            async with self.database.begin() as connection:
                counts: Counts = +Counter({table: await self._sweep(connection, table, condition, column, before)})
                if counts:
                    await self._register(connection, of, ERASED, 0, counts)
            if not counts:
                return True
            await self._rest(began)

    async def _sweep(
        self, connection: AsyncConnection, table: str, condition: str, column: str, before: datetime | None
    ) -> int:
        if table in _EXPIRES:
            return int(await connection.scalar(_EXPIRE, {"table": table, "before": before, "most": ROWS}) or 0)
        done = await connection.execute(
            text(f"""
                DELETE FROM {table} WHERE ctid = ANY(ARRAY(
                    SELECT ctid FROM {table} WHERE {condition} ORDER BY {column} LIMIT {ROWS} FOR UPDATE SKIP LOCKED))
            """),  # noqa: S608
            {"before": before},
        )
        return done.rowcount

    async def accounts(self, before: datetime) -> bool:
        """Take who they were out of accounts closed before that time; False: stop."""
        while True:
            if not await self._may():
                return False
            began = time.monotonic()
            async with self.database.begin() as connection:
                counts = await former.pseudonymise(connection, before, ROWS)
                if counts:
                    await self._register(connection, Class.AUDIT, HIDDEN, 0, counts)
            if not counts:
                return True
            await self._rest(began)


_LATE = text(f"""
    SELECT EXISTS (SELECT FROM conversations WHERE due_priority IN ({DANGER}, {NEW}, {LIVE}) AND due_at < :since
        AND (lease_until IS NULL OR lease_until < clock_timestamp()))
""")  # noqa: S608
LATE = timedelta(seconds=5)
FACT = "purge_night"


async def late(database: Database, now: datetime) -> bool:
    """Whether somebody who writes now waits longer than usual for the assistant."""
    async with database.begin() as connection:
        return bool(await connection.scalar(_LATE, {"since": now - LATE}))


async def nightly(database: Database) -> date | None:
    """The last night whose purge came to its end."""
    async with database.begin() as connection:
        value = await facts.get(connection, FACT)
    return None if value is None else date.fromisoformat(value)


async def nightly_done(database: Database, night: date) -> None:
    """That night's purge came to its end."""
    async with database.begin() as connection:
        await facts.put(connection, FACT, night.isoformat())


@dataclass(frozen=True)
class Gone:
    """What went in a day: `of` a class, in a `way`, by `origin`."""

    day: date
    of: str
    way: str
    origin: str
    conversations: int
    rows: int


async def deletions(database: Database, most: int = 200) -> Sequence[Gone]:
    """The register summed by day, newest first."""
    query = text("""
        SELECT at::date AS day, class, way, origin, sum(conversations)::bigint AS conversations,
            sum((SELECT sum(value::bigint) FROM jsonb_each_text(counts)))::bigint AS rows
        FROM deletions GROUP BY 1, 2, 3, 4 ORDER BY 1 DESC, 2, 3, 4 LIMIT :most
    """)
    async with database.begin() as connection:
        rows = (await connection.execute(query, {"most": most})).all()
    return [Gone(r.day, getattr(r, "class"), r.way, r.origin, r.conversations, r.rows or 0) for r in rows]


@dataclass(frozen=True)
class Chain:
    """Whether the register stands as it was written. `broken`: the first line that does not, None when all do."""

    lines: int
    broken: int | None
    head: str


async def verify(database: Database) -> Chain:
    """Go through the register's chain."""
    query = text("""
        SELECT count(*) AS lines, min(id) FILTER (WHERE NOT good) AS broken,
            (SELECT encode(hash, 'hex') FROM deletions ORDER BY id DESC LIMIT 1) AS head
        FROM (SELECT d.id, d.hash = deletions_digest(d)
                AND d.previous = coalesce(lag(d.hash) OVER w, sha256(''))
                AND d.id = row_number() OVER w AS good
            FROM deletions d WINDOW w AS (ORDER BY d.id)) c
    """)
    async with database.begin() as connection:
        row = (await connection.execute(query)).one()
    return Chain(row.lines, row.broken, row.head or "")
