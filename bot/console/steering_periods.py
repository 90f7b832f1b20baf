"""The period of the steering page: today, 7 days, 30 days, or one's own; with the period before, and the bins of its chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

TODAY, WEEK, MONTH, OWN = "jour", "7", "30", "choix"
NAMES = (TODAY, WEEK, MONTH, OWN)
_DAYS = {TODAY: 1, WEEK: 7, MONTH: 30}
LONGEST = 366  # days
HOURLY, DAILY = 2, 62  # days, at most, that are drawn by hour and by day; longer ones by week


class BadPeriod(ValueError):
    """The period that was asked for cannot be; the text says why, in French."""


@dataclass(frozen=True)
class Bin:
    """A bar of the chart: [since, until)."""

    since: datetime
    until: datetime


@dataclass(frozen=True)
class Period:
    """[since, until) and the stretch of the same length before it. `first`, `last`: its days, on the local calendar."""

    name: str
    first: date
    last: date
    since: datetime
    until: datetime
    before_since: datetime
    before_until: datetime
    zone: ZoneInfo

    @property
    def days(self) -> int:
        """How many, a day that has begun counts."""
        return (self.last - self.first).days + 1

    @property
    def grain(self) -> str:
        """What a bar stands for: hour, day or week."""
        return "hour" if self.days <= HOURLY else "day" if self.days <= DAILY else "week"

    def bins(self) -> Sequence[Bin]:
        """The bars, to the end of the last day."""
        return _bins(self.first, self.last, self.grain, self.zone)

    def bins_before(self) -> Sequence[Bin]:
        """The bars of the period before, in the same order."""
        shift = timedelta(days=self.days)
        return _bins(self.first - shift, self.last - shift, self.grain, self.zone)


def period(name: str, since: str, until: str, now: datetime, zone: ZoneInfo) -> Period:
    """The period of that name that ends now; OWN takes its days from `since` and `until` (2026-01-31).

    An unknown name is today. The period before ends at the same time of day, so that like is compared with like.
    Raises BadPeriod.
    """
    today = now.astimezone(zone).date()
    if name == OWN:
        first, last = _day(since, "de début"), _day(until, "de fin")
        _check(first, last, today)
    else:
        name = name if name in _DAYS else TODAY
        first, last = today - timedelta(days=_DAYS[name] - 1), today
    end = min(now, midnight(last + timedelta(days=1), zone))
    shift = timedelta(days=(last - first).days + 1)
    return Period(
        name,
        first,
        last,
        midnight(first, zone),
        end,
        midnight(first - shift, zone),
        (end.astimezone(zone) - shift).astimezone(end.tzinfo),  # on the wall clock: a day of 23 hours is a day
        zone,
    )


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """When that day begins."""
    return datetime.combine(day, time(), zone)


def _day(given: str, which: str) -> date:
    if not given:
        raise BadPeriod(f"Donnez la date {which} de la période.")
    try:
        day = date.fromisoformat(given)
    except ValueError:
        raise BadPeriod(f"La date {which} n’est pas une date. Exemple\u00a0: 2026-01-31.") from None
    if not 2000 <= day.year <= 2999:
        raise BadPeriod(f"La date {which} est hors de ce qui peut être compté.")
    return day


def _check(first: date, last: date, today: date) -> None:
    if first > last:
        raise BadPeriod("La date de fin est avant la date de début.")
    if first > today:
        raise BadPeriod("Cette période n’a pas encore commencé.")
    if (last - first).days >= LONGEST:
        raise BadPeriod(f"Cette période est trop longue\u00a0: choisissez {LONGEST} jours au plus.")


def _bins(first: date, last: date, grain: str, zone: ZoneInfo) -> Sequence[Bin]:
    found = []
    end = midnight(last + timedelta(days=1), zone)
    if grain == "hour":
        at = midnight(first, zone).timestamp()
        while at < end.timestamp():  # in real time: the night of a clock change has 23 or 25 hours
            found.append(Bin(datetime.fromtimestamp(at, zone), datetime.fromtimestamp(at + 3600, zone)))
            at += 3600
        return found
    day = first if grain == "day" else first - timedelta(days=first.weekday())
    step = timedelta(days=1 if grain == "day" else 7)
    while day <= last:
        found.append(Bin(midnight(max(day, first), zone), min(midnight(day + step, zone), end)))
        day += step
    return found
