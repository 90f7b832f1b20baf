"""Fixtures shared by all tests: a real PostgreSQL for the session, a fresh migrated database for each test."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import functools
import gc
import itertools
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import CodeType, SimpleNamespace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from argon2 import PasswordHasher
from hypothesis import HealthCheck, settings
from jinja2 import Environment, FileSystemBytecodeCache
from psycopg import sql
from sanic import signals
from sanic_routing import route, router, utils
from xdist.scheduler import LoadFileScheduling

from bot.console import render
from bot.core.clock import FrozenClock
from bot.store import passwords
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.embedded import Embedded
from tests.memory import temporary_files

TEMPLATE = "planton_template"
MODELS = re.compile(r"(tests/engine(?=/)|tests/trainer(?=/test_(?:conduct|gate|switch|wall)\.py))")
LONGEST = (
    "test_workbench_story.py",
    "test_launcher_ends.py",
)  # minutes on one worker: begun last, they would end alone
_numbers = itertools.count(1)

# No verdict by the clock, and the same examples at each run: `make fuzz` looks for new ones.
settings.register_profile("planton", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("planton")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Before anybody asks where temporary files go; workers inherit it."""
    if not hasattr(config, "workerinput"):
        stack = contextlib.ExitStack()
        stack.enter_context(temporary_files())
        config.add_cleanup(stack.close)


def pytest_collection_finish() -> None:
    """Modules and tests stay to the end: the garbage collector need not look at them at each of its rounds."""
    gc.collect()
    gc.freeze()


class Files(LoadFileScheduling):
    """A file stays on one worker, and files that share a model, which takes long to load or to train, on the same one."""

    def _split_scope(self, nodeid: str) -> str:
        shared = MODELS.match(nodeid)
        return shared[1] if shared else str(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Files:
    """Called by xdist."""
    return Files(config, log)


@pytest.hookimpl(tryfirst=True)  # before any is deselected
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest begin: models, whole days, then pages; the rest fills up (xdist: --no-loadscope-reorder)."""
    scenarios = Path(__file__).parent / "scenario"
    if stray := {
        item.path for item in items if item.get_closest_marker("alone") and scenarios not in item.path.parents
    }:
        raise pytest.UsageError(f"`make test` looks for tests marked `alone` in tests/scenario only: {stray}")

    def turn(item: pytest.Item) -> int:
        if MODELS.match(item.nodeid):
            return 0
        return 1 if item.path.name in LONGEST else 2 if item.path.parent.name == "browser" else 3

    items.sort(key=turn)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Print the table of faults that a worker hands over."""
    if table := getattr(node, "workeroutput", {}).get("faults"):
        reporter = node.config.pluginmanager.get_plugin("terminalreporter")
        reporter.write_sep("=", "faults")
        reporter.write_line(table)


def url_of(server: str, database: str) -> str:
    """The URI of another database on the same server."""
    return urlunsplit(urlsplit(server)._replace(path=f"/{database}"))


@pytest.fixture(scope="session", autouse=True)
def quick_set_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What every test would pay again: the cost of a password's hash (its real one has a test), compiled templates, compiled
    routes."""
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    compiled = FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASHER", cheap)
        patch.setattr(passwords, "_NOBODY", passwords._nobody(cheap))
        patch.setattr(render, "Environment", functools.partial(Environment, bytecode_cache=compiled))
        patch.setattr(router, "ast", SimpleNamespace(parse=_routes, unparse=_shown, fix_missing_locations=_as_it_is))
        patch.setattr(router, "compile", _as_it_is, raising=False)
        for name, users in {"path_to_parts": (route, router, signals), "parts_to_path": (route, router)}.items():
            once = functools.cache(getattr(utils, name))
            for module in users:
                patch.setattr(module, name, once)
        yield


@functools.cache
def _routes(source: str) -> CodeType:
    """What Sanic's router compiles from a syntax tree; from its source it is the same, and once for equal applications."""
    return compile(source, "", "exec")


def _shown(_: CodeType) -> str:
    """Its source once more, for people who debug a router."""
    return ""


def _as_it_is(code: CodeType, *_: object) -> CodeType:
    return code


QUICK = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "autovacuum": "off",
    "log_line_prefix": "%u@%d ",
}  # for a server whose data may be lost


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """An embedded server that lives as long as the test session, with TEMPLATE in it. Of several workers the first makes its data,
    which takes three seconds, and the others begin with a copy."""
    folder = tmp_path_factory.mktemp("postgres")
    if hasattr(request.config, "workerinput"):
        made = tmp_path_factory.getbasetemp().parent / "postgres"
        made.mkdir(exist_ok=True)
        with (made / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (made / "whole").exists():
                with Embedded(made, QUICK) as server:
                    _make_template(server.url)
                (made / "whole").touch()
        subprocess.run(["cp", "--archive", made / "postgres", folder / "postgres"], check=True)
    with Embedded(folder, QUICK) as server:
        if not hasattr(request.config, "workerinput"):
            _make_template(server.url)
        yield server


def _make_template(server: str) -> None:
    """A migrated, empty database."""
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))

    async def migrate() -> None:
        database = Database(url_of(server, TEMPLATE), size=1)
        await database.migrate()
        await database.close()

    asyncio.run(migrate())


@pytest.fixture(scope="session")
def postgres_url(postgres: Embedded) -> str:
    """Its URI."""
    return postgres.url


def refusals(log: Path, database: str, since: int = 0) -> list[str]:
    """What PostgreSQL refused to parts there, as its log (from that byte on) has it: who asks may have swallowed the error."""
    with log.open(errors="replace") as lines:
        lines.seek(since)
        found = re.findall(rf"^(planton_\w+)@{database} ERROR:  (permission denied .*)$", lines.read(), re.M)
    return sorted({f"{role}: {what}" for role, what in found})


@pytest.fixture(scope="session")
def template_url(postgres_url: str) -> str:
    """The URI of a migrated, empty database; clone it, never write to it."""
    return url_of(postgres_url, TEMPLATE)


def as_part(url: str, part: str) -> str:
    """The URI of the same database for a part (gateway, worker …): under its own PostgreSQL role, as it runs."""
    return url.replace("//planton@", f"//planton_{part}@", 1)


_parts: dict[Database, dict[str, Database]] = {}


def of_part(database: Database, part: str) -> Database:
    """The database of the fixture as a part opens it: what a test runs goes through this, what it arranges and asserts does not."""
    opened = _parts.setdefault(database, {})
    if part not in opened:
        opened[part] = Database(as_part(database.url, part), size=8)
    return opened[part]


async def close_parts(database: Database) -> None:
    """Close what `of_part` opened beside it."""
    for one in _parts.pop(database, {}).values():
        await one.close()


@contextlib.contextmanager
def fresh_database(postgres_url: str) -> Iterator[str]:
    """The URI of a fresh copy of the migrated template, dropped at the end."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        copied = "CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY"  # a quarter of what the default costs here
        admin.execute(sql.SQL(copied).format(sql.Identifier(name), sql.Identifier(TEMPLATE)))
        # What is granted on the database itself does not come with its template.
        admin.execute(sql.SQL("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
        yield url_of(postgres_url, name)
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database_url(request: pytest.FixtureRequest, postgres: Embedded, template_url: str) -> Iterator[str]:
    """The URI of a fresh, migrated database, dropped after the test; in which no part lacked a right (`refused`: a test that is
    about that)."""
    since = postgres.log.stat().st_size
    with fresh_database(postgres.url) as url:
        yield url
    refused = refusals(postgres.log, urlsplit(url).path[1:], since)
    if refused and request.node.get_closest_marker("refused") is None:
        pytest.fail("bot/store/grants.py does not give what a part needs:\n" + "\n".join(refused))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A fresh, migrated database with its pool."""
    opened = Database(database_url, size=8)
    yield opened
    await close_parts(opened)
    await opened.close()


@pytest.fixture
def codec() -> Codec:
    """A codec with a fixed key."""
    return Codec(base64.b64encode(bytes(range(32))).decode())


@pytest.fixture
def frozen_clock() -> FrozenClock:
    """An ordinary winter day at noon, Paris time."""
    return FrozenClock(datetime(2026, 1, 15, 11, 0, tzinfo=timezone.utc))
