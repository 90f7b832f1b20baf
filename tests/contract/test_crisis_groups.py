"""Groups of a crisis in the store: formed, kept, released, stopped, taken up again after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
import pytest

from bot.console.crisis_keeper import LOCK
from bot.store.desk import release
from bot.store.desk.access import Desk
from bot.store.desk.crisis import CrisisStore
from bot.store.desk.errors import Conflict, NotAllowed
from bot.store.desk.grouping import Grouping
from bot.store.desk.groups import GroupStore
from bot.store.desk.release import Release
from bot.store.user import User
from tests.fakes.console import RunningConsole

MESSAGE = "Une attaque est en cours à Paris. Restez à l’abri."
ASKED = "Que se passe-t-il à Paris ? Y a-t-il des blessés ?"
REPLY = "Évitez le quartier. La préfecture publie ce qui est sûr."


@dataclass
class Crisis:
    """An open crisis. The console's own keeper is stopped: each step is the test's."""

    console: RunningConsole
    mode: CrisisStore
    groups: GroupStore
    grouping: Grouping
    release: Release
    claire: User
    denis: User
    alix: User
    id: int = 0

    @property
    def now(self) -> datetime:
        """The desk's time."""
        return self.console.clock.now()

    async def look(self) -> int:
        """What the keeper does, once; returns how many people joined a group."""
        now = self.console.clock.now()
        await self.grouping.sketch(now)
        await self.grouping.refresh(now)
        return await self.grouping.group(self.id, now)

    async def statuses(self) -> dict[str, tuple[str, str | None]]:
        """Person → (status, why)."""
        rows = await self.console.rows(
            """SELECT c.person, m.status, m.why FROM group_members m JOIN conversations c ON c.id = m.conversation_id
               ORDER BY m.group_id"""
        )
        return {row.person: (row.status, row.why) for row in rows}

    async def ready(self, group: int = 1) -> None:
        """A reply is written, validated and let go."""
        now = self.console.clock.now()
        await self.groups.write(self.claire, group, REPLY, now)
        page = await self.groups.page(self.alix, group, self.now)
        assert page.group.reply_at is not None
        await self.groups.validate(self.denis, group, page.group.reply_at.isoformat(), now)
        await self.groups.start(self.alix, group, page.group.counts.latest, now)

    async def sent(self) -> None:
        """The sender sends what is queued."""
        await self.console.execute("UPDATE outbox SET status = 'sent', sent_at = created_at WHERE status = 'queued'")


@pytest.fixture
async def crisis(console: RunningConsole, database_url: str) -> AsyncIterator[Crisis]:
    """An open crisis, without anybody at a browser; another process holds the keeper's lock."""
    other = await psycopg.AsyncConnection.connect(database_url, autocommit=True)
    await other.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
    claire = await console.user("Claire", "agent", None)
    denis = await console.user("Denis", "validator", None)
    alix = await console.user("Alix", "administrator", None)
    desk, now = Desk(console.database, console.codec, {}), console.clock.now()
    made = Crisis(
        console, CrisisStore(desk), GroupStore(desk), Grouping(console.database, console.codec), Release(desk, 20),
        claire, denis, alix,
    )  # fmt: skip
    made.id = await made.mode.write(claire, MESSAGE, now)
    await made.mode.validate(denis, made.id, now)
    await made.mode.open_(alix, made.id, now)
    yield made
    await other.close()


async def test_a_message_takes_the_place_of_the_open_one_and_keeps_its_groups(crisis: Crisis) -> None:
    for person in ("p1", "p2"):
        await crisis.console.waiting(person, ASKED)
    assert await crisis.look() == 2
    now = crisis.console.clock.now()
    new = await crisis.mode.write(crisis.denis, MESSAGE + " Le métro reprend.", now)
    with pytest.raises(Conflict):
        await crisis.mode.open_(crisis.alix, new, now)
    with pytest.raises(NotAllowed):
        await crisis.mode.validate(crisis.denis, new, now)  # his own
    await crisis.mode.validate(crisis.alix, new, now)
    await crisis.mode.open_(crisis.alix, new, now)
    overview = await crisis.mode.overview(crisis.alix, now)
    assert overview.current is not None
    assert overview.current.message.endswith("Le métro reprend.")
    assert [past.id for past in overview.past] == [crisis.id]
    assert [group.counts.total for group in (await crisis.groups.groups(crisis.alix, new, crisis.now))[0]] == [2]
    await crisis.groups.write(crisis.claire, 1, REPLY, now)


async def test_those_who_want_the_same_are_grouped_by_intent(crisis: Crisis) -> None:
    said = (
        "Je veux un agent, vite, s’il vous plaît",
        "passez-moi donc quelqu’un d’humain maintenant",
        "une vraie personne derrière votre robot ?",
        "bonjour, je ne sais pas trop comment dire",
    )
    for i, words in enumerate(said):
        number = await crisis.console.waiting(f"p{i}", words)
        intent = "parler_humain" if i < 3 else "salutation"
        await crisis.console.execute(
            "UPDATE events SET intent = :intent, confidence = 0.9 WHERE conversation_id = :id", intent=intent, id=number
        )
        if i == 1:
            assert await crisis.look() == 0  # two are no group of an intent
    assert await crisis.look() == 3
    [group] = (await crisis.groups.groups(crisis.alix, crisis.id, crisis.now))[0]
    assert (group.kind, group.intent, group.counts.total) == ("same_intent", "parler_humain", 3)


async def test_who_adds_something_is_read_before_any_reply(crisis: Crisis) -> None:
    for person in ("p1", "p2"):
        await crisis.console.waiting(person, ASKED)
    await crisis.look()
    number = await crisis.console.says("p2", "Alors ?")
    await crisis.console.execute("UPDATE events SET disposition = 'to_agent' WHERE conversation_id = :id", id=number)
    assert await crisis.look() == 1
    assert await crisis.statuses() == {"p1": ("waiting", None), "p2": ("held", "wrote_since")}


async def test_a_hand_off_that_becomes_sensitive_is_held_again(crisis: Crisis) -> None:
    numbers = [await crisis.console.waiting(f"p{i}", ASKED) for i in range(3)]
    await crisis.look()
    await crisis.ready()
    await crisis.console.hand_off(numbers[0], "sensitive", "violences_conjugales")  # after the last look
    await crisis.console.hand_off(numbers[1], "emergency", "emergency_engine")
    await crisis.release.step(crisis.console.clock.now(), 20)
    assert await crisis.statuses() == {
        "p0": ("held", "sensitive"),
        "p1": ("skipped", "sensitive"),
        "p2": ("queued", None),
    }


async def test_closing_the_mode_stops_what_is_leaving(crisis: Crisis) -> None:
    for i in range(3):
        await crisis.console.waiting(f"p{i}", ASKED)
    await crisis.look()
    await crisis.ready()
    now = crisis.console.clock.now()
    assert await crisis.release.step(now, 2) == 2
    await crisis.mode.close(crisis.alix, crisis.id, now)
    assert set((await crisis.statuses()).values()) == {("skipped", "crisis_closed")}
    assert not await crisis.console.rows("SELECT FROM outbox WHERE status = 'queued'")
    assert not await crisis.console.rows("SELECT FROM handoffs WHERE replied_at IS NOT NULL OR closed_at IS NOT NULL")
    assert [action for action, _ in await crisis.console.audit()][-2:] == ["group_stopped", "crisis_closed"]
    with pytest.raises(Conflict):
        await crisis.groups.write(crisis.claire, 1, REPLY, now)
    again = await crisis.mode.write(crisis.claire, MESSAGE, now)  # another crisis groups them anew
    await crisis.mode.validate(crisis.denis, again, now)
    await crisis.mode.open_(crisis.alix, again, now)
    crisis.id = again
    assert await crisis.look() == 3


async def test_a_rule_of_validation_asks_for_the_cabinet(crisis: Crisis) -> None:
    await crisis.console.execute("UPDATE validation_rules SET steps = '{service,cabinet}' WHERE category = 'request'")
    for person in ("p1", "p2"):
        await crisis.console.waiting(person, ASKED)
    await crisis.look()
    now = crisis.console.clock.now()
    await crisis.groups.write(crisis.claire, 1, REPLY, now)
    page = await crisis.groups.page(crisis.denis, 1, crisis.now)
    assert page.needs == "cabinet"
    head = User(crisis.denis.id, "Denis", "validator", "service")
    cabinet = User(crisis.denis.id, "Denis", "validator", "cabinet")
    with pytest.raises(NotAllowed):
        await crisis.groups.validate(head, 1, now.isoformat(), now)
    await crisis.groups.validate(cabinet, 1, now.isoformat(), now)


async def test_a_rule_that_asks_for_more_is_met_without_writing_the_reply_anew(crisis: Crisis) -> None:
    for person in ("p1", "p2"):
        await crisis.console.waiting(person, ASKED)
    await crisis.look()
    now = crisis.console.clock.now()
    await crisis.groups.write(crisis.claire, 1, REPLY, now)
    await crisis.groups.validate(crisis.denis, 1, now.isoformat(), now)
    await crisis.console.execute("UPDATE validation_rules SET steps = '{cabinet}' WHERE category = 'request'")
    cabinet = User(crisis.alix.id, "Alix", "administrator", "cabinet")
    await crisis.groups.validate(cabinet, 1, now.isoformat(), now)
    page = await crisis.groups.page(crisis.alix, 1, now)
    assert (page.group.validated_by, page.group.validated_level) == ("Alix", "cabinet")


async def test_what_a_crash_leaves_is_taken_up_and_nobody_is_answered_twice(
    crisis: Crisis, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [await crisis.console.waiting(f"p{i}", ASKED) for i in range(5)]
    assert await crisis.look() == 5
    assert await crisis.look() == 0  # a second look changes nothing
    await crisis.ready()
    now = crisis.console.clock.now()
    assert await crisis.release.step(now, 2) == 2

    async def crash(*_: object) -> None:
        raise RuntimeError("the process dies after the message was queued, before it was noted")

    with monkeypatch.context() as patched:
        patched.setattr(release, "tell", crash)
        with pytest.raises(RuntimeError):
            await crisis.release.step(now, 1)
    assert len(await crisis.console.rows("SELECT FROM outbox")) == 2
    another = Release(Desk(crisis.console.database, crisis.console.codec, {}), 20)
    while await another.step(now, 2):
        await crisis.sent()
    await crisis.sent()
    await another.step(now, 2)
    assert set((await crisis.statuses()).values()) == {("sent", None)}
    for number in numbers:
        assert [words for *_, words in await crisis.console.outgoing(number)] == [REPLY]
    [group] = (await crisis.groups.groups(crisis.alix, crisis.id, crisis.now))[0]
    assert group.state == "done"


async def test_the_reply_waits_while_enough_is_under_way_and_ends_with_who_let_it_go(crisis: Crisis) -> None:
    slow = Release(Desk(crisis.console.database, crisis.console.codec, {}), 1)
    for i in range(6):
        await crisis.console.waiting(f"p{i}", ASKED)
    await crisis.look()
    await crisis.ready()
    now = crisis.console.clock.now()
    assert await slow.step(now, 10) == 2  # two seconds of the pace are under way
    assert await slow.step(now, 10) == 0
    await crisis.sent()
    assert await slow.step(now, 1) == 1
    await crisis.console.execute("UPDATE users SET disabled_at = :now WHERE name = 'Alix'", now=now)
    assert await slow.step(now + timedelta(seconds=1), 10) == 0
    assert sorted(status for status, _ in (await crisis.statuses()).values()) == ["sent"] * 2 + ["waiting"] * 3 + [
        "withdrawn"
    ]


async def test_who_takes_or_writes_while_it_is_under_way_is_not_talked_over(crisis: Crisis) -> None:
    numbers = [await crisis.console.waiting(f"p{i}", ASKED) for i in range(3)]
    await crisis.look()
    await crisis.ready()
    now = crisis.console.clock.now()
    assert await crisis.release.step(now, 10) == 3
    await crisis.console.says("p0", "attendez, autre chose")
    await crisis.console.execute(  # what the sender finds when somebody took the conversation
        "UPDATE outbox SET status = 'failed', error_slug = 'owner_changed' WHERE conversation_id = :id", id=numbers[1]
    )
    await crisis.release.step(now, 10)
    assert await crisis.statuses() == {
        "p0": ("skipped", "wrote_since"),
        "p1": ("skipped", "taken"),
        "p2": ("queued", None),
    }
    assert [status for _, _, status, _ in await crisis.console.outgoing(numbers[0])] == ["cancelled"]
    [bound] = await crisis.console.rows("SELECT owner_version FROM outbox WHERE conversation_id = :id", id=numbers[2])
    assert bound.owner_version == 0


async def test_a_danger_that_came_without_a_message_is_not_closed_with_the_group(crisis: Crisis) -> None:
    numbers = [await crisis.console.waiting(f"p{i}", ASKED) for i in range(2)]
    await crisis.look()
    await crisis.ready()
    now = crisis.console.clock.now()
    assert await crisis.release.step(now, 10) == 2
    await crisis.sent()
    # A cry that was answered while the database was away, and that Meta never sent again.
    await crisis.console.hand_off(numbers[0], "emergency", "emergency_unseen")
    await crisis.release.step(now, 10)
    assert [(await crisis.console.handoff(number)).state for number in numbers] == ["open", "closed"]


async def _blocked(crisis: Crisis) -> None:
    """Wait until somebody waits for a lock."""
    async with asyncio.timeout(180):
        while not await crisis.console.rows("SELECT FROM pg_locks WHERE NOT granted AND locktype <> 'advisory'"):
            await asyncio.sleep(0.01)


async def test_stopping_and_the_gateway_never_wait_in_a_circle(crisis: Crisis, database_url: str) -> None:
    first = await crisis.console.waiting("z", ASKED)
    second = await crisis.console.waiting("a", ASKED)
    await crisis.look()
    await crisis.ready()
    now = crisis.console.clock.now()
    assert await crisis.release.step(now, 10) == 2
    async with await psycopg.AsyncConnection.connect(database_url) as gateway:  # locks in the order of the persons' ids
        await gateway.execute("SELECT 1 FROM conversations WHERE id = %s FOR UPDATE", (second,))
        stopping = asyncio.create_task(crisis.groups.stop(crisis.alix, 1, now))
        await _blocked(crisis)
        await gateway.execute("SELECT 1 FROM conversations WHERE id = %s FOR UPDATE", (first,))
        await gateway.commit()
    assert await stopping == 2


async def test_closing_and_the_keeper_never_wait_in_a_circle(crisis: Crisis, database_url: str) -> None:
    for person in ("p1", "p2"):
        await crisis.console.waiting(person, ASKED)
    await crisis.look()
    await crisis.ready()
    async with await psycopg.AsyncConnection.connect(database_url) as keeper:  # as it groups, and somebody joins
        await keeper.execute("SELECT 1 FROM crises WHERE id = %s FOR SHARE", (crisis.id,))
        closing = asyncio.create_task(crisis.mode.close(crisis.alix, crisis.id, crisis.console.clock.now()))
        await _blocked(crisis)
        await keeper.execute("SELECT 1 FROM message_groups WHERE id = 1 FOR KEY SHARE")
        await keeper.commit()
    await closing
    assert [row.closed_at is None for row in await crisis.console.rows("SELECT closed_at FROM crises")] == [False]


@pytest.mark.parametrize(("waiting", "queued"), [("night", {"p0", "p1", "p2"}), ("retry", {"p1", "p2"})])
async def test_what_waits_for_the_morning_or_the_worker_holds_nobody_up(
    crisis: Crisis, waiting: str, queued: set[str]
) -> None:
    first = await crisis.console.says("p0", ASKED)
    await crisis.console.execute("UPDATE events SET waiting = :why", why=waiting)
    await crisis.console.hand_off(first)
    for person in ("p1", "p2"):
        await crisis.console.waiting(person, ASKED)
    await crisis.look()
    await crisis.ready()
    for _ in range(4):
        await crisis.release.step(crisis.console.clock.now(), 1)
    assert {person for person, (status, _) in (await crisis.statuses()).items() if status == "queued"} == queued
