"""Looks again and again for drafts that are about to miss their window, and for those that did."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from sanic import Sanic
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bot.core.clock import Clock
from bot.store.desk.validation import ValidationStore

log = logging.getLogger("planton.console")

EVERY = 15.0  # seconds between looks; an approval asks for the window itself, so nothing leaves for want of a look


class Watch:
    """Runs as long as the console; several consoles may look at once."""

    def __init__(self, store: ValidationStore, clock: Clock, every: float = EVERY) -> None:
        self._store = store
        self._clock = clock
        self._every = every
        self._task: asyncio.Task[None] | None = None

    async def start(self, app: Sanic[Any, Any]) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run(), name="validation-watch")

    async def stop(self, app: Sanic[Any, Any]) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                await self._store.watch(self._clock.now())
            except (DBAPIError, PoolTimeout, OSError, TimeoutError) as error:
                log.warning("drafts were not looked at: %s", type(error).__name__)
