"""The queue in a real Chromium."""

from __future__ import annotations

import time

from playwright.async_api import Browser, Page, expect

from tests.browser.helpers import someone
from tests.fakes.console import RunningConsole
from tests.scenario.system import System


async def test_a_new_hand_off_shows_within_a_second(agent: Page, console: RunningConsole) -> None:
    await expect(agent.get_by_test_id("empty")).to_contain_text("s’affichera ici toute seule")
    number = await console.says("p1", "on m’a volé mon vélo")
    start = time.monotonic()
    await console.hand_off(number)
    await expect(agent.get_by_test_id("queue-row")).to_contain_text("on m’a volé mon vélo", timeout=1000)
    assert time.monotonic() - start < 1
    await expect(agent).to_have_title("(1) À prendre · Planton")
    await expect(agent.locator("#annonce")).to_have_text("Une demande à prendre.")
    urgent = await console.says("p2", "ma fille a disparu")
    await console.hand_off(urgent, "urgent", "disparition")
    await expect(agent.get_by_test_id("queue-row").first).to_contain_text("ma fille a disparu", timeout=1000)


async def test_a_citizens_message_reaches_the_queue_through_the_webhook(
    agent: Page, console: RunningConsole, citizen: System
) -> None:
    assert await citizen.say("4000", "je veux parler à un humain") == 200
    row = agent.get_by_test_id("queue-row")
    await expect(row).to_contain_text("je veux parler à un humain")
    await expect(row).to_contain_text("Demande à parler à un agent")


async def test_each_role_sees_the_queue_and_what_it_may_open(browser: Browser, console: RunningConsole) -> None:
    await console.waiting()
    for role in ("agent", "validator", "trainer", "administrator", "auditor"):
        async with someone(browser, console, role) as page:
            await expect(page.get_by_test_id("nav-queue")).to_have_attribute("aria-current", "page")
            await expect(page.get_by_test_id("queue-row").get_by_role("link")).to_have_count(
                0 if role == "trainer" else 1
            )
