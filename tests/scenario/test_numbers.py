"""Where the bot is silent, who tells of a danger that is not sure meets the numbers all the same, and not at each line."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from bot.app.policy import Policy
from bot.policy.degree import REASONS
from bot.store.codec import Codec
from tests.scenario.system import System, running
from tests.scenario.test_review import echo
from tests.scenario.test_work import Hands

NIGHT = datetime(2026, 1, 15, 1, 30, tzinfo=timezone.utc)
EVENING = datetime(2026, 1, 15, 21, 30, tzinfo=timezone.utc)
LIKELY = "je suis un peu inquiète pour demain"  # hardly a danger to the score, also when it comes twice
FAINT = "j'ai eu une opération"  # after a word about the exam


def gives_numbers(reply: str) -> bool:
    return "17" in reply and "114" in reply


async def says(system: System, words: str) -> list[str]:
    """p1 writes; what is said to that."""
    before = len(system.graph.texts("p1"))
    await system.say("p1", words)
    await system.settled(waiting=True)
    return list(system.graph.texts("p1")[before:])


async def test_a_likely_danger_of_a_blocked_person_goes_to_an_agent_with_the_numbers(system: System) -> None:
    hands = await Hands.of(system)
    await says(system, "bonjour")
    await hands.moves.block(hands.user, 1, "injures", system.clock.now())
    assert await says(system, "procuration") == []
    (reply,) = await says(system, LIKELY)
    assert gives_numbers(reply)
    (handoff,) = [one for one in await system.handoffs("p1") if one.outcome != "blocked"]
    assert (handoff.category, handoff.priority, handoff.state) == ("sensitive", 1, "open")
    assert handoff.reason in REASONS.values()
    assert (await system.dispositions("p1"))[-1] == ("text", "handed_off")
    assert await says(system, LIKELY) == [], "once"
    assert await says(system, "le concours") == [], "what is harmless stays unanswered"


async def test_who_waits_with_a_grave_matter_meets_the_numbers_once_in_half_an_hour(system: System) -> None:
    (first,) = await says(system, "mon fils a disparu")
    await system.later(minutes=31)
    (reply,) = await says(system, LIKELY)
    assert gives_numbers(reply)
    assert reply != first
    (handoff,) = await system.handoffs("p1")
    assert (handoff.category, handoff.priority, handoff.reason) == ("urgent", 1, "disparition")
    await system.later(minutes=20)
    assert await says(system, LIKELY) == []
    await system.later(minutes=11)
    assert await says(system, LIKELY) == [reply]


async def test_a_likely_danger_meets_the_numbers_when_the_human_in_the_inbox_is_away(system: System) -> None:
    await says(system, "bonjour")
    await system.later(minutes=1)  # what is said at once is Meta's own automation
    await system.post(system.body(echo("p1", system.clock.now())))
    await system.settled()
    await system.later(minutes=20)
    assert await says(system, LIKELY) == [], "a human is at it"
    await system.later(minutes=11)
    (reply,) = await says(system, LIKELY)
    assert gives_numbers(reply)
    (row,) = await system.rows("SELECT owner FROM conversations")
    assert row.owner == "inbox"


async def test_a_faint_danger_of_somebody_who_waits_meets_the_line(system: System) -> None:
    await says(system, "igpn")
    await says(system, "le concours")
    assert await says(system, FAINT) == [], "the reply of just now ends with it"
    await system.later(minutes=31)
    await says(system, "le concours")
    (line,) = await says(system, FAINT)
    assert gives_numbers(line)
    assert (await system.dispositions("p1"))[-1] == ("text", "to_agent")
    assert await says(system, FAINT) == []


async def test_a_faint_danger_at_night_meets_the_line_after_the_nights_message(
    database_url: str, codec: Codec, tmp_path: Path
) -> None:
    async with running(database_url, codec, tmp_path, at=NIGHT) as system:
        await says(system, "le concours")
        (line,) = await says(system, FAINT)
        assert gives_numbers(line)
        assert await system.handoffs("p1") == []


SORROW = "je pleure tous les soirs"  # no detector's danger


async def test_who_may_be_in_distress_meets_the_3114_where_the_bot_is_silent(system: System) -> None:
    await says(system, "igpn")
    (line,) = await says(system, SORROW)
    assert gives_numbers(line) and "3114" in line
    assert (await system.dispositions("p1"))[-1] == ("text", "to_agent")
    assert await says(system, SORROW) == [], "once in half an hour"
    await system.later(minutes=31)
    assert await says(system, SORROW) == [line]


async def test_a_likely_danger_that_may_be_a_distress_meets_the_3114_though_the_numbers_were_just_given(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Policy, "_told", lambda _self, detection, *_, **__: detection
    )  # nothing learnt speaks of a distress
    danger, sad = LIKELY, f"{LIKELY}, ça ne va pas bien"
    await says(system, "igpn")
    (reply,) = await says(system, danger)
    assert gives_numbers(reply) and "3114" not in reply
    await system.later(minutes=10)
    (line,) = await says(system, sad)
    assert gives_numbers(line) and "3114" in line and reply not in line
    assert (await system.dispositions("p1"))[-1] == ("text", "handed_off")
    await system.later(minutes=10)
    for words in (SORROW, danger):
        assert await says(system, words) == [], "once"
    await system.later(minutes=31)
    (both,) = await says(system, sad)
    assert reply in both and "3114" in both


async def test_a_blocked_person_in_distress_meets_the_3114(system: System) -> None:
    hands = await Hands.of(system)
    await says(system, "bonjour")
    await hands.moves.block(hands.user, 1, "injures", system.clock.now())
    (line,) = await says(system, SORROW)
    assert gives_numbers(line) and "3114" in line
    assert await says(system, "procuration") == []
    await system.later(minutes=31)
    assert await says(system, "je pleure il veut") == [line]
    await says(system, "me tuer")
    assert any(one.category == "emergency" for one in await system.handoffs("p1")), "these words are read with the next"


async def test_a_distress_beside_an_agent_is_hers(system: System) -> None:
    hands = await Hands.of(system)
    await says(system, "igpn")
    await hands.work.take(hands.user, 1, None, system.clock.now())
    assert await says(system, SORROW) == ["Un agent arrive."]


async def test_a_distress_of_the_night_meets_the_3114_beside_the_nights_message(
    database_url: str, codec: Codec, tmp_path: Path
) -> None:
    async with running(database_url, codec, tmp_path, at=EVENING) as system:
        await says(system, "igpn")
        await system.later(hours=3)
        said = await says(system, SORROW)
        assert any("3114" in reply for reply in said)
        assert await says(system, SORROW) == []
