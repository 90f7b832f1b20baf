"""The task that brings older messages into the search: works on, rests, and outlives a database that is away."""

from __future__ import annotations

import asyncio
import contextlib

from bot.worker.reindex import keep_indexing


class Work:
    """Three batches; the database is away at the second call."""

    def __init__(self) -> None:
        self.calls = 0
        self.left = 3
        self.done = asyncio.Event()

    async def step(self) -> bool:
        """A batch."""
        self.calls += 1
        if self.calls == 2:
            raise ConnectionError
        if not self.left:
            self.done.set()
            return False
        self.left -= 1
        return True


async def test_it_goes_on_until_all_is_found() -> None:
    work = Work()
    task = asyncio.create_task(keep_indexing(work, rest=0, again=0))  # type: ignore[arg-type]
    await asyncio.wait_for(work.done.wait(), 60)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert work.left == 0
