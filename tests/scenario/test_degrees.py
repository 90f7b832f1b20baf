"""A likely danger gets the numbers and an agent first, a faint one the ordinary reply; what was said before counts."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from pathlib import Path

import pytest
from sqlalchemy import text

from bot.policy.degree import REASONS
from bot.store.alarms import EVIDENCE
from bot.store.codec import Codec
from tests.fakes.sealed import opened_json
from tests.scenario.system import System, running

NIGHT = datetime(2026, 1, 15, 1, 30, tzinfo=timezone.utc)
LIKELY = "je suis un peu inquiète pour demain"  # hardly a danger to the score, also when it comes twice


async def alarms(system: System, person: str) -> list[tuple[str, str, bool]]:
    """(degree, detector, whether it stands with the open hand-off) of a person's alarms; the words that say so are theirs."""
    rows = await system.rows(
        """SELECT a.*, h.closed_at IS NULL AS stands FROM alarms a JOIN conversations c ON c.id = a.conversation_id
           LEFT JOIN handoffs h ON h.id = a.handoff_id WHERE c.person = :person ORDER BY a.id""",
        person=person,
    )
    for row in rows:
        quotes = opened_json(system.codec, EVIDENCE, row)
        assert quotes
        assert row.events
        assert b"inqui" not in bytes(row.evidence)
    return [(row.degree, row.detector, row.stands) for row in rows]


def gives_numbers(reply: str) -> bool:
    return "17" in reply and "114" in reply


async def test_a_likely_danger_is_one_complete_message_and_an_agent_first(system: System) -> None:
    await system.say("p1", LIKELY)
    await system.settled()
    [reply] = system.graph.texts("p1")
    assert gives_numbers(reply)
    assert "assistant automatique" in reply
    assert "un agent va lire" in reply
    [handoff] = await system.handoffs("p1")
    assert (handoff.category, handoff.priority) == ("sensitive", 1)
    assert handoff.reason in REASONS.values()
    assert await alarms(system, "p1") == [("likely", "engine", True)]
    assert await system.dispositions("p1") == [("text", "handed_off")]
    await system.say("p1", "toujours inquiète")
    await system.settled()
    assert len(system.graph.texts("p1")) == 1, "the same words are not said again"


async def test_a_sure_danger_after_a_likely_one_still_alarms(system: System) -> None:
    await system.say("p1", LIKELY)
    await system.settled()
    await system.say("p1", "il m'a voilee la face")
    await system.settled()
    first, second = system.graph.texts("p1")
    assert system.scripted(second)
    assert not system.scripted(first)
    assert [(h.category, h.priority) for h in await system.handoffs("p1")] == [("emergency", 0)]
    assert [degree for degree, _, _ in await alarms(system, "p1")] == ["likely", "sure"]


async def test_at_night_the_agents_on_duty_get_it_and_the_numbers_go_out(
    database_url: str, codec: Codec, tmp_path: Path
) -> None:
    async with running(database_url, codec, tmp_path, at=NIGHT) as system:
        await system.say("p1", "procuration")
        await system.settled(waiting=True)
        await system.say("p1", LIKELY)
        await system.settled(waiting=True)
        first, second = system.graph.texts("p1")
        assert gives_numbers(first)
        assert gives_numbers(second)
        [handoff] = await system.handoffs("p1")
        assert handoff.reason in REASONS.values()
        assert await alarms(system, "p1") == [("likely", "engine", True)]


async def test_who_waits_with_a_complaint_meets_the_numbers_once(system: System) -> None:
    await system.say("p1", "igpn")
    await system.settled()
    before = len(system.graph.texts("p1"))
    await system.say("p1", LIKELY)
    await system.settled()
    said = system.graph.texts("p1")
    assert len(said) == before + 1
    assert gives_numbers(said[-1])
    [handoff] = await system.handoffs("p1")
    assert (handoff.category, handoff.priority) == ("sensitive", 1)
    [stood] = [row.stood for row in await system.rows("SELECT stood FROM alarms")]
    assert stood["category"] == "complaint"
    await system.say("p1", LIKELY)
    await system.settled()
    assert len(system.graph.texts("p1")) == before + 1


async def test_under_an_agent_the_hand_off_is_raised_and_nothing_is_said(system: System) -> None:
    await system.say("p1", "igpn")
    await system.settled()
    async with system.database.begin() as connection:
        await connection.execute(text("UPDATE conversations SET owner = 'agent', owner_version = owner_version + 1"))
    before = len(system.graph.texts("p1"))
    await system.say("p1", LIKELY)
    await system.settled()
    assert len(system.graph.texts("p1")) == before
    [handoff] = await system.handoffs("p1")
    assert handoff.priority == 1
    assert handoff.reason in REASONS.values()
    assert await alarms(system, "p1") == [("likely", "engine", True)]


async def test_an_operation_after_a_question_about_the_exam_is_no_danger(system: System) -> None:
    await system.say("p1", "le concours")
    await system.settled()
    await system.say("p1", "j'ai eu une opération")
    await system.settled()
    assert ("understand", "le concours\nj'ai eu une opération") in system.engine.calls
    reply = system.graph.texts("p1")[-1]
    assert not reply.startswith(("Écrire ici n’alerte personne", "Merci de l’avoir écrit"))
    assert gives_numbers(reply), "a faint danger: the ordinary reply with the line"
    assert await system.handoffs("p1") == []
    assert await alarms(system, "p1") == [], "a faint one is no alarm"
    await system.say("p2", "j'ai eu une opération")
    await system.settled()
    assert system.graph.texts("p2")[-1].count("SMS au 114") == 1
    [alone] = await system.handoffs("p2")
    assert alone.reason in ("danger_probable", "detresse_probable"), "alone it may be one"
    [alarm] = await system.rows("SELECT * FROM alarms")
    assert opened_json(system.codec, EVIDENCE, alarm) == ["opération"], "what the engine says that it went by"


async def test_a_message_taken_again_keeps_its_words_and_a_refusal_makes_it_likely(system: System) -> None:
    await system.say("p1", "le concours")
    await system.say("p2", "le concours")
    await system.settled()
    await system.say("p1", "j'ai eu une opération à Lyon")
    await system.settled()
    assert system.engine.meant == [("j'ai eu une opération à Lyon", "hors_perimetre_precision")]
    system.engine.refuses_meant = True
    await system.say("p2", "j'ai eu une opération")
    await system.settled()
    assert gives_numbers(system.graph.texts("p2")[-1])
    assert [h.reason for h in await system.handoffs("p2")] == ["danger_probable"]


async def test_a_danger_waits_for_a_second_reading_only_where_that_could_tell_otherwise(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    await system.say("p1", "le concours")
    await system.say("p2", "il me frappe depuis un an")
    await system.settled()
    await system.say("p2", "il m'a voilee la face")
    await system.settled()
    assert not [said for _, said in system.engine.calls if "\n" in said], "violence before: nothing denies it"
    assert [h.category for h in await system.handoffs("p2")] == ["emergency"]
    monkeypatch.setattr("bot.worker.turn.TOGETHER_WITHIN", 0.0)
    system.engine.slow = 0.01
    await system.say("p1", "il m'a voilee la face")
    await system.settled()
    assert [h.category for h in await system.handoffs("p1")] == ["emergency"], "a slow engine denies nothing"


async def test_what_goes_on_after_violence_is_a_danger(system: System) -> None:
    await system.say("p1", "ça recommence")
    await system.say("p2", "il me frappe depuis un an")
    await system.settled()
    assert await system.handoffs("p1") == []
    await system.say("p2", "ça recommence")
    await system.settled()
    assert "Écrire ici n’alerte personne" in system.graph.texts("p2")[-1]
    assert system.scripted(system.graph.texts("p2")[-1]), "whichever words for now fit best"
    assert [h.reason for h in await system.handoffs("p2")] == ["emergency_lexicon"]


async def test_what_goes_on_after_a_distress_reads_the_3114(system: System) -> None:
    await system.say("p1", "je veux mourir, j’ai avalé tous mes cachets")
    await system.settled()
    assert "3114" in system.graph.texts("p1")[-1]
    await system.later(minutes=40)
    await system.say("p1", "ça recommence")
    await system.settled()
    assert system.graph.texts("p1")[-1].count("3114") == 1
    assert [row.emergency_kind for row in await system.rows("SELECT emergency_kind FROM conversations")] == ["distress"]


NO_CALL = "Je ne peux pas appeler, je ne peux pas parler."  # an entry of the lexicon that is not sure by itself


@pytest.mark.parametrize("before", ["concours de gardien", "procuration", "igpn"])
async def test_an_alarm_waits_for_nobody_in_whatever_talk(system: System, before: str) -> None:
    await system.say("p1", before)
    await system.settled()
    system.engine.free.clear()  # nobody but the gateway
    await system.say("p1", NO_CALL)
    await said(system, "p1", 2)
    system.engine.free.set()
    assert system.scripted(system.graph.texts("p1")[1])
    assert [h.category for h in await system.handoffs("p1")] == ["emergency"]


async def said(system: System, person: str, count: int) -> None:
    """Wait until so many replies reached a person."""
    async with asyncio.timeout(20):
        while len(system.graph.texts(person)) < count:
            await asyncio.sleep(0.02)


def behind_a_tap(system: System, person: str, words: str) -> object:
    """One webhook: a tap that asks for a human, and words written after it."""
    tap = system.message(person, "Signaler un trafic", quick_reply={"payload": "/signalement_trafic"})
    return system.body(tap, system.message(person, words))


async def test_what_stands_behind_a_grave_message_is_read_though_the_bot_is_silent_now(system: System) -> None:
    await system.post(behind_a_tap(system, "p1", LIKELY))
    await system.post(behind_a_tap(system, "p2", "il m'a voilee la face"))
    await system.post(behind_a_tap(system, "p3", "rue des lilas"))
    await system.settled()
    first, numbers = system.graph.texts("p1")
    assert first.startswith("Je suis un assistant automatique. signalement_trafic")
    assert gives_numbers(numbers)
    [handoff] = await system.handoffs("p1")
    assert (handoff.category, handoff.reason in REASONS.values()) == ("sensitive", True)
    assert await alarms(system, "p1") == [("likely", "engine", True)]
    assert await system.dispositions("p1") == [("quick_reply", "handed_off"), ("text", "handed_off")]
    [reply] = system.graph.texts("p2")
    assert system.scripted(reply), "a sure one takes the place of all that was to be said"
    assert [h.category for h in await system.handoffs("p2")] == ["emergency"]
    assert len(system.graph.texts("p3")) == 1
    [handoff] = await system.handoffs("p3")
    assert handoff.category == "witness"
    assert await system.dispositions("p3") == [("quick_reply", "handed_off"), ("text", "to_agent")]
