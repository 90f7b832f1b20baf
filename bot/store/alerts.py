"""Alerts that all machines share, and the lock that lets one of them tell. Synchronous: the heartbeat looks in a thread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg

_LOCK = 7_109_340  # advisory, of a session: whoever has it tells
Row = dict[str, Any]
COLUMNS = (
    "key", "grade", "what", "remedy", "since", "opened_at", "told_at", "told", "mark", "returns", "gone_at", "closed_at",
)  # fmt: skip
_PUT = f"""
    INSERT INTO alerts ({", ".join(COLUMNS)}) VALUES ({", ".join(f"%({name})s" for name in COLUMNS)})
    ON CONFLICT (key) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])}
"""  # noqa: S608


def lead(connection: psycopg.Connection[Row]) -> bool:
    """Become the one that tells, for as long as this connection lives; False: another is. To be asked once a connection."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s) AS got", (_LOCK,)).fetchone()
    return bool(row and row["got"])


def read(connection: psycopg.Connection[Row]) -> list[Row]:
    """Every alert that is kept, by key."""
    return connection.execute(f"SELECT {', '.join(COLUMNS)} FROM alerts ORDER BY key").fetchall()  # noqa: S608


def write(connection: psycopg.Connection[Row], alerts: Iterable[Mapping[str, Any]]) -> None:
    """Keep these and no others."""
    rows = list(alerts)
    with connection.transaction():
        connection.execute("DELETE FROM alerts WHERE key <> ALL(%s)", ([row["key"] for row in rows],))
        for row in rows:
            connection.execute(_PUT, row)
