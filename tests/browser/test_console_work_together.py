"""Two agents on one conversation, and the citizen who writes to them; what they hand over, put off and set aside."""

from __future__ import annotations

from playwright.async_api import Browser, Page, expect

from tests.browser.helpers import accessible, live, picture, someone, taken
from tests.fakes.console import RunningConsole
from tests.scenario.system import System


async def _number(console: RunningConsole, person: str) -> int:
    rows = await console.rows("SELECT id FROM conversations WHERE person = :person", person=person)
    return int(rows[0].id)


async def _open(page: Page, console: RunningConsole, number: int) -> None:
    await page.goto(f"{console.url}/conversations/{number}")
    await live(page)


async def test_two_agents_write_to_one_person(
    agent: Page, console: RunningConsole, browser: Browser, citizen: System
) -> None:
    await citizen.say("4000", "je veux parler à un humain")
    await citizen.settled()
    number = await _number(console, "4000")
    await taken(agent, console, number)
    async with someone(browser, console, name="Yanis Diallo") as other:
        # They see each other, and who writes.
        await _open(other, console, number)
        await expect(agent.get_by_test_id("presence")).to_contain_text("Yanis Diallo regarde aussi")
        await expect(other.get_by_test_id("presence")).to_contain_text("Claire Martin regarde aussi")
        await agent.get_by_test_id("composer").press_sequentially("Bonjour, je regarde votre dossier.")
        await expect(other.get_by_test_id("presence")).to_contain_text("Claire Martin écrit…")
        await expect(agent.get_by_test_id("draft-state")).to_have_text("Brouillon enregistré.")
        await picture(other, "work-presence")
        # The citizen writes; the reply that has not seen it is refused, and the draft stays (see the other file for
        # a page that is not live); a colleague who takes over keeps the two from speaking at once.
        await other.get_by_test_id("take").click()
        await other.get_by_test_id("take-over").click()
        await expect(agent.get_by_test_id("owner")).to_have_text("Suivie par Yanis Diallo")
        await expect(agent.get_by_test_id("send")).to_be_disabled()
        await expect(agent.get_by_test_id("composer")).to_have_value("Bonjour, je regarde votre dossier.")
        # A note, and a transfer back with a word.
        await other.get_by_role("heading", level=1).click()
        await other.keyboard.press("n")
        await expect(other.get_by_test_id("note-text")).to_be_focused()
        await other.get_by_test_id("note-text").fill("Déjà vue hier au guichet.")
        await other.get_by_test_id("note-add").click()
        await expect(agent.get_by_test_id("notes")).to_contain_text("Déjà vue hier au guichet.")
        await other.get_by_role("heading", level=1).click()
        await other.keyboard.press("t")
        await expect(other.get_by_test_id("transfer-to")).to_be_focused()
        await picture(other, "work-transfer")
        await accessible(other)
        await other.get_by_test_id("transfer-to").select_option(label="Claire Martin")
        await other.get_by_test_id("transfer-word").fill("Vous la connaissez mieux que moi.")
        await other.get_by_test_id("transfer-submit").click()
        await expect(other).to_have_url(f"{console.url}/file?etat=a-moi")
        await expect(agent.get_by_test_id("owner")).to_have_text("Suivie par Claire Martin")
        await expect(agent.get_by_test_id("notes")).to_contain_text("Vous la connaissez mieux que moi.")
        await expect(agent.get_by_test_id("send")).to_be_enabled()
    # The draft outlives a reload, a log-out in the midst of a word, and the machine.
    await agent.reload()
    await expect(agent.get_by_test_id("composer")).to_have_value("Bonjour, je regarde votre dossier.")
    await agent.get_by_test_id("composer").press_sequentially(" Merci.")
    await agent.get_by_test_id("logout").click()
    await expect(agent.get_by_test_id("login-name")).to_be_visible()
    async with someone(browser, console) as elsewhere:
        await _open(elsewhere, console, number)
        await expect(elsewhere.get_by_test_id("composer")).to_have_value("Bonjour, je regarde votre dossier. Merci.")
        await elsewhere.get_by_test_id("send").dblclick()
        await expect(elsewhere.locator(".a-agent")).to_contain_text("Bonjour, je regarde votre dossier. Merci.")
        await expect(elsewhere.get_by_test_id("composer")).to_have_value("")
    await citizen.settled()
    sent = [m[3] for m in await console.outgoing(number) if m[1] == "agent"]
    assert sent == ["Bonjour, je regarde votre dossier. Merci."]


async def test_later_spam_reopened_and_blocked(
    agent: Page, console: RunningConsole, citizen: System, browser: Browser
) -> None:
    await citizen.say("4001", "je veux parler à un humain")
    await citizen.settled()
    number = await _number(console, "4001")
    await taken(agent, console, number)
    # Put off, and woken by the person.
    await agent.get_by_role("heading", level=1).click()
    await agent.keyboard.press("e")
    await expect(agent.get_by_test_id("snooze-1h")).to_be_focused()
    await picture(agent, "work-snooze")
    await agent.keyboard.press("Enter")
    await expect(agent).to_have_url(f"{console.url}/file")
    assert (await console.handoff(number)).state == "snoozed"
    await _open(agent, console, number)
    await expect(agent.get_by_test_id("snoozed")).to_contain_text("Reportée jusqu’au")
    await citizen.say("4001", "vous êtes là ?")
    await expect(agent.get_by_test_id("snoozed")).to_have_count(0)
    await expect(agent.get_by_test_id("thread")).to_contain_text("vous êtes là ?")
    # Closed with a reason, opened again.
    await agent.get_by_test_id("close-reason").select_option("doublon")
    await agent.get_by_test_id("close").click()
    await expect(agent).to_have_url(f"{console.url}/file")
    assert (await console.handoff(number)).close_reason == "doublon"
    await _open(agent, console, number)
    await agent.get_by_test_id("reopen").click()
    await expect(agent.get_by_test_id("owner")).to_have_text("Suivie par Claire Martin")
    # Spam, and not after all.
    await agent.get_by_test_id("aside-open").click()
    await picture(agent, "work-aside")
    await accessible(agent)
    await agent.get_by_test_id("spam").click()
    await expect(agent).to_have_url(f"{console.url}/file")
    await _open(agent, console, number)
    await agent.get_by_test_id("not-spam").click()
    await expect(agent.get_by_test_id("spam-state")).to_have_count(0)
    await expect(agent.get_by_test_id("owner")).to_have_text("Attend un agent")
    # Blocked: no answer and no hand-off, but a danger is answered and opens its own.
    await agent.get_by_test_id("aside-open").click()
    await agent.get_by_test_id("block-reason").select_option("injures")
    await agent.get_by_test_id("block").click()
    await expect(agent.get_by_test_id("blocked")).to_contain_text("Personne bloquée (injures) par Claire Martin")
    before = len(await console.outgoing(number))
    await citizen.say("4001", "bonjour, je veux parler à un humain")
    await citizen.settled()
    assert len(await console.outgoing(number)) == before
    assert [row.state for row in await citizen.handoffs("4001")] == ["closed"]
    assert (await citizen.dispositions("4001"))[-1] == ("text", "ignored")
    await citizen.say("4001", "au secours il me frappe il va me tuer")
    await citizen.settled()
    assert (await console.outgoing(number))[-1][:2] == ("emergency", "emergency")
    opened = (await citizen.handoffs("4001"))[-1]
    assert (opened.category, opened.state) == ("emergency", "open")
    await expect(agent.get_by_test_id("thread")).to_contain_text("il va me tuer")
    await picture(agent, "work-blocked")
    await accessible(agent)
    await agent.get_by_test_id("take").click()
    await agent.get_by_test_id("unblock").click()
    await expect(agent.get_by_test_id("blocked")).to_have_count(0)
