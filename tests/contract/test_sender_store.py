"""The sender on the real outbox in PostgreSQL, against the scripted Graph API."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import text

from bot.core.clock import Clock, SystemClock
from bot.core.dialogue import Reply
from bot.core.emergency import Answer
from bot.core.outbox import EMERGENCY, REPLY, Permits
from bot.policy import search as words
from bot.policy.emergency import Detection
from bot.sender import Sender, SenderAccount, SenderDeps, Timing
from bot.sender.delivery import Dangers
from bot.store import ceiling as ceilings
from bot.store import handoffs, outbox, search
from bot.store.codec import Codec
from bot.store.db import EMERGENCY as EMERGENCY_CHANNEL
from bot.store.db import OUTBOX, Database, Listener
from bot.store.emergencies import EmergencyPlan, carry_out
from bot.store.outbox import OutboxStore
from tests.conftest import as_part, of_part
from tests.fakes.graph import PAGE, SECRET, TOKEN, Mood, Script, ScriptedGraph
from tests.fakes.sealed import opened_json
from tests.fakes.words import FixedWords

QUICK = Timing(first_retry=0.05, longest_retry=0.4, echo_wait=0.2, probe_every=0.2, poll=0.2, send_timeout=2.0)


@dataclass
class World:
    graph: ScriptedGraph
    database: Database
    codec: Codec

    async def talk(self, person: str) -> int:
        """A conversation with an open window."""
        async with self.database.begin() as connection:
            number = await connection.scalar(
                text("""
                    INSERT INTO conversations (platform, account, person, last_person_at)
                    VALUES ('messenger', :account, :person, now()) RETURNING id
                """),
                {"account": PAGE, "person": person},
            )
        assert isinstance(number, int)
        return number

    async def add(self, conversation: int, *texts: str, lane: str = REPLY, owner_version: int | None = None) -> None:
        now = SystemClock().now()
        async with self.database.begin() as connection:
            for said in texts:
                author = "emergency" if lane == EMERGENCY else "bot"
                row = outbox.NewRow(conversation, lane, author, Reply(said), now, owner_version=owner_version)
                await outbox.add(connection, self.codec, row)

    async def statuses(self) -> dict[str, int]:
        async with self.database.begin() as connection:
            rows = await connection.execute(text("SELECT status, count(*) AS n FROM outbox GROUP BY status"))
            return {row.status: row.n for row in rows}

    async def stopped(self) -> str | None:
        async with self.database.begin() as connection:
            slug: str | None = await connection.scalar(text("SELECT stopped_slug FROM accounts"))
            return slug

    async def settled(self, timeout: float = 180.0) -> dict[str, int]:
        end = time.monotonic() + timeout
        while "queued" in (found := await self.statuses()):
            assert time.monotonic() < end, found
            await asyncio.sleep(0.02)
        return found


@asynccontextmanager
async def sending(
    w: World,
    timing: Timing = QUICK,
    ceiling: int = 1000,
    clock: Clock | None = None,
    store: type[OutboxStore] = OutboxStore,
) -> AsyncIterator[Sender]:
    url = as_part(w.database.url, "sender")
    database, urgent = Database(url, 8), Database(url, 4)
    listener = Listener(url, (OUTBOX, EMERGENCY_CHANNEL))
    listener.start()
    deps = SenderDeps(
        accounts=(SenderAccount(PAGE, PAGE, TOKEN, SECRET),),
        graph_url=w.graph.url,
        store=store(database, w.codec, listener, ceiling),
        emergency_store=OutboxStore(urgent, w.codec, listener, ceiling),
        secret_key=b"secret",
        metadata_key=b"mark",
        clock=clock or SystemClock(),
        words=FixedWords(),
        port=0,
        ceiling=ceiling,
        timing=timing,
    )
    sender = Sender(deps)
    await sender.start()
    try:
        yield sender
    finally:
        await sender.stop()
        await listener.close()
        await database.close()
        await urgent.close()


@asynccontextmanager
async def world(database: Database, codec: Codec, **graph: Any) -> AsyncIterator[World]:
    async with ScriptedGraph(**graph) as scripted:
        yield World(scripted, database, codec)


async def test_all_leaves_once_and_in_order(database: Database, codec: Codec) -> None:
    async with world(database, codec, latency=0.02) as w:
        people = {str(n): await w.talk(str(n)) for n in range(30)}
        for conversation in people.values():
            await w.add(conversation, "un", "deux", "trois " * 500)
        w.graph.script(Script(Mood.ERROR, status=503, times=20))
        async with sending(w):
            assert await w.settled() == {"sent": 90}
        for person in people:
            assert [t[:4] for t in w.graph.texts(person)] == ["un", "deux", "troi", "troi"]
        assert not any(sent.overlapped for sent in w.graph.sent)


async def test_two_senders_share_the_rows_and_the_ceiling(
    database: Database, codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    granted: dict[int, list[int]] = defaultdict(list)
    refused: dict[int, set[OutboxStore]] = defaultdict(set)
    real, statement, moment = OutboxStore.take_budget, ceilings._TAKE_BUDGET, 1_000_000

    async def noted(store: OutboxStore, account: str, n: int, emergency: bool) -> Permits:
        second = moment
        got = await real(store, account, n, emergency)
        granted[got.second].append(got.count)
        if not got.count:
            refused[second].add(store)
        return got

    def now_is(second: int) -> None:
        nonlocal moment
        moment = second
        monkeypatch.setattr(ceilings, "_TAKE_BUDGET", statement.replace("clock_timestamp()", f"to_timestamp({second})"))

    now_is(moment)
    monkeypatch.setattr(OutboxStore, "take_budget", noted)
    async with world(database, codec) as w:
        for n in range(60):
            await w.add(await w.talk(str(n)), "Bonjour", "Suite")
        async with sending(w, ceiling=40), sending(w, ceiling=40), asyncio.timeout(60):
            while len(refused[moment]) < 2:  # the second lasts until both have asked for more than it holds
                await asyncio.sleep(0.02)
            assert sum(granted[moment]) == 36
            while "queued" in (found := await w.statuses()):
                if refused[moment]:
                    now_is(moment + 1)
                await asyncio.sleep(0.02)
            assert found == {"sent": 120}
        assert all(w.graph.texts(str(n)) == ["Bonjour", "Suite"] for n in range(60))
        assert max(sum(counts) for second, counts in granted.items() if second) <= 36


async def test_what_another_sender_holds_does_not_follow_an_emergency_reply(database: Database, codec: Codec) -> None:
    """One sender has claimed the bot's reply and waits for its permit; the other one sends the emergency."""
    async with world(database, codec) as w:
        conversation = await w.talk("42")
        await w.add(conversation, "Bonjour")
        waits = asyncio.Event()

        async def late(store: OutboxStore, account: str, n: int, emergency: bool) -> Permits:
            await waits.wait()
            return Permits(1, 1, 1.0)

        slow = type("Slow", (OutboxStore,), {"take_budget": late})
        patient = replace(QUICK, renew_after=60.0)
        async with sending(w, timing=patient, store=slow) as holder:
            async with asyncio.timeout(180):
                while not holder._held:
                    await asyncio.sleep(0.01)
            holder._dangers._any = float("-inf")  # its connection is new no longer
            async with sending(w, timing=patient):
                await alarm(w, conversation)
                await w.graph.wait_for("42", timeout=180)
            waits.set()
            assert await w.settled() == {"sent": 1, "cancelled": 1}
        assert w.graph.tried("42") == ["Appelez le 17."]


async def alarm(w: World, conversation: int) -> None:
    """A danger is recognised, as the gateway does."""
    plan = EmergencyPlan("Appelez le 17.", short=False, handoff=True, old=False)
    async with w.database.begin() as connection:
        now = SystemClock().now()
        await carry_out(connection, w.codec, conversation, plan, Detection("danger", "lexicon"), now, {}, {})


async def test_whose_words_went_out_is_kept_with_the_conversation(database: Database, codec: Codec) -> None:
    async with world(database, codec) as w:
        now = SystemClock().now()
        for script, kind in (("witness", "danger"), ("own_danger", "danger"), (None, "distress")):
            conversation = await w.talk(f"p_{script}")
            plan = EmergencyPlan("17", False, True, False, Answer(kind, now, script=script))  # type: ignore[arg-type]
            async with w.database.begin() as connection:
                danger = Detection(kind, "score", script=script)  # type: ignore[arg-type]
                await carry_out(connection, w.codec, conversation, plan, danger, now, {}, {})
                found = await connection.execute(
                    text("SELECT emergency_kind, emergency_script FROM conversations WHERE id = :id"),
                    {"id": conversation},
                )
                assert found.one() == (kind, script)  # the kind alone is what versions before read


async def test_while_nothing_is_heard_every_reply_is_judged_again(database: Database, codec: Codec) -> None:
    async with world(database, codec) as w:
        listener = Listener(database.url, (OUTBOX, EMERGENCY_CHANNEL))
        store = OutboxStore(database, codec, listener, 100)
        assert not store.hears()
        dangers = Dangers(60.0, store.hears)
        assert dangers.lately(1)
        listener.start()
        hearing = asyncio.create_task(dangers.listen(store.dangers()))
        try:
            async with asyncio.timeout(180):
                while not store.hears():
                    await asyncio.sleep(0.01)
                conversation = await w.talk("42")
                dangers = Dangers(60.0, store.hears)
                hearing.cancel()
                hearing = asyncio.create_task(dangers.listen(store.dangers()))
                await asyncio.sleep(0)
                assert not dangers.lately(conversation)
                await alarm(w, conversation)
                while not dangers.lately(conversation):
                    await asyncio.sleep(0.01)
                assert not dangers.lately(conversation + 1)
        finally:
            hearing.cancel()
            await listener.close()
        assert dangers.lately(conversation + 1)


async def test_emergency_wakes_its_own_loop_at_once(database: Database, codec: Codec) -> None:
    async with world(database, codec, latency=0.5) as w:
        for n in range(100):
            await w.add(await w.talk(str(n)), *["Bonjour"] * 3)
        danger = await w.talk("danger")
        async with sending(w, Timing(emergency_poll=60.0), ceiling=40):
            await asyncio.sleep(0.7)
            await w.add(danger, "Appelez le 17", lane=EMERGENCY)
            await w.graph.wait_for("danger", timeout=180)
            assert sum(call.text == "Bonjour" for call in w.graph.calls) < 300


async def test_an_emergency_reply_that_leaves_late_is_worded_and_shown_as_it_left(
    database: Database, codec: Codec
) -> None:
    """Rows of the version before hold nothing but their words; their age is counted from when they were queued."""
    async with world(database, codec) as w:
        talk = await w.talk("42")
        await w.add(talk, "Appelez le 17.", lane=EMERGENCY)
        async with sending(w, clock=SystemClock(timedelta(hours=2))):
            assert await w.settled() == {"sent": 1}
        said = "Si vous êtes toujours en danger :\n\nAppelez le 17."
        assert w.graph.texts("42") == [said]
        async with database.begin() as connection:
            row = (await connection.execute(text("SELECT * FROM outbox"))).one()
            assert opened_json(codec, "outbox.message", row)["text"] == said
            tokens = await connection.scalar(text("SELECT tokens FROM search_documents WHERE kind = 'outbox'"))
            assert search.fingerprint(codec, words.stem("danger"), search.PURPOSES["automatic"]) in tokens


async def test_a_day_late_an_emergency_reply_stays_and_an_agent_has_the_danger(
    database: Database, codec: Codec
) -> None:
    async with world(database, codec) as w:
        talks = [await w.talk("42"), await w.talk("43")]
        async with database.begin() as connection:  # one of them waits already, for something else
            await handoffs.open_(
                connection, codec, handoffs.NewHandoff(talks[1], "request", "incompris"), SystemClock().now()
            )
        for talk in talks:
            await w.add(talk, "Appelez le 17.", lane=EMERGENCY)
        async with database.begin() as connection:
            await connection.execute(
                text("""
                    INSERT INTO events (platform, account, key, kind, channel, at, received_at, body, disposition, outbox_id,
                        conversation_id)
                    SELECT 'messenger', '1000', 'm_' || id, 'text', 'messaging', now(), now(), '', 'emergency', id, conversation_id
                    FROM outbox
                """)
            )
        async with sending(w, clock=SystemClock(timedelta(hours=25))):
            assert await w.settled() == {"failed": 2}
        assert w.graph.calls == []
        async with database.begin() as connection:
            rows = await connection.execute(
                text("SELECT category, priority, reason, old FROM handoffs WHERE closed_at IS NULL ORDER BY id")
            )
            assert [tuple(row) for row in rows] == [("emergency", 0, "emergency_old", True)] * 2
            rows = await connection.execute(text("SELECT disposition, reason FROM events"))
            assert [tuple(row) for row in rows] == [("to_agent", "emergency_old")] * 2


async def test_a_changed_owner_cancels_what_waits(database: Database, codec: Codec) -> None:
    async with world(database, codec) as w:
        conversation = await w.talk("42")
        await w.add(conversation, "Bonjour", owner_version=7)
        async with sending(w):
            assert await w.settled() == {"cancelled": 1}
        assert w.graph.calls == []


async def test_stop_and_resume_with_a_new_token(database: Database, codec: Codec) -> None:
    async with world(database, codec) as w:
        await w.add(await w.talk("42"), "Bonjour")
        w.graph.graph.accounts[PAGE].token = "other"
        async with sending(w):
            async with asyncio.timeout(180):
                while await w.stopped() != "token":
                    await asyncio.sleep(0.02)
            assert await w.statuses() == {"queued": 1}
            w.graph.graph.accounts[PAGE].token = TOKEN
            assert await w.settled() == {"sent": 1}


async def test_a_killed_senders_row_is_taken_over(database: Database, codec: Codec) -> None:
    async with world(database, codec) as w:
        await w.add(await w.talk("42"), "Bonjour")
        other = OutboxStore(of_part(database, "sender"), codec, Listener(database.url, ()), 40)
        taken = await other.claim(SystemClock().now(), 1, (REPLY,), timedelta(seconds=0.3))
        assert len(taken) == 1
        async with sending(w):
            assert await w.settled() == {"sent": 1}
        assert not await other.sent(taken[0], "m_late", SystemClock().now())  # fenced
        assert w.graph.texts("42") == ["Bonjour"]


async def test_a_row_that_takes_longer_than_its_lease_is_sent_once(database: Database, codec: Codec) -> None:
    timing = replace(QUICK, lease=1.6, emergency_lease=1.6, send_timeout=20.0, emergency_send_timeout=20.0)
    async with world(database, codec, latency=3.0) as w:
        await w.add(await w.talk("42"), "Bonjour")
        async with sending(w, timing=timing), sending(w, timing=timing):
            assert await w.settled() == {"sent": 1}
        assert w.graph.texts("42") == ["Bonjour"]


async def test_a_receipt_that_comes_after_the_lease_was_lost_counts_as_the_echo(
    database: Database, codec: Codec
) -> None:
    async with world(database, codec) as w:
        await w.add(await w.talk("42"), "Bonjour")
        listener = Listener(database.url, (OUTBOX,))
        store = OutboxStore(of_part(database, "sender"), codec, listener, 100)
        now, moment = datetime.now(timezone.utc), timedelta(milliseconds=1)
        first = (await store.claim(now, 1, ("reply",), moment))[0]
        await asyncio.sleep(0.01)
        assert not await store.claim(now, 1, ("reply",), moment, held=[first.id])
        second = (await store.claim(now, 1, ("reply",), timedelta(seconds=60)))[0]
        assert second.maybe_sent
        assert not await store.sent(first, "m_1", now)
        assert await store.echo_seen(second.id, 0) == "m_1"
