"""Webhooks that come at once share a transaction of a real PostgreSQL: none costs another anything, none is told too early."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bot.app import policy as policies
from bot.app.policy import Policy
from bot.core.clock import FrozenClock
from bot.core.errors import Unstorable
from bot.core.messages import Event
from bot.meta.payloads import parse
from bot.policy.emergency import Detection
from bot.settings import Settings
from bot.store import faults, places
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.inbox import Inbox, InboxRules
from tests.conftest import of_part

PAGE = "104090000000001"
DANGER = "au secours il me frappe avec un couteau"


@dataclass
class World:
    """An inbox, and how often it wrote."""

    inbox: Inbox
    database: Database
    codec: Codec
    clock: FrozenClock
    policy: Policy
    batches: list[int] = field(default_factory=list)

    def webhook(self, person: str, mid: str, words: str | None, **more: Any) -> tuple[bytes, list[Event]]:
        """One webhook of one item. `more`: of the item's message, but `item`, which takes the message's place."""
        sender, recipient = (PAGE, person) if more.get("is_echo") else (person, PAGE)
        at = self.clock.now() + timedelta(seconds=more.pop("later", 0))
        inner = more.pop("item", None) or {
            "message": {"mid": mid, **({} if words is None else {"text": words}), **more}
        }
        one = {"sender": {"id": sender}, "recipient": {"id": recipient}, "timestamp": round(at.timestamp() * 1000)}
        raw = json.dumps({"object": "page", "entry": [{"id": PAGE, "messaging": [one | inner]}]}).encode()
        return raw, parse(raw, self.clock.now())

    async def take(self, webhook: tuple[bytes, list[Event]]) -> None:
        """As the gateway does."""
        raw, events = webhook
        items = [(event, self._triage(event)) for event in events]
        await self.inbox.take(raw, items, self.clock.now())

    def _triage(self, event: Event) -> Detection | None:
        words = getattr(event.body, "text", "")
        return self.policy.triage(words) if words else None

    async def say(self, person: str, mid: str, words: str, **more: Any) -> None:
        await self.take(self.webhook(person, mid, words, **more))

    async def rows(self, query: str, **values: Any) -> list[Any]:
        async with self.database.begin() as connection:
            return [tuple(row) for row in await connection.execute(text(query), values)]

    @asynccontextmanager
    async def held(self, person: str) -> AsyncIterator[None]:
        """Inside, somebody else has the person's conversation: whatever is stored of it waits."""
        async with await psycopg.AsyncConnection.connect(self.database.url) as other:
            await other.execute("SELECT id FROM conversations WHERE person = %s FOR UPDATE", [person])
            yield
            await other.rollback()

    async def waits(self, for_: int = 1) -> None:
        """Until this many transactions wait for a lock."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        async with asyncio.timeout(180):
            while (await self.rows(query))[0][0] < for_:
                await asyncio.sleep(0.01)

    async def together(self, webhooks: Sequence[tuple[bytes, list[Event]]]) -> list[BaseException | None]:
        """Take these in one batch, after another that holds the writer until all of them wait."""
        async with self.held("holder"):
            first = asyncio.create_task(self.say("holder", "m_again", "encore"))
            await self.waits()
            tasks = [asyncio.create_task(self.take(webhook)) for webhook in webhooks]
            await asyncio.sleep(0)
            self.batches.clear()
        await first
        return await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return policies.build(Settings({}))


@pytest.fixture
async def world(
    database: Database, codec: Codec, frozen_clock: FrozenClock, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> World:
    monkeypatch.setattr("bot.store.batches.EXPECTED", 60.0)  # on a slow machine too, nobody is thought to stand still
    rules = InboxRules(
        frozenset({PAGE}), "512340000000001", timedelta(seconds=1), policy.triage, policy.plan, lambda mark: None
    )
    made = World(
        Inbox(of_part(database, "gateway"), codec, replace(rules, suspect=policy.suspect)),
        database,
        codec,
        frozen_clock,
        policy,
    )
    write = made.inbox._batches._write

    async def counted(entries: Sequence[Any]) -> None:
        made.batches.append(len(entries))
        await write(entries)

    made.inbox._batches._write = counted
    await made.say("holder", "m_first", "bonjour")
    return made


async def test_one_batch_of_everything_and_only_the_poisonous_one_is_kept_as_failed(world: World) -> None:
    await world.say("41", "m_old", "je voudrais un rendez-vous")
    poison = world.webhook("46", "m_poison", "bonjour")
    # A key that fits no index, as no parser lets through: what PostgreSQL refuses for reasons of its own.
    noise = "".join(random.Random(1).choices("0123456789abcdef", k=20_000))
    poison = (poison[0], [replace(poison[1][0], key=noise)])
    edit = {"message_edit": {"mid": "m_old", "text": "je voudrais deux rendez-vous", "num_edit": 1}}
    batch = [
        world.webhook("41", "", None, item=edit),
        world.webhook("42", "m_2", "comment porter plainte"),
        world.webhook("42", "m_2", "comment porter plainte"),  # Meta sends it twice
        poison,
        world.webhook("43", "m_3", "Je suis Paul.", is_echo=True, app_id=99),
        world.webhook("44", "m_4", "combien de points me reste-t-il"),
    ]

    results = await world.together(batch)

    assert [type(one) is type(None) for one in results] == [True, True, True, False, True, True]
    assert isinstance(results[3], Unstorable)
    assert results[3].keys == {noise}
    assert world.batches[0] == 6  # all of them; then each alone
    kept = await world.rows("""
        SELECT c.person, e.kind, e.mid, e.disposition, cardinality(coalesce(e.again, '{}'))
        FROM events e JOIN conversations c ON c.id = e.conversation_id WHERE c.person <> 'holder' ORDER BY c.person, e.id
    """)
    assert kept == [
        ("41", "text", "m_old", None, 0),
        ("41", "edit", None, None, 0),
        ("42", "text", "m_2", None, 1),
        ("43", "echo", "m_3", None, 0),
        ("44", "text", "m_4", None, 0),
        ("46", "unknown", None, "failed", 0),  # without its words
    ]
    assert (await world.rows("SELECT count(*) FROM deliveries"))[0][0] == 2 + 1 + 5  # the poisonous one's is not kept
    assert await world.rows("SELECT reason FROM handoffs") == [("unstorable",)]


async def test_a_danger_waits_for_nobody_and_is_answered_in_its_own_transaction(world: World) -> None:
    async with world.held("holder"):
        stuck = asyncio.create_task(world.say("holder", "m_again", "encore"))
        await world.waits()
        behind = asyncio.create_task(world.say("51", "m_1", "bonjour"))
        await world.say("52", "m_2", DANGER)
        assert not stuck.done() and not behind.done()
        found = await world.rows(
            "SELECT c.person, o.lane FROM outbox o JOIN conversations c ON c.id = o.conversation_id"
        )
        assert found == [("52", "emergency")]
    await asyncio.gather(stuck, behind)
    assert await world.rows("SELECT disposition FROM events WHERE mid = 'm_2'") == [("emergency",)]


async def test_a_danger_that_stands_still_holds_up_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.store.batches.EXPECTED", 0.05)
    async with world.held("holder"):
        first = asyncio.create_task(world.say("holder", "m_1", DANGER))
        await world.waits()
        async with asyncio.timeout(180):
            await world.say("51", "m_2", DANGER)
        assert not first.done()
    await first
    assert await world.rows("SELECT count(*) FROM outbox WHERE lane = 'emergency'") == [(2,)]


async def test_messages_of_one_person_keep_their_order_also_before_a_danger(world: World) -> None:
    async with world.held("holder"):
        stuck = asyncio.create_task(world.say("holder", "m_again", "encore"))
        await world.waits()
        tasks = [
            asyncio.create_task(world.say("53", "m_1", "bonjour")),
            asyncio.create_task(world.say("54", "m_2", "bonsoir")),
            asyncio.create_task(world.say("53", "m_3", DANGER)),
        ]
        await asyncio.gather(tasks[0], tasks[2])
        assert not tasks[1].done()
    await asyncio.gather(stuck, *tasks)
    stored = await world.rows("SELECT mid FROM events WHERE mid IN ('m_1', 'm_2', 'm_3') ORDER BY id")
    assert stored == [("m_1",), ("m_3",), ("m_2",)]


async def test_a_danger_does_not_pass_what_is_being_stored_of_the_same_person(world: World) -> None:
    """Else "bonjour", written before it, would be taken for what follows a danger, and get a line of its own."""
    await world.say("55", "m_1", "bonjour")
    async with world.held("55"):
        webhooks = [world.webhook("55", "m_2", "encore moi"), world.webhook("56", "m_3", "bonjour")]
        async with world.held("holder"):
            first = asyncio.create_task(world.say("holder", "m_again", "encore"))
            await world.waits()
            tasks = [asyncio.create_task(world.take(webhook)) for webhook in webhooks]
            await asyncio.sleep(0)
        await first
        await world.waits()
        tasks.append(asyncio.create_task(world.say("56", "m_4", DANGER)))
        await asyncio.sleep(0)
        await world.say("57", "m_5", DANGER)
        assert not any(task.done() for task in tasks)
    await asyncio.gather(*tasks)
    stored = await world.rows("SELECT mid FROM events WHERE mid IN ('m_3', 'm_4', 'm_5') ORDER BY id")
    assert stored == [("m_5",), ("m_3",), ("m_4",)]
    assert await world.rows("""
        SELECT c.person, o.lane FROM outbox o JOIN conversations c ON c.id = o.conversation_id ORDER BY o.id
    """) == [("57", "emergency"), ("56", "emergency")]


async def test_two_messages_of_one_person_in_a_batch_are_one_look_and_are_read_together(world: World) -> None:
    results = await world.together(
        [
            world.webhook("62", "m_3", "bonjour", later=1),
            world.webhook("62", "m_4", "une question", later=0),
        ]
    )
    assert results == [None] * 2
    mine = "SELECT wake, due_at = :due, debounce_resets FROM conversations WHERE person = :person"
    due = world.clock.now() + timedelta(seconds=1)
    assert await world.rows(mine, person="62", due=due) == [(1, True, 1)]
    told = "SELECT mid FROM events e JOIN conversations c ON c.id = e.conversation_id WHERE person = '62' ORDER BY e.at, e.id"
    assert await world.rows(told) == [("m_4",), ("m_3",)]


async def test_whoever_writes_without_end_while_nobody_reads_is_kept(world: World) -> None:
    assert await world.together([world.webhook("64", "m_5", "bonjour")]) == [None]
    async with world.database.begin() as connection:
        await connection.execute(text("UPDATE conversations SET debounce_resets = 32767"))
    assert await world.together([world.webhook("64", "m_6", "il veut me tuer")]) == [None]
    assert await world.rows("SELECT disposition FROM events WHERE mid = 'm_6'") == [("emergency",)]


async def test_halves_of_a_danger_in_one_batch_are_seen(world: World) -> None:
    halves = ("il veut", "me tuer")
    assert not any(world.policy.triage(half) for half in halves) and world.policy.triage(" ".join(halves))

    await world.together([world.webhook("63", f"m_{at}", half, later=at) for at, half in enumerate(halves)])

    assert await world.rows("SELECT disposition FROM events WHERE mid LIKE 'm\\__' ORDER BY at") == [
        (None,),
        ("emergency",),
    ]
    assert len(await world.rows("SELECT id FROM outbox WHERE lane = 'emergency'")) == 1


async def test_nobody_is_told_before_the_commit(world: World) -> None:
    await world.say("71", "m_1", "bonjour")
    async with world.held("71"):
        taking = asyncio.create_task(world.say("71", "m_2", "encore moi"))
        await world.waits()
        assert not taking.done()
        assert await world.rows("SELECT id FROM events WHERE mid = 'm_2'") == []
    await taking
    assert await world.rows("SELECT wake FROM conversations WHERE person = '71'") == [(2,)]


async def test_a_connection_that_breaks_keeps_nothing_and_the_next_webhook_is_stored(world: World) -> None:
    await world.say("72", "m_1", "bonjour")
    async with world.held("72"):
        taking = asyncio.create_task(world.say("72", "m_2", "encore moi"))
        await world.waits()
        await world.rows("""
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE wait_event_type = 'Lock' AND datname = current_database()
        """)
        with pytest.raises(DBAPIError) as broken:
            await taking
    assert broken.value.connection_invalidated
    assert await world.rows("SELECT id FROM events WHERE mid = 'm_2'") == []
    await world.say("72", "m_2", "encore moi")  # Meta sends it again
    assert len(await world.rows("SELECT id FROM events WHERE mid = 'm_2'")) == 1


async def test_who_gives_up_finds_nothing_stored_and_its_neighbours_are(world: World) -> None:
    await world.say("73", "m_1", "bonjour")
    async with world.held("73"):
        webhooks = [world.webhook("73", "m_2", "encore moi"), world.webhook("74", "m_3", "bonsoir")]
        async with world.held("holder"):
            first = asyncio.create_task(world.say("holder", "m_again", "encore"))
            await world.waits()
            gives_up, neighbour = (asyncio.create_task(world.take(webhook)) for webhook in webhooks)
            await asyncio.sleep(0)
        await first
        await world.waits()
        gives_up.cancel()
        await neighbour
        assert gives_up.cancelled() or gives_up.cancelling()
    assert await world.rows("SELECT mid FROM events WHERE mid IN ('m_2', 'm_3')") == [("m_3",)]


async def test_the_short_way_and_the_long_way_store_the_same(world: World) -> None:
    words = "j'ai perdu ma carte d'identité"
    await world.say("81", "m_1", words)  # alone: the short way
    echo = world.webhook("83", "m_9", "Je suis Paul.", is_echo=True, app_id=99)
    assert await world.together([world.webhook("82", "m_2", words), echo]) == [None, None]  # with an echo: the long one
    short, long = [
        await world.rows(
            """
            SELECT e.kind, e.channel, e.at, e.received_at, e.disposition, e.target, d.id IS NOT NULL,
                c.due_at, c.due_priority, c.wake, c.debounce_resets, c.last_person_at, c.owner, s.at, s.tokens
            FROM events e JOIN conversations c ON c.id = e.conversation_id LEFT JOIN deliveries d ON d.id = e.delivery_id
            LEFT JOIN search_documents s ON s.kind = 'event' AND s.ref = e.id WHERE e.mid = :mid
            """,
            mid=mid,
        )
        for mid in ("m_1", "m_2")
    ]
    assert short == long and short[0][-1]


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_message_in_the_name_of_two_people_is_kept_with_both_raw_bodies_or_not_at_all(
    world: World, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    first, second = (world.webhook(person, "m_1", "bonjour") for person in ("96", "97"))
    if at_once:
        raw = json.dumps(
            {"object": "page", "entry": [json.loads(one[0])["entry"][0] for one in (first, second)]}
        ).encode()
        second = (raw, parse(raw, world.clock.now()))
    else:
        await world.take(first)
    people = "SELECT person FROM conversations WHERE person IN ('96', '97') ORDER BY person"
    before = await world.rows(people), await world.rows("SELECT id FROM deliveries")
    with monkeypatch.context() as patch:
        patch.setattr("bot.store.inbox._AGAIN", text("SELECT pg_cancel_backend(pg_backend_pid())"))
        with pytest.raises(DBAPIError):
            await world.take(second)
    assert (await world.rows(people), await world.rows("SELECT id FROM deliveries")) == before
    await world.take(second)
    assert await world.rows(people) == [("96",), ("97",)]
    [(own, again)] = await world.rows("SELECT delivery_id, again FROM events WHERE mid = 'm_1'")
    [(newest,)] = await world.rows("SELECT max(id) FROM deliveries")
    assert again == [newest] and (own == newest if at_once else (own,) in before[1])


async def test_receipts_are_noted_with_messages_of_others(world: World) -> None:
    await world.say("91", "m_1", "bonjour")
    async with world.database.begin() as connection:
        await connection.execute(
            text("""
                INSERT INTO outbox (conversation_id, lane, author, message, created_at, due_at, status, mids, sent_at)
                SELECT id, 'reply', 'bot', '', :now, :now, 'sent', '{m_out}', :now FROM conversations WHERE person = '91'
            """),
            {"now": world.clock.now()},
        )
    stamp = round(world.clock.now().timestamp() * 1000)
    await world.together(
        [
            world.webhook("91", "", None, item={"delivery": {"mids": ["m_out"], "watermark": stamp}}),
            world.webhook("91", "", None, item={"read": {"watermark": stamp}}),
            world.webhook("92", "m_2", "bonsoir"),
        ]
    )
    assert await world.rows("SELECT delivered_at = :now, read_at = :now FROM outbox", now=world.clock.now()) == [
        (True, True)
    ]
    found = await world.rows(
        "SELECT kind, disposition, reason FROM events WHERE kind IN ('read', 'delivery') ORDER BY kind"
    )
    assert found == [("delivery", "ignored", "delivery"), ("read", "ignored", "read")]


async def test_echoes_of_ours_lock_what_they_tell_of_in_the_order_of_its_numbers(world: World) -> None:
    """As receipts do (`bot.store.receipts`), and at the very end."""
    for person in ("94", "95"):
        await world.say(person, f"m_{person}", "bonjour")
    async with world.database.begin() as connection:
        await connection.execute(
            text("""
                INSERT INTO outbox (conversation_id, lane, author, message, created_at, due_at)
                SELECT id, 'reply', 'bot', '', :now, :now FROM conversations WHERE person IN ('94', '95') ORDER BY person
            """),
            {"now": world.clock.now()},
        )
    (first, second) = [row[0] for row in await world.rows("SELECT id FROM outbox ORDER BY id")]
    world.inbox._rules = replace(world.inbox._rules, echo_of=lambda mark: (int(mark), 0))
    echoes = [
        world.webhook("95", "m_2", "Voici.", is_echo=True, metadata=str(second)),
        world.webhook("94", "m_1", "Voici.", is_echo=True, metadata=str(first), later=1),
    ]
    raws = json.dumps({"object": "page", "entry": [e for raw, _ in echoes for e in json.loads(raw)["entry"]]}).encode()
    async with await psycopg.AsyncConnection.connect(world.database.url) as other:
        await other.execute("SELECT FROM outbox WHERE id = %s FOR UPDATE", (first,))
        taking = asyncio.create_task(world.take((raws, parse(raws, world.clock.now()))))
        await world.waits()
        found = await other.execute("SELECT id FROM outbox FOR UPDATE SKIP LOCKED")
        assert {row[0] for row in await found.fetchall()} == {first, second}
        await other.rollback()
    await taking
    assert await world.rows("SELECT echoes FROM outbox ORDER BY id") == [({"0": "m_1"},), ({"0": "m_2"},)]
    assert await world.rows("SELECT reason FROM events WHERE kind = 'echo'") == [("own_echo",)] * 2


@pytest.mark.parametrize("odd", ["NULL", '"', "\\", "{},", 'a "b" \\ c', "é ☂ 👮", "%s %(ids)s", " x "])
async def test_ids_of_any_shape_are_stored_as_they_are(world: World, odd: str) -> None:
    raw, [said] = world.webhook("93", "m_1", odd)
    await world.take((raw, [replace(said, mid=odd, key=odd)]))
    [(mid, key, body, place, number, sealed)] = await world.rows(
        f"SELECT mid, key, body, {places.event('e')}, d.id, d.raw"
        " FROM events e JOIN deliveries d ON d.id = e.delivery_id WHERE key = :odd",
        odd=odd,
    )
    assert (mid, key) == (odd, odd)
    assert world.codec.open_json(body, "events.body", place)["text"] == odd.strip()
    assert world.codec.open(sealed, "deliveries.raw", number) == raw


async def test_numbers_that_a_crash_of_the_database_hands_out_again_cost_no_words(world: World) -> None:
    """The first gateway holds numbers that the sequence, put back, gives to the second: each meets what the other has stored."""
    await world.say("91", "m_0", "bonjour")
    other = replace(world, inbox=Inbox(of_part(world.database, "gateway"), world.codec, world.inbox._rules))
    stock = sorted(world.inbox._numbers)
    await world.rows("SELECT setval('deliveries_id_seq', :last)", last=stock[0] - 1)
    for n in range(3):
        await other.say("91", f"m_other{n}", "je voudrais un rendez-vous")
    await world.say("91", "m_one", "et pour demain ?")  # of its stock: taken
    await world.rows("SELECT setval('deliveries_id_seq', :last)", last=stock[0] - 1)
    third = replace(world, inbox=Inbox(of_part(world.database, "gateway"), world.codec, world.inbox._rules))
    await third.say("90", "m_two", "bonjour")  # of the sequence: taken as well
    await world.say("89", "m_danger", DANGER)
    mids = "'m_one', 'm_two', 'm_danger'"
    assert await world.rows(
        f"SELECT count(*) FROM events WHERE mid IN ({mids}) AND disposition IS DISTINCT FROM 'failed'"
    ) == [(3,)]
    assert await world.rows("SELECT count(*) FROM events WHERE disposition = 'failed'") == [(0,)]


async def test_numbers_of_a_transaction_that_was_rolled_back_are_not_kept_in_stock(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.inbox._numbers.clear()
    with monkeypatch.context() as patch:
        patch.setattr("bot.store.intake.EVENTS_FOUND", "SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(60)")
        with pytest.raises(DBAPIError):
            await world.say("88", "m_1", "bonjour")
    assert not world.inbox._numbers
    await world.say("88", "m_1", "bonjour")
    assert world.inbox._numbers


async def test_a_number_given_twice_is_tried_again_and_never_a_defect(world: World) -> None:
    for column in ("deliveries", "events", "outbox", "handoffs", "conversations"):
        [(name,)] = await world.rows(
            "SELECT conname FROM pg_constraint WHERE contype = 'p' AND conrelid = CAST(:t AS regclass)", t=column
        )
        assert name in faults._NUMBERED
    with pytest.raises(DBAPIError) as met:
        await world.rows(
            "INSERT INTO deliveries (id, received_at, raw) OVERRIDING SYSTEM VALUE"
            " SELECT id, received_at, raw FROM deliveries LIMIT 1"
        )
    assert faults.fault_of(met.value) is faults.Fault.MET
