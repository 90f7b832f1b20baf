"""A trainer and the catalogue in a real Chromium: a question from a misread message, its answer, its examples, split, joined."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from bot.core.catalogue import read
from bot.store.codec import Codec
from bot.store.db import Database
from bot.trainer.checks import check_all
from bot.trainer.project import Project
from bot.trainer.pseudonyms import pseudonymiser
from tests.browser.conftest import by_day
from tests.browser.helpers import NAMES, accessible, enter, part, picture
from tests.contract.test_workbench_inbox import Desk
from tests.fakes.answered import with_answers
from tests.fakes.checked import clean
from tests.fakes.console import RunningConsole, running_console
from tests.fakes.engine import ScriptedEngine

CAT = "animaux/chat_perdu"
SOURCE = "https://www.service-public.gouv.fr/particuliers/vosdroits/F1"
TEXTS = """ma procuration est valable combien d’années
duree procuration svp
g fait 1 procuration ca dure jusqua kan
procuration valable combien de mois
est-ce qu’une procuration expire
ma mère a rempli sa procuration en mai, elle vaut encore quelque chose ?
validité procuration"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A small project with two questions."""
    return with_answers(clean(tmp_path / "project"))


@pytest.fixture
async def console(
    database: Database, database_url: str, codec: Codec, browser: Browser, project: Project
) -> AsyncIterator[RunningConsole]:
    """A console that works on those files."""
    async with running_console(database, database_url, codec, by_day(), project=project) as running:
        yield running
        await part(browser)


async def looked_at(page: Page, name: str) -> None:
    """The page on a small phone in the dark, on a desk, on a wide screen."""
    for width, scheme in ((390, "dark"), (1920, "light"), (1280, "light")):
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        await page.set_viewport_size({"width": width, "height": 900})
        await accessible(page)
        await picture(page, f"workbench-{name}-{width}")


async def test_a_question_from_a_misread_message(page: Page, console: RunningConsole, project: Project) -> None:
    await console.user(NAMES["trainer"], "trainer")
    desk = Desk(console, project, ScriptedEngine())
    event = await desk.read("c’est Camille Durand, jusqu’à quand vaut ma procuration ?", "procuration", 0.4)
    await asyncio.to_thread(pseudonymiser().replace, "bonjour")  # the French model is read once a process
    await enter(page, console, NAMES["trainer"])
    await page.goto(f"{console.url}/atelier/messages/{event}", timeout=120_000)
    await page.get_by_test_id("inbox-words").wait_for()
    await page.keyboard.press("q")  # the first step

    examples = page.get_by_test_id("question-examples")
    await expect(examples).to_have_value(re.compile("jusqu’à quand vaut ma procuration"))
    first = await examples.input_value()
    assert "Durand" not in first
    await expect(page.get_by_test_id("question-topic")).to_have_value("procuration")
    await looked_at(page, "catalogue-nouvelle")
    await examples.fill(first + "\n" + TEXTS)
    await page.get_by_test_id("question-name").fill("duree")
    await page.get_by_test_id("question-title").fill("Durée d’une procuration sans fin")
    await page.get_by_test_id("question-words").fill("Combien de temps vaut une procuration\u202f?")
    await page.get_by_test_id("question-text").fill("Elle vaut jusqu’à la date que vous choisissez.")
    await page.get_by_test_id("question-source").fill(SOURCE)
    await page.get_by_test_id("question-seen").fill("26/03/2026")
    await page.get_by_test_id("question-review").fill("2028-10-01")
    await page.get_by_test_id("question-create").click()
    await expect(page.get_by_test_id("alert")).to_contain_text("Un bouton en montre 20")
    await page.get_by_test_id("question-title").fill("Durée")
    await page.get_by_test_id("question-create").click()  # the second step
    await expect(page.get_by_test_id("question-told")).to_contain_text("Question créée")
    await expect(page.get_by_test_id("phone-messenger")).to_contain_text("jusqu’à la date")
    assert len(read(project.root).questions["procuration/duree"].examples) == 8
    assert [one for one in check_all(project) if one.is_error and one.file.startswith("data/answers")] == []
    await page.goto(f"{console.url}/atelier")
    await expect(page.get_by_text("jusqu’à quand vaut")).to_have_count(0)  # decided
    await page.goto(f"{console.url}/atelier/changements")
    await expect(page.get_by_test_id("change-file")).to_contain_text("procuration/duree")


async def test_a_question_is_edited_split_and_joined(page: Page, console: RunningConsole, project: Project) -> None:
    wrong: list[str] = []  # but for the refusals, which the browser calls an error
    page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    await console.user(NAMES["trainer"], "trainer")
    await enter(page, console, NAMES["trainer"])
    await page.goto(f"{console.url}/atelier")
    await page.get_by_test_id("workbench-tab-catalogue").click()
    await expect(page.get_by_test_id("catalogue-topic")).to_have_count(1)
    await looked_at(page, "catalogue")
    await page.keyboard.press("/")
    await page.keyboard.type("CAVE disparu")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("catalogue-row")).to_have_count(1)
    await looked_at(page, "catalogue-liste")
    await page.get_by_test_id("catalogue-open").click()
    await expect(page.get_by_test_id("question-fine")).to_be_visible()
    await looked_at(page, "catalogue-question")

    # What is typed is on the phones a moment later; the keyboard alone saves.
    text = page.get_by_test_id("question-text")
    await text.fill("Appelez la mairie, ou le 06 11 22 55 66.")
    await expect(page.get_by_test_id("phone-instagram")).to_contain_text("06 11 22")
    await expect(page.get_by_test_id("question-error")).to_contain_text("06 11 22 55 66")
    await page.get_by_test_id("question-save").click()
    await expect(page.get_by_test_id("alert")).to_contain_text("06 11 22 55 66")
    await expect(text).to_have_value("Appelez la mairie, ou le 06 11 22 55 66.")
    await accessible(page)
    await text.fill("Appelez la mairie.")
    await page.get_by_test_id("question-save").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("question-told")).to_contain_text("enregistrée")

    # An example opens where it stands, and goes to another question.
    await page.get_by_test_id("example-new").fill("minou introuvable depuis le déménagement")
    await page.get_by_test_id("example-add").click()
    await expect(page.get_by_test_id("example-row")).to_have_count(9)
    await page.get_by_test_id("example-edit").filter(has_text="cave").click()
    await expect(page.get_by_test_id("example-text")).to_be_focused()
    await picture(page, "workbench-catalogue-exemple")
    await page.get_by_test_id("example-question").select_option("animaux/morsure")
    await page.get_by_test_id("example-text").fill("mordu à la cave par un chat perdu")
    await page.get_by_test_id("example-save").click()
    await expect(page.get_by_test_id("question-told")).to_contain_text("déplacé")
    await page.get_by_test_id("question-undo").click()
    await expect(page.get_by_test_id("example-row")).to_have_count(9)

    await page.get_by_test_id("question-split").click()
    await page.get_by_test_id("split-example").first.check()
    await page.get_by_test_id("question-name").fill("chat_garage")
    await page.get_by_test_id("question-title").fill("Chat au garage")
    await page.get_by_test_id("question-words").fill("Que faire, chat au garage\u202f?")
    await looked_at(page, "catalogue-separer")
    await page.get_by_test_id("split-more-there").fill(
        "\n".join(f"box fermé {n}" for n in ["a", "b", "c", "d", "e", "f", "g"])
    )
    await page.get_by_test_id("question-split-now").click()
    await expect(page.get_by_test_id("question-told")).to_contain_text("séparée")
    assert len(read(project.root).questions) == 3
    await page.get_by_test_id("question-join").click()
    await looked_at(page, "catalogue-reunir")
    await page.get_by_test_id("join-into").fill(CAT)
    await page.get_by_test_id("question-join-now").click()
    await expect(page.get_by_test_id("question-told")).to_contain_text("réunies")
    assert len(read(project.root).questions) == 2
    assert [said for said in wrong if not re.search(r"status of (409|422)", said)] == []
