"""Keeps the steering page's roll-up: beside the claim loop, in every worker; one of them counts at a time."""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy.exc import DBAPIError

from bot.core.clock import Clock
from bot.store.volumes import RollUp

log = logging.getLogger("planton.worker")

EVERY = 60.0  # seconds between looks


async def keep_counting(roll_up: RollUp, clock: Clock) -> None:
    """Count for ever what has become whole; a database that is away is met again at the next look."""
    while True:
        try:
            counted = await roll_up.catch_up(clock.now())
            if counted > 1:
                log.info("volumes: %d hours counted", counted)
        except (DBAPIError, OSError, TimeoutError) as error:
            log.info("volumes wait: %s", type(error).__name__)
        await asyncio.sleep(EVERY)
