"""Brings what is stored and not in the search's index into it: what was written before there was a search, and everything
after a restoration, for back-ups leave the index out. Newest first, in small transactions, once.

Then it gives what stands in the index under a former purpose (`search.FORMER`) the tokens of its own.

Where it stands are two facts (`search_backfill`, `search_purposes`: table → the id that is looked at next; 0: done), so that
it goes on after a restart. What is indexed already is passed over. Any number of processes may call it: one works at a time.
"""

from __future__ import annotations

import time
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
FACT, PURPOSES = "search_backfill", "search_purposes"
SWEEP = (
    3600.0  # seconds between looks for what the release before, as long as it still ran, wrote under a former purpose
)
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
# Documents of a range of ids that do not have the tokens of today: of a former purpose, and the titles of buttons.
_FORMER = {
    "events": text("""
        SELECT d.ref FROM search_documents d JOIN events e ON e.id = d.ref
        WHERE d.kind = 'event' AND d.ref > :low AND d.ref <= :high
          AND (d.tokens && CAST(:former AS bigint[]) OR e.kind = 'quick_reply')
    """),
    **{
        table: text(f"""
            SELECT ref FROM search_documents
            WHERE kind = '{_TABLES[table][0]}' AND ref > :low AND ref <= :high AND tokens && CAST(:former AS bigint[])
        """)  # noqa: S608 (a name of ours)
        for table in ("outbox", "notes")
    },
}
_BY_KEY = text("SELECT set_config('enable_bitmapscan', 'off', true), set_config('enable_seqscan', 'off', true)")
_LEFT = text("""
    SELECT kind, ref FROM search_documents WHERE tokens && CAST(:former AS bigint[]) LIMIT :most
""")
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
        self._swept = -SWEEP

    async def step(self) -> bool:
        """Look at the next rows; False when there are none left, or another process is at it."""
        return await self._missing() or await self._former() or await self._sweep()

    async def _missing(self) -> bool:
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

    async def _former(self) -> bool:
        """Walk over the index as `_missing` does over the tables, in the primary key's order: the index of tokens would gather all
        that is left for every batch."""
        async with self._db.begin(durable=False) as connection:
            if not await connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK}):
                return False
            known = await facts.get(connection, PURPOSES)
            state = known or {"next": await _last(connection)}
            table = next((name for name in _FORMER if state["next"].get(name)), None)
            if table is not None:
                high = int(state["next"][table])
                state["next"][table] = low = max(0, high - BATCH)
                await connection.execute(_BY_KEY)
                values = {"low": low, "high": high, "former": list(search.FORMER.values())}
                found = (await connection.execute(_FORMER[table], values)).scalars().all()
                await self._renew(connection, _TABLES[table][0], found)
            if known is None or table is not None:
                await facts.put(connection, PURPOSES, state)
        return table is not None

    async def _sweep(self) -> bool:
        if time.monotonic() - self._swept < SWEEP:
            return False
        async with self._db.begin(durable=False) as connection:
            values = {"former": list(search.FORMER.values()), "most": BATCH}
            found = (await connection.execute(_LEFT, values)).all()
            for kind in dict.fromkeys(row.kind for row in found):
                await self._renew(connection, kind, [row.ref for row in found if row.kind == kind])
        if not found:
            self._swept = time.monotonic()
        return bool(found)

    async def _renew(self, connection: AsyncConnection, kind: str, refs: Sequence[int]) -> None:
        """Give these the tokens of today; what is not to be found any longer, such as the title of a button, goes."""
        if not refs:
            return
        codecs = await search.writers(connection, self._codec)
        again = [one for one in await documents(connection, self._codec, kind, refs) if one is not None]
        again = [one for one in again if search.tokens(codecs, one)]
        await search.renew(connection, codecs, again)
        for ref in set(refs) - {one.ref for one in again}:
            await search.forget(connection, kind, ref)

    async def _index(self, connection: AsyncConnection, table: str, low: int, high: int) -> None:
        kind, query = _SOURCES[table]
        rows = (await connection.execute(query, {"low": low, "high": high, "kind": kind})).all()
        await search.index(connection, self._codec, [_document(self._codec, kind, row) for row in rows])


async def restart(connection: AsyncConnection) -> bool:
    """Have everything looked at anew, as a back-up comes without the index; whether there is anything to look at."""
    state = await _begin(connection)
    await facts.put(connection, FACT, state)
    await facts.drop(connection, PURPOSES)
    return any(state["total"].values())


async def _begin(connection: AsyncConnection) -> dict[str, Any]:
    """Everything that is stored now is older than the search, as far as this process knows."""
    last = await _last(connection)
    return {"next": dict(last), "total": last}


async def _last(connection: AsyncConnection) -> dict[str, int]:
    return {
        table: int(await connection.scalar(text(f"SELECT coalesce(max(id), 0) FROM {table}")) or 0)  # noqa: S608
        for table in _SOURCES
    }


def _document(codec: Codec, kind: str, row: Row[Any]) -> Document | None:
    """What is to be found of a row; None of one that no key opens: nobody can be shown it, and it must not hold up the others."""
    try:
        return _opened(codec, kind, row)
    except SettingsError:
        return None


def _opened(codec: Codec, kind: str, row: Row[Any]) -> Document | None:
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
