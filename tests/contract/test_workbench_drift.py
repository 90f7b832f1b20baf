"""Drift over real PostgreSQL and HTTP: weeks against data counted by hand, the roll-up, new subjects, what is never asked."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from datetime import date, datetime, timedelta, timezone
from html import unescape
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot.console import workbench_drift
from bot.console.workbench_drift import new_topics, subjects
from bot.core.clock import FrozenClock
from bot.core.dialogue import Understanding
from bot.store.volumes import RollUp
from bot.store.workbench import readings
from bot.store.workbench.drift import Drift, Understood, Unknown, opened
from bot.store.workbench.readings import NewReading
from bot.trainer.project import Project
from tests.conftest import of_part
from tests.fakes.console import Browser, RunningConsole
from tests.fakes.project import copied

PARIS = ZoneInfo("Europe/Paris")
SCOOTERS = (
    "Ma trottinette électrique est partie à la fourrière, comment la récupérer ?",
    "bonjour ils ont embarqué ma trottinette en fourriere",
    "trottinette a la fourrière quel prix svp",
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Files of the test's own."""
    return copied(tmp_path / "project", small=True)


async def message(
    console: RunningConsole,
    at: datetime,
    intent: str | None = "armes",
    route: str | None = "answer",
    confidence: float = 0.9,
    words: str = "bonjour à tous",
    person: str = "p",
    clarified: bool = False,
) -> int:
    """A message with its reading."""
    rows = await console.rows("SELECT id FROM conversations WHERE person = :person", person=person)
    if not rows:
        await console.execute(
            "INSERT INTO conversations (platform, account, person) VALUES ('messenger', '1', :person)", person=person
        )
        rows = await console.rows("SELECT id FROM conversations WHERE person = :person", person=person)
    (event,) = await console.rows(
        """INSERT INTO events (conversation_id, platform, account, key, kind, channel, at, received_at, body, disposition, route,
               intent)
           VALUES (:id, 'messenger', '1', gen_random_uuid(), 'text', 'messaging', :at, :at, '', 'answered', :route, :intent)
           RETURNING id""",
        id=rows[0].id, at=at, route=route, intent=intent,
    )  # fmt: skip
    ranking = ((intent or "armes", confidence),)
    read = NewReading((event.id,), at, words, Understanding(intent, confidence, ranking), route, clarified)
    async with console.database.begin() as connection:
        await readings.keep(connection, console.codec, [read], at)
    return int(event.id)


async def two_weeks(console: RunningConsole) -> None:
    """Counted by hand. Week of 5 January: 4 messages, 1 clarified, 1 handed off, 1 outside. Week of the 12th: 2, both low."""
    assert console.clock.now() == datetime(2026, 1, 15, 11, tzinfo=timezone.utc), "Thursday noon in Paris"
    monday = datetime(2026, 1, 4, 23, 30, tzinfo=timezone.utc)  # 00:30 in Paris: that week's, not the one before
    await message(console, monday)
    await message(console, monday + timedelta(days=1), "parler_humain", "handoff")
    await message(console, monday + timedelta(days=2), "hors_perimetre", "answer", words="il pleut demain")
    await message(console, datetime(2026, 1, 11, 22, 59, tzinfo=timezone.utc), "armes", "clarify", 0.3, clarified=True)
    await message(console, datetime(2026, 1, 11, 23, tzinfo=timezone.utc), "armes", "answer", 0.5)
    await message(console, datetime(2026, 1, 15, 10, tzinfo=timezone.utc), "armes", "answer", 0.59)


async def test_weeks_and_subjects_are_counted_the_same_with_and_without_the_roll_up(console: RunningConsole) -> None:
    await two_weeks(console)
    store, now = Drift(of_part(console.database, "worker"), PARIS), console.clock.now()
    before = await store.weeks(now, 3), await store.subjects(now, 28), await store.met(now)
    empty, last, current = before[0]
    assert [week.first for week in before[0]] == [date(2025, 12, 29), date(2026, 1, 5), date(2026, 1, 12)]
    assert (empty.received, empty.share("clarified"), empty.share("low")) == (0, None, None)
    assert (last.received, last.read, current.received, current.read) == (4, 4, 2, 2)
    assert [last.share(what) for what in ("clarified", "handed_off", "answered", "outside", "low")] == [
        0.25, 0.25, 0.5, 0.25, 0.25,
    ]  # fmt: skip
    assert [current.share(what) for what in ("answered", "low")] == [1.0, 1.0]
    assert before[1][0] == Understood("armes", 4, 1, 0, 3, 3)
    assert before[2] == {"armes": (4, 4), "parler_humain": (1, 1), "hors_perimetre": (1, 1)}
    assert await RollUp(of_part(console.database, "worker")).catch_up(now) > 0
    assert await store.catch_up(now) == 8  # from the 5th to the 12th; the last two days stay open
    assert await store.catch_up(now) == 0
    rolled = await console.rows("SELECT sum(n) AS n FROM reading_days")
    assert rolled[0].n == 5
    assert (await store.weeks(now, 3), await store.subjects(now, 28), await store.met(now)) == before
    # Counts stay when messages are deleted; later days are added to them.
    await console.execute("DELETE FROM readings WHERE at < '2026-01-12'")
    assert (await store.subjects(now, 28))[0].n == 4
    later = now + timedelta(days=3)
    assert await store.catch_up(later) == 3
    assert (await store.subjects(later, 28))[0].n == 4


async def test_subjects_that_nobody_asks_and_those_that_want_examples() -> None:
    figures = {"armes": Understood("armes", 90, 0, 0, 0, 0), "animaux": Understood("animaux", 10, 0, 0, 0, 0)}
    met = {"armes": (90, 90), "animaux": (10, 10), "permis_points": (0, 4)}
    examples = {"armes": 10, "animaux": 90, "procuration": 100}
    found = {one.intent: one for one in subjects(figures, met, examples)}
    assert [name for name, one in found.items() if one.wanting] == ["armes"]
    assert (found["permis_points"].month, found["permis_points"].quarter) == (0, 4)
    assert found["procuration"].quarter == 0
    assert found["danger_immediat"].quarter, "a danger is never called useless"
    assert all(one.examples is None and not one.wanting for one in subjects(figures, met, None))


def test_one_person_is_no_new_subject() -> None:
    at = datetime(2026, 1, 15, tzinfo=timezone.utc)
    alone = [Unknown(i, 1, at, words) for i, words in enumerate(SCOOTERS)]
    assert new_topics(alone) == ()
    (found,) = new_topics(
        [*alone, Unknown(9, 2, at, "trottinette fourrière"), Unknown(10, 3, at, "quel temps fait-il")]
    )
    assert (found.people, len(found.messages)) == (2, 4)


async def test_the_page_shows_figures_and_new_subjects_and_is_recorded(
    console: RunningConsole, trainer: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbench_drift, "REST", 0)  # else a slow first run, of nothing, is shown for long
    assert 'data-testid="empty"' in (await trainer.get("/atelier/suivi")).page
    assert await console.rows("SELECT 1 FROM audit WHERE action = 'drift_viewed'") == []
    await two_weeks(console)
    events = [
        await message(console, console.clock.now() - timedelta(days=i), None, "clarify", 0.2, words, f"q{i}", True)
        for i, words in enumerate(SCOOTERS)
    ]
    page = await trainer.get("/atelier/suivi?periode=26")
    for _ in range(900):  # made in a thread: the page comes first
        if 'data-testid="drift-topic"' in page.page:
            break
        await asyncio.sleep(0.2)
        page = await trainer.get("/atelier/suivi?periode=26")
    assert page.status == 200
    text = unescape(page.page)
    assert text.count('data-testid="drift-topic"') == 1
    assert "trottinette" in text
    assert "3\u00a0messages de 3\u00a0personnes" in text
    treat = re.search(r'href="/atelier/messages/(\d+)"[^>]*data-testid="drift-treat"', text)
    assert treat
    assert int(treat[1]) in events
    assert re.search(r'data-testid="drift-now-clarified">(\d+)\u00a0%', text)
    assert 'data-testid="drift-never"' in text
    assert "Armes" in text
    assert await console.rows("SELECT 1 FROM audit WHERE action = 'drift_viewed' AND cardinality(conversations) = 3")
    live = await trainer.get("/atelier/suivi", X_Planton_Live="1")
    assert live.page.lstrip().startswith("<section")


async def test_a_page_that_refreshes_itself_is_one_look(
    console: RunningConsole, trainer: Browser, wall: FrozenClock
) -> None:
    for i, words in enumerate(SCOOTERS):
        await message(console, console.clock.now() - timedelta(days=i), None, "clarify", 0.2, words, f"q{i}", True)
    looks = "SELECT detail FROM audit WHERE action = 'drift_viewed' ORDER BY id"
    while not await console.rows(looks):  # made in a thread: the page comes first
        await asyncio.sleep(0.2)
        await trainer.get("/atelier/suivi")
    await message(console, console.clock.now(), None, "clarify", 0.2, "quel temps fera-t-il", "q9", True)
    for _ in range(2):
        await trainer.get("/atelier/suivi", X_Planton_Live="1")
    assert len(await console.rows(looks)) == 1
    wall.advance(minutes=6)
    await trainer.get("/atelier/suivi", X_Planton_Live="1")
    assert len(await console.rows(looks)) == 2


async def test_the_file_holds_counts_only(console: RunningConsole, trainer: Browser) -> None:
    await two_weeks(console)
    answer = await trainer.get("/atelier/suivi.csv")
    rows = list(csv.reader(io.StringIO(answer.page.lstrip("\ufeff")), delimiter=";"))
    assert ["05/01/2026", "Fait reformuler", "", "1", "4", "25,0"] in rows
    assert any(row[1] == "Exemples" and row[2] == "Armes" and int(row[3]) > 0 for row in rows)
    assert "il pleut" not in answer.page
    assert [action for action, _ in await console.audit()][-1] == "export"


async def test_an_agent_may_not_look(claire: Browser) -> None:
    assert (await claire.get("/atelier/suivi")).status == 403
    assert (await claire.get("/atelier/suivi.csv")).status == 403


async def test_words_are_opened_only_for_what_waits(console: RunningConsole) -> None:
    event = await message(console, console.clock.now(), None, "clarify", 0.2, SCOOTERS[0], clarified=True)
    await message(console, console.clock.now(), "armes", "answer", 0.95, words="sûr")
    store, since = Drift(of_part(console.database, "worker"), PARIS), console.clock.now() - timedelta(days=1)
    (one,) = opened(console.codec, await store.unknown(since))
    assert (one.event, one.words) == (event, SCOOTERS[0])
    before = await store.state(since)
    await console.execute(
        "INSERT INTO reading_decisions (at, user_id, kind, messages) SELECT now(), :user, 'nothing', 1",
        user=(await console.user("Hugo", "trainer")).id,
    )
    await console.execute(
        "UPDATE readings SET decision_id = (SELECT max(id) FROM reading_decisions) WHERE event_id = :id", id=event
    )
    assert await store.unknown(since) == []
    assert await store.state(since) != before
