"""What a message asked of the catalogue of questions is kept with it, and goes with it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenario.system import DAY, System

ONLINE, PHONE = "plainte_comment/en_ligne", "plainte_comment/par_telephone"


@pytest.fixture
def system(system: System) -> System:
    """With an engine that has a catalogue."""
    system.engine.questions = {
        "internet": ((ONLINE, 0.91), (PHONE, 0.04)),
        "plainte": ((ONLINE, 0.31), (PHONE, 0.12), ("procuration/duree", 0.01)),
        "igpn": ((PHONE, 0.72),),
    }
    return system


async def kept(system: System) -> list[tuple[Any, ...]]:
    """(nearest, its chance, answered, offered) of each message, in order."""
    found = await system.rows("SELECT nearest, nearest_chance, question, offers FROM events ORDER BY id")
    return [
        (r.nearest, None if r.nearest_chance is None else round(r.nearest_chance, 2), r.question, r.offers)
        for r in found
    ]


async def test_an_answered_question(system: System) -> None:
    await system.say("p1", "porter plainte sur internet")
    await system.settled()
    assert system.graph.texts("p1") == [f"Je suis un assistant automatique. {ONLINE}"]
    assert await kept(system) == [(ONLINE, 0.91, ONLINE, None)]


async def test_offered_questions_and_the_one_that_is_tapped(system: System) -> None:
    await system.say("p1", "plainte ?")
    await system.settled()
    await system.say("p1", "par_telephone", quick_reply={"payload": f"/{PHONE}"})
    await system.settled()
    assert await kept(system) == [(ONLINE, 0.31, None, [ONLINE, PHONE]), (PHONE, 1.0, PHONE, None)]


async def test_what_goes_to_an_agent_keeps_the_nearest_question(system: System) -> None:
    await system.say("p1", "je veux saisir l’igpn")
    await system.settled()
    await system.say("p1", "plainte sur internet")
    await system.settled()
    assert await kept(system) == [(PHONE, 0.72, None, None), (ONLINE, 0.91, None, None)]
    assert [fate for _, fate in await system.dispositions("p1")] == ["handed_off", "to_agent"]


async def test_messages_that_are_read_together_share_a_question(system: System) -> None:
    items = [system.message("p1", words, at=DAY) for words in ("plainte", "sur internet")]
    await system.post(system.body(*items))
    await system.settled()
    assert [row[2] for row in await kept(system)] == [ONLINE, ONLINE]


async def test_a_withdrawn_message_does_not_tell_what_it_asked(system: System) -> None:
    await system.say("p1", "plainte ?", mid="m1")
    await system.say("p2", "plainte sur internet", mid="m2")
    await system.settled()
    for person, mid in (("p1", "m1"), ("p2", "m2")):
        await system.post(system.body(system.message(person, None, mid=mid, is_deleted=True)))
    await system.settled()
    assert set(await kept(system)) == {(None, None, None, None)}
