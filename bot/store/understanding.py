"""What the engine found in each message (place, document, date …), kept encrypted beside it for agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.dialogue import Understanding
from bot.store.codec import Codec

COLUMN = "events.entities"


async def keep(
    connection: AsyncConnection, codec: Codec, events: Sequence[int], understanding: Understanding | None
) -> None:
    """Keep what was found in words that these events say together. A withdrawn message keeps nothing."""
    if understanding is None or not understanding.entities or not events:
        return
    await connection.execute(
        text("UPDATE events SET entities = :entities WHERE id = :id AND reason IS DISTINCT FROM 'unsent'"),
        [{"entities": codec.seal_json(understanding.entities, COLUMN, event), "id": event} for event in sorted(events)],
    )


def opened(codec: Codec, event: int, sealed: bytes | None) -> Mapping[str, str]:
    """Field → value; nothing when nothing was found."""
    found = codec.readable_json(sealed, COLUMN, event)
    return {str(k): str(v) for k, v in found.items() if v not in (None, "")} if isinstance(found, dict) else {}
