"""Whether Meta's webhooks have been silent for longer than usual at that hour.

The same stretch of time is looked up in earlier weeks: what came then, at the least, is what should have come now. A night
with two messages an hour is given hours before it rings, a busy evening minutes; with too little history nothing rings.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

HOUR = timedelta(hours=1)
AT_LEAST = timedelta(minutes=10)
LONGEST = timedelta(hours=24)  # a longer silence is compared by its last day
EXPECTED = 8.0  # messages that should have come: by chance none comes once in three thousand such stretches
WEEKS, DAYS = 8, 14
ENOUGH_WEEKS, ENOUGH_DAYS = 4, 5


def expected(counts: Mapping[datetime, int], since: datetime, now: datetime) -> float | None:
    """How many messages such a stretch has brought, in the lowest quarter of the times before; None: not known.

    `counts`: hour (UTC) → messages received; an hour that is missing was not counted. The same weekday counts, of at least
    four weeks; with fewer, the days before."""
    since = max(since, now - LONGEST)
    weeks = _stretches(counts, since, now, [timedelta(weeks=n) for n in range(1, WEEKS + 1)])
    if len(weeks) >= ENOUGH_WEEKS:
        return _low(weeks)
    days = _stretches(counts, since, now, [timedelta(days=n) for n in range(1, DAYS + 1)])
    return _low(days) if len(days) >= ENOUGH_DAYS else None


def silent(counts: Mapping[datetime, int], since: datetime, now: datetime) -> bool:
    """Whether no webhook since then is unusual now."""
    if now - since < AT_LEAST:
        return False
    usual = expected(counts, since, now)
    return usual is not None and usual >= EXPECTED


def _stretches(counts: Mapping[datetime, int], since: datetime, now: datetime, before: list[timedelta]) -> list[float]:
    found = [_within(counts, since - ago, now - ago) for ago in before]
    return [one for one in found if one is not None]


def _within(counts: Mapping[datetime, int], since: datetime, until: datetime) -> float | None:
    """Messages of a stretch; of an hour that it holds in part, in proportion. None where an hour was not counted."""
    total, hour = 0.0, since.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)
    while hour < until:
        if hour not in counts:
            return None
        total += counts[hour] * ((min(until, hour + HOUR) - max(since, hour)) / HOUR)
        hour += HOUR
    return total


def _low(values: list[float]) -> float:
    return sorted(values)[len(values) // 4]
