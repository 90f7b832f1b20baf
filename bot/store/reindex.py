"""Brings what was stored before there was a search into its index: newest first, in small transactions, once.

Where it stands is a fact (`search_backfill`: table → the id that is looked at next; 0: done), so that it goes on after a
restart. What is indexed already is passed over. Any number of processes may call it: one works at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.clean import clean
from bot.core.errors import SettingsError
from bot.core.messages import body_from_json
from bot.store import facts, places, search
from bot.store.codec import Codec
from bot.store.conversations import BODY, PROFILE
from bot.store.db import Database
from bot.store.search import Document

BATCH = 400  # ids looked at in one transaction
FACT = "search_backfill"
_LOCK = 7_109_303  # advisory: one process works at a time

# Rows are locked while they are read: a message that is withdrawn meanwhile must not come back through here.
_MISSING = (
    "t.id > :low AND t.id <= :high AND NOT EXISTS (SELECT FROM search_documents WHERE kind = :kind AND ref = t.id)"
)
_TABLES = {
    "events": (
        search.EVENT,
        f"""SELECT t.id, t.conversation_id, t.at, t.body, {places.event("t")} FROM events t
            WHERE {{}} AND t.conversation_id IS NOT NULL AND (t.kind IN ('text', 'quick_reply', 'attachment', 'edit')
                OR t.kind = 'echo' AND t.reason IN ('inbox_reply', 'inbox_automation')) FOR SHARE OF t""",  # noqa: S608 (names of ours)
    ),
    "outbox": (
        search.OUTBOX,
        "SELECT t.id, t.conversation_id, t.created_at AS at, t.author, t.message FROM outbox t WHERE {}",
    ),
    "notes": (
        search.NOTE,
        "SELECT t.id, t.conversation_id, t.at, t.body FROM notes t WHERE {} FOR SHARE OF t",
    ),
    "conversations": (
        search.NAME,
        """SELECT t.id, t.id AS conversation_id, coalesce(t.profile_at, t.created_at) AS at, t.profile
            FROM conversations t WHERE {} AND t.profile IS NOT NULL""",
    ),
}
_SOURCES = {table: (kind, text(query.format(_MISSING))) for table, (kind, query) in _TABLES.items()}
_NAMED = {kind: text(query.format("t.id = ANY(:ids)")) for kind, query in _TABLES.values()}


async def documents(connection: AsyncConnection, codec: Codec, kind: str, refs: Sequence[int]) -> list[Document | None]:
    """What stands in the index, read anew from where it was said."""
    rows = (await connection.execute(_NAMED[kind], {"ids": list(refs)})).all()
    return [_document(codec, kind, row) for row in rows]


@dataclass(frozen=True)
class Progress:
    """How far it is."""

    done: int
    total: int

    @property
    def percent(self) -> int:
        """0 … 99."""
        return min(99, 100 * self.done // max(1, self.total))

    @property
    def over(self) -> bool:
        """Whether everything is findable."""
        return self.done == self.total


async def progress(database: Database) -> Progress | None:
    """How far it is; None as long as no worker has begun."""
    async with database.begin() as connection:
        state = await facts.get(connection, FACT)
    if state is None:
        return None
    total = sum(state["total"].values())
    return Progress(total - sum(state["next"].values()), total)


def finished() -> dict[str, Any]:
    """The fact of an installation where nothing is older than the search."""
    return {"next": dict.fromkeys(_SOURCES, 0), "total": dict.fromkeys(_SOURCES, 0)}


class Reindex:
    """Does the work, one batch a call."""

    def __init__(self, database: Database, codec: Codec) -> None:
        self._db = database
        self._codec = codec

    async def step(self) -> bool:
        """Look at the next rows; False when there are none left, or another process is at it."""
        async with self._db.begin(durable=False) as connection:
            if not await connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK}):
                return False
            known = await facts.get(connection, FACT)
            state = known or await _begin(connection)
            table = next((name for name in _SOURCES if state["next"].get(name)), None)
            if table is not None:
                high = int(state["next"][table])
                state["next"][table] = low = max(0, high - BATCH)
                await self._index(connection, table, low, high)
            if known is None or table is not None:
                await facts.put(connection, FACT, state)
        return table is not None

    async def _index(self, connection: AsyncConnection, table: str, low: int, high: int) -> None:
        kind, query = _SOURCES[table]
        rows = (await connection.execute(query, {"low": low, "high": high, "kind": kind})).all()
        await search.index(connection, self._codec, [_document(self._codec, kind, row) for row in rows])


async def _begin(connection: AsyncConnection) -> dict[str, Any]:
    """Everything that is stored now is older than the search, as far as this process knows."""
    last = {
        table: int(await connection.scalar(text(f"SELECT coalesce(max(id), 0) FROM {table}")) or 0)  # noqa: S608
        for table in _SOURCES
    }
    return {"next": dict(last), "total": last}


def _document(codec: Codec, kind: str, row: Row[Any]) -> Document | None:
    """None where nothing is to be found, or what is there cannot be read."""
    try:
        return _read(codec, kind, row)
    except SettingsError:
        return None


def _read(codec: Codec, kind: str, row: Row[Any]) -> Document | None:
    if kind == search.EVENT:
        body = body_from_json(codec.open_json(row.body, BODY, row.place))
        return search.of_event(row.id, row.conversation_id, row.at, body)
    if kind == search.OUTBOX:
        said = codec.open_json(row.message, "outbox.message", row.conversation_id, row.id)["text"]
        return search.of_outbox(row.id, row.conversation_id, row.at, row.author, clean(said))
    if kind == search.NOTE:
        words = codec.open(row.body, "notes.body", row.conversation_id, row.id).decode()
        return search.of_note(row.id, row.conversation_id, row.at, words)
    profile = codec.open_json(row.profile, PROFILE, row.id) or {}
    name = profile.get("name") or profile.get("username")
    return search.of_name(row.id, row.at, str(name)) if name else None
