"""The console's schema: data of the first version come along; the audit only grows; nobody validates themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from psycopg import sql
from sqlalchemy import Connection, text

from bot.core.clock import FrozenClock
from bot.store import migrations
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.handoffs import NewHandoff, open_
from tests.conftest import url_of

PERSON = """
    INSERT INTO users (name, role) VALUES ('Claire', 'agent');
    INSERT INTO conversations (platform, account, person, owner, agent_id)
        SELECT 'instagram', '1', 'p', 'agent', id FROM users;
    INSERT INTO handoffs (conversation_id, category, priority, reason, opened_at, raised_at)
        SELECT id, 'sensitive', 2, 'r', '2026-01-15T10:00Z', '2026-01-15T10:00Z' FROM conversations;
    INSERT INTO users (name, role) VALUES ('Yanis', 'agent');
    INSERT INTO handoffs (conversation_id, category, priority, reason, opened_at, raised_at, closed_at, user_id)
        SELECT c.id, 'thanks', 5, 'r', '2026-01-14T10:00Z', '2026-01-14T10:00Z', '2026-01-14T11:00Z', u.id
        FROM conversations c, users u WHERE u.name = 'Yanis';
    INSERT INTO audit (action) VALUES ('login');
"""


@pytest.fixture
def old_url(postgres_url: str) -> Iterator[str]:
    """A database as the first version left it, with somebody in it."""
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("CREATE DATABASE old_version")
        yield url_of(postgres_url, "old_version")
        admin.execute(sql.SQL("DROP DATABASE old_version WITH (FORCE)"))


def _to(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def test_what_the_first_version_kept_comes_along(old_url: str) -> None:
    database = Database(old_url, size=2)
    async with database.engine.begin() as connection:
        await connection.run_sync(_to, "0001")
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql(PERSON)
    await database.migrate()
    await database.migrate()
    async with database.begin() as connection:
        query = """
            SELECT h.*, u.name, due_at - opened_at AS within FROM handoffs h JOIN users u ON u.id = h.assignee_id
            ORDER BY h.id
        """
        row, over = (await connection.execute(text(query))).all()
    await database.close()
    assert (row.platform, row.state, str(row.within)) == ("instagram", "open", "2:00:00")
    assert row.name == "Claire"
    assert (over.state, over.name) == ("closed", "Yanis")  # who closed it, not who has the conversation today


async def test_names_that_differ_by_case_alone_are_told_apart(old_url: str) -> None:
    database = Database(old_url, size=2)
    async with database.engine.begin() as connection:
        await connection.run_sync(_to, "0002")
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO users (name, role) VALUES ('Zoé', 'agent'), ('ZOÉ', 'agent'), ('zoé', 'agent');"
            "INSERT INTO teams (name) VALUES ('Nuit'), ('NUIT'), ('Jour')"
        )
    await database.migrate()
    async with database.begin() as connection:
        names = (await connection.execute(text("SELECT name FROM users ORDER BY id"))).scalars().all()
        teams = (await connection.execute(text("SELECT name FROM teams ORDER BY id"))).scalars().all()
    await database.close()
    assert names == ["Zoé", "ZOÉ (2)", "zoé (3)"]
    assert teams == ["Nuit", "NUIT (2)", "Jour"]


@pytest.mark.parametrize("change", ["UPDATE audit SET action = 'x'", "DELETE FROM audit", "TRUNCATE audit"])
def test_the_audit_is_append_only(database_url: str, change: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO audit (action) VALUES ('login')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(change)
        assert connection.execute("SELECT count(*) FROM audit WHERE action = 'login'").fetchone() == (1,)


def test_nobody_validates_their_own_draft(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("""
            INSERT INTO users (name, role) VALUES ('Claire', 'agent'), ('Denis', 'validator');
            INSERT INTO conversations (platform, account, person, agent_id)
                SELECT 'instagram', '1', 'p', id FROM users WHERE name = 'Claire';
        """)
        connection.execute("""
            INSERT INTO submissions (conversation_id, user_id, body, seen, category, priority, steps, created_at, dedup)
            SELECT c.id, c.agent_id, '', 1, 'sensitive', 2, '{service}', now(), 'k' FROM conversations c
        """)
        decide = """
            INSERT INTO validations (submission_id, step, user_id, decision, at)
            SELECT s.id, 0, u.id, 'approved', now() FROM submissions s, users u WHERE u.name = %s
        """
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(decide, ("Claire",))
        connection.execute(decide, ("Denis",))
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(decide, ("Denis",))


async def test_a_hand_off_is_due_by_its_priority_and_sooner_when_raised(
    database: Database, codec: Codec, frozen_clock: FrozenClock
) -> None:
    now = frozen_clock.now()
    async with database.begin() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO conversations (platform, account, person) VALUES ('messenger', '1', 'p')"
        )
        number = await connection.scalar(text("SELECT id FROM conversations"))
        assert number is not None
        due = []
        for category in ("request", "sensitive", "thanks", "emergency"):
            await open_(connection, codec, NewHandoff(number, category, "r"), now)
            due.append(str(await connection.scalar(text("SELECT due_at - opened_at FROM handoffs"))))
        assert due == ["1 day, 0:00:00", "2:00:00", "2:00:00", "0:05:00"]
        states = []
        for change in ("snoozed_until = now()", "closed_at = now()", "outcome = 'spam'"):
            await connection.execute(text(f"UPDATE handoffs SET {change}"))
            states.append(await connection.scalar(text("SELECT state FROM handoffs")))
    assert states == ["snoozed", "closed", "spam"]
