"""The audit's page in a real Chromium: agents work, an auditor reads what they did, by keyboard and on a phone."""

from __future__ import annotations

from playwright.async_api import Browser, Page, expect

from tests.browser.helpers import NAMES, accessible, enter, picture, someone, taken
from tests.fakes.console import RunningConsole


async def test_an_auditor_finds_who_did_what(agent: Page, browser: Browser, console: RunningConsole) -> None:
    first = await console.waiting("p1", "bonjour, je cherche un agent", "Zoé Lenoir")
    second = await console.waiting("p2", "et moi aussi", "Karim Diallo")
    await taken(agent, console, first)
    await agent.get_by_test_id("composer").fill("Bonjour, je vous lis.")
    await agent.get_by_test_id("send").click()
    await expect(agent.locator(".a-agent")).to_contain_text("je vous lis")
    async with someone(browser, console, "agent", "Yanis Morel") as other:
        await other.goto(f"{console.url}/conversations/{second}")
        await expect(other.get_by_test_id("thread")).to_contain_text("et moi aussi")
    async with someone(browser, console, "auditor", locale="fr-FR") as page:
        await page.get_by_test_id("nav-audit").click()
        rows = page.get_by_test_id("audit-row")
        await expect(page.get_by_role("heading", name="Journal")).to_be_visible()
        for words in ("Conversation prise", "Réponse écrite", "Conversation ouverte", "Connexion"):
            await expect(rows.filter(has_text=words).first).to_be_visible()
        await expect(page.locator("main")).not_to_contain_text("je vous lis")
        await accessible(page)
        await picture(page, "audit")
        # A person, an action, then Enter.
        await page.get_by_test_id("filter-person").select_option(label=NAMES["agent"])
        await page.get_by_test_id("filter-action").select_option(label="Réponse écrite")
        await page.get_by_test_id("filter-conversation").focus()
        await page.keyboard.press("Enter")
        await expect(rows).to_have_count(1)
        await expect(rows).to_contain_text(NAMES["agent"])
        await page.get_by_test_id("audit-clear").click()
        await page.get_by_test_id("filter-conversation").fill(str(second))
        await page.get_by_test_id("audit-apply").click()
        opened = rows.filter(has_text="Conversation ouverte")
        await expect(opened).to_have_count(1)
        await expect(opened).to_contain_text("Yanis Morel")
        async with page.expect_download() as started:
            await page.get_by_test_id("audit-export").click()
        assert (await started.value).suggested_filename.startswith("journal-")
        await page.goto(f"{console.url}/journal?action=consultation")
        await expect(rows.filter(has_text="Journal consulté").first).to_contain_text(NAMES["auditor"])
        await page.emulate_media(color_scheme="dark")
        await page.set_viewport_size({"width": 320, "height": 900})
        await page.goto(f"{console.url}/journal")
        await accessible(page)
        await picture(page, "audit-320")
        await page.goto(f"{console.url}/journal?action=spam")
        await expect(page.get_by_test_id("empty")).to_contain_text("Rien ne correspond")


async def test_a_wrong_filter_is_said_where_it_stands(browser: Browser, console: RunningConsole) -> None:
    await console.user(NAMES["auditor"], "auditor")
    context = await browser.new_context(locale="fr-FR")  # the browser notes the refusal: not `someone`
    page = await context.new_page()
    await enter(page, console, NAMES["auditor"])
    await page.goto(f"{console.url}/journal")
    await page.get_by_test_id("filter-conversation").fill("beaucoup")
    await page.get_by_test_id("audit-apply").click()
    await expect(page.get_by_test_id("alert")).to_contain_text("laissé de côté")
    wrong = page.get_by_test_id("filter-conversation")
    await expect(wrong).to_have_value("beaucoup")
    await expect(wrong).to_have_accessible_description(
        "Donnez le numéro de la conversation, en chiffres, par exemple 1204."
    )
    await expect(page.get_by_test_id("audit-row")).not_to_have_count(0)
    await accessible(page)
    await picture(page, "audit-filtre-faux")
    await context.close()
