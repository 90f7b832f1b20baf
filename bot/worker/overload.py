"""Tells those who wait too long, once, that many people write: beside the claim loop, in every worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bot.core.clock import Clock
from bot.core.dialogue import Reply
from bot.policy import overload
from bot.policy.night import Night
from bot.store.faults import level, told
from bot.store.overload import Late, Mark

log = logging.getLogger("planton.worker")

EVERY = 5.0  # seconds between looks
BATCH = 25
REST = 0.5  # seconds between batches: answers have the sender to themselves most of the time
_START = Mark(datetime.min.replace(tzinfo=UTC))


@dataclass(frozen=True)
class Words:
    """The notice and the night that it leaves alone; both come with the model in service."""

    night: Night
    notice: str


class Notices:
    """Looks for those who have waited for `after`."""

    def __init__(self, late: Late, clock: Clock, after: timedelta, words: Callable[[], Words], rest: float = REST):
        self._late = late
        self._clock = clock
        self._after = after
        self._words = words
        self._rest = rest

    async def step(self) -> int:
        """Tell whoever is to be told now; how many."""
        await self._late.withdraw()
        people, mark = 0, _START
        while overload.overloaded(await self._late.backlog(self._clock.now()), self._after):
            now, words = self._clock.now(), self._words()

            def judge(waiter: overload.Waiter, now: datetime = now, night: Night = words.night) -> bool:
                return overload.is_told(waiter, night, now)

            onward, some = await self._late.tell(now, self._after, mark, BATCH, judge, Reply(words.notice))
            people += some
            if onward is None:
                break
            mark = onward
            await asyncio.sleep(self._rest)
        return people


async def keep_telling(notices: Notices) -> None:
    """Look for ever; whatever stopped it is met again at the next look."""
    while True:
        try:
            people = await notices.step()
            if people:
                log.warning("more is written than can be answered: %d people told that they wait", people)
        except Exception as error:  # a task that ended here would end unheard
            log.log(level(error), "the notices of a long wait stand still: %s", told(error))
        await asyncio.sleep(EVERY)
