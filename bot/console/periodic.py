"""A task that a console repeats as long as it runs; several consoles may each have it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from sanic import Blueprint, Sanic

from bot.store.faults import level, told

log = logging.getLogger("planton.console")

Step = Callable[[], Awaitable[object]]


class Periodic:
    """Calls `step` again and again; between two, `every` seconds (which a step may change).

    What is to be done stands in the database, so that a step that failed is made up for by the next; a defect of ours is
    logged without ending the task. `name`: what was not done then, in the log.
    """

    def __init__(self, name: str, step: Step, every: float) -> None:
        self._name = name
        self._step = step
        self.every = every
        self._task: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()

    def attach(self, blueprint: Blueprint) -> None:
        """Run it while the application of this topic runs."""
        blueprint.listener("before_server_start")(self.start)  # works as a decorator only
        blueprint.listener("before_server_stop")(self.stop)

    async def start(self, app: Sanic[Any, Any]) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self, app: Sanic[Any, Any]) -> None:
        """End, even in the middle of a step."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def wake(self) -> None:
        """Do not wait for the time of the next step."""
        self._woken.set()

    async def _run(self) -> None:
        while True:
            try:
                await self._step()
            except Exception as error:
                log.log(level(error), "%s: not looked at: %s", self._name, told(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.every):
                    await self._woken.wait()
            self._woken.clear()
