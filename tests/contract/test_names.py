"""Names are asked once, for those who wait for a human."""

from __future__ import annotations

import asyncio

from sqlalchemy import text

from bot.core.messages import Platform
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.people import People
from bot.worker.names import Names
from tests.conftest import of_part
from tests.fakes.sealed import opened_json


async def test_names_of_those_who_wait(database: Database, codec: Codec) -> None:
    async with database.begin() as connection:
        await connection.execute(
            text("""
                INSERT INTO conversations (platform, account, person) VALUES
                    ('messenger', '1', 'a'), ('instagram', '2', 'b'), ('messenger', '1', 'c');
            """)
        )
        await connection.execute(
            text("""
                INSERT INTO handoffs (conversation_id, platform, category, priority, reason, opened_at, raised_at, due_at)
                VALUES (1, 'messenger', 'thanks', 5, 'x', now(), now(), now()),
                    (2, 'instagram', 'urgent', 1, 'x', now(), now(), now())
            """)
        )
    asked = []

    async def ask(platform: Platform, account: str, person: str) -> str | None:
        asked.append((platform.value, account, person))
        return None if person == "b" else "Camille"

    names = Names(People(of_part(database, "worker"), codec), ask)
    assert await names.once() == 2
    assert await names.once() == 0
    assert asked == [("instagram", "2", "b"), ("messenger", "1", "a")]
    async with database.begin() as connection:
        rows = (await connection.execute(text("SELECT * FROM conversations ORDER BY id"))).all()
    assert opened_json(codec, "conversations.profile", rows[0]) == {"name": "Camille"}
    assert opened_json(codec, "conversations.profile", rows[1]) == {"name": None}
    assert rows[2].profile is None


async def test_of_several_workers_one_asks(database: Database, codec: Codec) -> None:
    async with database.begin() as connection:
        await connection.execute(
            text("""
                INSERT INTO conversations (platform, account, person)
                SELECT 'messenger', '1', 'p' || n FROM generate_series(1, 4) AS n
            """)
        )
        await connection.execute(
            text("""
                INSERT INTO handoffs (conversation_id, platform, category, priority, reason, opened_at, raised_at, due_at)
                SELECT id, 'messenger', 'thanks', 5, 'x', now(), now(), now() FROM conversations
            """)
        )
    asked: list[str] = []

    async def ask(platform: Platform, account: str, person: str) -> str | None:
        asked.append(person)
        await asyncio.sleep(0.05)  # both workers have looked by now
        return "Camille"

    workers = [Names(People(of_part(database, "worker"), codec), ask) for _ in range(3)]
    assert sorted(await asyncio.gather(*(one.once() for one in workers))) == [0, 0, 4]
    assert sorted(asked) == ["p1", "p2", "p3", "p4"]
    assert [await one.once() for one in workers] == [0, 0, 0]
