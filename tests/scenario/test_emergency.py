"""Danger: answered at once, at any hour, whoever owns the conversation, whatever is broken."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from bot.sender.deps import Timing
from bot.store.codec import Codec
from tests.fakes.graph import Mood, Script
from tests.fakes.sealed import opened_json
from tests.scenario.system import DAY, System, running

NIGHT = datetime(2026, 1, 15, 1, 30, tzinfo=timezone.utc)
HELP = "au secours il a un couteau il défonce la porte"


async def slots(system: System, person: str) -> dict[str, Any]:
    """The fields of the person's only hand-off."""
    [handoff] = await system.handoffs(person)
    return dict(opened_json(system.codec, "handoffs.slots", handoff))


def is_emergency(reply: str) -> bool:
    return "écrire ici n’alerte personne" in reply.lower() and "17" in reply and "114" in reply


async def test_one_complete_message_at_once_and_a_hand_off(system: System) -> None:
    await system.say("p1", HELP)
    await system.graph.wait_for("p1")
    await system.settled()
    [reply] = system.graph.texts("p1")
    assert is_emergency(reply)
    assert await system.dispositions("p1") == [("text", "emergency")]
    [handoff] = await system.handoffs("p1")
    assert (handoff.category, handoff.priority, handoff.old) == ("emergency", 0, False)
    assert system.engine.calls == []
    assert await slots(system, "p1") == {}


async def test_the_cry_and_what_follows_it_say_where(system: System) -> None:
    """The follow-up that gets the short line is settled by the gateway, and is read there."""
    await system.say("p1", f"{HELP}, 12 rue Hugo à Lens")
    await system.settled()
    assert await slots(system, "p1") == {"lieu": "12 rue Hugo à Lens"}
    await system.say("p1", "rue des lilas, pardon")
    await system.settled()
    assert [d for _, d in await system.dispositions("p1")] == ["emergency", "emergency"]
    assert (await slots(system, "p1"))["lieu"] == "rue des lilas"
    await system.say("p1", "mon numéro 06 12 34 56 78")
    await system.settled()
    assert [d for _, d in await system.dispositions("p1")] == ["emergency", "emergency", "to_agent"]
    assert (await slots(system, "p1"))["telephone"] == "06 12 34 56 78"


async def test_what_was_told_before_the_cry_goes_with_it(system: System) -> None:
    await system.say("p1", "comment porter plainte, j'habite rue des lilas à Lens")
    await system.settled()
    assert await system.handoffs("p1") == []
    await system.say("p1", HELP)
    await system.settled()
    assert await slots(system, "p1") == {"lieu": "rue des lilas à Lens"}


async def test_told_in_two_messages_with_the_place(system: System) -> None:
    await system.say("p1", "rue des lilas il a un")
    await system.settled()
    await system.say("p1", "couteau")
    await system.graph.wait_for("p1", 2)
    await system.settled()
    assert (await slots(system, "p1"))["lieu"] == "rue des lilas"


async def test_told_in_two_messages(system: System) -> None:
    await system.say("p1", "il a un")
    await system.settled()
    await system.say("p1", "couteau")
    await system.graph.wait_for("p1", 2)
    await system.settled()
    assert is_emergency(system.graph.texts("p1")[-1])


async def test_told_in_two_messages_of_which_the_second_came_first(system: System) -> None:
    now = system.clock.now()
    await system.say("p1", "porte avec une hache", at=now)
    await system.settled()
    await system.say("p1", "il est devant ma", at=now - timedelta(seconds=4))  # Meta brought it again, after a refusal
    await system.graph.wait_for("p1", 2)
    await system.settled()
    assert is_emergency(system.graph.texts("p1")[-1])


async def test_the_reminder_comes_at_most_every_two_minutes(system: System) -> None:
    await system.say("p1", HELP)
    await system.settled()
    await system.say("p1", "rue des lilas")
    await system.settled()
    await system.say("p1", "au quatrième étage")
    await system.settled()
    texts = system.graph.texts("p1")
    assert len(texts) == 2
    assert "17" in texts[1] and "114" in texts[1] and len(texts[1]) < 120
    assert [d for _, d in await system.dispositions("p1")] == ["emergency", "emergency", "to_agent"]
    await system.later(minutes=3)
    await system.say("p1", "vite")
    await system.settled()
    assert len(system.graph.texts("p1")) == 3
    await system.later(minutes=40)
    await system.say("p1", "merci")
    await system.settled()
    assert len(system.graph.texts("p1")) == 3


async def test_an_earlier_reply_that_leaves_slowly_does_not_hold_it_up(
    database_url: str, codec: Codec, tmp_path: Path
) -> None:
    async with running(database_url, codec, tmp_path, timing=Timing(grace=0.1)) as system:
        system.graph.script(Script(latency=10.0))
        await system.say("p1", "comment porter plainte")
        async with asyncio.timeout(180):
            while not system.graph.tried("p1"):
                await asyncio.sleep(0.01)
        await system.say("p1", HELP)
        [first] = await system.graph.wait_for("p1", timeout=180)
        assert is_emergency(first)


async def test_the_bots_unsent_words_are_withdrawn(system: System) -> None:
    async with system.database.begin() as connection:
        pause = text("INSERT INTO accounts (account, paused_until) VALUES ('1000', :until)")
        await connection.execute(pause, {"until": system.clock.now() + timedelta(hours=1)})
    await system.say("p1", "comment porter plainte")
    rows = []
    while not rows:
        rows = await system.rows("SELECT id FROM outbox")
    await system.say("p1", HELP)
    await system.graph.wait_for("p1")
    await system.settled()
    assert len(system.graph.texts("p1")) == 1
    rows = await system.rows("SELECT author, status FROM outbox ORDER BY id")
    assert [(r.author, r.status) for r in rows] == [("bot", "cancelled"), ("emergency", "sent")]
    assert [d for _, d in await system.dispositions("p1")] == ["to_agent", "emergency"]


async def test_under_an_agent(system: System) -> None:
    await system.say("p1", "igpn")
    await system.settled()
    async with system.database.begin() as connection:
        await connection.execute(text("UPDATE conversations SET owner = 'agent', owner_version = owner_version + 1"))
    await system.say("p1", HELP)
    await system.settled()
    assert is_emergency(system.graph.texts("p1")[-1])
    owner = await system.rows("SELECT owner, category FROM conversations")
    assert (owner[0].owner, owner[0].category) == ("agent", "emergency")


async def test_at_night(database_url: str, codec: Codec, tmp_path: Path) -> None:
    async with running(database_url, codec, tmp_path, at=NIGHT) as system:
        await system.say("p1", HELP)
        await system.settled()
        [reply] = system.graph.texts("p1")
        assert is_emergency(reply)
        assert "6\u00a0h" in reply
        await system.later(minutes=40)
        await system.say("p1", "plainte")
        await system.settled(waiting=True)
        assert len(system.graph.texts("p1")) == 1  # no night message after an emergency reply that night


async def test_standby_is_a_hand_off_only(system: System) -> None:
    await system.post(system.body(system.message("p1", HELP), channel="standby"))
    await system.settled()
    assert system.graph.texts("p1") == []
    assert [h.priority for h in await system.handoffs("p1")] == [0]
    assert await system.dispositions("p1") == [("text", "handed_off")]


@pytest.mark.parametrize(
    "words",
    [
        "help me he has a gun and he is going to kill me",
        "ayuda me quiere matar tiene un cuchillo",
        "he's got a gun",
        "socorro me quieren matar",
        "ساعدوني يريد أن يقتلني",
    ],
)
async def test_in_other_languages_the_reply_is_in_english_too(system: System, words: str) -> None:
    await system.say("p1", words)
    await system.settled()
    [reply] = system.graph.texts("p1")
    assert is_emergency(reply)
    assert "Writing here does not alert anyone" in reply
    assert len(reply.encode()) <= 1000


async def test_an_hour_late_and_a_day_late(system: System) -> None:
    await system.say("p1", HELP, at=DAY - timedelta(hours=2))
    await system.settled()
    [reply] = system.graph.texts("p1")
    assert reply.startswith("Si vous êtes toujours en danger")
    await system.say("p2", HELP, at=DAY - timedelta(hours=25))
    await system.settled()
    assert system.graph.texts("p2") == []
    [handoff] = await system.handoffs("p2")
    assert (handoff.priority, handoff.old) == (0, True)


async def test_a_reply_that_waited_is_worded_for_the_moment_at_which_it_leaves(
    database_url: str, codec: Codec, tmp_path: Path
) -> None:
    """Meta is away: what leaves two hours later says so, and is what agents see; what would leave a day later is theirs."""
    quick = Timing(longest_emergency_retry=0.2)
    async with running(database_url, codec, tmp_path, at=DAY, timing=quick) as system:
        for late, person in ((timedelta(hours=2), "p1"), (timedelta(hours=25), "p2")):
            system.graph.script(Script(Mood.ERROR, status=503, times=10_000))
            await system.say(person, "help me he has a knife")
            async with asyncio.timeout(60):
                while not system.graph.tried(person):
                    await asyncio.sleep(0.01)
            assert system.graph.tried(person)[0].startswith("Écrire ici")
            # Nothing is tried on the way to the later hour, at which Meta is back.
            system.graph.graph._scripts.clear()
            system.graph.script(Script(Mood.ERROR, status=503, times=1))
            system.clock.offset += late
            await system.settled()
        [reply] = system.graph.texts("p1")
        assert reply.startswith("Si vous êtes toujours en danger")
        assert is_emergency(reply.partition("\n\n")[2]) and "Writing here does not alert anyone" in reply
        [row] = await system.rows("SELECT * FROM outbox WHERE status = 'sent' AND author = 'emergency'")
        assert opened_json(codec, "outbox.message", row)["text"] == reply
        assert system.graph.texts("p2") == []
        assert await system.dispositions("p2") == [("text", "to_agent")]
        [handoff] = await system.handoffs("p2")
        assert (handoff.category, handoff.priority, handoff.reason, handoff.old) == (
            "emergency",
            0,
            "emergency_old",
            True,
        )


async def test_the_engine_sees_what_the_words_hide(system: System, codec: Codec) -> None:
    await system.say("p1", "une phrase voilee que seul le moteur comprend, gare du nord")
    await system.settled()
    assert is_emergency(system.graph.texts("p1")[-1])
    assert [h.reason for h in await system.handoffs("p1")] == ["emergency_engine"]
    assert await slots(system, "p1") == {"lieu": "gare du nord"}
    assert await system.dispositions("p1") == [("text", "emergency")]
    (alarm,) = await system.rows("SELECT * FROM alarms")
    (event,) = await system.rows("SELECT id FROM events")
    assert (alarm.detector, alarm.kind, alarm.events) == ("engine", "danger", [event.id])
    assert opened_json(codec, "alarms.evidence", alarm) == ["voilee"]  # the engine's own reasons


async def test_an_edit_into_danger(system: System) -> None:
    await system.say("p1", "bonjour", mid="m1")
    await system.settled()
    stamp = int(system.clock.now().timestamp() * 1000)
    edit = {"sender": {"id": "p1"}, "recipient": {"id": "1000"}, "timestamp": stamp}
    await system.post(system.body({**edit, "message_edit": {"mid": "m1", "text": HELP, "num_edit": 1}}))
    await system.settled()
    assert is_emergency(system.graph.texts("p1")[-1])


async def test_a_pin_after_the_cry_is_shown_to_agents(system: System) -> None:
    await system.say("p1", HELP)
    await system.settled()
    pin = [{"type": "location", "payload": {"coordinates": {"lat": 48.8, "long": 2.3}}}]
    await system.post(system.body(system.message("p1", None, attachments=pin)))
    await system.settled()
    assert await system.dispositions("p1") in (
        [("text", "emergency"), ("attachment", "emergency")],
        [("text", "emergency"), ("attachment", "to_agent")],
    )
    [handoff] = await system.handoffs("p1")
    assert handoff.raised_at > handoff.opened_at


async def test_with_the_database_stopped(database_url: str, codec: Codec, tmp_path: Path) -> None:
    dead = "postgresql://nobody@127.0.0.1:1/none"
    async with running(database_url, codec, tmp_path, proxy_url=dead) as system:
        body = system.body(system.message("p1", HELP))
        assert await system.post(body) == 503
        await system.graph.wait_for("p1")
        assert await system.post(body) == 503
        assert len(system.graph.texts("p1")) == 1
        assert is_emergency(system.graph.texts("p1")[0])
    async with running(database_url, codec, tmp_path) as system:
        assert await system.post(body) == 200
        await system.settled()
        assert system.graph.texts("p1") == []  # this Graph API is new: no second reply reached it
        assert [h.priority for h in await system.handoffs("p1")] == [0]
        assert await system.dispositions("p1") == [("text", "emergency")]


async def test_who_hits_reads_no_victims_words_and_an_agent_reads_him(system: System) -> None:
    await system.say("p1", "je frappe ma femme quand je suis en colere, je cherche un stage pour hommes violents")
    await system.settled()
    [reply] = system.graph.texts("p1")
    assert "Il est encore temps de vous arrêter" in reply
    assert system.texts["utter_agent_lira"] in reply
    assert "votre faute" not in reply
    [handoff] = await system.handoffs("p1")
    assert (handoff.category, handoff.reason) == ("sensitive", "violences_conjugales")


async def test_an_alarm_speaks_to_whom_it_is_about(system: System) -> None:
    await system.say("p1", "ma soeur a avale tous ses cachets elle se reveille plus au secours")
    await system.settled()
    [reply] = system.graph.texts("p1")
    assert "chaque minute compte" in reply
    assert "15 (Samu)" in reply
    assert "Votre vie compte" not in reply
