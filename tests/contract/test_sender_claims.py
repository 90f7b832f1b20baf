"""What a claim reads, what receipts write, how the ceiling is shared: on the real outbox in PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from bot.core.clock import SystemClock
from bot.core.dialogue import Reply
from bot.core.outbox import AGENT, EMERGENCY, REPLY, OutboxRow
from bot.meta.send_api import Usage
from bot.policy.emergency import Detection
from bot.sender.use import FORGOTTEN, Use
from bot.store import ceiling, handoffs, outbox
from bot.store.codec import Codec
from bot.store.db import OUTBOX, Database, Listener
from bot.store.emergencies import EmergencyPlan, carry_out
from bot.store.outbox import OutboxStore
from tests.conftest import of_part

LEASE = timedelta(seconds=60)
REPLIES = (REPLY, AGENT)


@pytest.fixture
def store(database: Database, codec: Codec) -> OutboxStore:
    return OutboxStore(of_part(database, "sender"), codec, Listener(database.url, ()), 40)


async def fill(database: Database, codec: Codec, account: str, people: int, each: int = 1, lane: str = REPLY) -> None:
    """`each` messages to so many people, all due; added as an older version adds them, without the account."""
    sealed = codec.seal_json({"text": "Bonjour. " * 120, "quick_replies": []}, "outbox.message")
    async with database.begin() as connection:
        await connection.execute(
            text("""
                WITH talks AS (
                    INSERT INTO conversations (platform, account, person, last_person_at)
                    SELECT 'messenger', CAST(:account AS text), gen_random_uuid()::text, now()
                    FROM generate_series(1, CAST(:people AS integer)) n RETURNING id)
                INSERT INTO outbox (conversation_id, lane, author, message, created_at, due_at)
                SELECT id, :lane, 'bot', :sealed, now(), now() - interval '1 second' FROM talks, generate_series(1, :each) n
                ORDER BY id, n
            """),
            {"account": account, "people": people, "each": each, "lane": lane, "sealed": sealed},
        )


async def claimed(store: OutboxStore, limit: int = 32, **more: Any) -> list[OutboxRow]:
    return list(await store.claim(SystemClock().now(), limit, more.pop("lanes", REPLIES), LEASE, **more))


STATEMENTS = {
    "claim": ("SELECT * FROM claim_replies(now(), '{reply,agent}', '{}', 32, '60 s', '{}', NULL)", 2_500),
    "receipts": ("SELECT * FROM write_receipts('{1,2,3}', '{1,1,1}', '{a,b,c}', '{now,now,now}')", 150),
    "what follows": ("SELECT * FROM what_follows('{1,2,3}')", 150),
}


async def blocks_read(driver: Any, statement: str) -> int:
    """How much of the database a statement touches, once its plan is made; nothing is changed."""
    return min([await _blocks(driver, statement) for _ in range(3)])


async def _blocks(driver: Any, statement: str) -> int:
    await driver.execute("BEGIN")
    found = await driver.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}".encode())
    plan = (await found.fetchone())[0]
    await driver.execute("ROLLBACK")
    top = (plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"]
    return int(top["Shared Hit Blocks"]) + int(top["Shared Read Blocks"])


@pytest.mark.parametrize("before", [0, 20, 60])
async def test_a_plan_made_when_little_waited_serves_when_much_does(
    database: Database, codec: Codec, before: int
) -> None:
    """A connection keeps its plans; PostgreSQL would rather read a small table whole."""
    if before:
        await fill(database, codec, "1000", people=before)
    async with await psycopg.AsyncConnection.connect(database.url, autocommit=True, prepare_threshold=None) as driver:
        await driver.execute("ANALYZE")
        for statement, _ in STATEMENTS.values():
            await blocks_read(driver, statement)
        await fill(database, codec, "1000", people=3_000)
        # Each of 32 rows is looked up a few times; walked through, what waits would be read again for each of them.
        found = {name: await blocks_read(driver, statement) for name, (statement, _) in STATEMENTS.items()}
        assert all(found[name] < most for name, (_, most) in STATEMENTS.items()), found


async def test_accounts_that_may_not_send_hold_nobody_back(
    database: Database, codec: Codec, store: OutboxStore
) -> None:
    for account in ("1000", "2000", "3000", "4000"):
        await fill(database, codec, account, people=5)
    now = SystemClock().now()
    await store.stop_account("1000", "token", "…")
    await store.pause_account("2000", now + timedelta(minutes=1))
    assert {row.account for row in await claimed(store, 2, full=["3000"])} == {"4000"}
    assert {row.account for row in await claimed(store)} == {"3000", "4000"}
    assert [row.account for row in await claimed(store, 2, account="1000")] == ["1000", "1000"]
    await store.resume_account("2000")
    assert len(await claimed(store)) == 5


async def test_the_first_of_a_conversation_and_no_other(database: Database, codec: Codec, store: OutboxStore) -> None:
    await fill(database, codec, "1000", people=3, each=4)
    await fill(database, codec, "1000x", people=1, lane=EMERGENCY)
    first = await claimed(store)
    assert len({row.conversation_id for row in first}) == len(first) == 3
    assert await claimed(store) == []
    assert [row.lane for row in await claimed(store, lanes=(EMERGENCY,))] == [EMERGENCY]
    now = SystemClock().now()
    assert await store.sent(first[1], "m_1", now)
    second = await claimed(store)
    assert [row.conversation_id for row in second] == [first[1].conversation_id]
    assert second[0].id > first[1].id


@pytest.mark.parametrize("author", ["bot", "night", "system"])
async def test_what_a_sender_holds_does_not_follow_an_emergency_reply(
    database: Database, codec: Codec, store: OutboxStore, author: str
) -> None:
    await fill(database, codec, "1000", people=2)
    async with database.begin() as connection:
        await connection.execute(text("UPDATE outbox SET author = :author"), {"author": author})
    first, other = await claimed(store)
    now = SystemClock().now()
    async with database.begin() as connection:
        plan = EmergencyPlan("Appelez le 17.", short=False, handoff=True, old=False)
        await carry_out(connection, codec, first.conversation_id, plan, Detection("danger", "lexicon"), now, {}, {})
    assert not await store.renew(first, now, LEASE)
    assert await store.renew(other, now, LEASE)
    async with database.begin() as connection:
        rows = await connection.execute(text("SELECT id, status FROM outbox WHERE lane = 'reply' ORDER BY id"))
        assert [tuple(row) for row in rows] == sorted([(first.id, "cancelled"), (other.id, "queued")])


async def test_two_senders_never_claim_the_same(database: Database, codec: Codec, store: OutboxStore) -> None:
    await fill(database, codec, "1000", people=120, each=2)
    found = await asyncio.gather(*(claimed(store, 20) for _ in range(8)))
    ids = [row.id for rows in found for row in rows]
    talks = [row.conversation_id for rows in found for row in rows]
    assert len(ids) == len(set(ids)) == len(set(talks))
    assert len(ids) >= 20


async def test_a_row_that_cannot_be_read_holds_back_its_own_conversation_only(
    database: Database, codec: Codec, store: OutboxStore
) -> None:
    await fill(database, codec, "1000", people=2)
    async with database.begin() as connection:
        await connection.execute(
            text("UPDATE outbox SET message = '\\x00' WHERE id = (SELECT min(id) FROM outbox)"),
        )
    assert len(await claimed(store)) == 1


async def test_a_row_that_lacks_something_holds_back_no_other(
    database: Database, codec: Codec, store: OutboxStore
) -> None:
    await fill(database, codec, "1000", people=2)
    async with database.begin() as connection:
        await connection.execute(
            text("UPDATE outbox SET message = :sealed WHERE id = (SELECT min(id) FROM outbox)"),
            {"sealed": codec.seal_json({"text": "Bonjour."}, "outbox.message")},
        )
    assert len(await claimed(store)) == 1


async def test_a_sender_that_stops_in_the_middle_of_a_claim_leaves_no_lease_behind(
    database: Database, codec: Codec, store: OutboxStore
) -> None:
    await fill(database, codec, "1000", people=3)
    async with database.begin() as connection:
        gone, lapsed, fresh = (await connection.execute(text("SELECT id FROM outbox ORDER BY id"))).scalars()
        await connection.execute(text("UPDATE outbox SET owner_version = 7 WHERE id = :id"), {"id": gone})
        await connection.execute(
            text("""
                INSERT INTO events (platform, account, key, kind, channel, at, received_at, body, disposition, outbox_id)
                VALUES ('messenger', '1000', 'm_1', 'text', 'messaging', now(), now(), '', 'answered', :id)
            """),
            {"id": gone},
        )
        await connection.execute(  # left by a sender that was killed: nobody knows whether it left
            text("UPDATE outbox SET lease_until = now() - interval '1 minute' WHERE id = :id"), {"id": lapsed}
        )
    async with database.begin() as other:
        await other.execute(text("SELECT FROM events FOR UPDATE"))
        claiming = asyncio.create_task(claimed(store))
        async with asyncio.timeout(180):
            while not await _waits_for_a_lock(database):
                await asyncio.sleep(0.01)
        claiming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await claiming
    assert {row.id: (row.lease, row.maybe_sent) for row in await claimed(store)} == {
        lapsed: ("2", True),
        fresh: ("2", False),
    }


async def _waits_for_a_lock(database: Database) -> bool:
    async with database.begin() as connection:
        return bool(await connection.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))


async def test_receipts_that_come_together_are_told_one_by_one(
    database: Database, codec: Codec, store: OutboxStore
) -> None:
    await fill(database, codec, "1000", people=6)
    rows = await claimed(store)
    lost = rows[2]
    async with database.begin() as connection:  # its lease ran out, and another sender has it
        await connection.execute(text("UPDATE outbox SET lease = lease + 1 WHERE id = :id"), {"id": lost.id})
    now = SystemClock().now()
    kept = await asyncio.gather(*(store.sent(row, f"m_{row.id}", now) for row in rows))
    assert kept == [row is not lost for row in rows]
    assert await store.echo_seen(lost.id, 0) == f"m_{lost.id}"
    async with database.begin() as connection:
        sent = await connection.execute(text("SELECT id, mids, sent_at FROM outbox WHERE status = 'sent' ORDER BY id"))
        assert [(r.id, r.mids, r.sent_at) for r in sent] == [(r.id, [f"m_{r.id}"], now) for r in rows if r is not lost]


@asynccontextmanager
async def written_to(database: Database, number: int) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """Inside, somebody else writes to this row. Their connection, to look with."""
    async with await psycopg.AsyncConnection.connect(database.url) as other:
        await other.execute("SELECT FROM outbox WHERE id = %s FOR UPDATE", (number,))
        yield other
        await other.rollback()


async def free(looking: psycopg.AsyncConnection[Any]) -> set[int]:
    """The rows that nobody else has locked; locked from here on."""
    found = await looking.execute("SELECT id FROM outbox FOR UPDATE SKIP LOCKED")
    return {row[0] for row in await found.fetchall()}


async def stuck(database: Database) -> None:
    """Until somebody waits for a lock."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    async with asyncio.timeout(180):
        while True:
            async with database.begin() as connection:
                if await connection.scalar(query):
                    return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("others", [0, 500])
async def test_receipts_lock_their_rows_in_the_order_of_their_numbers(
    database: Database, codec: Codec, store: OutboxStore, others: int
) -> None:
    """As those do who take in the echoes of the same messages: else each would wait for the other."""
    await fill(database, codec, "1000", people=4)
    rows = sorted(await claimed(store), key=lambda row: row.id)
    if others:
        await fill(database, codec, "1000", people=others)
    async with written_to(database, rows[0].id) as other:
        writing = [asyncio.create_task(store.sent(row, f"m_{row.id}", SystemClock().now())) for row in reversed(rows)]
        await stuck(database)
        assert {row.id for row in rows} <= await free(other)
    assert await asyncio.gather(*writing) == [True] * 4


async def test_a_row_that_somebody_writes_to_keeps_no_other_from_its_lease(
    database: Database, codec: Codec, store: OutboxStore
) -> None:
    await fill(database, codec, "1000", people=3)
    rows = await claimed(store)
    async with written_to(database, rows[1].id):
        await asyncio.wait_for(store.hold(rows, 5 * LEASE), 30)
    async with database.begin() as connection:
        later = await connection.execute(text("SELECT id FROM outbox WHERE lease_until > now() + interval '2 minutes'"))
        assert {row.id for row in later} == {rows[0].id, rows[2].id}


async def test_what_follows_in_a_conversation_is_woken_by_the_receipt(
    database: Database, codec: Codec, store: OutboxStore
) -> None:
    listener = Listener(database.url, (OUTBOX,))
    listener.start()
    try:
        await fill(database, codec, "1000", people=1, each=2)
        (row,) = await claimed(store)
        await listener.wait(OUTBOX, 2)  # what the new connection tells by itself
        assert await store.sent(row, "m_1", SystemClock().now())
        assert await listener.wait(OUTBOX, 5)
    finally:
        await listener.close()


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """What PostgreSQL's clock says to the ceiling, in seconds since an hour of our choice."""
    statement = ceiling._TAKE_BUDGET

    def set_(seconds: float) -> None:
        moment = f"(timestamptz '2026-11-29 12:00:00+00' + {seconds} * interval '1 second')"
        monkeypatch.setattr(ceiling, "_TAKE_BUDGET", statement.replace("clock_timestamp()", moment))

    return set_


async def test_the_ceiling_is_shared_and_a_tenth_stays(
    database: Database, codec: Codec, at: Callable[[float], None]
) -> None:
    stores = [OutboxStore(of_part(database, "sender"), codec, Listener(database.url, ()), 40) for _ in range(3)]
    at(0.25)
    got = await asyncio.gather(*(stores[n % 3].take_budget("1000", 7, False) for n in range(9)))
    assert sum(one.count for one in got) == 36
    assert max(one.count for one in got) == 7
    assert {(one.second % 60, one.lasts) for one in got if one.count} == {(0, 0.75)}
    assert (await stores[0].take_budget("1000", 3, False)).count == 0
    assert (await stores[1].take_budget("1000", 10, True)).count == 4
    at(1.0)
    assert (await stores[2].take_budget("1000", 3, False)).count == 3
    at(0.9)  # who waited for the row's lock counts in the later second
    late = await stores[2].take_budget("1000", 40, False)
    assert (late.count, late.second % 60) == (33, 1)
    assert (await stores[0].take_budget("2000", 50, True)).count == 40


@pytest.mark.parametrize("emergency", [False, True])
async def test_a_second_that_lies_ahead_is_stale(
    database: Database, codec: Codec, store: OutboxStore, at: Callable[[float], None], emergency: bool
) -> None:
    """PostgreSQL's clock was an hour ahead, or a sender of the last release had such a clock of its own."""
    at(3600)
    assert (await store.take_budget("1000", 40, True)).count == 40
    at(0)
    assert (await store.take_budget("1000", 30, emergency)).count == 30
    assert (await store.take_budget("1000", 30, emergency)).count == (10 if emergency else 6)  # and counts again


async def test_replies_of_all_senders_slow_down_together_and_emergencies_do_not(
    database: Database, codec: Codec, at: Callable[[float], None]
) -> None:
    first, second = (OutboxStore(of_part(database, "sender"), codec, Listener(database.url, ()), 40) for _ in range(2))
    await first.note_usage("1000", 92, 3, 10**8)
    at(0)
    assert [(await one.take_budget("1000", 2, False)).count for one in (first, second)] == [2, 1]
    assert (await second.take_budget("1000", 40, True)).count == 37
    await first.note_usage("1000", 60, None, 0)
    at(2)
    assert (await second.take_budget("1000", 40, False)).count == 36
    async with database.begin() as connection:
        assert await connection.scalar(text("SELECT usage_percent FROM accounts")) == 60


async def test_another_sender_that_hears_less_does_not_end_what_slows_all_down(
    database: Database, codec: Codec
) -> None:
    refused, calm = Use(40), Use(40)  # Meta found the volume odd: one sender alone was told
    store = OutboxStore(of_part(database, "sender"), codec, Listener(database.url, ()), 40)

    async def slowed() -> tuple[int | None, int | None]:
        async with database.begin() as connection:
            row = (await connection.execute(text("SELECT slowed_to, usage_percent FROM accounts"))).one()
        return row.slowed_to, row.usage_percent

    async def tells(one: Use) -> float:
        news = one.news("1000")
        assert news is not None
        await store.note_usage("1000", *news)
        return news[2]

    refused.halve("1000")
    await tells(refused)
    assert await slowed() == (20, None)
    for percent, pace in ((60, 20), (76, 20), (90, 4)):
        calm.told("1000", Usage(percent=percent, told=True))
        await tells(calm)
        assert await slowed() == (pace, percent)
    calm.told("1000", Usage(percent=60, told=True))
    await tells(calm)
    assert await slowed() == (None, 60), "what is told for minutes ends when Meta says so"
    for percent, pace in ((96, 1), (60, 20)):  # of the sender that was refused, too
        refused.told("1000", Usage(percent=percent, told=True))
        assert (await tells(refused) > FORGOTTEN) is (pace == 20), "the hour is the half's alone"
        assert await slowed() == (pace, percent)


async def test_attempts_without_end(database: Database, codec: Codec, store: OutboxStore) -> None:
    await fill(database, codec, "1000", people=1)
    async with database.begin() as connection:
        await connection.execute(text("UPDATE outbox SET attempts = 32767"))
    for _ in range(2):
        (row,) = await claimed(store)
        assert await store.retry(row, SystemClock().now() - timedelta(seconds=1), "unknown")
    assert row.attempts == outbox.ATTEMPTS


async def _aged(database: Database, **columns: str) -> None:
    async with database.begin() as connection:
        for name, value in columns.items():
            await connection.execute(text(f"UPDATE outbox SET {name} = {value}"))


async def _events(database: Database) -> list[str | None]:
    async with database.begin() as connection:
        return list((await connection.execute(text("SELECT disposition FROM events"))).scalars())


async def _answers(database: Database, disposition: str) -> None:
    """Each row answers a message."""
    async with database.begin() as connection:
        await connection.execute(
            text("""
                INSERT INTO events (platform, account, key, kind, channel, at, received_at, body, disposition, outbox_id,
                    conversation_id)
                SELECT 'messenger', '1000', id::text, 'text', 'messaging', now(), now(), '', :disposition, id, conversation_id
                FROM outbox
            """),
            {"disposition": disposition},
        )


_ASKED = text("SELECT n FROM unread_emergencies(now() + interval '1 second', now() + interval '1 second')")


@pytest.mark.parametrize("opened", [True, False])
@pytest.mark.parametrize("ends", ["age", "refusal"])
async def test_an_emergency_that_cannot_leave_is_an_agents_at_once(
    database: Database, codec: Codec, store: OutboxStore, ends: str, opened: bool
) -> None:
    """Whatever the person has written since; whether the cry itself had opened a hand-off, at which an agent looked before the
    reply failed, or none had."""
    await fill(database, codec, "1000", people=1, lane=EMERGENCY)
    await _answers(database, "emergency")
    if opened:
        async with database.begin() as connection:
            talk = await connection.scalar(text("SELECT id FROM conversations"))
            cry = handoffs.NewHandoff(talk, "emergency", "emergency_lexicon", "danger_immediat")
            await handoffs.open_(connection, codec, cry, SystemClock().now())
            await connection.execute(text("UPDATE handoffs SET taken_at = clock_timestamp()"))
            assert await connection.scalar(_ASKED) == 0
    await _aged(database, author="'emergency'", attempts="32767", created_at="now() - interval '23 hours 59 minutes'")
    (row,) = await claimed(store, lanes=(EMERGENCY,))
    if ends == "age":
        await store.release(row, SystemClock().now() - timedelta(seconds=1))
        await _aged(database, created_at="now() - interval '24 hours 1 minute'")
        assert await claimed(store, lanes=(EMERGENCY,)) == []
    else:
        assert await store.failed(row, "person_unavailable", "…")
    async with database.begin() as connection:
        found = (await connection.execute(text("SELECT priority, category, reason, old FROM handoffs"))).one()
        status = await connection.scalar(text("SELECT status FROM outbox"))
        assert await connection.scalar(_ASKED) == 1  # the alarm rings, although the danger itself was seen
    assert tuple(found) == (0, "emergency", handoffs.OLD if ends == "age" else handoffs.UNSENT, ends == "age")
    assert status == "failed"
    assert await _events(database) == ["to_agent"]


@pytest.mark.parametrize(("author", "left"), [("bot", "24 hours"), ("agent", "7 days")])
async def test_a_reply_is_tried_until_its_window_ends_and_no_longer(
    database: Database, codec: Codec, store: OutboxStore, author: str, left: str
) -> None:
    await fill(database, codec, "1000", people=1)
    await _answers(database, "answered")
    await _aged(
        database, author=f"'{author}'", attempts="32767", created_at=f"now() - interval '{left}' + interval '1 minute'"
    )
    (row,) = await claimed(store)
    await store.release(row, SystemClock().now() - timedelta(seconds=1))
    await _aged(database, created_at=f"now() - interval '{left}' - interval '1 minute'")
    assert await claimed(store) == []  # although the person has just written
    async with database.begin() as connection:
        reasons = list((await connection.execute(text("SELECT reason FROM handoffs"))).scalars())
        remedy = await connection.scalar(text("SELECT error_remedy FROM outbox"))
    assert reasons == ([outbox.TOO_OLD] if author == "bot" else [])
    assert "n’est plus répété" in remedy


async def test_the_account_stands_in_every_row(database: Database, codec: Codec) -> None:
    await fill(database, codec, "1000", people=1)
    async with database.begin() as connection:
        talk = await connection.scalar(text("SELECT id FROM conversations"))
        await outbox.add(connection, codec, outbox.NewRow(talk, REPLY, "bot", Reply("un"), SystemClock().now()))
    async with database.begin() as connection:
        found = await connection.execute(text("SELECT account FROM outbox"))
        assert [row.account for row in found] == ["1000", "1000"]
