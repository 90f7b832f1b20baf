"""PostgreSQL's clock, which all processes share: how it is read, followed, and how far each machine's is from it.

Shape of a row of `clocks`: (role, host, skew: seconds that the machine's clock is ahead of PostgreSQL's, at: when it was told).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from datetime import datetime
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg.rows import tuple_row

from bot.core.clock import SharedClock
from bot.store.plain import Plain

if TYPE_CHECKING:
    from bot.store.db import Database

log = logging.getLogger("planton.clock")

EVERY = 2.0  # seconds from one reading to the next
AGAIN = 0.25  # seconds until a database that was away is asked again
PATIENCE = 10.0  # seconds for one reading
TELL_EVERY = 60.0  # seconds
MOVED = 0.5  # seconds: a jump worth a line in the log, and to be told at once
APART = 2.0  # seconds between a machine's clock and PostgreSQL's that are worth an alert

_ASK: LiteralString = "SELECT extract(epoch FROM clock_timestamp())::float8 AS at"
_TELL: LiteralString = """
    INSERT INTO clocks (role, host, skew, at)
    SELECT $1::text, $2::text, $3::float8, clock_timestamp()
    FROM (SELECT set_config('synchronous_commit', 'off', true)) AS relaxed
    ON CONFLICT (role, host) DO UPDATE SET skew = excluded.skew, at = excluded.at
    RETURNING at
"""
# What each machine told lately. psycopg's way: no parameters.
TOLD_LATELY: LiteralString = """
    SELECT role, host, skew FROM clocks
    WHERE at BETWEEN clock_timestamp() - interval '5 minutes' AND clock_timestamp() + interval '5 minutes' ORDER BY host, role
"""
# Names of containers change with each start.
_FORGET: LiteralString = """
    DELETE FROM clocks WHERE at NOT BETWEEN clock_timestamp() - interval '1 day' AND clock_timestamp() + interval '1 day'
    RETURNING role
"""


async def ask(connection: Plain, clock: SharedClock) -> float:
    """Have `clock` hear what PostgreSQL's shows; by how many seconds it moved."""
    before = clock.steady()
    [found] = await connection.rows(_ASK)
    return _heard(clock, found.at, before)


async def ask_raw(connection: psycopg.AsyncConnection[Any], clock: SharedClock) -> float:
    """As `ask`, over a connection that is new."""
    before = clock.steady()
    row = await (await connection.cursor(row_factory=tuple_row).execute(_ASK, prepare=False)).fetchone()
    assert row is not None
    return _heard(clock, row[0], before)


def hear(connection: psycopg.Connection[dict[str, Any]], clock: SharedClock) -> float:
    """As `ask`, for what runs in a thread."""
    before = clock.steady()
    row = connection.execute(_ASK).fetchone()
    assert row is not None
    return _heard(clock, row["at"], before)


def shown(connection: psycopg.Connection[dict[str, Any]]) -> datetime:
    """What PostgreSQL's clock shows."""
    clock = SharedClock()
    hear(connection, clock)
    return clock.now()


def _heard(clock: SharedClock, at: float, before: float) -> float:
    known = clock.read
    moved = clock.hear(at, before, clock.steady())
    if known and abs(moved) >= MOVED:
        log.warning("PostgreSQL's clock jumped by %+.1f s, and ours with it", moved)
    return moved


async def follow(database: Database, role: str) -> None:
    """For ever: keep the database's clock right, and tell the others how far this machine's own is from it."""
    clock, told, told_at = database.clock, 0.0, float("-inf")
    while True:
        try:
            async with asyncio.timeout(PATIENCE), database.plain() as connection:
                await ask(connection, clock)
                skew = clock.skew
                if jumped := abs(skew - told) >= MOVED:
                    log.warning("this machine's clock is %+.1f s from PostgreSQL's, by which we go", skew)
                if jumped or clock.steady() - told_at >= TELL_EVERY:
                    told, told_at = skew, clock.steady()  # before: what is refused is not tried again at once
                    await tell(connection, role, skew)
        except Exception as error:  # the database is away: the clock counts on by itself
            log.debug("PostgreSQL's clock not read: %s", type(error).__name__)
        await asyncio.sleep(EVERY if clock.read else AGAIN)


async def tell(connection: Plain, role: str, skew: float) -> None:
    """Let the others know how far this machine's clock is from PostgreSQL's; what nobody tells any more is forgotten."""
    await connection.rows(_FORGET)
    await connection.rows(_TELL, (role, socket.gethostname(), skew))


async def first(clock: SharedClock) -> None:
    """Wait until PostgreSQL's clock was read once: what is taken by time must not be taken by a machine's that is wrong."""
    while not clock.read:  # noqa: ASYNC110 (whoever connects next reads it)
        await asyncio.sleep(AGAIN / 5)
