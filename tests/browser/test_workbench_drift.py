"""Drift in a real Chromium: three months of messages, a new subject, what is never asked; on the phone and in the dark."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from bot.core.dialogue import Understanding
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.volumes import RollUp
from bot.store.workbench import readings
from bot.store.workbench.readings import NewReading
from tests.browser.conftest import by_day
from tests.browser.helpers import accessible, part, picture, someone
from tests.conftest import of_part
from tests.fakes.console import RunningConsole, running_console
from tests.fakes.project import copied

# Every day of three months; more and more of them are misunderstood.
MESSAGES = """
    WITH made AS (
        INSERT INTO events (conversation_id, platform, account, key, kind, channel, at, received_at, body, disposition, route,
            intent)
        SELECT :conversation, 'messenger', '1', gen_random_uuid(), 'text', 'messaging', x.at, x.at, '', 'answered',
            CASE WHEN (n * 13 + d) % 100 < 22 - d / 6 THEN 'clarify' WHEN n % 6 = 0 THEN 'handoff' ELSE 'answer' END,
            (ARRAY['recrutement_concours', 'plainte_comment', 'perte_vol_documents', 'procuration', 'contravention',
                'reclamation_police', 'remerciements', 'arnaque_cyber', 'armes', 'nuisances_sonores', 'hors_perimetre',
                'suivi_plainte'])[1 + (n * 7 + d) % 12]
        FROM generate_series(0, 88) d, generate_series(1, 14) n,
            LATERAL (SELECT CAST(:now AS timestamptz) - d * interval '1 day' - n * interval '11 minutes' AS at) x
        RETURNING id, at, route, intent)
    INSERT INTO readings (event_id, conversation_id, platform, at, read_at, words, ranking, intent, confidence, danger, route,
        clarified, model, unknown, reasons, weight, group_id)
    SELECT id, :conversation, 'messenger', at, at, '', '[]', intent, CASE WHEN id % 7 = 0 THEN 0.4 ELSE 0.9 END, 0, route,
        route = 'clarify', '', 0, '{}', 0, id FROM made
"""
NEW = (
    "Ma trottinette électrique est partie à la fourrière, comment la récupérer ?",
    "bonjour ils ont embarqué ma trottinette en fourriere",
    "trottinette a la fourrière quel prix svp",
    "La fourrière a pris ma trottinette, où aller ?",
    "J’ai le droit de faire voler un drone au-dessus de ma maison ?",
    "drone qui vole au dessus de la maison c'est autorisé ?",
    "Un drone vole tous les soirs au-dessus de notre maison <b>",
    "combien de temps cuire un œuf",
)


@pytest.fixture
async def console(
    database: Database, database_url: str, codec: Codec, browser: Browser, tmp_path: Path
) -> AsyncIterator[RunningConsole]:
    """A console with the trainers' files."""
    project = copied(tmp_path / "project", small=True)
    async with running_console(database, database_url, codec, by_day(), project=project) as running:
        yield running
        await part(browser)


async def three_months(console: RunningConsole) -> None:
    """The past, and what was asked lately."""
    now = console.clock.now()
    await console.execute("INSERT INTO conversations (platform, account, person) VALUES ('messenger', '1', 'past')")
    past = (await console.rows("SELECT max(id) AS id FROM conversations"))[0].id
    await console.execute(MESSAGES, conversation=past, now=now)
    for i, words in enumerate(NEW):
        number = await console.says(f"n{i}", words)
        event = (await console.rows("SELECT max(id) AS id FROM events WHERE conversation_id = :id", id=number))[0].id
        await console.execute("UPDATE events SET route = 'clarify', disposition = 'answered' WHERE id = :id", id=event)
        read = NewReading((event,), now - timedelta(hours=i + 1), words, Understanding(None, 0.2), "clarify", True)
        async with console.database.begin() as connection:
            await readings.keep(connection, console.codec, [read], now)
    await RollUp(of_part(console.database, "worker")).catch_up(now)


async def test_a_trainer_follows_what_people_ask(console: RunningConsole, browser: Browser) -> None:
    async with someone(browser, console, "trainer") as page:
        await page.goto(f"{console.url}/atelier/suivi")
        await expect(page.get_by_test_id("empty")).to_be_visible()
        await accessible(page)
        await three_months(console)
        await page.goto(f"{console.url}/atelier/suivi")
        topics = page.get_by_test_id("drift-topic")
        await expect(topics).to_have_count(2, timeout=60_000)  # they may come a moment later, by themselves
        await expect(topics.first).to_contain_text("trottinette")
        await expect(topics.first).to_contain_text("4\u00a0messages de 4\u00a0personnes")
        await expect(page.get_by_test_id("drift-now-clarified")).to_contain_text("%")
        await expect(page.get_by_test_id("drift-never").first).to_be_visible()
        await accessible(page)
        await page.mouse.move(0, 0)
        await picture(page, "workbench-suivi")
        await page.get_by_test_id("drift-table").click()
        await topics.nth(1).locator("summary").click()
        await expect(topics.nth(1)).to_contain_text("<b>")
        await topics.nth(1).scroll_into_view_if_needed()
        await picture(page, "workbench-suivi-sujets")
        await page.get_by_test_id("drift-subjects").scroll_into_view_if_needed()
        await picture(page, "workbench-suivi-tableau")
        await page.emulate_media(color_scheme="dark")
        await page.set_viewport_size({"width": 320, "height": 800})
        await page.evaluate("scrollTo(0, 0)")
        await accessible(page)
        await picture(page, "workbench-suivi-etroit")
        await page.set_viewport_size({"width": 1280, "height": 900})
        async with page.expect_download() as download:
            await page.get_by_test_id("drift-export").click()
        assert (await download.value).suggested_filename.startswith("suivi-")
        await page.get_by_test_id("drift-span-52").click()
        await expect(page.get_by_test_id("drift-span-52")).to_have_attribute("aria-current", "page")
        # Where the group is treated: the page of that message in the inbox.
        await expect(topics.first.get_by_test_id("drift-treat")).to_have_attribute(
            "href", re.compile(r"^/atelier/messages/\d+$")
        )
