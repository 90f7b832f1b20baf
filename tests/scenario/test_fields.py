"""What a person writes once a human was asked for fills the hand-off's fields, without a word of ours."""

from __future__ import annotations

from typing import Any

from tests.scenario.system import System


async def slots(system: System, person: str) -> dict[str, Any]:
    """The fields of the person's only hand-off."""
    [handoff] = await system.handoffs(person)
    return dict(system.codec.open_json(handoff.slots, "handoffs.slots"))


async def test_details_after_a_complaint(system: System) -> None:
    await system.say("p1", "je veux saisir l'igpn")
    await system.settled()
    assert await slots(system, "p1") == {}
    await system.say("p1", "c'était hier soir vers 22h30, 12 rue Victor Hugo à Lyon")
    await system.say("p1", "deux policiers de la BAC, ma plainte n° 2024/1234")
    await system.settled()
    assert len(system.graph.texts("p1")) == 1
    assert await slots(system, "p1") == {
        "date": "hier soir",
        "heure": "22h30",
        "lieu": "12 rue Victor Hugo à Lyon",
        "equipage": "deux policiers",
        "service": "la BAC",
        "affaire": "plainte n° 2024/1234",
    }


async def test_details_in_the_message_that_opens_it(system: System) -> None:
    await system.say("p1", "merci à l'équipage venu mardi 3 juin rue Victor Hugo")
    await system.settled()
    known = await slots(system, "p1")
    assert (known["date"], known["lieu"]) == ("mardi 3 juin", "rue Victor Hugo")


async def test_a_correction_replaces_what_was_said(system: System) -> None:
    await system.say("p1", "je veux saisir l'igpn, c'était lundi")
    await system.settled()
    await system.say("p1", "pardon, mardi")
    await system.settled()
    assert (await slots(system, "p1"))["date"] == "mardi"


async def test_an_ordinary_question_keeps_nothing(system: System) -> None:
    await system.say("p1", "comment porter plainte pour un vol d'hier rue Victor Hugo ?")
    await system.settled()
    assert await system.handoffs("p1") == []
