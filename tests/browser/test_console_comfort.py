"""Keyboard, themes, alerts, the tour, the phone and the lost line, in a real Chromium."""

from __future__ import annotations

from datetime import timedelta

from playwright.async_api import Browser, Page, expect

from bot.core.clock import SystemClock
from bot.store.codec import Codec
from bot.store.db import Database
from tests.browser.helpers import NAMES, accessible, enter, picture, someone, taken
from tests.fakes.console import RunningConsole, running_console
from tests.fakes.ports import free_port

# Counts what rings and keeps what is notified, without a loudspeaker or a desktop.
EARS = """
    window.tones = 0; window.notes = [];
    const made = AudioContext.prototype.createOscillator;
    AudioContext.prototype.createOscillator = function () { window.tones += 1; return made.call(this); };
    window.Notification = class { static permission = "granted"; static requestPermission = async () => "granted";
        constructor(title, options) { window.notes.push(title + " | " + options.body); } close() {} };
    Object.defineProperty(document, "hidden", { get: () => window.away === true });
    document.addEventListener("planton:news", () => { window.live = true; });
"""

# Keeps that the line came back: it is said for three seconds only.
BACK = """() => new MutationObserver(([change]) => { window.back ||= change.target.textContent.includes("revenue"); })
    .observe(document.getElementById("lost"), { childList: true })"""


async def test_the_whole_queue_by_keys_that_can_be_switched_off(agent: Page, console: RunningConsole) -> None:
    first = await console.waiting("p1", "la première")
    second = await console.waiting("p2", "la deuxième")
    await agent.reload()
    await expect(agent.get_by_test_id("queue-row")).to_have_count(2)
    await agent.keyboard.press("?")
    dialog = agent.get_by_test_id("keys-dialog")
    await expect(dialog).to_contain_text("Aller à la demande suivante")
    await accessible(agent)
    await picture(agent, "comfort-keys")
    await agent.keyboard.press("g")  # nothing behind a dialog
    await agent.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await agent.keyboard.press("j")
    await expect(agent.locator(f"[href='/conversations/{first}']")).to_be_focused()
    await agent.keyboard.press("j")
    await expect(agent.locator(f"[href='/conversations/{second}']")).to_be_focused()
    await console.says("p2", "encore un mot")  # the list refreshes itself under the focus
    await expect(agent.get_by_test_id("queue-row").nth(1)).to_contain_text("encore un mot")
    await agent.keyboard.press("k")
    await expect(agent.locator(f"[href='/conversations/{first}']")).to_be_focused()
    await agent.keyboard.press("o")
    await expect(agent).to_have_url(f"{console.url}/conversations/{first}")
    await agent.wait_for_load_state("load")  # keys are heard once the scripts run
    await agent.keyboard.press("p")
    composer = agent.get_by_test_id("composer")
    await expect(composer).to_be_focused()
    await agent.keyboard.type("j’ouvre un ? dossier")  # keys in a field are letters
    await expect(composer).to_have_value("j’ouvre un ? dossier")
    await agent.keyboard.press("Escape")
    await agent.keyboard.press("c")  # what cannot be taken back is only led to
    await expect(agent.get_by_test_id("close")).to_be_focused()
    assert (await console.conversation(first)).owner == "agent"
    await agent.keyboard.press("r")
    await expect(composer).to_be_focused()
    await agent.keyboard.press("Escape")
    await agent.keyboard.press("g")
    await agent.keyboard.press("a")
    await expect(agent).to_have_url(f"{console.url}/aide")
    await accessible(agent)
    await picture(agent, "comfort-help")
    await agent.get_by_test_id("preferences-open").click()
    await accessible(agent)
    await picture(agent, "comfort-preferences")
    await agent.get_by_test_id("preferences-keys").uncheck()
    await agent.get_by_test_id("preferences-theme-dark").check()
    await expect(agent.locator("html")).to_have_attribute("data-theme", "dark")  # seen before it is saved
    await agent.get_by_test_id("preferences-save").click()
    await expect(agent.get_by_test_id("preferences-saved")).to_be_visible()
    await accessible(agent)
    await picture(agent, "comfort-preferences-dark")
    await agent.goto(console.url + "/file")
    for key in ("?", "g", "a", "j"):
        await agent.keyboard.press(key)
    await expect(agent.get_by_test_id("keys-dialog")).to_have_count(0)
    await expect(agent).to_have_url(f"{console.url}/file")
    assert await agent.evaluate("document.activeElement === document.body")


async def test_what_is_about_to_be_late_rises_rings_and_stands_above_any_page(
    browser: Browser, console: RunningConsole
) -> None:
    now = console.clock.now()
    number = await console.says("p", "on a cambiolé ma cave")
    await console.named(number, "Hélène D.")
    await console.execute("""UPDATE users SET preferences = '{"tour": true, "sound": true, "notifications": true}'""")
    async with (
        someone(browser, console) as claire,
        someone(browser, console, name="Yanis Petit") as yanis,
        someone(browser, console, "administrator") as alix,
    ):
        for page in (claire, yanis):
            await page.add_init_script(EARS)
            await page.goto(console.url + "/aide")
            await page.get_by_role("heading", name="Aide").click()  # a gesture: the browser may sound from now on
            await page.wait_for_function("() => window.live")
        await claire.evaluate("window.away = true")
        await console.hand_off(number, "urgent", at=now)
        await claire.wait_for_function("() => window.tones === 4")
        assert await claire.evaluate("window.notes") == [
            "Demande urgente | Une demande urgente vient d’arriver dans la file."
        ]
        assert await yanis.evaluate("[window.tones, window.notes.length]") == [0, 0]  # who did not ask for it

        await alix.goto(console.url + "/file/delais")
        await accessible(alix)
        await picture(alix, "queue-deadlines")
        await alix.get_by_test_id("deadlines-alert-1").fill("29 min")
        await alix.get_by_test_id("deadlines-save").click()
        await expect(alix.get_by_test_id("deadlines-saved")).to_be_visible()
        await alix.goto(console.url + "/file")

        await claire.wait_for_timeout(1600)  # the first alarm is over: one tab rings at a time
        await console.execute("UPDATE handoffs SET due_at = due_at - interval '2 minutes'")
        for page in (claire, yanis):
            await expect(page.get_by_test_id("alerts")).to_contain_text("1 demande arrive à échéance", timeout=60_000)
            await expect(page.get_by_test_id("alerts")).to_contain_text("Hélène D.")
        await claire.wait_for_function("() => window.tones === 8 && window.notes.length === 2")
        assert "Hélène" not in str(await claire.evaluate("window.notes"))
        await accessible(claire)
        await picture(claire, "comfort-alert")
        await claire.get_by_test_id("alert-hide").click()
        await expect(claire.get_by_test_id("alerts")).to_be_hidden()
        await expect(alix.get_by_test_id("queue-rising")).to_contain_text("Hélène D.")
        await expect(alix.get_by_test_id("queue-due")).to_have_text("Bientôt en retard")
        danger = await console.says("q", "il est devant la porte")
        await console.hand_off(danger, "emergency", "emergency_lexicon")
        await expect(yanis.get_by_test_id("alerts")).to_contain_text("Une urgence vitale vient d’arriver")


async def test_the_first_visit_in_three_steps_at_the_width_of_a_phone(
    browser: Browser, console: RunningConsole
) -> None:
    for i, (category, hours) in enumerate((("emergency", 0.05), ("urgent", 0.4), ("sensitive", 3), ("request", 30))):
        number = await console.says(f"p{i}", "un message assez long pour qu’il tienne sur deux lignes d’un téléphone")
        await console.hand_off(number, category, at=console.clock.now() - timedelta(hours=hours))
    await console.execute("UPDATE users SET preferences = '{}'")
    phone = {"viewport": {"width": 320, "height": 640}, "has_touch": True}
    async with someone(browser, console, **phone) as page:
        tour = page.get_by_test_id("tour")
        await expect(tour).to_contain_text("1 sur 3")
        await expect(page.get_by_test_id("queue-row")).to_have_count(4)  # it hides nothing
        await accessible(page)
        await picture(page, "comfort-tour-phone")
        await page.get_by_test_id("tour-next").press("Enter")
        await expect(tour.get_by_role("heading", level=3)).to_be_focused()
        await expect(tour.get_by_role("heading", level=3)).to_contain_text("2 sur 3")
        await page.get_by_test_id("tour-previous").press("Enter")
        await page.keyboard.press("Escape")
        await expect(tour).to_have_count(0)
        await accessible(page)
        await picture(page, "queue-phone")
        await page.get_by_test_id("queue-refine").click()
        await accessible(page)
        await picture(page, "queue-phone-filters")
        for path in ("/aide", "/mon-compte/preferences", f"/conversations/{number}"):
            await page.goto(console.url + path)
            await accessible(page)
        await page.goto(console.url + "/pilotage")
        await expect(page.get_by_test_id("nav-steering")).to_be_in_viewport(ratio=0.9)  # last of a line that scrolls
        await page.goto(console.url + "/file")
        await expect(page.get_by_test_id("queue-row")).to_have_count(4)
        await expect(tour).to_have_count(0)
        await page.goto(console.url + "/aide")
        await page.get_by_test_id("tour-again").click()
        await expect(tour.get_by_role("heading", level=3)).to_be_focused()


async def test_a_form_waits_for_the_line_to_come_back(
    page: Page, database: Database, database_url: str, codec: Codec
) -> None:
    port = free_port()
    async with running_console(database, database_url, codec, SystemClock(), port=port) as console:
        await console.user(NAMES["agent"])
        number = await console.waiting()
        await enter(page, console)
        await taken(page, console, number)
        await page.get_by_test_id("composer").fill("à garder")
    lost = page.locator("#lost")
    await expect(lost).to_contain_text("Connexion perdue", timeout=60_000)
    await page.get_by_test_id("send").click()
    await expect(lost).to_contain_text("n’est pas parti")
    await page.get_by_test_id("give-back").click()
    await expect(lost).to_contain_text("rien n’a été envoyé")
    await expect(page.get_by_test_id("composer")).to_have_value("à garder")
    await picture(page, "comfort-lost")
    await page.evaluate(BACK)
    async with running_console(database, database_url, codec, SystemClock(), port=port) as console:
        await page.wait_for_function("() => window.back")
        await page.get_by_test_id("send").click()
        await expect(page.locator(".a-agent")).to_contain_text("à garder", timeout=60_000)
        assert len([row for row in await console.outgoing(number) if row[3] == "à garder"]) == 1


async def test_after_log_out_another_tab_listens(page: Page, console: RunningConsole) -> None:
    agent = await enter(page, console)
    second = await agent.context.new_page()
    await second.goto(console.url + "/aide")
    async with console.database.begin() as connection:
        await connection.exec_driver_sql("UPDATE sessions SET ended_at = now()")
    await agent.evaluate("window.planton.refresh()")  # the first tab, which listens, finds out
    await expect(agent.locator("#lost")).to_contain_text("Votre session a expiré")
    third = await agent.context.new_page()
    await enter(third, console)
    await console.hand_off(await console.says("p1", "bonjour"))
    await expect(third.get_by_test_id("queue-row")).to_contain_text("bonjour")
