"""Rows of values as parameters of a statement.

A few are written out (VALUES), so that PostgreSQL knows how many there are, and looks their partners up in an index; a cached plan
made for a table that was small then would walk through what it has grown to. Many travel as one JSON value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

FEW = 3

Columns = Mapping[str, str]  # name → type of PostgreSQL
Row = Mapping[str, Any]  # in JSON's types; what is missing is NULL


def source(table: str, columns: Columns, number: int) -> str:
    """What stands behind FROM, under the name `i`, for so many rows."""
    if number > FEW:
        return f"json_to_recordset(CAST(:{table} AS json)) AS i({', '.join(f'{name} {kind}' for name, kind in columns.items())})"
    lines = (
        ", ".join(f"CAST(:{table}_{name}_{row} AS {kind})" for name, kind in columns.items()) for row in range(number)
    )
    return f"(VALUES {', '.join(f'({line})' for line in lines)}) AS i({', '.join(columns)})"


def parameters(table: str, columns: Columns, rows: Sequence[Row]) -> dict[str, Any]:
    """The values for `source`."""
    if len(rows) > FEW:
        return {table: json.dumps(rows)}
    return {
        f"{table}_{name}_{number}": _written(row.get(name), kind)
        for number, row in enumerate(rows)
        for name, kind in columns.items()
    }


def _written(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind.endswith("[]"):
        return (
            "{" + ",".join(json.dumps(one, ensure_ascii=False) for one in value) + "}"
        )  # quoted as PostgreSQL reads it
    return json.dumps(value) if kind == "jsonb" else value


def hexadecimal(value: bytes) -> str:
    """Bytes as PostgreSQL reads them."""
    return "\\x" + value.hex()
