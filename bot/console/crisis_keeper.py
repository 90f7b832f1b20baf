"""Keeps groups and their replies moving, as long as the console runs; of several consoles, one does so at a time.

All that is to be done stands in the database: a console that dies leaves nothing half done, and another goes on.
"""

from __future__ import annotations

import time

from sqlalchemy import text

from bot.console.periodic import Periodic
from bot.core.clock import Clock
from bot.store.db import Database
from bot.store.desk.access import Desk
from bot.store.desk.grouping import Grouping
from bot.store.desk.release import Release

LOCK = 7_109_304  # advisory lock of who keeps the groups
EVERY = 1.0  # seconds between looks while there is nothing to send
SENDING = 0.25  # … and while a reply is leaving
# Grouping takes at most a sixth of the time, however many wait.
REST = 5.0

_WORK = text("""
    SELECT (SELECT id FROM crises WHERE opened_at IS NOT NULL AND closed_at IS NULL) AS crisis,
        EXISTS (SELECT FROM message_groups WHERE started_at IS NOT NULL AND stopped_at IS NULL AND done_at IS NULL)
        OR EXISTS (SELECT FROM group_members WHERE status = 'queued') AS sending
""")


class Keeper(Periodic):
    """Runs in the console's process. `pace`: people a second whom replies to groups reach."""

    def __init__(self, database: Database, desk: Desk, clock: Clock, pace: int) -> None:
        super().__init__("groups", self._look, EVERY)
        self._db = database
        self._grouping = Grouping(database, desk.codec)
        self._release = Release(desk, pace)
        self._clock = clock
        self._pace = pace
        self._sent_at = time.monotonic()
        self._group_at = 0.0

    def wake(self) -> None:
        """Somebody decided something: look at once."""
        self._group_at = 0.0
        super().wake()

    async def _look(self) -> None:
        self.every = EVERY
        if await self.step():
            self.every = SENDING

    async def step(self) -> bool:
        """Do what is due now; whether a reply is leaving."""
        async with self._db.begin() as guard:
            work = (await guard.execute(_WORK)).one()
            if work.crisis is None and not work.sending:
                return False
            if not await guard.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": LOCK}):
                return False  # another console is at it
            if work.sending:
                await self._release.step(self._clock.now(), self._allowance())
            if work.crisis is not None and time.monotonic() >= self._group_at:
                await self._group(work.crisis)
        return bool(work.sending)

    def _allowance(self) -> int:
        """How many people the pace allows since the last look; a long pause is not made up for."""
        now = time.monotonic()
        people = min(now - self._sent_at, EVERY) * self._pace
        if people >= 1:
            self._sent_at = now
        return int(people)

    async def _group(self, crisis_id: int) -> None:
        began = time.monotonic()
        now = self._clock.now()
        await self._grouping.sketch(now)
        await self._grouping.refresh(now)
        await self._grouping.group(crisis_id, now)
        ended = time.monotonic()
        self._group_at = ended + max(EVERY, REST * (ended - began)) - SENDING
