"""Goes over to a new DATA_KEY, or to values that are bound to their rows, while everything runs: what is sealed is sealed anew,
keyed hashes are made anew.

In small transactions, in any number of attempts: what the current key sealed is passed over, so that nothing has to be
remembered. Until the end both keys open, and the search asks for the old key's tokens, which every document has besides
the new ones; then the old key's tokens go, and the fact DATA_KEYS says that the new key alone is in use.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqlalchemy import Row, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.errors import SettingsError
from bot.store import binding, erased, facts, search
from bot.store.codec import BOUND, Codec, Part
from bot.store.db import Database
from bot.store.faults import Fault, fault_of
from bot.store.places import COLUMNS, Column, part
from bot.store.reindex import documents
from bot.store.workbench import readings

BATCH = 200  # rows in one transaction
LOCK = 7_109_326  # advisory: one rotation at a time
PASSES = 3  # over all columns, until nothing is left that another process wrote meanwhile
TRIES = 6  # of one transaction that met others
_PAUSE = 0.2  # seconds before the second try, then twice as long each time
T = TypeVar("T")
Check = Callable[[AsyncConnection, Codec], Awaitable[None]]


@dataclass(frozen=True)
class Step:
    """What one transaction did: `what` (a column, `search`, `readings`), `rows` made anew, `unreadable` among those."""

    what: str
    rows: int
    unreadable: int = 0


class Busy(SettingsError):
    """Another rotation is under way."""


class Resealing:
    """`run` yields after every transaction; whoever iterates rests between them."""

    def __init__(self, database: Database, codec: Codec, batch: int = BATCH) -> None:
        self._db = database
        self._codec = codec
        self._batch = batch

    async def run(self) -> AsyncGenerator[Step]:
        """The rotation. Raises Busy, and SettingsError when the keys do not open what is stored."""
        async with self._alone():
            for column in COLUMNS:
                async for step in self._column(column):
                    yield step
            async for step in self._search(self._codec.parts):
                yield step
            async for step in self._sketches():
                yield step
            if await self.left():  # what a process wrote that had the keys the other way round
                raise SettingsError(
                    "Un service écrit encore avec l’ancienne clé.",
                    "Donnez à tous les services la nouvelle clé d’abord, relancez-les, puis refaites : planton keys rotate",
                )
            await self._go_over()
            async for step in self._search(self._codec.parts[:1]):
                yield step
            await self._end()

    async def bind(
        self,
        settle: float = binding.SETTLE,
        check: Check = facts.check_key,
        lost: bool = False,
        late: bool = False,
    ) -> AsyncGenerator[Step]:
        """Have every value bound to its row, then refuse the others; nothing where that is so. All processes must be of a release
        that opens bound values. `settle`: seconds until each of them knows; `check`: what is asked before; `lost`: give up
        what no key opens; `late`: where it is so, bind what is refused for its form. Raises Busy, SettingsError."""
        async with self._alone(check):
            first = not self._codec.binding.only
            if first:
                async for step in self._bind_all(settle, lost):
                    yield step
            await self._state(only=True)  # somebody may have taken the fact away
            if first:  # whoever had not looked since, frozen or cut off, went on in the form of before
                await asyncio.sleep(settle)
            if first or late:
                for column in COLUMNS:
                    async for step in self._older()._column(column):
                        yield replace(step, unreadable=0) if first else step

    async def _bind_all(self, settle: float, lost: bool) -> AsyncIterator[Step]:
        await self._state(only=False)
        await asyncio.sleep(settle)
        for _ in range(PASSES):
            closed = 0
            for column in COLUMNS:
                async for step in self._column(column):
                    closed += step.unreadable
                    yield step
            if not await self.unbound():
                break
        else:
            raise SettingsError(
                "Un service de la version d’avant écrit encore.",
                "Mettez tous les services à jour, relancez-les, puis refaites : planton keys bind",
            )
        if closed and not lost:  # bound to no row, they would be refused even with their key
            raise SettingsError(
                f"{closed} valeur(s) d’avant ne s’ouvrent avec aucune clé donnée : elles seraient perdues.",
                "Ajoutez leur clé dans DATA_KEY, après la vôtre, et refaites ; sinon : planton keys bind --abandonner",
            )

    def _older(self) -> Resealing:
        return Resealing(self._db, self._codec.older(), self._batch)

    async def refused(self) -> dict[str, int]:
        """Values that would open but for their form of before, by column."""
        older = self._older()
        return await older._count(older._codec.parts, bound=False)

    async def _state(self, only: bool) -> None:
        async with self._db.begin() as connection:
            await binding.put(connection, self._codec, only)

    @contextlib.asynccontextmanager
    async def _alone(self, check: Check = facts.check_key) -> AsyncIterator[None]:
        """One at a time, with keys that fit."""
        async with self._db.engine.connect() as alone:
            # No transaction that lasts as long as all of it.
            await alone.execution_options(isolation_level="AUTOCOMMIT")
            if not await alone.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}):
                raise Busy("Une rotation est déjà en cours.", "Attendez qu’elle finisse.")
            try:
                async with self._db.begin() as connection:
                    await check(connection, self._codec)
                yield
            finally:
                await alone.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK})

    async def left(self) -> dict[str, int]:
        """Values that the current key did not seal and another of ours opens, by column."""
        return await self._count(self._codec.parts[1:])

    async def unbound(self) -> dict[str, int]:
        """Values that are not bound to their rows by the current key, and that a key of ours opens, by column."""
        return await self._count(self._codec.parts)

    async def _count(self, parts: Sequence[Codec], bound: bool = True) -> dict[str, int]:
        """`bound`: with those that an older key bound to their rows."""
        found = {}
        for column in COLUMNS:
            count = 0
            async with self._db.begin() as connection:
                keys = await primary_key(connection, column.table)
                after: tuple[Any, ...] | None = None
                while rows := await self._unsealed(connection, column, keys, after):
                    after = tuple(rows[-1])[: len(keys)]
                    some = [row for row in rows if bound or bytes(row[-1][:1]) != BOUND]
                    count += sum(_opens(parts, column, row) for row in some)
            if count:
                found[column.bound] = count
        return found

    async def _within(self, do: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Do it in a transaction; one that met others (a deadlock) is tried again by itself, not with all that went before."""
        for tried in range(1, TRIES + 1):
            try:
                async with self._db.begin() as connection:
                    return await do(connection)
            except DBAPIError as error:
                if tried == TRIES or fault_of(error) is not Fault.MET:
                    raise
            await asyncio.sleep(_PAUSE * 2 ** (tried - 1))
        raise AssertionError

    async def _column(self, column: Column) -> AsyncIterator[Step]:
        after: tuple[Any, ...] | None = None
        while True:
            rows, fresh = await self._within(functools.partial(self._reseal, column, after))
            if not rows:
                return
            after = tuple(rows[-1])[: -1 - len(column.place)]
            yield Step(column.bound, fresh, len(rows) - fresh)

    async def _reseal(
        self, column: Column, after: tuple[Any, ...] | None, connection: AsyncConnection
    ) -> tuple[Sequence[Row[Any]], int]:
        """What was looked at, and how many of it were sealed anew."""
        keys = await primary_key(connection, column.table)
        rows = await self._unsealed(connection, column, keys, after)
        fresh = [(row, sealed) for row in rows if (sealed := self._anew(column, row)) is not None]
        if fresh:
            if column.table == "conversations":
                await connection.execute(_IN_ORDER, {"ids": [row[0] for row, _ in fresh]})
            await connection.execute(text("SELECT set_config('planton.resealing', 'on', true)"))
            await connection.execute(
                _update(column, keys),
                [
                    {"old": row[-1], "new": sealed, **{f"k{i}": row[i] for i in range(len(keys))}}
                    for row, sealed in fresh
                ],
            )
        return rows, len(fresh)

    def _anew(self, column: Column, row: Row[Any]) -> bytes | None:
        place = place_of(column, row)
        try:
            return self._codec.seal(self._codec.open(row[-1], column.bound, *place), column.bound, *place)
        except SettingsError:
            return None  # no key of ours opens it: it stays as it is

    async def _unsealed(
        self, connection: AsyncConnection, column: Column, keys: Sequence[str], after: tuple[Any, ...] | None
    ) -> Sequence[Row[Any]]:
        listed, place = ", ".join(keys), ", ".join(f'"{name}"' for name in column.place)
        beyond = "" if after is None else f"AND ({listed}) > ({', '.join(f':a{i}' for i in range(len(keys)))})"
        query = text(f"""
            SELECT {listed}, {place}, "{column.column}" FROM {column.table}
            WHERE "{column.column}" IS NOT NULL AND substring("{column.column}" FROM 1 FOR 5) <> :mark {beyond}
            ORDER BY {listed} LIMIT :many
        """)  # noqa: S608 (names of ours)
        values = {f"a{i}": value for i, value in enumerate(after or ())}
        return (await connection.execute(query, {"mark": self._codec.mark, "many": self._batch, **values})).all()

    async def _search(self, codecs: Sequence[Codec]) -> AsyncIterator[Step]:
        """Tokens of these keys for every document, and of no other."""
        kind, ref = "", 0
        while True:
            rows = await self._within(functools.partial(self._renew, codecs, kind, ref))
            if not rows:
                return
            kind, ref = rows[-1]
            yield Step("search", len(rows))

    async def _renew(
        self, codecs: Sequence[Codec], kind: str, ref: int, connection: AsyncConnection
    ) -> Sequence[Row[Any]]:
        rows = (await connection.execute(_DOCUMENTS, {"kind": kind, "ref": ref, "many": self._batch})).all()
        for of in dict.fromkeys(row.kind for row in rows):
            found = await documents(connection, self._codec, of, [row.ref for row in rows if row.kind == of])
            await search.renew(connection, codecs, found)
        return rows

    async def _sketches(self) -> AsyncIterator[Step]:
        """Sketches of what trainers look at; those of a crisis are made by the console, whenever there are none."""
        last = 0
        while True:
            rows = await self._within(functools.partial(self._sketch, last))
            if not rows:
                return
            last = rows[-1].event_id
            yield Step("readings", len(rows))

    async def _sketch(self, last: int, connection: AsyncConnection) -> Sequence[Row[Any]]:
        rows = (await connection.execute(_SKETCHED, {"after": last, "many": self._batch})).all()
        for row in rows:
            with contextlib.suppress(SettingsError):
                await self._sketch_one(connection, row)
        if not rows:
            await connection.execute(text("DELETE FROM likenesses"))
        return rows

    async def _sketch_one(self, connection: AsyncConnection, row: Row[Any]) -> None:
        words = self._codec.open(row.words, readings.WORDS, row.event_id).decode()
        bands = readings.literal(readings.sketch_of(self._codec, words))
        await connection.execute(_SKETCH, {"id": row.event_id, "bands": bands})

    async def _go_over(self) -> None:
        """Every document has the new key's tokens: from here on the search asks for these, and no writer makes others."""
        async with self._db.begin() as connection:
            known = await facts.get(connection, facts.DATA_KEYS)
            used = known["used"] if known else [part.names[0] for part in self._codec.parts]
            await erased.keep_keys(connection, self._codec)
            await facts.put(connection, facts.DATA_KEYS, {"used": used, "search": self._codec.names[0]})

    async def _end(self) -> None:
        async with self._db.begin() as connection:
            await facts.set_canary(connection, self._codec)
            await binding.reseal(connection, self._codec)
            await facts.put(
                connection, facts.DATA_KEYS, {"used": [self._codec.names[0]], "search": self._codec.names[0]}
            )


def place_of(column: Column, row: Row[Any]) -> tuple[Part, ...]:
    """The place of a row that ends with the columns that name it, and the value."""
    return tuple(map(part, tuple(row)[-1 - len(column.place) : -1]))


def _opens(parts: Sequence[Codec], column: Column, row: Row[Any]) -> bool:
    """Whether one of these keys does."""
    for one in parts:
        with contextlib.suppress(SettingsError):
            one.open(row[-1], column.bound, *place_of(column, row))
            return True
    return False


async def needed(connection: AsyncConnection, codec: Codec) -> bool:
    """Whether a key of ours beside the current one, or in its place, is still in use."""
    known = await facts.get(connection, facts.DATA_KEYS)
    canary = await facts.get(connection, facts.KEY_CANARY)
    if known is None:
        return canary is not None and facts.of_canary(codec, canary) != codec.names[0]
    return bool(known["used"] != [codec.names[0]])


# As whoever takes in webhooks or assigns many at once: in another order, one would wait for the other in a circle.
_IN_ORDER = text("""
    SELECT 1 FROM conversations WHERE id = ANY(:ids)
    ORDER BY platform COLLATE "C", account COLLATE "C", person COLLATE "C" FOR UPDATE
""")
_DOCUMENTS = text("""
    SELECT kind, ref FROM search_documents WHERE (kind, ref) > (:kind, :ref) ORDER BY kind, ref LIMIT :many
""")
_SKETCHED = text("""
    SELECT event_id, words FROM readings WHERE bands IS NOT NULL AND event_id > :after ORDER BY event_id LIMIT :many
    FOR UPDATE
""")
_SKETCH = text("UPDATE readings SET bands = CAST(:bands AS bigint[]) WHERE event_id = :id")


def _update(column: Column, keys: Sequence[str]) -> Any:
    where = " AND ".join(f"{key} = :k{i}" for i, key in enumerate(keys))
    return text(
        f'UPDATE {column.table} SET "{column.column}" = :new WHERE {where} AND "{column.column}" = :old'  # noqa: S608
    )


async def primary_key(connection: AsyncConnection, table: str) -> list[str]:
    """The columns of a table's primary key."""
    rows = await connection.execute(
        text("""
            SELECT a.attname FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k(attnum, place), pg_attribute a
            WHERE i.indrelid = CAST(:table AS regclass) AND i.indisprimary AND a.attrelid = i.indrelid
              AND a.attnum = k.attnum ORDER BY k.place
        """),
        {"table": table},
    )
    return [f'"{row.attname}"' for row in rows]
