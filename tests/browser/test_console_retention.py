"""Legal holds and the page of what is kept, in a real Chromium: by keyboard, on a phone, in the dark."""

from __future__ import annotations

from datetime import UTC, datetime

from playwright.async_api import Browser, expect

from bot.policy.retention import Class
from bot.store import retention
from bot.store.purge import Origin, register
from tests.browser.helpers import accessible, picture, someone
from tests.fakes.console import RunningConsole


async def test_a_conversation_is_held_and_the_register_read(browser: Browser, console: RunningConsole) -> None:
    number = await console.waiting("p1", "bonjour, je cherche un agent", "Zoé Lenoir")
    gone = await console.waiting("p2", "et moi aussi", "Karim Diallo")
    await console.execute(
        "UPDATE handoffs SET closed_at = now(), outcome = 'answered' WHERE conversation_id = :id", id=gone
    )
    async with console.database.begin() as connection:
        at = datetime(2026, 1, 14, 2, tzinfo=UTC)
        await retention.pseudonymise(connection, console.codec, [gone], at)
        counts = retention.Counts({"events": 12_000})
        for of, way in ((Class.EVERYDAY, "erased"), (Class.COMPLAINTS, "pseudonymised"), (Class.SENSITIVE, "trimmed")):
            await register(connection, at, Origin("nightly"), of, way, 180, 1_200, counts)
    async with someone(browser, console, "administrator") as page:
        await page.goto(f"{console.url}/conversations/{number}")
        await page.get_by_test_id("hold-open").focus()
        await page.keyboard.press("Enter")
        await page.get_by_test_id("hold-reason").fill("Procédure 2026/17, parquet de Lille")
        await accessible(page)
        await picture(page, "hold-form")
        await page.get_by_test_id("hold-place").click()
        await expect(page.get_by_test_id("hold")).to_contain_text("parquet de Lille")
        await accessible(page)
        await picture(page, "hold")
        await page.goto(f"{console.url}/conversations/{gone}")
        await expect(page.get_by_test_id("erased")).to_contain_text("Contenu effacé")
        await expect(page.get_by_test_id("hold-open")).to_have_count(0)
        await accessible(page)
        await picture(page, "erased")
        await page.get_by_test_id("nav-retention").click()
        await expect(page.get_by_test_id("hold-row")).to_contain_text("parquet de Lille")
        await expect(page.get_by_test_id("chain")).to_contain_text("Intact, 3 lignes")
        await accessible(page)
        await picture(page, "retention")
        await page.emulate_media(color_scheme="dark")
        await page.set_viewport_size({"width": 320, "height": 900})
        await page.reload()
        await accessible(page)
        await picture(page, "retention-320")
        wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0
        await page.set_viewport_size({"width": 1280, "height": 900})
        await page.goto(f"{console.url}/conversations/{number}")
        await page.get_by_test_id("hold-lift").click()
        await expect(page.get_by_test_id("hold")).to_have_count(0)
