"""A trainer reads a conversation, makes a story and a test of it, and tries a candidate beside the model in service."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace as changed
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from bot.console.workbench_trial import TOKEN
from bot.core.dialogue import QuickReply, Reply, Turn
from bot.store import news
from bot.store.codec import Codec
from bot.store.db import Database
from bot.trainer import pseudonyms
from bot.trainer.project import Project
from bot.trainer.trial import READY, Trial
from tests.browser.conftest import by_day
from tests.browser.helpers import accessible, live, part, picture, someone
from tests.fakes import project as projects
from tests.fakes import talks
from tests.fakes.console import RunningConsole, running_console
from tests.fakes.engine import ScriptedEngine
from tests.fakes.trial import ScriptedCandidate, candidate, scripted_judge

PHONE = {"width": 320, "height": 700}
DESK = {"width": 1280, "height": 900}


@pytest.fixture
def files(tmp_path: Path) -> Project:
    return projects.copied(tmp_path / "project", small=True)


@pytest.fixture
def scripted() -> ScriptedCandidate:
    return ScriptedCandidate(engine=Learned(), slow=True)


class Learned(ScriptedEngine):
    """Knows one more subject than the model in service, and asks about it."""

    async def turn(  # type: ignore[override]
        self, sender: str, text: str, state: object, payload: str | None = None, meant: str | None = None
    ) -> Turn:
        found = await super().turn(sender, text.replace("papiers", "procuration"), state, payload)  # type: ignore[arg-type]
        if found.understanding.intent != "procuration":
            return found
        meant = changed(
            found.understanding,
            intent="perte_vol_documents",
            ranking=(("perte_vol_documents", 0.84), ("plainte_comment", 0.09)),
        )
        asked = Reply("De quel document s’agit-il\u202f?", (QuickReply("Passeport", "/plainte_comment"),))
        return changed(found, understanding=meant, replies=(asked,))


@pytest.fixture
async def console(
    browser: Browser, database: Database, database_url: str, codec: Codec, files: Project, scripted: ScriptedCandidate
) -> AsyncIterator[RunningConsole]:
    (files.root / "models").mkdir(exist_ok=True)
    (files.root / "models" / "5688599802fe2e8c.tar.gz").write_bytes(b"")
    candidate(files, "0a1b2c3d4e5f6071")
    trial = Trial(scripted, scripted_judge())
    async with running_console(
        database, database_url, codec, by_day(), project=files, trial=trial, engine=ScriptedEngine()
    ) as started:
        yield started
        await part(browser)


async def papers(console: RunningConsole) -> int:
    number, _ = await talks.turn(
        console,
        "p1",
        "bonjour c'est Karim Benali, j'ai perdu mes papiers hier soir, mon num 06 12 34 56 78",
        "perte_vol_documents",
        "Je suis un assistant automatique. De quel document s’agit-il\u202f?",
        confidence=0.71,
        also=(("plainte_comment", 0.14), ("autre_procedure", 0.06), ("pre_plainte_en_ligne", 0.03)),
    )
    await talks.turn(
        console,
        "p1",
        "mon passeport",
        "perte_vol_documents",
        "Passeport perdu\u00a0: faites la déclaration de perte en demandant le nouveau. "
        "Les pièces à apporter sont sur service-public.gouv.fr.",
        entities={"document": "passeport"},
        also=(("autre_procedure", 0.05),),
    )
    await talks.turn(
        console,
        "p1",
        "et sinon",
        "hors_perimetre",
        "Pouvez-vous le dire autrement\u202f?",
        route="clarify",
        confidence=0.21,
    )
    await talks.turn(
        console,
        "p1",
        "je veux parler à quelqu'un",
        "parler_humain",
        "Un agent va vous lire.",
        route="handoff",
        confidence=0.93,
    )
    slots = {"document": "passeport"}
    await talks.remembers(
        console, number, {"v": 1, "slots": slots, "question": None, "misses": 0, "told": {"date": ["hier soir", 1]}}
    )
    return number


async def seen(page: Page, name: str) -> None:
    """Light, dark, on a phone: nothing is wrong with it."""
    await accessible(page)
    await picture(page, f"workbench-{name}")
    await page.emulate_media(color_scheme="dark")
    await accessible(page)
    await picture(page, f"workbench-{name}-dark")
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size(PHONE)
    await accessible(page)
    await picture(page, f"workbench-{name}-phone")
    await page.set_viewport_size(DESK)


async def test_a_trainer_reads_a_conversation_and_makes_a_story_and_a_test_of_it(
    console: RunningConsole, browser: Browser, files: Project
) -> None:
    await asyncio.to_thread(pseudonyms.pseudonymiser().leftovers, "bonjour")  # the French model is read once a process
    number = await papers(console)
    await talks.turn(console, "p2", "procuration", "procuration", "Voici.")
    await talks.turn(console, "p3", "il me frappe", "violences_conjugales", "Un agent.", route="handoff")
    await talks.turn(console, "p4", "il a un couteau", "danger_immediat", "Appelez le 17", route="emergency")
    before = files.read("data/stories.yml")
    async with someone(browser, console, "trainer") as page:
        await page.goto(console.url + "/atelier/conversations")
        await expect(page.get_by_test_id("talks-row")).to_have_count(4)
        await seen(page, "talks")
        await page.get_by_test_id("talks-show").select_option("clarify")
        await page.get_by_test_id("talks-filter").click()
        await page.get_by_test_id("talks-open").click()
        await expect(page.get_by_role("heading", name=f"Conversation {number}")).to_be_visible()
        await expect(page.get_by_test_id("talk-turn")).to_have_count(4)
        await seen(page, "talk")

        ticks = page.get_by_test_id("talk-tick")
        await ticks.nth(2).uncheck()
        await page.get_by_test_id("talk-name").fill("passeport perdu puis agent")
        await page.get_by_test_id("talk-story").click()
        await expect(page.get_by_test_id("talk-draft")).to_contain_text("- story: passeport perdu puis agent")
        await expect(page.get_by_test_id("talk-draft")).not_to_contain_text("Karim")
        assert files.read("data/stories.yml") == before
        await accessible(page)
        await page.get_by_test_id("talk-add").click()
        await expect(page.get_by_test_id("talk-made")).to_contain_text("passeport perdu puis agent")
        assert files.read("data/stories.yml").startswith(before)

        await page.get_by_test_id("talk-name").fill("passeport perdu")
        await page.get_by_test_id("talk-test").click()
        words = page.get_by_test_id("talk-words")
        await expect(words.first).not_to_have_value(re.compile("Karim|06 12"))
        await expect(page.get_by_test_id("pseudonyms-one").first).to_contain_text("Karim")
        await seen(page, "talk-confirm")
        await words.first.fill("bonjour, j'ai perdu mes papiers hier soir")
        await page.get_by_test_id("talk-add").click()
        await expect(page.get_by_test_id("talk-undo")).to_have_count(2)
        [written] = files.path("tests/engine/conversations").glob("*.yml")
        assert "j''ai perdu mes papiers hier soir" in written.read_text()

        await page.get_by_test_id("talk-undo").nth(1).click()
        await expect(page.get_by_test_id("talk-undo")).to_have_count(1)
        assert files.read("data/stories.yml") == before


async def test_a_trainer_tries_a_candidate_beside_the_model_in_service(
    console: RunningConsole, browser: Browser, scripted: ScriptedCandidate
) -> None:
    async with someone(browser, console, "trainer") as page:
        await page.goto(console.url + "/atelier/essayer")
        await page.get_by_test_id("trial-start").click()
        await expect(page.get_by_test_id("trial-status")).to_contain_text("Il démarre")
        await live(page)
        scripted.state = changed(scripted.state, phase=READY)
        async with console.database.begin() as connection:
            await news.topic(connection, TOKEN)
        await expect(page.get_by_test_id("trial-status")).to_contain_text("Prêt.")

        field = page.get_by_test_id("trial-message")
        await field.fill("je veux porter plainte")
        await field.press("Enter")
        await expect(page.get_by_text("Même réponse")).to_be_visible()
        await expect(field).to_be_focused()
        await field.fill("j'ai perdu mes papiers")
        await page.get_by_test_id("trial-send").click()
        await expect(page.get_by_test_id("trial-exchange")).to_have_count(2)
        await expect(page.get_by_text("Différent : le sujet, la suite, la réponse")).to_be_visible()
        await expect(page.get_by_test_id("trial-new").last).to_contain_text("documents perdus ou volés")
        await page.get_by_text("Classement").last.click()
        await seen(page, "trial")
        await page.get_by_role("button", name="Passeport").click()
        await expect(page.get_by_test_id("trial-exchange")).to_have_count(3)
        await page.get_by_test_id("trial-reset").click()
        await expect(page.get_by_test_id("trial-exchange")).to_have_count(0)
        await page.get_by_test_id("trial-stop").click()
        await expect(page.get_by_test_id("trial-status")).to_contain_text("Choisissez un candidat")
