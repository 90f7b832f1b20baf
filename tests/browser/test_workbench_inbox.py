"""A trainer at the inbox, by keyboard alone: the list, one message after the other, a group, marks, undo; two at once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from bot.console.workbench_inbox_example import Bench
from bot.core.dialogue import Understanding
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.workbench.readings import NewReading, keep
from bot.trainer.project import Project
from tests.browser.conftest import by_day
from tests.browser.helpers import accessible, part, picture, someone
from tests.fakes.console import RunningConsole, running_console
from tests.fakes.engine import ScriptedEngine
from tests.fakes.project import copied

NLU = "data/nlu.yml"
PATIENCE = 20_000  # milliseconds: a decision writes the file and reads it again
SAID = (
    (
        "j’en peux plus il me surveille tout le temps et il me fait peur",
        ("violences_conjugales", 0.52, "danger_immediat", 0.09),
    ),
    (
        "on a cabossé ma portière sur le parking du marché, je veux porter plainte mais contre qui",
        ("plainte_comment", 0.41, "suivi_plainte", 0.33),
    ),
    (
        "g perdu ma carte grise dans le tram à Lyon, merci de m’appeler, Camille Durand",
        ("perte_vol_documents", 0.38, "contravention", 0.3),
    ),
    (
        "vous vendez des billets pour le concert de samedi ?",
        ("hors_perimetre", 0.44, "commissariat_contact_horaires", 0.2),
    ),
    (
        "qui peut aller voter à ma place si je suis hospitalisé, concours de circonstances",
        ("procuration", 0.5, "recrutement_concours", 0.4),
    ),
)
GROUP = "combien de temps faut-il attendre la réponse du procureur après une plainte"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Files of the test's own."""
    return copied(tmp_path / "project", small=True)


@pytest.fixture
async def console(
    browser: Browser, database: Database, database_url: str, codec: Codec, project: Project
) -> AsyncIterator[RunningConsole]:
    """A console that works on them; what its first page would wait for is loaded."""
    await asyncio.to_thread(Bench(project).warm)
    async with running_console(
        database, database_url, codec, by_day(), engine=ScriptedEngine(), project=project
    ) as started:
        yield started
        await part(browser)


async def read(console: RunningConsole, person: str, words: str, first: str, chance: float, *second: Any) -> int:
    """Somebody wrote, and the engine read it so."""
    conversation = await console.says(person, words)
    found = await console.rows("SELECT max(id) AS id FROM events WHERE conversation_id = :id", id=conversation)
    ranking = ((first, chance), (second[0], second[1])) if second else ((first, chance),)
    danger = 0.09 if "danger_immediat" in second else 0.01
    now = console.clock.now()
    reading = NewReading((found[0].id,), now, words, Understanding(first, chance, ranking, danger=danger), "answer")
    async with console.database.begin() as connection:
        await keep(connection, console.codec, [reading], now)
    return int(found[0].id)


async def test_a_morning_at_the_inbox_without_a_mouse(
    browser: Browser, console: RunningConsole, project: Project
) -> None:
    for number, said in enumerate(SAID):
        await read(console, f"p{number}", said[0], *said[1])
    for number, end in enumerate(("", " ?", " svp")):
        await read(console, f"g{number}", GROUP + end, "suivi_plainte", 0.48, "plainte_comment", 0.4)
    async with someone(browser, console, "trainer") as page:
        keys = page.keyboard
        await keys.press("g")
        await keys.press("w")
        await page.wait_for_url("**/atelier")
        await expect(page.get_by_test_id("inbox-row")).to_have_count(6)
        await expect(page.get_by_test_id("inbox-count")).to_contain_text(
            "8\u00a0messages à regarder, en 6\u00a0groupes"
        )
        await expect(page.get_by_test_id("inbox-row").first).to_contain_text("il me fait peur")
        await accessible(page)
        await picture(page, "workbench-inbox")

        # The first one: what was understood, and why.
        await keys.press("j")
        await keys.press("Enter")
        await page.wait_for_url(re.compile(r"/atelier/messages/\d+"))
        await expect(page.get_by_test_id("inbox-guesses")).to_contain_text("Violences")
        await expect(page.get_by_test_id("inbox-near")).to_be_visible()
        await accessible(page)
        await picture(page, "workbench-message")
        first = page.url
        await keys.press("1")
        await expect(page.get_by_test_id("inbox-told")).to_contain_text("confirmé", timeout=PATIENCE)
        assert page.url != first
        assert "il me surveille tout le temps" in project.git("diff", NLU)

        # Taken back, and chosen otherwise.
        await keys.press("z")
        await page.wait_for_url(first + "**")
        assert project.git("diff", NLU) == ""
        await keys.press("2")
        await expect(page.get_by_test_id("inbox-told")).to_contain_text("corrigé en", timeout=PATIENCE)

        # A group at once, by a search among all intents.
        while "procureur" not in await page.get_by_test_id("inbox-words").inner_text():
            await keys.press("p")
            await expect(page.get_by_test_id("inbox-told")).to_contain_text("plus tard", timeout=PATIENCE)
        await expect(page.get_by_test_id("inbox-group")).to_contain_text("2\u00a0autres messages disent")
        await accessible(page)
        await picture(page, "workbench-group")
        await keys.press("i")
        await expect(page.get_by_test_id("inbox-search")).to_be_focused()
        await keys.type("deposee copie")
        await expect(page.get_by_test_id("inbox-intents").locator("li:visible")).to_have_count(1)
        await keys.press("ArrowDown")
        await picture(page, "workbench-intents")
        await keys.press("Enter")
        await expect(page.get_by_test_id("inbox-told")).to_contain_text("3\u00a0messages", timeout=PATIENCE)

        # A mark by selecting a word; the name is no longer there.
        await page.goto(f"{console.url}/atelier?intention=perte_vol_documents&etat=plus-tard")
        if await page.get_by_test_id("inbox-open").count() == 0:
            await page.goto(f"{console.url}/atelier?intention=perte_vol_documents")
        await keys.press("o")
        await expect(page.get_by_test_id("inbox-example")).not_to_have_value(re.compile("Camille Durand"))
        await keys.press("r")
        box = page.get_by_test_id("inbox-example")
        await expect(box).to_be_focused()
        await box.evaluate("(box) => box.setSelectionRange(box.value.indexOf('Lyon'), box.value.indexOf('Lyon') + 2)")
        await keys.press("Shift+ArrowRight")
        await keys.press("Shift+ArrowRight")
        await keys.press("F2")
        await expect(page.get_by_test_id("inbox-entity")).to_be_focused()
        await keys.type("ville")
        await keys.press("Enter")
        await expect(box).to_have_value(re.compile(r"tram à \[Lyon\]\(ville\)"))
        await picture(page, "workbench-mark")
        await keys.press("Escape")
        await keys.press("1")
        await expect(page.get_by_test_id("inbox-told")).to_be_visible(timeout=PATIENCE)
        assert re.search(
            r"^\+ +- g perdu ma carte grise dans le tram à \[Lyon\]\(ville\)", project.git("diff", NLU), re.MULTILINE
        )
        assert "Camille" not in project.git("diff", NLU)


async def test_two_trainers_at_one_message_and_a_narrow_screen(
    browser: Browser, console: RunningConsole, project: Project
) -> None:
    event = await read(console, "p", SAID[1][0], *SAID[1][1])
    await read(console, "q", SAID[3][0], *SAID[3][1])
    small = {"width": 320, "height": 700}
    async with (
        someone(browser, console, "trainer") as one,
        someone(browser, console, "trainer", "Théo Blin", viewport=small, color_scheme="dark") as other,
    ):
        for page in (one, other):
            await page.goto(f"{console.url}/atelier/messages/{event}")
        await accessible(other)
        await picture(other, "workbench-message-narrow")
        await one.keyboard.press("1")
        await expect(one.get_by_test_id("inbox-told")).to_be_visible(timeout=PATIENCE)
        await expect(other.get_by_test_id("inbox-decided")).to_contain_text("Inès Roux")
        await other.get_by_test_id("inbox-pick-2").click()
        await expect(other.get_by_test_id("alert")).to_contain_text("a déjà décidé", timeout=PATIENCE)
        await other.goto(f"{console.url}/atelier")
        await accessible(other)
        await picture(other, "workbench-inbox-narrow")
    rows = await console.rows("SELECT kind, intent FROM reading_decisions")
    assert [tuple(row) for row in rows] == [("confirmed", "plainte_comment")]


async def test_what_was_typed_stays_when_the_message_goes(browser: Browser, console: RunningConsole) -> None:
    event = await read(console, "p1", SAID[1][0], *SAID[1][1])
    await console.execute("UPDATE events SET route = 'emergency', reason = 'lexicon' WHERE id = :id", id=event)
    async with someone(browser, console, "trainer") as page:
        await page.goto(f"{console.url}/atelier/messages/{event}")
        await expect(page.get_by_test_id("inbox-alarm")).to_contain_text("lexique")
        await page.get_by_test_id("inbox-example").fill("ma portière est cabossée, contre qui porter plainte")
        await picture(page, "workbench-alarm")
        await console.execute("DELETE FROM readings")
        await page.get_by_test_id("inbox-pick-1").click()
        await expect(page.get_by_test_id("inbox-typed")).to_have_value(
            "ma portière est cabossée, contre qui porter plainte", timeout=PATIENCE
        )
        await expect(page.get_by_test_id("alert")).to_be_focused()
        await accessible(page)
        await picture(page, "workbench-gone")
        await page.get_by_test_id("inbox-back").click()
        await expect(page.get_by_test_id("empty")).to_be_visible()
