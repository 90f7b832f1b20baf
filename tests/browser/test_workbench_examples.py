"""A trainer corrects examples in a real browser, sees what has changed and takes it back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from bot.store.codec import Codec
from bot.store.db import Database
from bot.trainer.corpus import NLU, Corpus
from bot.trainer.project import Project
from tests.browser.conftest import by_day
from tests.browser.helpers import NAMES, accessible, enter, part, picture, someone
from tests.fakes.console import RunningConsole, running_console
from tests.fakes.project import copied

PATH = "/atelier/exemples"
INTENT = "procuration"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The real examples, in a repository of the test's own."""
    return copied(tmp_path / "project", small=True)


@pytest.fixture
async def console(
    browser: Browser, database: Database, database_url: str, codec: Codec, project: Project
) -> AsyncIterator[RunningConsole]:
    """A console that works on those files."""
    async with running_console(database, database_url, codec, by_day(), project=project) as started:
        yield started
        await part(browser)


async def chosen(page: Page, field: str, words: str) -> None:
    """Choose words in a field, as a mouse would."""
    await page.get_by_test_id(field).evaluate(
        """(field, words) => {
            const at = field.value.indexOf(words);
            field.focus();
            field.setSelectionRange(at, at + words.length);
        }""",
        words,
    )


async def test_a_trainer_corrects_examples(browser: Browser, console: RunningConsole, project: Project) -> None:
    before = project.read(NLU)
    async with someone(browser, console, "trainer") as page:
        await page.goto(console.url + PATH)
        await expect(page.get_by_test_id("intent-row").first).to_be_visible()
        await accessible(page)
        await picture(page, "workbench-examples")
        await page.locator(f'a[href="{PATH}/{INTENT}"]').click()
        await page.wait_for_url(f"**{PATH}/{INTENT}")  # loaded: what is typed before the scripts listen is not checked

        # A new example: what is wrong is told while it is typed, words are marked by choosing them.
        new = page.get_by_test_id("example-new")
        await new.fill("je peux donner ma procuration à ma soeur qui vote à Lyon, julie@boite-inventee.fr")
        await expect(page.get_by_test_id("finding").first).to_contain_text("adresse électronique")
        await picture(page, "workbench-example-refused")
        await new.fill("je peux donner ma procuration à ma soeur qui vote à Lyon")
        await chosen(page, "example-new", "Lyon")
        await page.get_by_test_id("example-mark-ville").first.click()
        await expect(new).to_have_value("je peux donner ma procuration à ma soeur qui vote à [Lyon](ville)")
        await page.get_by_test_id("example-add").click()
        await expect(page.get_by_test_id("examples-told")).to_contain_text("ajouté à procuration")
        assert "qui vote à [Lyon](ville)\n" in project.read(NLU)

        # One that stands is opened in its place, by the keyboard, changed and moved.
        row = page.get_by_test_id("example-row").nth(2)
        was = Corpus.read(project).of(INTENT)[2]
        await row.get_by_test_id("example-edit").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_test_id("example-text")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(page.get_by_test_id("example-text")).to_have_count(0)
        await row.get_by_test_id("example-edit").click()
        await expect(page.get_by_test_id("example-text")).to_have_value(was.marked)
        await page.get_by_test_id("example-intent").select_option("animaux")
        await expect(page.locator("li.open [data-findings] .finding").first).to_be_visible()
        await accessible(page)
        await picture(page, "workbench-example-open")
        await page.get_by_test_id("example-save").click()
        await expect(page.get_by_test_id("examples-told")).to_contain_text("déplacé vers animaux")
        await accessible(page)
        await picture(page, "workbench-intent")

        # What has changed, who did it, and back.
        await page.get_by_test_id("workbench-tab-changes").click()
        await expect(page.get_by_test_id("change-line")).to_have_count(3)
        await accessible(page)
        await picture(page, "workbench-changes")
        for left in (1, 0):
            await page.get_by_test_id("change-undo").first.click()
            await expect(page.get_by_test_id("change-line")).to_have_count(left)
        assert project.read(NLU) == before

        # On a phone, in the dark.
        await page.set_viewport_size({"width": 320, "height": 700})
        await page.emulate_media(color_scheme="dark")
        await page.goto(f"{console.url}{PATH}/{INTENT}")
        await page.get_by_test_id("example-edit").nth(1).click()
        await expect(page.get_by_test_id("example-save")).to_be_visible()
        await accessible(page)
        await picture(page, "workbench-intent-phone")
        await page.goto(console.url + PATH)
        await accessible(page)
        await picture(page, "workbench-examples-phone")


async def test_a_file_is_given_up_and_an_intent_created(
    browser: Browser, console: RunningConsole, project: Project
) -> None:
    before = project.read(NLU)
    project.write(NLU, before.replace("      - âge max ?\n", "      âge max ?\n"))
    # A page of one's own: the browser itself notes that the first answer is a 503.
    await console.user(NAMES["trainer"], "trainer")
    async with await browser.new_context(locale="fr-FR", viewport={"width": 1280, "height": 900}) as context:
        page = await enter(await context.new_page(), console, NAMES["trainer"])
        await page.goto(console.url + PATH)
        await expect(page.get_by_test_id("alert")).to_contain_text("il lui manque son tiret")
        await accessible(page)
        await picture(page, "workbench-examples-broken")
        await page.goto(console.url + "/atelier/changements")
        await page.get_by_test_id("change-discard-open").click()
        await page.get_by_test_id("change-confirm").check()
        await accessible(page)
        await picture(page, "workbench-changes-discard")
        await page.get_by_test_id("change-discard").click()
        await expect(page.get_by_test_id("changes-told")).to_contain_text("revenu à sa dernière publication")
        assert project.read(NLU) == before

        # A new intent, from the list.
        await page.goto(console.url + PATH)
        await page.get_by_test_id("intent-new").click()
        await page.get_by_test_id("intent-parent").select_option("armes")
        await page.get_by_test_id("intent-suffix").fill("chasse")
        await page.get_by_test_id("intent-definition").fill("Le permis de chasse et les armes de chasse")
        await page.get_by_test_id("intent-examples").fill(
            "\n".join(f"question de chasse inventée {n}" for n in range(10))
        )
        await accessible(page)
        await picture(page, "workbench-intent-new")
        await page.get_by_test_id("intent-create").click()
        await expect(page.get_by_test_id("intent-told")).to_contain_text("Intention créée.")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Armes · chasse")
        await accessible(page)
        await picture(page, "workbench-intent-created")
