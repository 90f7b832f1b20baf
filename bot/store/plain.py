"""Connections for what happens with each message: one statement, one round trip, one transaction.

SQLAlchemy's way (BEGIN, the statement, COMMIT) costs three round trips and several times the CPU. Here a statement is a
transaction of its own, has `$1`, `$2` … for its parameters, and is parsed and planned once a connection. Each parameter
travels without a type, as the cast beside it (`$1::bigint`) says what it is: typed by value (a small number, a large one,
NULL), the same statement would be prepared again for every mixture.

A plan that was made while a table was all but empty walks through whatever comes later (the whole of an index instead of one
entry): thousands wait in a table that was empty a minute ago, and PostgreSQL has not analysed it yet. So plans are made anew
every few seconds, and every few hundred statements.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import psycopg
from psycopg.abc import AdaptContext, Dumper
from psycopg.pq import TransactionStatus
from psycopg.rows import namedtuple_row
from psycopg.types.bool import BoolDumper
from psycopg.types.datetime import DateDumper, DatetimeDumper, TimedeltaDumper
from psycopg.types.numeric import FloatDumper, Int8Dumper
from psycopg.types.string import BytesBinaryDumper, BytesDumper
from sqlalchemy.exc import DBAPIError

REPLAN = 300  # statements; at a hundred messages a second, a second's
PLANS = 5.0  # seconds, of every connection (see `bot.store.db` for those of transactions)
PATIENCE = 10.0  # seconds to wait for a connection while all are in use

_UNTYPED: Sequence[tuple[type, type[Dumper]]] = [
    (kind, type(f"Untyped{base.__name__}", (base,), {"oid": 0}))
    for kind, base in (
        (bool, BoolDumper),
        (int, Int8Dumper),
        (float, FloatDumper),
        (datetime, DatetimeDumper),
        (date, DateDumper),
        (timedelta, TimedeltaDumper),
        (bytes, BytesDumper),  # in arrays
        (bytes, BytesBinaryDumper),
    )
]


def _untyped(context: AdaptContext) -> None:
    for kind, dumper in _UNTYPED:
        context.adapters.register_dumper(kind, dumper)


class Plain:
    """A connection in autocommit mode."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        _untyped(connection)
        self._connection = connection
        self._cursor: psycopg.AsyncRawCursor[Any] = psycopg.AsyncRawCursor(connection, row_factory=namedtuple_row)
        self._asked = 0
        self._planned = asyncio.get_running_loop().time()

    async def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Run a statement that returns rows; raises psycopg's errors."""
        self._asked += 1
        now = asyncio.get_running_loop().time()
        if self._asked % REPLAN == 0 or now - self._planned > PLANS:
            self._planned = now
            await self._cursor.execute("DISCARD PLANS", prepare=False)
        await self._cursor.execute(query, parameters)
        return await self._cursor.fetchall()

    @property
    def usable(self) -> bool:
        """Whether it is whole, and nothing is under way in it."""
        return self._connection.info.transaction_status is TransactionStatus.IDLE

    async def close(self) -> None:
        """Close it."""
        await self._connection.close()


class PlainPool:
    """At most `size` plain connections, opened by `connect` when they are needed."""

    def __init__(self, connect: Callable[[], Awaitable[psycopg.AsyncConnection[Any]]], size: int) -> None:
        self._connect = connect
        self._free = asyncio.Semaphore(size)
        self._idle: list[Plain] = []

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Plain]:
        """The one that was used last: a quiet system needs few.

        Raises sqlalchemy's DBAPIError for whatever PostgreSQL or the network does not like, TimeoutError while all are in use.
        """
        async with asyncio.timeout(PATIENCE):
            await self._free.acquire()
        try:
            one = self._idle.pop() if self._idle else Plain(await self._connect())
            try:
                yield one
            finally:
                self._idle.append(one)
                if not one.usable:  # it broke, or was left in the middle: the others may have broken with it
                    await self.close()
        except psycopg.Error as error:
            raise DBAPIError.instance(None, None, error, psycopg.Error, hide_parameters=True) from error
        finally:
            self._free.release()

    async def close(self) -> None:
        """Close those that nobody uses."""
        idle, self._idle = self._idle, []
        for one in idle:
            await one.close()
