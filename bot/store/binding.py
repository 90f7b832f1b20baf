"""How far this installation has come with binding sealed values to their rows, and which values were refused.

The fact SEALING is sealed itself: whoever writes to the database without the key cannot make one. Taking it away, or putting an
older one back, changes nothing where it was known before: in a process that runs, and on a machine whose folder holds the floor.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.errors import SettingsError
from bot.store.codec import BOUND, Codec
from bot.store.db import Database
from bot.store.places import COLUMNS

SEALING = "sealing"  # the fact: {"only": bool}, sealed, as hexadecimal; none: nothing is bound yet
FLOOR = "sealing.json"  # in the folder of the installation: names of keys whose values are all bound
EVERY = 5.0  # seconds between looks
SETTLE = 3 * EVERY  # by then, every process has looked
_COLUMN = "facts.sealing"
_GET = text("SELECT value #>> '{}' FROM facts WHERE name = :name")
_PUT = text("""
    INSERT INTO facts (name, value) VALUES (:name, to_jsonb(CAST(:value AS text)))
    ON CONFLICT (name) DO UPDATE SET value = excluded.value
""")
_KEEP = text("""
    INSERT INTO refused_values (name, place, first_at, last_at, times) VALUES (:name, :place, now(), now(), :times)
    ON CONFLICT (name, place) DO UPDATE SET last_at = excluded.last_at, times = refused_values.times + excluded.times
""")
_FORGET = text("DELETE FROM refused_values WHERE last_at < now() - interval '90 days'")
log = logging.getLogger("planton.binding")


async def put(connection: AsyncConnection, codec: Codec, only: bool) -> None:
    """From now on new values are bound (`only`: and others refused); this process knows at once."""
    await connection.execute(_PUT, {"name": SEALING, "value": codec.seal_json({"only": only}, _COLUMN).hex()})
    codec.binding.writes = True
    codec.binding.only = codec.binding.only or only


async def reseal(connection: AsyncConnection, codec: Codec) -> None:
    """The fact with the current key."""
    if await connection.scalar(_GET, {"name": SEALING}) is not None:
        await put(connection, codec, codec.binding.only)


async def learn(connection: AsyncConnection, codec: Codec) -> None:
    """Ask how far it is. What is known to be bound stays so, whatever the database says."""
    found = await connection.scalar(_GET, {"name": SEALING})
    if codec.binding.only:
        if found is None or _only(codec, found) is False:  # somebody took it away, or put an older one back
            codec.binding.refuse(_COLUMN, SEALING)
        return
    if found is None:
        codec.binding.writes = False
        return
    codec.binding.writes, codec.binding.only = True, finished(codec, found)


def finished(codec: Codec, fact: str | None) -> bool:
    """Whether the fact says that every value is bound."""
    return fact is not None and _only(codec, fact) is True


def _only(codec: Codec, fact: str) -> bool | None:
    """What the fact says; None where it cannot be read: its key may be on its way; one that was altered, the codec tells of."""
    try:
        return bool(codec.open_json(bytes.fromhex(fact), _COLUMN)["only"])
    except (SettingsError, ValueError) as error:
        log.error("the fact %s cannot be read: %s", SEALING, type(error).__name__)
        return None


async def progress(connection: AsyncConnection) -> tuple[int, int]:
    """How many values are bound to their rows, and how many there are."""
    bound = total = 0
    for one in COLUMNS:
        query = f"""
            SELECT count(*) FILTER (WHERE substring("{one.column}" FROM 1 FOR 1) = :mark) AS bound, count(*) AS total
            FROM {one.table} WHERE "{one.column}" IS NOT NULL
        """  # noqa: S608 (names of ours)
        row = (await connection.execute(text(query), {"mark": BOUND})).one()
        bound, total = bound + row.bound, total + row.total
    return bound, total


def floor(codec: Codec, folder: Path) -> None:
    """Hold what is known against what this machine knew before, and keep it: it never goes back."""
    file, state = folder / FLOOR, codec.binding
    known: list[str] = []
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        known = [str(name) for name in json.loads(file.read_text(encoding="utf-8"))["bound"]]
    if any(name in known for name in codec.names):
        state.writes = state.only = True
    missing = [name for name in codec.names if name not in known]
    if state.only and missing:
        with contextlib.suppress(OSError):  # a role that may not write there: another one will
            draft = file.with_suffix(".draft")
            draft.write_text(json.dumps({"bound": [*known, *missing]}) + "\n", encoding="utf-8")
            draft.replace(file)


def unlearn(folder: Path) -> None:
    """This machine's data were replaced by older ones, on purpose."""
    with contextlib.suppress(OSError):
        (folder / FLOOR).unlink(missing_ok=True)


async def keep_refused(connection: AsyncConnection, codec: Codec) -> None:
    """Write down which values were refused."""
    refused, codec.binding.refused = codec.binding.refused, type(codec.binding.refused)()
    if refused:
        lines = [{"name": name, "place": place, "times": n} for (name, place), n in sorted(refused.items())]
        try:
            await connection.execute(_KEEP, lines)
            await connection.execute(_FORGET)
        except BaseException:
            codec.binding.refused.update(refused)
            raise


async def look(database: Database, codec: Codec, folder: Path) -> bool:
    """Once; False where the database did not answer."""
    try:
        async with database.begin() as connection:
            await learn(connection, codec)
            await keep_refused(connection, codec)
    except (SQLAlchemyError, OSError, TimeoutError):
        return False
    finally:
        floor(codec, folder)
    return True


@contextlib.asynccontextmanager
async def following(database: Database, codec: Codec, folder: Path) -> AsyncIterator[None]:
    """Inside, a command that writes for a while looks as every role does: the form of before may come to its end meanwhile."""
    task = asyncio.create_task(follow(database, codec, folder, EVERY))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def follow(database: Database, codec: Codec, folder: Path, every: float = EVERY) -> None:
    """Look now and then, for ever."""
    while True:  # noqa: ASYNC110 (no event tells it)
        await asyncio.sleep(every if await look(database, codec, folder) else min(1.0, every))
