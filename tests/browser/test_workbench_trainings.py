"""A training in a real Chromium: asked for, followed live, then the candidate beside the model in service."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from bot.store.codec import Codec
from bot.store.db import TRAINER, Database, Listener
from bot.trainer.errors import TrainerError
from bot.trainer.project import Project
from bot.trainer.runs import Trainings
from tests.browser.conftest import by_day
from tests.browser.helpers import accessible, live, part, picture, someone
from tests.conftest import of_part
from tests.fakes.console import RunningConsole, running_console
from tests.fakes.project import copied
from tests.fakes.training import Scripted


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Files of the test's own, one of them changed."""
    project = copied(tmp_path / "project", small=True)
    nlu = project.read("data/nlu.yml")
    project.write("data/nlu.yml", nlu.replace("examples: |\n", "examples: |\n      - un exemple de plus\n", 1))
    return project


@pytest.fixture
async def console(
    browser: Browser, database: Database, database_url: str, codec: Codec, project: Project
) -> AsyncIterator[RunningConsole]:
    """A console that works on those files."""
    async with running_console(database, database_url, codec, by_day(), project=project) as running:
        yield running
        await part(browser)


async def test_a_training_is_followed_and_compared(
    browser: Browser, console: RunningConsole, project: Project, database_url: str
) -> None:
    listener = Listener(database_url, (TRAINER,))
    listener.start()

    def role(scripted: Scripted) -> Trainings:
        return Trainings(
            project, of_part(console.database, "trainer"), console.codec, listener, console.clock, scripted
        )

    async with someone(browser, console, "trainer") as page:
        await page.goto(f"{console.url}/atelier/essais")
        await expect(page.get_by_test_id("empty")).to_be_visible()
        await page.keyboard.press("t")
        await expect(page.get_by_test_id("training-ask")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_test_id("training-state")).to_contain_text("En attente")
        await live(page)

        scripted = Scripted(hold=threading.Event())
        doing = asyncio.create_task(role(scripted).take())
        state = page.get_by_test_id("training-state")
        await expect(state).to_contain_text("Apprentissage des intentions")
        await expect(state).to_contain_text(re.compile(r"encore environ \d+"))
        await expect(page.get_by_role("progressbar")).to_be_visible()
        await accessible(page)
        await picture(page, "workbench-training-live")
        assert scripted.hold is not None
        scripted.hold.set()
        assert await doing

        await expect(page.get_by_test_id("training-summary")).to_be_visible()  # without a reload by hand
        await expect(page.get_by_test_id("training-verdict")).to_contain_text("c’est un recul")
        await expect(page.get_by_test_id("training-plainly")).to_contain_text("moins bon qu’avant, de")
        await expect(page.get_by_test_id("training-judgement")).to_have_count(9)
        await page.get_by_text("Ce qui a changé dans les fichiers").click()
        await expect(page.get_by_test_id("training-diff")).to_contain_text("+      - un exemple de plus")
        await expect(page.get_by_test_id("training-answer-figures")).to_contain_text("Réponse à une autre question")
        await page.get_by_text("Messages : moins bien, 12").click()
        await expect(page.get_by_test_id("training-answer-loss").first).to_contain_text("Faire sa procuration en ligne")
        await expect(page.get_by_test_id("training-answer-gain")).to_be_hidden()
        await accessible(page)
        await page.set_viewport_size({"width": 1280, "height": 3600})  # the whole page
        await picture(page, "workbench-training")
        await page.set_viewport_size({"width": 1280, "height": 900})

        await page.get_by_role("link", name="Toutes les intentions").click()
        await expect(page.get_by_test_id("training-verdict")).to_contain_text("C’est du bruit")
        await page.get_by_test_id("training-filter-gains").click()
        await expect(page.get_by_test_id("training-judgement").first).to_contain_text("juste")
        await page.set_viewport_size({"width": 1280, "height": 4200})
        await picture(page, "workbench-training-intents")
        await page.emulate_media(color_scheme="dark")
        await page.set_viewport_size({"width": 320, "height": 700})
        await accessible(page)
        await picture(page, "workbench-training-phone")
        await page.set_viewport_size({"width": 1280, "height": 900})
        await page.emulate_media(color_scheme="light")

        await page.goto(f"{console.url}/atelier/essais")
        await page.get_by_test_id("training-ask").click()
        await expect(page.get_by_test_id("training-state")).to_contain_text("En attente")
        await live(page)
        wrong = TrainerError(
            "data/rules.yml et data/stories.yml se contredisent : règle « armes ».", "Corrigez l’un ou l’autre."
        )
        await role(Scripted(raises=wrong)).take()
        await expect(page.get_by_test_id("training-failure")).to_contain_text("Corrigez l’un ou l’autre")
        await page.goto(f"{console.url}/atelier/essais")
        await expect(page.get_by_test_id("training-row")).to_have_count(2)
        await accessible(page)
        await picture(page, "workbench-trainings")
    await listener.close()
