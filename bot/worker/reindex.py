"""Makes older messages findable, beside the claim loop: a batch, a rest, until all are."""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy.exc import SQLAlchemyError

from bot.store.faults import level, told
from bot.store.reindex import Reindex

log = logging.getLogger("planton.worker")

REST = 0.05  # seconds between batches: who writes now comes first
AGAIN = 60.0  # seconds until a process looks whether the one that was at it is still there


async def keep_indexing(reindex: Reindex, rest: float = REST, again: float = AGAIN) -> None:
    """Work for ever; a database that is away is met again at the next look."""
    while True:
        try:
            while await reindex.step():  # noqa: ASYNC110 (it is work, not waiting)
                await asyncio.sleep(rest)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            log.log(level(error, logging.INFO), "the search's index waits: %s", told(error))
        await asyncio.sleep(again)
