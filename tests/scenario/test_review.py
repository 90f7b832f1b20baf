"""Rules that meet each other: guards, owners, withdrawals and danger while a turn is under way."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from sqlalchemy import text

from bot.store.codec import Codec
from tests.fakes.engine import refused
from tests.scenario.system import DAY, System, running

NIGHT = datetime(2026, 1, 15, 1, 30, tzinfo=timezone.utc)  # 02:30 in Paris
INBOX_APP = 263902037430900
VEILED = "une phrase voilee que seul le moteur comprend"


def echo(person: str, at: datetime, mid: str = "m_inbox") -> dict[str, Any]:
    """A human's message in Meta's inbox."""
    return {
        "sender": {"id": "1000"},
        "recipient": {"id": person},
        "timestamp": int(at.timestamp() * 1000),
        "message": {"mid": mid, "is_echo": True, "app_id": INBOX_APP, "text": "Bonjour, je regarde."},
    }


def thread(person: str, action: str, at: datetime, **more: Any) -> dict[str, Any]:
    """Thread control that comes or goes."""
    stamp = int(at.timestamp() * 1000)
    return {"sender": {"id": person}, "recipient": {"id": "1000"}, "timestamp": stamp, f"{action}_thread_control": more}


async def hold_outbox(system: System) -> None:
    """Nothing of the bot leaves the page for now."""
    async with system.database.begin() as connection:
        pause = text("INSERT INTO accounts (account, paused_until) VALUES ('1000', :until)")
        await connection.execute(pause, {"until": system.clock.now() + timedelta(hours=1)})


async def free_outbox(system: System) -> None:
    """The page sends again."""
    async with system.database.begin() as connection:
        await connection.execute(text("UPDATE accounts SET paused_until = NULL"))
    await system.wake()


# -- the loop guard --------------------------------------------------------------------------------------------------


async def test_the_loop_guard_speaks_once_then_keeps_silent(system: System) -> None:
    for i in range(11):
        await system.say("p1", f"plainte {i}")
        await system.settled()
        await system.later(seconds=40)
    assert "Je m’arrête ici" in system.graph.texts("p1")[-1]
    for _ in range(3):  # the first answers are now more than ten minutes old, one after the other
        await system.later(minutes=1, seconds=20)
        await system.say("p1", "plainte")
        await system.settled()
    assert len(system.graph.texts("p1")) == 11
    assert [h.reason for h in await system.handoffs("p1")] == ["boucle"]
    assert [d for _, d in await system.dispositions("p1")][-3:] == ["to_agent"] * 3


async def test_the_loop_guard_opens_when_several_answers_pass_it_at_once(system: System) -> None:
    for i in range(9):
        await system.say("p1", f"plainte {i}")
        await system.settled()
    taps = [system.message("p1", "Porter plainte", quick_reply={"payload": "/plainte_comment"}) for _ in range(4)]
    await system.post(system.body(*taps))
    await system.settled()
    texts = system.graph.texts("p1")
    assert len(texts) == 11
    assert "Je m’arrête ici" in texts[-1]
    assert [h.reason for h in await system.handoffs("p1")] == ["boucle"]
    assert [d for _, d in await system.dispositions("p1")][-4:] == [
        "answered",
        "handed_off",
        "handed_off",
        "handed_off",
    ]


# -- who speaks ------------------------------------------------------------------------------------------------------


async def test_after_the_inbox_a_complaint_still_waits_for_its_agent(system: System) -> None:
    await system.say("p1", "igpn", at=DAY - timedelta(minutes=5))
    await system.settled()
    await system.post(system.body(echo("p1", system.clock.now())))
    await system.settled()
    await system.later(hours=25)
    await system.say("p1", "et ma plainte ?")
    await system.settled()
    assert len(system.graph.texts("p1")) == 1
    [row] = await system.rows("SELECT owner, category FROM conversations")
    assert (row.owner, row.category) == ("waiting", "complaint")


async def test_thread_control_that_returns_leaves_a_complaint_waiting(system: System) -> None:
    await system.say("p1", "igpn", at=DAY - timedelta(minutes=5))
    await system.settled()
    await system.post(system.body(echo("p1", system.clock.now())))
    await system.settled()
    back = thread("p1", "pass", system.clock.now(), new_owner_app_id="512340000000001")
    await system.post(system.body(back))
    await system.say("p1", "et ma plainte ?")
    await system.settled()
    assert len(system.graph.texts("p1")) == 1
    [row] = await system.rows("SELECT owner FROM conversations")
    assert row.owner == "waiting"


async def test_thread_control_that_changes_nothing_costs_no_answer(system: System) -> None:
    await hold_outbox(system)
    await system.say("p1", "plainte")
    while not await system.rows("SELECT id FROM outbox"):
        await asyncio.sleep(0.01)
    ours = thread("p1", "pass", system.clock.now(), new_owner_app_id="512340000000001")
    await system.post(system.body(ours))
    await free_outbox(system)
    await system.settled()
    assert len(system.graph.texts("p1")) == 1
    assert (await system.dispositions("p1"))[0] == ("text", "answered")


async def test_a_late_echo_does_not_take_back_what_a_newer_one_said(system: System) -> None:
    await system.say("p1", "plainte", at=DAY - timedelta(hours=5))
    await system.settled()
    await system.post(system.body(echo("p1", DAY, "m_new")))
    await system.settled()
    await system.post(system.body(echo("p1", DAY - timedelta(hours=4), "m_old")))
    await system.settled()
    [row] = await system.rows("SELECT last_agent_at, owner_until FROM conversations")
    assert row.last_agent_at == DAY
    assert row.owner_until == DAY + timedelta(hours=24)


async def test_metas_automation_whose_echo_overtakes_the_message(system: System) -> None:
    now = system.clock.now()
    await system.post(system.body(echo("p1", now + timedelta(milliseconds=400))))
    await asyncio.sleep(0.2)
    await system.say("p1", "plainte", at=now)
    await system.settled()
    assert len(system.graph.texts("p1")) == 1
    rows = await system.rows("SELECT reason FROM events WHERE kind = 'echo'")
    assert [r.reason for r in rows] == ["inbox_automation"]


async def test_the_introduction_is_said_although_the_first_reply_was_withdrawn(system: System) -> None:
    await hold_outbox(system)
    await system.say("p1", "plainte")
    while not await system.rows("SELECT id FROM outbox"):
        await asyncio.sleep(0.01)
    async with system.database.begin() as connection:  # an agent took it, and closed it again
        await connection.execute(text("UPDATE conversations SET owner = 'closed', owner_version = owner_version + 1"))
    await free_outbox(system)
    await system.settled()
    await system.say("p1", "procuration")
    await system.settled()
    [reply] = system.graph.texts("p1")
    assert reply.startswith("Je suis un assistant automatique. procuration")


async def test_nothing_is_said_in_standby_when_the_engine_refuses(system: System) -> None:
    system.engine.fail = [refused(), refused()]
    await system.post(system.body(system.message("p1", "plainte"), channel="standby"))
    await system.settled()
    assert await system.rows("SELECT id FROM outbox") == []
    assert await system.dispositions("p1") == [("text", "to_agent")]


# -- while a turn is under way ---------------------------------------------------------------------------------------


async def test_a_message_withdrawn_during_its_turn_is_not_answered(system: System) -> None:
    system.engine.free.clear()
    await system.say("p1", "plainte secrète", mid="m1")
    async with asyncio.timeout(180):
        while not system.engine.calls:
            await asyncio.sleep(0.01)
    await system.post(system.body(system.message("p1", None, mid="m1", is_deleted=True)))
    system.engine.free.set()
    async with asyncio.timeout(180):
        while system.worker._running:  # the turn has not ended
            await asyncio.sleep(0.01)
    await system.settled()
    assert system.graph.texts("p1") == []
    assert await system.dispositions("p1") == [("text", "ignored"), ("unsend", "ignored")]


async def test_a_message_edited_during_its_turn_is_answered_as_edited(system: System) -> None:
    system.engine.free.clear()
    await system.say("p1", "plainte", mid="m1")
    async with asyncio.timeout(180):
        while not system.engine.calls:
            await asyncio.sleep(0.01)
    stamp = int(system.clock.now().timestamp() * 1000)
    edit = {"sender": {"id": "p1"}, "recipient": {"id": "1000"}, "timestamp": stamp}
    await system.post(system.body({**edit, "message_edit": {"mid": "m1", "text": "procuration", "num_edit": 1}}))
    system.engine.free.set()
    await system.settled()
    assert system.graph.texts("p1") == ["Je suis un assistant automatique. procuration n° 1"]
    assert await system.dispositions("p1") == [("text", "answered"), ("edit", "ignored")]


async def test_a_danger_keeps_the_inbox_takeover_of_the_same_turn(system: System) -> None:
    system.engine.down = True
    await system.say("p1", VEILED, at=DAY - timedelta(minutes=5))
    async with asyncio.timeout(180):
        while not await system.rows("SELECT id FROM events WHERE waiting = 'retry'"):
            await asyncio.sleep(0.01)
    async with system.database.begin() as connection:
        await connection.execute(text("UPDATE conversations SET lease_until = clock_timestamp() + interval '1 second'"))
    await system.post(system.body(echo("p1", system.clock.now())))
    system.engine.down = False
    await system.settled()
    [row] = await system.rows("SELECT owner, category, last_agent_at FROM conversations")
    assert (row.owner, row.category) == ("inbox", "emergency")
    assert row.last_agent_at is not None


# -- danger ----------------------------------------------------------------------------------------------------------


async def test_a_danger_that_only_the_engine_sees_a_day_late_is_an_old_emergency(system: System) -> None:
    await system.say("p1", VEILED, at=DAY - timedelta(hours=30))
    await system.settled()
    assert system.graph.texts("p1") == []
    [handoff] = await system.handoffs("p1")
    assert (handoff.priority, handoff.old) == (0, True)
    await system.say("p2", "mon mari me frappe depuis des années", at=DAY - timedelta(hours=30))
    await system.settled()
    assert system.graph.texts("p2") == []
    assert [h.category for h in await system.handoffs("p2")] == ["sensitive"]


async def test_a_danger_told_in_two_messages_that_come_late_together(
    database_url: str, codec: Codec, tmp_path: Path
) -> None:
    async with running(database_url, codec, tmp_path, at=NIGHT) as system:
        for seconds, words in ((0, "il a un"), (10, "couteau")):
            await system.say("p1", words, at=NIGHT - timedelta(minutes=8) + timedelta(seconds=seconds))
            await system.settled(waiting=True)
        assert [h.priority for h in await system.handoffs("p1")] == [0]
        assert system.texts["utter_urgence"] in system.graph.texts("p1")[-1]


async def test_under_a_waiting_complaint_the_night_waits_for_the_engine(
    database_url: str, codec: Codec, tmp_path: Path
) -> None:
    async with running(database_url, codec, tmp_path, at=NIGHT - timedelta(hours=3)) as system:
        await system.say("p1", "igpn")
        await system.settled()
        await system.later(hours=3)
        system.engine.down = True
        await system.say("p1", VEILED)
        await system.graph.wait_for("p1", 2)  # the night's message does not wait
        system.engine.down = False
        await system.later(seconds=6)
        await system.settled()
        assert system.scripted(system.graph.texts("p1")[-1])
        assert [h.priority for h in await system.handoffs("p1")] == [0]


async def test_words_on_our_own_channel_end_the_standby(system: System) -> None:
    taken = thread("p1", "take", DAY, new_owner_app_id=str(INBOX_APP))
    await system.post(system.body(taken))
    await system.post(system.body(system.message("p1", "plainte", at=DAY - timedelta(seconds=5))))  # from before
    await system.post(system.body(system.message("p1", "plainte"), channel="standby"))
    await system.settled()
    assert system.graph.texts("p1") == []
    await system.later(hours=25)  # the other app's claim ran out, and nobody told us
    await system.say("p1", "plainte")
    await system.settled()
    assert len(system.graph.texts("p1")) == 1
    await system.say("p1", "au secours il a un couteau il défonce la porte")
    await system.settled()
    assert system.texts["utter_urgence"] in system.graph.texts("p1")[-1]
