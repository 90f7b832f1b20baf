"""After the database is back: the hand-offs of emergencies that Meta does not send again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.core.clock import Clock, plausible
from bot.core.waiting import within
from bot.gateway.ports import Erased, Mark, Tell
from bot.gateway.spool import KEEP, Spool
from bot.store.faults import level, passes, told

log = logging.getLogger(__name__)


class Recall:
    """Tells the store about marks that stayed in the spool, then keeps them as long as Meta could still send."""

    def __init__(
        self, spool: Spool, tell: Tell | None, clock: Clock, after: float, timeout: float, erased: Erased | None = None
    ) -> None:
        self._spool = spool
        self._tell = tell
        self._clock = clock
        self._after = timedelta(seconds=after)
        self._timeout = timeout
        self._erased = erased
        self._told: set[Mark] = set()

    async def run(self, every: float) -> None:
        """Look every so often, for ever."""
        while True:
            await asyncio.sleep(every)
            await self.once()

    async def once(self) -> None:
        """One look. A database that is still down is met again at the next."""
        await self._forget_erased()
        now = self._clock.now()
        marks = self._spool.marks()
        due = [mark for mark in marks if mark not in self._told and self._is_due(mark, now)]
        if due and self._tell is not None:
            done = await self._tell_of(due)
            self._told.update(done)
            if done:
                log.warning("hand-offs opened for %d emergencies that Meta did not send again", len(done))
        await self._spool.forget(
            [mark for mark in marks if now - mark.answered >= KEEP and (mark in self._told or self._tell is None)]
        )
        self._told.intersection_update(self._spool.marks())

    async def _tell_of(self, due: Sequence[Mark]) -> Sequence[Mark]:
        """Those of which the store knows now. Where one stands in the way of the others, each is told alone."""
        assert self._tell is not None
        try:
            await within(self._timeout, self._tell(due))
        except Exception as error:  # the store's errors are many, and this loop must outlive all of them
            log.log(level(error, logging.INFO), "hand-offs of %d emergencies still wait: %s", len(due), told(error))
            if len(due) == 1 or passes(error):
                return ()
            return [mark for one in due for mark in await self._tell_of([one])]
        return due

    def _is_due(self, mark: Mark, now: datetime) -> bool:
        """Meta has not sent it again for long; one that a clock which was wrong dated ahead waits no longer."""
        return plausible(mark.answered, now) is None or now - mark.answered >= self._after

    async def _forget_erased(self) -> None:
        """Nothing stays of a person who was erased since (`planton person erase`)."""
        marks = self._spool.marks()
        if not marks or self._erased is None:
            return
        try:
            await self._spool.forget(await within(self._timeout, self._erased(marks)))
        except Exception as error:  # as above
            log.info("marks of people who were erased not asked for: %s", type(error).__name__)
