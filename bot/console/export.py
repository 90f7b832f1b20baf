"""The steering figures as a file for spreadsheets: one line a count, so that a pivot table does the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from bot.console import labels
from bot.console import steering_words as says
from bot.console.csv_safe import Cell
from bot.console.steering_periods import Period
from bot.store.steering import Figures, Spread
from bot.store.volumes import MEASURES, Counts

HOURLY_DAYS = 31  # longer periods by day: a spreadsheet holds a million lines
HEADER = ("Date", "Heure", "Plateforme", "Mesure", "Détail", "Nombre", "Unité")
COUNTED = tuple(measure for measure in MEASURES if measure not in ("wait", "first_reply"))


def by_hour(period: Period) -> bool:
    """Whether the file has a line an hour, not a day."""
    return period.days <= HOURLY_DAYS


def rows(period: Period, counts: Counts, found: Figures) -> Iterator[tuple[Cell, ...]]:
    """The lines: counts by hour or day, then the durations of the whole period."""
    hourly = by_hour(period)
    summed: Counter[tuple[str, str, str, str, str]] = Counter()
    for (hour, platform, measure, value), n in counts.hours.items():
        summed[(*_when(hour, period, hourly), platform, measure, value)] += n
    order = {measure: i for i, measure in enumerate(COUNTED)}
    for (day, hour_, platform, measure, value), n in sorted(
        summed.items(), key=lambda item: (*item[0][:2], order[item[0][3]], item[0][2], item[0][4])
    ):
        where = labels.PLATFORMS.get(platform, platform)
        yield _date(day), hour_, where, says.MEASURES[measure], says.detail(measure, value), n, "nombre"
    yield from _durations("wait", "Toutes priorités", found.wait, period)
    yield from _durations("first_reply", "Toutes priorités", found.first_reply, period)
    for priority, spread in sorted(found.first_reply_by_priority.items()):
        yield from _durations("first_reply", says.PRIORITIES.get(priority, str(priority)), spread, period)


def _when(hour: datetime, period: Period, hourly: bool) -> tuple[str, str]:
    local = hour.astimezone(period.zone)
    return local.date().isoformat(), f"{local:%H:%M}" if hourly else ""


def _date(day: str) -> str:
    year, month, number = day.split("-")
    return f"{number}/{month}/{year}"


def _durations(measure: str, who: str, spread: Spread, period: Period) -> Iterator[tuple[Cell, ...]]:
    whole = f"{period.first:%d/%m/%Y}-{period.last:%d/%m/%Y}"
    for name, value in (("médiane", spread.median), ("9 sur 10 en moins de", spread.p90)):
        if value is not None:
            minutes = round(value.total_seconds() / 60, 1)
            yield whole, "", "Toutes", says.MEASURES[measure], f"{who}\u00a0: {name}", minutes, "minutes"
