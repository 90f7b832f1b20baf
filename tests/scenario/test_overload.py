"""More people than the engine can serve: who waits long is told once, truthfully, and is answered all the same."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from bot.app import policy as policies
from bot.core.dialogue import Reply
from bot.policy.overload import Backlog
from bot.policy.patience import Patience
from bot.settings import Settings
from bot.store.overload import Late
from bot.worker.overload import _START, Notices, Words
from tests.conftest import of_part
from tests.fakes.graph import PAGE
from tests.scenario.system import System

AFTER = timedelta(minutes=2)
NOTICE = "Beaucoup de personnes nous écrivent."


def notices(system: System) -> Notices:
    """What a worker runs beside its claims."""
    late = Late(of_part(system.database, "worker"), system.codec)
    night = system.worker._turns._rules.night
    return Notices(late, system.clock, AFTER, lambda: Words(night, NOTICE), rest=0)


async def jammed(system: System) -> None:
    """Every place of the worker is taken by a turn that lasts."""
    system.engine.free.clear()
    before = len(system.engine.calls)
    for number in range(16):
        await system.say(f"busy{number}", "comment porter plainte ?")
    async with asyncio.timeout(60):
        while len(system.engine.calls) < before + 16:
            await asyncio.sleep(0.02)


async def sent(system: System) -> None:
    """Wait until the outbox is empty."""
    async with asyncio.timeout(60):
        while await system.rows("SELECT 1 FROM outbox WHERE status = 'queued'"):
            await asyncio.sleep(0.02)


async def tried_in_vain(system: System, times: int) -> None:
    """Wait until everybody's words were handed to the engine so many times."""
    async with asyncio.timeout(60):
        while await system.rows("SELECT 1 FROM conversations WHERE attempts < :times", times=times):
            await asyncio.sleep(0.02)


async def owned(system: System, person: str, owner: str) -> None:
    """The conversation is somebody's."""
    await system.rows("UPDATE conversations SET owner = :o WHERE person = :p RETURNING id", o=owner, p=person)


async def answered_in_the_inbox(system: System, person: str, at: datetime | None = None) -> None:
    """Meta's inbox answers; what we learn is an echo, which waits for its turn like everything else."""
    echo = system.message(person, "Bonjour.", at, is_echo=True, app_id=263902037430900)
    assert await system.post(system.body(echo | {"sender": {"id": PAGE}, "recipient": {"id": person}})) == 200


async def paused(system: System, person: str) -> None:
    """Nothing leaves to that person's account for an hour."""
    [account] = await system.rows("SELECT account FROM conversations WHERE person = :p", p=person)
    await system.rows(
        """INSERT INTO accounts (account, paused_until) VALUES (:account, :until)
           ON CONFLICT (account) DO UPDATE SET paused_until = excluded.paused_until RETURNING account""",
        account=account.account,
        until=system.clock.now() + timedelta(hours=1),
    )


async def test_who_waits_is_told_once_and_answered_after(system: System) -> None:
    await jammed(system)
    for person in ("p1", "p2"):
        await system.say(person, "une procuration")
    await system.say("under_agent", "et mon dossier ?")
    await owned(system, "under_agent", "agent")
    assert await notices(system).step() == 0  # nobody has waited for long yet
    await system.later(seconds=AFTER.total_seconds() + 1)
    await system.say("late", "une procuration")
    assert await notices(system).step() == 2
    assert await notices(system).step() == 0
    await sent(system)
    assert [system.graph.texts(p) for p in ("p1", "p2", "under_agent", "late")] == [[NOTICE], [NOTICE], [], []]
    assert await system.dispositions("p1") == [("text", None)]  # a notice answers nothing
    await system.say("p1", "vous êtes là ?")
    await system.later(minutes=5)
    assert await notices(system).step() == 1  # the one who came late; p1 is not told twice within the hour
    await sent(system)
    system.engine.free.set()
    await system.settled()
    assert system.graph.texts("p1") == [NOTICE, "Je suis un assistant automatique. procuration n° 1"]
    assert await system.dispositions("p1") == [("text", "answered")] * 2


async def test_whom_only_an_automation_of_metas_answered_is_told(system: System) -> None:
    await jammed(system)
    first = system.clock.now()
    for person, again in (("automation", 0), ("human", -60)):
        await system.say(person, "une procuration", at=first)
        if again:
            await system.say(person, "vous êtes là ?", at=first + timedelta(seconds=again))
        await answered_in_the_inbox(system, person, first + timedelta(seconds=2))
    await system.later(seconds=AFTER.total_seconds() + 1)
    assert await notices(system).step() == 1
    await sent(system)
    assert [system.graph.texts(person) for person in ("automation", "human")] == [[NOTICE], []]
    system.engine.free.set()
    await system.settled()
    found = await system.rows(
        """SELECT c.person, e.reason FROM events e JOIN conversations c ON c.id = e.conversation_id
           WHERE e.kind = 'echo' AND e.reason <> 'own_echo' ORDER BY c.person"""
    )
    assert [tuple(row) for row in found] == [("automation", "inbox_automation"), ("human", "inbox_reply")]


async def test_who_waits_is_told_once_whoever_looks_and_whenever(system: System) -> None:
    await jammed(system)
    await system.say("p1", "une procuration")
    await system.later(seconds=AFTER.total_seconds() + 1)
    late = Late(of_part(system.database, "worker"), system.codec)
    at = system.clock.now().replace(second=59, microsecond=900_000)
    for now in (
        at,
        at + timedelta(milliseconds=100),
    ):  # a second worker that knows nothing of the first, in the next minute
        await late.tell(now, timedelta(0), _START, 25, lambda waiter: True, Reply(NOTICE))
    assert len(await system.rows("SELECT FROM outbox WHERE dedup LIKE 'affluence:%'")) == 1


async def test_who_was_told_of_the_rush_hears_no_apology_for_the_engine(system: System) -> None:
    await jammed(system)
    await system.say("p1", "une procuration")
    await system.later(seconds=AFTER.total_seconds() + 1)
    assert await notices(system).step() == 1
    await sent(system)
    system.engine.down = True
    system.engine.free.set()
    await tried_in_vain(system, 1)
    await system.later(seconds=Patience().notice.total_seconds() + 1)
    await tried_in_vain(system, 2)
    await sent(system)
    assert [len(system.graph.texts(person)) for person in ("busy0", "p1")] == [1, 1]
    assert system.graph.texts("p1") == [NOTICE]


async def test_traces_of_danger_first_then_whom_we_never_answered_then_the_rest(system: System) -> None:
    system.inbox._rules = replace(system.inbox._rules, suspect=lambda words: "enfermée" in words)
    for person in ("known1", "known2"):
        await system.say(person, "bonjour")
    await system.settled()
    await jammed(system)
    await system.say("known1", "et la procuration ?")
    await system.say("new1", "comment porter plainte à Lille ?")
    await system.say("new2", "je me suis enfermée avec les petits, quelle procuration")
    await system.say("known2", "je me suis enfermée, concours")
    claimed = [await system.conversations.claim(system.clock.now(), 1, timedelta(seconds=9)) for _ in range(4)]
    assert [one.person for [one] in claimed] == ["new2", "known2", "new1", "known1"]


async def test_a_notice_that_did_not_leave_gives_way_to_the_answer(system: System) -> None:
    await jammed(system)
    await system.say("p1", "une procuration")
    await system.later(seconds=AFTER.total_seconds() + 1)
    await paused(system, "p1")
    assert await notices(system).step() == 1
    system.engine.free.set()
    async with asyncio.timeout(60):
        while not await system.rows(
            "SELECT FROM events WHERE disposition = 'answered' AND conversation_id IN"
            " (SELECT id FROM conversations WHERE person = 'p1')"
        ):
            await asyncio.sleep(0.02)
    await notices(system).step()
    [notice] = await system.rows("SELECT status FROM outbox WHERE dedup LIKE 'affluence:%'")
    assert notice.status == "cancelled"
    await system.rows("UPDATE accounts SET paused_until = NULL RETURNING account")
    await system.settled()
    assert system.graph.texts("p1") == ["Je suis un assistant automatique. procuration n° 1"]


async def test_whom_a_human_answered_in_the_inbox_is_told_nothing(system: System) -> None:
    await jammed(system)
    for person in ("answered", "waits"):
        await system.say(person, "une procuration")
    await system.later(seconds=AFTER.total_seconds() + 1)
    await answered_in_the_inbox(system, "answered")
    await paused(system, "waits")
    assert await notices(system).step() == 1
    await answered_in_the_inbox(system, "waits")  # before the notice left
    assert await notices(system).step() == 0
    [notice] = await system.rows(
        "SELECT c.person, o.status FROM outbox o JOIN conversations c ON c.id = o.conversation_id WHERE o.dedup IS NOT NULL"
    )
    assert (notice.person, notice.status) == ("waits", "cancelled")
    await system.rows("UPDATE accounts SET paused_until = NULL RETURNING account")
    system.engine.free.set()
    await system.settled()
    assert system.graph.texts("answered") == system.graph.texts("waits") == []
    owners = await system.rows("SELECT owner FROM conversations WHERE person IN ('answered', 'waits')")
    assert [row.owner for row in owners] == ["inbox", "inbox"]


def test_words_of_which_nothing_is_known_are_looked_at_first() -> None:
    policy = policies.build(Settings({}))
    words = "comment faire une procuration pour dimanche"
    assert policy.suspect(words)
    policy.triage(words)
    policy.triage("il est devant ma porte avec une hache")
    assert not policy.suspect(words)
    assert policy.suspect("il est devant ma porte avec une hache")
    assert not policy.suspect("")


async def test_no_notice_at_night_nor_while_replies_queue_up(system: System) -> None:
    await jammed(system)
    await system.say("p1", "une procuration")
    await system.later(seconds=AFTER.total_seconds() + 1)
    late = Late(of_part(system.database, "worker"), system.codec)
    assert (await late.backlog(system.clock.now())).oldest_turn > AFTER.total_seconds()
    await system.rows(
        """INSERT INTO outbox (conversation_id, lane, author, message, priority, created_at, due_at, status)
           SELECT id, 'reply', 'bot', '', 4, now(), :due, 'queued' FROM conversations WHERE person = 'busy0' RETURNING id""",
        due=system.clock.now() - timedelta(minutes=3),
    )
    assert await notices(system).step() == 0
    await system.rows("DELETE FROM outbox RETURNING id")
    night = (system.clock.now() + timedelta(days=1)).replace(hour=1, minute=0)
    await system.later(seconds=(night - system.clock.now()).total_seconds())
    assert (await late.backlog(system.clock.now())) != Backlog()
    assert await notices(system).step() == 0
    assert system.graph.texts("p1") == []
