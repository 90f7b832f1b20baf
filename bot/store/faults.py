"""What an error met on the way to the database means: whether waiting helps, or whose defect it is.

One error of the database is not all errors. Taken for a database that is away, a statement that can never succeed would be tried
for ever in silence, and whoever waits behind it would never be answered.
"""

from __future__ import annotations

import logging
from enum import StrEnum

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout


class Fault(StrEnum):
    """`AWAY`: the database is not there, or not able to work for anybody. `MET`: others were met, trying again helps. `SETUP`: a
    privilege, a table or an account is missing, or a table is damaged, which an operator mends. `DEFECT`: what was asked can never
    succeed."""

    AWAY = "away"
    MET = "met"
    SETUP = "setup"
    DEFECT = "defect"


# SQL states, whole or their class of two characters.
_MET = frozenset({
    "40001",
    "40P01",
    "55P03",
    "55006",
    "57014",
    "0A000",  # a kept plan met another schema: statements of ours never ask for what PostgreSQL lacks
    "26000",
})  # fmt: skip
_AWAY = frozenset({
    "08",  # the connection
    "53",  # disk full, out of memory, too many connections
    "57P",  # starting, stopping, crashed
    "58",  # what the server's machine could not do
    "25006",  # a stand-by server: the primary is elsewhere for the moment
    "40003",  # nobody knows whether the transaction ended
})  # fmt: skip
_SETUP = frozenset({
    "28",  # unknown role, wrong password
    "3D000",  # no such database
    "3F000",  # no such schema
    "42501",  # a privilege
    "42P01",  # a table, a column, a function: the schema is not of this version
    "42703",
    "42883",
    "XX",  # PostgreSQL failed by itself: a table or an index is damaged
})  # fmt: skip
# Numbers of rows that a crash of PostgreSQL or a failover made it hand out again: the next try takes others.
_NUMBERED = frozenset({"conversations_pkey", "deliveries_pkey", "events_pkey", "handoffs_pkey", "outbox_pkey"})
_TOLD = {
    Fault.AWAY: "database away",
    Fault.MET: "database busy",
    Fault.SETUP: "the database is not set up for this role",
    Fault.DEFECT: "the database refuses this",
}
_REMEDY = {
    "42501": "it lacks a privilege: GRANT it (docs/exploitation.md)",
    "28": "its account or password is refused: see DATABASE_URL",
    "3D000": "there is no such database: see DATABASE_URL",
    "XX": "see PostgreSQL's log; REINDEX, or restore a backup (docs/exploitation.md)",
}
_DAMAGED = "the database is damaged"
_SCHEMA = "the schema is not of this version: planton migrate"


def sqlstate(error: BaseException) -> str:
    """The five characters by which PostgreSQL names an error; "" where the connection broke, or it never got that far."""
    return str(getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", None) or "")


def fault_of(error: BaseException) -> Fault:
    """Of whatever was raised; what is not of the database nor of the network is a defect."""
    if isinstance(error, OSError):  # a file's error is no connection's
        return Fault.AWAY if error.filename is None else Fault.DEFECT
    if isinstance(error, PoolTimeout):
        return Fault.AWAY
    if not isinstance(error, DBAPIError | psycopg.Error):
        return Fault.DEFECT
    state = sqlstate(error)
    if _in(_MET, state) or given_twice(error):
        return Fault.MET
    if _in(_SETUP, state):
        return Fault.SETUP
    if _in(_AWAY, state) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return Fault.AWAY
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not state and isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):  # nobody answered
        return Fault.AWAY
    return Fault.DEFECT


def given_twice(error: BaseException) -> bool:
    """Whether another row has the number that a new one was to get."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, psycopg.errors.UniqueViolation) and cause.diag.constraint_name in _NUMBERED


def passes(error: BaseException) -> bool:
    """Whether waiting, or trying again, is all that is needed."""
    return fault_of(error) in (Fault.AWAY, Fault.MET)


def told(error: BaseException) -> str:
    """For logs: what it means, its class and SQL state, a remedy where there is one; never its text, which may quote a citizen."""
    fault, state = fault_of(error), sqlstate(error)
    named = " ".join(filter(None, (type(error).__name__, state)))
    if fault is Fault.DEFECT and not isinstance(error, DBAPIError | psycopg.Error):
        return named
    if fault is not Fault.SETUP:
        return f"{_TOLD[fault]} ({named})"
    remedy = next((words for start, words in _REMEDY.items() if state.startswith(start)), _SCHEMA)
    what = _DAMAGED if state.startswith("XX") else _TOLD[fault]
    return f"{what} ({named}): {remedy}"


def level(error: BaseException, passing: int = logging.WARNING) -> int:
    """At which level it is logged: `passing` for what passes by itself; an error for what somebody has to mend."""
    return passing if passes(error) else logging.ERROR


def _in(states: frozenset[str], state: str) -> bool:
    return any(state[:length] in states for length in (2, 3, 5) if len(state) >= length)
