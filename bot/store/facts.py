"""Small facts about this installation: one JSON value a name (the sandbox's simulated hour, the canary of the key)."""

from __future__ import annotations

import base64
import json
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.errors import SetupError
from bot.store.codec import Codec

CLOCK_OFFSET = "clock_offset"  # seconds that the demo's clocks are ahead of the machine's

KEY_CANARY = "key_canary"  # a word sealed with the key of this installation, in base64
_CANARY_COLUMN = "facts.key_canary"
RESTORING = "restoring"  # a back-up is in place; what was erased since is not gone again yet


async def check_key(connection: AsyncConnection, codec: Codec) -> None:
    """Raise SettingsError when the data were sealed with another key: they could not be read, and what is written now
    could not be read later. The first start leaves the canary. Raise SetupError while a restoration is unfinished."""
    if await get(connection, RESTORING) is not None:
        raise SetupError(
            "Une restauration n’est pas finie : des données effacées depuis la sauvegarde sont encore là.",
            "Faites : planton restore --terminer",
        )
    await check_canary(connection, codec)


async def check_canary(connection: AsyncConnection, codec: Codec) -> None:
    """As `check_key`, for the key alone."""
    canary = await get(connection, KEY_CANARY)
    if canary is not None:
        check_sealed(codec, canary, None)
        return
    # Data older than the canary.
    check_sealed(codec, None, await connection.scalar(text("SELECT body FROM events ORDER BY id DESC LIMIT 1")))
    await put(connection, KEY_CANARY, base64.b64encode(codec.seal(b"planton", _CANARY_COLUMN)).decode())


def check_sealed(codec: Codec, canary: str | None, body: bytes | None) -> None:
    """Raise SettingsError when neither opens. `canary`: the fact's value; `body`: of an event, where there is no canary."""
    if canary is not None:
        codec.open(base64.b64decode(canary), _CANARY_COLUMN)
    elif body is not None:
        codec.open(body, "events.body")


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
