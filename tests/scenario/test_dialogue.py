"""From a signed webhook to the Send API: one person, by day."""

from __future__ import annotations

from datetime import timedelta

from tests.fakes.engine import refused
from tests.fakes.sealed import opened_json
from tests.scenario.system import DAY, System

NET = "17"


async def test_a_question_is_answered_once(system: System) -> None:
    assert await system.say("p1", "comment porter plainte ?") == 200
    await system.settled()
    assert system.graph.texts("p1") == ["Je suis un assistant automatique. plainte_comment n° 1"]
    assert await system.dispositions("p1") == [("text", "answered")]
    await system.say("p1", "et la procuration")
    await system.settled()
    assert system.graph.texts("p1")[1:] == ["procuration n° 2"]


async def test_a_duplicate_changes_nothing(system: System) -> None:
    body = system.body(system.message("p1", "plainte"))
    assert [await system.post(body) for _ in range(3)] == [200, 200, 200]
    await system.settled()
    assert len(system.graph.texts("p1")) == 1
    assert await system.dispositions("p1") == [("text", "answered")]


async def test_messages_that_wait_are_read_together_in_order_of_time(system: System) -> None:
    items = [
        system.message("p1", words, at=DAY + timedelta(seconds=s))
        for s, words in ((3, "trois"), (1, "un plainte"), (2, "deux"))
    ]
    await system.post(system.body(*items))
    await system.settled()
    assert system.engine.calls == [("turn", "un plainte\ndeux\ntrois")]
    assert len(system.graph.texts("p1")) == 1
    assert await system.dispositions("p1") == [("text", "answered")] * 3


async def test_an_older_message_that_comes_later_is_answered_next(system: System) -> None:
    await system.say("p1", "procuration", at=DAY)
    await system.settled()
    await system.say("p1", "plainte", at=DAY - timedelta(minutes=5))
    await system.settled()
    assert [t.rsplit(" ", 3)[-3] for t in system.graph.texts("p1")] == ["procuration", "plainte_comment"]


async def test_a_complaint_goes_to_a_human_and_the_bot_falls_silent(system: System) -> None:
    await system.say("p1", "je veux saisir l'igpn")
    await system.settled()
    [reply] = system.graph.texts("p1")
    assert reply.startswith("Je suis un assistant automatique. reclamation_police")
    [handoff] = await system.handoffs("p1")
    assert (handoff.category, handoff.priority, handoff.intent) == ("complaint", 3, "reclamation_police")
    await system.say("p1", "c'était à Lyon hier, plainte")
    await system.settled()
    assert len(system.graph.texts("p1")) == 1
    assert (await system.dispositions("p1"))[-1] == ("text", "to_agent")
    [handoff] = await system.handoffs("p1")
    assert opened_json(system.codec, "handoffs.slots", handoff) == {"date": "hier", "ville": "Lyon"}


async def test_the_bot_goes_on_after_thanks(system: System) -> None:
    await system.say("p1", "merci à l'équipage")
    await system.settled()
    await system.say("p1", "et la procuration ?")
    await system.settled()
    assert system.graph.texts("p1")[-1] == "procuration n° 2"
    assert [h.category for h in await system.handoffs("p1")] == ["thanks"]


async def test_taps_are_read_by_payload_and_stand_alone(system: System) -> None:
    tap = system.message("p1", "Porter plainte", quick_reply={"payload": "/plainte_comment"})
    await system.post(system.body(system.message("p1", "bonjour"), tap))
    await system.settled()
    assert [kind for kind, _ in system.engine.calls] == ["turn", "turn"]
    assert len(system.graph.texts("p1")) == 2


async def test_an_edit_replaces_what_waits(system: System) -> None:
    system.engine.down = True
    await system.say("p1", "plante", mid="m1")
    edit = {"sender": {"id": "p1"}, "recipient": {"id": "1000"}, "timestamp": int(DAY.timestamp() * 1000) + 5}
    await system.post(system.body({**edit, "message_edit": {"mid": "m1", "text": "plainte", "num_edit": 1}}))
    system.engine.down = False
    await system.settled()
    assert system.graph.texts("p1") == ["Je suis un assistant automatique. plainte_comment n° 1"]
    assert await system.dispositions("p1") == [("text", "answered"), ("edit", "ignored")]


async def test_an_unsent_message_is_not_answered_and_its_words_are_gone(system: System) -> None:
    system.engine.down = True
    await system.say("p1", "plainte secrète", mid="m1")
    unsend = system.message("p1", None, mid="m1", is_deleted=True)
    await system.post(system.body(unsend))
    system.engine.down = False
    await system.settled()
    assert system.graph.texts("p1") == []
    assert await system.dispositions("p1") == [("text", "ignored"), ("unsend", "ignored")]
    bodies = await system.rows("SELECT * FROM events ORDER BY id")
    assert "secrète" not in str([opened_json(system.codec, "events.body", row) for row in bodies])


async def test_a_withdrawal_that_comes_first_still_counts(system: System) -> None:
    await system.post(system.body(system.message("p1", None, mid="m1", is_deleted=True)))
    await system.say("p1", "plainte", mid="m1")
    await system.settled()
    assert system.graph.texts("p1") == []
    assert (await system.dispositions("p1"))[-1] == ("text", "ignored")


async def test_a_photo_gets_a_fitting_reply_and_a_human(system: System) -> None:
    photo = system.message(
        "p1", None, attachments=[{"type": "image", "payload": {"url": "https://example.invalid/a.jpg"}}]
    )
    await system.post(system.body(photo))
    await system.settled()
    [reply] = system.graph.texts("p1")
    assert "photo" in reply
    assert "114" in reply
    assert await system.dispositions("p1") == [("attachment", "handed_off")]
    assert [h.category for h in await system.handoffs("p1")] == ["request"]


async def test_an_engine_that_is_away_is_waited_for(system: System) -> None:
    system.engine.down = True
    await system.say("p1", "plainte")
    await system.say("p2", "procuration")
    assert system.graph.sent == []
    rows = await system.rows("SELECT count(*) AS n FROM events WHERE disposition IS NULL")
    assert rows[0].n == 2
    system.engine.down = False
    await system.settled()
    assert len(system.graph.texts("p1")) == len(system.graph.texts("p2")) == 1


async def test_an_empty_outcome_is_retried_then_given_to_a_human(system: System) -> None:
    system.engine.fail = [refused()]
    await system.say("p1", "plainte")
    await system.settled()
    assert len(system.graph.texts("p1")) == 1
    system.engine.fail = [refused(), refused()]
    await system.say("p2", "plainte")
    await system.settled()
    assert await system.dispositions("p2") == [("text", "handed_off")]
    [handoff] = await system.handoffs("p2")
    assert handoff.reason == "moteur"
    assert NET in system.graph.texts("p2")[0]


async def test_two_machines_do_not_talk_for_ever(system: System) -> None:
    for i in range(13):
        await system.say("p1", f"plainte {i}")
        await system.settled()
    texts = system.graph.texts("p1")
    assert len(texts) == 11
    assert "agent lira" in texts[-1]
    assert [h.reason for h in await system.handoffs("p1")] == ["boucle"]
    assert (await system.dispositions("p1"))[-1] == ("text", "to_agent")


async def test_who_was_stopped_for_a_loop_is_still_heard_in_danger(system: System) -> None:
    for i in range(12):
        await system.say("p1", f"plainte {i}")
        await system.settled()
    before = len(system.graph.texts("p1"))
    await system.say("p1", "je suis voilee")  # the engine alone sees it
    await system.settled()
    [reply] = system.graph.texts("p1")[before:]
    assert "17" in reply and "114" in reply
    assert [h.category for h in await system.handoffs("p1")] == ["emergency"]


async def test_a_human_in_metas_inbox_silences_the_bot_for_a_day(system: System) -> None:
    await system.say("p1", "plainte", at=DAY - timedelta(minutes=5))
    await system.settled()
    echo = {
        "sender": {"id": "1000"},
        "recipient": {"id": "p1"},
        "timestamp": int(DAY.timestamp() * 1000),
        "message": {"mid": "m_inbox", "is_echo": True, "app_id": 263902037430900, "text": "Bonjour, je regarde."},
    }
    await system.post(system.body(echo))
    await system.settled()
    await system.say("p1", "procuration")
    await system.settled()
    assert len(system.graph.texts("p1")) == 1
    assert (await system.dispositions("p1"))[1:] == [("echo", "ignored"), ("text", "to_agent")]
    await system.later(hours=25)
    await system.say("p1", "procuration")
    await system.settled()
    assert len(system.graph.texts("p1")) == 2


async def test_metas_own_automation_is_no_human(system: System) -> None:
    await system.say("p1", "plainte")
    await system.settled()
    echo = {
        "sender": {"id": "1000"},
        "recipient": {"id": "p1"},
        "timestamp": int(system.clock.now().timestamp() * 1000),
        "message": {"mid": "m_auto", "is_echo": True, "app_id": 263902037430900, "text": "Merci de votre message."},
    }
    await system.post(system.body(echo))
    await system.settled()
    rows = await system.rows("SELECT reason FROM events WHERE kind = 'echo'")
    assert [r.reason for r in rows] == ["inbox_automation"]
    await system.say("p1", "procuration")
    await system.settled()
    assert len(system.graph.texts("p1")) == 2


async def test_a_message_over_a_day_old_goes_to_agents(system: System) -> None:
    await system.say("p1", "plainte", at=DAY - timedelta(hours=30))
    await system.settled()
    assert system.graph.texts("p1") == []
    assert [h.reason for h in await system.handoffs("p1")] == ["window_closed"]


async def test_another_language(system: System) -> None:
    await system.say("p1", "please tell me about procuration")
    await system.settled()
    [reply] = system.graph.texts("p1")
    assert "Un agent va le lire" in reply
    assert "an officer will read" in reply
    assert reply.count("114") == 1
    assert [h.reason for h in await system.handoffs("p1")] == ["autre_langue"]
    await system.say("p1", "please answer me")
    await system.settled()
    assert "noted for the officer" in system.graph.texts("p1")[-1]
    assert len(await system.handoffs("p1")) == 1


async def test_an_english_question_gets_facts_and_an_agent(system: System) -> None:
    await system.say("p1", "please, i lost my passport")
    await system.settled()
    [reply] = system.graph.texts("p1")
    assert "embassy or consulate" in reply
    assert "an officer will read" in reply
    assert [h.reason for h in await system.handoffs("p1")] == ["autre_langue"]


async def test_a_heart_in_a_talk_is_answered_by_nothing(system: System) -> None:
    await system.say("p1", "plainte")
    await system.settled()
    await system.post(system.body(system.message("p1", None, attachments=[{"type": "like_heart"}])))
    await system.settled()
    assert len(system.graph.texts("p1")) == 1
    rows = await system.rows("SELECT disposition, reason FROM events ORDER BY id")
    assert tuple(rows[-1]) == ("ignored", "declared_silence")
