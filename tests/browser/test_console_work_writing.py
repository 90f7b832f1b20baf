"""What helps an agent to write: canned and suggested replies, the count, a lost line, a phone, the keyboard alone."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from bot.core.messages import Platform
from bot.store.codec import Codec
from bot.store.db import Database
from tests.browser.conftest import by_day
from tests.browser.helpers import NAMES, accessible, enter, live, part, picture, someone, taken
from tests.fakes.console import RunningConsole, running_console
from tests.fakes.engine import ScriptedEngine


@pytest.fixture
async def console(
    browser: Browser, database: Database, database_url: str, codec: Codec
) -> AsyncIterator[RunningConsole]:
    """As the others', with an engine to ask for suggestions."""
    async with running_console(database, database_url, codec, by_day(), engine=ScriptedEngine()) as started:
        await started.user(NAMES["agent"])
        yield started
        await part(browser)


async def test_canned_and_suggested_replies(page: Page, console: RunningConsole, browser: Browser) -> None:
    await console.user(NAMES["trainer"], "trainer")
    async with await browser.new_context(locale="fr-FR", viewport={"width": 1280, "height": 900}) as context:
        trainer = await enter(await context.new_page(), console, NAMES["trainer"])
        await trainer.get_by_test_id("nav-canned").click()
        await expect(trainer.get_by_test_id("canned-row").filter(has_text="/igpn")).to_be_visible()
        await picture(trainer, "canned-list")
        await accessible(trainer)
        await trainer.get_by_test_id("canned-new").click()
        await trainer.get_by_test_id("canned-shortcut").fill("dossier")
        await trainer.get_by_test_id("canned-title").fill("Suivi du dossier")
        await trainer.get_by_test_id("canned-body").fill(
            "Bonjour {{prénom}}, c’est {{agent}}. Voyez {{service}}, {{bureau}}."
        )
        await trainer.get_by_test_id("canned-save").click()
        await expect(trainer.get_by_test_id("alert")).to_contain_text("La variable {{bureau}} n’existe pas.")
        await picture(trainer, "canned-form")
        await accessible(trainer)
        await trainer.get_by_test_id("canned-body").fill("Bonjour {{prénom}}, c’est {{agent}}. Voyez {{service}}.")
        await trainer.get_by_test_id("canned-save").click()
        await expect(trainer.get_by_test_id("canned-row").filter(has_text="/dossier")).to_contain_text("Jamais reprise")
        await trainer.set_viewport_size({"width": 320, "height": 640})
        await accessible(trainer)
        await picture(trainer, "canned-phone")
        await trainer.get_by_test_id("canned-edit").first.click()
        await expect(trainer.get_by_test_id("canned-body")).to_be_visible()
        await accessible(trainer)
    agent = await enter(page, console)
    number = await console.waiting(said="mon dossier igpn ?", name="Nadia Belkacem")
    await taken(agent, console, number)
    composer, options = agent.get_by_test_id("composer"), agent.get_by_test_id("canned-option")
    # A suggestion: a click takes it, nothing leaves.
    await expect(agent.get_by_test_id("suggestion")).to_contain_text("Bonjour Nadia, nous sommes désolés")
    await picture(agent, "work-suggestion")
    await accessible(agent)
    await agent.get_by_test_id("suggestion-use").click()
    await expect(composer).to_have_value(re.compile("https://www.defenseurdesdroits.fr"))
    assert [m[1] for m in await console.outgoing(number)] == ["system"]
    # A canned reply by its shortcut: arrows, Escape, Enter.
    await composer.fill("")
    await composer.press_sequentially("/plainte")
    await expect(options).to_have_count(5)
    await expect(composer).to_have_attribute("aria-expanded", "true")
    first = await composer.get_attribute("aria-activedescendant")
    await composer.press("ArrowDown")
    assert await composer.get_attribute("aria-activedescendant") != first
    await picture(agent, "work-canned")
    await accessible(agent)
    await composer.press("Escape")
    await expect(options).to_have_count(0)
    await expect(composer).to_have_value("/plainte")
    # What the button wrote to open the list goes with it; what the agent wrote stays.
    for draft, looked_for in (("", ""), ("Bonjour,", ""), ("Bonjour,", "dos")):
        await composer.fill(draft)
        await agent.get_by_test_id("canned-open").click()
        await agent.keyboard.type(looked_for)
        await expect(options.first).to_be_visible()
        await composer.press("Escape")
        await expect(options).to_have_count(0)
        await expect(composer).to_have_value(draft)
    await agent.get_by_test_id("canned-open").click()
    await expect(options.first).to_be_visible()
    await agent.get_by_test_id("canned-open").click()  # twice: one « / »
    await expect(composer).to_have_value("Bonjour, /")
    await expect(options.first).to_be_visible()
    await agent.locator("h1").first.click()  # away from it
    await expect(composer).to_have_value("Bonjour,")
    await composer.fill("")
    await agent.get_by_test_id("canned-open").click()
    await agent.keyboard.type("dossier")
    await expect(options.first).to_contain_text("/dossier")
    await composer.press("Enter")
    await expect(composer).to_have_value("Bonjour Nadia, c’est Claire Martin. Voyez {{service}}.")
    assert await agent.evaluate("document.getSelection().toString()") == "{{service}}"
    # What is still open blocks the sending, with a word.
    await agent.get_by_test_id("send").click()
    await expect(agent.get_by_test_id("alert")).to_contain_text("Il reste une partie à remplir\u00a0: {{service}}")
    await composer.fill("Bonjour Nadia, c’est Claire Martin. Voyez l’accueil.")
    await agent.get_by_test_id("send").click()
    await expect(agent.locator(".a-agent")).to_contain_text("Voyez l’accueil.")
    used = await console.rows("SELECT shortcut, uses FROM canned_replies WHERE uses > 0")
    assert [tuple(row) for row in used] == [("dossier", 1)]
    assert ("suggestion_used", number) in await console.audit()


async def test_a_long_message_a_lost_line_and_a_phone(page: Page, console: RunningConsole, browser: Browser) -> None:
    agent = await enter(page, console)
    number = await console.says("p1", "slt", platform=Platform.INSTAGRAM)
    await console.hand_off(number)
    await taken(agent, console, number)
    composer, count = agent.get_by_test_id("composer"), agent.get_by_test_id("count")
    # Cut at the ends of sentences, these need one message more than their bytes would.
    sentence = "é" * 300 + ". "
    await composer.fill(sentence * 3)
    await expect(count).to_contain_text("partira en 3\u00a0messages")
    await composer.fill("a" * 10_001)
    await expect(count).to_contain_text("au plus, raccourcissez")
    await agent.get_by_test_id("send").click()
    await expect(agent).to_have_url(f"{console.url}/conversations/{number}")
    assert [m[1] for m in await console.outgoing(number)] == ["system"]
    # The line is lost at the moment of sending: it is said, the words stay, and leave later, once.
    await composer.fill("Nous revenons vers vous.")
    await agent.route("**/brouillon", lambda route: route.abort())
    await agent.get_by_test_id("send").click()
    await expect(agent.locator("#lost")).to_contain_text("votre message n’est pas parti")
    await expect(composer).to_have_value("Nous revenons vers vous.")
    await agent.unroute("**/brouillon")
    await expect(agent.get_by_test_id("send")).to_be_enabled()
    await agent.get_by_test_id("send").dblclick()
    await expect(agent.locator(".a-agent")).to_have_count(1)
    assert [m[3] for m in await console.outgoing(number) if m[1] == "agent"] == ["Nous revenons vers vous."]
    async with someone(browser, console, viewport={"width": 320, "height": 640}) as phone:
        await phone.goto(f"{console.url}/conversations/{number}")
        await live(phone)
        await phone.get_by_test_id("composer").fill("/")
        await expect(phone.get_by_test_id("canned-option").first).to_be_visible()
        await expect(phone.get_by_test_id("send")).to_be_in_viewport()
        await picture(phone, "work-phone")
        await accessible(phone)
        await phone.get_by_test_id("composer").fill("")
        await phone.get_by_test_id("transfer-open").click()
        await picture(phone, "work-phone-transfer")
        await accessible(phone)
