"""What the worker keeps of each message that the engine read: by day, at night, in danger, under an agent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from bot.app import policy as policies
from bot.core.errors import EngineDown
from bot.settings import Settings
from bot.store.codec import Codec
from bot.store.workbench.alarms import Alarms
from bot.store.workbench.readings import WORDS
from bot.worker.alarms import AlarmReader
from tests.conftest import of_part
from tests.fakes.sealed import opened
from tests.scenario.system import DAY, System, running

NIGHT = datetime(2026, 1, 15, 1, 30, tzinfo=timezone.utc)  # 02:30 in Paris


@pytest.fixture
async def system(database_url: str, codec: Codec, tmp_path: Path) -> AsyncIterator[System]:
    """By day; whoever writes is read at once."""
    async with running(database_url, codec, tmp_path, at=DAY) as started:
        yield started


async def _readings(system: System) -> list[Any]:
    return await system.rows(
        """SELECT r.*, c.person, e.disposition FROM readings r JOIN conversations c ON c.id = r.conversation_id
           JOIN events e ON e.id = r.event_id ORDER BY r.event_id"""
    )


async def test_each_message_that_was_read_is_kept_once(system: System, codec: Codec) -> None:
    await system.say("1", "comment faire une procuration")
    await system.say("2", "zut alors je ne sais pas trop quoi demander")
    await system.say("3", "ma roue est voilee, que faire")
    await system.say("4", "")
    await system.settled()
    rows = {row.person: row for row in await _readings(system)}
    sure, lost, danger = rows["1"], rows["2"], rows["3"]
    assert set(rows) == {"1", "2", "3"}
    assert opened(codec, WORDS, sure).decode() == "comment faire une procuration"
    assert (sure.intent, sure.route, sure.clarified, sure.model, sure.weight) == (
        "procuration", "answer", False, "scripted", 0,
    )  # fmt: skip
    assert (lost.route, lost.clarified) == ("clarify", True)
    assert {"clarified", "low", "close", "outside"} <= set(lost.reasons)
    assert lost.weight > 0
    assert (danger.route, danger.intent, danger.reasons) == ("emergency", "danger_immediat", [])
    assert b"procuration" not in bytes(sure.words)


async def test_what_says_the_same_stands_together(system: System) -> None:
    said = "zut alors je ne sais pas trop quoi demander à propos de ce courrier"
    for person, end in (("1", ""), ("2", " ?"), ("3", " svp")):
        await system.say(person, said + end)
        await system.settled()
    await system.say("4", "et sinon rien du tout, je passais par là pour regarder")
    await system.settled()
    rows = {row.person: row.group_id for row in await _readings(system)}
    assert rows["1"] == rows["2"] == rows["3"] != rows["4"]


async def test_a_tap_and_a_withdrawn_message_leave_nothing(system: System) -> None:
    await system.say("1", "zut alors quoi", mid="m_gone")
    await system.settled()
    assert len(await _readings(system)) == 1
    withdrawn = system.message("1", None, mid="m_gone", is_deleted=True)
    await system.post(system.body(withdrawn))
    tap = system.message("5", "Porter plainte", quick_reply={"payload": "/plainte_comment"})
    await system.post(system.body(tap))
    await system.settled()
    rows = await system.rows("SELECT kind FROM events ORDER BY id")
    assert "quick_reply" in [row.kind for row in rows]
    assert await _readings(system) == []


async def test_read_at_night_and_again_in_the_morning_is_one_reading(
    database_url: str, codec: Codec, tmp_path: Path
) -> None:
    async with running(database_url, codec, tmp_path, at=NIGHT) as system:
        await system.say("1", "bonjour")
        await system.say("1", "zut alors je ne sais pas")
        await system.settled(waiting=True)
        assert [row.route for row in await _readings(system)] == ["answer", "answer"]
        await system.later(hours=3, minutes=31)
        await system.settled()
        [row] = await _readings(system)  # both were read as one
        assert len(row.also) == 1
        assert opened(codec, WORDS, row).decode() == "bonjour\nzut alors je ne sais pas"


async def test_what_an_agent_is_told_is_read_too(system: System) -> None:
    await system.say("1", "il parle de son frere qui le frappe au travail")
    await system.settled()
    await system.say("1", "zut alors vous etes la")
    await system.settled()
    assert [(row.intent, row.disposition) for row in await _readings(system)] == [
        ("violences_conjugales", "handed_off"),
        ("hors_perimetre", "to_agent"),
    ]


async def test_what_alarmed_the_gateway_is_read_afterwards(system: System, codec: Codec) -> None:
    triage = policies.build(Settings({})).triage
    alarms = Alarms(of_part(system.database, "worker"), codec)
    reader = AlarmReader(alarms, system.engine, system.clock, lambda words: triage(words) is not None, rest=0)
    await system.say("1", "quelqu'un me menace avec un pistolet", mid="m_1")
    await system.say("2", "ma roue est voilee et il me menace avec un couteau", mid="m_2")
    await system.say("3", "il y a quelqu'un qui me menace avec un couteau", mid="m_3")
    await system.say("4", "viens vite il me menace avec un couteau", mid="m_4")
    await system.settled()
    assert {(row.route, row.reason) for row in await system.rows("SELECT route, reason FROM events")} == {
        ("emergency", "lexicon")
    }
    assert (await _readings(system), system.engine.calls) == ([], [])  # the emergency lane asked nobody
    await system.post(system.body(system.message("3", None, mid="m_3", is_deleted=True)))  # withdrawn before
    system.engine.down = True
    with pytest.raises(EngineDown):
        await reader.step()
    system.engine.down = False
    while await reader.step():
        pass
    rows = {row.person: row for row in await _readings(system)}
    assert set(rows) == {"1", "2", "4"}
    false, sure = rows["1"], rows["2"]
    assert opened(codec, WORDS, false).decode() == "quelqu'un me menace avec un pistolet"
    assert (false.route, false.intent, false.reasons[0]) == ("emergency", "hors_perimetre", "danger")
    assert false.weight >= 100
    assert (sure.route, sure.intent, sure.weight) == ("emergency", "danger_immediat", 0)  # both agree: no doubt
    read = len(system.engine.calls)
    assert await reader.step() == 0
    assert len(system.engine.calls) == read


async def test_an_alarm_that_no_key_opens_hides_no_other(
    system: System, codec: Codec, caplog: pytest.LogCaptureFixture
) -> None:
    reader = AlarmReader(
        Alarms(of_part(system.database, "worker"), codec), system.engine, system.clock, lambda _: True, rest=0
    )
    await system.say("1", "quelqu'un me menace avec un pistolet", mid="m_1")
    await system.say("2", "il me menace avec un couteau", mid="m_2")
    await system.settled()
    async with system.database.begin() as connection:
        await connection.execute(text("UPDATE events SET body = decode('01ffff', 'hex') WHERE mid = 'm_2'"))
    while await reader.step():
        pass
    assert [row.person for row in await _readings(system)] == ["1"]
    assert sum("not readable: SettingsError" in one.getMessage() for one in caplog.records) == 1


async def test_a_message_withdrawn_while_it_is_read_leaves_nothing(system: System, codec: Codec) -> None:
    alarms = Alarms(of_part(system.database, "worker"), codec)
    await system.say("1", "au secours il me menace avec un couteau", mid="m_1")
    await system.say("2", "au secours il me menace avec un fusil", mid="m_2")
    await system.settled()
    found = {alarm.words.split()[-1]: alarm for alarm in await alarms.unread(system.clock.now(), (), 9)}
    assert set(found) == {"couteau", "fusil"}
    understood = await system.engine.understand("une question")
    await system.post(system.body(system.message("1", None, mid="m_1", is_deleted=True)))
    assert not await alarms.keep(found["couteau"], understood, system.clock.now())
    assert await alarms.keep(found["fusil"], understood, system.clock.now())
    assert not await alarms.keep(found["fusil"], understood, system.clock.now())  # another worker was quicker
    assert [row.person for row in await _readings(system)] == ["2"]
