"""What the steering page shows: figures over a period, and how things stand at this moment. Counts and durations only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import text

from bot.policy import histogram
from bot.policy.intents import PRIORITY
from bot.policy.rights import Capability, Role, may
from bot.store import alarms, volumes
from bot.store.db import Database
from bot.store.volumes import Counts

ON_LINE_FOR = timedelta(minutes=10)  # since the last page that somebody opened
PRESENT_FOR = timedelta(seconds=30)  # since the last sign of life of a conversation's page
SETTLED = ("answered", "emergency", "handed_off", "to_agent")  # dispositions of messages that called for something


@dataclass(frozen=True)
class Spread:
    """Durations: how many, the middle one, and the one below which nine of ten lie (None when there are none)."""

    n: int
    median: timedelta | None
    p90: timedelta | None


@dataclass(frozen=True)
class Kept:
    """Deadlines: first replies in time, and deadlines that passed without one."""

    kept: int
    late: int

    @property
    def share(self) -> float | None:
        """Kept ones, 0 … 1; None when none ran out or was kept."""
        return _share(self.kept, self.kept + self.late)


@dataclass(frozen=True)
class AlarmCounts:
    """Alarms of one detector: raised in the period, and what agents said in it of these and of earlier ones."""

    raised: int
    confirmed: int
    taken_back: int

    @property
    def false_share(self) -> float | None:
        """Taken back, of those that an agent judged, 0 … 1; None when none was."""
        return _share(self.taken_back, self.confirmed + self.taken_back)


@dataclass(frozen=True)
class QuestionCounts:
    """A question of the catalogue: how often it was asked, and the thumbs about the talks in which it was asked last. `supposed`:
    how often, of these, it was answered as the one that may be meant."""

    question: str
    asked: int
    up: int
    down: int
    supposed: int = 0


@dataclass(frozen=True)
class GeneralCounts:
    """Messages of an intent that got a general reply alone, by the question that is nearest to them. `offered`: to how many buttons
    led to questions."""

    intent: str
    nearest: str
    n: int
    offered: int


@dataclass(frozen=True)
class Figures:
    """Over a period. Mappings go from the store's value (intent, route, category, priority …) to how many."""

    platforms: Mapping[str, int]  # messages received
    intents: Mapping[str, int]
    routes: Mapping[str, int]
    dispositions: Mapping[str, int]
    sent: Mapping[str, int]  # by author
    handoffs: Mapping[str, int]  # opened, by category
    wait: Spread  # until an agent took it
    first_reply: Spread
    first_reply_by_priority: Mapping[int, Spread]
    deadlines: Mapping[int, Kept]
    asked: int
    up: int
    down: int
    alarms: Mapping[str, AlarmCounts] = field(default_factory=dict)  # sure ones, by detector
    likely: Mapping[str, AlarmCounts] = field(default_factory=dict)  # likely dangers, by detector
    questions: tuple[QuestionCounts, ...] = ()  # those that were asked most first
    general: tuple[GeneralCounts, ...] = ()  # the most frequent first

    @property
    def all_alarms(self) -> AlarmCounts:
        """All detectors together."""
        return _summed(self.alarms)

    @property
    def all_likely(self) -> AlarmCounts:
        """All detectors together."""
        return _summed(self.likely)

    @property
    def received(self) -> int:
        """Messages of people."""
        return sum(self.platforms.values())

    @property
    def bot_share(self) -> float | None:
        """Messages that the bot alone answered, of those that are settled and called for something."""
        settled = sum(self.dispositions.get(name, 0) for name in SETTLED)
        return _share(self.dispositions.get("answered", 0), settled)

    @property
    def kept(self) -> Kept:
        """All priorities together."""
        return Kept(sum(k.kept for k in self.deadlines.values()), sum(k.late for k in self.deadlines.values()))

    @property
    def satisfied(self) -> float | None:
        """Thumbs up, of all thumbs."""
        return _share(self.up, self.up + self.down)

    @property
    def empty(self) -> bool:
        """Whether nothing at all happened."""
        return not (
            self.received
            or self.handoffs
            or self.wait.n
            or self.first_reply.n
            or self.kept.late
            or self.up + self.down
            or self.alarms
            or self.likely
        )


@dataclass(frozen=True)
class Waiting:
    """Open hand-offs of a priority that have no human reply yet, snoozed ones aside."""

    priority: int
    n: int
    oldest: datetime
    late: int
    soon: int  # within the deadline's alert


@dataclass(frozen=True)
class Moment:
    """How things stand. `agents`: people on line who may answer."""

    waiting: tuple[Waiting, ...]
    agents: int

    @property
    def n(self) -> int:
        return sum(w.n for w in self.waiting)

    @property
    def late(self) -> int:
        return sum(w.late for w in self.waiting)

    @property
    def soon(self) -> int:
        return sum(w.soon for w in self.waiting)

    @property
    def oldest(self) -> datetime | None:
        """When the longest wait began."""
        return min((w.oldest for w in self.waiting), default=None)


class Steering:
    """Reads the figures."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def counts(self, since: datetime, until: datetime, hourly: tuple[str, ...] = ("received",)) -> Counts:
        """What was counted over [since, until)."""
        async with self._db.begin() as connection:
            return await volumes.read(connection, since, until, hourly)

    async def terms(self) -> Mapping[int, timedelta]:
        """Within which time a first human reply is expected, by priority."""
        async with self._db.begin() as connection:
            rows = await connection.execute(text("SELECT priority, within FROM deadlines ORDER BY priority"))
            return {row.priority: row.within for row in rows}

    async def moment(self, now: datetime, wall: datetime) -> Moment:
        """How things stand `now`; `wall` is the sessions' time."""
        async with self._db.begin() as connection:
            rows = await connection.execute(
                text("""
                    SELECT h.priority, count(*) AS n, min(h.opened_at) AS oldest,
                        count(*) FILTER (WHERE h.due_at <= :now AND h.priority <> :thanks) AS late,
                        count(*) FILTER (WHERE h.due_at > :now AND h.priority <> :thanks
                            AND h.due_at <= CAST(:now AS timestamptz) + coalesce(d.alert_before, interval '0')) AS soon
                    FROM handoffs h LEFT JOIN deadlines d ON d.priority = h.priority
                    WHERE h.closed_at IS NULL AND h.replied_at IS NULL
                      AND (h.snoozed_until IS NULL OR h.snoozed_until <= :now)
                    GROUP BY h.priority ORDER BY h.priority
                """),
                {"now": now, "thanks": PRIORITY["thanks"]},  # they have no deadline
            )
            waiting = tuple(Waiting(row.priority, row.n, row.oldest, row.late, row.soon) for row in rows)
            agents = await connection.scalar(
                text("""
                    SELECT count(*) FROM users u
                    WHERE u.role = ANY(:roles) AND u.disabled_at IS NULL AND EXISTS (
                        SELECT FROM sessions s WHERE s.user_id = u.id AND s.stage = 'open' AND s.ended_at IS NULL
                           AND (s.seen_at > :seen OR EXISTS (
                               SELECT FROM presence p WHERE p.user_id = u.id AND p.seen_at > :here)))
                """),
                {
                    "roles": [role.value for role in Role if may(role.value, Capability.WORK)],
                    "seen": wall - ON_LINE_FOR,
                    "here": wall - PRESENT_FOR,
                },
            )
        return Moment(waiting, int(agents or 0))


def figures(counts: Counts) -> Figures:
    """What the counts of a period say."""
    by: dict[str, Counter[str]] = {measure: Counter() for measure in volumes.MEASURES}
    platforms: Counter[str] = Counter()
    for (platform, measure, value), n in counts.totals.items():
        by[measure][value] += n
        if measure == "received":
            platforms[platform] += n
    replies = _by_priority(by["first_reply"])
    return Figures(
        platforms=platforms,
        intents=by["intent"],
        routes=by["route"],
        dispositions=by["disposition"],
        sent=by["sent"],
        handoffs=by["handoff"],
        wait=_spread(*_by_priority(by["wait"]).values()),
        first_reply=_spread(*replies.values()),
        first_reply_by_priority={priority: _spread(some) for priority, some in replies.items()},
        deadlines=_deadlines(by["deadline"]),
        asked=by["asked"].total(),
        up=by["thumb"]["up"],
        down=by["thumb"]["down"],
        alarms=_alarms(by, "alarm"),
        likely=_alarms(by, "likely"),
        questions=_questions(by),
        general=_general(by),
    )


def _questions(by: Mapping[str, Counter[str]]) -> tuple[QuestionCounts, ...]:
    asked, up, down, supposed = (by[f"question{name}"] for name in ("", "_up", "_down", "_supposed"))
    found = (QuestionCounts(one, asked[one], up[one], down[one], supposed[one]) for one in {*asked, *up, *down})
    return tuple(sorted(found, key=lambda one: (-one.asked, -one.up - one.down, one.question)))


def _general(by: Mapping[str, Counter[str]]) -> tuple[GeneralCounts, ...]:
    found = []
    for value, n in by["general"].items():
        intent, _, nearest = value.partition("-")
        found.append(GeneralCounts(intent, nearest, n, by["offered"][value]))
    return tuple(sorted(found, key=lambda one: (-one.n, one.intent, one.nearest)))


def _summed(alarms: Mapping[str, AlarmCounts]) -> AlarmCounts:
    found = alarms.values()
    return AlarmCounts(sum(a.raised for a in found), sum(a.confirmed for a in found), sum(a.taken_back for a in found))


def _alarms(by: Mapping[str, Counter[str]], measure: str) -> dict[str, AlarmCounts]:
    raised, confirmed, taken_back = (by[name] for name in (measure, f"{measure}_confirmed", f"{measure}_taken_back"))
    names = [one for one in (*alarms.DETECTORS, alarms.OTHER) if raised[one] or confirmed[one] or taken_back[one]]
    return {one: AlarmCounts(raised[one], confirmed[one], taken_back[one]) for one in names}


def _by_priority(values: Mapping[str, int]) -> dict[int, Counter[int]]:
    """priority → bucket → how many, from "priority-bucket"."""
    found: dict[int, Counter[int]] = {}
    for value, n in sorted(values.items()):
        priority, _, bucket = value.partition("-")
        found.setdefault(int(priority), Counter())[int(bucket)] += n
    return found


def _spread(*buckets: Counter[int]) -> Spread:
    summed = sum(buckets, Counter[int]())
    return Spread(summed.total(), histogram.quantile(summed, 0.5), histogram.quantile(summed, 0.9))


def _deadlines(values: Mapping[str, int]) -> dict[int, Kept]:
    found: dict[int, dict[str, int]] = {}
    for value, n in sorted(values.items()):
        priority, _, outcome = value.partition("-")
        found.setdefault(int(priority), {})[outcome] = n
    return {priority: Kept(some.get("kept", 0), some.get("late", 0)) for priority, some in found.items()}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
