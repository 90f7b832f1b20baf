"""Every column that the codec fills, and what names its rows: a sealed value opens nowhere else.

A name is made of columns that never change and that are unique together: what is a person's names the conversation too, so that a
row cannot be given to somebody else. All of them are known when the value is sealed: who has no natural key takes the row's number
from its sequence first (`numbers`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.codec import BETWEEN, Part


@dataclass(frozen=True)
class Column:
    """A column that the codec fills. `place`: the columns that name a row, of PostgreSQL's types integer, text and bytea; `name`
    is what the values are bound to, where it is not that of the column."""

    table: str
    column: str
    place: tuple[str, ...]
    name: str = ""

    @property
    def bound(self) -> str:
        """What stands for the column in the associated data."""
        return self.name or f"{self.table}.{self.column}"

    def of(self, row: Mapping[str, Any]) -> tuple[Part, ...]:
        """The place of a row that has those columns."""
        return tuple(part(row[name]) for name in self.place)


def part(value: Any) -> Part:
    """A column's value as part of a name."""
    return bytes(value).hex() if isinstance(value, (bytes, memoryview)) else value


_OF_PERSON = ("conversation_id", "id")
_KEY = ("conversation_id", "platform", "account", "key")
# Every one of the schema (a test holds this list against it).
COLUMNS = (
    Column("conversations", "profile", ("id",)),
    Column("conversations", "state", ("id",)),
    Column("deliveries", "raw", ("id",)),
    Column("outbox", "message", _OF_PERSON),
    Column("handoffs", "slots", _OF_PERSON),
    Column("alarms", "evidence", _OF_PERSON),
    Column("events", "body", _KEY),
    Column("events", "entities", ("id",)),
    Column("second_factors", "secret", ("user_id",)),
    Column("second_factors", "pending", ("user_id",), "second_factors.secret"),
    Column("oidc_logins", "value", ("state_hash",)),
    Column("notes", "body", _OF_PERSON),
    Column("drafts", "body", ("conversation_id", "user_id")),
    Column("submissions", "body", _OF_PERSON),
    Column("validations", "before", ("submission_id", "step")),
    Column("validations", "word", ("submission_id", "step")),
    Column("readings", "words", ("event_id",)),
    Column("legal_holds", "reason", _OF_PERSON),
)
# Binary columns that the codec does not fill: hashes.
OTHERS = {
    "sessions.token_hash",
    "sessions.seal",
    "login_links.token_hash",
    "login_links.seal",
    "recovery_codes.code_hash",
    "oidc_logins.state_hash",
    "deletions.previous",
    "deletions.hash",
}
BY_NAME = {f"{one.table}.{one.column}": one for one in COLUMNS}


def event(alias: str, name: str = "place") -> str:
    """SQL for what names the body of an event, as one column `name`: its four parts in one."""
    parts = ", ".join(f"{alias}.{column}" for column in _KEY[1:])
    return f"concat_ws(chr({ord(BETWEEN)}), coalesce(CAST({alias}.conversation_id AS text), ''), {parts}) AS {name}"


async def numbers(connection: AsyncConnection, table: str, count: int = 1) -> list[int]:
    """Numbers for rows that are about to be inserted, in order."""
    query = "SELECT nextval(CAST(:sequence AS regclass)) FROM generate_series(1, :count)"
    values = {"sequence": f"{table}_id_seq", "count": count}
    return [int(n) for n in (await connection.execute(text(query), values)).scalars()]
