"""The roll-up: how much of what there was in each hour. Counts only, never anybody's words.

One statement (`_COUNT`) says what is counted. The roll-up keeps its outcome for whole hours; a page asks it for what is
not kept yet (the running hour), so that figures are the same whether the roll-up has run or not.

An hour is counted as a whole and replaces what stood there: counting twice changes nothing. What comes or is settled late
(a night's messages, a send that fails after hours) is found by counting again, at ever longer intervals: an hour is counted
anew at twice its age until it is `FINAL` old, and every few minutes while messages of it are in flight.

Measures and their values:
received ""; intent, route, disposition (of messages received); sent (author), failed (author): of our messages;
handoff (category): opened; wait, first_reply: "priority-bucket" (`bot.policy.histogram`), at the moment when a hand-off was
taken, answered; deadline "priority-kept" at the first reply, "priority-late" when it passed without one;
closed (outcome); alarm (detector) when it was raised, alarm_confirmed, alarm_taken_back (detector) when an agent said so, and of
dangers that were likely the same: likely, likely_confirmed, likely_taken_back;
asked "", thumb (up, down).
Of the catalogue of questions, what is said in several messages and read as one counting once:
question (id): asked, whoever answered it; question_supposed (id): of these, answered as the one that may be meant;
question_up, question_down (id): thumbs about the talk in which it was asked last;
general ("intent-id"): answered by a general reply alone, with the nearest question; offered: such ones whose reply had buttons.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.policy import emergency_taps, histogram
from bot.policy.intents import ANSWER, CLARIFY
from bot.policy.questions import ASKS_NOTHING, GREETING, SURE
from bot.store.db import Database

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GRACE = timedelta(minutes=2)  # what arrived in an hour is committed by then
FINAL = timedelta(days=8)  # nothing is sent any more after seven days
IN_FLIGHT_EVERY = timedelta(minutes=5)
CHUNK = timedelta(days=7)  # counted in one transaction when there is much to catch up with
_LOCK = 7_109_302  # advisory: one process counts at a time

RECEIVED = ("text", "quick_reply", "attachment", "postback", "unsupported", "empty")
# What a tap on the thumbs is settled as: an answer, not a message.
THUMB = "satisfaction"


def _seconds(column: str) -> str:
    return histogram.SQL.format(seconds=f"extract(epoch FROM {column} - opened_at)::float8")


def _hour(column: str) -> str:
    return f"date_bin('1 hour', {column}, TIMESTAMPTZ 'epoch')"


def _within(column: str) -> str:
    return f"{column} >= CAST(:since AS timestamptz) AND {column} < CAST(:until AS timestamptz)"


_KINDS = ", ".join(f"'{kind}'" for kind in RECEIVED)
_DEGREE = "CASE degree WHEN 'likely' THEN 'likely' ELSE 'alarm' END"
# The question of the catalogue that a message asked: the one that was answered, as sure or as the one that may be meant, else the
# one that it surely meant.
_QUESTION = f"coalesce(question, CASE WHEN nearest_chance >= {SURE} THEN nearest END)"
# Answered under « Vous demandez peut-être » (`Turn.supposed`): less sure than what is answered outright.
_SUPPOSED = f"question = nearest AND nearest_chance < {SURE}"
_UTTERANCES = "count(DISTINCT coalesce(outbox_id, -id))"  # messages that share a reply were read as one
_TALK = "interval '1 day'"  # before a hand-off: what was asked then led to it
_NO_QUESTION = ", ".join(f"'{intent}'" for intent in sorted({*ASKS_NOTHING, GREETING}))
# Rows (hour, platform, measure, value, n). Every branch reads one indexed range of time.
_COUNT = f"""
    SELECT hour, platform,
        CASE grouping(intent, route, disposition) WHEN 7 THEN 'received' WHEN 3 THEN 'intent' WHEN 5 THEN 'route'
            ELSE 'disposition' END AS measure,
        CASE grouping(intent, route, disposition) WHEN 7 THEN '' WHEN 3 THEN coalesce(intent, '') WHEN 5 THEN route
            ELSE disposition END AS value,
        count(*)::integer AS n
    FROM (SELECT {_hour("received_at")} AS hour, platform, intent,
              coalesce(route, CASE WHEN disposition IS NULL THEN 'waiting' WHEN disposition = 'to_agent' THEN 'agent'
                                   ELSE 'none' END) AS route,
              coalesce(disposition, 'waiting') AS disposition
          FROM events
          WHERE {_within("received_at")} AND conversation_id IS NOT NULL AND kind IN ({_KINDS})
            AND coalesce(reason, '') NOT IN ('{THUMB}', '{emergency_taps.SETTLED}')) e
    GROUP BY GROUPING SETS ((hour, platform), (hour, platform, intent), (hour, platform, route), (hour, platform, disposition))
    UNION ALL
    SELECT {_hour("o.created_at")}, c.platform, CASE o.status WHEN 'sent' THEN 'sent' ELSE 'failed' END, o.author, count(*)
    FROM outbox o JOIN conversations c ON c.id = o.conversation_id
    WHERE {_within("o.created_at")} AND o.status IN ('sent', 'failed') GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT {_hour("opened_at")}, platform, 'handoff', category, count(*)
    FROM handoffs WHERE {_within("opened_at")} GROUP BY 1, 2, 4
    UNION ALL
    SELECT {_hour("taken_at")}, platform, 'wait', priority || '-' || {_seconds("taken_at")}, count(*)
    FROM handoffs WHERE {_within("taken_at")} GROUP BY 1, 2, 4
    UNION ALL
    SELECT {_hour("replied_at")}, platform, 'first_reply', priority || '-' || {_seconds("replied_at")}, count(*)
    FROM handoffs WHERE {_within("replied_at")} GROUP BY 1, 2, 4
    UNION ALL
    SELECT {_hour("replied_at")}, platform, 'deadline', priority || '-kept', count(*)
    FROM handoffs WHERE {_within("replied_at")} AND replied_at <= due_at AND outcome IS DISTINCT FROM 'spam' GROUP BY 1, 2, 4
    UNION ALL
    SELECT {_hour("due_at")}, platform, 'deadline', priority || '-late', count(*)
    FROM handoffs
    WHERE {_within("due_at")} AND (replied_at IS NULL OR replied_at > due_at) AND (closed_at IS NULL OR closed_at > due_at)
      AND outcome IS DISTINCT FROM 'spam' GROUP BY 1, 2, 4
    UNION ALL
    SELECT {_hour("closed_at")}, platform, 'closed', coalesce(outcome, ''), count(*)
    FROM handoffs WHERE {_within("closed_at")} GROUP BY 1, 2, 4
    UNION ALL
    SELECT {_hour("at")}, platform, {_DEGREE}, detector, count(*) FROM alarms WHERE {_within("at")} GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT {_hour("verdict_at")}, platform, {_DEGREE} || '_' || verdict, detector, count(*)
    FROM alarms WHERE {_within("verdict_at")} GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT {_hour("s.asked_at")}, h.platform, 'asked', '', count(*)
    FROM satisfaction s JOIN handoffs h ON h.id = s.handoff_id
    WHERE {_within("s.asked_at")} AND (s.answered_at IS NOT NULL OR EXISTS (
        SELECT FROM outbox o WHERE o.conversation_id = s.conversation_id
           AND o.dedup = 'satisfaction:' || s.handoff_id AND o.status = 'sent')) GROUP BY 1, 2
    UNION ALL
    SELECT {_hour("s.answered_at")}, h.platform, 'thumb', s.answer, count(*)
    FROM satisfaction s JOIN handoffs h ON h.id = s.handoff_id WHERE {_within("s.answered_at")} GROUP BY 1, 2, 4
    UNION ALL
    SELECT {_hour("received_at")}, platform, 'question', {_QUESTION}, {_UTTERANCES}
    FROM events
    WHERE {_within("received_at")} AND conversation_id IS NOT NULL AND {_QUESTION} IS NOT NULL GROUP BY 1, 2, 4
    UNION ALL
    SELECT {_hour("received_at")}, platform, 'question_supposed', question, {_UTTERANCES}
    FROM events
    WHERE {_within("received_at")} AND conversation_id IS NOT NULL AND {_SUPPOSED} GROUP BY 1, 2, 4
    UNION ALL
    SELECT {_hour("s.answered_at")}, h.platform, 'question_' || s.answer, q.asked, count(*)
    FROM satisfaction s JOIN handoffs h ON h.id = s.handoff_id
    CROSS JOIN LATERAL (
        SELECT {_QUESTION} AS asked FROM events
        WHERE conversation_id = s.conversation_id AND at > h.opened_at - {_TALK} AND at <= s.asked_at
          AND {_QUESTION} IS NOT NULL
        ORDER BY at DESC, id DESC LIMIT 1) q
    WHERE {_within("s.answered_at")} GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT {_hour("received_at")}, platform, m.measure, intent || '-' || nearest, {_UTTERANCES}
    FROM events
    CROSS JOIN LATERAL (VALUES ('general', true), ('offered', cardinality(offers) > 0)) AS m(measure, counts)
    WHERE {_within("received_at")} AND conversation_id IS NOT NULL AND disposition = 'answered' AND question IS NULL
      AND route IN ('{ANSWER}', '{CLARIFY}') AND intent NOT IN ({_NO_QUESTION}) AND nearest IS NOT NULL AND m.counts
    GROUP BY 1, 2, 3, 4
"""  # noqa: S608

_FIRST = text(f"""
    SELECT {_hour("min(at)")} FROM (
        SELECT min(received_at) AS at FROM events UNION ALL SELECT min(created_at) FROM outbox
        UNION ALL SELECT min(opened_at) FROM handoffs) f
""")  # noqa: S608
_STORE = text(f"INSERT INTO volumes (hour, platform, measure, value, n) {_COUNT}")
# Whole days are summed, so that a month is read in few rows. They are days of UTC: only sums are taken of them.
_FORGET_DAYS = text("DELETE FROM volume_days WHERE day >= :first AND day < :last")
_SUM_DAYS = text("""
    INSERT INTO volume_days (day, platform, measure, value, n)
    SELECT date_bin('1 day', hour, TIMESTAMPTZ 'epoch'), platform, measure, value, sum(n)
    FROM volumes WHERE hour >= :first AND hour < :last GROUP BY 1, 2, 3, 4
""")
_FORGET = text("DELETE FROM volumes WHERE hour >= :since AND hour < :until")
_IN_FLIGHT = """
    EXISTS (SELECT FROM events WHERE received_at >= h.hour AND received_at < h.hour + interval '1 hour'
        AND disposition IS NULL AND conversation_id IS NOT NULL)
"""
_MARK = text(f"""
    INSERT INTO volume_hours (hour, counted_at, again_at)
    SELECT h.hour, :now, CASE WHEN h.hour < CAST(:now AS timestamptz) - CAST(:final AS interval) THEN NULL
        WHEN {_IN_FLIGHT} THEN CAST(:now AS timestamptz) + CAST(:soon AS interval)
        ELSE CAST(:now AS timestamptz) + (CAST(:now AS timestamptz) - h.hour) END
    FROM generate_series(CAST(:since AS timestamptz), CAST(:until AS timestamptz) - interval '1 hour', '1 hour') AS h(hour)
    ON CONFLICT (hour) DO UPDATE SET counted_at = excluded.counted_at, again_at = excluded.again_at
""")  # noqa: S608


_BOUNDS = text("SELECT min(hour) AS first, max(hour) + interval '1 hour' AS until FROM volume_hours")
_TOTALS = text("""
    SELECT platform, measure, value, sum(n)::bigint AS n FROM (
        SELECT platform, measure, value, n FROM volumes WHERE hour >= :since AND hour < :first_day
        UNION ALL SELECT platform, measure, value, n FROM volume_days WHERE day >= :first_day AND day < :last_day
        UNION ALL SELECT platform, measure, value, n FROM volumes WHERE hour >= :last_day AND hour < :until) v
    GROUP BY 1, 2, 3
""")
_HOURS = text("""
    SELECT hour, platform, measure, value, n FROM volumes
    WHERE hour >= :since AND hour < :until AND measure = ANY(:measures)
""")
_RAW = text(_COUNT)

MEASURES = (
    "received", "intent", "route", "disposition", "sent", "failed", "handoff", "wait", "first_reply", "deadline", "closed",
    "alarm", "alarm_confirmed", "alarm_taken_back", "likely", "likely_confirmed", "likely_taken_back", "asked", "thumb",
    "question", "question_supposed", "question_up", "question_down", "general", "offered",
)  # fmt: skip


@dataclass(frozen=True)
class Counts:
    """What was counted over a period. `totals`: (platform, measure, value) → how many; `hours`: the same by hour, of the
    measures that were asked for by hour."""

    totals: Mapping[tuple[str, str, str], int]
    hours: Mapping[tuple[datetime, str, str, str], int]


def hour_of(at: datetime) -> datetime:
    """The beginning of the hour, in UTC."""
    return at.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)


async def read(connection: AsyncConnection, since: datetime, until: datetime, hourly: Collection[str] = ()) -> Counts:
    """Every measure over [since, until), those of `hourly` by hour too.

    Whole hours are read from the roll-up as far as it has come; the rest (the running hour) is counted now.
    """
    totals: Counter[tuple[str, str, str]] = Counter()
    hours: Counter[tuple[datetime, str, str, str]] = Counter()
    bounds = (await connection.execute(_BOUNDS)).one()
    kept = _kept(since, until, bounds.first, bounds.until)
    rest = [(since, until)]
    if kept is not None:
        span = {"since": kept[0], "until": kept[1]}
        days = _days(*kept)
        for row in await connection.execute(_TOTALS, {**span, "first_day": days[0], "last_day": days[1]}):
            totals[(row.platform, row.measure, row.value)] += row.n
        if hourly:
            for row in await connection.execute(_HOURS, {**span, "measures": list(hourly)}):
                hours[(row.hour, row.platform, row.measure, row.value)] += row.n
        rest = [(since, kept[0]), (kept[1], until)]
    for start, end in rest:
        if start < end:
            for row in await connection.execute(_RAW, {"since": start, "until": end}):
                totals[(row.platform, row.measure, row.value)] += row.n
                if row.measure in hourly:
                    hours[(row.hour, row.platform, row.measure, row.value)] += row.n
    return Counts(totals, hours)


def _kept(
    since: datetime, until: datetime, first: datetime | None, counted: datetime | None
) -> tuple[datetime, datetime] | None:
    """The whole hours of [since, until) within the roll-up's [first, counted)."""
    if first is None or counted is None:
        return None
    start = hour_of(since)
    start = max(start if start == since else start + HOUR, first)
    end = min(hour_of(until), counted)
    return (start, end) if start < end else None


def _days(since: datetime, until: datetime) -> tuple[datetime, datetime]:
    """The whole days (UTC) of a range of hours; (until, until) when there is none."""
    first, last = _day_of(since + DAY - HOUR), _day_of(until)
    return (first, last) if first < last else (until, until)


def _day_of(at: datetime) -> datetime:
    return at.astimezone(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)


class RollUp:
    """Keeps `volumes` up to date. Any number of processes may call it: one counts at a time, the others pass."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def catch_up(self, now: datetime) -> int:
        """Count every whole hour that is over and not counted yet, then those that are to be counted again; how many.

        It may be cut off at any moment: what was committed stands, the rest is found again.
        """
        done = 0
        while True:
            async with self._db.begin(durable=False) as connection:
                if not await connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK}):
                    return done
                span = await _next(connection, now)
                if span is None:
                    return done
                await _count(connection, *span, now)
            done += (span[1] - span[0]) // HOUR

    async def rebuild(self, now: datetime, since: datetime | None = None, until: datetime | None = None) -> int:
        """Count anew the kept hours of [since, until), all by default; how many.

        Hours whose messages were deleted since (`kept`) keep their figures.
        """
        async with self._db.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            await connection.execute(
                text("""
                    UPDATE volume_hours SET again_at = :now
                    WHERE NOT kept AND hour >= coalesce(CAST(:since AS timestamptz), '-infinity')
                      AND hour < coalesce(CAST(:until AS timestamptz), 'infinity')
                """),
                {"now": now, "since": since, "until": until},
            )
        return await self.catch_up(now)


async def _next(connection: AsyncConnection, now: datetime) -> tuple[datetime, datetime] | None:
    """The next range of whole hours to count; None when all is up to date."""
    over = hour_of(now - GRACE)
    # A simulated clock that was set back: the hour is not over any more.
    for table in ("volumes", "volume_hours"):
        await connection.execute(text(f"DELETE FROM {table} WHERE hour >= :over"), {"over": over})  # noqa: S608
    bounds = (await connection.execute(_BOUNDS)).one()
    first = await connection.scalar(_FIRST)
    if bounds.first is None:
        return None if first is None or first >= over else (first, min(first + CHUNK, over))
    if bounds.until < over:
        return bounds.until, min(bounds.until + CHUNK, over)
    if first is not None and first < bounds.first:  # older data were brought in
        return max(first, bounds.first - CHUNK), bounds.first
    again = await connection.scalar(
        text("SELECT hour FROM volume_hours WHERE again_at <= :now ORDER BY hour LIMIT 1"), {"now": now}
    )
    return None if again is None else (again, again + HOUR)


async def _count(connection: AsyncConnection, since: datetime, until: datetime, now: datetime) -> None:
    span = {"since": since, "until": until}
    await connection.execute(_FORGET, span)
    await connection.execute(_STORE, span)
    days = {"first": _day_of(since), "last": _day_of(until - HOUR) + DAY}
    await connection.execute(_FORGET_DAYS, days)
    await connection.execute(_SUM_DAYS, days)
    await connection.execute(_MARK, {**span, "now": now, "soon": IN_FLIGHT_EVERY, "final": FINAL})
