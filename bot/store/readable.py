"""Whether the keys given open what is stored, by a sample of every sealed column: its first and last rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.errors import SettingsError
from bot.store.codec import Codec
from bot.store.places import COLUMNS, Column
from bot.store.resealing import place_of, primary_key

EACH = 25  # rows at either end of a column


@dataclass(frozen=True)
class Sample:
    """How many values of a column were tried, and how many of them no key opened."""

    column: str
    tried: int
    closed: int


async def samples(connection: AsyncConnection, codec: Codec) -> list[Sample]:
    """One a column that holds anything. An old key seals the first rows, a foreign one any: both ends are tried."""
    found = []
    for column in COLUMNS:
        values = await _ends(connection, column)
        if values:
            found.append(Sample(column.bound, len(values), sum(_closed(codec, column, values))))
    return found


async def _ends(connection: AsyncConnection, column: Column) -> Sequence[Row[Any]]:
    keys = await primary_key(connection, column.table)
    first, last = ", ".join(keys), ", ".join(f"{key} DESC" for key in keys)
    place = ", ".join(f'"{name}" AS p{number}' for number, name in enumerate(column.place))
    named = ", ".join(f"p{number}" for number in range(len(column.place)))
    chosen = (
        f'SELECT {first}, {place}, "{column.column}" AS value FROM {column.table} WHERE "{column.column}" IS NOT NULL'  # noqa: S608 (names of ours)
    )
    query = f"""
        SELECT {named}, value FROM (
            ({chosen} ORDER BY {first} LIMIT :each) UNION ({chosen} ORDER BY {last} LIMIT :each)
        ) AS ends
    """  # noqa: S608
    return (await connection.execute(text(query), {"each": EACH})).all()


def _closed(codec: Codec, column: Column, rows: Sequence[Row[Any]]) -> Iterator[bool]:
    for row in rows:
        try:
            codec.open(row.value, column.bound, *place_of(column, row))
        except SettingsError:
            yield True
        else:
            yield False
