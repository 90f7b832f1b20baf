"""Statements that leave together, on the driver's own connection, where each separate wait and each layer would cost more
than the work: a hot path."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import namedtuple_row
from sqlalchemy import TextClause, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

Sent = psycopg.AsyncCursor[Any]


class Together:
    """Sends statements in the transaction of a connection. Their rows are there once the block of `together` has ended."""

    def __init__(self, raw: psycopg.AsyncConnection[Any]) -> None:
        self._raw = raw

    async def send(self, statement: str, values: Mapping[str, Any]) -> Sent:
        """`statement` names its `values` as `%(name)s`; it is prepared at its first use on a connection. Lists (of texts,
        numbers, times, bytes, None) travel as arrays whose type the statement tells."""
        plain = {name: array(value) if isinstance(value, list) else value for name, value in values.items()}
        return await self._raw.cursor(row_factory=namedtuple_row).execute(statement, plain, prepare=True)

    async def commit(self) -> None:
        """End the transaction with what was sent until now, without a wait of its own. Where a statement failed, nothing of
        the block counts."""
        await self._raw.cursor().execute("COMMIT", prepare=False)


@contextlib.asynccontextmanager
async def together(connection: AsyncConnection) -> AsyncIterator[Together]:
    """`connection`: of `Database.begin`. Its errors are raised as SQLAlchemy's, as everywhere else, at the end of the block at
    the latest; others as they are. Whatever happens, no connection is left behind whose state nobody knows."""
    assert connection.sync_connection is not None
    raw: Any = connection.sync_connection.connection.driver_connection  # there since `begin`: nothing to wait for
    try:
        async with raw.pipeline():
            yield Together(raw)
    except (Exception, asyncio.CancelledError) as error:
        broken = bool(raw.closed)
        if broken and not isinstance(error, asyncio.CancelledError):
            await _known_to_be_broken(connection)
        if isinstance(error, asyncio.CancelledError) or not _settled(raw):
            await connection.invalidate()
        if not isinstance(error, psycopg.Error):
            raise
        raise DBAPIError.instance(
            "together", None, error, psycopg.Error, hide_parameters=True, connection_invalidated=broken
        ) from None


async def _known_to_be_broken(connection: AsyncConnection) -> None:
    """What broke one connection, a restart of PostgreSQL for instance, broke those that lie idle as well: none of them is
    given out any more, and each would have failed somebody. SQLAlchemy sees to it when it meets the broken one itself."""
    with contextlib.suppress(DBAPIError):
        await connection.exec_driver_sql("SELECT 1")


def _settled(raw: psycopg.AsyncConnection[Any]) -> bool:
    """Whether nothing is under way any more: what is left to do, if anything, is to roll back."""
    at_rest = (TransactionStatus.IDLE, TransactionStatus.INTRANS, TransactionStatus.INERROR)
    off = not raw.closed and raw.pgconn.pipeline_status == PipelineStatus.OFF
    return off and raw.info.transaction_status in at_rest


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


_ELEMENTS: Mapping[type, Callable[[Any], str]] = {
    str: _quoted,
    int: str,
    datetime: lambda value: f'"{value.isoformat()}"',
    bytes: lambda value: f'"\\\\x{value.hex()}"',
    type(None): lambda value: "NULL",
}


def array(values: Sequence[Any]) -> str:
    """An array as PostgreSQL reads it. The driver's own way takes several times as long, and has the statement prepared anew
    for each mixture of small and large numbers."""
    return "{" + ",".join([_ELEMENTS[type(value)](value) for value in values]) + "}"


async def rows(sent: Sent | None) -> Sequence[Any]:
    """What a statement returned, by name; nothing for one that was not sent."""
    return [] if sent is None else await sent.fetchall()


def named(statement: str) -> TextClause:
    """The same statement for a connection of SQLAlchemy."""
    return text(re.sub(r"%\((\w+)\)s", r":\1", statement))
