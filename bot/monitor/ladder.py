"""When an alert opens, is told again, and closes. No clock, no database: the caller gives the moment and keeps the alerts.

An alert opens when its trouble was seen for a little while, is told again at growing distances, and closes once, when the
trouble has been gone for a little while. One that comes and goes has to be gone for longer each time, so that it is one
alert with reminders and not a message every minute.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.monitor.finding import Grade, Problem

REMINDERS = (timedelta(hours=1), timedelta(hours=4), timedelta(days=1))  # the last one again and again
# How long a trouble must be gone, by how often it came back.
GONE = (timedelta(minutes=2), timedelta(minutes=10), timedelta(minutes=30), timedelta(hours=1))
MORE = timedelta(minutes=15)  # between two tellings of one that grows
HICCUP = timedelta(seconds=30)  # of good looks, until a trouble that never rang begins anew
FORGOTTEN = timedelta(days=1)  # after its end an alert is a new one
CONFIRM = timedelta(seconds=60)
_CONFIRM = {
    "service": timedelta(minutes=2),
    "emergencies": timedelta(0),
    "engine": timedelta(minutes=2),
    "catchup": timedelta(minutes=10),  # it is tried again every two minutes
    "checks": timedelta(minutes=3),  # a migration may be under way
}


@dataclass(frozen=True)
class Alert:
    """One trouble. `opened_at` None: not confirmed yet; `gone_at`: not seen since; `closed_at`: told to be over, or never told.

    `told`: how often since it opened; `mark`: the problem's when last told; `returns`: how often it came back."""

    key: str
    grade: Grade
    what: str
    remedy: str
    since: datetime
    opened_at: datetime | None = None
    told_at: datetime | None = None
    told: int = 0
    mark: int = 0
    returns: int = 0
    gone_at: datetime | None = None
    closed_at: datetime | None = None

    @property
    def open(self) -> bool:
        """Told, and not over."""
        return self.opened_at is not None and self.closed_at is None


@dataclass(frozen=True)
class Notice:
    """What is to be told now."""

    opened: tuple[Alert, ...] = ()
    reminded: tuple[Alert, ...] = ()
    closed: tuple[Alert, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.opened or self.reminded or self.closed)

    def __add__(self, other: Notice) -> Notice:
        return Notice(self.opened + other.opened, self.reminded + other.reminded, self.closed + other.closed)


@dataclass
class _Step:
    now: datetime
    kept: dict[str, Alert] = field(default_factory=dict)
    opened: list[Alert] = field(default_factory=list)
    reminded: list[Alert] = field(default_factory=list)
    closed: list[Alert] = field(default_factory=list)

    def seen(self, problem: Problem, old: Alert | None, confirm: timedelta) -> None:
        """The trouble is there."""
        alert = self._of(problem, old)
        if alert.opened_at is None:
            if self.now - alert.since >= confirm:
                alert = replace(alert, opened_at=self.now, told_at=self.now, told=1, mark=problem.mark)
                self.opened.append(alert)
        elif self._due(alert, problem):
            alert = replace(alert, told_at=self.now, told=alert.told + 1, mark=max(alert.mark, problem.mark))
            self.reminded.append(alert)
        self.kept[alert.key] = alert

    def _of(self, problem: Problem, old: Alert | None) -> Alert:
        fresh = Alert(problem.key, problem.grade, problem.what, problem.remedy, self.now)
        if old is None:
            return fresh
        if old.closed_at is not None:
            return replace(fresh, returns=old.returns + 1)
        if old.opened_at is None and old.gone_at is not None and self.now - old.gone_at >= HICCUP:
            return fresh
        returned = old.gone_at is not None and old.opened_at is not None
        return replace(
            old,
            grade=problem.grade,
            what=problem.what,
            remedy=problem.remedy,
            gone_at=None,
            returns=old.returns + returned,
        )

    def _due(self, alert: Alert, problem: Problem) -> bool:
        assert alert.told_at is not None
        if problem.mark > alert.mark and self.now - alert.told_at >= MORE:
            return True
        return self.now - alert.told_at >= REMINDERS[min(alert.told, len(REMINDERS)) - 1]

    def missing(self, alert: Alert) -> None:
        """The trouble is not there (any more)."""
        if alert.closed_at is not None:
            if self.now - alert.closed_at < FORGOTTEN:
                self.kept[alert.key] = alert
            return
        gone = alert.gone_at or self.now
        alert = replace(alert, gone_at=gone)
        if alert.opened_at is None:
            # A service that dies soon after each start looks well now and then: it must ring all the same.
            if self.now - gone < HICCUP:
                self.kept[alert.key] = alert
            return
        if self.now - gone >= GONE[min(alert.returns, len(GONE) - 1)]:
            alert = replace(alert, closed_at=self.now)
            self.closed.append(alert)
        self.kept[alert.key] = alert


def _past(alert: Alert, now: datetime) -> Alert:
    """What a clock that was wrong dated ahead has happened by now: else it would not ring, or not be told again, until then."""
    moments = {name: getattr(alert, name) for name in ("since", "opened_at", "told_at", "gone_at", "closed_at")}
    return replace(alert, **{name: min(at, now) for name, at in moments.items() if at is not None})


def confirm_of(key: str, slower: Mapping[str, timedelta] | None = None) -> timedelta:
    """How long a trouble of this key must last before it rings."""
    family = key.partition(":")[0]
    return (slower or {}).get(family, _CONFIRM.get(family, CONFIRM))


def step(
    alerts: Iterable[Alert],
    problems: Iterable[Problem],
    now: datetime,
    unknown: Collection[str] = (),
    slower: Mapping[str, timedelta] | None = None,
) -> tuple[list[Alert], Notice]:
    """The alerts after one look, and what to tell. `unknown`: families of keys that could not be looked at: theirs stay.

    A key's family is what stands before its first colon."""
    before = {alert.key: _past(alert, now) for alert in alerts}
    found = {problem.key: problem for problem in problems if problem.key and not problem.advice}
    at = _Step(now)
    for key, problem in found.items():
        at.seen(problem, before.pop(key, None), confirm_of(key, slower))
    for key, alert in before.items():
        if key.partition(":")[0] in unknown:
            at.kept[key] = alert
        else:
            at.missing(alert)
    return list(at.kept.values()), Notice(tuple(at.opened), tuple(at.reminded), tuple(at.closed))
