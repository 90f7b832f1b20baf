"""The console in a real Chromium: agents at work, live pages, keyboard, screen sizes, accessibility."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, Route, expect
from sqlalchemy import text

from bot.core.clock import FrozenClock, SystemClock
from bot.core.messages import Attachment, Platform
from bot.store.codec import Codec
from bot.store.db import Database
from tests.fakes.console import ARRIVES, BACK, PASSWORD, RunningConsole, running_console

AA = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}, "resultTypes": ["violations"]}
ARTEFACTS = Path(__file__).parents[2] / "test-artefacts"


@pytest.fixture
async def console(database: Database, database_url: str, codec: Codec) -> AsyncIterator[RunningConsole]:
    async with running_console(database, database_url, codec, SystemClock()) as running:
        await running.user("Claire Martin")
        yield running


async def enter(page: Page, console: RunningConsole, name: str = "Claire Martin") -> Page:
    """Log in."""
    await page.goto(console.url + "/file")
    await page.get_by_test_id("login-name").fill(name)
    await page.get_by_test_id("login-password").fill(PASSWORD)
    await page.get_by_test_id("login-submit").click()
    await expect(page.get_by_role("heading", name="File")).to_be_visible()
    return page


@pytest.fixture
async def agent(page: Page, console: RunningConsole) -> AsyncIterator[Page]:
    """An agent's page; what the browser refuses (a script, a style, a picture) fails the test."""
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    await enter(page, console)
    await page.wait_for_timeout(300)  # the stream is open
    yield page
    assert wrong == []


async def waiting(
    console: RunningConsole, person: str = "p1", said: str = "je veux parler à un agent", name: str = ""
) -> int:
    """Someone waits for a human."""
    number = await console.says(person, said)
    if name:
        await console.named(number, name)
    await console.hand_off(number)
    return number


async def taken(page: Page, console: RunningConsole, number: int) -> None:
    """The agent has the conversation and its page is open."""
    await page.goto(f"{console.url}/conversations/{number}")
    await page.get_by_test_id("take").click()
    await expect(page.get_by_test_id("composer")).to_be_visible()
    await page.wait_for_timeout(300)  # the stream is open


async def picture(page: Page, name: str) -> None:
    """Keep a picture of the page."""
    ARTEFACTS.mkdir(exist_ok=True)
    await page.screenshot(path=ARTEFACTS / f"console-{name}.png")


async def accessible(page: Page) -> None:
    """axe finds nothing wrong, and nothing is wider than the screen."""
    found = await Axe().run(page, options=AA)
    assert found.response["violations"] == []
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


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


async def test_take_reply_give_back_and_close(agent: Page, console: RunningConsole) -> None:
    first = await waiting(console, name="Nadia B.")
    second = await waiting(console, "p2")
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
    await expect(agent.locator(".a-agent .state")).to_contain_text("lu à", timeout=1500)
    await agent.get_by_test_id("give-back").click()
    await expect(agent).to_have_url(f"{console.url}/file?etat=a-moi")
    assert (await console.outgoing(first))[-1][3] == BACK
    await agent.goto(f"{console.url}/conversations/{second}")
    await agent.get_by_test_id("take").click()
    await agent.get_by_test_id("close").click()
    await expect(agent).to_have_url(f"{console.url}/file")
    assert (await console.conversation(second)).owner == "closed"
    await expect(agent.get_by_test_id("queue-row")).to_have_count(0)


async def test_new_messages_come_in_and_the_draft_stays(agent: Page, console: RunningConsole) -> None:
    number = await waiting(console)
    await taken(agent, console, number)
    composer = agent.get_by_test_id("composer")
    await composer.press_sequentially("Bonjour, je ")
    await console.says("p1", "vous êtes là ?")
    await expect(agent.get_by_test_id("thread")).to_contain_text("vous êtes là ?", timeout=1000)
    await expect(composer).to_be_focused()
    await composer.press_sequentially("suis là.")
    await expect(composer).to_have_value("Bonjour, je suis là.")
    assert await agent.evaluate(
        "(() => { const l = document.getElementById('fil'); return l.scrollHeight - l.scrollTop - l.clientHeight < 5 })()"
    )
    await agent.reload()
    await expect(composer).to_have_value("Bonjour, je suis là.")  # a reload loses nothing
    await agent.get_by_test_id("send").click()
    await expect(agent.locator(".a-agent")).to_contain_text("Bonjour, je suis là.")
    await expect(composer).to_have_value("")
    await agent.reload()
    await expect(composer).to_have_value("")


async def test_reading_further_up_is_not_disturbed(agent: Page, console: RunningConsole) -> None:
    for i in range(40):
        number = await console.says("p1", f"mot {i}")
    await taken(agent, console, number)
    await agent.evaluate("document.getElementById('fil').scrollTop = 0")
    await console.says("p1", "le dernier")
    button = agent.get_by_role("button", name="Nouveau message")
    await expect(button).to_be_visible(timeout=1500)
    assert await agent.evaluate("document.getElementById('fil').scrollTop") == 0
    await button.click()
    await expect(button).to_be_hidden()
    await expect(agent.get_by_text("le dernier")).to_be_in_viewport()


async def test_a_stale_reply_keeps_the_draft_and_is_sent_again(page: Page, console: RunningConsole) -> None:
    async def unheard(route: Route) -> None:
        if "x-planton-live" in route.request.headers:
            await route.fulfill(status=503)
        else:
            await route.continue_()

    await enter(page, console)
    number = await waiting(console)
    await page.route(f"**/conversations/{number}", unheard)  # the page does not learn what the person writes
    await taken(page, console, number)
    await page.get_by_test_id("composer").fill("Tout est réglé.")
    await console.says("p1", "il revient, aidez-moi")
    await page.get_by_test_id("send").click()
    await expect(page.get_by_test_id("alert")).to_contain_text("rien n’a été envoyé")
    await expect(page.get_by_test_id("thread")).to_contain_text("il revient, aidez-moi")
    await expect(page.get_by_test_id("composer")).to_have_value("Tout est réglé.")
    await picture(page, "message-arrive")
    await accessible(page)
    await page.unroute(f"**/conversations/{number}")
    await expect(page).to_have_url(f"{console.url}/conversations/{number}")
    await console.says("p1", "vite")  # the refused page is live too
    await expect(page.get_by_test_id("thread")).to_contain_text("vite", timeout=1500)
    await page.get_by_test_id("send").click()
    await expect(page.locator(".a-agent")).to_contain_text("Tout est réglé.")


async def test_another_agent_takes_over_while_one_writes(
    agent: Page, console: RunningConsole, browser: Browser
) -> None:
    number = await waiting(console)
    await taken(agent, console, number)
    await agent.get_by_test_id("composer").fill("J’écrivais")
    await console.user("Yanis Diallo")
    context = await browser.new_context()
    other = await enter(await context.new_page(), console, "Yanis Diallo")
    await other.goto(f"{console.url}/conversations/{number}")
    await expect(other.get_by_test_id("take")).to_have_text("Prendre à la place de Claire Martin")
    await other.get_by_test_id("take").click()
    await expect(other.get_by_test_id("composer")).to_be_visible()
    await expect(agent.get_by_test_id("owner")).to_have_text("Suivie par Yanis Diallo", timeout=1500)
    await expect(agent.locator("#plus-a-moi")).to_contain_text("Votre brouillon est gardé")
    await expect(agent.get_by_test_id("send")).to_be_disabled()
    await expect(agent.get_by_test_id("composer")).to_have_value("J’écrivais")
    await context.close()


async def test_what_is_written_is_text(agent: Page, console: RunningConsole) -> None:
    nasty = "<img src=x onerror=\"document.title='pris'\"><script>document.title='pris'</script>\u202eesrever"
    number = await waiting(console, said=nasty, name="<b>Zoé</b>\u202e")
    await expect(agent.get_by_test_id("queue-row")).to_contain_text("<script>document.title='pris'</script>")
    await agent.goto(f"{console.url}/conversations/{number}")
    await expect(agent.get_by_test_id("thread")).to_contain_text(nasty)
    await console.says("p1", nasty + " encore")
    await expect(agent.get_by_test_id("thread")).to_contain_text(nasty + " encore")
    assert "pris" not in await agent.title()
    assert await agent.locator("#fil img, #fil script, h1 b").count() == 0


async def test_nothing_is_fetched_from_elsewhere(agent: Page, console: RunningConsole) -> None:
    asked: list[str] = []
    agent.on("request", lambda request: asked.append(request.url))
    number = await console.says("p1", "regardez", Attachment("image", url="http://127.0.0.1:1/photo.jpg"))
    await console.hand_off(number)
    await agent.goto(f"{console.url}/conversations/{number}")
    await expect(agent.get_by_test_id("thread")).to_contain_text("Photo")
    assert asked
    assert all(url.startswith(console.url) for url in asked)


async def test_the_count_says_how_many_messages(agent: Page, console: RunningConsole) -> None:
    number = await console.says("p1", "slt", platform=Platform.INSTAGRAM)
    await console.hand_off(number)
    await taken(agent, console, number)
    await agent.get_by_test_id("composer").fill("é" * 500)
    await expect(agent.locator("#compte")).to_contain_text("octets")
    await expect(agent.locator("#compte")).not_to_contain_text("messages")
    await agent.get_by_test_id("composer").fill("é" * 501)
    await expect(agent.locator("#compte")).to_contain_text("partira en 2\u00a0messages")


async def test_all_of_it_by_keyboard(page: Page, console: RunningConsole) -> None:
    number = await waiting(console)
    await page.goto(console.url)
    await page.keyboard.type("Claire Martin")  # the field has the focus
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("queue-row")).to_be_visible()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Aller au contenu")).to_be_focused()
    await page.keyboard.press("Enter")
    for _ in range(5):  # four filters, then the first row
        await page.keyboard.press("Tab")
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
    number = await waiting(console)
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
    async with running_console(database, database_url, codec, SystemClock()) as console:
        await console.user("Claire Martin")
        number = await waiting(console)
        await enter(page, console)
        await taken(page, console, number)
        await page.get_by_test_id("composer").fill("à garder")
    await expect(page.locator("#lost")).to_contain_text("Connexion perdue", timeout=8000)
    await expect(page.get_by_test_id("composer")).to_have_value("à garder")
    port = int(console.url.rpartition(":")[2])
    async with running_console(database, database_url, codec, SystemClock(), port=port) as console:
        await console.says("p1", "écrit pendant la panne", mid="après")
        await expect(page.locator("#lost")).to_be_hidden(timeout=10_000)
        await expect(page.get_by_test_id("thread")).to_contain_text("écrit pendant la panne")
        await expect(page.get_by_test_id("composer")).to_have_value("à garder")
        await page.get_by_test_id("send").click()
        await expect(page.locator(".a-agent")).to_contain_text("à garder")


async def test_an_ended_session_is_said_and_the_draft_survives(
    page: Page, database: Database, database_url: str, codec: Codec
) -> None:
    wall = FrozenClock(SystemClock().now())
    async with running_console(database, database_url, codec, SystemClock(), wall) as console:
        await console.user("Claire Martin")
        number = await waiting(console)
        await enter(page, console)
        await taken(page, console, number)
        await page.get_by_test_id("composer").fill("à garder")
        wall.advance(minutes=31)
        await console.says("p1", "toujours là ?")
        await expect(page.locator("#lost")).to_contain_text("Votre session a expiré", timeout=3000)
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
    number = await waiting(console)
    second = await agent.context.new_page()
    await second.goto(f"{console.url}/conversations/{number}")
    await second.wait_for_timeout(300)
    assert len(console.listener._subscribers) == 1
    await console.says("p1", "dans les deux")
    await expect(second.get_by_test_id("thread")).to_contain_text("dans les deux", timeout=1500)
    await expect(agent.get_by_test_id("queue-row")).to_contain_text("dans les deux", timeout=1500)
    await agent.goto("about:blank")  # the tab that listened goes away; the other takes over
    await second.wait_for_timeout(500)
    await console.says("p1", "encore une fois")
    await expect(second.get_by_test_id("thread")).to_contain_text("encore une fois", timeout=1500)
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
    for etat in ("a-moi", "toutes", "closes"):
        await page.goto(f"{console.url}/file?etat={etat}")
        await accessible(page)
    await page.goto(console.url + "/rien")
    await accessible(page)
    await picture(page, f"erreur-{screen}")
    await context.close()
