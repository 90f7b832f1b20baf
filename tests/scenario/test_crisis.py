"""An open crisis through gateway, worker and sender: its message once a person, emergencies first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from bot.store.codec import Codec
from tests.fakes.engine import WORDS
from tests.scenario.system import System, running

NIGHT = datetime(2026, 1, 15, 1, 30, tzinfo=timezone.utc)  # 02:30 in Paris
MESSAGE = "Une attaque est en cours à Paris. Restez à l’abri."


async def opened(system: System) -> None:
    """The mode is open."""
    now = system.clock.now()
    async with system.database.begin() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO users (name, role) VALUES ('Claire', 'agent'), ('Denis', 'validator'), ('Alix', 'administrator')"
        )
    await system.rows(
        """INSERT INTO crises (message, written_by, written_at, validated_by, validated_at, opened_at, opened_by)
           SELECT :m, c.id, :now, d.id, :now, :now, a.id FROM users c, users d, users a
           WHERE c.name = 'Claire' AND d.name = 'Denis' AND a.name = 'Alix' RETURNING id""",
        m=MESSAGE,
        now=now,
    )


async def test_each_person_hears_of_it_once_and_known_answers_follow(system: System) -> None:
    await system.say("before", "que se passe-t-il ?")
    await system.settled()
    await opened(system)
    await system.say("p1", "que se passe-t-il à Paris ?")
    await system.say("p2", "comment faire une procuration")
    await system.say("before", "et maintenant ?")
    await system.settled()
    [told] = system.graph.texts("p1")  # in place of a question to rephrase, with the numbers
    assert told.startswith(MESSAGE)
    assert "17" in told
    assert "114" in told
    [handoff] = await system.handoffs("p1")
    assert (handoff.category, handoff.reason) == ("request", "crise")
    assert system.graph.texts("p2") == [MESSAGE, "Je suis un assistant automatique. procuration n° 1"]
    assert await system.handoffs("p2") == []
    assert [text for text in system.graph.texts("before") if text.startswith(MESSAGE)] != []
    await system.say("p1", "allô ?")
    await system.say("p2", "merci")
    await system.settled()
    for person in ("p1", "p2", "before"):
        assert len([text for text in system.graph.texts(person) if text.startswith(MESSAGE)]) == 1


async def test_a_guess_never_stands_behind_the_message(system: System) -> None:
    await opened(system)
    WORDS["parc"] = "hors_perimetre"
    try:
        await system.say("p1", "le parc est fermé ?")
        await system.settled()
    finally:
        del WORDS["parc"]
    [told] = system.graph.texts("p1")
    assert told.startswith(MESSAGE)
    assert "hors_perimetre" not in told
    assert [h.reason for h in await system.handoffs("p1")] == ["crise"]


async def test_an_emergency_gets_its_reply_and_never_the_message(system: System) -> None:
    await opened(system)
    await system.say("p1", "au secours il a un couteau il est devant ma porte")  # found by the gateway
    await system.say("p2", "elle est voilee")  # by the engine alone
    await system.say("p3", "mon voisin a disparu depuis hier")  # urgent
    await system.settled()
    for person in ("p1", "p2"):
        [reply] = system.graph.texts(person)
        assert "Personne n’est alerté" in reply or "n’alerte" in reply or "17" in reply
        assert MESSAGE not in reply
        assert [h.category for h in await system.handoffs(person)] == ["emergency"]
    assert MESSAGE not in " ".join(system.graph.texts("p3"))
    assert [h.category for h in await system.handoffs("p3")] == ["urgent"]


async def test_under_an_agent_nothing_is_said(system: System) -> None:
    await system.say("p1", "je veux parler à un humain")
    await system.settled()
    await opened(system)
    await system.rows(
        """UPDATE conversations SET owner = 'agent', agent_id = (SELECT min(id) FROM users),
               owner_version = owner_version + 1 RETURNING id"""
    )
    await system.say("p1", "vous êtes là ?")
    await system.settled()
    assert MESSAGE not in " ".join(system.graph.texts("p1"))


@pytest.fixture
async def night(database_url: str, codec: Codec, tmp_path: Path) -> AsyncIterator[System]:
    """Everything running at half past two."""
    async with running(database_url, codec, tmp_path, at=NIGHT) as started:
        yield started


async def test_at_night_agents_at_work_read_what_the_bot_cannot_answer(night: System) -> None:
    await opened(night)
    await night.say("p1", "que se passe-t-il à Paris ?")
    await night.say("p2", "comment faire une procuration")
    await night.say("p3", "mon voisin a disparu depuis hier")
    await night.settled(waiting=True)
    for person in ("p1", "p2"):
        first, second = sorted(night.graph.texts(person), key=lambda text: text.startswith(MESSAGE))
        assert "112" in first  # the night's own message is never left out
        assert second.startswith(MESSAGE)
    assert [h.reason for h in await night.handoffs("p1")] == ["crise"]
    assert await night.handoffs("p2") == []
    assert await night.dispositions("p2") == [("text", None)]  # answered in the morning, as ever
    assert MESSAGE not in " ".join(night.graph.texts("p3"))
    await night.say("p1", "toujours rien ?")
    await night.settled(waiting=True)
    assert len(night.graph.texts("p1")) == 2


async def test_a_voice_note_in_a_night_of_crisis_does_not_wait_for_the_morning(night: System) -> None:
    await opened(night)
    note = {"type": "audio", "payload": {"url": "https://cdn.example/a.mp4"}}
    await night.post(night.body(night.message("p1", None, attachments=[note])))
    await night.settled(waiting=True)
    assert [h.reason for h in await night.handoffs("p1")] == ["crise"]
    assert await night.dispositions("p1") == [("attachment", "handed_off")]
    assert len(night.graph.texts("p1")) == 2  # the night's message and the crisis's


async def test_what_is_not_understood_yet_does_not_call_for_the_message(night: System) -> None:
    await opened(night)
    night.engine.down = True
    await night.say("p1", "mon voisin a disparu depuis hier")  # urgent, once the engine is back
    await night.settled(waiting=True)
    assert MESSAGE not in " ".join(night.graph.texts("p1"))
    night.engine.down = False
    await night.later(seconds=10)
    for _ in range(3600):
        if await night.handoffs("p1"):
            break
        await night.later()
        await asyncio.sleep(0.05)
    assert [h.category for h in await night.handoffs("p1")] == ["urgent"]
    await night.settled(waiting=True)
    assert MESSAGE not in " ".join(night.graph.texts("p1"))
