"""All pages in a real Chromium: keyboard, no script, lost lines, screen sizes, accessibility."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.async_api import Browser, Page, expect

from bot.core.clock import FrozenClock, SystemClock
from bot.core.messages import Attachment, Platform
from bot.store.codec import Codec
from bot.store.db import Database
from tests.browser.helpers import accessible, enter, picture, someone, taken
from tests.fakes.console import PASSWORD, RunningConsole, running_console
from tests.fakes.ports import free_port


async def test_all_of_it_by_keyboard(page: Page, console: RunningConsole) -> None:
    number = await console.waiting()
    await page.goto(console.url)
    await expect(page.get_by_test_id("login-name")).to_be_focused()
    await page.keyboard.type("Claire Martin")
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("queue-row")).to_be_visible()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Aller au contenu")).to_be_focused()
    await page.keyboard.press("Enter")
    for _ in range(12):  # six states, the filters, then the first row
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.hasAttribute('data-row-link')"):
            break
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{console.url}/conversations/{number}")
    for _ in range(12):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.dataset.testid") == "take":
            break
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("composer")).to_be_focused()
    await page.keyboard.type("Bonjour")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator(".a-agent")).to_contain_text("Bonjour")
    await expect(page.get_by_test_id("composer")).to_be_focused()
    for _ in range(12):
        await page.keyboard.press("Shift+Tab")
        if await page.evaluate("document.activeElement.dataset.testid") == "close":
            break
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{console.url}/file")
    assert (await console.conversation(number)).owner == "closed"


async def test_without_script_it_works(console: RunningConsole, browser: Browser) -> None:
    number = await console.waiting()
    context = await browser.new_context(java_script_enabled=False)
    page = await enter(await context.new_page(), console)
    await page.get_by_test_id("queue-row").click()
    await page.get_by_test_id("take").click()
    await page.get_by_test_id("composer").fill("Bonjour")
    await page.get_by_test_id("send").click()
    await expect(page.locator(".a-agent")).to_contain_text("Bonjour")
    assert (await console.outgoing(number))[-1][3] == "Bonjour"
    await context.close()


async def test_a_lost_line_is_said_and_comes_back(
    page: Page, database: Database, database_url: str, codec: Codec
) -> None:
    port = free_port()
    async with running_console(database, database_url, codec, SystemClock(), port=port) as console:
        await console.user("Claire Martin")
        number = await console.waiting()
        await enter(page, console)
        await taken(page, console, number)
        await page.get_by_test_id("composer").fill("à garder")
    await expect(page.locator("#lost")).to_contain_text("Connexion perdue", timeout=60_000)
    await expect(page.get_by_test_id("composer")).to_have_value("à garder")
    async with running_console(database, database_url, codec, SystemClock(), port=port) as console:
        await console.says("p1", "écrit pendant la panne", mid="après")
        await expect(page.locator("#lost")).to_be_hidden(timeout=60_000)
        await expect(page.get_by_test_id("thread")).to_contain_text("écrit pendant la panne")
        await expect(page.get_by_test_id("composer")).to_have_value("à garder")
        await page.get_by_test_id("send").click()
        await expect(page.get_by_test_id("send-anyway")).to_contain_text("écrit pendant la panne")
        await page.get_by_test_id("send").click()
        await expect(page.locator(".a-agent")).to_contain_text("à garder")


async def test_an_ended_session_is_said_and_the_draft_survives(
    page: Page, database: Database, database_url: str, codec: Codec
) -> None:
    wall = FrozenClock(SystemClock().now())
    async with running_console(database, database_url, codec, SystemClock(), wall) as console:
        await console.user("Claire Martin")
        number = await console.waiting()
        await enter(page, console)
        await taken(page, console, number)
        await page.get_by_test_id("composer").fill("à garder")
        wall.advance(minutes=31)
        await console.says("p1", "toujours là ?")
        await expect(page.locator("#lost")).to_contain_text("Votre session a expiré")
        await page.get_by_role("link", name="Se reconnecter").click()
        await page.get_by_test_id("login-name").fill("Claire Martin")
        await page.get_by_test_id("login-password").fill(PASSWORD)
        await page.get_by_test_id("login-submit").click()
        await expect(page).to_have_url(f"{console.url}/conversations/{number}")
        await expect(page.get_by_test_id("composer")).to_have_value("à garder")
        await page.get_by_test_id("logout").click()
        await expect(page.get_by_test_id("login-name")).to_be_visible()
        assert await page.evaluate("Object.keys(sessionStorage).length") == 0


async def test_two_tabs_share_the_news(agent: Page, console: RunningConsole) -> None:
    number = await console.waiting()
    await console.heard()
    second = await agent.context.new_page()
    await second.goto(f"{console.url}/conversations/{number}")
    await second.wait_for_timeout(300)  # it would have asked by now
    assert len(console.listener._subscribers) == 1
    await console.says("p1", "dans les deux")
    await expect(second.get_by_test_id("thread")).to_contain_text("dans les deux")
    await expect(agent.get_by_test_id("queue-row")).to_contain_text("dans les deux")
    await agent.goto("about:blank")  # the tab that listened goes away; the other takes over
    await second.wait_for_timeout(500)
    await console.says("p1", "encore une fois")
    await expect(second.get_by_test_id("thread")).to_contain_text("encore une fois")
    await second.close()


async def filled(console: RunningConsole) -> int:
    """A queue with something of everything; returns a conversation with a long thread."""
    now = console.clock.now()
    rows = (
        ("Sofiane K.", "ma fille n’est pas rentrée du collège", "urgent", "disparition", 0.1, Platform.MESSENGER),
        (
            "",
            "mon ex publie des photos de moi sans mon accord",
            "sensitive",
            "harcelement_cyber",
            22.6,
            Platform.INSTAGRAM,
        ),
        ("jules.r", "Merci aux policiers de Nantes pour hier 🙏", "thanks", "remerciements", 5, Platform.INSTAGRAM),
        ("", "<b>gras</b> \u202eabc", "request", "incompris", 50, Platform.MESSENGER),
        ("Hélène D.", "toujours rien", "request", "reclamation_delai", 200, Platform.MESSENGER),
    )
    for i, (name, said, category, reason, hours, platform) in enumerate(rows):
        number = await console.says(f"q{i}", said, at=now - timedelta(hours=hours), platform=platform)
        if name:
            await console.named(number, name)
        await console.hand_off(number, category, reason, at=now - timedelta(hours=hours))
    danger = await console.says("d", "il est devant la porte avec un couteau")
    await console.hand_off(
        danger, "emergency", "emergency_lexicon", "danger_immediat", old=True, at=now - timedelta(minutes=2)
    )
    number = await console.says(
        "n", "bonjour, j’ai été contrôlée hier soir à Lyon et on m’a mal parlé", mid="n1", at=now - timedelta(hours=1)
    )
    await console.execute("UPDATE events SET intent = 'reclamation_police', confidence = 0.87 WHERE mid = 'n1'")
    await console.named(number, "Nadia B.")
    await console.bot_says(
        number, "Nous prenons votre réclamation au sérieux. Un agent vous répondra en personne.", read_at=now
    )
    await console.bot_says(number, "La nuit, appelez le 17 en cas de danger.", author="night", delivered_at=now)
    await console.bot_says(number, "Personne n’est alerté quand vous écrivez ici. Appelez le 17.", author="emergency")
    await console.bot_says(number, "ratée", "failed", error_slug="media", error_remedy="Meta refuse la pièce jointe.")
    await console.bot_says(number, "annulée", "cancelled", error_slug="agent_took")
    await console.hand_off(
        number,
        "complaint",
        "reclamation_police",
        "reclamation_police",
        slots={"ville": "Lyon", "date": "hier soir"},
        at=now - timedelta(minutes=50),
    )
    await console.says(
        "n", "je peux vous envoyer une photo", Attachment("image", url="https://cdn.example/a.jpg"), mid="n2"
    )
    await console.says("n", "mot " * 2500)
    return number


SCREENS = {
    "large": {"viewport": {"width": 1280, "height": 800}},
    "sombre": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "telephone": {"viewport": {"width": 390, "height": 844}},
    "telephone-sombre": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
    "agrandi": {"viewport": {"width": 640, "height": 400}},  # 200 % on 1280 × 800
}


@pytest.mark.parametrize("screen", SCREENS)
async def test_every_page_is_accessible_on_every_screen(console: RunningConsole, browser: Browser, screen: str) -> None:
    number = await filled(console)
    context = await browser.new_context(locale="fr-FR", **SCREENS[screen])
    page = await context.new_page()
    await page.goto(console.url + "/connexion")
    await accessible(page)
    await picture(page, f"connexion-{screen}")
    await page.get_by_test_id("login-name").fill("Claire Martin")
    await page.get_by_test_id("login-password").fill("faux")
    await page.get_by_test_id("login-submit").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await accessible(page)
    await enter(page, console)
    await accessible(page)
    await picture(page, f"file-{screen}")
    await page.goto(f"{console.url}/conversations/{number}")
    await accessible(page)
    await page.get_by_test_id("take").click()
    await page.get_by_test_id("composer").fill("Bonjour Madame, je transmets votre réclamation.")
    await accessible(page)
    await picture(page, f"conversation-{screen}")
    await page.get_by_test_id("send").click()
    await expect(page.get_by_test_id("composer")).to_have_value("")
    await page.locator("summary").first.click()
    await accessible(page)
    for etat in ("a-moi", "toutes", "reportees", "closes", "indesirables"):
        await page.goto(f"{console.url}/file?etat={etat}")
        await accessible(page)
    await page.goto(console.url + "/rien")
    await accessible(page)
    await picture(page, f"erreur-{screen}")
    await context.close()


@pytest.mark.parametrize(("theme", "system"), [("dark", "light"), ("light", "dark")])
async def test_the_chosen_theme_wins_over_the_systems(
    console: RunningConsole, browser: Browser, theme: str, system: str
) -> None:
    number = await filled(console)
    await console.execute(f'UPDATE users SET preferences = \'{{"theme": "{theme}"}}\'')
    async with someone(browser, console, color_scheme=system) as page:
        for path in ("/file", f"/conversations/{number}"):
            await page.goto(console.url + path)
            await accessible(page)
        ground = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert ground == {"dark": "rgb(15, 20, 32)", "light": "rgb(243, 245, 250)"}[theme]
