"""The night, judged by the local wall clock at the moment a message is handled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Night:
    """From `start` (included) to `end` (excluded), local wall time; may cross midnight; equal values: no night."""

    zone: ZoneInfo
    start: time = time(0, 0)
    end: time = time(6, 0)

    def local(self, at: datetime) -> datetime:
        """`at` (aware) on the local wall clock."""
        if at.tzinfo is None:
            raise ValueError("naive datetime")
        return at.astimezone(self.zone)

    def contains(self, at: datetime) -> bool:
        """Whether it is night at `at`."""
        return self._in(self.local(at).time())

    def _in(self, wall: time) -> bool:
        if self.start <= self.end:
            return self.start <= wall < self.end
        return wall >= self.start or wall < self.end

    def name(self, at: datetime) -> date:
        """The local date on which the night that contains `at` began. Raises ValueError by day."""
        local = self.local(at)
        if not self._in(local.time()):
            raise ValueError("not a night")
        began_yesterday = self.start > self.end and local.time() < self.end
        return local.date() - timedelta(days=1) if began_yesterday else local.date()

    def ends_at(self, at: datetime) -> datetime:
        """The first moment after `at` (aware, UTC) at which it is no longer night; `at` itself by day."""
        if not self.contains(at):
            return at
        local = self.local(at)
        day = local.date() if local.time() < self.end else local.date() + timedelta(days=1)
        end = instant(day, self.end, self.zone)
        if end > at:
            return end
        # In autumn that wall time comes twice, and the first is over.
        return datetime.combine(day, self.end.replace(fold=1), tzinfo=self.zone).astimezone(timezone.utc)


def instant(day: date, wall: time, zone: ZoneInfo) -> datetime:
    """The moment (UTC) of a local wall time: the first of two where it occurs twice; moved forward where it does not exist."""
    return datetime.combine(day, wall.replace(fold=0), tzinfo=zone).astimezone(timezone.utc)


def hour_text(wall: time) -> str:
    """« 6 h », « 6 h 30 » (no-break spaces)."""
    return f"{wall.hour}\u00a0h" + (f"\u00a0{wall.minute:02d}" if wall.minute else "")


@dataclass(frozen=True)
class Desk:
    """When agents answer: [start, end) of the local day, end up to 24:00 (given as None)."""

    zone: ZoneInfo
    start: time = time(6, 0)
    end: time | None = None

    def open(self, at: datetime) -> bool:
        """Whether agents answer at `at`."""
        wall = at.astimezone(self.zone).time()
        if self.end is None:
            return wall >= self.start
        if self.start <= self.end:
            return self.start <= wall < self.end
        return wall >= self.start or wall < self.end
