"""Degraded modes: the engine away for long, one apology, then the agents' queue; all away at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from sqlalchemy import text

from bot.policy.patience import Patience
from bot.store.codec import Codec
from tests.fakes.graph import PAGE
from tests.scenario.system import DAY, System, running

NOTICE, HANDOFF = Patience().notice, Patience().handoff
SORRY, LATE = "L’assistant automatique est en panne pour le moment.", "Je ne peux pas répondre pour le moment."


async def tried(system: System, more: int = 1) -> None:
    """Wait until the engine was asked in vain some more times."""
    goal = len(system.engine.calls) + more
    async with asyncio.timeout(60):
        while len(system.engine.calls) < goal:
            await system.wake()
            await asyncio.sleep(0.02)


async def in_the_inbox(system: System, words: str) -> None:
    """A human answers p1 in Meta's inbox."""
    echo = system.message(PAGE, words, mid="m_human", is_echo=True)
    echo["recipient"] = {"id": "p1"}
    await system.post(system.body(echo))


async def sent(system: System) -> None:
    """Wait until the outbox is empty, whatever still waits to be understood."""
    async with asyncio.timeout(60):
        while await system.rows("SELECT 1 FROM outbox WHERE status = 'queued'"):
            await asyncio.sleep(0.02)


async def goes_on(system: System, seconds: float) -> None:
    """Time passes while the engine is away, in steps like those of the worker."""
    await system.later(seconds=seconds)
    await tried(system)
    await sent(system)


async def test_one_apology_then_the_answer_in_order(system: System) -> None:
    system.engine.down = True
    await system.say("p1", "comment porter plainte ?")
    await tried(system)
    await goes_on(system, NOTICE.total_seconds() - 10)
    assert system.graph.texts("p1") == []
    await goes_on(system, 11)
    await goes_on(system, 30)
    await system.say("p1", "et la procuration")
    await goes_on(system, 60)
    [told] = system.graph.texts("p1")
    assert told.startswith(SORRY)
    assert "17" in told
    assert "114" in told
    system.engine.down = False
    await system.later(seconds=10)
    await system.settled()
    assert system.graph.texts("p1")[1:] == ["Je suis un assistant automatique. plainte_comment n° 1"]
    assert await system.dispositions("p1") == [("text", "answered")] * 2
    assert await system.handoffs("p1") == []


async def test_after_some_minutes_agents_get_it_and_the_bot_goes_on_with_what_is_new(system: System) -> None:
    system.engine.down = True
    await system.say("p1", "plainte à Lyon")
    await tried(system)
    await goes_on(system, NOTICE.total_seconds() + 1)
    await system.later(seconds=HANDOFF.total_seconds())
    await system.settled()
    assert [t.startswith(SORRY) for t in system.graph.texts("p1")] == [True]  # and nothing twice
    assert await system.dispositions("p1") == [("text", "handed_off")]
    [handoff] = await system.handoffs("p1")
    assert (handoff.category, handoff.reason) == ("request", "moteur")
    system.engine.down = False
    await system.later(seconds=10)
    await system.say("p1", "une procuration")
    await system.say("p2", "un concours")
    await system.settled()
    assert system.graph.texts("p1")[1:] == ["Je suis un assistant automatique. procuration n° 1"]
    assert len(system.graph.texts("p2")) == 1


async def test_a_second_outage_within_the_hour_makes_no_second_apology(system: System) -> None:
    for minutes in (0, 20):
        await system.later(minutes=minutes)
        system.engine.down = True
        await system.say("p1", "plainte")
        await tried(system)
        await goes_on(system, NOTICE.total_seconds() + 1)
        await goes_on(system, 30)
        system.engine.down = False
        await system.later(seconds=10)
        await system.settled()
    assert sum(t.startswith(SORRY) for t in system.graph.texts("p1")) == 1
    assert await system.dispositions("p1") == [("text", "answered")] * 2


async def test_no_apology_where_agents_take_over_first(database_url: str, codec: Codec, tmp_path: Path) -> None:
    patience = Patience(timedelta(hours=1), timedelta(0))
    async with running(database_url, codec, tmp_path, patience=patience) as system:
        system.engine.down = True
        await system.say("p1", "plainte")
        await system.settled()
        [told] = system.graph.texts("p1")
        assert told.startswith(LATE)
        assert [h.reason for h in await system.handoffs("p1")] == ["moteur"]


async def test_who_writes_again_in_the_same_outage_gets_no_further_apology(system: System) -> None:
    system.engine.down = True
    for words in ("plainte à Lyon", "et une procuration"):
        await system.say("p1", words)
        await tried(system)
        await goes_on(system, NOTICE.total_seconds() + 1)
        await system.later(seconds=HANDOFF.total_seconds())
        await system.settled()
    assert [t.startswith(SORRY) for t in system.graph.texts("p1")] == [True]
    assert await system.dispositions("p1") == [("text", "handed_off")] * 2


async def test_a_look_before_the_debounce_is_over_does_not_begin_the_outage_anew(
    database_url: str, codec: Codec, tmp_path: Path
) -> None:
    async with running(database_url, codec, tmp_path, debounce_ms=10_000) as system:
        system.engine.down = True
        await system.say("p1", "plainte")
        await system.later(seconds=11)
        await tried(system)
        await goes_on(system, 30)
        [before] = await system.rows("SELECT engine_away_since FROM conversations")
        await system.say("p1", "à Lyon")
        async with asyncio.timeout(60):
            while not await system.rows("SELECT 1 FROM events WHERE waiting = 'debounce'"):
                async with system.database.begin() as connection:
                    await connection.execute(
                        text("UPDATE conversations SET due_at = '2000-01-01' WHERE lease_until IS NULL")
                    )
                await system.wake()
                await asyncio.sleep(0.02)
        [after] = await system.rows("SELECT engine_away_since FROM conversations")
        assert after.engine_away_since == before.engine_away_since is not None


async def test_under_a_human_nothing_is_said_and_the_message_is_theirs(system: System) -> None:
    await system.say("p1", "plainte")
    await system.settled()
    system.engine.down = True
    await system.later(seconds=30)
    await in_the_inbox(system, "Je regarde")
    await system.say("p1", "merci, un concours")
    await tried(system)
    await goes_on(system, NOTICE.total_seconds() + 1)
    await system.later(seconds=HANDOFF.total_seconds())
    await system.settled()
    assert len(system.graph.texts("p1")) == 1
    assert (await system.dispositions("p1"))[-1] == ("text", "to_agent")
    assert await system.handoffs("p1") == []


async def test_a_human_in_the_inbox_who_answers_during_the_outage_keeps_the_word(system: System) -> None:
    system.engine.down = True
    await system.say("p1", "plainte")
    await tried(system)
    await system.later(seconds=30)
    await in_the_inbox(system, "Bonjour, j’arrive")
    async with asyncio.timeout(60):
        while not await system.rows("SELECT 1 FROM conversations WHERE owner = 'inbox'"):
            await asyncio.sleep(0.02)
    await goes_on(system, NOTICE.total_seconds())
    await system.later(seconds=HANDOFF.total_seconds())
    await system.settled()
    assert system.graph.texts("p1") == []
    [row] = await system.rows("SELECT owner FROM conversations WHERE person = 'p1'")
    assert row.owner == "inbox"


async def test_at_night_an_outage_that_is_dated_ahead_begins_now(
    database_url: str, codec: Codec, tmp_path: Path
) -> None:
    async with running(database_url, codec, tmp_path, at=DAY + timedelta(hours=16)) as system:
        system.engine.down = True
        await system.say("p1", "plainte")
        await tried(system)
        ahead = system.clock.now() + timedelta(hours=1)
        await system.rows("UPDATE conversations SET engine_away_since = :ahead RETURNING 1", ahead=ahead)
        await goes_on(system, 60)
        await tried(system)  # the turn before is written
        [row] = await system.rows("SELECT engine_away_since FROM conversations")
        assert row.engine_away_since <= system.clock.now()


async def test_at_night_its_message_leaves_and_agents_get_what_nobody_could_read(
    database_url: str, codec: Codec, tmp_path: Path
) -> None:
    async with running(database_url, codec, tmp_path, at=DAY + timedelta(hours=16)) as system:
        system.engine.down = True
        await system.say("p1", "mon mari me frappe depuis des années")
        [night] = await system.graph.wait_for("p1")
        assert "17" in night
        await goes_on(system, NOTICE.total_seconds() + 1)
        assert len(system.graph.texts("p1")) == 1
        await system.later(seconds=HANDOFF.total_seconds())
        await system.settled()
        assert len(system.graph.texts("p1")) == 1
        assert [h.reason for h in await system.handoffs("p1")] == ["moteur"]


async def test_the_morning_counts_its_own_minutes(database_url: str, codec: Codec, tmp_path: Path) -> None:
    """What waited for the morning is not taken for a message that the engine has kept waiting all night."""
    async with running(database_url, codec, tmp_path, at=DAY + timedelta(hours=16)) as system:
        await system.say("p1", "plainte")
        await system.settled(waiting=True)
        system.engine.down = True
        await system.later(hours=4)
        await tried(system, 2)
        assert len(system.graph.texts("p1")) == 1
        assert await system.rows("SELECT 1 FROM events WHERE waiting = 'night'")
        system.engine.down = False
        await system.later(seconds=10)
        await system.settled()
        assert await system.dispositions("p1") == [("text", "answered")]


async def test_emergencies_need_no_engine(system: System) -> None:
    system.engine.down = True
    await system.say("p1", "au secours il est en train de défoncer la porte avec une hache")
    await system.settled()
    [reply] = system.graph.texts("p1")
    assert "112" in reply
