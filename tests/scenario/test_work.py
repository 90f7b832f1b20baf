"""What agents did to a conversation, as the gateway and the worker meet it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from bot.core.errors import EngineRefused
from bot.store.accounts import Accounts, User
from bot.store.desk.access import Desk
from bot.store.desk.moves import MoveStore, Target
from bot.store.desk.work import WorkStore
from tests.fakes.graph import PAGE
from tests.scenario.system import System


class Hands:
    """An agent at work without a console."""

    def __init__(self, system: System, user: User) -> None:
        desk = Desk(system.database, system.codec, {"utter_agent_arrive": "Un agent arrive."})
        self.user, self.work, self.moves = user, WorkStore(desk), MoveStore(desk)

    @staticmethod
    async def of(system: System) -> Hands:
        """A new agent."""
        return Hands(system, await Accounts(system.database, "k").add("Claire", "agent", None))


async def _sent(system: System, person: str) -> list[tuple[str, str]]:
    rows = await system.rows(
        """SELECT o.author, o.status FROM outbox o JOIN conversations c ON c.id = o.conversation_id
           WHERE c.person = :person ORDER BY o.id""",
        person=person,
    )
    return [(row.author, row.status) for row in rows]


async def test_what_is_put_off_comes_back_by_itself(system: System) -> None:
    hands = await Hands.of(system)
    await system.say("1", "je veux parler à un humain")
    await system.settled()
    now = system.clock.now()
    await hands.work.take(hands.user, 1, None, now)
    await hands.moves.snooze(hands.user, 1, now + timedelta(hours=3), now)
    await system.later(hours=2)
    await system.settled()
    # Something else is due meanwhile: the moment is not forgotten.
    await system.post(
        system.body({**system.message("1", None), "message": {"mid": "e1", "is_echo": True, "app_id": 1}})
    )
    await system.settled()
    assert (await system.handoffs("1"))[0].state == "snoozed"
    await system.later(hours=1, seconds=1)
    for _ in range(3600):
        if (await system.handoffs("1"))[0].state == "open":
            break
        await system.later()
        await asyncio.sleep(0.05)
    assert (await system.handoffs("1"))[0].state == "open"
    woken = await system.rows("SELECT user_id, detail FROM audit WHERE action = 'wake'")
    assert [(row.user_id, row.detail["by"]) for row in woken] == [(None, "time")]


async def test_a_blocked_person_is_still_heard_in_danger(system: System) -> None:
    hands = await Hands.of(system)
    await system.say("1", "bonjour")
    await system.settled()
    await hands.moves.block(hands.user, 1, "injures", system.clock.now())
    before = await _sent(system, "1")
    for words in ("bonjour", "je veux parler à un humain", "il me frappe souvent", "une plainte", "??"):
        await system.say("1", words)
        await system.settled()
    system.engine.fail = [EngineRefused("x"), EngineRefused("x")]
    await system.say("1", "encore moi")
    await system.settled()
    assert await _sent(system, "1") == before
    assert [h.state for h in await system.handoffs("1") if h.outcome != "blocked"] == []
    reasons = await system.rows("SELECT disposition, reason FROM events WHERE kind = 'text' ORDER BY id OFFSET 1")
    assert [tuple(row) for row in reasons] == [("ignored", "blocked")] * 6
    # The engine alone recognises this one.
    await system.say("1", "je suis voilee")
    await system.settled()
    assert (await _sent(system, "1"))[-1][0] == "emergency"
    opened = (await system.handoffs("1"))[-1]
    assert (opened.category, opened.state) == ("emergency", "open")
    # What follows is for the agents who have the danger before them; nothing else answers it.
    await hands.work.take(hands.user, 1, None, system.clock.now())
    await hands.work.reply(hands.user, 1, "Appelez le 17.", 10**9, "k", system.clock.now())
    await system.settled()
    count = len(await _sent(system, "1"))
    await system.say("1", "je vous attends devant la mairie")
    await system.settled()
    # Told after a danger, it may be one: the agent who has it is told, the person has had the numbers.
    assert (await system.dispositions("1"))[-1] in [("text", "to_agent"), ("text", "handed_off")]
    assert len(await _sent(system, "1")) == count
    await hands.moves.unblock(hands.user, 1, system.clock.now())
    await hands.work.close(hands.user, 1, 10**9, system.clock.now(), "repondu", "emergency")
    await system.say("1", "bonjour")
    await system.settled()
    assert (await system.dispositions("1"))[-1] == ("text", "answered")


async def test_the_bot_keeps_silent_between_two_agents(system: System) -> None:
    hands = await Hands.of(system)
    await system.say("1", "je veux parler à un humain")
    await system.settled()
    await system.say("1", "une plainte")
    await system.settled()
    assert (await system.dispositions("1"))[-1] == ("text", "answered")  # nobody has spoken yet: the bot goes on
    await hands.work.take(hands.user, 1, None, system.clock.now())
    team = (await system.rows("INSERT INTO teams (name) VALUES ('Jour') RETURNING id"))[0].id
    await hands.moves.transfer(hands.user, 1, Target("team", team), "", "k", system.clock.now())
    count = len(await _sent(system, "1"))
    await system.say("1", "une plainte")
    await system.settled()
    assert (await system.dispositions("1"))[-1] == ("text", "to_agent")
    assert len(await _sent(system, "1")) == count


async def _asked(system: System, person: str) -> None:
    """A hand-off is closed and the thumbs question asked."""
    await system.say(person, "je veux parler à un humain")
    await system.settled()
    await system.rows(
        """WITH closed AS (UPDATE handoffs SET closed_at = :now, outcome = 'closed' WHERE closed_at IS NULL
                           RETURNING id, conversation_id),
                freed AS (UPDATE conversations SET owner = 'closed', category = 'none' RETURNING id)
           INSERT INTO satisfaction (conversation_id, handoff_id, asked_at)
           SELECT conversation_id, id, :now FROM closed RETURNING id""",
        now=system.clock.now(),
    )


def _tap(system: System, person: str, mid: str | None = None) -> dict[str, Any]:
    return system.message(person, "👍 Oui", mid=mid, quick_reply={"payload": "satisfaction:oui"})


async def test_a_tap_that_was_written_anew_is_read_as_words(system: System) -> None:
    await _asked(system, "1")
    tap = _tap(system, "1", mid="tap")
    edit = {key: tap[key] for key in ("sender", "recipient", "timestamp")}
    await system.post(
        system.body(tap, {**edit, "message_edit": {"mid": "tap", "text": "je suis voilee", "num_edit": 1}})
    )
    await system.settled()
    assert [h.category for h in await system.handoffs("1") if h.closed_at is None] == ["emergency"]


async def test_nobody_is_thanked_beside_a_human(system: System) -> None:
    await _asked(system, "1")
    count = len(await _sent(system, "1"))
    human = {**system.message("1", "Je m’en occupe."), "sender": {"id": PAGE}, "recipient": {"id": "1"}}
    human["message"]["is_echo"] = True
    await system.later(minutes=5)
    human["timestamp"] = int(system.clock.now().timestamp() * 1000)
    await system.post(system.body(human, _tap(system, "1")))
    await system.settled()
    [answer] = await system.rows("SELECT answer FROM satisfaction")
    assert answer.answer == "up"
    [row] = await system.rows("SELECT owner FROM conversations")
    assert row.owner == "inbox"
    assert len(await _sent(system, "1")) == count


async def test_a_tap_in_standby_or_of_somebody_blocked_is_kept_in_silence(system: System) -> None:
    hands = await Hands.of(system)
    for person in ("1", "2"):
        await _asked(system, person)
    counts = [len(await _sent(system, person)) for person in ("1", "2")]
    [blocked] = await system.rows("SELECT id FROM conversations WHERE person = '1'")
    await hands.moves.block(hands.user, blocked.id, "injures", system.clock.now())
    await system.post(system.body(_tap(system, "1")))
    await system.post(system.body(_tap(system, "2"), channel="standby"))
    await system.settled()
    answers = await system.rows("SELECT answer FROM satisfaction")
    assert [row.answer for row in answers] == ["up", "up"]
    assert [len(await _sent(system, person)) for person in ("1", "2")] == counts


async def test_a_danger_told_in_two_messages_is_read_together_though_blocked(system: System) -> None:
    hands = await Hands.of(system)
    await system.say("1", "bonjour")
    await system.settled()
    await hands.moves.block(hands.user, 1, "injures", system.clock.now())
    await system.say("1", "je veux")
    await system.settled()
    assert (await system.dispositions("1"))[-1] == ("text", "ignored")
    await system.say("1", "mourir")
    await system.settled()
    assert [h.category for h in await system.handoffs("1") if h.closed_at is None] == ["emergency"]
