"""Work that comes at once shares a transaction."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

T = TypeVar("T")

WRITERS = 2  # batches under way at once: while one waits for the disk, the next is prepared


class _GivenUp(Exception):
    """A caller of the batch was cancelled."""


class Batches(Generic[T]):
    """Calls `write` with what waits: one entry when it is quiet, up to `most` when it is busy.

    An entry whose caller gave up is not written (unless its transaction was just being committed).
    When a batch fails for what is in it, each of its
    entries is written alone, so that one costs nothing to the others.
    """

    def __init__(self, write: Callable[[Sequence[T]], Awaitable[None]], most: int) -> None:
        self._write = write
        self._most = most
        self._waiting: deque[tuple[T, asyncio.Future[None]]] = deque()
        self._writers: set[asyncio.Task[None]] = set()

    async def add(self, entry: T) -> None:
        """Wait until the entry is written. Raises what `write` raised for it."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, done))
        if len(self._writers) < WRITERS:
            task = asyncio.create_task(self._run())
            self._writers.add(task)
            task.add_done_callback(self._writers.discard)
        await done

    async def _run(self) -> None:
        while batch := self._next():
            try:
                await self._unless_given_up(batch)
            except _GivenUp:
                # Nothing was kept; those who still wait are written next, in their order.
                self._waiting.extendleft(reversed([(entry, done) for entry, done in batch if not done.done()]))
            except Exception as error:  # each caller is told; which errors there are is the writer's matter
                await self._failed(batch, error)
            else:
                for _, done in batch:
                    _settle(done)

    async def _unless_given_up(self, batch: list[tuple[T, asyncio.Future[None]]]) -> None:
        """Write a batch; stopped as soon as one of its callers gives up, who must find nothing written afterwards."""
        writing = asyncio.create_task(self._alone([entry for entry, _ in batch]))  # noqa: RUF006 (awaited below)

        def give_up(done: asyncio.Future[None]) -> None:
            if done.cancelled():
                writing.cancel()

        for _, done in batch:
            done.add_done_callback(give_up)
        try:
            await asyncio.wait([writing])
            if writing.cancelled():
                raise _GivenUp
            writing.result()
        finally:
            for _, done in batch:
                done.remove_done_callback(give_up)

    async def _alone(self, entries: Sequence[T]) -> None:
        await self._write(entries)

    def _next(self) -> list[tuple[T, asyncio.Future[None]]]:
        batch: list[tuple[T, asyncio.Future[None]]] = []
        while self._waiting and len(batch) < self._most:
            entry, done = self._waiting.popleft()
            if not done.done():
                batch.append((entry, done))
        return batch

    async def _failed(self, batch: list[tuple[T, asyncio.Future[None]]], error: Exception) -> None:
        for entry, done in batch:
            if len(batch) == 1 or _away(error):
                _settle(done, error)
                continue
            if done.done():
                continue
            try:
                await self._write([entry])
            except Exception as own:  # as above
                _settle(done, own)
            else:
                _settle(done)


def _away(error: Exception) -> bool:
    """Whether the database is what failed, which one entry alone would meet as well."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or error.statement is None  # no statement: no connection
    return isinstance(error, (OSError, TimeoutError, PoolTimeout))


def _settle(done: asyncio.Future[None], error: Exception | None = None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
