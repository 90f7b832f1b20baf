"""The sandbox in a real Chromium: a newcomer writes, sees the answer, withdraws, goes to the night, opens the console."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, expect

from bot.core.dialogue import Link, QuickReply
from bot.core.messages import Edit, Message, Platform
from bot.meta.send_api import Outgoing
from bot.store.codec import Codec
from bot.store.db import Database
from tests.browser.helpers import violations
from tests.fakes.asked import ONLINE
from tests.fakes.sandbox import RunningSandbox, answered, running_sandbox


@pytest.fixture
async def box(database: Database, codec: Codec) -> AsyncIterator[RunningSandbox]:
    async with running_sandbox(database, codec) as running:
        yield running


@pytest.fixture
async def opened(page: Page, box: RunningSandbox) -> AsyncIterator[Page]:
    """The page at 1280×800; anything on its error console (a blocked script or style among it) fails the test."""
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    await page.set_viewport_size({"width": 1280, "height": 800})
    await page.goto(box.url)
    await page.wait_for_selector("body[data-ready]")
    yield page
    assert wrong == []


async def test_enter_sends_and_shift_enter_does_not(opened: Page, box: RunningSandbox) -> None:
    field = opened.get_by_label("Message sur Instagram")
    await field.fill("slt")
    await field.press("Shift+Enter")
    await field.press_sequentially("c koi lé condition")
    await field.press("Enter")
    await expect(opened.get_by_test_id("thread-instagram").get_by_test_id("mine")).to_have_text(
        "Vous : slt\nc koi lé condition", use_inner_text=False
    )
    await box.until(lambda: box.gateway.events)
    assert box.gateway.events[0].body == Message(text="slt\nc koi lé condition")
    await expect(field).to_have_value("")


async def test_a_suggestion_an_answer_and_its_quick_reply(opened: Page, box: RunningSandbox) -> None:
    phone = opened.get_by_test_id("phone-messenger")
    await phone.get_by_role("button", name="Comment porter plainte").click()
    await box.until(lambda: box.gateway.events)
    await box.api.action(box.phone().person, "typing_on")
    await expect(phone.locator("[data-typing]")).to_be_visible()
    await box.answer(
        "Sur www.masecurite.interieur.gouv.fr, ou au commissariat.", "messenger", ("Au commissariat", "lieu")
    )
    reply = phone.get_by_test_id("reply")
    await expect(reply).to_contain_text("ou au commissariat.")
    await expect(reply.get_by_role("link")).to_have_attribute("href", "https://www.masecurite.interieur.gouv.fr")
    await expect(phone.locator("[data-typing]")).to_be_hidden()
    await expect(phone.get_by_text("Vu", exact=True)).to_be_visible()
    await phone.get_by_role("button", name="Au commissariat").click()
    await box.until(lambda: box.gateway.of("quick_reply"))
    assert box.gateway.of("quick_reply")[0].body == Message(text="Au commissariat", quick_reply="lieu")
    await expect(phone.get_by_role("button", name="Au commissariat")).to_have_count(0)
    await box.until(lambda: box.gateway.of("read"))  # it stands on the screen


async def test_the_page_that_an_answer_names_is_a_button_under_it(opened: Page, box: RunningSandbox) -> None:
    await box.do("texte", text="Un chat perdu")
    link = Link("La fiche", "https://www.service-public.gouv.fr/particuliers/vosdroits/F1")
    message = Outgoing("Appelez la mairie.", (QuickReply("Autre chose", "autre"),), metadata="mark", links=(link,))
    await box.api.send(Platform.MESSENGER, box.phone().person, message)
    phone = opened.get_by_test_id("phone-messenger")
    reply = phone.get_by_test_id("reply")
    await expect(reply).to_have_text("La page : Appelez la mairie.La fiche")
    button = reply.get_by_role("link", name="La fiche")
    await expect(button).to_have_attribute("href", link.url)
    await expect(button).to_have_attribute("rel", "noreferrer noopener")
    await expect(phone.get_by_role("button", name="Autre chose")).to_be_visible()
    above, below = await reply.bounding_box(), await button.bounding_box()
    assert above is not None and below is not None
    assert above["x"] <= below["x"] and below["x"] + below["width"] <= above["x"] + above["width"]
    assert await violations(opened) == []


async def test_what_a_page_sends_is_text_and_never_markup(opened: Page, box: RunningSandbox) -> None:
    await box.do("texte", text="<img src=x onerror=alert(1)>")
    await box.answer("<b>gras</b> <script>alert(1)</script>")
    thread = opened.get_by_test_id("thread-messenger")
    await expect(thread.get_by_test_id("reply")).to_contain_text("<b>gras</b> <script>")
    await expect(thread.get_by_test_id("mine")).to_contain_text("<img src=x")


async def test_edit_and_withdraw(opened: Page, box: RunningSandbox) -> None:
    phone = opened.get_by_test_id("phone-messenger")
    edit, withdraw = phone.get_by_role("button", name="Modifier"), phone.get_by_role("button", name="Retirer")
    await expect(edit).to_be_disabled()
    await expect(withdraw).to_be_disabled()
    field = phone.get_by_label("Message sur Messenger")
    await field.fill("j'ai perdu mon permi")
    await field.press("Enter")
    await edit.click()
    await expect(field).to_have_value("j'ai perdu mon permi")
    await field.fill("j'ai perdu mon permis")
    await field.press("Enter")
    await expect(phone.get_by_test_id("mine")).to_contain_text("j'ai perdu mon permis")
    await expect(phone.get_by_text("modifié")).to_be_visible()
    await withdraw.click()
    await expect(phone.get_by_test_id("mine")).to_contain_text("Message retiré")
    await box.until(lambda: len(box.gateway.events) == 3)
    assert isinstance(box.gateway.events[1].body, Edit)
    assert [e.kind for e in box.gateway.events] == ["text", "edit", "unsend"]


async def test_media_batch_duplicate_and_newcomer(opened: Page, box: RunningSandbox) -> None:
    phone = opened.get_by_test_id("phone-instagram")
    for name in ("Photo", "Vocal", "Cœur", "Position", "Lot de 3"):
        await phone.get_by_role("button", name=name).click()
    await expect(phone.get_by_test_id("mine")).to_have_count(7)
    await expect(phone.get_by_alt_text("photo d’un vélo")).to_be_visible()
    await box.until(lambda: len(box.gateway.events) == 7)
    await phone.get_by_role("button", name="Doublon").click()
    await expect(phone.get_by_text("livré 2 fois par Meta").first).to_be_visible()
    person = box.phone("instagram").person
    await phone.get_by_role("button", name="Nouveau citoyen").click()
    await expect(phone.get_by_test_id("mine")).to_have_count(0)
    await expect(phone.get_by_text("Écrivez comme vous écririez")).to_be_visible()
    assert box.phone("instagram").person != person


async def test_the_night_and_back(opened: Page, box: RunningSandbox) -> None:
    await opened.get_by_label("Aller à").select_option("02:30")
    await opened.get_by_role("button", name="Régler").click()
    await expect(opened.locator("#clock")).to_contain_text("02:30")
    await expect(opened.get_by_text("simulée")).to_be_visible()
    await expect(opened.locator("#night")).to_be_visible()
    await expect(opened.get_by_test_id("phone-messenger").get_by_text("C’est la nuit")).to_be_visible()
    await opened.get_by_label("Aller à").select_option("maintenant")
    await opened.get_by_role("button", name="Régler").click()
    await expect(opened.get_by_text("simulée")).to_be_hidden()
    await expect(opened.get_by_role("status")).to_contain_text("reculé")


async def test_the_console_opens_in_a_second_window(page: Page, database: Database, codec: Codec) -> None:
    # Another free loopback port plays the console: what counts is that the browser lets the form lead there.
    async with running_sandbox(database, codec) as console, running_sandbox(database, codec, console.url) as box:
        await page.goto(box.url)
        await page.wait_for_selector("body[data-ready]")
        async with page.context.expect_page() as opening:
            await page.get_by_role("button", name="Ouvrir la console comme agent").click()
        window = await opening.value
        await window.wait_for_url(f"{console.url}/entrer?jeton=*suite=/file")
        await window.close()
        async with page.context.expect_page() as opening:
            await page.get_by_role("button", name="Ouvrir l’atelier comme formateur").click()
        window = await opening.value
        await window.wait_for_url(f"{console.url}/entrer?jeton=*suite=/atelier")
        await window.close()


async def test_under_a_reply_stands_the_question_that_was_recognised(
    opened: Page, box: RunningSandbox, database: Database, codec: Codec
) -> None:
    await answered(box, database, codec, nearest=ONLINE, nearest_chance=0.87, question=ONLINE)
    note = opened.get_by_test_id("phone-messenger").get_by_test_id("note")
    await expect(note).to_have_text(
        "Question reconnue\u00a0: «\u00a0Comment porter plainte en ligne\u202f?\u00a0» · certitude 87\u00a0% · réponse exacte",
        timeout=60_000,
    )
    await expect(opened.get_by_test_id("reply")).to_have_count(1)
    assert await violations(opened) == []
    await opened.screenshot(path="test-artefacts/sandbox-question.png")


async def test_a_gateway_that_is_away_is_told(opened: Page, box: RunningSandbox) -> None:
    box.gateway.status = 503
    await opened.get_by_label("Message sur Messenger").fill("Bonjour")
    await opened.get_by_role("button", name="Envoyer sur Messenger").click()
    phone = opened.get_by_test_id("phone-messenger")
    await expect(phone.get_by_text("La passerelle ne répond pas")).to_be_visible()
    box.gateway.status = 200
    await expect(phone.get_by_text("La passerelle ne répond pas")).to_be_hidden(timeout=60_000)


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
async def test_accessible_and_nothing_beyond_the_edge(
    opened: Page, box: RunningSandbox, width: int, height: int
) -> None:
    await opened.set_viewport_size({"width": width, "height": height})
    assert await violations(opened) == []
    await box.do("texte", text="Bonjour")
    await box.do("photo", "instagram")
    await box.do("vocal", "instagram")
    await box.answer("Que puis-je faire pour vous ? https://www.service-public.gouv.fr", "messenger", ("Plainte", "a"))
    async with box.client.post(f"{box.url}/heure", json={"heure": "02:30"}):
        pass
    await box.do("retirer")
    await expect(opened.get_by_test_id("phone-messenger").get_by_test_id("reply")).to_be_visible()
    await opened.wait_for_timeout(400)  # bubbles have risen
    assert await violations(opened) == []
    assert await opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if width == 1280:
        assert await opened.evaluate("document.documentElement.scrollHeight <= innerHeight")
