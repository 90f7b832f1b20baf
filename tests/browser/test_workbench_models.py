"""A publication and a return in a real Chromium: the gate's words, the steps as they go, one click back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.workbench.publications import reloaded
from bot.trainer import grave
from bot.trainer.pseudonyms import pseudonymiser
from tests.browser.conftest import by_day
from tests.browser.helpers import accessible, live, part, picture, someone
from tests.fakes.console import RunningConsole, running_console
from tests.fakes.project import copied
from tests.fakes.publishing import Launcher, World


@pytest.fixture
async def world(tmp_path: Path, database: Database) -> World:
    """A model in service and one example more since."""
    made = World(copied(tmp_path / "projet", small=True), tmp_path / "var", database, by_day())
    made.change("on m'a volé mon vélo électrique")
    return made


@pytest.fixture
async def launcher(world: World) -> AsyncIterator[Launcher]:
    """Engines that take over when the test says so."""
    async with Launcher(world.var, world.models, world.first).running() as running:
        yield running


@pytest.fixture
async def console(
    browser: Browser, world: World, launcher: Launcher, database: Database, database_url: str, codec: Codec
) -> AsyncIterator[RunningConsole]:
    """A console over that project."""
    changes = {"project": world.project, "var": world.var}
    async with running_console(database, database_url, codec, by_day(), **changes) as running:
        yield running
        await part(browser)


async def test_publishing_and_going_back(
    browser: Browser, console: RunningConsole, world: World, launcher: Launcher
) -> None:
    async with someone(browser, console, "administrator") as page:
        world.user = next(iter(console.users.values()))
        async with console.database.begin() as connection:
            for role in ("console", "gateway", "worker"):
                await reloaded(connection, role, "front-1", console.clock.now(), world.first, "")
        await asyncio.to_thread(pseudonymiser().leftovers, "bonjour")  # the French model is read once a process
        fallen = await world.candidate(missed=True, fallen=True)
        await page.goto(f"{console.url}/atelier/modeles")
        await expect(page.get_by_test_id("models-reasons")).to_contain_text("« au secours il a un couteau »")
        await expect(page.get_by_test_id("models-publish")).to_have_count(0)
        await accessible(page)
        await picture(page, "workbench-models-refused")

        (world.models / "candidates" / f"{fallen}.tar.gz").unlink()
        candidate = await world.candidate()
        await page.reload()
        await live(page)
        await page.get_by_label("Ce qui change, en une phrase").fill("Vélos volés : un exemple de plus")
        launcher.hold = asyncio.Event()
        await page.keyboard.press("Enter")
        progress = page.get_by_test_id("models-progress")
        await expect(progress).to_contain_text("En attente")
        await live(page)
        doing = asyncio.create_task(world.publisher.work())
        await expect(progress.locator("[aria-current=step]")).to_contain_text("Le nouveau moteur charge le modèle")
        await expect(page.get_by_test_id("models-current")).to_have_text(world.first)  # still
        await accessible(page)
        await picture(page, "workbench-models-progress")
        launcher.hold.set()
        assert await doing
        await expect(page.get_by_test_id("models-done")).to_contain_text("publié")  # without a reload by hand
        await expect(page.get_by_test_id("models-current")).to_have_text(candidate)
        await page.get_by_text("Qui répond avec quel modèle").click()
        await expect(page.get_by_test_id("models-who")).to_contain_text("127.0.0.1:5005")
        await page.get_by_test_id("models-going-back").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_test_id("models-version").last).to_contain_text("Vélos volés : un exemple de plus")
        await accessible(page)
        await picture(page, "workbench-models-back")

        await page.get_by_test_id("models-back").click()
        await expect(progress).to_contain_text("Retour en cours")
        await live(page)
        assert await world.publisher.work()
        await expect(page.get_by_test_id("models-current")).to_have_text(world.first)
        await page.set_viewport_size({"width": 320, "height": 900})
        await accessible(page)
        await picture(page, "workbench-models-narrow")


async def test_a_second_person_reads_what_victims_are_told(
    browser: Browser, console: RunningConsole, world: World
) -> None:
    world.reword("le 119 les enfants.", "le 119 les enfants et les adolescents.")
    world.reword("  - nom: adieux\n", "  - nom: adieux_ecrits\n", "data/danger.yml")
    async with someone(browser, console, "trainer") as page:
        world.user = next(iter(console.users.values()))
        candidate = await world.candidate()
        archive = world.models / "candidates" / f"{candidate}.tar.gz"
        await asyncio.to_thread(pseudonymiser().leftovers, "bonjour")  # both are read once a process
        await asyncio.to_thread(grave.touches, world.project, world.models, world.first, archive)
        await page.goto(f"{console.url}/atelier/modeles")
        await page.get_by_label("Ce qui change, en une phrase").fill("Le 119 vaut aussi pour les adolescents")
        await page.keyboard.press("Enter")
        waits = page.get_by_test_id("models-second")
        await expect(waits).to_contain_text("Attend une seconde personne")
        await expect(page.get_by_test_id("models-second-who")).to_contain_text("Aucun autre compte actif")
        await expect(page.get_by_test_id("models-approve")).to_have_count(0)
        await accessible(page)
        async with someone(browser, console, "administrator") as other:
            await other.goto(f"{console.url}/atelier/modeles")
            await expect(other.get_by_test_id("models-second").locator("ins").first).to_contain_text("les adolescents")
            await expect(other.get_by_test_id("models-second").locator("del").last).to_have_text("- nom: adieux")
            await other.get_by_test_id("models-refusing").focus()
            await other.keyboard.press("Enter")
            await expect(other.get_by_label("Ce qu’il faut changer")).to_be_visible()
            await accessible(other)
            await picture(other, "workbench-models-second")
            await other.set_viewport_size({"width": 320, "height": 900})
            await accessible(other)
            await picture(other, "workbench-models-second-narrow")
            await other.get_by_test_id("models-approve").click()
            await expect(other.get_by_test_id("models-progress")).to_contain_text("En attente")
        assert await world.publisher.work()
        await expect(page.get_by_test_id("models-current")).to_have_text(candidate)  # the author's page, by itself


async def refused(page: Page) -> None:
    """What looks personal stands below what was typed, with a box for each piece; at any width."""
    context = await page.context.browser.new_context(storage_state=await page.context.storage_state())  # type: ignore[union-attr]
    own = await context.new_page()  # which complains of the refusal, and may
    await own.goto(page.url)
    await own.get_by_test_id("models-overriding").click()
    await own.get_by_test_id("models-message").fill("Exemples de vol réécrits")
    reason = own.get_by_test_id("models-reason")
    await reason.fill("Cette intention sera scindée demain, avec Léa Morel.")
    await own.get_by_test_id("models-override").click()
    left = own.get_by_test_id("pseudonyms-left")
    await expect(left).to_contain_text("Léa Morel")
    await expect(reason).to_have_value("Cette intention sera scindée demain, avec Léa Morel.")
    await expect(own.get_by_test_id("models-message")).to_have_value("Exemples de vol réécrits")
    await accessible(own)
    await left.scroll_into_view_if_needed()
    await picture(own, "workbench-models-personal")
    await own.set_viewport_size({"width": 320, "height": 900})
    await accessible(own)
    await context.close()


async def test_an_administrator_overrides_by_keyboard(
    browser: Browser, console: RunningConsole, world: World, launcher: Launcher
) -> None:
    async with someone(browser, console, "administrator") as page:
        await asyncio.to_thread(pseudonymiser().leftovers, "bonjour")  # the French model is read once a process
        world.user = next(iter(console.users.values()))
        await world.candidate(fallen=True)
        await page.goto(f"{console.url}/atelier/modeles")
        await page.get_by_test_id("models-overriding").focus()
        await page.keyboard.press("Enter")
        await page.get_by_test_id("models-message").fill("Exemples de vol réécrits")
        await page.get_by_test_id("models-reason").fill("Cette intention sera scindée demain.")
        await accessible(page)
        await picture(page, "workbench-models-override")
        await refused(page)
        await page.get_by_test_id("models-override").click()
        await expect(page.get_by_test_id("models-progress")).to_be_visible()
        await live(page)
        assert await world.publisher.work()
        await expect(page.get_by_test_id("models-version").first).to_contain_text(
            "Cette intention sera scindée demain."
        )
