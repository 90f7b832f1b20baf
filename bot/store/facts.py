"""Small facts about this installation: one JSON value a name (the sandbox's simulated hour, the canary of the key)."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.errors import SettingsError, SetupError
from bot.store import binding, places
from bot.store.codec import Codec

CLOCK_OFFSET = "clock_offset"  # seconds that the demo's clocks are ahead of the machine's

KEY_CANARY = "key_canary"  # a word sealed with the key of this installation, in base64
_CANARY_COLUMN = "facts.key_canary"
# {"used": names of the keys that sealed what is stored, "search": that of the key whose tokens every document has}
DATA_KEYS = "data_keys"
_KEYS_LOCK = 7_109_325
RESTORING = "restoring"  # a back-up is in place; what was erased since is not gone again yet


_NEWEST = text(f"SELECT body, {places.event('events')} FROM events ORDER BY id DESC LIMIT 1")  # noqa: S608 (names of ours)


async def check_key(connection: AsyncConnection, codec: Codec, notes: bool = True) -> None:
    """Raise SettingsError when the data were sealed with another key: they could not be read, and what is written now
    could not be read later. The first start leaves the canary. Raise SetupError while a restoration is unfinished.
    `notes` False: of who only reads, nothing is written."""
    if await get(connection, RESTORING) is not None:
        raise SetupError(
            "Une restauration n’est pas finie : des données effacées depuis la sauvegarde sont encore là.",
            "Faites : planton restore --terminer",
        )
    await check_canary(connection, codec, notes)


async def check_canary(connection: AsyncConnection, codec: Codec, notes: bool = True) -> None:
    """As `check_key`, for the keys alone. Each new key is noted before it seals."""
    await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _KEYS_LOCK})
    canary = await get(connection, KEY_CANARY)
    if canary is None:
        # Of what stands there, not every part may read all: whether there is anything is the owner's to say.
        anything = await connection.scalar(text("SELECT sealed_anything()"))
        row = (await connection.execute(_NEWEST)).one_or_none() if anything else None
        check_sealed(
            codec, None, *((row.body, row.place) if row is not None else (None, None))
        )  # data older than the canary
        if not notes:
            return
        canary = await set_canary(connection, codec if row is None else codec.parts[-1])
        if not anything:  # a new installation: every value is bound from the start
            await binding.put(connection, codec, only=True)
    known = await get(connection, DATA_KEYS)
    fits(codec, canary, known)
    await binding.learn(connection, codec)
    used = known["used"] if known else [of_canary(codec, canary)]
    if notes and codec.names[0] not in used:
        known = {"used": [*used, codec.names[0]], "search": known["search"] if known else used[0]}
        await put(connection, DATA_KEYS, known)


def fits(codec: Codec, canary: str, known: Any) -> None:
    """Raise SettingsError unless the keys open everything. `known`: the fact DATA_KEYS."""
    used = known["used"] if known else []
    if any(name not in codec.names for name in used) and any(name in codec.names for name in used):
        raise SettingsError(
            "PLANTON_DATA_KEY\u00a0: une autre clé sert encore, la rotation n’est pas finie.",
            "Remettez les deux, séparées par une virgule (la nouvelle d’abord), puis faites\u00a0: planton keys rotate",
        )
    of_canary(codec, canary)


def of_canary(codec: Codec, canary: str) -> str:
    """The name of the key that sealed the canary. Raises SettingsError when it is none of these."""
    sealed = base64.b64decode(canary)
    for part in codec.parts[:-1]:
        with contextlib.suppress(SettingsError):
            part.open(sealed, _CANARY_COLUMN)
            return part.names[0]
    codec.parts[-1].open(sealed, _CANARY_COLUMN)
    return codec.parts[-1].names[0]


async def set_canary(connection: AsyncConnection, codec: Codec) -> str:
    """Seal the canary with the current key."""
    canary = base64.b64encode(codec.seal(b"planton", _CANARY_COLUMN)).decode()
    await put(connection, KEY_CANARY, canary)
    return canary


def check_sealed(codec: Codec, canary: str | None, body: bytes | None, place: str | None) -> None:
    """Raise SettingsError when neither opens. `canary`: the fact's value; `body`: of an event, where there is no canary, and
    `place`: what names its row."""
    if canary is not None:
        codec.open(base64.b64decode(canary), _CANARY_COLUMN)
    elif body is not None:
        codec.open(body, "events.body", place)


async def drop(connection: AsyncConnection, name: str) -> None:
    """Forget a value."""
    await connection.execute(text("DELETE FROM facts WHERE name = :name"), {"name": name})


async def get(connection: AsyncConnection, name: str) -> Any:
    """The value, or None when nothing stands there."""
    return await connection.scalar(text("SELECT value FROM facts WHERE name = :name"), {"name": name})


async def put(connection: AsyncConnection, name: str, value: Any) -> None:
    """Set a value of JSON types."""
    await connection.execute(
        text("""
            INSERT INTO facts (name, value) VALUES (:name, CAST(:value AS jsonb))
            ON CONFLICT (name) DO UPDATE SET value = excluded.value
        """),
        {"name": name, "value": json.dumps(value)},
    )
