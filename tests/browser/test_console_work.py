"""Agents at work in a real Chromium."""

from __future__ import annotations

import asyncio
import re

from playwright.async_api import Browser, Page, Route, expect
from sqlalchemy import text

from bot.core.messages import Platform
from tests.browser.helpers import accessible, enter, picture, taken
from tests.fakes.console import ARRIVES, BACK, RunningConsole


async def test_take_reply_give_back_and_close(agent: Page, console: RunningConsole) -> None:
    first = await console.waiting(name="Nadia B.")
    second = await console.waiting("p2")
    await agent.get_by_test_id("queue-row").filter(has_text="Nadia").click()
    await expect(agent.get_by_test_id("thread")).to_contain_text("je veux parler à un agent")
    await expect(agent.get_by_test_id("composer")).to_have_count(0)
    await agent.get_by_test_id("take").click()
    await expect(agent.get_by_test_id("owner")).to_have_text("Suivie par Claire Martin")
    await expect(agent.get_by_test_id("composer")).to_be_focused()
    await agent.get_by_test_id("composer").fill("Bonjour, je vous aide.")
    await agent.get_by_test_id("send").dblclick()
    await expect(agent.get_by_test_id("thread")).to_contain_text("Bonjour, je vous aide.")
    await expect(agent.get_by_test_id("composer")).to_have_value("")
    assert [m[3] for m in await console.outgoing(first)] == [ARRIVES, "Bonjour, je vous aide."]
    async with console.database.begin() as connection:
        await connection.execute(text("UPDATE outbox SET status = 'sent', read_at = now()"))
        await connection.execute(text("SELECT pg_notify('planton_console', :id)"), {"id": str(first)})
    await expect(agent.locator(".a-agent .state")).to_contain_text("lu à")
    await agent.get_by_test_id("give-back").click()
    await expect(agent).to_have_url(f"{console.url}/file?etat=a-moi")
    assert (await console.outgoing(first))[-1][3] == BACK
    await agent.goto(f"{console.url}/conversations/{second}")
    await agent.get_by_test_id("take").click()
    await agent.get_by_test_id("close").click()
    await expect(agent).to_have_url(f"{console.url}/file")
    assert (await console.conversation(second)).owner == "closed"
    await expect(agent.get_by_test_id("queue-row")).to_have_count(0)


async def test_a_stale_reply_keeps_the_draft_and_is_sent_again(page: Page, console: RunningConsole) -> None:
    async def unheard(route: Route) -> None:
        if "x-planton-live" in route.request.headers:
            await route.fulfill(status=503)
        else:
            await route.continue_()

    await enter(page, console)
    number = await console.waiting()
    here = re.compile(rf"/conversations/{number}(\?|$)")
    await page.route(here, unheard)  # the page does not learn what the person writes
    await taken(page, console, number)
    await page.get_by_test_id("composer").fill("Tout est réglé.")
    await console.says("p1", "il revient, aidez-moi")
    await page.get_by_test_id("send").click()
    await expect(page.get_by_test_id("alert")).to_contain_text("rien n’a été envoyé")
    await expect(page.get_by_test_id("thread")).to_contain_text("il revient, aidez-moi")
    await expect(page.get_by_test_id("composer")).to_have_value("Tout est réglé.")
    await picture(page, "message-arrive")
    await accessible(page)
    await page.unroute(here)
    await expect(page).to_have_url(f"{console.url}/conversations/{number}")
    await console.says("p1", "vite")  # the refused page is live too
    await expect(page.get_by_test_id("thread")).to_contain_text("vite")
    await page.get_by_test_id("send").click()
    await expect(page.get_by_test_id("send-anyway")).to_contain_text("vite")  # asked once more
    await page.get_by_test_id("send").click()
    await expect(page.locator(".a-agent")).to_contain_text("Tout est réglé.")


async def test_what_comes_between_the_press_and_the_sending_makes_it_stale(page: Page, console: RunningConsole) -> None:
    await enter(page, console)
    number = await console.waiting()
    await taken(page, console, number)
    arrived = asyncio.Event()

    async def slow(route: Route) -> None:
        await arrived.wait()
        await route.continue_()

    await page.route(re.compile("/brouillon$"), slow)
    await page.get_by_test_id("composer").fill("Tout est réglé.")
    await page.get_by_test_id("send").click()
    await console.says("p1", "il revient, aidez-moi")
    await expect(page.get_by_test_id("thread")).to_contain_text("il revient, aidez-moi")
    arrived.set()  # the page shows the message by now, but she pressed before
    await expect(page.get_by_test_id("alert")).to_contain_text("rien n’a été envoyé")
    await expect(page.get_by_test_id("composer")).to_have_value("Tout est réglé.")
    assert "Tout est réglé." not in [sent[3] for sent in await console.outgoing(number)]


async def test_another_agent_takes_over_while_one_writes(
    agent: Page, console: RunningConsole, browser: Browser
) -> None:
    number = await console.waiting()
    await taken(agent, console, number)
    await agent.get_by_test_id("composer").fill("J’écrivais")
    await console.user("Yanis Diallo")
    context = await browser.new_context()
    other = await enter(await context.new_page(), console, "Yanis Diallo")
    await other.goto(f"{console.url}/conversations/{number}")
    await expect(other.get_by_test_id("take")).to_have_text("Prendre à la place de Claire Martin")
    await other.get_by_test_id("take").click()
    await other.get_by_test_id("take-over").click()
    await expect(other.get_by_test_id("composer")).to_be_visible()
    await expect(agent.get_by_test_id("owner")).to_have_text("Suivie par Yanis Diallo")
    await expect(agent.locator("#plus-a-moi")).to_contain_text("Votre brouillon est gardé")
    await expect(agent.get_by_test_id("send")).to_be_disabled()
    await expect(agent.get_by_test_id("composer")).to_have_value("J’écrivais")
    await context.close()


async def test_the_count_says_how_many_messages(agent: Page, console: RunningConsole) -> None:
    number = await console.says("p1", "slt", platform=Platform.INSTAGRAM)
    await console.hand_off(number)
    await taken(agent, console, number)
    await agent.get_by_test_id("composer").fill("é" * 500)
    await expect(agent.locator("#compte")).to_contain_text("octets")
    await expect(agent.locator("#compte")).not_to_contain_text("messages")
    await agent.get_by_test_id("composer").fill("é" * 501)
    await expect(agent.locator("#compte")).to_contain_text("partira en 2\u00a0messages")
