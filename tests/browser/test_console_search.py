"""The search in a real Chromium: two agents, a citizen, and what each left behind."""

from __future__ import annotations

from playwright.async_api import Browser, Page, expect

from bot.store.people import People
from tests.browser.helpers import accessible, picture, someone, taken
from tests.conftest import of_part
from tests.fakes.console import RunningConsole
from tests.scenario.system import System


async def test_what_was_said_is_found_opened_and_left_again(
    agent: Page, browser: Browser, console: RunningConsole, citizen: System
) -> None:
    assert await citizen.say("4000", "on m’a volé mon vélo, je veux parler à un humain") == 200
    await expect(agent.get_by_test_id("queue-row")).to_be_visible()
    number = (await console.rows("SELECT id FROM conversations"))[0].id
    await People(of_part(console.database, "worker"), console.codec).keep_name(number, "Anaïs Le Goff")
    for line in range(30):
        await console.says("4000", f"et encore ceci, ligne {line}")
    await taken(agent, console, number)
    await agent.get_by_test_id("note-open").click()
    await agent.get_by_test_id("note-text").fill("Vélos volés : la gardienne a tout vu.")
    await agent.get_by_test_id("note-add").click()
    await expect(agent.get_by_test_id("note")).to_contain_text("gardienne")

    async with someone(browser, console, "auditor") as page:
        # By the keyboard alone: « g r » opens the search, its field has the focus.
        await page.keyboard.press("g")
        await page.keyboard.press("r")
        await expect(page.get_by_test_id("search-query")).to_be_focused()
        await accessible(page)
        await picture(page, "search-empty")
        await page.keyboard.type("velos volees")
        await page.keyboard.press("Enter")
        rows = page.get_by_test_id("search-row")
        await expect(rows).to_have_count(2)
        await expect(rows.first).to_contain_text("Note privée de Claire Martin")
        await expect(rows.last.locator("mark")).to_have_text(["volé", "vélo"])
        assert "velos" not in page.url
        await accessible(page)
        await picture(page, "search-results")

        await rows.last.get_by_test_id("search-open").press("Enter")
        message = page.locator(".said.person").filter(has_text="on m’a volé mon vélo")
        await expect(message).to_be_in_viewport()
        assert page.url.endswith(f"#{await message.get_attribute('id')}")
        await picture(page, "search-opened")
        await page.go_back()
        await expect(rows).to_have_count(2)
        await expect(page.get_by_test_id("search-query")).to_have_value("velos volees")

        await page.get_by_test_id("search-query").fill("le goff")
        await page.get_by_test_id("search-submit").click()
        await expect(page.get_by_test_id("search-name")).to_contain_text("Anaïs Le Goff")
        await page.get_by_test_id("search-filters").click()
        await page.get_by_test_id("search-author").select_option("note")
        await page.get_by_test_id("search-query").fill("gardienne -trottinette")
        await page.get_by_test_id("search-query").press("Enter")
        await expect(rows).to_have_count(1)
        await expect(page.get_by_test_id("search-author")).to_have_value("note")
        await page.set_viewport_size({"width": 320, "height": 640})
        await accessible(page)
        await picture(page, "search-phone")
    seen = await console.rows("SELECT detail FROM audit WHERE action = 'search' ORDER BY id")
    assert [row.detail["results"] for row in seen][-1] == 1
    assert "gard" not in str(seen)


async def test_results_go_on_and_dark_is_dark(agent: Page, console: RunningConsole) -> None:
    for number in range(25):
        await console.says(f"p{number}", f"plainte {number} pour un vélo volé, et bien d’autres choses encore")
    await agent.get_by_test_id("nav-search").click()
    await agent.get_by_test_id("search-query").fill("plaintes")
    await agent.get_by_test_id("search-query").press("Enter")
    await expect(agent.get_by_test_id("search-row")).to_have_count(20)
    await expect(agent.get_by_test_id("search-count")).to_contain_text("Il y en a d’autres")
    await agent.emulate_media(color_scheme="dark")
    await accessible(agent)
    await picture(agent, "search-dark")
    await agent.get_by_test_id("next-page").click()
    await expect(agent.get_by_test_id("search-row")).to_have_count(5)
    await agent.get_by_test_id("search-query").fill("xylophone")
    await agent.get_by_test_id("search-query").press("Enter")
    await expect(agent.get_by_test_id("empty")).to_contain_text("Rien ne correspond")
    await accessible(agent)
