"""A conversation's page in a real Chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from playwright.async_api import Browser, Page, expect
from sqlalchemy import text

from bot.console.attachments_fetch import AttachmentRules
from bot.core.dialogue import Link, Understanding
from bot.core.messages import Attachment, Edit, Message, Unsend, body_to_json
from bot.store import understanding
from bot.store.codec import Codec
from bot.store.conversations import BODY
from bot.store.db import Database
from tests.browser.conftest import by_day
from tests.browser.helpers import NAMES, accessible, enter, live, part, picture, someone, taken
from tests.fakes.console import RunningConsole, running_console
from tests.fakes.media import Media, media_server
from tests.scenario.system import System


@pytest.fixture
async def media() -> AsyncIterator[Media]:
    async with media_server() as server:
        yield server


@pytest.fixture
async def console(
    browser: Browser, media: Media, database: Database, database_url: str, codec: Codec
) -> AsyncIterator[RunningConsole]:
    """A console that fetches attachments from the media server."""
    rules = AttachmentRules(origins=(media.url,))
    async with running_console(database, database_url, codec, by_day(), attachments=rules) as started:
        await started.user(NAMES["agent"])
        yield started
        await part(browser)


async def at_end(page: Page) -> bool:
    return bool(
        await page.evaluate(
            "(() => { const l = document.getElementById('fil'); return l.scrollHeight - l.scrollTop - l.clientHeight < 5 })()"
        )
    )


async def fill(console: RunningConsole, number: int, size: int, days: int = 3) -> None:
    """Older messages of the person, before what there is."""
    insert = text("""INSERT INTO events (conversation_id, platform, account, key, kind, channel, mid, at, received_at, body)
                     VALUES (:c, 'messenger', '1000', :k, 'text', 'messaging', :k, :at, :at, :body)""")
    start = console.clock.now() - timedelta(days=days)
    rows = [
        {
            "c": number,
            "k": f"vieux-{i}",
            "at": start + timedelta(seconds=i),
            "body": console.codec.seal_json(body_to_json(Message(f"ancien message {i}")), BODY),
        }
        for i in range(size)
    ]
    async with console.database.begin() as connection:
        await connection.execute(insert, rows)


async def test_new_messages_come_in_and_neither_draft_nor_place_is_lost(
    agent: Page, browser: Browser, console: RunningConsole
) -> None:
    number = await console.waiting(name="Zoé Lenoir")
    await taken(agent, console, number)
    composer, thread = agent.get_by_test_id("composer"), agent.get_by_test_id("thread")
    await composer.press_sequentially("Bonjour, je ")
    await console.says("p1", "vous êtes là ?")
    await expect(thread).to_contain_text("vous êtes là ?")
    await expect(composer).to_be_focused()
    await composer.press_sequentially("suis là.")
    await expect(composer).to_have_value("Bonjour, je suis là.")
    assert await at_end(agent)
    await agent.reload()
    await expect(composer).to_have_value("Bonjour, je suis là.")  # a reload loses nothing

    await fill(console, number, 60)
    await agent.reload()
    await live(agent)
    await agent.evaluate("document.getElementById('fil').scrollTop = 40")
    async with someone(browser, console, "agent", "Yanis Morel") as other:
        await other.goto(f"{console.url}/conversations/{number}")
        await console.says("p1", "le premier des nouveaux")
        await console.says("p1", "le second des nouveaux")
        await expect(other.get_by_test_id("thread")).to_contain_text("le second des nouveaux")
        button = agent.get_by_test_id("jump")
        await expect(button).to_be_visible()
        assert await agent.evaluate("document.getElementById('fil').scrollTop") == 40
        await expect(agent.get_by_test_id("new-messages")).to_have_count(1)
        assert await agent.evaluate(
            "document.getElementById('nouveaux').nextElementSibling.textContent.includes('le premier des nouveaux')"
        )
        await console.says("p1", "le troisième")
        await expect(thread).to_contain_text("le troisième")
        assert await agent.evaluate(
            "document.getElementById('nouveaux').nextElementSibling.textContent.includes('le premier des nouveaux')"
        )
        await button.click()
        await expect(button).to_be_hidden()
        await expect(agent.get_by_text("le troisième")).to_be_in_viewport()
        await picture(agent, "conversation-nouveaux")
        await composer.fill("")  # what was begun before these messages would be asked about
        await composer.fill("Bonjour, je suis là.")
        await agent.get_by_test_id("send").click()
        await expect(agent.locator(".a-agent")).to_contain_text("Bonjour, je suis là.")
        await expect(agent.get_by_test_id("new-messages")).to_have_count(0)
        await expect(other.locator(".a-agent")).to_contain_text("Bonjour, je suis là.")


async def test_what_a_citizen_writes_reaches_two_agents_with_what_was_understood(
    agent: Page, browser: Browser, console: RunningConsole, citizen: System
) -> None:
    await citizen.say("4000", "je veux parler à un humain à Lyon")
    row = agent.get_by_test_id("queue-row")
    await expect(row).to_have_count(1)
    await row.get_by_role("link").first.click()
    understood = agent.get_by_test_id("understood")
    await expect(understood).to_have_text("Compris : demande à parler à un agent (90 %) · Ville : Lyon")
    await expect(agent.get_by_test_id("delivery").first).to_contain_text("envoyé à")
    async with someone(browser, console, "agent", "Yanis Morel") as other:
        await other.goto(agent.url)
        await live(other)
        await citizen.say("4000", "vous êtes là ?")
        for page in (agent, other):
            await expect(page.get_by_test_id("thread")).to_contain_text("vous êtes là ?")


async def test_an_agent_sees_the_page_that_an_answer_names_as_the_person_does(
    agent: Page, console: RunningConsole, citizen: System
) -> None:
    link = Link("Plainte en ligne", "https://www.masecurite.interieur.gouv.fr/fr/demarches-en-ligne/plainte-en-ligne")
    citizen.engine.questions = {"internet": (("plainte_comment/en_ligne", 0.9),)}
    citizen.engine.links = {"plainte_comment/en_ligne": (link,)}
    await citizen.say("4000", "porter plainte sur internet")
    citizen.graph.instagram("5000")
    await citizen.post(citizen.body(citizen.message("5000", "porter plainte sur internet"), instagram=True))
    await citizen.settled()
    numbers = {row.person: row.id for row in await console.rows("SELECT id, person FROM conversations")}
    await agent.goto(f"{console.url}/conversations/{numbers['4000']}")
    said = agent.locator(".a-bot")
    await expect(said.get_by_test_id("page-button")).to_have_attribute("href", link.url)
    await expect(said.locator(".text")).not_to_contain_text("https://")
    await accessible(agent)
    await picture(agent, "conversation-lien")
    await agent.goto(f"{console.url}/conversations/{numbers['5000']}")
    await expect(said.locator(".text")).to_contain_text(link.line)
    await expect(said.get_by_test_id("page-button")).to_have_count(0)


async def test_a_thread_of_a_thousand_is_read_upwards_and_stays_quick(agent: Page, console: RunningConsole) -> None:
    number = await console.waiting()
    await fill(console, number, 1000)
    await agent.goto(f"{console.url}/conversations/{number}")
    await live(agent)
    thread, older = agent.get_by_test_id("thread"), agent.get_by_test_id("older")
    assert await agent.locator("#fil article").count() == 100
    assert await at_end(agent)
    await older.focus()
    await agent.keyboard.press("Enter")
    await expect(agent.locator("#fil article")).to_have_count(200)
    # What was read stays where it was.
    await expect(agent.locator("#recents article").first).to_be_in_viewport()
    await expect(agent.locator("#dit")).to_have_text("100 messages plus anciens affichés.")
    await console.event("p1", Edit("vieux-850", "un ancien message corrigé", 1))
    await expect(thread).to_contain_text("un ancien message corrigé")
    await console.event("p1", Unsend("vieux-840"), "u840")
    await expect(agent.get_by_text("ancien message 840", exact=True)).to_have_count(0)
    while await older.is_visible():
        shown = await agent.locator("#fil article").count()
        await older.click()
        await expect(agent.locator("#fil article")).not_to_have_count(shown)
    assert await agent.locator("#fil article").count() == 1001
    await console.says("p1", "tout en bas")
    await expect(agent.locator("#recents")).to_contain_text("tout en bas")
    assert await agent.locator("#fil article").count() == 1002
    assert len({i for i in await agent.locator("#fil article").evaluate_all("l => l.map(a => a.id)")}) == 1002


async def test_whatever_is_written_is_text(agent: Page, console: RunningConsole) -> None:
    nasty = "<img src=x onerror=\"document.title='pris'\"><script>document.title='pris'</script><b>gras</b> {{ 7*7 }} </bdi></p>"
    number = await console.waiting(said=nasty, name="<b>Zoé</b>\u202eenrevers")
    rlo = await console.says("p1", "\u202eà l’envers\u2066 sans fin", mid="rlo")
    await console.says("p1", "👩🏽‍🚒 famille 👨‍👩‍👧‍👦 drapeau 🇫🇷 é\u0301\u0301\u0301 zal\u200bgo", mid="emoji")
    await console.says("p1", "\u200b\u200d\u2060\ufeff", mid="nul")
    await console.says("p1", "\n".join(f"ligne {i} " + "mot " * 8 for i in range(250))[:10_000], mid="long")
    await console.says("p1", "x" * 3_000, mid="bloc")
    await agent.goto(f"{console.url}/conversations/{number}")
    thread = agent.get_by_test_id("thread")
    await expect(thread).to_contain_text(nasty)
    await expect(thread).to_contain_text("👨‍👩‍👧‍👦 drapeau 🇫🇷")
    await expect(thread).to_contain_text("message sans caractère visible")
    assert await agent.locator("#fil img, #fil script, #fil b, h1 b").count() == 0
    await console.says("p1", nasty + " encore")
    await expect(thread).to_contain_text(nasty + " encore")
    assert "pris" not in await agent.title()
    # A direction mark turns its own message and nothing around it: the foot's words keep their places.
    order = await agent.evaluate(
        """() => [...document.querySelectorAll('#fil article')].filter(a => a.textContent.includes('envers')).map(a => {
            const foot = a.querySelector('.said-foot'), range = document.createRange();
            const x = (node, i) => { range.setStart(node, i); range.setEnd(node, i + 1); return range.getBoundingClientRect().x; };
            const time = foot.querySelector('time').firstChild;
            return x(time, 0) < x(time, time.length - 1);
        })"""
    )
    assert order and all(order)
    assert rlo == number
    long = agent.locator("article", has_text="ligne 0").first
    whole = long.locator("details .text")
    await expect(whole).to_be_hidden()
    await long.get_by_text("Afficher tout (").click()
    await expect(whole).to_be_visible()
    await expect(long.locator(".long > .text")).to_be_hidden()  # not twice
    assert await agent.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    await console.says("p1", "après")
    await expect(thread).to_contain_text("après")
    await expect(whole).to_be_visible()  # what one opened stays open
    await agent.evaluate("document.getElementById('fil').scrollTop = 0")
    await picture(agent, "conversation-texte")


async def test_attachments_are_shown_by_us_and_only_when_asked(
    agent: Page, console: RunningConsole, media: Media
) -> None:
    asked: list[str] = []
    agent.context.on("request", lambda request: asked.append(request.url))
    files = [
        Attachment("image", f"{media.url}/photo.png"),
        Attachment("audio", f"{media.url}/voix.wav"),
        Attachment("file", f"{media.url}/acte.pdf", title="acte.pdf"),
        Attachment("image", "https://ailleurs.example/photo.jpg"),
        Attachment("location", lat=48.8566, long=2.3522),
    ]
    number = await console.says("p1", "voici", *files, mid="m1")
    await console.named(number, "Zoé Lenoir")
    await console.hand_off(number)
    await agent.goto(f"{console.url}/conversations/{number}")
    await live(agent)
    pieces = agent.get_by_test_id("attachment")
    await expect(pieces).to_have_count(5)
    assert media.asked == []  # nobody has asked yet, lazy or not
    await pieces.nth(0).locator("summary").focus()
    await agent.keyboard.press("Enter")
    image = pieces.nth(0).locator("img")
    await expect(image).to_be_visible()
    await expect(image).to_have_js_property("naturalWidth", 320)
    await console.says("p1", "vous la voyez ?")
    await expect(agent.get_by_test_id("thread")).to_contain_text("vous la voyez ?")
    await expect(image).to_be_visible()  # the live page does not close it
    assert media.asked == ["/photo.png"]
    await pieces.nth(1).locator("summary").click()
    player = pieces.nth(1).locator("audio")
    await player.evaluate("a => a.play()")
    assert await player.evaluate("a => a.duration") == pytest.approx(1.0, abs=0.1)
    async with agent.expect_download() as started:
        await pieces.nth(2).get_by_role("link", name="Télécharger").click()
    assert (await started.value).suggested_filename.endswith(".pdf")
    await expect(pieces.nth(3)).to_contain_text("n’est pas de celles que Planton ouvre")
    await expect(pieces.nth(4)).to_contain_text("48.85660, 2.35220")
    async with agent.context.expect_page() as opening:
        await image.click()
    alone = await opening.value
    await alone.wait_for_load_state()
    assert await alone.evaluate("document.images[0].naturalWidth") == 320
    assert await alone.evaluate("window.origin") == "null"  # in its sandbox
    await alone.close()
    await accessible(agent)
    await picture(agent, "conversation-pieces")
    assert asked
    assert all(url.startswith(console.url) for url in asked)


async def test_an_expired_attachment_says_so(browser: Browser, console: RunningConsole, media: Media) -> None:
    number = await console.says("p1", "", Attachment("image", f"{media.url}/403"), mid="m1")
    await console.hand_off(number)
    context = await browser.new_context(locale="fr-FR")  # the browser notes what failed to load: not `someone`
    page = await context.new_page()
    await enter(page, console)
    await page.goto(f"{console.url}/conversations/{number}")
    await page.get_by_test_id("attachment").locator("summary").click()
    error = page.get_by_test_id("attachment-error")
    await expect(error).to_contain_text("le lien de Meta a expiré")
    await console.says("p1", "alors ?")
    await expect(page.get_by_test_id("thread")).to_contain_text("alors ?")
    await expect(error).to_be_visible()
    await accessible(page)
    await picture(page, "conversation-piece-expiree")
    await context.close()


async def test_the_whole_page_at_each_width(agent: Page, browser: Browser, console: RunningConsole) -> None:
    number = await console.says("p1", "Bonjour, on m’a volé ma carte d’identité à Lyon", mid="m1")
    await console.named(number, "Zoé Lenoir")
    await console.execute("UPDATE events SET intent = 'perte_vol_documents', confidence = 0.91")
    event = (await console.rows("SELECT id FROM events"))[0].id
    async with console.database.begin() as connection:
        found = Understanding("perte_vol_documents", 0.91, entities={"ville": "Lyon", "document": "carte_identite"})
        await understanding.keep(connection, console.codec, [event], found)
    now = console.clock.now()
    await console.bot_says(
        number, "Je suis un assistant automatique. Déclarez la perte au commissariat.", read_at=now, sent_at=now
    )
    await console.says("p1", "Merci. Et pour le raport ?", mid="m2")
    await console.event("p1", Edit("m2", "Merci. Et pour le rapport ?", 1))
    await console.says("p1", "oubliez", mid="m3")
    await console.event("p1", Unsend("m3"), "m3u")
    await console.bot_says(number, "Voici la marche à suivre.", "failed", error_slug="person_unavailable")
    await console.bot_says(number, "La suite arrive.", "queued", error_slug="temporary")
    await console.hand_off(number, "complaint", "reclamation_police", "reclamation_police", slots={"ville": "Lyon"})
    await taken(agent, console, number)
    await expect(agent.get_by_test_id("understood").first).to_contain_text("Ville : Lyon · Document : carte d’identité")
    await expect(agent.get_by_text("Texte d’origine")).to_be_visible()
    await accessible(agent)
    await picture(agent, "conversation")
    await agent.emulate_media(color_scheme="dark")
    await agent.reload()  # colours change by and by
    await accessible(agent)
    await picture(agent, "conversation-nuit")
    async with someone(browser, console, "auditor", viewport={"width": 320, "height": 720}) as phone:
        await phone.goto(f"{console.url}/conversations/{number}")
        await accessible(phone)
        await picture(phone, "conversation-320")
    await console.execute("UPDATE conversations SET last_person_at = :at", at=now - timedelta(days=8))
    await agent.emulate_media(color_scheme="light")
    await agent.reload()
    await expect(agent.get_by_test_id("window-closed-help")).to_be_visible()
    await accessible(agent)
    await picture(agent, "conversation-fermee")
