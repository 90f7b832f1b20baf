"""A real Chromium for the tests of pages: a missing one is a failing test, never a skip."""

from __future__ import annotations

import asyncio
import functools
import inspect
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from bot.core.clock import SystemClock
from bot.store.codec import Codec
from bot.store.db import Database
from tests.browser.helpers import NAMES, WITHOUT_LOOKING_AGAIN, enter, live, part
from tests.fakes.console import RunningConsole, running_console
from tests.scenario.system import System, running

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 900  # seconds, several times what the longest test takes: a browser that never answers fails one test where it hangs
# Nothing leaves the machine, and one process tree is enough.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-gpu-rasterization",  # Debian's chromium asks for it: a graphics card played by the processor
    "--disable-software-rasterizer",
    "--disable-extensions",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """No test of this folder waits for ever."""
    for item in items:
        if isinstance(item, pytest.Function) and Path(__file__).parent in item.path.parents:
            item.obj = bounded(item.obj)


def bounded(test: Callable[..., Any]) -> Callable[..., Any]:
    """The same test, which ends after LONGEST."""
    if not inspect.iscoroutinefunction(test):
        return test

    @functools.wraps(test)
    async def ends(*arguments: Any, **named: Any) -> None:
        async with asyncio.timeout(LONGEST):
            await test(*arguments, **named)

    return ends


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Where Chromium is; installed by apt when we are root and it is missing."""
    found = subprocess.run(["sh", "scripts/chromium.sh"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr.strip()
    return found.stdout.strip()


@pytest.fixture
def _function_scoped_runner(_session_scoped_runner: asyncio.Runner) -> asyncio.Runner:
    """What pytest-asyncio runs a test and its fixtures in: one event loop for all of them, since the browser is bound to it."""
    return _session_scoped_runner


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def launched(chromium_path: str) -> AsyncIterator[Callable[[], Awaitable[Browser]]]:
    """Gives the browser of all tests of this folder: to start one takes two seconds of the processor. If one died, another."""
    opened: list[Browser] = []
    async with async_playwright() as playwright:

        async def living() -> Browser:
            if not opened or not opened[-1].is_connected():
                opened.append(await playwright.chromium.launch(executable_path=chromium_path, args=list(ARGUMENTS)))
            return opened[-1]

        yield living
        for browser in opened:
            await browser.close()


@pytest.fixture
async def browser(launched: Callable[[], Awaitable[Browser]]) -> AsyncIterator[Browser]:
    """A browser without anybody in it: what a test leaves (cookies, storage, pages) goes with its contexts."""
    opened = await launched()
    yield opened
    await part(opened)


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A French-speaking person's page; any error that its scripts raise fails the test."""
    context = await browser.new_context(
        locale="fr-FR", timezone_id="Europe/Paris", viewport={"width": 1280, "height": 900}
    )
    await context.add_init_script(WITHOUT_LOOKING_AGAIN)
    opened = await context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    await context.close()
    assert not errors, errors


def by_day() -> SystemClock:
    """A running clock that begins today at 10:00 UTC, so that no test meets the night."""
    now = datetime.now(timezone.utc)
    return SystemClock(now.replace(hour=10, minute=0, second=0, microsecond=0) - now)


@pytest.fixture
async def console(
    browser: Browser, database: Database, database_url: str, codec: Codec
) -> AsyncIterator[RunningConsole]:
    """A console over a fresh database, with one agent's account."""
    async with running_console(database, database_url, codec, by_day()) as started:
        await started.user(NAMES["agent"])
        yield started
        await part(browser)


@pytest.fixture
async def agent(page: Page, console: RunningConsole) -> AsyncIterator[Page]:
    """An agent's page; what the browser refuses (a script, a style, a picture) fails the test."""
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    await enter(page, console)
    await live(page)
    yield page
    assert wrong == []


@pytest.fixture
async def citizen(console: RunningConsole, database_url: str, codec: Codec, tmp_path: Path) -> AsyncIterator[System]:
    """Gateway, worker and sender beside the console: `say` posts a signed webhook, as Meta would."""
    async with running(database_url, codec, tmp_path, at=console.clock.now()) as system:
        yield system
