"""A message that arrives while an agent writes is seen, and a reply begun before it leaves only after a second look."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from bot.store.codec import Codec
from bot.store.db import Database
from tests.browser.conftest import by_day
from tests.browser.helpers import NAMES, accessible, enter, live, part, picture, taken
from tests.fakes.console import RunningConsole, running_console
from tests.fakes.engine import ScriptedEngine

SOLVED = "en fait c’est réglé, merci"
# The share of the card, and of the screen, that the thread has.
SHARE = """() => [document.getElementById('fil').clientHeight / document.querySelector('.talk').clientHeight,
    document.getElementById('fil').clientHeight / window.innerHeight]"""


@pytest.fixture
async def console(
    browser: Browser, database: Database, database_url: str, codec: Codec
) -> AsyncIterator[RunningConsole]:
    """As the others', with an engine to ask for suggestions."""
    async with running_console(database, database_url, codec, by_day(), engine=ScriptedEngine()) as started:
        await started.user(NAMES["agent"])
        yield started
        await part(browser)


async def talk(page: Page, console: RunningConsole) -> int:
    """A conversation too long for the screen, taken, with a suggestion."""
    await page.set_viewport_size({"width": 1366, "height": 768})
    await enter(page, console)
    number = await console.says("p1", "bonjour")
    for i in range(12):
        await console.says("p1", f"message {i} d’une conversation qui est longue")
    await console.execute("UPDATE events SET disposition = 'handed_off', settled_at = now()")
    await console.named(number, "Nadia Belkacem")
    await console.says("p1", "mon dossier igpn ?")
    await console.hand_off(number)
    await taken(page, console, number)
    await expect(page.get_by_test_id("suggestion")).to_be_visible()
    return number


async def test_a_message_that_arrives_while_one_writes_is_seen_and_asked_about(
    page: Page, console: RunningConsole
) -> None:
    number = await talk(page, console)
    thread, composer = page.get_by_test_id("thread"), page.get_by_test_id("composer")
    await composer.fill("Bonjour, votre dossier est en cours.\n" * 12)
    await page.get_by_test_id("note-open").click()
    await console.says("p1", SOLVED)
    newest = thread.get_by_text(SOLVED)
    await expect(newest).to_be_in_viewport(ratio=1)
    for mode in ("light", "dark"):
        await page.emulate_media(color_scheme=mode)  # type: ignore[arg-type]
        await accessible(page)
        await picture(page, f"message-arrive-pendant-{mode}")
    card, _ = await page.evaluate(SHARE)
    assert card >= 0.5
    await expect(page.get_by_test_id("send")).to_be_in_viewport(ratio=1)
    await expect(page.get_by_test_id("draft-older")).to_be_visible()

    await composer.press("Control+Enter")
    asks = page.get_by_test_id("send-anyway")
    await expect(asks).to_contain_text(SOLVED)
    await expect(asks).to_contain_text("Envoyer quand même")
    await expect(asks).to_be_in_viewport(ratio=1)
    await expect(newest).to_be_in_viewport(ratio=1)
    await expect(composer).to_be_focused()
    await expect(composer).to_have_value("Bonjour, votre dossier est en cours.\n" * 12)
    assert [m[1] for m in await console.outgoing(number)] == ["system"]
    await live(page)
    for mode, width in (("dark", 390), ("light", 390), ("dark", 1366), ("light", 1366)):
        await page.set_viewport_size({"width": width, "height": 768})
        await page.emulate_media(color_scheme=mode)  # type: ignore[arg-type]
        await accessible(page)
        await picture(page, f"envoyer-quand-meme-{mode}-{width}")
    card, _ = await page.evaluate(SHARE)
    assert card >= 0.5

    # One more arrives while the question stands: it is asked about too.
    await console.says("p1", "vraiment, c’est bon")
    await expect(thread).to_contain_text("vraiment, c’est bon")
    await composer.press("Control+Enter")
    await expect(asks).to_contain_text("vraiment, c’est bon")
    assert [m[1] for m in await console.outgoing(number)] == ["system"]
    await composer.press("Control+Enter")
    await expect(page.locator(".a-agent")).to_contain_text("votre dossier est en cours.")
    assert [m[1] for m in await console.outgoing(number)] == ["system", "agent"]


async def test_a_text_begun_after_the_message_leaves_at_once(page: Page, console: RunningConsole) -> None:
    number = await talk(page, console)
    composer = page.get_by_test_id("composer")
    await composer.fill("Bonjour, votre dossier")
    await console.says("p1", SOLVED)
    await expect(page.get_by_test_id("thread")).to_contain_text(SOLVED)
    await expect(page.get_by_test_id("draft-older")).to_be_visible()
    await composer.fill("")
    await composer.fill("Parfait, bonne journée.")
    await expect(page.get_by_test_id("draft-older")).to_have_count(0)
    await composer.press("Control+Enter")
    await expect(page.locator(".a-agent")).to_contain_text("Parfait, bonne journée.")
    assert [m[3] for m in await console.outgoing(number)][-1] == "Parfait, bonne journée."


async def test_a_draft_that_was_left_and_found_again_is_asked_about_too(page: Page, console: RunningConsole) -> None:
    number = await talk(page, console)
    composer = page.get_by_test_id("composer")
    await composer.fill("Bonjour, votre dossier est en cours.")
    await console.says("p1", SOLVED)
    await expect(page.get_by_test_id("draft-older")).to_be_visible()
    await expect(page.get_by_test_id("draft-state")).to_have_text("Brouillon enregistré.")
    await page.reload()
    await expect(composer).to_have_value("Bonjour, votre dossier est en cours.")
    await expect(page.get_by_test_id("draft-older")).to_be_visible()
    await composer.press("Control+Enter")
    await expect(page.get_by_test_id("send-anyway")).to_contain_text(SOLVED)
    assert [m[1] for m in await console.outgoing(number)] == ["system"]
    await page.get_by_test_id("send").click()
    await expect(page.locator(".a-agent")).to_contain_text("votre dossier est en cours.")


async def test_messages_that_came_above_the_view_are_counted(page: Page, console: RunningConsole) -> None:
    await talk(page, console)
    jump = page.get_by_test_id("jump")
    await page.evaluate("document.getElementById('fil').scrollTop = 0")
    await console.says("p1", SOLVED)
    await expect(jump).to_have_text("1 nouveau message ↓")
    await console.says("p1", "merci encore")
    await expect(jump).to_have_text("2 nouveaux messages ↓")
    await jump.click()
    await expect(page.get_by_test_id("thread").get_by_text("merci encore")).to_be_in_viewport(ratio=1)
    await expect(jump).to_be_hidden()
