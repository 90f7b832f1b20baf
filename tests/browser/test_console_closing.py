"""Closing a request in a real Chromium: a second look at what is grave, and ten seconds to think better of it."""

from __future__ import annotations

from playwright.async_api import Page, expect

from bot.policy.emergency import Detection
from bot.store import alarms
from bot.store.handoffs import NewHandoff, open_
from tests.browser.helpers import accessible, enter, live, picture, taken
from tests.fakes.console import RunningConsole


async def danger(console: RunningConsole) -> int:
    """An emergency that waits."""
    number = await console.says("p1", "il a un couteau et il frappe à la porte")
    await console.named(number, "Nadia Belkacem")
    (event,) = await console.rows("SELECT id FROM events")
    detection = Detection("danger", "lexicon", evidence=("il a un couteau",))
    async with console.database.begin() as connection:
        now, new = console.clock.now(), NewHandoff(number, "emergency", "emergency_lexicon", "danger_immediat")
        before = await alarms.ahead(connection, number)
        handoff, _ = await open_(connection, console.codec, new, now)
        await alarms.keep(connection, console.codec, number, detection, before, handoff, [event.id], now)
    await console.execute("UPDATE events SET disposition = 'handed_off', settled_at = now()")
    return number


async def test_an_emergency_is_closed_on_a_second_look(agent: Page, console: RunningConsole) -> None:
    number = await danger(console)
    await agent.goto(f"{console.url}/conversations/{number}")
    await expect(agent.get_by_test_id("take")).to_be_visible()
    await expect(agent.get_by_test_id("close")).to_have_count(0)  # nobody has taken it
    await taken(agent, console, number)
    panel = agent.get_by_test_id("close-panel")
    await agent.keyboard.press("Escape")
    await agent.get_by_test_id("close").focus()
    await agent.keyboard.press("Enter")
    await expect(panel).to_be_visible()
    await expect(panel.get_by_role("heading")).to_have_text("Clore la demande de Nadia Belkacem")
    await expect(panel.get_by_test_id("dangers")).to_have_text("Danger : « il a un couteau »")
    await expect(panel.get_by_test_id("close-reason")).to_have_value("")
    await panel.get_by_test_id("close-confirm").click()  # nothing is chosen: the browser asks for it
    assert (await console.conversation(number)).owner == "agent"
    for mode, width in (("dark", 390), ("light", 390), ("dark", 1366), ("light", 1366)):
        await agent.set_viewport_size({"width": width, "height": 768})
        await agent.emulate_media(color_scheme=mode)  # type: ignore[arg-type]
        await accessible(agent)
        await picture(agent, f"clore-grave-{mode}-{width}")
    await expect(panel).to_be_visible()
    await panel.get_by_test_id("close-reason").select_option("transmis")
    await panel.get_by_test_id("close-confirm").click()
    notice = agent.get_by_test_id("queue-done")
    await expect(notice).to_contain_text("Demande de Nadia Belkacem close.")
    assert (await console.handoff(number)).close_reason == "transmis"
    for mode in ("dark", "light"):
        await agent.emulate_media(color_scheme=mode)  # type: ignore[arg-type]
        await accessible(agent)
        await picture(agent, f"annuler-{mode}")
    await agent.goto(f"{console.url}/file")
    await expect(notice).to_have_count(0)


async def test_what_arrives_behind_the_second_look_is_not_closed_with_it(page: Page, console: RunningConsole) -> None:
    await enter(page, console)
    number = await danger(console)
    await taken(page, console, number)
    await page.get_by_test_id("close").click()
    await console.says("p1", "il est entré")
    await expect(page.get_by_test_id("thread")).to_contain_text("il est entré")
    await expect(page.get_by_test_id("close-panel")).to_be_visible()
    await page.get_by_test_id("close-reason").select_option("repondu")
    await page.get_by_test_id("close-confirm").click()
    await expect(page.get_by_test_id("alert")).to_contain_text("la conversation n’a pas été close")
    assert (await console.conversation(number)).owner == "agent"


async def test_a_closing_is_taken_back_by_a_key(agent: Page, console: RunningConsole) -> None:
    number = await console.waiting(name="Zoé Lenoir")
    await taken(agent, console, number)
    await agent.get_by_test_id("close").click()
    await expect(agent.get_by_test_id("undo")).to_have_text("Annuler la clôture")
    assert (await console.conversation(number)).owner == "closed"
    await live(agent)
    await agent.keyboard.press("z")
    await expect(agent.get_by_test_id("owner")).to_have_text("Suivie par Claire Martin")
    assert (await console.conversation(number)).owner == "agent"
    # After ten seconds the notice only leads to the conversation; a focus that stood on the button is not lost.
    await agent.get_by_test_id("close").click()
    await agent.get_by_test_id("undo").focus()
    await expect(agent.get_by_test_id("undo")).to_have_count(0, timeout=20_000)
    await expect(agent.locator("#fait-lien")).to_be_focused()
    assert (await console.conversation(number)).owner == "closed"
