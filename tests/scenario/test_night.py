"""The night: one message, everything understood, a bundle in the morning."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from bot.store.codec import Codec
from tests.scenario.system import System, running

NIGHT = datetime(2026, 1, 15, 1, 30, tzinfo=timezone.utc)  # 02:30 in Paris


@pytest.fixture
async def system(database_url: str, codec: Codec, tmp_path: Path) -> AsyncIterator[System]:
    """Everything running at half past two."""
    async with running(database_url, codec, tmp_path, at=NIGHT) as started:
        yield started


async def test_once_a_night_then_one_answer_in_the_morning(system: System) -> None:
    await system.say("p1", "bonjour")
    await system.settled(waiting=True)
    await system.say("p1", "comment porter plainte")
    await system.settled(waiting=True)
    [reply] = system.graph.texts("p1")
    assert "17" in reply
    assert "112" in reply
    assert await system.dispositions("p1") == [("text", None), ("text", None)]
    await system.later(hours=3, minutes=31)
    await system.settled()
    assert system.graph.texts("p1")[1:] == ["Je suis un assistant automatique. plainte_comment n° 1"]
    assert await system.dispositions("p1") == [("text", "answered")] * 2
    assert ("turn", "bonjour\ncomment porter plainte") in system.engine.calls


async def test_a_message_just_after_six_joins_the_bundle(system: System) -> None:
    await system.say("p1", "plainte une")
    await system.settled(waiting=True)
    async with system.database.begin() as connection:  # no worker looks until the new message is in
        from sqlalchemy import text

        await connection.execute(
            text("UPDATE conversations SET lease_until = clock_timestamp() + interval '2 seconds'")
        )
    await system.later(hours=3, minutes=30, seconds=5)
    await system.say("p1", "plainte deux")
    await system.settled()
    assert system.engine.calls[-1] == ("turn", "plainte une\nplainte deux")
    assert len(system.graph.texts("p1")) == 2


async def test_the_next_night_speaks_again(system: System) -> None:
    await system.say("p1", "plainte")
    await system.settled(waiting=True)
    await system.later(hours=24)
    await system.say("p1", "plainte")
    await system.settled(waiting=True)
    assert sum("17" in t and "112" in t for t in system.graph.texts("p1")) == 2


async def test_violence_at_night_is_handed_off_at_once_with_its_line(system: System) -> None:
    await system.say("p1", "mon mari me frappe depuis des années")
    await system.settled(waiting=True)
    [reply] = system.graph.texts("p1")
    assert "3919" in reply
    assert "pas lu" not in reply
    assert reply.count("114") == 1
    assert await system.dispositions("p1") == [("text", "handed_off")]
    assert [h.category for h in await system.handoffs("p1")] == ["sensitive"]


async def test_a_guess_of_violence_behind_a_question_of_the_catalogue_is_shown_at_night(system: System) -> None:
    read = system.engine._read
    rows = (("contravention", 0.55), ("violences_conjugales", 0.3))
    system.engine._read = lambda text: replace(read(text), intent="contravention", confidence=0.55, ranking=rows)  # type: ignore[method-assign]
    await system.say("p1", "une histoire d'amende et de mari")
    await system.settled()
    assert await system.dispositions("p1") == [("text", "handed_off")]
    assert [(h.category, h.reason) for h in await system.handoffs("p1")] == [("sensitive", "violences_conjugales")]


async def test_another_language_at_night_is_answered_in_two_and_handed_off(system: System) -> None:
    await system.say("p1", "please, who can help me with my procuration?")
    await system.settled(waiting=True)
    [reply] = system.graph.texts("p1")
    assert "La nuit" in reply
    assert "an officer will read" in reply
    assert await system.dispositions("p1") == [("text", "handed_off")]
    assert [(h.category, h.reason) for h in await system.handoffs("p1")] == [("request", "autre_langue")]
    await system.later(hours=7)
    await system.settled()
    assert len(system.graph.texts("p1")) == 1, "the officer answers, not the bot"


async def test_the_engine_away_at_night_does_not_stop_the_night_message(system: System) -> None:
    system.engine.down = True
    await system.say("p1", "mon fils a disparu")
    await system.graph.wait_for("p1")
    system.engine.down = False
    await system.later(seconds=6)
    await system.graph.wait_for("p1", 2)
    assert [h.category for h in await system.handoffs("p1")] == ["urgent"]
    assert any("116" in t for t in system.graph.texts("p1"))


async def test_an_edit_and_an_unsend_change_the_bundle(system: System) -> None:
    await system.say("p1", "plainte fausse", mid="m1")
    await system.say("p1", "à retirer plainte", mid="m2")
    await system.settled(waiting=True)
    stamp = int(system.clock.now().timestamp() * 1000)
    base = {"sender": {"id": "p1"}, "recipient": {"id": "1000"}, "timestamp": stamp}
    await system.post(system.body({**base, "message_edit": {"mid": "m1", "text": "procuration", "num_edit": 1}}))
    await system.post(system.body(system.message("p1", None, mid="m2", is_deleted=True)))
    await system.settled(waiting=True)
    await system.later(hours=4)
    await system.settled()
    assert system.engine.calls[-1] == ("turn", "procuration")


async def test_a_bundle_whose_window_closed_goes_to_agents(system: System) -> None:
    await system.say("p1", "plainte", at=NIGHT - timedelta(hours=20))
    await system.settled(waiting=True)
    await system.later(hours=5)
    await system.settled()
    assert len(system.graph.texts("p1")) == 1
    assert [h.reason for h in await system.handoffs("p1")] == ["window_closed"]


async def test_release_order(system: System) -> None:
    for person in ("p3", "p1", "p2"):
        await system.say(person, "plainte")
        await system.settled(waiting=True)
        await system.later(minutes=1)
    rows = await system.rows("SELECT person FROM conversations ORDER BY due_priority, due_at")
    assert [row.person for row in rows] == ["p3", "p1", "p2"]
    await system.later(hours=4)
    await system.settled()
    assert sorted(s.person for s in system.graph.sent[3:]) == ["p1", "p2", "p3"]
    rows = await system.rows("SELECT DISTINCT priority FROM outbox WHERE author = 'bot'")
    assert [row.priority for row in rows] == [7]


async def test_a_personal_answer_is_promised_only_where_a_person_answers(system: System) -> None:
    await system.say("p1", "comment faire une procuration")  # the bot, in the morning
    await system.say("p2", "igpn")  # an agent
    await system.settled(waiting=True)
    [bot], [agent] = system.graph.texts("p1"), system.graph.texts("p2")
    assert "Sinon, une réponse vous parviendra dans la journée." in bot
    assert "Sinon, une réponse personnelle vous parviendra dans la journée." in agent
