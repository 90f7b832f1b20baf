"""The page of checks as a trainer meets it: the run that fills the page by itself, filters, the way to the example."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from bot.store.codec import Codec
from bot.store.db import Database
from bot.trainer.corpus import NLU
from bot.trainer.project import Project
from tests.browser.conftest import by_day
from tests.browser.helpers import accessible, part, picture, someone
from tests.fakes.console import running_console
from tests.fakes.project import copied, thin

PATH = "/atelier/verifications"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Little of the real one, since all of it is read twice here, by Rasa too; with a fault of several families."""
    project = thin(copied(tmp_path / "project"))
    text = project.read(NLU)
    phone = "      - mon numéro c’est le 06 12 34 56 78 pour le chien\n"
    text = under(text, "animaux", phone + "      - UN LYNX TRAVERSE MA COUR\n      - un lynx traverse ma cour !\n")
    text = under(text, "procuration", "      - voter pour [mamie](personne) dimanche\n")
    text = text.replace("- lookup: corps\n    examples: |\n", "- lookup: corps\n    examples: |\n      - passeport\n")
    project.write(NLU, text)
    rules = project.read("data/rules.yml")
    project.write(
        "data/rules.yml", rules + "\n- rule: encore\n  steps:\n  - intent: animaux\n  - action: action_clarify\n"
    )
    return project


def under(text: str, intent: str, lines: str) -> str:
    """More examples of an intent."""
    head = f"  - intent: {intent}\n    examples: |\n"
    assert head in text
    return text.replace(head, head + lines)


async def test_a_trainer_reads_the_findings_and_goes_to_the_example(
    browser: Browser, database: Database, database_url: str, codec: Codec, project: Project
) -> None:
    async with (
        running_console(database, database_url, codec, by_day(), project=project) as console,
        someone(browser, console, "trainer") as page,
    ):
        await page.goto(console.url + PATH)
        # Nobody reloads: the page hears that the run has ended.
        await expect(page.get_by_test_id("checks-when")).to_be_visible(timeout=240_000)
        await expect(page.get_by_test_id("checks-state")).not_to_contain_text("en cours", timeout=240_000)
        families = page.get_by_test_id("checks-family")
        for name in ("Données personnelles", "Doublons et ressemblances", "Listes de mots", "Règles et histoires"):
            await expect(families.filter(has=page.get_by_role("heading", name=name))).to_be_visible()
        await expect(families.first.get_by_test_id("checks-row").first).to_contain_text("Erreur")
        await accessible(page)
        await picture(page, "workbench-checks")
        await narrow(page)

        await page.get_by_test_id("filter-gravite").select_option("avertissements")
        await page.get_by_test_id("filter-apply").click()
        await expect(page).to_have_url(re.compile("gravite=avertissements"))
        await expect(page.get_by_test_id("checks-row").filter(has_text="Erreur")).to_have_count(0)
        await page.get_by_test_id("filter-clear").click()

        row = page.get_by_test_id("checks-row").filter(has_text="LYNX")
        await row.get_by_test_id("checks-open").first.click()
        await expect(page).to_have_url(re.compile(r"/atelier/exemples/animaux\?modifier="))
        await expect(page.get_by_text("LYNX").first).to_be_visible()

        put_right(project)
        await page.goto(console.url + PATH)
        await page.get_by_test_id("checks-run").click()
        await expect(page.get_by_test_id("checks-errors")).to_contain_text("0", timeout=240_000)
        await part(browser)


async def narrow(page: Page) -> None:
    """A telephone, and the dark."""
    await page.set_viewport_size({"width": 320, "height": 700})
    await page.emulate_media(color_scheme="dark")
    await accessible(page)
    await picture(page, "workbench-checks-narrow")
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size({"width": 1280, "height": 900})


def put_right(project: Project) -> None:
    """As the last commit has it."""
    project.git("checkout", "--quiet", "--", "data")
