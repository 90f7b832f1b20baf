"""What an error of the database means."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bot.store.faults import Fault, fault_of, told

BY_STATE = {
    "08006": Fault.AWAY,  # the connection broke
    "53100": Fault.AWAY,  # disk full
    "53200": Fault.AWAY,  # out of memory
    "53300": Fault.AWAY,  # too many connections
    "57P01": Fault.AWAY,  # stopping
    "57P03": Fault.AWAY,  # starting
    "25006": Fault.AWAY,  # a stand-by server
    "40001": Fault.MET,
    "40P01": Fault.MET,  # deadlock
    "55P03": Fault.MET,
    "57014": Fault.MET,
    "0A000": Fault.MET,  # a plan of before a migration
    "42501": Fault.SETUP,
    "42P01": Fault.SETUP,
    "28P01": Fault.SETUP,
    "22021": Fault.DEFECT,  # a byte that no text may hold
    "22003": Fault.DEFECT,  # a number out of range
    "23505": Fault.DEFECT,
    "23514": Fault.DEFECT,
    "42601": Fault.DEFECT,  # a statement of ours that is none
    "XX001": Fault.SETUP,
}


def wrapped(error: Exception, broken: bool = False) -> DBAPIError:
    """As the store raises it."""
    found = DBAPIError.instance("x", None, error, psycopg.Error, hide_parameters=True, connection_invalidated=broken)
    assert isinstance(found, DBAPIError)
    return found


@pytest.mark.parametrize(("state", "fault"), BY_STATE.items())
def test_a_state_says_what_it_is(state: str, fault: Fault) -> None:
    error = psycopg.errors.lookup(state)("les mots d’une personne")
    assert (fault_of(error), fault_of(wrapped(error))) == (fault, fault)
    assert state in told(wrapped(error))
    assert "mots" not in told(wrapped(error))


def test_without_a_state() -> None:
    assert fault_of(wrapped(psycopg.OperationalError("connection refused"))) is Fault.AWAY
    assert fault_of(wrapped(psycopg.InterfaceError("closed"), broken=True)) is Fault.AWAY
    assert fault_of(wrapped(psycopg.DataError("a NUL in a text"))) is Fault.DEFECT
    assert fault_of(wrapped(psycopg.ProgrammingError("no adapter"))) is Fault.DEFECT
    for away in (ConnectionResetError(), TimeoutError(), PoolTimeout()):
        assert fault_of(away) is Fault.AWAY
    for defect in (KeyError("x"), FileNotFoundError(2, "no such file", "models/x")):
        assert fault_of(defect) is Fault.DEFECT


def test_a_missing_privilege_is_told_with_its_remedy() -> None:
    assert "lacks a privilege: GRANT it" in told(wrapped(psycopg.errors.InsufficientPrivilege("events")))


def test_a_damaged_index_is_told_as_damage() -> None:
    assert told(wrapped(psycopg.errors.IndexCorrupted("events"))).startswith("the database is damaged (")
