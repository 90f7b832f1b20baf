"""The catalogue of questions in a conversation's page: the answer that is proposed, one key to take it, the search, phones."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from bot.store.codec import Codec
from bot.store.db import Database
from tests.browser.conftest import by_day
from tests.browser.helpers import NAMES, accessible, enter, live, part, picture, someone, taken
from tests.fakes.catalogue import search
from tests.fakes.console import RunningConsole, running_console
from tests.fakes.engine import ScriptedEngine

ABROAD = "Allez à l’ambassade ou au consulat."
HEIGHT = "Non, aucune taille minimale n’est exigée."


@pytest.fixture
async def console(
    browser: Browser, database: Database, database_url: str, codec: Codec
) -> AsyncIterator[RunningConsole]:
    """As the others', with a catalogue and an engine that finds its questions."""
    engine = ScriptedEngine()
    engine.questions = {"procuration": (("procuration/etranger", 0.38), ("procuration/en_ligne", 0.3))}
    async with running_console(database, database_url, codec, by_day(), engine=engine, catalogue=search) as started:
        await started.user(NAMES["agent"])
        yield started
        await part(browser)


async def test_an_answer_is_taken_by_one_key_and_another_is_found_by_its_words(
    page: Page, console: RunningConsole
) -> None:
    agent = await enter(page, console)
    number = await console.waiting(said="procuration depuis le Canada ?", name="Nadia Belkacem")
    await taken(agent, console, number)
    composer, bar = agent.get_by_test_id("composer"), agent.get_by_test_id("suggestion")
    # The nearest question is proposed; another near one can be looked at in its place.
    await expect(bar).to_contain_text("réponse du catalogue (38\u00a0%)\u00a0: Comment voter par procuration depuis")
    await expect(bar).to_contain_text(ABROAD)
    await picture(agent, "catalogue-suggestion")
    await accessible(agent)
    await agent.get_by_test_id("suggestion-others").get_by_role("button", name="En ligne").click()
    await expect(bar).to_contain_text("maprocuration.gouv.fr")
    await expect(bar).to_contain_text("Procuration de vote\u202f: https://www.service-public.gouv.fr")
    await agent.get_by_test_id("suggestion-others").get_by_role("button", name="Depuis l’étranger").press("Enter")
    await composer.press("Escape")
    await agent.keyboard.press("s")
    await expect(composer).to_have_value(ABROAD)
    await expect(bar).to_be_hidden()
    # Any other by a few words, without the mouse: below what stands there.
    await composer.press("Escape")
    await agent.keyboard.press("q")
    words, options = agent.get_by_test_id("catalogue-words"), agent.get_by_test_id("catalogue-option")
    await expect(words).to_be_focused()
    await expect(agent.get_by_test_id("catalogue-told")).to_have_text("5 questions.")
    await words.press_sequentially("PROCU")
    await expect(options).to_have_count(2)
    first = await words.get_attribute("aria-activedescendant")
    await words.press("ArrowDown")
    assert await words.get_attribute("aria-activedescendant") != first
    await picture(agent, "catalogue-search")
    await accessible(agent)
    await words.fill("xylophone")
    await expect(agent.get_by_test_id("catalogue-told")).to_have_text("Aucune question ne contient ces mots.")
    await words.fill("trop petit pour la police")
    await words.press("Enter")  # before the list follows
    await expect(agent.get_by_test_id("catalogue-panel")).to_be_hidden()
    await expect(composer).to_have_value(f"{ABROAD}\n{HEIGHT}")
    await expect(composer).to_be_focused()
    # Escape changes nothing; a click takes as well.
    await agent.get_by_test_id("catalogue-open").click()
    await expect(options.first).to_contain_text("Faut-il une taille minimale")
    await words.press("Escape")
    await expect(agent.get_by_test_id("catalogue-panel")).to_be_hidden()
    await composer.fill("")
    await agent.get_by_test_id("catalogue-open").click()
    await words.fill("igpn")
    await expect(options.first).to_contain_text("IGPN")  # the one that stood there before was alone as well
    await expect(options).to_have_count(1)
    await options.first.click()
    await expect(composer).to_have_value("L’IGPN ne donne pas de délai.")
    assert [m[1] for m in await console.outgoing(number)] == ["system"]  # nothing leaves by itself
    # The table of keys knows them.
    await composer.press("Escape")
    await agent.keyboard.press("?")
    await expect(agent.get_by_test_id("keys-dialog")).to_contain_text("Chercher une réponse dans le catalogue")


@pytest.mark.parametrize(("width", "theme"), [(390, "light"), (768, "dark"), (1920, "light"), (1280, "dark")])
async def test_the_search_fits_every_screen(browser: Browser, console: RunningConsole, width: int, theme: str) -> None:
    number = await console.waiting(said="procuration ?", name="Nadia Belkacem")
    async with someone(browser, console, viewport={"width": width, "height": 800}, color_scheme=theme) as visitor:
        await taken(visitor, console, number)
        await live(visitor)
        await expect(visitor.get_by_test_id("suggestion")).to_be_visible()
        await accessible(visitor)
        await picture(visitor, f"catalogue-suggestion-{width}-{theme}")
        await visitor.get_by_test_id("catalogue-open").click()
        await expect(visitor.get_by_test_id("catalogue-option")).to_have_count(5)
        await expect(visitor.get_by_test_id("catalogue-option").first).to_be_in_viewport()
        await accessible(visitor)
        await picture(visitor, f"catalogue-search-{width}-{theme}")
