"""The worker's side of the store: what a claim sees, what the one statement at a turn's end writes, whom it gives way to."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from bot.core.clock import FrozenClock
from bot.core.dialogue import HandoffRequest, Reply, Understanding
from bot.core.errors import LeaseLost
from bot.core.messages import Message, body_to_json
from bot.policy.intents import PRIORITY
from bot.store import conversations, db, handoffs, outbox, plain
from bot.store.codec import Codec
from bot.store.conversations import BODY, Conversation, Conversations, Finish, OutgoingReply, Settlement
from bot.store.db import CONSOLE, DUE, EMERGENCY, OUTBOX, Database, Listener, notify
from bot.store.workbench.readings import NewReading
from bot.worker.turn import TurnTaker
from bot.worker.worker import Worker, WorkerDeps
from tests.conftest import of_part
from tests.fakes.sealed import opened, opened_json

LEASE = timedelta(seconds=9)
WORDS = "comment porter plainte pour un vélo"


class Desk:
    """A store with people who write to it."""

    def __init__(self, database: Database, codec: Codec, now: datetime) -> None:
        self.database, self.codec, self.now = database, codec, now
        self.store = Conversations(of_part(database, "worker"), codec)

    async def run(self, query: str, **values: Any) -> list[Any]:
        """Run a statement; its rows."""
        async with self.database.begin() as connection:
            done = await connection.execute(text(query), values)
            return list(done.all()) if done.returns_rows else []

    async def says(self, person: str = "p", words: str = WORDS, priority: int = 4, due: datetime | None = None) -> int:
        """Somebody writes; the event's number."""
        (row,) = await self.run(
            """
            INSERT INTO conversations AS c (platform, account, person, due_at, due_priority, wake, last_person_at)
            VALUES ('messenger', 'page', :person, :due, :priority, 1, :now)
            ON CONFLICT (platform, account, person) DO UPDATE SET due_at = :due, wake = c.wake + 1 RETURNING id, wake
            """,
            person=person,
            due=due or self.now,
            priority=priority,
            now=self.now,
        )
        (event,) = await self.run(
            """
            INSERT INTO events (conversation_id, platform, account, key, kind, channel, mid, at, received_at, body)
            VALUES (:id, 'messenger', 'page', :key, 'text', 'messaging', :key, :now, :now, :body) RETURNING id
            """,
            id=row.id,
            key=f"m_{person}_{row.wake}",
            now=self.now,
            body=self.codec.seal_json(body_to_json(Message(text=words)), BODY),
        )
        return int(event.id)

    async def claim(self, limit: int = 8) -> list[Conversation]:
        """As a worker."""
        return await self.store.claim(self.now, limit, LEASE)

    async def end(self, claimed: Conversation, **more: Any) -> None:
        """End the turn with an answer."""
        await self.store.finish(claimed, self.answer(claimed, **more), self.now)

    def answer(self, claimed: Conversation, *said: str, **more: Any) -> Finish:
        """What answers everything that waits: `said`, or one sentence."""
        found = Understanding("plainte_comment", 0.9, (("plainte_comment", 0.9),), {"ville": "Lyon"}, model="m")
        ids = tuple(event.id for event in claimed.pending)
        replies = tuple(OutgoingReply(Reply(words)) for words in said or ("Allez au commissariat.",))
        settled = (Settlement(ids, "answered", None, len(replies) - 1, "answer", found),) if ids else ()
        read = (NewReading(ids[:1], self.now, WORDS, found, "answer"),) if ids else ()
        return Finish(settlements=settled, replies=replies, readings=read, state={"slots": {}}, **more)

    async def counts(self) -> tuple[int, int, int]:
        """Replies, readings, what can be found."""
        (row,) = await self.run("""
            SELECT (SELECT count(*) FROM outbox) AS said, (SELECT count(*) FROM readings) AS readings,
                (SELECT count(*) FROM search_documents WHERE kind = 'outbox') AS found
        """)
        return row.said, row.readings, row.found


@pytest.fixture
def desk(database: Database, codec: Codec, frozen_clock: FrozenClock) -> Desk:
    """A store at a winter noon."""
    return Desk(database, codec, frozen_clock.now())


async def test_one_statement_writes_the_whole_turn(desk: Desk) -> None:
    event = await desk.says()
    (claimed,) = await desk.claim()
    notice = OutgoingReply(Reply("Une crise est en cours."), dedup="crise:1")
    finish = desk.answer(claimed, "Bonjour.", "Allez au commissariat.", notice=notice)
    await desk.store.finish(claimed, finish, desk.now)
    said = await desk.run("SELECT * FROM outbox ORDER BY id")
    words = [opened_json(desk.codec, "outbox.message", row)["text"] for row in said]
    assert words == ["Une crise est en cours.", "Bonjour.", "Allez au commissariat."]
    assert {(row.account, row.owner_version) for row in said} == {("page", 0)}
    (row,) = await desk.run("SELECT * FROM events WHERE id = :id", id=event)
    assert (row.disposition, row.outbox_id, row.route, row.intent) == (
        "answered",
        said[2].id,
        "answer",
        "plainte_comment",
    )
    assert (row.settled_at, row.waiting) == (desk.now, None)
    assert opened_json(desk.codec, "events.entities", row) == {"ville": "Lyon"}
    (row,) = await desk.run("SELECT * FROM conversations")
    assert (row.due_at, row.lease_until, row.lease) == (None, None, claimed.lease + 1)
    assert opened_json(desk.codec, "conversations.state", row) == {"slots": {}}
    assert await desk.counts() == (3, 1, 3)


async def test_many_messages_are_answered_as_few_are(desk: Desk) -> None:
    events = [await desk.says(words=f"et encore une question {number}") for number in range(6)]
    (claimed,) = await desk.claim()
    found = Understanding("plainte_comment", 0.5, (("plainte_comment", 0.5),), {"ville": "Lyon"}, model="m")
    words = "une question qui se lit dans le carnet de doléances"
    finish = Finish(
        settlements=tuple(Settlement((e,), "answered", None, i, "answer", found) for i, e in enumerate(events)),
        replies=tuple(OutgoingReply(Reply(f"Réponse {number}.")) for number in range(6)),
        readings=tuple(NewReading((event,), desk.now, words, found, "answer", True) for event in events),
    )
    await desk.store.finish(claimed, finish, desk.now)
    rows = await desk.run("SELECT o.* FROM events e JOIN outbox o ON o.id = e.outbox_id ORDER BY e.id")
    said = [opened_json(desk.codec, "outbox.message", row)["text"] for row in rows]
    assert said == [f"Réponse {number}." for number in range(6)]
    heard = await desk.run("SELECT * FROM events")
    assert all(opened_json(desk.codec, "events.entities", row) == {"ville": "Lyon"} for row in heard)
    assert await desk.counts() == (6, 6, 6)
    read = await desk.run("SELECT * FROM readings ORDER BY event_id")
    assert {opened(desk.codec, "readings.words", row).decode() for row in read} == {words}
    assert all(row.ranking == [["plainte_comment", 0.5]] and "clarified" in row.reasons and row.bands for row in read)


async def test_a_lost_lease_writes_nothing(desk: Desk) -> None:
    event = await desk.says()
    (first,) = await desk.claim()
    await desk.run("UPDATE conversations SET lease_until = clock_timestamp() - interval '1 second'")
    (second,) = await desk.claim()
    with pytest.raises(LeaseLost):
        await desk.end(first)
    assert await desk.counts() == (0, 0, 0)
    await desk.end(second)
    assert await desk.counts() == (1, 1, 1)
    assert await desk.store.renew([first], LEASE) == set()
    (row,) = await desk.run("SELECT disposition FROM events WHERE id = :id", id=event)
    assert row.disposition == "answered"


async def test_a_row_that_somebody_writes_to_costs_no_neighbour_its_lease(desk: Desk) -> None:
    for person in "abcd":
        await desk.says(person)
    working, done = asyncio.Event(), asyncio.Event()

    class Slow:
        async def take(self, conversation: Conversation) -> None:
            working.set()
            await done.wait()

    listener = Listener(desk.database.url, (DUE,))
    worker = Worker(WorkerDeps(desk.store, cast(TurnTaker, Slow()), listener, FrozenClock(desk.now)))
    running = asyncio.create_task(worker.run())
    try:
        await asyncio.wait_for(working.wait(), 30)
        await desk.run("UPDATE conversations SET lease_until = clock_timestamp() + interval '1 minute'")
        await desk.run("UPDATE conversations SET lease = lease + 1 WHERE person = 'd'")  # another worker has it
        for held in worker._running.values():
            held.since -= LEASE.total_seconds()
        lasts = (
            "SELECT person FROM conversations WHERE lease_until < clock_timestamp() + interval '30 seconds' ORDER BY 1"
        )
        async with desk.database.begin() as other:
            await other.execute(text("SELECT FROM conversations WHERE person = 'a' FOR UPDATE"))
            await asyncio.wait_for(worker._renew(), 30)
            assert [row.person for row in await desk.run(lasts)] == ["b", "c"]
        await worker._renew()  # the next look
        assert [row.person for row in await desk.run(lasts)] == ["a", "b", "c"]
        await desk.run("UPDATE conversations SET lease_until = clock_timestamp() + interval '1 minute'")
        await worker._renew()
        assert await desk.run(lasts) == []  # they have just been lengthened
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("how", ["release", "finish"])
async def test_attempts_without_end(desk: Desk, how: str) -> None:
    await desk.says()
    await desk.run("UPDATE conversations SET attempts = 32767")
    (claimed,) = await desk.claim()
    if how == "release":
        await desk.store.release(claimed, desk.now, claimed.attempts + 1, "retry")
    else:
        await desk.end(claimed, attempts=claimed.attempts + 1)
    assert [tuple(row) for row in await desk.run("SELECT attempts, lease_until FROM conversations")] == [(32000, None)]


async def test_another_owner_meanwhile_ends_the_turn(desk: Desk) -> None:
    await desk.says()
    (claimed,) = await desk.claim()
    await desk.run("UPDATE conversations SET owner = 'agent', owner_version = owner_version + 1")
    with pytest.raises(LeaseLost):
        await desk.end(claimed)
    assert await desk.counts() == (0, 0, 0)


async def test_what_is_withdrawn_while_the_end_waits_keeps_its_fate_and_leaves_no_reading(desk: Desk) -> None:
    event = await desk.says()
    (claimed,) = await desk.claim()
    async with desk.database.begin() as connection:  # the gateway, in the middle of taking the withdrawal in
        await connection.execute(text("SELECT FROM conversations FOR UPDATE"))
        ending = asyncio.create_task(desk.end(claimed))
        await _blocked(desk)
        await connection.execute(
            text("UPDATE events SET disposition = 'ignored', reason = 'unsent' WHERE id = :id"), {"id": event}
        )
    await ending
    (row,) = await desk.run("SELECT disposition, reason, entities FROM events WHERE id = :id", id=event)
    assert (row.disposition, row.reason, row.entities) == ("ignored", "unsent", None)
    assert (await desk.counts())[1] == 0


async def test_what_comes_in_during_a_turn_is_looked_at_when_it_ends(desk: Desk) -> None:
    await desk.says()
    (claimed,) = await desk.claim()
    assert desk.store.next_due is None
    second = await desk.says(words="et pour une voiture ?")
    assert await desk.claim() == []
    await desk.end(claimed)
    assert desk.store.next_due == desk.now
    (again,) = await desk.claim()
    assert [event.id for event in again.pending] == [second]
    assert (again.said, again.reached) == (1, True)


async def test_a_hand_off_opens_with_the_turn(desk: Desk) -> None:
    await desk.says()
    (claimed,) = await desk.claim()
    request = HandoffRequest("complaint", PRIORITY["complaint"], "reclamation_police", {"date": "hier"})
    listener = Listener(desk.database.url, (CONSOLE,))
    with listener.subscribe() as heard:
        listener.start()
        await asyncio.wait_for(heard.get(), 30)
        more = {
            "handoff_intent": "reclamation_police",
            "handoff_slots": {"ville": "Lyon"},
            "handoff_before": {"date": "lundi"},
        }
        await desk.end(claimed, handoff=request, **more)
        told = {(await asyncio.wait_for(heard.get(), 30))[1] for _ in range(2)}
    assert told == {str(claimed.id), f"handoff:{PRIORITY['complaint']}"}
    await listener.close()
    (row,) = await desk.run("SELECT h.*, d.within FROM handoffs h JOIN deadlines d ON d.priority = h.priority")
    assert (row.category, row.priority, row.reason, row.intent) == (
        "complaint",
        PRIORITY["complaint"],
        "reclamation_police",
        "reclamation_police",
    )
    assert (row.opened_at, row.raised_at, row.due_at, row.platform) == (
        desk.now,
        desk.now,
        desk.now + row.within,
        "messenger",
    )
    assert opened_json(desk.codec, "handoffs.slots", row) == {"date": "hier", "ville": "Lyon"}
    (row,) = await desk.run("SELECT owner, owner_version, category, state FROM conversations")
    assert (row.owner, row.owner_version, row.category) == ("waiting", 0, "complaint")
    assert await desk.counts() == (1, 1, 1)


async def test_a_hand_off_that_opens_in_the_same_moment_is_raised(desk: Desk) -> None:
    await desk.says()
    (claimed,) = await desk.claim()
    request = HandoffRequest("complaint", PRIORITY["complaint"], "reclamation_police")
    async with desk.database.begin() as connection:  # the sender, giving a message up
        await handoffs.open_(
            connection, desk.codec, handoffs.NewHandoff(claimed.id, "request", "window_closed"), desk.now
        )
        ending = asyncio.create_task(desk.end(claimed, handoff=request, handoff_slots={"ville": "Lyon"}))
        await _blocked(desk)
    await ending
    (row,) = await desk.run("SELECT * FROM handoffs")
    assert (row.category, row.reason) == ("complaint", "reclamation_police")
    assert opened_json(desk.codec, "handoffs.slots", row) == {"ville": "Lyon"}
    assert await desk.counts() == (1, 1, 1)


async def test_a_missing_person_raises_a_likely_danger_and_rings(desk: Desk) -> None:
    await desk.says()
    (claimed,) = await desk.claim()

    async def opened(category: str, reason: str) -> tuple[Any, ...]:
        await desk.run("UPDATE handoffs SET alerted_at = :at", at=desk.now)
        async with of_part(desk.database, "worker").begin() as connection:
            new = handoffs.NewHandoff(claimed.id, category, reason, reason)
            await handoffs.open_(connection, desk.codec, new, desk.now)
        query = "SELECT category, priority, reason, intent, alerted_at IS NULL AS rings FROM handoffs"
        (row,) = await desk.run(query)
        return tuple(row)

    likely = ("sensitive", 1, "danger_probable", "danger_probable")
    missing = ("urgent", 1, "disparition", "disparition")
    assert await opened("sensitive", "danger_probable") == (*likely, True)
    assert await opened("sensitive", "violences_conjugales") == (*likely, False)
    assert await opened("urgent", "disparition") == (*missing, True)
    assert await opened("sensitive", "danger_probable") == (*missing, False)
    (row,) = await desk.run("SELECT category FROM conversations")
    assert row.category == "urgent"


async def test_a_hand_off_that_opens_meanwhile_gets_what_was_told(desk: Desk) -> None:
    await desk.says()
    (claimed,) = await desk.claim()
    assert not claimed.handed
    async with desk.database.begin() as connection:
        new = handoffs.NewHandoff(claimed.id, "request", "moteur")
        await handoffs.open_(connection, desk.codec, new, desk.now)
    await desk.end(claimed, handoff_slots={"ville": "Lyon"})
    (row,) = await desk.run("SELECT * FROM handoffs")
    assert opened_json(desk.codec, "handoffs.slots", row) == {"ville": "Lyon"}
    assert await desk.counts() == (1, 1, 1)
    await desk.says()
    (again,) = await desk.claim()
    assert (again.handed, again.attended) == (True, False)


async def test_what_an_agent_puts_off_during_a_turn_comes_back(desk: Desk) -> None:
    await desk.says()
    (first,) = await desk.claim()
    async with desk.database.begin() as connection:
        new = handoffs.NewHandoff(first.id, "request", "moteur")
        await handoffs.open_(connection, desk.codec, new, desk.now)
    until = desk.now + timedelta(hours=1)
    async with desk.database.begin() as connection:
        await connection.execute(text("SELECT FROM conversations FOR UPDATE"))
        ending = asyncio.create_task(desk.end(first))
        await _blocked(desk)
        await connection.execute(text("UPDATE handoffs SET snoozed_until = :until"), {"until": until})
        await connection.execute(text("UPDATE conversations SET due_at = :until"), {"until": until})
    await ending
    (row,) = await desk.run("SELECT due_at FROM conversations")
    assert row.due_at == until


async def test_a_name_stands_once_in_a_conversation(desk: Desk) -> None:
    for _ in range(2):
        await desk.says()
        (claimed,) = await desk.claim()
        night = OutgoingReply(Reply("Les agents lisent dès 6 h."), author="night", dedup="night:2026-01-15")
        finish = desk.answer(claimed)
        await desk.store.finish(claimed, Finish(settlements=finish.settlements, replies=(night,)), desk.now)
    assert len(await desk.run("SELECT FROM outbox")) == 1
    rows = await desk.run("SELECT disposition, outbox_id IS NULL AS alone FROM events ORDER BY id")
    assert [(row.disposition, row.alone) for row in rows] == [("answered", False), ("answered", True)]


async def test_a_claim_takes_the_most_pressing_and_says_when_the_next_is_due(desk: Desk) -> None:
    later = desk.now + timedelta(minutes=5)
    for person, priority, due in (("a", 7, desk.now), ("b", 4, desk.now), ("c", 2, desk.now), ("d", 0, desk.now)):
        await desk.says(person, priority=priority, due=due)
    await desk.says("e", due=later)
    assert [one.person for one in await desk.claim(3)] == ["d", "c", "b"]
    assert desk.store.next_due == desk.now  # of whom there was no room for
    assert [one.person for one in await desk.claim(3)] == ["a"]
    assert desk.store.next_due == later
    assert await desk.claim(3) == []


async def test_a_claim_reads_everything_that_waits_in_order(desk: Desk) -> None:
    first = await desk.says(words="bonjour")
    desk.now += timedelta(seconds=1)
    second = await desk.says(words=WORDS)
    await desk.says("q")
    claimed = {one.person: one for one in await desk.claim()}
    assert [event.id for event in claimed["p"].pending] == [first, second]
    assert [getattr(event.body, "text", "") for event in claimed["p"].pending] == ["bonjour", WORDS]
    assert len(claimed["q"].pending) == 1
    assert (claimed["p"].said, claimed["p"].reached, claimed["p"].crisis, claimed["p"].blocked) == (
        0,
        False,
        None,
        False,
    )


async def test_a_conversation_that_cannot_be_read_holds_back_no_other(desk: Desk) -> None:
    for person in "abc":
        await desk.says(person)
    await desk.run("UPDATE events SET body = '\\x00' WHERE key = 'm_a_1'")
    await desk.run("UPDATE conversations SET state = '\\x01' WHERE person = 'b'")
    assert {claimed.person: claimed.state for claimed in await desk.claim()} == {"b": None, "c": None}
    assert await desk.claim() == []  # the other is not asked for over and over


async def test_a_claim_that_breaks_off_leaves_no_lease_behind(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for person in "ab":
        await desk.says(person)
    with monkeypatch.context() as patch:
        patch.setattr(
            conversations, "_read", lambda number: "SELECT 1 / 0 AS conversation, $1::text, $2::text, $3::text"
        )
        with pytest.raises(DBAPIError):
            await desk.claim()
    assert [claimed.lease for claimed in await desk.claim()] == [2, 2]


async def test_a_worker_that_stops_in_the_middle_of_a_claim_leaves_no_lease_behind(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.says()
    with monkeypatch.context() as patch:
        patch.setattr(
            conversations, "_read", lambda number: "SELECT pg_sleep(60), 1 AS conversation, $1::text, $2::text"
        )
        claiming = asyncio.create_task(desk.claim())
        while not await desk.run("SELECT FROM conversations WHERE lease_until IS NOT NULL"):
            await asyncio.sleep(0.01)
        claiming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await claiming
    assert [claimed.lease for claimed in await desk.claim()] == [2]


async def test_only_what_left_or_may_leave_has_reached_somebody(desk: Desk) -> None:
    await desk.says()
    (claimed,) = await desk.claim()
    async with desk.database.begin() as connection:
        for minutes in (1, 20):
            row = outbox.NewRow(claimed.id, "reply", "bot", Reply("Bonjour."), desk.now - timedelta(minutes=minutes))
            await outbox.add(connection, desk.codec, row)
        await connection.execute(text("UPDATE outbox SET status = 'failed'"))
    await desk.end(claimed)
    await desk.run("UPDATE outbox SET status = 'cancelled' WHERE status = 'queued'")
    await desk.says()
    (again,) = await desk.claim()
    assert (again.said, again.reached) == (1, False)


async def test_the_same_statement_is_prepared_once_whatever_its_values(database: Database) -> None:
    async with database.plain() as connection:
        for number, moment, words in ((1, None, None), (2**40, datetime(2026, 1, 1), b"\x00'\\"), (None, None, b"")):
            query = "SELECT $1::bigint AS n, $2::timestamp AS at, $3::bytea AS b, $4::bytea[] AS bs"
            (row,) = await connection.rows(query, (number, moment, words, [words, None]))
            assert (row.n, row.at, row.b, row.bs) == (number, moment, words, [words, None])
        prepared = await connection.rows(
            "SELECT count(*) AS n FROM pg_prepared_statements WHERE statement LIKE '%bytea[]%'"
        )
    assert prepared[0].n == 1


@pytest.mark.parametrize(("limit", "value"), [("REPLAN", 1), ("PLANS", -1)])
async def test_plans_follow_a_table_that_grows(
    database: Database, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(plain, "PLANS", 3600)
    query = "SELECT id FROM events WHERE id = $1::bigint AND disposition IS NULL"
    async with database.plain() as connection:
        for _ in range(8):
            await connection.rows(query, (1,))
        named = "SELECT name FROM pg_prepared_statements WHERE statement = $1::text"
        name = (await connection.rows(named, (query,)))[0].name

        async def plan() -> str:
            return " ".join(row[0] for row in await connection.rows(f"EXPLAIN EXECUTE {name}(1)"))

        await connection.rows("""
            INSERT INTO events (platform, account, key, kind, channel, at, received_at, body)
            SELECT 'messenger', 'page', i::text, 'text', 'messaging', now(), now(), '' FROM generate_series(1, 3000) AS i
            RETURNING id
        """)
        assert "events_pkey" not in await plan()  # made while the table was empty: it walks through all that waits
        monkeypatch.setattr(plain, limit, value)
        assert "events_pkey" in await plan()


async def test_plans_of_transactions_follow_a_table_that_grows(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(database_url, size=1)
    query = text("UPDATE events e SET reason = 'x' FROM unnest(CAST(:ids AS bigint[])) AS i(id) WHERE e.id = i.id")
    monkeypatch.setattr(db, "PLANS", 3600)
    for _ in range(10):
        async with database.begin() as connection:
            await connection.execute(query, {"ids": [1]})

    async def plan() -> str:
        async with database.begin() as connection:
            name = await connection.scalar(
                text("SELECT name FROM pg_prepared_statements WHERE statement LIKE 'UPDATE events e%'")
            )
            return " ".join(row[0] for row in await connection.execute(text(f"EXPLAIN EXECUTE {name}('{{1}}')")))

    async with database.begin() as connection:
        await connection.execute(
            text("""
                INSERT INTO events (platform, account, key, kind, channel, at, received_at, body)
                SELECT 'messenger', 'page', i::text, 'text', 'messaging', now(), now(), '' FROM generate_series(1, 3000) AS i
            """)
        )
    assert "Seq Scan on events" in await plan()
    monkeypatch.setattr(db, "PLANS", -1)
    assert "events_pkey" in await plan()
    async with database.begin() as connection:  # nothing stands before the first statement of a transaction
        await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    await database.close()


async def test_a_plain_connection_that_broke_is_replaced(database: Database) -> None:
    async with database.plain() as connection:
        (row,) = await connection.rows("SELECT pg_backend_pid() AS pid")
    async with database.begin() as killer:
        await killer.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": row.pid})
    with pytest.raises(OperationalError):
        async with database.plain() as connection:
            await connection.rows("SELECT 1")
    with pytest.raises(DBAPIError):
        async with database.plain() as connection:
            await connection.rows("SELECT 1 / 0")
    async with database.plain() as connection:
        assert (await connection.rows("SELECT 1 AS one"))[0].one == 1


async def test_notifications_are_gathered_and_all_arrive(database: Database) -> None:
    listener = Listener(database.url, (DUE, OUTBOX, CONSOLE))
    with listener.subscribe() as heard:
        listener.start()
        for _ in range(3):
            await asyncio.wait_for(heard.get(), 30)  # it listens
        for number in range(20):
            async with database.begin() as connection:
                await notify(connection, CONSOLE, str(number))
        database.tell([(OUTBOX, "")])
        await database.close()  # what was not yet told is told
        told = [await asyncio.wait_for(heard.get(), 30) for _ in range(21)]
    assert sorted(told) == sorted([*((CONSOLE, str(number)) for number in range(20)), (OUTBOX, "")])
    await listener.close()


async def test_who_is_in_danger_waits_for_no_company(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "GATHER", 3600)
    listener = Listener(database.url, (CONSOLE, EMERGENCY))
    with listener.subscribe() as heard:
        listener.start()
        for _ in range(2):
            await asyncio.wait_for(heard.get(), 30)
        database.tell([(CONSOLE, "1")])
        assert await asyncio.wait_for(heard.get(), 30) == (CONSOLE, "1")  # quiet until now: at once
        database.tell([(CONSOLE, "2")])
        database.tell([(EMERGENCY, "")])
        told = [await asyncio.wait_for(heard.get(), 30) for _ in range(2)]
    assert sorted(told) == [(CONSOLE, "2"), (EMERGENCY, "")]
    await listener.close()


async def test_a_rolled_back_transaction_tells_nothing(database: Database) -> None:
    listener = Listener(database.url, (CONSOLE,))
    with listener.subscribe() as heard:
        listener.start()
        await asyncio.wait_for(heard.get(), 30)
        with pytest.raises(ZeroDivisionError):
            await _fails_after_notifying(database)
        database.tell([(CONSOLE, "2")])
        assert await asyncio.wait_for(heard.get(), 30) == (CONSOLE, "2")
    await listener.close()


async def _fails_after_notifying(database: Database) -> None:
    async with database.begin() as connection:
        await notify(connection, CONSOLE, "1")
        raise ZeroDivisionError


async def _blocked(desk: Desk) -> None:
    """Wait until some statement waits for a lock."""
    async with asyncio.timeout(180):
        while not await desk.run("SELECT FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)
