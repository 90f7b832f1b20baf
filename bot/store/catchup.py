"""The store's side of a walk through the Conversations API (`bot.sender.catchup.Shelf`)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.messages import Platform
from bot.store import caught, meta_flow
from bot.store.db import Database
from bot.store.meta_flow import Walk


class Shelf:
    """Needs two connections at once: one holds the lock while the other writes."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @contextlib.asynccontextmanager
    async def walker(self, account: str) -> AsyncIterator[bool]:
        """Be the account's only walker; a killed process lets go with its connection."""
        async with self._db.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            alone = await meta_flow.lock(connection, account)
            try:
                yield alone
            finally:
                if alone:
                    await self._let_go(connection, account)

    async def _let_go(self, connection: AsyncConnection, account: str) -> None:
        try:
            await meta_flow.unlock(connection, account)
        except Exception:  # whatever ails it, a connection that may hold the lock must not serve again
            await connection.invalidate()

    async def begin(
        self, account: str, platform: Platform, now: datetime, since: datetime | None, simulate: bool
    ) -> Walk:
        """As `meta_flow.begin`; `simulate` keeps nothing."""
        async with self._db.begin() as connection:
            walk = await meta_flow.begin(connection, account, platform.value, now, since)
            if simulate:
                await connection.rollback()
                return Walk(walk.since, now, walk.since, now)
        return walk

    async def keep(self, account: str, walk: Walk) -> None:
        """As `meta_flow.keep`."""
        async with self._db.begin(durable=False) as connection:
            await meta_flow.keep(connection, account, walk)

    async def ended(self, account: str, walk: Walk, until: datetime, now: datetime, found: int) -> None:
        """As `meta_flow.ended`."""
        async with self._db.begin() as connection:
            await meta_flow.ended(connection, account, walk, until, now, found)
            await caught.forget(connection, now)

    async def broke_off(self, account: str, slug: str, now: datetime) -> None:
        """As `meta_flow.broke_off`."""
        async with self._db.begin() as connection:
            await meta_flow.broke_off(connection, account, slug, now)

    async def known(self, account: str, platform: Platform, mids: Collection[str]) -> dict[str, datetime]:
        """As `caught.known`."""
        async with self._db.begin(durable=False) as connection:
            return await caught.known(connection, platform.value, account, mids)
