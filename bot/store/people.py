"""The people behind conversations: their names, as Meta gives them. Shape stored: {"name": str | null}, encrypted."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlalchemy import text

from bot.core.messages import Platform
from bot.store import search
from bot.store.codec import Codec
from bot.store.conversations import PROFILE
from bot.store.db import CONSOLE, Database, notify

_LOCK = 7_109_305  # advisory: one process asks for names at a time


@dataclass(frozen=True)
class Nameless:
    """Somebody whose name was not asked for yet."""

    conversation_id: int
    platform: Platform
    account: str
    person: str


class People:
    """Names of those who wait for a human."""

    def __init__(self, database: Database, codec: Codec) -> None:
        self._db = database
        self._codec = codec

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        """Whether we are the only process that asks for names, for as long as the block lasts."""
        async with self._db.begin(durable=False) as connection:
            yield bool(await connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK}))

    async def nameless(self, limit: int) -> list[Nameless]:
        """At most `limit` people with an open hand-off whose name was never asked for, the most pressing first."""
        async with self._db.begin() as connection:
            rows = await connection.execute(
                text("""
                    SELECT c.id, c.platform, c.account, c.person
                    FROM handoffs h JOIN conversations c ON c.id = h.conversation_id
                    WHERE h.closed_at IS NULL AND c.profile_at IS NULL
                    ORDER BY h.priority, h.opened_at LIMIT :limit
                """),
                {"limit": limit},
            )
            return [Nameless(row.id, Platform(row.platform), row.account, row.person) for row in rows]

    async def keep_name(self, conversation_id: int, name: str | None) -> None:
        """Keep a name, or that none is to be had."""
        async with self._db.begin() as connection:
            at = await connection.scalar(
                text("""
                    UPDATE conversations SET profile = :profile, profile_at = now()
                    WHERE id = :id AND erased_at IS NULL RETURNING profile_at
                """),
                {"id": conversation_id, "profile": self._codec.seal_json({"name": name}, PROFILE, conversation_id)},
            )
            await search.forget(connection, search.NAME, conversation_id)
            if name and at is not None:
                await search.index(connection, self._codec, [search.of_name(conversation_id, at, name)])
            await notify(connection, CONSOLE, str(conversation_id))
