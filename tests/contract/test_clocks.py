"""One clock for all processes, PostgreSQL's; and what a clock that was wrong has written holds nothing back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import text

from bot.app import vitals
from bot.core.clock import FrozenClock, SharedClock
from bot.core.dialogue import Reply
from bot.core.messages import Message, body_to_json
from bot.core.outbox import AGENT, EMERGENCY, REPLY
from bot.sender.deps import Timing
from bot.store import its_clock, meta_flow, outbox, stale
from bot.store.codec import Codec
from bot.store.conversations import BODY, Conversations
from bot.store.db import Database, Listener
from bot.store.deadlines import Deadlines
from bot.store.outbox import OutboxStore
from bot.store.workbench.runs import Runs
from bot.worker.worker import ENGINE_RETRY_MAX

LEASE = timedelta(seconds=8)
HOUR = timedelta(hours=1)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await true():
            await asyncio.sleep(0.01)


async def run(database: Database, query: str, **values: Any) -> list[Any]:
    async with database.begin() as connection:
        found = await connection.execute(text(query), values)
        return list(found.all()) if found.returns_rows else []


async def talk(database: Database, person: str = "p") -> int:
    [row] = await run(
        database,
        """INSERT INTO conversations (platform, account, person, last_person_at)
           VALUES ('messenger', 'page', :person, now()) RETURNING id""",
        person=person,
    )
    return int(row.id)


# The clock


@pytest.mark.parametrize("ahead", [3600.0, -3600.0])
async def test_a_process_goes_by_postgresql_before_it_asks_anything(database_url: str, ahead: float) -> None:
    clock = SharedClock(lambda: time.time() + ahead)
    database = Database(database_url, size=2, clock=clock)
    try:
        for opened in (database.begin, database.plain):
            clock.read = False
            async with opened():
                assert clock.read
                assert abs(clock.now().timestamp() - time.time()) < 60
                assert clock.skew == pytest.approx(ahead, abs=60)
        assert abs((await database.now()).timestamp() - time.time()) < 60
    finally:
        await database.close()


async def test_a_jump_of_the_machine_is_told_and_changes_nothing(
    database_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(its_clock, "EVERY", 0.01)
    ahead = 0.0
    clock = SharedClock(lambda: time.time() + ahead)
    database = Database(database_url, size=2, clock=clock)
    following = asyncio.create_task(its_clock.follow(database, "worker"))

    async def told() -> bool:
        rows = await run(database, "SELECT skew FROM clocks WHERE role = 'worker'")
        return bool(rows) and abs(rows[0].skew - ahead) < 60

    try:
        await until(told)
        for jump in (3600.0, -3600.0):
            ahead = jump
            before = time.monotonic(), clock.now()
            await until(told)
            passed = (clock.now() - before[1]).total_seconds()
            assert passed == pytest.approx(time.monotonic() - before[0], abs=5)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await database.close()
    assert "this machine's clock is +3600.0 s from PostgreSQL's" in caplog.text


async def test_who_takes_by_time_waits_for_a_clock_that_is_right(database: Database) -> None:
    waiting = asyncio.create_task(its_clock.first(database.clock))
    await asyncio.sleep(0)
    assert not waiting.done()
    async with database.plain():
        pass
    await asyncio.wait_for(waiting, 60)


# What lies ahead: the outbox


def test_what_is_taken_for_stale_is_longer_than_anything_lasts() -> None:
    """The conditions stand in migration 0008 and in bot/store/stale.py."""
    timing = Timing()
    longest = max(timing.longest_retry, timing.longest_pause, timing.control_retry)
    assert timedelta(seconds=longest) < stale.PAUSE == timedelta(hours=2)
    assert max(timing.longest_emergency_retry, timing.blocked_emergency_retry) <= 110  # the claim believes 120
    assert timedelta(seconds=max(timing.lease, timing.emergency_lease)) < stale.LEASE
    assert timedelta(seconds=ENGINE_RETRY_MAX) < stale.RETRY


@pytest.fixture
def store(database: Database, codec: Codec) -> OutboxStore:
    return OutboxStore(database, codec, Listener(database.url, ()), 40)


async def add(database: Database, codec: Codec, lane: str, person: str, **columns: Any) -> int:
    """A message that is due now but for `columns` (SQL)."""
    conversation = await talk(database, person)
    now = await database.now()
    async with database.begin() as connection:
        row = outbox.NewRow(conversation, lane, "emergency" if lane == EMERGENCY else "bot", Reply("…"), now)
        number = await outbox.add(connection, codec, row)
        for column, value in columns.items():
            await connection.execute(text(f"UPDATE outbox SET {column} = {value} WHERE id = :id"), {"id": number})
    assert number is not None
    return number


async def claimed(store: OutboxStore, database: Database, *lanes: str) -> set[int]:
    return {row.id for row in await store.claim(await database.now(), 32, lanes, LEASE)}


async def test_no_moment_ahead_holds_an_emergency_back(store: OutboxStore, database: Database, codec: Codec) -> None:
    free = [
        await add(database, codec, EMERGENCY, "set back", due_at="now() + interval '1 hour'"),
        await add(database, codec, EMERGENCY, "a little", due_at="now() + interval '50 seconds'"),
        await add(database, codec, EMERGENCY, "tried", due_at="now() + interval '1 hour'", attempts="3"),
        await add(database, codec, EMERGENCY, "leased", lease_until="now() + interval '1 hour'"),
    ]
    await add(database, codec, EMERGENCY, "just tried", due_at="now() + interval '50 seconds'", attempts="3")
    await add(database, codec, EMERGENCY, "held", lease_until="now() + interval '8 seconds'")
    assert await claimed(store, database, EMERGENCY) == set(free)


async def test_no_moment_ahead_holds_a_reply_back(store: OutboxStore, database: Database, codec: Codec) -> None:
    late = await add(database, codec, REPLY, "late", due_at="now() + interval '3 hours'")
    leased = await add(database, codec, REPLY, "leased", lease_until="now() + interval '1 hour'")
    await add(database, codec, REPLY, "paused", due_at="now() + interval '50 minutes'")
    await store.pause_account("page", await database.now() + timedelta(hours=3))
    slowed = "UPDATE accounts SET slowed_to = 1, slowed_until = now() + interval '{} minutes'"
    await run(database, slowed.format(150))
    assert await claimed(store, database, REPLY, AGENT) == {leased}, "a pause of three hours is no pause"
    assert await stale.replies(database, database.clock) == 1
    times = "SELECT paused_until, slowed_to, slowed_until FROM accounts"
    assert await run(database, times) == [(None, None, None)], "nor will it be one in an hour"
    assert await claimed(store, database, REPLY, AGENT) == {late}
    await run(database, "UPDATE outbox SET lease_until = NULL")
    await run(database, "UPDATE accounts SET paused_until = now() + interval '26 hours'")
    asked = await database.now() + timedelta(minutes=50)
    await store.pause_account("page", asked)
    await run(database, slowed.format(50))
    assert await stale.replies(database, database.clock) == 0
    assert [(row.paused_until, row.slowed_to) for row in await run(database, times)] == [(asked, 1)]
    assert await claimed(store, database, REPLY, AGENT) == set(), "what Meta asked for is kept"


# What lies ahead: conversations


async def test_no_moment_ahead_holds_a_conversation_back(database: Database, codec: Codec) -> None:
    cases = {
        "due an hour late": ("now() + interval '1 hour'", "NULL", "NULL", True),
        "the engine is away": ("now() + interval '5 seconds'", "'retry'", "NULL", False),
        "tonight": ("now() + interval '9 hours'", "'night'", "NULL", False),
        "some other night": ("now() + interval '3 days'", "'night'", "NULL", True),
        "in another's hands": ("now()", "NULL", "now() + interval '9 seconds'", False),
        "in the hands of the future": ("now()", "NULL", "now() + interval '1 hour'", True),
    }
    wanted = set()
    for name, (due, waiting, leased, free) in cases.items():
        number = await talk(database, name)
        async with database.begin() as connection:
            await connection.execute(
                text(f"UPDATE conversations SET due_at = {due}, lease_until = {leased} WHERE id = :id"),
                {"id": number},
            )
            await connection.execute(
                text(f"""
                    INSERT INTO events (conversation_id, platform, account, key, kind, channel, at, received_at, waiting, body)
                    VALUES (:id, 'messenger', 'page', :key, 'text', 'messaging', now(), now(), {waiting}, :body)
                """),
                {"id": number, "key": name, "body": codec.seal_json(body_to_json(Message(text="…")), BODY)},
            )
        wanted |= {number} if free else set()
    snoozed = await talk(database, "snoozed, and nothing waits")
    await run(database, "UPDATE conversations SET due_at = now() + interval '6 days' WHERE id = :id", id=snoozed)
    assert await stale.turns(database, database.clock) == 2
    found = await Conversations(database, codec).claim(await database.now(), 9, LEASE)
    assert {one.id for one in found} == wanted


async def test_a_look_of_the_future_hides_no_emergency(database: Database, database_url: str) -> None:
    """What a console an hour ahead noted yesterday must not count as a look at what was cried since."""
    number = await talk(database)
    await run(
        database,
        """INSERT INTO handoffs (conversation_id, category, priority, reason, opened_at, raised_at, due_at, platform)
           VALUES (:id, 'emergency', 0, 'emergency_lexicon', now() - interval '20 minutes', now(), now(), 'messenger')""",
        id=number,
    )
    await run(database, "INSERT INTO users (name, role) VALUES ('Claire', 'agent')")
    seen = "INSERT INTO presence (conversation_id, user_id, seen_at) SELECT :id, id, now() {} FROM users"
    with psycopg.connect(database_url, row_factory=dict_row, autocommit=True) as connection:

        def told() -> bool:
            return any(vitals.unread(connection, datetime.now(UTC), 5))

        await run(database, seen.format("+ interval '40 minutes'"), id=number)
        assert told(), "nobody has looked yet"
        await run(database, "UPDATE presence SET seen_at = now()")
        assert not told()


# What lies ahead: the rest


@pytest.mark.parametrize(("days", "woken"), [(20, 0), (40, 1)])
async def test_a_snooze_that_nobody_can_have_chosen_ends(database: Database, days: int, woken: int) -> None:
    await run(
        database,
        """INSERT INTO handoffs
               (conversation_id, category, priority, reason, opened_at, raised_at, due_at, platform, snoozed_until)
           VALUES (:id, 'urgent', 2, 'x', now(), now(), now() + interval '1 day', 'messenger',
               now() + make_interval(days => :days))""",
        id=await talk(database),
        days=days,
    )
    assert (await Deadlines(database).look(await database.now()))[0] == woken


async def test_a_training_of_the_future_does_not_shut_the_workbench(database: Database) -> None:
    runs = Runs(database)
    clock = FrozenClock(await database.now())
    await run(database, "INSERT INTO users (name, role) VALUES ('Yanis', 'trainer')")
    for state, lease in (("training", "now() + interval '1 hour'"), ("queued", "NULL")):
        await run(
            database,
            f"""INSERT INTO trainings (user_id, author, state, asked_at, lease_until, attempts)
                SELECT id, name, '{state}', now(), {lease}, 0 FROM users""",
        )
    assert await runs.claim(clock.now()) is not None
    assert await runs.claim(clock.now()) is None, "one at a time"


@pytest.mark.parametrize(("ahead", "since"), [(HOUR, meta_flow.DEPTH), (-HOUR, HOUR + meta_flow.MARGIN)])
async def test_a_catch_up_does_not_begin_in_the_future(database: Database, ahead: timedelta, since: timedelta) -> None:
    """Else what came between the last message and that moment would never be looked for."""
    now = await database.now()
    async with database.begin() as connection:
        await connection.execute(
            text("INSERT INTO meta_flow (account, platform, complete_until) VALUES ('page', 'messenger', :at)"),
            {"at": now + ahead},
        )
        walk = await meta_flow.begin(connection, "page", "messenger", now)
    assert walk.since == now - since
