"""The queue in a real Chromium."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from playwright.async_api import Browser, Page, expect

from bot.core.messages import Platform
from tests.browser.helpers import accessible, picture, someone
from tests.fakes.console import RunningConsole
from tests.scenario.system import System


async def test_a_new_hand_off_shows_by_itself(agent: Page, console: RunningConsole) -> None:
    await expect(agent.get_by_test_id("empty")).to_contain_text("s’affichera ici toute seule")
    number = await console.says("p1", "on m’a volé mon vélo")
    await console.hand_off(number)
    await expect(agent.get_by_test_id("queue-row")).to_contain_text("on m’a volé mon vélo")
    await expect(agent).to_have_title("(1) À prendre · Planton")
    await expect(agent.locator("#annonce")).to_have_text("Une demande à prendre.")
    urgent = await console.says("p2", "ma fille a disparu")
    await console.hand_off(urgent, "urgent", "disparition")
    await expect(agent.get_by_test_id("queue-row").first).to_contain_text("ma fille a disparu")


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


async def test_two_agents_filter_share_and_follow_the_queue(browser: Browser, console: RunningConsole) -> None:
    now = console.clock.now()
    for i, (name, said, category, reason, minutes, platform) in enumerate(
        (
            ("Sofiane K.", "ma fille n’est pas rentrée du collège", "urgent", "disparition", 25, Platform.MESSENGER),
            (
                "Nadia B.",
                "on m’a mal parlé pendant un contrôle",
                "complaint",
                "reclamation_police",
                500,
                Platform.INSTAGRAM,
            ),
            ("Jules R.", "merci aux policiers de Nantes", "thanks", "remerciements", 90, Platform.INSTAGRAM),
            ("Hélène D.", "toujours aucune nouvelle", "request", "reclamation_delai", 1600, Platform.MESSENGER),
        )
    ):
        number = await console.says(f"p{i}", said, at=now - timedelta(minutes=minutes), platform=platform)
        await console.named(number, name)
        await console.hand_off(number, category, reason, at=now - timedelta(minutes=minutes))
    async with someone(browser, console) as claire, someone(browser, console, name="Yanis Petit") as yanis:
        await expect(claire.get_by_test_id("queue-late")).to_have_text("2 en retard")
        await expect(claire.get_by_test_id("queue-rising")).to_contain_text("Sofiane K.")
        await accessible(claire)
        await picture(claire, "queue-rising")
        await yanis.get_by_test_id("queue-refine").press("Enter")
        await yanis.get_by_test_id("queue-filter-platform").select_option("instagram")
        await yanis.get_by_test_id("queue-filter-age").select_option("plus-1h")
        await accessible(yanis)
        await yanis.get_by_test_id("queue-filter-apply").click()
        await expect(yanis).to_have_url(f"{console.url}/file?etat=a-prendre&reseau=instagram&age=plus-1h")
        await expect(yanis.get_by_test_id("queue-row")).to_have_count(2)
        await expect(yanis.get_by_test_id("queue-matching")).to_contain_text("2 demandes correspondent")
        await accessible(yanis)
        await picture(yanis, "queue-filtered")
        await claire.get_by_test_id("queue-row").filter(has_text="Nadia B.").click()
        await claire.get_by_test_id("take").click()
        await expect(yanis.get_by_test_id("queue-row")).to_have_count(1)  # it is taken, and the filter still holds
        await expect(yanis.get_by_test_id("queue-filter-platform")).to_have_value("instagram")
        await yanis.get_by_test_id("filter-toutes").click()
        await expect(yanis.get_by_test_id("queue-row")).to_have_count(2)
        await expect(yanis.get_by_test_id("queue-row").first).to_contain_text("Claire Martin")


async def test_what_was_snoozed_returns_by_itself(agent: Page, console: RunningConsole) -> None:
    number = await console.waiting(said="rappelez-moi demain")
    await expect(agent.get_by_test_id("queue-row")).to_have_count(1)
    snooze = "UPDATE handoffs SET snoozed_until = :at WHERE conversation_id = :id"
    await console.execute(snooze, at=console.clock.now() + timedelta(hours=1), id=number)
    await agent.evaluate("window.planton.refresh()")
    await expect(agent.get_by_test_id("queue-row")).to_have_count(0)
    await expect(agent.get_by_test_id("filter-reportees")).to_contain_text("1")
    await console.execute(snooze, at=console.clock.now() - timedelta(seconds=1), id=number)
    async with asyncio.timeout(180):
        while (await console.handoff(number)).snoozed_until is not None:
            await asyncio.sleep(0.05)
    await expect(agent.get_by_test_id("queue-row")).to_contain_text("rappelez-moi demain")
