"""Migrations: from every released schema with data in every table; under service; the released code beside the new one."""

from __future__ import annotations

import ast
import asyncio
import base64
import os
import re
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from psycopg import sql
from sqlalchemy import Connection

from bot.store import db
from bot.store.codec import Codec
from bot.store.db import Database, SchemaBusy, SchemaNewer, schemas
from tests.conftest import url_of
from tests.fakes import rows
from tests.scenario.system import DAY, running

RELEASED = Path(__file__).parents[1] / "released"
VERSIONS = Path(db.__file__).parent / "migrations" / "versions"
KEY = base64.b64encode(bytes(range(32))).decode()
BEFORE = [revision for revision in reversed(schemas()) if revision < schemas()[0]]


@pytest.fixture
def empty_url(postgres_url: str) -> Iterator[str]:
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("CREATE DATABASE migrated")
        yield url_of(postgres_url, "migrated")
        admin.execute(sql.SQL("DROP DATABASE migrated WITH (FORCE)"))


def _to(connection: Connection, revision: str) -> None:
    config = db._config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def bring(url: str, revision: str) -> None:
    """An empty database to a released schema."""
    database = Database(url, size=1)
    async with database.engine.begin() as connection:
        await connection.run_sync(_to, revision)
    await database.close()


async def migrate(url: str, **options: Any) -> None:
    database = Database(url, size=1)
    try:
        await database.migrate(**options)
    finally:
        await database.close()


def content(url: str) -> dict[str, list[dict[str, Any]]]:
    with psycopg.connect(url) as connection:
        return rows.everything(connection)


@pytest.mark.parametrize("revision", BEFORE)
async def test_whatever_a_released_version_kept_comes_along(empty_url: str, revision: str) -> None:
    await bring(empty_url, revision)
    with psycopg.connect(empty_url) as connection:
        assert rows.fill(connection) == set()
    before = content(empty_url)
    await migrate(empty_url)
    await migrate(empty_url)  # nothing happens twice
    after = content(empty_url)
    assert after.pop("alembic_version") == [{"version_num": schemas()[0]}]
    del before["alembic_version"]
    for table, kept in before.items():
        for row in kept:
            assert any(row.items() <= found.items() if _flat(row) else _same(row, found) for found in after[table]), (
                table,
                row,
            )


def _flat(row: dict[str, Any]) -> bool:
    return all(isinstance(value, str | int | None) for value in row.values())


def _same(row: dict[str, Any], found: dict[str, Any]) -> bool:
    return all(found.get(name) == value for name, value in row.items())


# -- under service -------------------------------------------------------------------------------------------------


async def test_a_migration_gives_way_to_who_holds_a_table_and_is_tried_again(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "LOCK_PATIENCE", "50ms")
    before = "0005"  # what follows it changes the table that is being read
    await bring(empty_url, before)
    with psycopg.connect(empty_url) as reader, psycopg.connect(empty_url, autocommit=True) as other:
        tables = reader.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        every = sql.SQL(", ").join(sql.Identifier(name) for (name,) in tables)
        reader.execute(
            sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(every)
        )  # a long transaction: an export, a back-up
        with pytest.raises(SchemaBusy):
            await migrate(empty_url, tries=2, pause=0.01)
        assert other.execute("SELECT version_num FROM alembic_version").fetchone() == (before,)
        asked = asyncio.create_task(migrate(empty_url, tries=1000, pause=0.01))
        await asyncio.sleep(0.3)
        assert not asked.done()
        reader.rollback()
        await asked
        assert other.execute("SELECT version_num FROM alembic_version").fetchone() == (schemas()[0],)


async def test_an_older_version_goes_on_where_it_may_and_else_says_so(database_url: str) -> None:
    """As the next version will leave it."""
    await migrate(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        serves = "UPDATE facts SET value = to_jsonb(CAST(%s AS text)) WHERE name = 'schema_serves_since'"
        connection.execute(serves, (schemas()[0],))
        await migrate(database_url)
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)
        connection.execute(serves, ("9998",))
        with pytest.raises(SchemaNewer):
            await migrate(database_url)


# What code made for the schema before may meet: anything here ends the time in which both versions may run.
BREAKS = {
    "a table or a column goes": r"DROP\s+(TABLE|COLUMN)",
    "a name changes": r"\bRENAME\b",
    "a type changes": r"ALTER\s+COLUMN\s+\w+\s+(SET\s+DATA\s+)?TYPE",
    "a value becomes necessary": r"SET\s+NOT\s+NULL|ADD\s+COLUMN\s+\w+\s+[^,;]*NOT\s+NULL(?![^,;]*DEFAULT)",
    "rows are refused": r"ADD\s+(CONSTRAINT|CHECK|UNIQUE|FOREIGN|PRIMARY)",
}


def breaks(statements: str) -> set[str]:
    """What of a migration the code before could trip over. Tables that it makes itself do not count."""
    plain = re.sub(r"--[^\n]*", "", statements)
    own = set(re.findall(r"CREATE\s+TABLE\s+(\w+)", plain, re.IGNORECASE))
    found = set()
    for statement in plain.split(";"):
        table = re.search(r"(?:ALTER\s+TABLE|DROP\s+TABLE|\bON)\s+(?:IF\s+EXISTS\s+)?(\w+)", statement, re.IGNORECASE)
        if table and table[1] in own:
            continue
        found |= {what for what, shape in BREAKS.items() if re.search(shape, statement, re.IGNORECASE)}
        if table and re.search(r"CREATE\s+UNIQUE\s+INDEX", statement, re.IGNORECASE):
            found.add("rows are refused")
    return found


@pytest.mark.parametrize("path", sorted(VERSIONS.glob("0*.py")), ids=lambda path: path.stem)
def test_a_migration_says_truly_which_versions_may_run_beside_it(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    revision = path.stem[:4]
    since = re.search(r'^SERVES_SINCE = "(\d+)"', source, re.MULTILINE)
    if since is None or since[1] == revision:
        return  # all other versions are stopped first: the guide says so
    assert breaks(source) == set()


def test_the_rule_sees_what_breaks() -> None:
    assert (
        breaks("ALTER TABLE events ADD COLUMN x int; CREATE TABLE t (a int NOT NULL); ALTER TABLE t RENAME TO u")
        == set()
    )
    assert breaks("ALTER TABLE events ADD COLUMN kept boolean NOT NULL DEFAULT false") == set()
    for statement in (
        "ALTER TABLE events DROP COLUMN x",
        "ALTER TABLE events RENAME COLUMN x TO y",
        "ALTER TABLE events ALTER COLUMN x TYPE text",
        "ALTER TABLE events ADD COLUMN x int NOT NULL",
        "ALTER TABLE events ADD CONSTRAINT c CHECK (x > 0)",
        "CREATE UNIQUE INDEX i ON events (mid)",
    ):
        assert len(breaks(statement)) == 1, statement


# -- the released code itself --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store, the policy and the worker as they were when schema 0004 was released."""
    folder = tmp_path_factory.mktemp("released")
    with tarfile.open(RELEASED / "0004.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    (folder / "worker.py").write_bytes((RELEASED / "worker.py").read_bytes())
    return folder


def statements(folder: Path) -> set[str]:
    """Every whole statement in the store's code, its values numbered."""
    found = set()
    for path in (folder / "bot" / "store").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "text":
                found |= {_numbered(one.value) for one in node.args if isinstance(one, ast.Constant)}
    return found


def _numbered(statement: str) -> str:
    names: dict[str, int] = {}
    return re.sub(r"(?<![:\w]):([a-z_]+)\b", lambda match: f"${names.setdefault(match[1], len(names) + 1)}", statement)


def prepared(url: str, wanted: set[str]) -> set[str]:
    """Those that the schema understands: tables, columns and types are there."""
    good = set()
    with psycopg.connect(url, autocommit=True) as connection:
        for number, statement in enumerate(sorted(wanted)):
            try:
                connection.execute(f"PREPARE s{number} AS {statement}".encode())
                good.add(statement)
            except psycopg.Error:
                continue
    return good


async def test_every_statement_of_the_released_store_is_understood(
    empty_url: str, database_url: str, released: Path
) -> None:
    await bring(empty_url, "0004")
    known = prepared(empty_url, statements(released))
    assert len(known) > 250
    assert known - prepared(database_url, known) == set()


async def test_the_released_worker_and_the_new_one_share_the_work(
    database_url: str, codec: Codec, released: Path, tmp_path: Path
) -> None:
    """Every message is answered once, in its order, whoever takes it."""
    codec.binding.writes = False  # as every process learns where `planton keys bind` was not run yet
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(released), "PYTHONDONTWRITEBYTECODE": "1"}
    old = subprocess.Popen(
        [sys.executable, "worker.py", database_url, KEY, DAY.isoformat()],
        cwd=released,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    guard = threading.Timer(300, old.kill)
    guard.start()
    try:
        assert old.stdout is not None
        assert await asyncio.to_thread(old.stdout.readline) == "ready\n"
        async with running(database_url, codec, tmp_path, store_timeout=60) as system:
            system.engine.slow = 0.5  # the other one has time to take the next
            system.worker._deps = replace(system.worker._deps, parallel=1)
            for number in range(2):
                said = [system.message(f"p{person}", f"plainte {number}") for person in range(6)]
                assert await system.post(system.body(*said)) == 200
                await system.settled(120)
            old.send_signal(signal.SIGTERM)
            taken, complained = await asyncio.to_thread(old.communicate)
            answered = await system.rows("""
                SELECT c.person, count(*) AS n, array_agg(DISTINCT e.disposition) AS how,
                    (SELECT count(*) FROM outbox o WHERE o.conversation_id = c.id AND o.status = 'sent') AS replies
                FROM events e JOIN conversations c ON c.id = e.conversation_id WHERE e.kind = 'text'
                GROUP BY c.id, c.person ORDER BY 1
            """)
            ours = len(system.engine.calls)
    finally:
        guard.cancel()
        old.kill()
        old.wait()
    assert complained == "no danger score in models/: run planton train\n"  # there is no model in the archive
    assert int(taken) > 0 and ours > 0 and int(taken) + ours == 12, (taken, ours)
    found = [(row.person, row.n, row.how, row.replies) for row in answered]
    assert found == [(f"p{n}", 2, ["answered"], 2) for n in range(6)]
