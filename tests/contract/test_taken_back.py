"""What is taken back from many people at once waits for no row that somebody writes to: nobody waits in a circle."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text

from bot.core.clock import FrozenClock
from bot.core.dialogue import Reply
from bot.store import crisis, outbox
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.overload import NAME, Late
from tests.conftest import of_part


async def notices(database: Database, codec: Codec) -> int:
    """As a worker, at its next look."""
    return await Late(of_part(database, "worker"), codec).withdraw()


async def crisis_message(database: Database, codec: Codec) -> int:
    """As the console, when the mode closes."""
    async with database.begin() as connection:
        return await crisis.withdraw(connection, 7)


@pytest.mark.parametrize(("take_back", "name"), [(notices, f"{NAME}wait"), (crisis_message, crisis.name(7))])
async def test_a_row_that_somebody_writes_to_is_left_to_them(
    database: Database,
    codec: Codec,
    frozen_clock: FrozenClock,
    take_back: Callable[[Database, Codec], Awaitable[int]],
    name: str,
) -> None:
    now = frozen_clock.now()
    async with database.begin() as connection:
        for person in "abc":
            number = await connection.scalar(
                text(
                    "INSERT INTO conversations (platform, account, person) VALUES ('messenger', 'page', :p) RETURNING id"
                ),
                {"p": person},
            )
            for dedup in (name, None):  # the answer stands behind it
                row = outbox.NewRow(number, "reply", "bot", Reply("Bonjour."), now, dedup=dedup)
                await outbox.add(connection, codec, row)
    async with database.begin() as other:
        await other.execute(
            text("SELECT 1 FROM outbox WHERE id = (SELECT min(id) FROM outbox WHERE dedup IS NOT NULL) FOR UPDATE")
        )
        async with asyncio.timeout(180):
            assert await take_back(database, codec) == 2
        # It holds nothing of what the other is still to write.
        await other.execute(text("UPDATE outbox SET priority = 0"))
    assert await take_back(database, codec) == 1
    async with database.begin() as connection:
        found = await connection.execute(text("SELECT status, dedup FROM outbox"))
        assert {(row.status, row.dedup) for row in found} == {("cancelled", name), ("queued", None)}
