"""What tests of the console's pages do again and again."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, Page, expect

from tests.fakes.console import PASSWORD, RunningConsole

# Pages look again every half minute: a test that waits meanwhile would find by it what no news told.
WITHOUT_LOOKING_AGAIN = """{
    const every = window.setInterval;
    window.setInterval = (then, time, ...more) => (time < 15_000 ? every(then, time, ...more) : 0);
}"""
AA = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}, "resultTypes": ["violations"]}
expect.set_options(timeout=60_000)
ARTEFACTS = Path(__file__).parents[2] / "test-artefacts"
NAMES = {
    "agent": "Claire Martin",
    "validator": "Denis Aubry",
    "trainer": "Inès Roux",
    "administrator": "Alix Perrin",
    "auditor": "Odile Garnier",
}


async def enter(page: Page, console: RunningConsole, name: str = NAMES["agent"]) -> Page:
    """Log in; the queue is shown. Whoever owes a second factor is let in without."""
    await page.goto(console.url + "/file")
    await page.get_by_test_id("login-name").fill(name)
    await page.get_by_test_id("login-password").fill(PASSWORD)
    await page.get_by_test_id("login-submit").click()
    await page.wait_for_url(re.compile(r"^[^?]+/(file|connexion/(code|second-facteur))(\?|$)"))
    if "/connexion/" in page.url:
        await console.open_sessions(name)
        await page.goto(console.url + "/file")
    await expect(page.get_by_role("heading", name="File")).to_be_visible()
    return page


@contextlib.asynccontextmanager
async def someone(
    browser: Browser, console: RunningConsole, role: str = "agent", name: str | None = None, **context: object
) -> AsyncIterator[Page]:
    """A browser of one's own, logged in under that role; the account is made if there is none of that name.

    What the browser refuses (a script, a style, a picture) or a script raises fails the test.
    """
    name = name or NAMES[role]
    if name not in console.users:
        await console.user(name, role)
    wrong: list[str] = []
    settings = {"locale": "fr-FR", "timezone_id": "Europe/Paris", "viewport": {"width": 1280, "height": 900}, **context}
    opened = await browser.new_context(**settings)
    await opened.add_init_script(WITHOUT_LOOKING_AGAIN)
    page = await opened.new_page()
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    await enter(page, console, name)
    await live(page)
    yield page
    await opened.close()
    assert wrong == []


# Colours on their way from one to another are no contrast that anybody reads. An animation of what is not drawn never ends.
SETTLED = """() => Promise.race([new Promise((go) => setTimeout(go, 3000)), Promise.all(document.getAnimations()
    .filter((one) => Number.isFinite(one.effect?.getComputedTiming().endTime))
    .map((one) => one.finished.catch(() => null)))])"""


async def part(browser: Browser) -> None:
    """Everybody leaves before the console ends: a page that still loads would miss half of its scripts."""
    for context in browser.contexts:
        await context.close()


async def live(page: Page) -> None:
    """Wait until the page's stream is open."""
    await page.wait_for_timeout(300)


async def taken(page: Page, console: RunningConsole, number: int) -> None:
    """The agent has the conversation and its page is open."""
    await page.goto(f"{console.url}/conversations/{number}")
    await page.get_by_test_id("take").click()
    await expect(page.get_by_test_id("composer")).to_be_visible()
    await live(page)


async def picture(page: Page, name: str) -> None:
    """Keep a picture of the page as an artefact of the tests."""
    ARTEFACTS.mkdir(exist_ok=True)
    await page.screenshot(path=ARTEFACTS / f"console-{name}.png")


async def violations(page: Page, options: object = AA) -> list[object]:
    """What axe finds wrong; brought to a page once, its half megabyte serves all looks at it."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE_SCRIPT)
    found: list[object] = await page.evaluate("async (options) => (await axe.run(options)).violations", options)
    return found


async def accessible(page: Page) -> None:
    """axe finds no violation at WCAG 2.1 AA, and nothing is wider than the screen."""
    await page.evaluate(SETTLED)
    assert await violations(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
