"""A trainer and the stand-ins of a message: seen, put back, a selection replaced by keyboard, what is left refused one by one."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from bot.core.dialogue import Understanding
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.workbench.readings import NewReading, keep
from bot.trainer.project import Project
from bot.trainer.pseudonyms import pseudonymiser
from tests.browser.conftest import by_day
from tests.browser.helpers import NAMES, accessible, enter, part, picture
from tests.fakes.console import RunningConsole, running_console
from tests.fakes.engine import ScriptedEngine
from tests.fakes.project import copied

SAID = "slt je mappelle karim benali, Manon de la mairie veut pas me croire pour titi, mon tel 06 39 98 27 14"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Files of the test's own."""
    return copied(tmp_path / "project", small=True)


@pytest.fixture
async def console(
    browser: Browser, database: Database, database_url: str, codec: Codec, project: Project
) -> AsyncIterator[RunningConsole]:
    """A console that works on them; what loads with the first message is there."""
    await asyncio.to_thread(pseudonymiser().replace, "Bonjour")
    async with running_console(
        database, database_url, codec, by_day(), engine=ScriptedEngine(), project=project
    ) as started:
        yield started
        await part(browser)


@contextlib.asynccontextmanager
async def _trainer(browser: Browser, console: RunningConsole) -> AsyncIterator[Page]:
    """Logged in; whatever the browser complains of fails the test, but for the form that is refused on purpose."""
    await console.user(NAMES["trainer"], "trainer")
    opened = await browser.new_context(locale="fr-FR", viewport={"width": 1280, "height": 900})
    page, wrong = await opened.new_page(), list[str]()
    page.on("console", lambda told: wrong.append(told.text) if told.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield await enter(page, console, NAMES["trainer"])
    await opened.close()
    assert [text for text in wrong if "status of 422" not in text] == []


async def test_what_is_personal_is_replaced_under_a_trainer_s_eyes(
    browser: Browser, console: RunningConsole, project: Project
) -> None:
    conversation = await console.says("p1", SAID)
    (event,) = await console.rows("SELECT max(id) AS id FROM events WHERE conversation_id = :id", id=conversation)
    understood = Understanding("reclamation_police", 0.41, (("reclamation_police", 0.41), ("plainte_comment", 0.3)))
    async with console.database.begin() as connection:
        now = console.clock.now()
        await keep(connection, console.codec, [NewReading((event.id,), now, SAID, understood, "handoff")], now)

    async with _trainer(browser, console) as page:
        await page.goto(f"{console.url}/atelier/messages/{event.id}")
        box = page.get_by_test_id("inbox-example")
        raw = page.get_by_test_id("pseudonyms-raw")
        await expect(raw).to_have_text(SAID)
        await expect(raw.locator("mark")).to_have_text(["karim benali", "Manon", "06 39 98 27 14"])
        await expect(box).not_to_have_value(re.compile("karim|Manon|27 14"))
        await accessible(page)
        await picture(page, "workbench-pseudonyms")

        # One replacement was wrong: put back, taken again, put back.
        manon = page.get_by_test_id("pseudonyms-one").filter(has_text="Manon")
        button = manon.get_by_test_id("pseudonyms-put-back")
        await button.focus()
        await page.keyboard.press("Enter")
        await expect(box).to_have_value(re.compile(r", Manon de la mairie"))
        await page.keyboard.press("Enter")
        await expect(box).not_to_have_value(re.compile("Manon"))
        await page.keyboard.press("Enter")
        await expect(box).to_have_value(re.compile(r", Manon de la mairie"))

        # A nickname that nothing gave away: selected, F4, its kind, Enter.
        await box.focus()
        await box.evaluate("(box) => box.setSelectionRange(box.value.indexOf('titi'), box.value.indexOf('titi'))")
        for _ in "titi":
            await page.keyboard.press("Shift+ArrowRight")
        await page.keyboard.press("F4")
        await expect(page.get_by_test_id("pseudonyms-kind")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(box).not_to_have_value(re.compile("titi"))
        await picture(page, "workbench-pseudonyms-corrected")

        # What the trainer types back in is refused, piece by piece, and nothing is lost.
        written = await box.input_value()
        await box.fill(written + " ou lea.k@messagerie.example")
        await page.get_by_test_id("inbox-pick-1").click()
        left = page.get_by_test_id("pseudonyms-left")
        await expect(left).to_contain_text("lea.k@messagerie.example")
        boxes = page.get_by_test_id("pseudonyms-allow")
        await expect(boxes).to_have_count(2)
        await expect(boxes.nth(0)).to_be_checked()  # Manon: said not to be personal when she was put back
        await expect(boxes.nth(1)).not_to_be_checked()
        await expect(page.get_by_test_id("inbox-example")).to_have_value(re.compile(r"lea\.k@messagerie\.example"))
        assert project.git("diff", "data/nlu.yml") == ""
        await accessible(page)
        await picture(page, "workbench-pseudonyms-left")

        await page.get_by_test_id("inbox-example").fill(written)
        await page.get_by_test_id("inbox-pick-1").click()
        told = page.get_by_test_id("inbox-told")
        doubt = page.get_by_test_id("alert").filter(has_not_text="donnée personnelle")
        await expect(told.or_(doubt).first).to_be_visible()
        if await told.count() == 0:  # a warning of the checks, which a second press confirms
            await page.get_by_test_id("inbox-pick-1").click()
        await expect(told).to_be_visible()
    added = project.git("diff", "data/nlu.yml")
    assert "Manon de la mairie" in added
    assert not re.search("karim|benali|titi|27 14|messagerie", added)
