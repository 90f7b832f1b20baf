"""A conversation's page in a real Chromium."""

from __future__ import annotations

from playwright.async_api import Page, expect

from bot.core.messages import Attachment
from tests.browser.helpers import taken
from tests.fakes.console import RunningConsole


async def test_new_messages_come_in_and_the_draft_stays(agent: Page, console: RunningConsole) -> None:
    number = await console.waiting()
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


async def test_what_is_written_is_text(agent: Page, console: RunningConsole) -> None:
    nasty = "<img src=x onerror=\"document.title='pris'\"><script>document.title='pris'</script>\u202eesrever"
    number = await console.waiting(said=nasty, name="<b>Zoé</b>\u202e")
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
