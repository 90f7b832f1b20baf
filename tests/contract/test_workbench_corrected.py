"""What agents see otherwise: another subject for a request, another answer than was suggested; both reach the inbox."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.core.clock import FrozenClock
from bot.core.dialogue import Understanding
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.workbench.readings import NewReading, keep
from tests.fakes.catalogue import search
from tests.fakes.console import Browser, RunningConsole, running_console
from tests.fakes.engine import ScriptedEngine

SAID = "une procuration pour ma mère qui ne peut plus se déplacer"


@pytest.fixture
async def console(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, wall: FrozenClock
) -> AsyncIterator[RunningConsole]:
    """A console with an engine, which suggests replies."""
    async with running_console(
        database, database_url, codec, frozen_clock, wall, engine=ScriptedEngine(), catalogue=search
    ) as running:
        yield running


async def _read(console: RunningConsole, said: str = SAID, person: str = "p") -> int:
    """Somebody waits for an agent; the engine was sure of what it read."""
    number = await console.waiting(person, said)
    now = console.clock.now()
    found = await console.rows("SELECT max(id) AS id FROM events WHERE conversation_id = :id", id=number)
    understanding = Understanding("procuration", 0.97, (("procuration", 0.97), ("salutation", 0.01)))
    async with console.database.begin() as connection:
        await keep(connection, console.codec, [NewReading((found[0].id,), now, said, understanding, "answer")], now)
    return number


async def _marks(console: RunningConsole) -> list[tuple[list[str], str | None]]:
    rows = await console.rows("SELECT reasons, agent_intent FROM readings ORDER BY event_id")
    return [(list(row.reasons), row.agent_intent) for row in rows]


async def test_an_agent_gives_another_subject(console: RunningConsole, claire: Browser) -> None:
    number = await _read(console)
    assert await _marks(console) == [([], None)]
    page = await claire.get(f"/conversations/{number}")
    assert "subject-open" not in page.page  # it is nobody's yet
    await claire.act(number, "prendre")
    assert "subject-open" in (await claire.get(f"/conversations/{number}")).page
    assert (await claire.act(number, "sujet", sujet="reclamation_police")).status == 303
    handoff = await console.handoff(number)
    assert (handoff.intent, handoff.category, handoff.priority) == ("reclamation_police", "complaint", 3)
    assert await _marks(console) == [(["corrected"], "reclamation_police")]
    assert ("subject_corrected", number) in await console.audit()
    # A lighter subject takes neither urgency nor validation away.
    await claire.act(number, "sujet", sujet="procuration")
    handoff = await console.handoff(number)
    assert (handoff.intent, handoff.category, handoff.priority) == ("procuration", "complaint", 3)


async def test_a_request_is_raised_where_its_reading_cannot_be_read(console: RunningConsole, claire: Browser) -> None:
    number = await _read(console)
    await claire.act(number, "prendre")
    await console.execute("UPDATE readings SET words = '\\x00'")
    assert (await claire.act(number, "sujet", sujet="danger_immediat")).status == 303
    assert (await console.handoff(number)).category == "emergency"
    assert await _marks(console) == [(["corrected"], "danger_immediat")]


async def test_only_whoever_has_it_and_only_a_subject_of_ours(
    console: RunningConsole, claire: Browser, yanis: Browser
) -> None:
    number = await _read(console)
    await claire.act(number, "prendre")
    assert (await yanis.act(number, "sujet", sujet="armes")).status == 409
    assert (await claire.act(number, "sujet", sujet="n_importe_quoi")).status == 422
    assert (await claire.act(number, "sujet", sujet="")).status == 422
    assert await _marks(console) == [([], None)]


async def test_what_is_alike_stands_in_one_group_once_corrected(console: RunningConsole, claire: Browser) -> None:
    for person, said in (("a", SAID), ("b", SAID + " svp")):
        number = await _read(console, said, person)
        await claire.act(number, "prendre")
        await claire.act(number, "sujet", sujet="armes")
    groups = await console.rows("SELECT DISTINCT group_id FROM readings")
    assert len(groups) == 1


OTHERWISE = (
    "Bonjour, votre mère peut demander que des policiers passent chez elle ; appelez le commissariat de votre ville."
)


async def _suggested(console: RunningConsole, claire: Browser) -> int:
    """The agent sees a suggestion."""
    number = await _read(console)
    await claire.act(number, "prendre")
    assert (await claire.get(f"/conversations/{number}/suggestion")).status == 200
    return number


async def test_another_answer_than_was_suggested(console: RunningConsole, claire: Browser) -> None:
    number = await _suggested(console, claire)
    await claire.act(number, "repondre", message="Bonjour, je regarde.")
    assert await _marks(console) == [([], None)]  # that answers nothing yet
    await claire.act(number, "repondre", message=OTHERWISE)
    assert await _marks(console) == [(["answered"], None)]


async def test_the_canned_reply_that_was_taken_tells_the_subject(console: RunningConsole, claire: Browser) -> None:
    number = await _suggested(console, claire)
    canned = (await console.rows("SELECT id FROM canned_replies WHERE intent = 'plainte_comment'"))[0].id
    await claire.act(number, f"reponses-types/{canned}")
    await claire.act(number, "repondre", message=OTHERWISE)
    assert await _marks(console) == [(["answered"], "plainte_comment")]


async def test_so_does_the_question_of_the_catalogue(console: RunningConsole, claire: Browser) -> None:
    number = await _suggested(console, claire)
    assert (await claire.act(number, "catalogue", question="recrutement_aptitude/taille")).status == 204
    await claire.act(number, "repondre", message=OTHERWISE)
    assert await _marks(console) == [(["answered"], "recrutement_aptitude")]


async def test_a_suggestion_that_was_taken_is_no_other_answer(console: RunningConsole, claire: Browser) -> None:
    number = await _suggested(console, claire)
    await claire.act(number, "suggestion")
    await claire.act(number, "repondre", message=OTHERWISE)
    assert await _marks(console) == [([], None)]
