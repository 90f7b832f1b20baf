"""How well citizens are understood, week by week: what was made of their messages, which subjects are new, which are never met.

Counts come from two roll-ups, so that a million messages are read in few rows: `volumes` (hours of all messages: route, subject)
and `reading_days` (days of what the engine read: how sure it was, by subject), which this module keeps. What is not rolled up
yet, the last two days, is counted at once. Words are read only for new subjects, of messages that wait in the inbox.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.errors import SettingsError
from bot.policy.route import NET_CONFIDENCE
from bot.store import volumes
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.workbench.readings import WORDS
from bot.store.workbench.review import SHOWN

OUTSIDE = "hors_perimetre"
DAY, WEEK = timedelta(days=1), timedelta(weeks=1)
OPEN_DAYS = 2  # a night's messages are read again in the morning: the last days are counted anew each time
CHUNK = 14  # days counted in one transaction
MOST_WORDS = 10_000  # messages whose words are read at once
_LOCK = 7_109_318  # advisory: one process counts at a time

_LOW = f"confidence < {NET_CONFIDENCE}"
_COUNT = f"""
    SELECT (at AT TIME ZONE :zone)::date AS day, coalesce(intent, '') AS intent, count(*)::integer AS n,
        count(*) FILTER (WHERE clarified OR route = 'clarify')::integer AS clarified,
        count(*) FILTER (WHERE route = 'handoff')::integer AS handed_off,
        count(*) FILTER (WHERE route = 'answer' AND NOT clarified)::integer AS answered,
        count(*) FILTER (WHERE {_LOW})::integer AS low
    FROM readings WHERE at >= :since AND at < :until GROUP BY 1, 2
"""  # noqa: S608
_STORE = text(f"INSERT INTO reading_days (day, intent, n, clarified, handed_off, answered, low) {_COUNT}")
_RAW = text(_COUNT)
_KEPT = text("SELECT * FROM reading_days WHERE day >= :first AND day < :last")
_WEEKS = text("""
    SELECT CAST(date_trunc('week', hour AT TIME ZONE :zone) AS date) AS week, measure, value, sum(n)::bigint AS n
    FROM volumes
    WHERE hour >= :since AND hour < :until AND (measure IN ('received', 'route') OR measure = 'intent' AND value = :outside)
    GROUP BY 1, 2, 3
""")
_MET = text("""
    SELECT value AS intent, coalesce(sum(n) FILTER (WHERE hour >= :month), 0)::bigint AS month, sum(n)::bigint AS quarter
    FROM volumes WHERE measure = 'intent' AND hour >= :quarter AND hour < :until GROUP BY 1
""")
_COUNTED = text("SELECT max(hour) + interval '1 hour' FROM volume_hours")
_UNKNOWN = text(f"""
    SELECT r.event_id, r.conversation_id, r.at, r.words
    FROM readings r
    WHERE r.at >= :since AND r.weight > 0 AND r.decision_id IS NULL
      AND (r.clarified OR r.route = 'clarify' OR r.intent = :outside OR r.{_LOW})
      AND {SHOWN}
    ORDER BY r.at DESC, r.event_id DESC LIMIT :most
""")  # noqa: S608
# What tells whether anything above has changed, in two numbers.
_STATE = text("""
    SELECT count(*) AS n, coalesce(max(event_id), 0) AS last FROM readings
    WHERE at >= :since AND weight > 0 AND decision_id IS NULL
""")


@dataclass(frozen=True)
class Week:
    """One week, Monday to Sunday. `received` counts every message, `read` those that the engine read, of which `low` unsurely.

    A share is None where nothing came.
    """

    first: date
    received: int = 0
    routes: Mapping[str, int] = field(default_factory=dict)
    outside: int = 0
    read: int = 0
    low: int = 0

    def share(self, what: str) -> float | None:
        """Part of the messages, 0 to 1: clarified, handed_off, answered, outside (of all), low (of those read)."""
        part, whole = self.part(what), self.read if what == "low" else self.received
        return part / whole if whole else None

    def part(self, what: str) -> int:
        """How many."""
        if what in ("outside", "low"):
            return self.outside if what == "outside" else self.low
        return self.routes.get({"clarified": "clarify", "handed_off": "handoff", "answered": "answer"}[what], 0)


@dataclass(frozen=True)
class Understood:
    """One subject over a period: how often it was read, and how that went. `before`: how often in the period before."""

    intent: str
    n: int
    clarified: int
    handed_off: int
    answered: int
    low: int
    before: int = 0


@dataclass(frozen=True)
class Unknown:
    """A message that waits in the inbox and was not understood. `words`: a citizen's."""

    event: int
    conversation: int
    at: datetime
    words: str


class Drift:
    """Reads the roll-ups. `zone`: where days and weeks begin; the same for all processes over one database."""

    def __init__(self, database: Database, zone: ZoneInfo) -> None:
        self._db = database
        self._zone = zone

    async def weeks(self, now: datetime, n: int) -> list[Week]:
        """The last `n` weeks, the running one included, the oldest first."""
        today = now.astimezone(self._zone).date()
        first = today - timedelta(days=today.weekday()) - (n - 1) * WEEK
        since = self._midnight(first)
        routes: dict[date, Counter[tuple[str, str]]] = {}
        async with self._db.begin() as connection:
            counted = await connection.scalar(_COUNTED) or since
            values = {"zone": self._zone.key, "since": since, "until": now, "outside": OUTSIDE}
            for row in await connection.execute(_WEEKS, values):
                routes.setdefault(row.week, Counter())[(row.measure, row.value)] += row.n
            rest = await volumes.read(connection, max(counted, since), now, ("received", "route", "intent"))
            for (hour, _, measure, value), count in rest.hours.items():
                day = hour.astimezone(self._zone).date()
                routes.setdefault(day - timedelta(days=day.weekday()), Counter())[(measure, value)] += count
            days = await self._days(connection, first, today + DAY)
        read, low = Counter[date](), Counter[date]()
        for day, one in days:
            monday = day - timedelta(days=day.weekday())
            read[monday] += one.n
            low[monday] += one.low
        return [_week(first + i * WEEK, routes.get(first + i * WEEK, Counter()), read, low) for i in range(n)]

    async def subjects(self, now: datetime, days: int) -> list[Understood]:
        """What the engine read in the last `days` days, by subject, the most frequent first; "" where it found none."""
        today = now.astimezone(self._zone).date()
        first = today - timedelta(days=days - 1)
        async with self._db.begin() as connection:
            found = await self._days(connection, first - timedelta(days=days), today + DAY)
        sums: dict[str, Counter[str]] = {}
        for day, one in found:
            sum_ = sums.setdefault(one.intent, Counter())
            if day < first:
                sum_["before"] += one.n
            else:
                sum_.update({name: getattr(one, name) for name in ("n", "clarified", "handed_off", "answered", "low")})
        made = [
            Understood(intent, s["n"], s["clarified"], s["handed_off"], s["answered"], s["low"], s["before"])
            for intent, s in sums.items()
        ]
        return sorted(made, key=lambda one: (-one.n, one.intent))

    async def met(self, now: datetime) -> Mapping[str, tuple[int, int]]:
        """By subject, how many messages in the last 30 and 90 days, whatever became of them; subjects never met are left out."""
        month, quarter = now - 30 * DAY, now - 90 * DAY
        found: dict[str, tuple[int, int]] = {}
        async with self._db.begin() as connection:
            counted = await connection.scalar(_COUNTED) or quarter
            for row in await connection.execute(_MET, {"month": month, "quarter": quarter, "until": now}):
                found[row.intent] = (row.month, row.quarter)
            rest = await volumes.read(connection, max(counted, quarter), now)
        for (_, measure, value), n in rest.totals.items():
            if measure == "intent":
                month_n, quarter_n = found.get(value, (0, 0))
                found[value] = (month_n + n, quarter_n + n)
        return found

    async def state(self, since: datetime) -> tuple[int, int]:
        """Changes whenever `unknown` does, but for what was decided and taken back in between."""
        async with self._db.begin() as connection:
            row = (await connection.execute(_STATE, {"since": since})).one()
            return row.n, row.last

    async def unknown(self, since: datetime) -> list[tuple[int, int, datetime, bytes]]:
        """The newest messages that were not understood and wait: (event, conversation, time, sealed words), MOST_WORDS at most."""
        async with self._db.begin() as connection:
            rows = await connection.execute(_UNKNOWN, {"since": since, "outside": OUTSIDE, "most": MOST_WORDS})
            return [(row.event_id, row.conversation_id, row.at, bytes(row.words)) for row in rows]

    async def catch_up(self, now: datetime) -> int:
        """Keep the days that are over; how many. Any number of processes may call it: one counts, the others pass."""
        done, last = 0, now.astimezone(self._zone).date() - OPEN_DAYS * DAY
        while True:
            async with self._db.begin(durable=False) as connection:
                if not await connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK}):
                    return done
                first = await self._uncounted(connection)
                if first is None or first >= last:
                    return done
                until = min(first + CHUNK * DAY, last)
                span = {"since": self._midnight(first), "until": self._midnight(until), "zone": self._zone.key}
                await connection.execute(_STORE, span)
                await connection.execute(text("UPDATE reading_days_until SET day = :day"), {"day": until})
            done += (until - first).days

    async def _uncounted(self, connection: AsyncConnection) -> date | None:
        until: date | None = await connection.scalar(text("SELECT day FROM reading_days_until"))
        if until is not None:
            return until
        at = await connection.scalar(text("SELECT min(at) FROM readings"))
        first: date | None = None if at is None else at.astimezone(self._zone).date()
        return first

    async def _days(self, connection: AsyncConnection, first: date, last: date) -> list[tuple[date, Understood]]:
        """Each day's subjects over [first, last): as kept, then as they stand now for the days that are still open."""
        until = await connection.scalar(text("SELECT day FROM reading_days_until")) or first
        rows = list(await connection.execute(_KEPT, {"first": first, "last": min(last, until)}))
        since = max(first, until)
        if since < last:
            span = {"since": self._midnight(since), "until": self._midnight(last), "zone": self._zone.key}
            rows += list(await connection.execute(_RAW, span))
        return [
            (row.day, Understood(row.intent, row.n, row.clarified, row.handed_off, row.answered, row.low))
            for row in rows
        ]

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self._zone)


def opened(codec: Codec, rows: Sequence[tuple[int, int, datetime, bytes]]) -> list[Unknown]:
    """The words of what `unknown` found. Blocks: in a thread."""
    found = []
    for event, conversation, at, words in rows:
        with contextlib.suppress(SettingsError):  # what cannot be read hides no other
            found.append(Unknown(event, conversation, at, codec.open(words, WORDS, event).decode()))
    return found


def _week(
    first: date, counts: Mapping[tuple[str, str], int], read: Mapping[date, int], low: Mapping[date, int]
) -> Week:
    routes = {value: n for (measure, value), n in counts.items() if measure == "route"}
    received = sum(n for (measure, _), n in counts.items() if measure == "received")
    return Week(first, received, routes, counts.get(("intent", OUTSIDE), 0), read.get(first, 0), low.get(first, 0))
