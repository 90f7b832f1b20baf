"""Small facts about this installation: one JSON value a name (the sandbox's simulated hour, the canary of the key)."""

from __future__ import annotations

import base64
import json
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.codec import Codec

CLOCK_OFFSET = "clock_offset"  # seconds that the demo's clocks are ahead of the machine's

KEY_CANARY = "key_canary"  # a word sealed with the key of this installation, in base64
_CANARY_COLUMN = "facts.key_canary"


async def check_key(connection: AsyncConnection, codec: Codec) -> None:
    """Raise SettingsError when the data were sealed with another key: they could not be read, and what is written now
    could not be read later. The first start leaves the canary."""
    canary = await get(connection, KEY_CANARY)
    if canary is not None:
        codec.open(base64.b64decode(canary), _CANARY_COLUMN)
        return
    body = await connection.scalar(text("SELECT body FROM events ORDER BY id DESC LIMIT 1"))
    if body is not None:  # data older than the canary
        codec.open(body, "events.body")
    await put(connection, KEY_CANARY, base64.b64encode(codec.seal(b"planton", _CANARY_COLUMN)).decode())


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
