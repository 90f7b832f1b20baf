"""Keeps the roll-ups of steering and drift: beside the claim loop, in every worker; one of them counts at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from bot.core.clock import Clock
from bot.store.faults import level, told

log = logging.getLogger("planton.worker")

EVERY = 60.0  # seconds between looks


class Counting(Protocol):
    """Something that counts what has become whole."""

    async def catch_up(self, now: datetime) -> int: ...


async def keep_counting(counting: Sequence[Counting], clock: Clock) -> None:
    """Count for ever what has become whole; a database that is away is met again at the next look."""
    while True:
        try:
            for one in counting:
                counted = await one.catch_up(clock.now())
                if counted > 1:
                    log.info("%s: %d periods counted", type(one).__name__, counted)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            log.log(level(error, logging.INFO), "counting waits: %s", told(error))
        await asyncio.sleep(EVERY)
