"""An agent, the head of service, the cabinet and a citizen at once: only approved words reach the citizen."""

from __future__ import annotations

from datetime import timedelta

from playwright.async_api import Browser, Page, expect

from bot.store.desk.access import Desk
from bot.store.desk.validation import ValidationStore
from tests.browser.helpers import WITHOUT_LOOKING_AGAIN, accessible, enter, picture, someone, taken
from tests.fakes.console import RunningConsole
from tests.scenario.system import System

PERSON = "4000"
FIRST = "Bonjour, nous regrettons ce contrôle."
BETTER = "Bonjour, nous regrettons la façon dont ce contrôle s’est passé. L’IGPN peut être saisie en ligne."


async def test_an_agent_the_head_of_service_the_cabinet_and_a_citizen(
    agent: Page, console: RunningConsole, browser: Browser, citizen: System
) -> None:
    await console.user("Denis Aubry", "validator")
    await console.user("Carole Petit", "validator")
    await _levels(console)
    await console.execute("UPDATE validation_rules SET steps = '{service,cabinet}' WHERE category = 'complaint'")
    carole = await browser.new_page(locale="fr-FR", timezone_id="Europe/Paris")  # a refused form is an error there
    await carole.add_init_script(WITHOUT_LOOKING_AGAIN)
    await enter(carole, console, "Carole Petit")
    async with someone(browser, console, "validator") as denis:
        await denis.goto(f"{console.url}/validation")
        await expect(denis.get_by_test_id("empty")).to_contain_text("Rien n’attend votre décision")
        await carole.goto(f"{console.url}/validation")
        await citizen.say(PERSON, "je veux saisir l’igpn après un contrôle")
        await expect(agent.get_by_test_id("queue-row")).to_have_count(1)
        number = (await console.rows("SELECT id FROM conversations"))[0].id
        await taken(agent, console, number)
        await expect(agent.get_by_test_id("validation-hint")).to_contain_text("le chef de service, puis le cabinet")
        await agent.get_by_test_id("composer").fill(FIRST)
        await expect(agent.get_by_test_id("send")).to_have_text("Envoyer à la validation")
        await picture(agent, "validation-composer")
        await agent.get_by_test_id("send").dblclick()
        await expect(agent.get_by_test_id("validation-state")).to_contain_text("Attend le chef de service")
        await expect(agent.get_by_test_id("composer")).to_have_value("")

        # The head of service sees it without reloading, and refuses with a word.
        await expect(denis.get_by_test_id("validation-row")).to_have_count(1)
        await expect(denis.get_by_test_id("validation-count")).to_have_text("1")
        await denis.get_by_test_id("validation-row").get_by_role("link").click()
        await expect(denis.get_by_test_id("validation-thread")).to_contain_text("je veux saisir l’igpn")
        await accessible(denis)
        await denis.get_by_test_id("validation-refuse-open").click()
        await denis.get_by_test_id("validation-word").fill("Nommez l’IGPN.")
        await picture(denis, "validation-refuse")
        await denis.get_by_test_id("validation-refuse").click()
        await expect(denis.get_by_test_id("validation-done")).to_contain_text("Réponse refusée")

        # The author sees the word at once, with the text in the composer again.
        await expect(agent.get_by_test_id("validation-alert")).to_contain_text("Nommez l’IGPN.")
        await expect(agent.get_by_test_id("validation-news")).to_contain_text("vous attend")
        await agent.reload()
        await expect(agent.get_by_test_id("composer")).to_have_value(FIRST)
        await picture(agent, "validation-refused")
        await agent.get_by_test_id("send").click()

        # Amended at the first step, approved at the second.
        await expect(denis.get_by_test_id("validation-row")).to_have_count(1)
        await picture(denis, "validation-list")
        await accessible(denis)
        await denis.get_by_test_id("validation-row").get_by_role("link").press("Enter")
        await denis.get_by_test_id("validation-amend-open").press("Enter")
        await denis.get_by_test_id("validation-text").fill(BETTER)
        await denis.get_by_test_id("validation-amend").press("Enter")
        await expect(denis.get_by_test_id("validation-done")).to_contain_text("amendée")
        await expect(denis.get_by_test_id("empty")).to_be_visible()
        await expect(agent.get_by_test_id("validation-state")).to_contain_text("Attend le cabinet")
        await expect(carole.get_by_test_id("validation-row")).to_have_count(1)
        await carole.get_by_test_id("validation-row").get_by_role("link").click()
        await expect(carole.get_by_test_id("validation-body")).to_have_text(BETTER)
        await expect(carole.get_by_test_id("validation-step").first).to_contain_text("Denis Aubry a amendé")

        # The citizen writes meanwhile: what was about to be approved waits until it was read.
        await citizen.say(PERSON, "c’était hier soir à Lyon")
        await expect(carole.get_by_test_id("validation-stale")).to_be_visible()
        await expect(carole.get_by_test_id("validation-thread")).to_contain_text("hier soir à Lyon")
        await expect(agent.get_by_test_id("validation-alert")).to_contain_text("La personne a écrit depuis")
        await carole.get_by_test_id("validation-approve").click()
        await expect(carole.get_by_test_id("alert")).to_contain_text("rien n’a été envoyé")
        await picture(carole, "validation-stale")
        await accessible(carole)
        await carole.get_by_test_id("validation-read").first.check()
        await carole.get_by_test_id("validation-approve").dblclick()
        await expect(carole.get_by_test_id("validation-done")).to_contain_text("approuvée")
        await expect(agent.get_by_test_id("validated-by")).to_contain_text("Denis Aubry, puis Carole Petit")
        await expect(agent.get_by_test_id("validation-state")).to_contain_text("Approuvée")
        await picture(agent, "validation-approved")
        await accessible(agent)
    await citizen.settled()
    said = citizen.graph.texts(PERSON)
    assert said.count(BETTER) == 1
    assert FIRST not in said


async def test_a_draft_that_is_about_to_miss_its_window(agent: Page, console: RunningConsole, browser: Browser) -> None:
    await console.user("Denis Aubry", "validator")
    await _levels(console)
    await console.execute("UPDATE validation_rules SET steps = '{service}' WHERE category = 'request'")
    for person, name in (("p1", "Nadia B."), ("p2", "Louis M.")):
        number = await console.waiting(person, name=name)
        await taken(agent, console, number)
        await agent.get_by_test_id("composer").fill(f"Réponse pour {name}")
        await agent.get_by_test_id("send").click()
        await expect(agent.get_by_test_id("validation-state")).to_be_visible()
    store = ValidationStore(Desk(console.database, console.codec, {}))
    phone = {"width": 320, "height": 700}
    async with (
        someone(browser, console, "validator") as denis,
        someone(browser, console, "administrator", viewport=phone, color_scheme="dark") as alix,
    ):
        await denis.goto(f"{console.url}/validation")
        await expect(denis.get_by_test_id("validation-row").first).to_contain_text("Nadia B.")
        queue = await denis.context.new_page()
        await queue.goto(f"{console.url}/file")
        await expect(queue.get_by_test_id("validation-count")).to_have_text("2")
        # Time passes for the second one: 23 hours since the person wrote.
        await console.execute(
            "UPDATE conversations SET last_person_at = last_person_at - :span WHERE id = :id",
            span=timedelta(hours=23),
            id=number,
        )
        await store.watch(console.clock.now())  # or the console's own look
        await expect(denis.get_by_test_id("validation-row").first).to_contain_text("Louis M.")
        await expect(denis.get_by_test_id("validation-pressing")).to_contain_text("1 réponse va manquer son délai")
        await expect(queue.get_by_test_id("validation-news")).to_contain_text("va manquer son délai")
        await expect(agent.get_by_test_id("validation-alert")).to_contain_text("24\u00a0h va passer")
        await expect(agent.locator("#validation-reste")).to_contain_text("sur 24")
        await expect(agent.locator("#validation-reste")).not_to_contain_text("23")
        await picture(denis, "validation-pressing")
        await accessible(denis)
        await alix.goto(f"{console.url}/validation/regles")
        await alix.get_by_test_id("validation-rule-complaint").select_option("service-cabinet")
        await alix.get_by_test_id("validation-save-rules").click()
        await expect(alix.get_by_test_id("validation-done")).to_contain_text("Règles enregistrées")
        await expect(alix.get_by_test_id("validation-nobody")).to_contain_text("cabinet")
        await picture(alix, "validation-rules")
        await accessible(alix)
        await alix.goto(f"{console.url}/validation?voir=toutes")
        await picture(alix, "validation-phone")
        await accessible(alix)
        await alix.get_by_test_id("validation-row").first.get_by_role("link").click()
        await expect(alix.get_by_test_id("validation-window")).to_contain_text("va passer")
        await expect(alix.get_by_test_id("validation-bar")).to_contain_text("pas de niveau de validation")
        await picture(alix, "validation-phone-one")
        await accessible(alix)
        await picture(agent, "validation-waiting")
        await accessible(agent)


async def _levels(console: RunningConsole) -> None:
    await console.execute("UPDATE users SET validation_level = 'service' WHERE name = 'Denis Aubry'")
    await console.execute("UPDATE users SET validation_level = 'cabinet' WHERE name = 'Carole Petit'")
