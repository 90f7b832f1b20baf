"""Statements that leave together: after whatever happens in their block, the next who gets the connection finds it whole."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bot.store.db import Database
from bot.store.together import Together, rows, together

Block = Callable[[Together], Awaitable[None]]


@pytest.fixture
async def single(database_url: str) -> AsyncIterator[Database]:
    """One connection: whoever comes next gets it."""
    opened = Database(database_url, size=1)
    async with opened.begin() as connection:
        await connection.execute(text("CREATE TABLE kept (n integer)"))
    yield opened
    await opened.close()


async def backend(database: Database) -> int:
    """The process at the other end of the connection that is given out next; it can be worked with."""
    async with database.begin() as connection:
        async with together(connection) as sending:
            await sending.send("INSERT INTO kept VALUES (%(n)s)", {"n": 0})
        number = await connection.scalar(text("SELECT pg_backend_pid()"))
    assert isinstance(number, int)
    return number


async def stumble(sending: Together) -> None:
    """A defect of ours, after a statement that PostgreSQL took."""
    raise KeyError("ours")


async def refused_and_stumble(sending: Together) -> None:
    """A defect of ours, after a statement that PostgreSQL will refuse."""
    await sending.send("SELECT CAST(%(words)s AS bigint)", {"words": "mes mots"})
    raise KeyError("ours")


async def not_sent(sending: Together) -> None:
    """What the driver does not send."""
    await sending.send("SELECT %(words)s::text", {"words": "\x00"})


async def refused(sending: Together) -> None:
    """What PostgreSQL refuses, before the end of the transaction."""
    await sending.send("SELECT 1 / CAST(%(n)s AS integer)", {"n": 0})
    await sending.commit()


async def never_ends(sending: Together) -> None:
    """What leaves the connection in the middle of something."""
    await sending.send("COPY (SELECT 1) TO STDOUT", {})


async def gives_up(sending: Together) -> None:
    """Who waits is cancelled."""
    await sending.send("SELECT pg_sleep(60)", {})
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().call_later(0.05, task.cancel)


async def broken_off(database: Database, block: Block) -> None:
    async with database.begin() as connection, together(connection) as sending:
        await sending.send("INSERT INTO kept VALUES (%(n)s)", {"n": 1})
        await block(sending)


@pytest.mark.parametrize(
    ("block", "raised", "same"),
    [
        (stumble, KeyError, True),
        (refused_and_stumble, KeyError, True),
        (not_sent, DBAPIError, True),
        (refused, DBAPIError, True),
        (never_ends, DBAPIError, False),
        (gives_up, asyncio.CancelledError, False),
    ],
)
async def test_a_block_that_breaks_off_leaves_nothing_behind(
    single: Database, caplog: pytest.LogCaptureFixture, block: Block, raised: type[BaseException], same: bool
) -> None:
    before = await backend(single)
    with pytest.raises(raised) as found:
        await broken_off(single, block)
    assert (await backend(single) == before) is same, (
        "given back although nobody knows what it is at, or thrown away in vain"
    )
    if isinstance(found.value, DBAPIError):
        assert not found.value.connection_invalidated  # not the database's fault: its neighbours are tried without it
    async with single.begin() as connection, together(connection) as sending:
        sent = await sending.send("SELECT n FROM kept WHERE n = %(n)s", {"n": 1})
    assert await rows(sent) == []
    assert [record.name for record in caplog.records if record.name.startswith("sqlalchemy")] == []


async def test_after_a_restart_one_batch_fails_and_not_one_for_each_connection(database: Database) -> None:
    async with contextlib.AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(database.begin()) for _ in range(4)]
        numbers = [await one.scalar(text("SELECT pg_backend_pid()")) for one in opened]
    async with await psycopg.AsyncConnection.connect(database.url, autocommit=True) as admin:
        await admin.execute("SELECT pg_terminate_backend(n, 5000) FROM unnest(%s::integer[]) n", (numbers,))
    with pytest.raises(DBAPIError) as found:
        await backend_of_a_block(database)
    assert found.value.connection_invalidated
    assert not {await backend_of_a_block(database) for _ in range(4)} & set(numbers)


async def backend_of_a_block(database: Database) -> int:
    """Through which process a block went."""
    async with database.begin() as connection, together(connection) as sending:
        sent = await sending.send("SELECT pg_backend_pid() AS pid", {})
    (row,) = await rows(sent)
    return int(row.pid)
