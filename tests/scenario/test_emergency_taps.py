"""The quick replies under an emergency reply: a tap says other words, and alarms nobody anew."""

from __future__ import annotations

import pytest

from bot.policy.emergency_taps import OTHER, SILENCE
from bot.policy.scripts import SCRIPTS
from tests.scenario.system import System

HELP = "au secours il a un couteau il défonce la porte"
TITLES = {SILENCE: "Impossible de parler", OTHER: "Aider quelqu’un"}


async def tap(system: System, person: str, payload: str) -> None:
    await system.say(person, TITLES[payload], quick_reply={"payload": payload})


def offers(system: System, person: str) -> list[tuple[str, ...]]:
    return [one.quick_replies for one in system.graph.sent if one.person == person]


@pytest.mark.parametrize(
    ("payload", "script", "left"),
    [
        (SILENCE, "utter_urgence_silence", ("Aider quelqu’un",)),
        (OTHER, "utter_urgence_temoin", ("Impossible de parler",)),
    ],
)
async def test_a_tap_says_the_words_of_its_script_and_nothing_else_happens(
    system: System, payload: str, script: str, left: tuple[str, ...]
) -> None:
    await system.say("p1", HELP)
    await system.settled()
    assert offers(system, "p1") == [("Impossible de parler", "Aider quelqu’un")]
    [before] = await system.handoffs("p1")
    calls = len(system.engine.calls)
    await tap(system, "p1", payload)
    await system.settled()
    [_, reply] = system.graph.texts("p1")
    assert reply == system.texts[script]
    assert offers(system, "p1")[1] == left
    assert [(h.id, h.category, h.reason, h.closed_at) for h in await system.handoffs("p1")] == [
        (before.id, "emergency", before.reason, None)
    ]
    assert len(await system.rows("SELECT id FROM alarms")) == 1
    assert len(system.engine.calls) == calls, "our own title is nobody's words"
    assert await system.dispositions("p1") == [("text", "emergency"), ("quick_reply", "answered")]
    await tap(system, "p1", payload)
    await system.settled()
    assert system.graph.texts("p1")[2:] == [system.texts["utter_urgence_rappel"]], "the same words are not said twice"
    assert (await system.dispositions("p1"))[-1] == ("quick_reply", "answered")
    await tap(system, "p1", payload)
    await system.settled()
    assert len(system.graph.texts("p1")) == 3, "nor the line at each tap"
    assert (await system.dispositions("p1"))[-1] == ("quick_reply", "ignored")
    [after] = await system.rows("SELECT emergency_script FROM conversations")
    assert system.texts[SCRIPTS[after.emergency_script].reply] == reply, "whose words went out is known still"


@pytest.mark.parametrize("payload", [SILENCE, OTHER])
async def test_a_tap_of_the_next_day_reads_the_short_line(system: System, payload: str) -> None:
    await system.say("p1", HELP)
    await system.settled()
    await system.later(hours=25)
    await tap(system, "p1", payload)
    await system.settled()
    assert system.graph.texts("p1")[1:] == [system.texts["utter_urgence_rappel"]]


async def test_the_title_is_no_danger_by_itself(system: System) -> None:
    await tap(system, "p1", SILENCE)
    await system.say("p1", "bonjour")
    await system.settled()
    assert await system.handoffs("p1") == []
    assert not any(system.scripted(reply) for reply in system.graph.texts("p1"))


async def test_who_helps_in_a_distress_reads_what_to_do(system: System) -> None:
    await system.say("p1", "je veux mourir j'ai avalé tous mes cachets")
    await system.settled()
    await tap(system, "p1", OTHER)
    await system.settled()
    assert system.graph.texts("p1")[1] == system.texts["utter_urgence_proche_acte"]


async def test_a_tap_while_another_app_has_the_thread_is_a_hand_off_only(system: System) -> None:
    await system.say("p1", HELP)
    await system.settled()
    [before] = await system.handoffs("p1")
    await system.later(minutes=5)
    payload = system.message("p1", TITLES[SILENCE], quick_reply={"payload": SILENCE})
    await system.post(system.body(payload, channel="standby"))
    await system.settled()
    assert len(system.graph.texts("p1")) == 1, "never two voices at once"
    [after] = await system.handoffs("p1")
    assert (after.id, after.reason) == (before.id, before.reason)
    assert after.raised_at > before.raised_at
    assert (await system.dispositions("p1"))[-1] == ("quick_reply", "handed_off")


async def test_a_tap_while_another_app_has_the_thread_opens_a_hand_off_again(system: System) -> None:
    await system.say("p1", HELP)
    await system.settled()
    await system.rows("UPDATE handoffs SET closed_at = now() RETURNING id")
    payload = system.message("p1", TITLES[SILENCE], quick_reply={"payload": SILENCE})
    await system.post(system.body(payload, channel="standby"))
    await system.settled()
    assert len(system.graph.texts("p1")) == 1
    newest = (await system.handoffs("p1"))[-1]
    assert (newest.priority, newest.reason, newest.closed_at) == (0, "emergency_follow_up", None)
