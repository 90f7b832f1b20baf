"""What the database refuses for good, in one conversation or one event: a human gets it, and nobody else waits for it."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from bot.core.dialogue import Turn, Understanding
from bot.meta.payloads import parse
from bot.store import unstorable as unstorable_events
from bot.store.codec import Codec
from bot.store.inbox import Inbox
from bot.worker import worker as claim_loop
from tests.conftest import of_part
from tests.fakes.sealed import opened
from tests.scenario.system import System

# A trigger that refuses what concerns one person, as a defect of the database or of ours would.
_REFUSES = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.conversation_id IN (SELECT id FROM conversations WHERE person = 'poison') {also} THEN
            RAISE 'refused' USING ERRCODE = '{state}';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER refuse BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION refuse();
"""


async def refuse(system: System, table: str, event: str, state: str = "23514", also: str = "") -> None:
    """Make a table refuse what concerns « poison »."""
    async with system.database.begin() as connection:
        statement = _REFUSES.format(table=table, event=event, state=state, also=also)
        await connection.exec_driver_sql(statement)


async def unstorable(system: System) -> None:
    """The database refuses a message, and a person."""
    async with system.database.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE events ADD CHECK (mid IS DISTINCT FROM 'm_poison')")
        await connection.exec_driver_sql("ALTER TABLE conversations ADD CHECK (person <> 'nobody')")


async def permit(system: System) -> None:
    """The defect is mended."""
    async with system.database.begin() as connection:
        await connection.exec_driver_sql("DROP FUNCTION refuse CASCADE")


def alarmed(system: System, monkeypatch: pytest.MonkeyPatch, intent: str = "danger_immediat") -> None:
    """The engine finds a danger in whatever it reads."""
    turn = system.engine.turn

    async def says(sender: str, text: str, state: Any, payload: str | None = None, meant: str | None = None) -> Turn:
        said = await turn(sender, text, state, payload, meant)
        return replace(said, understanding=replace(said.understanding, intent=intent, danger=0.99, confidence=0.99))

    monkeypatch.setattr(system.engine, "turn", says)


def poisoned(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine reads a byte that no text of PostgreSQL may hold."""
    turn = system.engine.turn

    async def says(sender: str, text: str, state: Any, payload: str | None = None, meant: str | None = None) -> Turn:
        said = await turn(sender, text, state, payload, meant)
        if "poison" not in text:
            return said
        return replace(said, understanding=replace(said.understanding, intent="plainte\0comment"))

    monkeypatch.setattr(system.engine, "turn", says)


@pytest.mark.parametrize("what", ["data", "check", "replies"])
async def test_a_turn_that_can_never_be_written_is_a_humans(
    system: System, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    if what == "data":
        poisoned(system, monkeypatch)
    elif what == "check":
        await refuse(system, "events", "UPDATE", also="AND NEW.disposition = 'answered'")
    else:  # not even the word that a human takes it from here
        await refuse(system, "outbox", "INSERT", state="22003")
    assert await system.say("poison", "plainte poison") == 200
    assert await system.say("other", "plainte pour un vélo") == 200
    await system.settled()
    assert await system.dispositions("poison") == [("text", "handed_off")]
    (handoff,) = await system.handoffs("poison")
    assert (handoff.category, handoff.reason) == ("request", "moteur")
    assert await system.dispositions("other") == [("text", "answered")]
    assert "the database refuses this" in caplog.text
    assert "vélo" not in caplog.text


async def test_a_conversation_with_which_nothing_can_be_done_waits_alone_and_longer_each_time(
    system: System, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    paused: list[float] = []
    put_off = system.worker._put_off

    async def count(*given: Any) -> None:
        await put_off(*given)
        (row,) = await system.rows(
            "SELECT lease_until - clock_timestamp() AS left FROM conversations WHERE person = 'poison'"
        )
        paused.append(row.left.total_seconds())
        if len(paused) < 3:  # as if the time had passed
            await system.rows("UPDATE conversations SET lease_until = NULL WHERE person = 'poison' RETURNING 1")

    monkeypatch.setattr(system.worker, "_put_off", count)
    await refuse(system, "events", "UPDATE")
    assert await system.say("poison", "plainte poison") == 200
    async with asyncio.timeout(60):
        while len(paused) < 3:
            await system.say("other", "plainte pour un vélo")
    assert paused[0] < 2 < paused[1] < 4 < paused[2] < 8
    assert all(record.levelno == logging.ERROR for record in caplog.records if "nor handed" in record.getMessage())
    assert caplog.text.count("neither answered nor handed to a human") >= 3
    await permit(system)
    await system.rows("UPDATE conversations SET lease_until = NULL WHERE person = 'poison' RETURNING 1")
    await system.settled()
    assert await system.dispositions("poison") == [("text", "answered")]


async def test_a_missing_privilege_is_waited_for_a_moment_and_told(
    system: System, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is the set-up's, and every conversation's: agents get it only where nobody mends it."""
    monkeypatch.setattr(claim_loop, "PAUSE_MAX", 0.01)
    await refuse(system, "outbox", "INSERT", state="42501")
    assert await system.say("poison", "plainte poison") == 200
    await system.settled()
    assert await system.dispositions("poison") == [("text", "handed_off")]
    assert caplog.text.count("neither answered nor handed to a human") == claim_loop.SETUP_TRIES
    assert "it lacks a privilege: GRANT it" in caplog.text


@pytest.mark.parametrize("what", ["data", "grant"])
async def test_a_danger_that_the_engine_found_is_answered_whatever_else_the_turn_held(
    system: System, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    alarmed(system, monkeypatch, "danger\0immediat" if what == "data" else "danger_immediat")
    if what == "grant":  # on what trainers alone look at
        await refuse(system, "readings", "INSERT", state="42501")
    assert await system.say("poison", "ma voisine est voilee") == 200
    await system.settled()
    (handoff,) = await system.handoffs("poison")
    assert handoff.category == "emergency"
    assert any("17" in str(sent) for sent in system.graph.texts("poison"))


@pytest.mark.parametrize("lane", ["emergency", "any"])
async def test_a_danger_whose_reply_cannot_be_written_is_handed_over_as_one(
    system: System, monkeypatch: pytest.MonkeyPatch, lane: str
) -> None:
    alarmed(system, monkeypatch)
    also = "AND NEW.lane = 'emergency'" if lane == "emergency" else ""
    await refuse(system, "outbox", "INSERT", state="22003", also=also)
    assert await system.say("poison", "ma voisine est voilee") == 200
    await system.settled()
    assert await system.dispositions("poison") == [("text", "handed_off")]
    (handoff,) = await system.handoffs("poison")
    assert (handoff.category, handoff.reason) == ("emergency", "emergency_unsent")
    assert len(system.graph.texts("poison")) == (
        1 if lane == "emergency" else 0
    )  # what can be said, which names the 17


@pytest.mark.parametrize("then", ["plainte pour un vélo", "ma voisine est voilee"])
async def test_a_message_that_cannot_be_read_is_an_agents_and_silences_no_danger(system: System, then: str) -> None:
    async with system.database.begin() as connection:
        await connection.exec_driver_sql("""
            CREATE FUNCTION alter_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                NEW.body = set_byte(NEW.body, 30, get_byte(NEW.body, 30) # 1);
                RETURN NEW;
            END $$;
            CREATE TRIGGER alter_it BEFORE INSERT ON events FOR EACH ROW WHEN (NEW.mid = 'm_poison') EXECUTE FUNCTION alter_it();
        """)
    system.graph.graph.person_wrote("poison", system.clock.now())
    first = system.message("poison", "plainte", mid="m_poison")
    assert await system.post(system.body(first, system.message("poison", then))) == 200
    await system.later(minutes=6)  # its key is not about to come
    await system.settled()
    (handoff,) = await system.handoffs("poison")
    if "voilee" in then:
        assert handoff.category == "emergency"
        assert any("17" in str(sent) for sent in system.graph.texts("poison"))
    else:
        assert (handoff.category, handoff.reason) == ("request", "unreadable")
        assert ("text", "handed_off") in await system.dispositions("poison")
        assert len(system.graph.texts("poison")) == 1  # what can be read is answered


async def test_an_event_that_can_never_be_stored_costs_its_neighbours_nothing(
    system: System, codec: Codec, caplog: pytest.LogCaptureFixture
) -> None:
    await unstorable(system)
    for person in ("before", "poison", "after"):
        system.graph.graph.person_wrote(person, system.clock.now())
    body = system.body(
        system.message("before", "plainte pour un vélo"),
        system.message("poison", "plainte", mid="m_poison"),
        system.message("poison", "procuration"),
        system.message("nobody", "bonjour"),
        system.message("after", "concours"),
    )
    for _ in range(2):  # and again, as Meta may
        assert await system.post(body) == 200
    await system.settled()
    assert await system.dispositions("before") == [("text", "answered")]
    assert await system.dispositions("after") == [("text", "answered")]
    (text, failed) = sorted(await system.dispositions("poison"))
    assert failed == ("unknown", "failed")
    assert text in (("text", "answered"), ("text", "to_agent"))  # the worker may have been there first
    (handoff,) = await system.handoffs("poison")
    assert (handoff.category, handoff.reason) == ("request", "unstorable")
    lost = await system.rows("SELECT conversation_id FROM events WHERE disposition = 'failed' ORDER BY id")
    assert [row.conversation_id is None for row in lost] == [False, True]
    kept = await system.rows("""
        SELECT d.id, d.raw, c.person FROM deliveries d JOIN events e ON e.delivery_id = d.id
        JOIN conversations c ON c.id = e.conversation_id
    """)
    for row in kept:
        raw = opened(codec, "deliveries.raw", row).decode()
        assert row.person in raw
        assert ("before" in raw) == (row.person == "before")  # nobody's words lie where another's are looked for
    assert "2 events, kept as failed" in caplog.text
    assert "vélo" not in caplog.text


async def test_what_is_caught_up_with_goes_on_past_what_can_never_be_stored(system: System) -> None:
    await unstorable(system)
    now = system.clock.now()
    body = system.body(
        system.message("poison", "plainte", mid="m_poison"), system.message("poison", "concours", mid="m_good")
    )
    events = [(event, None) for event in parse(json.dumps(body).encode(), now)]
    inbox = Inbox(of_part(system.database, "sender"), system.codec, system.inbox._rules)  # whose it is
    for new in (["m_good"], []):  # and nothing at the next walk
        found = await inbox.catch_up(json.dumps(body).encode(), events, ["m_poison", "m_good"], now)
        assert [event.mid for event, _ in found] == new
    assert ("unknown", "failed") in await system.dispositions("poison")
    assert len(await system.handoffs("poison")) == 1


async def test_a_danger_in_an_event_that_can_never_be_stored_is_answered_by_the_senders_door(system: System) -> None:
    await unstorable(system)
    system.graph.graph.person_wrote("poison", system.clock.now())
    body = system.body(system.message("poison", "au secours il me frappe avec un couteau", mid="m_poison"))
    assert await system.post(body) == 200
    assert await system.post(body) == 200
    assert len(system.graph.texts("poison")) == 1
    (handoff,) = await system.handoffs("poison")
    assert (handoff.category, handoff.reason) == ("emergency", "unstorable")


async def test_a_danger_in_two_events_that_can_never_be_stored_is_read_together(system: System) -> None:
    async with system.database.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE events ADD CHECK (NOT starts_with(mid, 'm_half'))")
    system.graph.graph.person_wrote("poison", system.clock.now())
    halves = (system.message("poison", words, mid=f"m_half{k}") for k, words in enumerate(("il veut", "me tuer")))
    assert await system.post(system.body(*halves)) == 200
    assert len(system.graph.texts("poison")) == 1
    assert [(one.category, one.reason) for one in await system.handoffs("poison")] == [("emergency", "unstorable")]


@pytest.mark.parametrize("first", ["je veux parler à un humain", "au secours il me frappe avec un couteau"])
@pytest.mark.parametrize("why", ["emergency_unsent", "unstorable"])
async def test_a_danger_that_gets_no_reply_rings_again_and_says_so_whatever_opened_the_hand_off(
    system: System, monkeypatch: pytest.MonkeyPatch, why: str, first: str
) -> None:
    understand = system.engine.understand

    async def hears(words: str) -> Understanding:
        said = await understand(words)
        grave = replace(said, intent="danger_immediat", danger=0.99, confidence=0.99)
        return grave if "voilee" in words else said

    async def unread() -> int:
        at = system.clock.now() + timedelta(minutes=10)
        return int((await system.rows("SELECT n FROM unread_emergencies(:at, :at)", at=at))[0].n)

    monkeypatch.setattr(system.engine, "understand", hears)
    await system.say("poison", first)
    await system.settled()
    async with system.database.begin() as connection:  # an agent has it, and looked
        await connection.execute(text("UPDATE handoffs SET taken_at = :at"), {"at": system.clock.now()})
    assert await unread() == 0
    await system.later(minutes=30)
    if why == "unstorable":
        await unstorable(system)
        words = "au secours il me frappe avec un couteau"
    else:
        await refuse(system, "outbox", "INSERT", state="22003", also="AND NEW.lane = 'emergency'")
        words = "ma voisine est voilee"
    system.graph.graph.person_wrote("poison", system.clock.now())
    await system.post(system.body(system.message("poison", words, mid="m_poison")))
    await system.settled()
    assert [(one.category, one.reason) for one in await system.handoffs("poison")] == [("emergency", why)]
    assert await unread() == 1


async def test_neighbours_of_an_event_that_cannot_even_be_kept_as_failed_are_answered_once(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    await unstorable(system)
    keep, failures = unstorable_events.keep, [OSError("gone"), OSError("gone")]

    async def fails_at_first(*given: Any, **named: Any) -> None:
        if failures:
            raise failures.pop()
        await keep(*given, **named)

    monkeypatch.setattr(unstorable_events, "keep", fails_at_first)
    for person in ("poison", "victim"):
        system.graph.graph.person_wrote(person, system.clock.now())
    body = system.body(
        system.message("poison", "plainte", mid="m_poison"),
        system.message("victim", "au secours il me frappe avec un couteau"),
    )
    assert [await system.post(body) for _ in range(3)] == [503, 503, 200]
    await system.settled()
    assert len(system.graph.texts("victim")) == 1
    (handoff,) = await system.handoffs("victim")
    assert handoff.category == "emergency"
    (handoff,) = await system.handoffs("poison")
    assert handoff.reason == "unstorable"


@pytest.mark.parametrize(("state", "people"), [("42804", "a"), ("XX002", "a"), ("23514", "ab")])
async def test_what_no_event_is_to_blame_for_is_sent_again(system: System, state: str, people: str) -> None:
    """Kept as failed, the words of a whole site would be lost to one wrong statement."""
    async with system.database.begin() as connection:
        await connection.exec_driver_sql(f"""
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN IF NEW.kind = 'text' THEN RAISE 'refused' USING ERRCODE = '{state}'; END IF; RETURN NEW; END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse();
        """)
    for person in people:
        system.graph.graph.person_wrote(person, system.clock.now())
    body = system.body(*(system.message(person, "plainte pour un vélo", mid=f"m_{person}") for person in people))
    assert await system.post(body) == 503
    assert await system.dispositions() == []
    await permit(system)
    assert await system.post(body) == 200
    await system.settled()
    assert await system.dispositions("a") == [("text", "answered")]
