"""What a person writes once a human was asked for fills the hand-off's fields, without a word of ours."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from tests.fakes.engine import refused
from tests.fakes.sealed import opened_json
from tests.scenario.system import System


async def slots(system: System, person: str) -> dict[str, Any]:
    """The fields of the person's only hand-off."""
    [handoff] = await system.handoffs(person)
    return dict(opened_json(system.codec, "handoffs.slots", handoff))


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


async def test_what_an_ordinary_question_told_waits_for_a_hand_off(system: System) -> None:
    await system.say("p1", "comment porter plainte pour un vol d'hier rue Victor Hugo à Lyon ?")
    await system.settled()
    assert await system.handoffs("p1") == []
    await system.say("p1", "je veux saisir l'igpn")
    await system.settled()
    assert await slots(system, "p1") == {"date": "hier", "lieu": "rue Victor Hugo à Lyon", "ville": "Lyon"}


async def test_a_day_later_only_the_town_is_known(system: System) -> None:
    await system.say("p1", "comment porter plainte pour un vol d'hier rue Victor Hugo à Lyon ?")
    await system.settled()
    await system.later(hours=25)
    await system.say("p1", "je veux saisir l'igpn")
    await system.settled()
    assert await slots(system, "p1") == {"ville": "Lyon"}


TOLD = "comment porter plainte pour un vol d'hier place bellecour à Lyon ?"
KNOWN = {"date": "hier", "lieu": "place bellecour à Lyon", "ville": "Lyon"}


async def told(system: System) -> None:
    """A question with place and date was answered by the bot."""
    await system.say("p1", TOLD)
    await system.settled()


async def test_a_photo_goes_with_what_was_told(system: System) -> None:
    await told(system)
    photo = [{"type": "image", "payload": {"url": "https://cdn.example/1.jpg"}}]
    await system.post(system.body(system.message("p1", None, attachments=photo)))
    await system.settled()
    assert [h.reason for h in await system.handoffs("p1")] == ["media"]
    assert await slots(system, "p1") == KNOWN


async def test_another_language_goes_with_what_was_told(system: System) -> None:
    await told(system)
    await system.say("p1", "please, who can help me with my procuration?")
    await system.settled()
    assert [h.reason for h in await system.handoffs("p1")] == ["autre_langue"]
    assert await slots(system, "p1") == KNOWN


async def test_a_loop_goes_with_what_was_told(system: System) -> None:
    await told(system)
    for _ in range(10):
        await system.say("p1", "procuration vers 14h")
        await system.settled()
    assert [h.reason for h in await system.handoffs("p1")] == ["boucle"]
    assert await slots(system, "p1") == {**KNOWN, "heure": "14h"}


async def test_a_failing_engine_goes_with_what_was_told(system: System) -> None:
    await told(system)
    system.engine.fail = [refused(), refused()]
    await system.say("p1", "procuration vers 14h")
    await system.settled()
    assert [h.reason for h in await system.handoffs("p1")] == ["moteur"]
    assert await slots(system, "p1") == {**KNOWN, "heure": "14h"}


async def test_a_closed_window_goes_with_what_lasts(system: System) -> None:
    """The window is a day long, and so is all but the town."""
    await told(system)
    system.engine.down = True
    await system.say("p1", "procuration, deux flics")
    await system.later(hours=25)
    system.engine.down = False
    await system.settled()
    assert [h.reason for h in await system.handoffs("p1")] == ["window_closed"]
    assert await slots(system, "p1") == {"ville": "Lyon", "equipage": "deux flics"}


async def test_the_night_goes_with_what_was_told(system: System) -> None:
    await told(system)
    await system.later(hours=16, minutes=30)
    await system.say("p1", "mon mari me frappe depuis des années, gare du nord")
    await system.settled(waiting=True)
    assert [h.category for h in await system.handoffs("p1")] == ["sensitive"]
    assert await slots(system, "p1") == {**KNOWN, "lieu": "gare du nord"}


async def test_what_was_told_earlier_replaces_nothing_newer(system: System) -> None:
    await told(system)
    await system.say("p1", "je veux saisir l'igpn")
    await system.settled()
    async with system.database.begin() as connection:
        await connection.execute(text("UPDATE conversations SET owner = 'agent', owner_version = owner_version + 1"))
    await system.say("p1", "en fait c'était gare du nord")
    await system.settled()
    await system.say("p1", "au secours il a un couteau il défonce la porte")
    await system.settled()
    assert (await slots(system, "p1"))["lieu"] == "gare du nord"


async def test_a_closed_conversation_is_forgotten(system: System) -> None:
    await told(system)
    async with system.database.begin() as connection:
        await connection.execute(text("UPDATE conversations SET owner = 'closed', owner_version = owner_version + 1"))
    await system.say("p1", "je veux saisir l'igpn")
    await system.settled()
    assert await slots(system, "p1") == {}
