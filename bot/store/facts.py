"""Small facts about this installation: one JSON value a name (the sandbox's simulated hour, the canary of the key)."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

CLOCK_OFFSET = "clock_offset"  # seconds that the demo's clocks are ahead of the machine's


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
