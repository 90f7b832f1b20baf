"""A row in every table, made by looking at the schema, so that a table that is added later is not forgotten."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Json

_COLUMNS = """
    SELECT a.attname, format_type(a.atttypid, NULL), a.attnotnull, a.atthasdef OR a.attidentity <> '', a.attidentity, a.attgenerated
    FROM pg_attribute a WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_FOREIGN = """
    SELECT a.attname, c.confrelid::regclass::text, f.attname FROM pg_constraint c
    JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
    JOIN pg_attribute f ON f.attrelid = c.confrelid AND f.attnum = c.confkey[1]
    WHERE c.contype = 'f' AND c.conrelid = %s::regclass
"""
_CHECKS = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c' AND conrelid = %s::regclass"
_VALUES: dict[str, Any] = {
    "bigint": 1,
    "integer": 1,
    "smallint": 1,
    "boolean": True,
    "double precision": 0.5,
    "real": 0.5,
    "numeric": 1,
    "bytea": b"\x01sealed",
    "text": "x",
    "jsonb": Json({}),
    "date": "2026-01-15",
    "timestamp with time zone": "2026-01-15T10:00:00Z",
    "interval": "1 hour",
    "uuid": "00000000-0000-4000-8000-000000000001",
    "inet": "127.0.0.1",
    "text[]": ["x"],
    "bigint[]": [1],
    "integer[]": [1],
    "smallint[]": [1],
    "double precision[]": [0.5],
    "bytea[]": [b"\x01"],
    "boolean[]": [True],
    "jsonb[]": [Json({})],
}


def tables(connection: psycopg.Connection[Any]) -> list[str]:
    """Every table of ours, by name."""
    rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    return [row[0] for row in rows]


def everything(connection: psycopg.Connection[Any]) -> dict[str, list[dict[str, Any]]]:
    """Table → its rows as PostgreSQL writes them, in a fixed order."""
    found = {}
    for table in tables(connection):
        query = sql.SQL("SELECT to_jsonb(t) FROM {} t ORDER BY t::text").format(sql.Identifier(table))
        found[table] = [row[0] for row in connection.execute(query)]
    return found


def fill(connection: psycopg.Connection[Any]) -> set[str]:
    """Put a row in every table that has none; the tables that took none (there is none: a test says so)."""
    with connection.transaction():  # two accounts: nobody validates their own draft
        connection.execute("INSERT INTO users (name, role) VALUES ('Chantal', 'validator'), ('Denis', 'agent')")
    left = {table for table in tables(connection) if not _one(connection, table)}
    while left:
        before = set(left)
        for table in sorted(left):
            for whole in (True, False):
                try:
                    with connection.transaction():
                        _insert(connection, table, whole)
                    left.discard(table)
                    break
                except psycopg.Error:
                    continue
        if left == before:
            return left
    return left


def _one(connection: psycopg.Connection[Any], table: str) -> Any:
    return connection.execute(sql.SQL("SELECT * FROM {} LIMIT 1").format(sql.Identifier(table))).fetchone()


def _insert(connection: psycopg.Connection[Any], table: str, whole: bool) -> None:
    """`whole`: with a value in every column, not only in those that want one."""
    checks = [row[0] for row in connection.execute(_CHECKS, (table,))]
    foreign = {row[0]: (row[1], row[2]) for row in connection.execute(_FOREIGN, (table,))}
    values: dict[str, Any] = {}
    for name, of, required, default, identity, generated in connection.execute(_COLUMNS, (table,)):
        if generated or identity or (default and not whole) or not (required or whole):
            continue
        if name in foreign:
            values[name] = _of(connection, *foreign[name], first=table == "validations")
        elif (chosen := _chosen(name, checks)) is not None:
            values[name] = chosen
        elif not (default and of in ("boolean", "text", "integer")):
            values[name] = _VALUES[of]
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(sql.Placeholder() * len(values)),
    )
    connection.execute(statement, list(values.values()))


def _of(connection: psycopg.Connection[Any], table: str, column: str, first: bool) -> Any:
    """A row to refer to: the newest, or the first."""
    names = sql.Identifier(column), sql.Identifier(table), sql.SQL("ASC" if first else "DESC")
    row = connection.execute(sql.SQL("SELECT {} FROM {} ORDER BY 1 {} LIMIT 1").format(*names)).fetchone()
    return None if row is None else row[0]


def _chosen(name: str, checks: list[str]) -> str | None:
    """The first word that a check allows in this column."""
    for check in checks:
        found = re.search(rf"\(+{name} = ANY \(ARRAY\['([^']+)'", check) or re.search(rf"\(+{name} = '([^']+)'", check)
        if found:
            return found[1]
    return None
