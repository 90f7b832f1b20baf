"""The database as the heartbeat sees it: there or not, and whether this machine is the one that tells.

A database that hangs answers nothing for ever, so what asks it runs in a thread that is left behind after a while.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from psycopg.rows import dict_row

from bot.core.clock import SharedClock
from bot.store import alerts, its_clock
from bot.store.db import ITS, OURS

Row = dict[str, Any]
T = TypeVar("T")
PATIENCE = 30.0  # seconds for everything that one look asks
STATEMENT = 20_000  # milliseconds
# The lock of a machine that vanished must fall: nobody would tell for all meanwhile.
_OPTIONS = {"statement_timeout": str(STATEMENT), "lock_timeout": "2000", **ITS}


class Away(Exception):
    """The database does not answer."""


class _Session:
    """A connection with its lock; one thread uses it at a time."""

    def __init__(self, url: str, clock: SharedClock) -> None:
        self.leads = False
        self._url, self._clock = url, clock
        self._connection: psycopg.Connection[Row] | None = None

    def connected(self) -> psycopg.Connection[Row]:
        if self._connection is None:
            self._connection = psycopg.connect(
                self._url,
                connect_timeout=3,
                autocommit=True,
                row_factory=dict_row,
                application_name="planton-monitor",
                options=" ".join(f"-c {name}={value}" for name, value in _OPTIONS.items()),
                **OURS,
            )
        its_clock.hear(self._connection, self._clock)
        if not self.leads:
            self.leads = alerts.lead(self._connection)
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def _is_away(error: Exception) -> bool:
    """A statement that was cut short was cut short by a database that is there."""
    there = isinstance(error, psycopg.errors.QueryCanceled | psycopg.errors.LockNotAvailable)
    return isinstance(error, psycopg.OperationalError | OSError) and not there


class Board:
    """One connection, kept: the lock of who tells lives as long as it does. `clock` hears PostgreSQL's each time."""

    def __init__(self, url: str, patience: float = PATIENCE, clock: SharedClock | None = None) -> None:
        self._url = url
        self._clock = clock or SharedClock()
        self._patience = patience
        self._session: _Session | None = None

    def ask(self, work: Callable[[psycopg.Connection[Row], bool], T]) -> T:
        """Do the work with the connection, told whether this machine tells for all.

        Raises Away where no connection is to be had or the work takes too long, and what the work raises; after each of
        them the next question connects anew."""
        session = self._session = self._session or _Session(self._url, self._clock)
        outcome: list[T] = []
        failure: list[Exception] = []
        left = threading.Event()

        def run() -> None:
            try:
                outcome.append(work(session.connected(), session.leads))
            except Exception as error:
                failure.append(error)
            if failure or left.is_set():
                session.close()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(self._patience)
        if outcome:
            return outcome[0]
        left.set()
        self._session = None
        if failure and not _is_away(failure[0]):
            raise failure[0]
        raise Away

    def close(self) -> None:
        """Let go of the connection and so of the lock."""
        session, self._session = self._session, None
        if session is not None:
            session.close()
