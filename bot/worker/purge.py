"""The purge of each night: beside the claim loop, in every worker; one of them does it, in quiet hours, not in a crisis."""

from __future__ import annotations

import asyncio
import logging
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.core.clock import Clock
from bot.store.faults import level, told
from bot.store.purge import Busy, Origin, Purge, Report, late, nightly, nightly_done

log = logging.getLogger("planton.worker")

EVERY = 60.0  # seconds between looks
PATIENCE = 0.5  # seconds between looks while people wait to be answered


def night_of(now: datetime, hours: tuple[time, time], zone: ZoneInfo) -> date | None:
    """The night, by the local date of its start, whose quiet hours [start, end) it is now; None: it is not."""
    local = now.astimezone(zone)
    start, end = hours
    at = local.time()
    if start < end:
        return local.date() if start <= at < end else None
    if at >= start:
        return local.date()
    return local.date() - timedelta(days=1) if at < end else None


class NightPurge:
    """Does the night's purge once. `hours`: local wall times."""

    def __init__(self, purge: Purge, clock: Clock, hours: tuple[time, time], zone: ZoneInfo) -> None:
        self._purge = purge
        self._clock = clock
        self._hours = hours
        self._zone = zone

    async def step(self) -> Report | None:
        """Purge if it is time and this night's is not done; what went."""
        night = night_of(self._clock.now(), self._hours, self._zone)
        if night is None or await nightly(self._purge.database) == night:
            return None
        try:
            report = await self._purge.run(self._clock.now(), Origin("nightly"), self._goes_on)
        except Busy:
            return None  # another worker is at it, or a command
        if report.stopped is None:
            await nightly_done(self._purge.database, night)
        log.info(
            "purge: %d rows, %d batches, slowest %.0f ms%s",
            report.rows,
            report.batches,
            report.slowest * 1000,
            f", stopped: {report.stopped}" if report.stopped else "",
        )
        return report

    async def _goes_on(self) -> str | None:
        """Whoever waits for an answer comes first."""
        while True:
            if night_of(self._clock.now(), self._hours, self._zone) is None:
                return "hours"
            if not await late(self._purge.database, self._clock.now()):
                return None
            await asyncio.sleep(PATIENCE)


async def keep_purging(night: NightPurge) -> None:
    """Look for ever whether it is time; whatever stopped it (a database that is away) is met again at the next look."""
    while True:
        try:
            await night.step()
        except Exception as error:  # a task that ended here would end unheard, and with it every further night
            log.log(level(error), "the purge waits: %s", told(error))
        await asyncio.sleep(EVERY)
