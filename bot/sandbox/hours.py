"""The simulated hour: choices, and how far the clock moves for each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.policy.night import instant

_DAYS = ("lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim.")


@dataclass(frozen=True)
class Choice:
    """One line of the select: to a wall time, forward by `ahead`, or (both None) back to the real time."""

    value: str
    label: str
    wall: time | None = None
    ahead: timedelta | None = None


CHOICES = (
    Choice("maintenant", "l’heure réelle"),
    Choice("09:00", "9\u00a0h, le matin", time(9, 0)),
    Choice("15:00", "15\u00a0h, l’après-midi", time(15, 0)),
    Choice("23:59", "23\u00a0h\u00a059, avant la nuit", time(23, 59)),
    Choice("02:30", "2\u00a0h\u00a030, la nuit", time(2, 30)),
    Choice("06:01", "6\u00a0h\u00a001, après la nuit", time(6, 1)),
    Choice("plus-25h", "25\u00a0heures plus tard", None, timedelta(hours=25)),
)


def offset_for(choice: Choice, simulated: datetime, real: datetime, zone: ZoneInfo) -> timedelta:
    """The new offset. A wall time is the next one after `simulated`, so that time runs forward."""
    if choice.ahead is not None:
        return simulated + choice.ahead - real
    if choice.wall is None:
        return timedelta(0)
    day = simulated.astimezone(zone).date()
    at = instant(day, choice.wall, zone)
    if at <= simulated:
        at = instant(day + timedelta(days=1), choice.wall, zone)
    return at - real


def clock_text(at: datetime, zone: ZoneInfo) -> str:
    """« mer. 02:30 »."""
    local = at.astimezone(zone)
    return f"{_DAYS[local.weekday()]} {local:%H:%M}"
