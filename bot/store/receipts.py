"""What Meta took, written down together: one statement and one flush to disk for all that came within a few milliseconds.

Whoever hands in a receipt waits until it is on disk, and the next message to that person is claimed from what is on disk:
order and "sent once" do not depend on who waited for whom here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from bot.core.outbox import OutboxRow
from bot.store.db import CONSOLE, OUTBOX, Database
from bot.store.db import EMERGENCY as EMERGENCY_CHANNEL

log = logging.getLogger("planton.outbox")
_MOST = 200  # in one statement
GAP = 0.05  # seconds from one to the next; the first that comes after a pause is written at once

_SENT = "SELECT * FROM write_receipts($1, $2, $3, $4)"  # functions of the database, as in `bot.store.claim`
_MORE = "SELECT * FROM what_follows($1)"
_AS_ECHO: LiteralString = """
    UPDATE outbox SET echoes = echoes || jsonb_build_object(coalesce($2::text, parts_sent::text), $3::text)
    WHERE id = $1 AND status = 'queued' RETURNING id
"""


@dataclass(frozen=True)
class _Receipt:
    row: OutboxRow
    mid: str
    at: datetime
    done: asyncio.Future[bool]


async def as_echo(database: Database, row: OutboxRow, part: int | None, mid: str) -> None:
    """It left although the lease was lost: whoever has the row now finds that out as from an echo. `part` None: the last."""
    async with database.plain() as connection:
        await connection.rows(_AS_ECHO, [row.id, None if part is None else str(part), mid])


class Receipts:
    """Of one sender's lane. `gap`: seconds."""

    def __init__(self, database: Database, gap: float = GAP) -> None:
        self._db, self._gap = database, gap
        self._waiting: list[_Receipt] = []
        self._writer: asyncio.Task[None] | None = None

    async def write(self, row: OutboxRow, mid: str, at: datetime) -> bool:
        """The whole row left; True once that is on disk, False when the lease was lost. Raises what the database raises."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(_Receipt(row, mid, at, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        return bool(await done)

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            try:
                await self._settle(batch)
            except Exception as error:  # each hears of it, and tries again as patiently as it can
                for one in batch:
                    if not one.done.done():
                        one.done.set_exception(error)
            else:
                await asyncio.sleep(self._gap)

    async def _settle(self, batch: Sequence[_Receipt]) -> None:
        # Rows are locked in the order in which they are named, and by their numbers wherever several are: nobody waits in a circle.
        batch = sorted(batch, key=lambda one: one.row.id)
        ids, leases = [one.row.id for one in batch], [int(one.row.lease) for one in batch]
        values = [ids, leases, [one.mid for one in batch], [one.at for one in batch]]
        async with self._db.plain() as connection:
            kept = {row.id for row in await connection.rows(_SENT, values)}
        for one in batch:
            if one.row.id not in kept:
                await as_echo(self._db, one.row, None, one.mid)
        await self._tell([one.row.conversation_id for one in batch])
        for one in batch:
            if not one.done.done():
                one.done.set_result(one.row.id in kept)

    async def _tell(self, conversations: Sequence[int]) -> None:
        """The console; and the senders, where a conversation has more to say.

        That is asked after the commit: a row that was added meanwhile is seen here, or by the claim that its own commit wakes."""
        notes = [(CONSOLE, str(one)) for one in conversations]
        try:
            async with self._db.plain() as connection:
                more = await connection.rows(_MORE, [list(conversations)])
            notes += [(EMERGENCY_CHANNEL if row.urgent else OUTBOX, "") for row in more]
        except Exception as error:  # pollers find the work
            log.debug("not asked what follows: %s", type(error).__name__)
        self._db.tell(notes)
