"""A database that takes every row of a transaction and then refuses to commit it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from sqlalchemy import text

from bot.store.db import Database


@contextlib.asynccontextmanager
async def commits_refused(database: Database, table: str = "audit") -> AsyncIterator[None]:
    """Within this context no transaction that inserts into `table` can be committed."""
    async with database.begin() as connection:
        await connection.execute(
            text("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$")
        )
        await connection.execute(
            text(
                f"CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON {table} "
                "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
        )
    try:
        yield
    finally:
        async with database.begin() as connection:
            await connection.execute(text(f"DROP TRIGGER refuse ON {table}"))
            await connection.execute(text("DROP FUNCTION refuse()"))
