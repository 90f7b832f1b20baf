"""Somebody who asks for a human is heard, also after ten messages in two minutes, and is offered nothing else from then on."""

from __future__ import annotations

import pytest

from bot.core.dialogue import QuickReply
from tests.scenario.system import System

AGENT = QuickReply("Parler à un agent", "/parler_humain")
OTHER = QuickReply("Porter plainte", "/plainte_comment")
HEARD = "je transmets votre demande à un agent"
AGAIN = "Votre demande est déjà transmise à un agent"


def offers(system: System, person: str) -> list[list[str]]:
    """The titles of the buttons of each message that went out, in order."""
    return [list(one.quick_replies) for one in system.graph.sent if one.person == person]


async def ten(system: System) -> None:
    """Ten messages in two minutes, each answered."""
    for i in range(10):
        await system.say("p1", f"plainte {i}")
        await system.settled()
        await system.later(seconds=10)


@pytest.mark.parametrize("tap", [False, True])
async def test_who_asks_as_the_bot_stops_is_heard(system: System, tap: bool) -> None:
    await ten(system)
    if tap:
        await system.post(system.body(system.message("p1", AGENT.title, quick_reply={"payload": AGENT.payload})))
    else:
        await system.say("p1", "je veux parler à un humain")
    await system.settled()
    last = system.graph.texts("p1")[-1]
    assert HEARD in last
    assert "114" in last
    assert "Je m’arrête ici" not in last
    assert [h.reason for h in await system.handoffs("p1")] == ["parler_humain"]
    await system.say("p1", "plainte 11")  # silence, as after any stop
    await system.settled()
    assert len(system.graph.texts("p1")) == 11
    assert (await system.dispositions("p1"))[-1] == ("text", "to_agent")


async def test_who_asks_after_the_bot_stopped_is_told_once_that_an_agent_has_it(system: System) -> None:
    await ten(system)
    await system.say("p1", "plainte 11")
    await system.settled()
    assert "Je m’arrête ici" in system.graph.texts("p1")[-1]
    for said in ("je veux un humain", "un humain svp", "plainte encore"):
        await system.say("p1", said)
        await system.settled()
    texts = system.graph.texts("p1")
    assert len(texts) == 12
    assert AGAIN in texts[-1]
    assert [d for _, d in await system.dispositions("p1")][-3:] == ["to_agent"] * 3
    await system.later(minutes=31)
    await system.say("p1", "toujours pas d’humain ?")
    await system.settled()
    assert AGAIN in system.graph.texts("p1")[-1]
    assert len(system.graph.texts("p1")) == 13


async def test_a_danger_that_the_engine_alone_sees_is_heard_as_the_bot_stops(system: System) -> None:
    await ten(system)
    await system.say("p1", "elle est voilee")
    await system.settled()
    assert [h.category for h in await system.handoffs("p1")] == ["emergency"]
    assert "Je m’arrête ici" not in system.graph.texts("p1")[-1]


async def test_violence_told_as_the_bot_stops_comes_to_agents_as_such(system: System) -> None:
    await ten(system)
    await system.say("p1", "mon mari me frappe")
    await system.settled()
    [handoff] = await system.handoffs("p1")
    assert handoff.category in ("sensitive", "urgent", "emergency")
    assert "114" in system.graph.texts("p1")[-1]


async def test_who_waits_for_a_human_is_offered_nothing_else(system: System) -> None:
    system.engine.questions = {"procuration": (("procuration/comment", 0.95),)}
    system.engine.beside = {"procuration/comment": (OTHER, AGENT)}
    await system.say("p1", "procuration")
    await system.settled()
    assert offers(system, "p1")[-1] == [OTHER.title, AGENT.title]
    await system.say("p1", "je veux un humain")
    await system.settled()  # or a slow worker reads the next one together with it
    await system.say("p1", "procuration")
    await system.settled()
    await system.say("p1", "blabla")  # not understood
    await system.settled()
    assert offers(system, "p1")[1:] == [[]] * 3
    assert "préciser" not in system.graph.texts("p1")[-1]
    assert "noté pour l’agent" in system.graph.texts("p1")[-1]


async def test_who_waits_for_an_agent_for_another_reason_is_not_offered_one(system: System) -> None:
    system.engine.questions = {"procuration": (("procuration/comment", 0.95),)}
    system.engine.beside = {"procuration/comment": (OTHER, AGENT)}
    photo = {"type": "image", "payload": {"url": "https://cdn.example/a.jpg"}}
    await system.post(system.body(system.message("p1", None, attachments=[photo])))
    await system.settled()
    await system.say("p1", "procuration")
    await system.settled()
    assert offers(system, "p1")[-1] == [OTHER.title]


async def test_a_request_for_a_human_is_heard_beside_a_question(system: System) -> None:
    await system.say("p1", "comment faire une procuration ? Un agent, s’il vous plaît. je voudrais parler à quelqu’un")
    await system.settled()
    [handoff] = await system.handoffs("p1")
    assert (handoff.category, handoff.reason) == ("request", "parler_humain")
    [text] = system.graph.texts("p1")
    assert "je transmets à un agent ce que vous m’avez dit" in text
    assert offers(system, "p1") == [[]]  # and no button that asks for one
