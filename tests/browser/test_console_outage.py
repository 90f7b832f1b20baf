"""The engine is out, and every open page says so until it is back, in a real Chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from playwright.async_api import Browser, expect

from bot.console import outage
from bot.store.codec import Codec
from bot.store.db import Database
from tests.browser.conftest import by_day
from tests.browser.helpers import NAMES, accessible, part, picture, someone
from tests.fakes.console import RunningConsole, running_console


class Answers:
    """Whether the engine answers."""

    def __init__(self) -> None:
        self.ready = True

    async def __call__(self) -> bool:
        return self.ready


@pytest.fixture
def engine() -> Answers:
    return Answers()


@pytest.fixture
async def console(
    browser: Browser,
    database: Database,
    database_url: str,
    codec: Codec,
    engine: Answers,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[RunningConsole]:
    """A console that looks at the engine all the time, and has little patience with it."""
    monkeypatch.setattr(outage, "EVERY", 0.05)
    patience = timedelta(milliseconds=1)
    async with running_console(
        database, database_url, codec, by_day(), engine_ready=engine, engine_notice=patience
    ) as started:
        await started.user(NAMES["agent"])
        yield started
        await part(browser)


async def test_open_pages_say_that_the_engine_is_out_until_it_is_back(
    browser: Browser, console: RunningConsole, engine: Answers
) -> None:
    await console.waiting("p1", "bonjour, je cherche un agent", "Zoé Lenoir")
    async with someone(browser, console, "agent") as page:
        banner = page.get_by_test_id("outage-banner")
        await expect(banner).to_be_hidden()
        await expect(banner).to_have_attribute("role", "status")
        engine.ready = False
        await expect(banner).to_contain_text("L’assistant ne répond pas depuis 1")  # this page was open before
        await expect(banner).to_contain_text("Les urgences reconnues à leurs mots")
        await accessible(page)
        await picture(page, "outage")
        await page.emulate_media(color_scheme="dark")
        await page.set_viewport_size({"width": 320, "height": 700})
        await page.goto(f"{console.url}/mon-compte")  # and one that opens now
        await expect(banner).to_be_visible()
        await accessible(page)
        await picture(page, "outage-320")
        engine.ready = True
        await expect(banner).to_be_hidden()
        await expect(banner).to_have_text("")
