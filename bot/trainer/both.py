"""Files and rows, both or neither: a transaction whose changes of files go back when it fails."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.db import Database
from bot.trainer.errors import TrainerError

Done = TypeVar("Done")


class Both:
    """A transaction, and what was done to files in it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        self._backs: list[Callable[[], object]] = []

    async def files(self, work: Callable[[], Done], back: Callable[[Done], object]) -> Done:
        """What `work` gives, in a thread; `back` takes it back if the transaction fails later. Both block. Raises as `work`."""
        done = await asyncio.to_thread(work)
        self._backs.append(functools.partial(back, done))
        return done

    async def undo(self) -> None:
        """As far as the files still allow it: what somebody else changed meanwhile is theirs."""
        for back in reversed(self._backs):
            with contextlib.suppress(TrainerError):
                await asyncio.to_thread(back)


@contextlib.asynccontextmanager
async def both(database: Database) -> AsyncIterator[Both]:
    """A transaction that ends with the block: rows stand when files do."""
    doing: Both | None = None
    try:
        async with database.begin() as connection:
            doing = Both(connection)
            yield doing
    except BaseException:
        if doing is not None:
            await doing.undo()
        raise
