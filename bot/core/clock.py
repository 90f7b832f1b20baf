"""Time as a port, so that tests freeze it, machines share one, and the sandbox can simulate an hour.

What several processes compare is told by one clock, PostgreSQL's (docs/decisions/clocks.md): each process reads it over the
connections that it has anyway, and counts on by itself in between. Its machine's own clock may be wrong, and may jump.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Optional, Protocol

AHEAD = timedelta(
    minutes=1
)  # how far a moment that was written down may lie ahead of who reads it, whatever was under way


def plausible(at: Optional[datetime], now: datetime) -> Optional[datetime]:
    """A moment that should be past; None where a clock that was wrong wrote it: what has not happened yet holds nothing back."""
    return at if at is not None and at - now <= AHEAD else None


class Clock(Protocol):
    """Anything that tells the time."""

    def now(self) -> datetime:
        """Aware UTC time."""
        ...


class MovedClock:
    """Another clock, moved by `offset` (zero but in the sandbox's simulated hour)."""

    def __init__(self, base: Clock, offset: timedelta = timedelta(0)) -> None:
        self.base = base
        self.offset = offset

    def now(self) -> datetime:
        return self.base.now() + self.offset


class _Machine:
    """What the machine's clock says."""

    def now(self) -> datetime:
        return datetime.now(timezone.utc)


class SystemClock(MovedClock):
    """The machine's clock, moved by `offset`: for what no other process compares."""

    def __init__(self, offset: timedelta = timedelta(0)) -> None:
        super().__init__(_Machine(), offset)


def steady() -> float:
    """Seconds since some moment: no correction of the hour moves them, and a machine that slept counts its sleep."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)  # Linux alone has it
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class SharedClock:
    """Follows a clock elsewhere by its readings, and counts on by `steady` in between; until the first reading it goes by the
    machine's `wall` (seconds since the epoch).

    A reading says that the other clock showed `at` somewhere between two moments of ours. While that agrees with what we tell,
    nothing moves, however long the answer took; else we move as far as it takes to agree.
    """

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = steady) -> None:
        self._wall = wall
        self.steady = steady
        self._zero = wall() - steady()  # what we tell, less `steady`
        self.read = False  # whether there was a reading

    @property
    def skew(self) -> float:
        """Seconds that the machine's own clock is ahead of what we tell (negative: behind)."""
        return self._wall() - self._zero - self.steady()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._zero + self.steady(), timezone.utc)

    def hear(self, at: float, before: float, after: float) -> float:
        """The other clock showed `at` (seconds since the epoch) between `before` and `after` of `steady`. Returns by how many
        seconds what we tell has moved."""
        least, most, told = at - after, at - before, self._zero
        self._zero = min(max(told, least), most) if self.read else (least + most) / 2
        self.read = True
        return self._zero - told


class FrozenClock:
    """A clock that moves only when told."""

    def __init__(self, at: datetime) -> None:
        if at.tzinfo is None:
            raise ValueError("naive datetime in a clock")
        self.at = at

    def now(self) -> datetime:
        return self.at

    def advance(self, **delta: float) -> datetime:
        """Move forward by a timedelta's keywords; returns the new time."""
        self.at += timedelta(**delta)
        return self.at
