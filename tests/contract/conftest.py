"""A console for one test, and people who have logged in to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.core.clock import FrozenClock
from bot.store.codec import Codec
from bot.store.db import Database
from bot.trainer.project import Project
from tests.fakes.console import Browser, RunningConsole, running_console


@pytest.fixture
def wall(frozen_clock: FrozenClock) -> FrozenClock:
    """The clock of sessions."""
    return FrozenClock(frozen_clock.now())


@pytest.fixture
def project() -> Project | None:
    """The trainers' files that `console` works on: a test of the workbench has a fixture of this name with files of its own."""
    return None


@pytest.fixture
async def console(
    database: Database,
    database_url: str,
    codec: Codec,
    frozen_clock: FrozenClock,
    wall: FrozenClock,
    project: Project | None,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[RunningConsole]:
    """A console over a fresh database; its clocks stand still until the test moves them, and it looks at nothing by itself."""
    monkeypatch.setattr("bot.console.queue.LOOK_EVERY", 3600.0)
    monkeypatch.setattr("bot.console.validation.WATCH_EVERY", 3600.0)
    async with running_console(database, database_url, codec, frozen_clock, wall, project=project) as running:
        yield running


@pytest.fixture
async def someone(console: RunningConsole) -> AsyncIterator[Browser]:
    """Somebody before the door."""
    async with Browser(console) as browser:
        yield browser


async def _inside(console: RunningConsole, name: str, role: str) -> Browser:
    await console.user(name, role)
    browser = Browser(console)
    assert (await browser.log_in(name)).status == 303
    return browser


@pytest.fixture
async def claire(console: RunningConsole) -> AsyncIterator[Browser]:
    """An agent who has logged in."""
    async with await _inside(console, "Claire", "agent") as browser:
        yield browser


@pytest.fixture
async def yanis(console: RunningConsole) -> AsyncIterator[Browser]:
    """Another agent."""
    async with await _inside(console, "Yanis", "agent") as browser:
        yield browser


@pytest.fixture
async def trainer(console: RunningConsole) -> AsyncIterator[Browser]:
    """A trainer who has logged in."""
    async with await _inside(console, "Inès", "trainer") as browser:
        yield browser


@pytest.fixture
async def denis(console: RunningConsole) -> AsyncIterator[Browser]:
    """A validator, head of service."""
    async with await _inside(console, "Denis", "validator") as browser:
        await console.execute("UPDATE users SET validation_level = 'service' WHERE name = 'Denis'")
        yield browser


@pytest.fixture
async def alix(console: RunningConsole) -> AsyncIterator[Browser]:
    """An administrator."""
    async with await _inside(console, "Alix", "administrator") as browser:
        yield browser


@pytest.fixture
async def odile(console: RunningConsole) -> AsyncIterator[Browser]:
    """An auditor."""
    async with await _inside(console, "Odile", "auditor") as browser:
        yield browser
