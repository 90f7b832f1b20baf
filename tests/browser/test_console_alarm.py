"""The gesture by which an agent takes a false alarm back, in a real Chromium."""

from __future__ import annotations

import re

from playwright.async_api import Page, expect

from bot.policy.emergency import Detection
from bot.store import alarms
from bot.store.emergencies import EmergencyPlan, carry_out
from bot.store.handoffs import NewHandoff, open_
from tests.browser.helpers import accessible, picture
from tests.fakes.console import RunningConsole

PLAN = EmergencyPlan("En danger, appelez le 17.", short=False, handoff=True, old=False)


async def alarm(console: RunningConsole, words: str, *quotes: str, by: str = "lexicon") -> int:
    """A message that raised an alarm; the conversation."""
    number = await console.says("p1", words)
    (event,) = await console.rows("SELECT max(id) AS id FROM events")
    detection = Detection("danger", by, "arme", evidence=quotes)  # type: ignore[arg-type]
    async with console.database.begin() as connection:
        now = console.clock.now()
        await carry_out(connection, console.codec, number, PLAN, detection, now, {}, {}, events=[event.id])
    await console.execute("UPDATE events SET disposition = 'emergency', settled_at = now() WHERE disposition IS NULL")
    return number


async def test_one_gesture_takes_it_back_and_one_puts_it_back(agent: Page, console: RunningConsole) -> None:
    number = await alarm(console, "au jeu, il a un couteau et moi une épée", "il a un couteau")
    await console.named(number, "Zoé Lenoir")
    await agent.goto(f"{console.url}/file")
    await expect(agent.get_by_test_id("queue-alarm")).to_have_text("Alerte : « il a un couteau » (lexique)")
    await accessible(agent)
    await picture(agent, "alarm-queue")
    await agent.goto(f"{console.url}/conversations/{number}")
    banner = agent.get_by_test_id("alarm")
    await expect(banner).to_contain_text("« il a un couteau » (lexique")
    await accessible(agent)
    await picture(agent, "alarm")
    # The key leads to the button and presses nothing; Enter takes the alarm back.
    await agent.keyboard.press("f")
    await expect(agent.get_by_test_id("alarm-false")).to_be_focused()
    await expect(banner).to_be_visible()
    await agent.keyboard.press("Enter")
    back = agent.get_by_test_id("alarm-taken-back")
    await expect(back).to_contain_text("revenue à sa place : demande")
    await expect(banner).to_have_count(0)
    await accessible(agent)
    await picture(agent, "alarm-taken-back")
    # What comes in shows at once that it alarms as ever.
    await alarm(console, "il est entré dans la maison", "il est entré", by="score")
    await expect(banner).to_contain_text("« il est entré » (score de danger")
    await expect(banner).not_to_contain_text("couteau")
    await agent.get_by_test_id("alarm-false").click()
    await agent.get_by_test_id("alarm-put-back").click()
    await expect(banner).to_contain_text("il est entré")
    await agent.get_by_test_id("alarm-confirm").click()
    await expect(agent.get_by_test_id("alarm-confirmed")).to_contain_text("Danger confirmé par")
    await agent.set_viewport_size({"width": 390, "height": 844})
    await accessible(agent)
    await picture(agent, "alarm-narrow")
    # Nobody closes what nobody took, and a second look names the person and the words.
    await expect(agent.get_by_test_id("alarm-false-close-open")).to_have_count(0)
    await agent.get_by_test_id("take").click()
    await agent.get_by_test_id("alarm-false-close-open").click()
    await expect(agent.get_by_test_id("dangers").last).to_contain_text("il est entré")
    await accessible(agent)
    await picture(agent, "alarm-false-close")
    await agent.get_by_test_id("alarm-false-close").click()
    await expect(agent.get_by_test_id("queue-done")).to_contain_text("Fausse alerte : demande de")
    await agent.goto(f"{console.url}/pilotage")
    table = agent.get_by_test_id("steering-alarms")
    await expect(table.get_by_role("row", name="Tous")).to_have_text(re.compile(r"Tous\s*2\s*0\s*2\s*100\s%"))
    await accessible(agent)
    await table.scroll_into_view_if_needed()
    await picture(agent, "alarm-steering")


async def test_a_likely_danger_is_calm_and_has_the_same_gestures(agent: Page, console: RunningConsole) -> None:
    number = await console.says("p1", "je n'ose plus rentrer chez moi")
    await console.named(number, "Zoé Lenoir")
    (event,) = await console.rows("SELECT id FROM events")
    detection = Detection("danger", "engine", degree="likely", evidence=("n'ose plus rentrer",))
    async with console.database.begin() as connection:
        now, new = console.clock.now(), NewHandoff(number, "sensitive", "danger_probable", "hors_perimetre")
        before = await alarms.ahead(connection, number)
        handoff, _ = await open_(connection, console.codec, new, now)
        await alarms.keep(connection, console.codec, number, detection, before, handoff, [event.id], now)
    await console.execute("UPDATE events SET disposition = 'handed_off', settled_at = now()")
    await agent.goto(f"{console.url}/file")
    await expect(agent.get_by_test_id("queue-alarm")).to_have_text(
        "Danger probable : « n'ose plus rentrer » (assistant)"
    )
    await accessible(agent)
    await picture(agent, "likely-queue")
    await agent.goto(f"{console.url}/conversations/{number}")
    banner = agent.get_by_test_id("likely")
    await expect(banner).to_contain_text("Danger probable : « n'ose plus rentrer » (assistant")
    await accessible(agent)
    await picture(agent, "likely")
    await agent.get_by_test_id("alarm-confirm").click()
    await expect(agent.get_by_test_id("alarm-confirmed")).to_contain_text("Danger confirmé par")
    await agent.get_by_test_id("alarm-false").click()
    await expect(agent.get_by_test_id("alarm-taken-back")).to_contain_text("revenue à sa place : demande")
    await agent.get_by_test_id("alarm-put-back").click()
    await expect(banner).to_be_visible()
    await agent.goto(f"{console.url}/pilotage")
    table = agent.get_by_test_id("steering-likely")
    await expect(table.get_by_role("row", name="Tous")).to_contain_text("1")
    await accessible(agent)
    await table.scroll_into_view_if_needed()
    await picture(agent, "likely-steering")
