"""A trainer edits a reply in a real Chromium: the list, both phones, bytes while typing, spaces, source, conflict, undo."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from bot.store.codec import Codec
from bot.store.db import Database
from bot.trainer.project import Project
from bot.trainer.replies import Replies
from tests.browser.conftest import by_day
from tests.browser.helpers import NAMES, accessible, enter, part, picture, someone
from tests.fakes.console import RunningConsole, running_console
from tests.fakes.project import copied

NAME = "utter_permis_points"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Files of the test's own, one reply's source checked long ago."""
    made = copied(tmp_path / "project")
    block = Replies.read(made).responses["utter_armes"].block
    text = made.read("domain.yml").replace(block, block.replace("checked: null", "checked: 2024-03-02"))
    made.write("domain.yml", text)
    return made


@pytest.fixture
async def console(
    database: Database, database_url: str, codec: Codec, browser: Browser, project: Project
) -> AsyncIterator[RunningConsole]:
    """A console that works on those files."""
    async with running_console(database, database_url, codec, by_day(), project=project) as running:
        yield running
        await part(browser)


async def narrow(page: Page, name: str) -> None:
    """The page on a small phone, in the dark."""
    await page.emulate_media(color_scheme="dark")
    await page.set_viewport_size({"width": 320, "height": 800})
    await accessible(page)
    await picture(page, name)
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size({"width": 1280, "height": 900})


async def test_a_trainer_edits_a_reply(page: Page, console: RunningConsole, browser: Browser, project: Project) -> None:
    wrong: list[str] = []  # but for the refusals, which the browser calls an error
    page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    await console.user(NAMES["trainer"], "trainer")
    await enter(page, console, NAMES["trainer"])
    await page.goto(f"{console.url}/atelier/reponses")
    await expect(page.get_by_test_id("reply-row")).to_have_count(40)
    await accessible(page)
    await picture(page, "workbench-reponses")
    await narrow(page, "workbench-reponses-etroit")
    await page.get_by_test_id("replies-filter-anciennes").click()
    await expect(page.get_by_test_id("reply-row")).to_have_count(1)
    await page.get_by_test_id("reply-checked").click()
    await expect(page.get_by_test_id("replies-told")).to_contain_text("utter_armes")
    await expect(page.get_by_test_id("empty")).to_be_visible()

    await page.get_by_test_id("replies-search").fill("solde de points")
    await page.get_by_test_id("replies-search").press("Enter")
    await page.get_by_test_id("replies-filter-toutes").click()
    await page.get_by_role("link", name=NAME, exact=True).click()
    await expect(page.get_by_test_id("phone-messenger")).to_contain_text("mespoints.permisdeconduire.gouv.fr")
    await expect(page.get_by_test_id("phone-instagram")).to_contain_text("octets")
    await expect(page.get_by_test_id("reply-fine")).to_be_visible()
    await accessible(page)
    await picture(page, "workbench-reponse")

    # Typed: bytes at once, phones and rules a moment later.
    text = page.get_by_test_id("reply-text")
    before = await text.input_value()
    await text.fill("é" * 510)
    await expect(page.get_by_test_id("reply-bytes")).to_have_text("1020 / 1000 octets")
    await expect(page.get_by_test_id("phone-instagram")).to_contain_text("coupé en 2 messages")
    await expect(page.get_by_test_id("phone-messenger")).not_to_contain_text("coupé")
    await expect(page.get_by_test_id("reply-error").first).to_contain_text("20\u00a0de trop")
    await page.get_by_test_id("reply-save").click()
    await expect(page.get_by_test_id("alert")).to_contain_text("de trop")
    await expect(text).to_have_value("é" * 510)
    await accessible(page)
    await picture(page, "workbench-reponse-refusee")

    # Spaces are set, shown, and then saved; the keyboard alone does it.
    await text.fill(before + "\nBesoin d'aide ? <b>Ici</b> !")
    await expect(page.get_by_test_id("phone-messenger")).to_contain_text("<b>Ici</b>")
    await page.get_by_test_id("reply-typeset").click()
    await expect(page.get_by_test_id("reply-touched")).to_contain_text("3 endroits corrigés")
    await picture(page, "workbench-reponse-espaces")
    await page.get_by_test_id("reply-today").click()
    await page.get_by_test_id("reply-title").last.fill("Vote par procuration")
    await page.get_by_test_id("reply-payload").last.fill("/procuration")
    await expect(page.get_by_test_id("phone-instagram")).to_contain_text("Vote par procuration")
    await expect(page.get_by_test_id("reply-date")).to_have_value(re.compile(r"\d{4}-\d{2}-\d{2}"))
    await page.get_by_test_id("reply-save").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("reply-told")).to_contain_text("Réponse enregistrée")
    saved = Replies.read(project).responses[NAME].variations[0]
    assert saved.text.endswith("Besoin d’aide\u202f? <b>Ici</b>\u202f!")
    assert saved.checked is not None
    assert saved.buttons[-1].payload == "/procuration"
    await narrow(page, "workbench-reponse-etroite")

    # Somebody else was faster: both texts are shown, mine is kept.
    async with someone(browser, console, "trainer", name="Hugo Petit") as other:
        await other.goto(f"{console.url}/atelier/reponses/{NAME}")
        await other.get_by_test_id("reply-text").fill(before + "\nLe texte de Hugo.")
        await other.get_by_test_id("reply-save").click()
        await expect(other.get_by_test_id("reply-told")).to_be_visible()
    await text.fill(before + "\nMon texte.")
    await page.get_by_test_id("reply-save").click()
    await expect(page.get_by_test_id("reply-theirs")).to_contain_text("Le texte de Hugo.")
    await expect(page.get_by_test_id("reply-theirs")).to_contain_text("Hugo Petit")
    await expect(text).to_have_value(before + "\nMon texte.")
    await accessible(page)
    await picture(page, "workbench-reponse-conflit")
    await page.get_by_role("link", name="garder celui-ci").click()
    await page.get_by_test_id("reply-undo").click()
    await expect(page.get_by_test_id("reply-told")).to_contain_text("annulée")
    assert Replies.read(project).responses[NAME].variations[0] == saved

    # A reply with quick replies, as each platform draws them.
    await page.goto(f"{console.url}/atelier/reponses/utter_salutation")
    await expect(page.get_by_test_id("reply-variation")).to_have_count(2)
    await expect(page.get_by_test_id("phone-messenger").first.get_by_role("listitem")).to_have_count(9)
    await picture(page, "workbench-reponse-rapides")
    assert [said for said in wrong if not re.search(r"status of (409|422)", said)] == []
