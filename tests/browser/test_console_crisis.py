"""A crisis from its message to the last reply: an agent, a validator, an administrator and many citizens at once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from playwright.async_api import Browser, Page, expect

from bot.store.codec import Codec
from bot.store.db import Database
from tests.browser.conftest import by_day
from tests.browser.helpers import NAMES, accessible, enter, live, part, picture, someone
from tests.fakes.console import RunningConsole, running_console
from tests.scenario.system import System

MESSAGE = (
    "Une attaque est en cours à Paris. Restez à l’abri et suivez nos consignes. En danger : 17 ou 112, SMS au 114."
)
REPLY = "Le quartier de la République est fermé. Les informations sûres sont publiées par la préfecture de police."
ASKED = "Que se passe-t-il à Paris ? Y a-t-il des blessés ?"
ALIKE = (
    ASKED,
    "que se passe t il a paris, y a til des blessés",
    ASKED.upper(),
    ASKED + " SVP",
    "😱 " + ASKED,
    "Que se passe t’il à Paris ?? Y a t’il des blessés ??",
    "que ce passe-t-il à paris ? y a-t-il des blessés ?",
)
PEOPLE = [f"410{i}" for i in range(len(ALIKE))]
COMPLAINT, DANGER, TAKEN, AGAIN = "4200", "4300", "4400", "4500"


@pytest.fixture
async def console(
    browser: Browser, database: Database, database_url: str, codec: Codec
) -> AsyncIterator[RunningConsole]:
    """A console that answers one person of a group a second, so that there is a middle in which to stop."""
    async with running_console(database, database_url, codec, by_day(), pace=1) as started:
        await started.user(NAMES["agent"])
        yield started
        await part(browser)


async def test_a_crisis_from_its_message_to_the_last_reply(
    agent: Page, console: RunningConsole, browser: Browser, citizen: System
) -> None:
    async with someone(browser, console, "validator") as denis, someone(browser, console, "administrator") as alix:
        await _opens(agent, denis, alix, console)
        await citizen.say(DANGER, "au secours il a un couteau il est devant ma porte")
        for person, words in zip(PEOPLE, ALIKE, strict=True):
            await citizen.say(person, words)
        for person in (TAKEN, AGAIN):
            await citizen.say(person, ASKED)
        await citizen.say(COMPLAINT, ASKED + " igpn")
        await citizen.settled()
        [first] = citizen.graph.texts(DANGER)
        assert "17" in first
        assert MESSAGE not in first
        for person in (*PEOPLE, TAKEN, AGAIN):
            assert citizen.graph.texts(person) == [MESSAGE]
        # The group shows by itself, the danger is not in it, and what looks alike but complains waits to be read.
        group = alix.get_by_test_id("crisis-group")
        # Whoever of them was read first gave the group its words.
        await expect(group).to_contain_text(re.compile("passe.t.il . paris", re.IGNORECASE))
        await expect(group.locator("dd").first).to_have_text(str(len(PEOPLE) + 2))
        await expect(alix.get_by_test_id("crisis-told")).to_have_text(str(len(PEOPLE) + 3))
        await picture(alix, "crisis-open")
        await accessible(alix)
        await _reviews(agent, denis, alix, console)
        await citizen.say(AGAIN, "Je cherche surtout le numéro pour les familles, mon frère y était")
        taken = (await console.rows("SELECT id FROM conversations WHERE person = :p", p=TAKEN))[0].id
        await agent.goto(f"{console.url}/conversations/{taken}")
        await agent.get_by_test_id("take").click()
        await expect(agent.get_by_test_id("composer")).to_be_visible()
        await _sends_and_stops(alix, console, citizen)
        await _goes_on(alix, citizen)
        for person in PEOPLE:
            assert citizen.graph.texts(person) == [MESSAGE, REPLY]
        for person in (TAKEN, AGAIN, COMPLAINT, DANGER):
            assert REPLY not in citizen.graph.texts(person)
        await _closes(agent, alix, console)
        await citizen.say("4600", ASKED)
        await citizen.settled()
        assert MESSAGE not in citizen.graph.texts("4600")


async def _opens(agent: Page, denis: Page, alix: Page, console: RunningConsole) -> None:
    """The agent writes, the validator validates, the administrator opens; each sees it without reloading."""
    await expect(agent.get_by_test_id("crisis-banner")).to_be_hidden()
    async with agent.context.expect_page() as opening:  # the queue stays open beside it
        await agent.evaluate("window.open('/crise')")
    writing = await opening.value
    await denis.goto(f"{console.url}/crise")
    await alix.goto(f"{console.url}/crise")
    await expect(alix.get_by_test_id("crisis-state")).to_have_text("Mode crise fermé")
    await picture(alix, "crisis-closed")
    await accessible(alix)
    await writing.get_by_test_id("crisis-message").fill(MESSAGE)
    await writing.get_by_test_id("crisis-write").press("Enter")
    await expect(writing.get_by_test_id("crisis-prepared")).to_have_text(MESSAGE)
    await expect(writing.get_by_test_id("crisis-validate")).to_have_count(0)
    await writing.close()
    await expect(alix.get_by_test_id("crisis-prepared")).to_have_text(MESSAGE)
    await expect(alix.get_by_test_id("crisis-opening")).to_have_count(0)
    await denis.get_by_test_id("crisis-validate").click()
    await expect(alix.get_by_test_id("crisis-open")).to_be_hidden()
    await alix.get_by_test_id("crisis-opening").focus()
    await alix.keyboard.press("Enter")  # asks first, and says what will happen
    confirm = alix.get_by_test_id("crisis-confirm")
    for said in (MESSAGE, "Conversations concernées", "Ce qui est retenu", "les urgences"):
        await expect(confirm).to_contain_text(said)
    await expect(alix.get_by_test_id("crisis-state")).to_have_text("Mode crise fermé")
    await picture(alix, "crisis-confirm")
    await accessible(alix)
    await alix.get_by_test_id("crisis-open").focus()
    await alix.keyboard.press("Enter")
    await expect(alix.get_by_test_id("crisis-state")).to_have_text("Mode crise ouvert")
    await expect(agent.get_by_test_id("crisis-banner")).to_contain_text("Mode crise ouvert")
    await picture(agent, "crisis-banner")
    await accessible(agent)


async def _reviews(agent: Page, denis: Page, alix: Page, console: RunningConsole) -> None:
    """The agent reads the group and writes one reply; the validator agrees; the administrator sees both happen."""
    await alix.get_by_test_id("crisis-group").get_by_role("link").click()
    await expect(alix.get_by_test_id("group-member")).to_have_count(len(PEOPLE) + 3)
    await agent.goto(alix.url)
    await agent.get_by_test_id("filter-a-examiner").click()
    await expect(agent.get_by_test_id("group-member")).to_contain_text("igpn")
    await expect(agent.get_by_test_id("group-member")).to_contain_text("message sensible")
    await picture(agent, "crisis-held")
    await agent.get_by_test_id("group-reply").fill(REPLY)
    await agent.get_by_test_id("group-write").click()
    await expect(agent.get_by_test_id("group-validate")).to_have_count(0)
    await expect(alix.get_by_test_id("group-text")).to_have_text(REPLY)
    await denis.goto(alix.url)
    await denis.get_by_test_id("group-validate").click()
    await expect(alix.get_by_test_id("group-start")).to_have_text(f"Envoyer à {len(PEOPLE) + 2}\u00a0personnes")
    await picture(alix, "crisis-group")
    await accessible(alix)


async def _sends_and_stops(alix: Page, console: RunningConsole, citizen: System) -> None:
    """Some have the reply when the administrator stops; nobody else gets it, and the page says how many did not."""
    await alix.get_by_test_id("group-start").click()
    async with asyncio.timeout(60):
        while not _reached(citizen):
            await asyncio.sleep(0.02)
    await _paused(
        console, console.clock.now() + timedelta(hours=1)
    )  # Meta has the page wait: there is a middle in which to stop
    held = "SELECT 1 FROM outbox WHERE status = 'queued' AND (lease_until IS NULL OR lease_until < clock_timestamp())"
    async with asyncio.timeout(60):  # the next one has its turn, and waits; one that was leaving already does not count
        while not await console.rows(held):
            await asyncio.sleep(0.02)
    await expect(alix.get_by_test_id("group-progress")).to_have_text(re.compile(r"[1-9] sur"))
    await alix.get_by_test_id("group-stop").click()
    await expect(alix.get_by_test_id("group-state")).to_have_text("Envoi arrêté")
    await _paused(console, None)
    await citizen.settled()
    reached = _reached(citizen)
    assert 1 <= reached < len(PEOPLE)
    await expect(alix.get_by_test_id("group-progress")).to_have_text(f"{reached} sur {len(PEOPLE)}")
    await expect(alix.get_by_test_id("group-counts")).to_contain_text("Réponse retirée avant son envoi")
    await picture(alix, "crisis-stopped")
    await alix.wait_for_timeout(1500)  # longer than the pace: nothing more leaves
    assert _reached(citizen) == reached


def _reached(citizen: System) -> int:
    """How many people have the group's reply."""
    return sum(REPLY in citizen.graph.texts(person) for person in PEOPLE)


async def _paused(console: RunningConsole, until: datetime | None) -> None:
    """By the clock of the senders, which here is not the machine's."""
    await console.execute(
        "INSERT INTO accounts (account, paused_until) SELECT account, CAST(:until AS timestamptz) FROM conversations "
        "GROUP BY account ON CONFLICT (account) DO UPDATE SET paused_until = excluded.paused_until",
        until=until,
    )


async def _goes_on(alix: Page, citizen: System) -> None:
    """The rest is answered, and those who may not be are counted by reason."""
    await alix.get_by_test_id("group-start").click()
    await expect(alix.get_by_test_id("group-state")).to_have_text("Envoyée", timeout=240_000)
    await citizen.settled()
    counts = alix.get_by_test_id("group-counts")
    await expect(counts).to_contain_text("Laissé à la file\u00a0: suivi par un agent")
    await expect(counts).to_contain_text("a écrit depuis")
    await expect(counts).to_contain_text("À examiner avant tout envoi\u00a0: message sensible")
    await expect(alix.get_by_test_id("group-progress")).to_have_text(f"{len(PEOPLE)} sur {len(PEOPLE)}")
    await picture(alix, "crisis-sent")
    for width, scheme in ((1280, "dark"), (320, "light")):
        await alix.set_viewport_size({"width": width, "height": 800})
        await alix.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        await alix.wait_for_function("() => document.documentElement.scrollWidth <= window.innerWidth")  # anew
        await picture(alix, f"crisis-group-{scheme}-{width}")
        await accessible(alix)


async def _closes(agent: Page, alix: Page, console: RunningConsole) -> None:
    """The banner goes from every page by itself."""
    await alix.goto(f"{console.url}/crise")
    await accessible(alix)
    await picture(alix, "crisis-phone")
    await alix.get_by_test_id("crisis-closing").click()
    await alix.get_by_test_id("crisis-close").click()
    await expect(alix.get_by_test_id("crisis-state")).to_have_text("Mode crise fermé")
    await expect(agent.get_by_test_id("crisis-banner")).to_be_hidden()


async def test_after_a_refusal_the_page_stays_live_and_keeps_the_words(page: Page, console: RunningConsole) -> None:
    await enter(page, console)
    await page.goto(f"{console.url}/crise")
    await page.get_by_test_id("crisis-message").fill("é" * 700)
    await page.get_by_test_id("crisis-write").click()
    await expect(page.get_by_test_id("alert")).to_contain_text("trop long")
    await live(page)
    async with page.expect_response(lambda answer: "/crise" in answer.url) as asking:
        await page.evaluate("planton.refresh()")  # as on any news
    assert (await asking.value).status == 200
    await page.reload()
    await expect(page.get_by_test_id("alert")).to_have_count(0)
    await expect(page.get_by_test_id("crisis-message")).to_have_value("é" * 700)
