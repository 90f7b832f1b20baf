"""Many who ask the same at the same moment share one look.

Fifty open pages hear of a change at once and ask for the same fragment. One look answers all who asked before it began;
whoever asks while it runs waits for the next one, so that nobody is shown what was true before they were told of a change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Together(Generic[T]):
    """Looks by key. At most one of a key runs at a time, and at most one waits."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[T]] = {}
        self._waiting: dict[Hashable, asyncio.Task[T]] = {}

    async def ask(self, key: Hashable, look: Callable[[], Awaitable[T]]) -> T:
        """What a look that begins now or later finds; raises what it raises. Who leaves does not stop it."""
        task = self._waiting.get(key)
        if task is None:
            running = self._running.get(key)
            if running is None:
                task = self._running[key] = asyncio.create_task(self._look(key, look))
            else:
                task = self._waiting[key] = asyncio.create_task(self._next(key, running, look))
        return await asyncio.shield(task)

    async def _next(self, key: Hashable, running: asyncio.Task[T], look: Callable[[], Awaitable[T]]) -> T:
        await asyncio.wait({running})
        self._running[key] = self._waiting.pop(key)
        return await self._look(key, look)

    async def _look(self, key: Hashable, look: Callable[[], Awaitable[T]]) -> T:
        try:
            return await look()
        finally:
            del self._running[key]
