"""Has the engine read what raised an alarm at the gateway, so that trainers can see a false one: beside the claim loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from bot.core.clock import Clock
from bot.core.dialogue import Engine
from bot.core.errors import EngineDown, EngineRefused
from bot.store.faults import Fault, fault_of, level, told
from bot.store.workbench.alarms import Alarm, Alarms

log = logging.getLogger("planton.worker")

EVERY = 30.0  # seconds between looks
REST = 0.2  # seconds between two messages: who waits for an answer comes first
BATCH = 20
MOST_PASSED = 10_000


class AlarmReader:
    """Reads them, the newest first. `alarming`: whether words raise an alarm by themselves."""

    def __init__(
        self, alarms: Alarms, engine: Engine, clock: Clock, alarming: Callable[[str], bool], rest: float = REST
    ) -> None:
        self._alarms = alarms
        self._engine = engine
        self._clock = clock
        self._alarming = alarming
        self._rest = rest
        self._passed: set[int] = set()
        self._passed_back: set[int] = set()  # although an agent took them back

    async def step(self) -> int:
        """Read some; how many were met. Raises EngineDown, and what the database raises."""
        found = await self._alarms.unread(self._clock.now(), self._passed, BATCH, self._passed_back)
        for alarm in found:
            if not await self._kept(alarm):
                (self._passed_back if alarm.taken_back else self._passed).add(alarm.event)
            await asyncio.sleep(self._rest)
        for passed in (self._passed, self._passed_back):
            if len(passed) > MOST_PASSED:
                passed.clear()
        return len(found)

    async def _kept(self, alarm: Alarm) -> bool:
        """Whether a reading of it stands now. One that cannot be read is told once and passed over: others wait behind it."""
        try:
            return await self._read(alarm)
        except EngineDown:
            raise  # the alarm is not to blame
        except Exception as error:
            if fault_of(error) is not Fault.DEFECT:
                raise  # nor here
            log.warning("event %d passed over: %s", alarm.event, told(error))
            return False

    async def _read(self, alarm: Alarm) -> bool:
        # A danger that was told in several messages is none in the last of them alone: it would look like a false alarm. One that
        # an agent took back is looked at all the same.
        if not alarm.words or not (alarm.taken_back or self._alarming(alarm.words)):
            return False
        try:
            understanding = await self._engine.understand(alarm.words)
        except EngineRefused:
            return False
        return await self._alarms.keep(alarm, understanding, self._clock.now())


async def keep_reading(reader: AlarmReader) -> None:
    """Work for ever; a database or an engine that is away, and anything else, is met again at the next look."""
    while True:
        try:
            while await reader.step():
                pass
        except EngineDown:
            log.info("the reading of alarms waits: EngineDown")
        except Exception as error:  # a task that ended here would end unheard
            log.log(level(error, logging.INFO), "the reading of alarms waits: %s", told(error))
        await asyncio.sleep(EVERY)
