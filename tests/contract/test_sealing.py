"""A sealed value opens in its own row and in no other; older ones are bound while everything runs; no way leads back."""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import importlib
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import text

from bot.app import bound
from bot.app import keys as command
from bot.app.doctor import _key
from bot.core.clock import FrozenClock, SystemClock
from bot.core.dialogue import Reply
from bot.core.errors import SealedElsewhere, SettingsError, SetupError
from bot.core.messages import Event, Message, Platform, Unknown
from bot.core.outbox import AGENT, EMERGENCY, REPLY
from bot.settings import Settings
from bot.store import binding, facts, handoffs, outbox, places
from bot.store.codec import BOUND, Codec
from bot.store.conversations import HELD, UNREADABLE, Conversations
from bot.store.db import Database, Listener
from bot.store.handoffs import NewHandoff, open_
from bot.store.outbox import OutboxStore
from bot.store.places import BY_NAME, COLUMNS
from bot.store.resealing import Resealing
from tests.contract.test_worker_store import WORDS, Desk
from tests.fakes.console import Browser, RunningConsole, running_console
from tests.fakes.sealed import opened, opened_json

KEY = base64.b64encode(bytes(range(32))).decode()  # as the fixture `codec`
LEASE = timedelta(seconds=60)


@pytest.fixture
def desk(database: Database, codec: Codec) -> Desk:
    """A store that works by the wall clock."""
    return Desk(database, codec, SystemClock().now())


async def add(desk: Desk, conversation: int, said: str) -> int:
    """A reply that is due."""
    async with desk.database.begin() as connection:
        row = outbox.NewRow(conversation, "reply", "bot", Reply(said), desk.now - timedelta(seconds=1))
        number = await outbox.add(connection, desk.codec, row)
    assert number is not None
    return number


async def urgent(desk: Desk, conversation: int, said: str, age: timedelta) -> int:
    """An emergency reply that was queued a while ago."""
    async with desk.database.begin() as connection:
        row = outbox.NewRow(conversation, EMERGENCY, "emergency", Reply(said), desk.now - age)
        number = await outbox.add(connection, desk.codec, row)
    assert number is not None
    return number


async def talks(desk: Desk, *people: str) -> list[int]:
    """Conversations of people who wrote."""
    for person in people:
        await desk.says(person)
    return [row.id for row in await desk.run("SELECT id FROM conversations ORDER BY id")]


async def left(desk: Desk) -> list[tuple[int, str]]:
    """(conversation, text) of what a sender is given."""
    sender = OutboxStore(desk.database, desk.codec, Listener(desk.database.url, ()), 40)
    return [(row.conversation_id, row.text) for row in await sender.claim(desk.now, 32, (REPLY, AGENT), LEASE)]


def told(url: str) -> list[Any]:
    """What doctor and the monitor say of refused values."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return list(bound.problems(connection, SystemClock().now()))


def test_what_names_a_row_is_unique_in_the_schema(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            """SELECT i.indrelid::regclass::text, array_agg(a.attname::text) FROM pg_index i
               JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
               WHERE i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL GROUP BY i.indexrelid, i.indrelid"""
        ).fetchall()
    for one in COLUMNS:
        assert any(table == one.table and set(names) <= set(one.place) for table, names in rows), one
    people = [one for one in COLUMNS if one.table in ("events", "outbox", "handoffs", "notes", "submissions", "drafts")]
    assert all("conversation_id" in one.place for one in people if one.bound != "events.entities")


@pytest.mark.parametrize("one", COLUMNS, ids=lambda one: f"{one.table}.{one.column}")
def test_no_value_opens_in_another_row_or_column(one: places.Column, codec: Codec) -> None:
    here, there = tuple(range(len(one.place))), (*range(len(one.place) - 1), 99)
    value = codec.seal(b"mots", one.bound, *here)
    assert codec.open(value, one.bound, *here) == b"mots"
    for column, place in ((one.bound, there), ("outbox.other", here), (one.bound, ())):
        with pytest.raises(SealedElsewhere):
            codec.open(value, column, *place)


async def test_a_message_copied_to_another_person_never_leaves_and_is_told(
    desk: Desk, database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    anne, bob, carl = await talks(desk, "anne", "bob", "carl")
    secret, forged, _ = await add(desk, anne, "Votre adresse"), await add(desk, bob, "x"), await add(desk, carl, "Oui.")
    copied = "UPDATE outbox SET message = (SELECT message FROM outbox WHERE id = :from) WHERE id = :to"
    await desk.run(copied, **{"from": secret, "to": forged})
    with caplog.at_level(logging.ERROR):
        assert sorted(await left(desk)) == [(anne, "Votre adresse"), (carl, "Oui.")]
    assert f"outbox.message, row {bob}/{forged}" in caplog.text and "adresse" not in caplog.text
    # In its own row, given to somebody else; and in a further row of the same person.
    await desk.run("UPDATE outbox SET lease_until = NULL, conversation_id = :bob WHERE id = :id", bob=bob, id=secret)
    assert bob not in dict(await left(desk))
    await desk.run("UPDATE outbox SET lease_until = NULL, conversation_id = :anne WHERE id = :id", anne=anne, id=secret)
    await desk.run("UPDATE outbox SET lease_until = NULL, conversation_id = :anne WHERE id = :id", anne=anne, id=forged)
    assert (await left(desk)).count((anne, "Votre adresse")) == 1

    assert told(database_url) == []
    assert await binding.look(desk.database, desk.codec, tmp_path)
    (problem,) = told(database_url)
    assert (problem.key, problem.grade) == ("sealed", "critical") and f"({bob}/{forged})" in problem.what
    assert desk.codec.binding.refused == {}
    (row,) = await desk.run("SELECT sum(times) AS n FROM refused_values")
    assert row.n >= 2


@pytest.mark.parametrize("sealed", ["elsewhere", "with another key"])
async def test_an_emergency_reply_that_does_not_open_holds_back_the_next_for_a_minute(desk: Desk, sealed: str) -> None:
    anne, bob = await talks(desk, "anne", "bob")
    old = await urgent(desk, anne, "Appelez le 17.", timedelta(minutes=2))
    await urgent(desk, anne, "Appelez le 112.", timedelta())
    young = await urgent(desk, bob, "Appelez le 17.", timedelta(seconds=30))
    other = Codec(base64.b64encode(bytes(32)).decode()) if sealed == "with another key" else desk.codec
    for number in (old, young):
        value = other.seal_json({"text": "…", "quick_replies": []}, "outbox.message", 0, 0)
        await desk.run("UPDATE outbox SET message = :value WHERE id = :id", value=value, id=number)
    sender = OutboxStore(desk.database, desk.codec, Listener(desk.database.url, ()), 40)
    assert await sender.claim(desk.now, 32, (EMERGENCY,), LEASE) == []
    (next_one,) = await sender.claim(desk.now, 32, (EMERGENCY,), LEASE)
    assert next_one.text == "Appelez le 112."
    assert await desk.run("SELECT id, error_slug FROM outbox WHERE status = 'failed'") == [(old, "unreadable")]
    handed = await desk.run("SELECT conversation_id, category, reason, priority FROM handoffs")
    assert handed == [(anne, "emergency", handoffs.UNSENT, 0)], (
        "an agent is told; of the other, a sender may yet get the key"
    )


@pytest.mark.parametrize(("table", "column"), [("events", "body"), ("conversations", "state")])
async def test_what_is_forged_is_read_as_nothing_and_holds_back_nobody(desk: Desk, table: str, column: str) -> None:
    anne, bob = await talks(desk, "anne", "bob")
    for claimed in await desk.claim():
        await desk.end(claimed)
    await talks(desk, "anne", "bob")
    of, place = ("id", "row.id") if table == "conversations" else ("conversation_id", "")
    if table == "events":  # as the gateway seals them
        await _bind(desk)
    mine, theirs = (f"(SELECT {column} FROM {table} WHERE {of} = :anne LIMIT 1)", f"{of} = :bob")
    assert place or of
    await desk.run(f"UPDATE {table} SET {column} = {mine} WHERE {theirs}", anne=anne, bob=bob)
    claimed = {one.id: one for one in await desk.claim()}
    assert set(claimed) == {anne, bob}
    read = [one.body for one in claimed[bob].pending]
    assert read == [Message(text=WORDS)] if table == "conversations" else all(b == Unknown(UNREADABLE) for b in read)
    assert (claimed[bob].state is None) == (table == "conversations") and claimed[anne].state == {"slots": {}}
    assert {column_ for column_, _ in desk.codec.binding.refused} == {f"{table}.{column}"}


async def test_a_message_whose_key_is_on_its_way_is_waited_for_and_not_for_ever(desk: Desk) -> None:
    await talks(desk, "anne")
    older = Conversations(desk.database, Codec(base64.b64encode(bytes(32)).decode()))
    assert await older.claim(desk.now, 8, LEASE) == []
    await desk.run("UPDATE conversations SET lease_until = NULL")
    (claimed,) = await older.claim(desk.now + HELD, 8, LEASE)
    assert [event.body for event in claimed.pending] == [Unknown(UNREADABLE)]


async def _bind(desk: Desk) -> list[Any]:
    return [step async for step in Resealing(desk.database, desk.codec).bind(settle=0)]


async def test_a_forged_past_silences_no_emergency(database: Database, database_url: str, codec: Codec) -> None:
    async with running_console(database, database_url, codec, FrozenClock(SystemClock().now())) as console:
        bob, anne = await console.waiting("bob", "bonjour"), await console.waiting("anne", "bonsoir")
        for table, column in (("events", "body"), ("handoffs", "slots")):
            query = f"UPDATE {table} SET {column} = (SELECT {column} FROM {table} WHERE conversation_id = :a LIMIT 1)"
            await console.execute(f"{query} WHERE conversation_id = :b", a=anne, b=bob)
        await console.says("bob", "encore moi", mid="m-2")
        async with database.begin() as connection:
            number, new = await open_(
                connection,
                codec,
                NewHandoff(bob, "emergency", "emergency_lexicon", slots={"ville": "Lyon"}),
                console.clock.now(),
            )
        assert not new
        assert opened_json(codec, "handoffs.slots", await console.handoff(bob)) == {"ville": "Lyon"}
        assert number == (await console.handoff(bob)).id


async def test_agents_see_that_something_cannot_be_read_and_nothing_of_others(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock
) -> None:
    async with running_console(database, database_url, codec, frozen_clock) as console, Browser(console) as claire:
        await console.user("Claire")
        await claire.log_in("Claire")
        anne, bob = await console.waiting("anne", "mot de passe : sésame"), await console.waiting("bob", "bonjour")
        for number in (anne, bob):
            await claire.act(number, "prendre")
            await claire.act(number, "note", note=f"note de {number}")
            await claire.act(number, "brouillon", message=f"brouillon de {number}")
        assert len(await console.rows("SELECT FROM drafts")) == 2
        for table, column in (("events", "body"), ("notes", "body"), ("drafts", "body")):
            query = f"UPDATE {table} SET {column} = (SELECT {column} FROM {table} WHERE conversation_id = :a LIMIT 1)"
            await console.execute(f"{query} WHERE conversation_id = :b", a=anne, b=bob)
        page = (await claire.get(f"/conversations/{bob}")).page
        assert "sésame" not in page and f"note de {anne}" not in page and f"brouillon de {anne}" not in page
        assert "illisible" in page and "Cette note ne s’ouvre pas" in page
        assert "sésame" in (await claire.get(f"/conversations/{anne}")).page
        assert "Message illisible" in (await claire.get("/file?etat=a-moi")).page


async def _plant(console: RunningConsole) -> dict[str, int]:
    """Everything that an older version wrote, bound to nothing but its column."""
    console.codec.binding.writes = False
    old = {"anne": await console.waiting("anne", "à Lyon hier"), "bob": await console.waiting("bob", "bonjour")}
    await console.named(old["anne"], "Anne")
    async with console.database.begin() as connection:
        await outbox.add(
            connection, console.codec, outbox.NewRow(old["bob"], "reply", "bot", Reply("Oui."), console.clock.now())
        )
    return old


async def test_older_values_are_bound_while_others_write_and_then_refused(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, tmp_path: Path
) -> None:
    async with running_console(database, database_url, codec, frozen_clock) as console:
        old = await _plant(console)
        assert await _unbound(console) > 5
        (before,) = await console.rows("SELECT body FROM events WHERE conversation_id = :id", id=old["anne"])
        maintenance, seen = Codec(KEY), 0
        async for step in Resealing(database, maintenance, batch=1).bind(settle=0):
            if seen < 6:  # a process that has not heard of it yet, and then one that has
                seen += 1
                codec.binding.writes = seen > 3
                await console.says(f"late{seen}", f"message {seen}", mid=f"m-{seen}")
                changed = await console.rows("UPDATE conversations SET last_agent_at = now() RETURNING 1")
                assert changed, step
        assert seen == 6 and await _unbound(console) == 0
        said = [
            opened_json(codec, "events.body", row)["text"]
            for row in await console.rows("SELECT * FROM events ORDER BY id")
        ]
        assert said[:2] == ["à Lyon hier", "bonjour"] and len(said) == 8
        assert maintenance.binding.only and not codec.binding.only
        assert await binding.look(database, codec, tmp_path) and codec.binding.only
        # Back to a value of before, out of an old dump: it opened anywhere in its column.
        await console.execute("UPDATE events SET body = :b WHERE conversation_id = :id", b=before.body, id=old["anne"])
        (row,) = await console.rows("SELECT * FROM events WHERE conversation_id = :id", id=old["anne"])
        with pytest.raises(SealedElsewhere):
            opened(codec, "events.body", row)
        # Nor do they come back by the fact that says so.
        await console.execute("DELETE FROM facts WHERE name = 'sealing'")
        other = Codec(KEY)
        await binding.look(database, codec, tmp_path)
        await binding.look(database, other, tmp_path)
        assert codec.binding.only and other.binding.only and other.binding.writes
        # And whoever knows better says so, each time that he looks.
        (told,) = await console.rows("SELECT name, place FROM refused_values WHERE name = 'facts.sealing'")
        assert tuple(told) == ("facts.sealing", "sealing")


async def test_what_is_written_in_the_older_form_after_the_end_is_bound_by_the_command_or_on_the_operators_word(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """A process that was frozen, or that had no database, while the command ran."""
    async with running_console(database, database_url, codec, frozen_clock) as console:
        await _plant(console)
        state = Resealing._state

        async def then(self: Resealing, only: bool) -> None:
            await state(self, only)
            if only:
                await console.says("late", "juste après", mid="m-late")

        with monkeypatch.context() as patch:
            patch.setattr(Resealing, "_state", then)
            async for _ in Resealing(database, Codec(KEY)).bind(settle=0):
                pass
        assert await _unbound(console) == 0
        await console.says("later", "bien plus tard", mid="m-later")
        count = await _unbound(console)
        assert count > 0
        assert await asyncio.to_thread(_run, command._bind(database_url, Codec(KEY), tmp_path, settle=0)) == 0
        assert await _unbound(console) == count and "--tardives" in capsys.readouterr().out
        late = command._bind(database_url, Codec(KEY), tmp_path, settle=0, late=True)
        assert await asyncio.to_thread(_run, late) == 0
        assert await _unbound(console) == 0 and "--tardives" not in capsys.readouterr().out
        rows = await console.rows("SELECT * FROM events ORDER BY id DESC LIMIT 2")
        strict = Codec(KEY)
        await binding.look(database, strict, tmp_path)
        said = [opened_json(strict, "events.body", row)["text"] for row in rows]
        assert strict.binding.only and said == ["bien plus tard", "juste après"]
        # During a rotation, what the older key bound is no late value; nor is a fact whose key is on its way no fact.
        rotating = Codec(f"{base64.b64encode(bytes(32)).decode()},{KEY}")
        assert await Resealing(database, rotating).refused() == {}
        async with database.begin() as connection:
            await binding.put(connection, Codec(base64.b64encode(bytes(32)).decode()), only=True)
        await binding.look(database, strict, tmp_path)
        assert await console.rows("SELECT 1 FROM refused_values WHERE name = 'facts.sealing'") == []


@pytest.mark.parametrize("name", ["catchup", "person", "purge"])
async def test_commands_that_write_for_long_hear_of_it(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Database, name: str
) -> None:
    """`planton keys bind` is started while they run."""
    async with database.begin() as connection:
        await facts.set_canary(connection, Codec(KEY))
        await connection.execute(
            text("INSERT INTO conversations (platform, account, person) VALUES ('messenger', '1000', '42')")
        )
    monkeypatch.setattr(binding, "EVERY", 0.01)
    for key, value in (("DATABASE_URL", database_url), ("DATA_KEY", KEY), ("VAR_DIR", str(tmp_path))):
        monkeypatch.setenv(f"PLANTON_{key}", value)
    codec, module = Codec(KEY), importlib.import_module(f"bot.app.{name}")
    monkeypatch.setattr(module, "Codec", lambda keys: codec)
    heard = []

    async def works(*_: Any) -> int:
        assert not codec.binding.writes
        other = Database(database_url, size=1)
        async with other.begin() as connection:
            await binding.put(connection, Codec(KEY), only=False)
        await other.close()
        async with asyncio.timeout(180):
            while not codec.binding.writes:
                await asyncio.sleep(0.01)
        heard.append(True)
        raise SetupError("Assez.", "Rien.")

    given = {"simuler": False, "verifier": False, "id": "42", "conversation": None, "action": "erase"}
    parsed = argparse.Namespace(**given, plateforme=None, compte=None, depuis=None)
    if name == "catchup":
        walker = argparse.Namespace(walk=works)
        monkeypatch.setattr(module, "catch_up", lambda *_: walker)
        monkeypatch.setattr(module, "sender_accounts", lambda _: ())
        monkeypatch.setattr(module, "clients", lambda *_: contextlib.nullcontext({"1000": None}))
    else:
        monkeypatch.setattr(*((module, "_erase") if name == "person" else (module.Purge, "run")), works)
    with pytest.raises(SetupError, match="Assez"):
        await asyncio.to_thread(module.main, parsed)
    assert heard


async def _unbound(console: RunningConsole) -> int:
    async with console.database.begin() as connection:
        done, total = await binding.progress(connection)
    return total - done


async def test_a_text_that_changes_while_it_is_bound_stays_as_it_was_changed(desk: Desk) -> None:
    await talks(desk, "anne")
    resealing = Resealing(desk.database, desk.codec)
    column = BY_NAME["events.body"]
    anew = resealing._anew

    def changed(column_: places.Column, row: Any) -> bytes | None:
        with psycopg.connect(desk.database.url, autocommit=True) as connection:
            place = (row.conversation_id, row.platform, row.account, row.key)
            newer = desk.codec.seal(b"{}", column.bound, *place)
            connection.execute("UPDATE events SET body = %s", (newer,))
        return anew(column_, row)

    resealing._anew = changed  # type: ignore[method-assign]
    async for _ in resealing._column(column):
        pass
    (row,) = await desk.run("SELECT * FROM events")
    assert opened(desk.codec, "events.body", row) == b"{}"


async def test_a_new_installation_is_bound_from_the_start_and_an_older_one_waits_for_the_word(
    database: Database, database_url: str, codec: Codec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    async with database.begin() as connection:
        await facts.check_key(connection, codec)
        assert codec.binding.writes and codec.binding.only
        await connection.rollback()
    desk = Desk(database, codec, SystemClock().now())
    codec.binding.only = codec.binding.writes = False
    await talks(desk, "anne")
    older = Codec(KEY)
    async with database.begin() as connection:
        await facts.check_key(connection, older)
    assert not older.binding.writes and not older.binding.only  # the version before may run beside this one
    assert older.seal(b"mots", "notes.body", 1, 2)[:1] != BOUND

    settings = Settings(
        {"PLANTON_DATABASE_URL": database_url, "PLANTON_DATA_KEY": KEY, "PLANTON_VAR_DIR": str(tmp_path)}
    )

    def advice() -> str:
        with psycopg.connect(database_url, row_factory=dict_row) as connection:
            return " ".join(f"{one.what} {one.remedy}" for one in _key(connection, settings))

    assert "planton keys bind" in advice()
    assert await asyncio.to_thread(_run, command._status(settings, database_url, Codec(KEY))) == 0
    assert "Valeurs liées à leur ligne : 0 sur 1" in capsys.readouterr().out.replace("\u00a0", " ").replace(
        "\u202f", " "
    )
    assert await asyncio.to_thread(_run, command._bind(database_url, Codec(KEY), tmp_path, settle=0)) == 0
    assert advice() == "" and (tmp_path / binding.FLOOR).exists()
    # Somebody takes the fact away, and hopes that what they planted is bound anew.
    planted = Codec(KEY).seal(b'{"kind":"message","text":"autre"}', "events.body")
    await desk.run("DELETE FROM facts WHERE name = 'sealing'")
    await desk.run("UPDATE events SET body = :planted", planted=planted)
    assert "ne dit plus" in advice()
    assert await asyncio.to_thread(_run, command._bind(database_url, Codec(KEY), tmp_path, settle=0)) == 0
    (row,) = await desk.run("SELECT body FROM events")
    assert row.body == planted and "ne dit plus" not in advice()
    assert await asyncio.to_thread(_run, command._status(settings, database_url, Codec(KEY))) == 0
    assert "Chaque valeur chiffrée est liée à sa ligne" in capsys.readouterr().out
    with pytest.raises(SettingsError):
        Codec(KEY, older.binding).open(older.seal(b"x", "notes.body"), "drafts.body")


def _run(work: Any) -> int:
    """In a loop of its own, as the command does."""
    return int(asyncio.run(work))


async def test_webhooks_wait_for_no_number_of_theirs(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_console(database, database_url, codec, frozen_clock) as console:
        await console.says("anne", "bonjour")

        async def asked(*_: Any) -> list[int]:
            raise AssertionError("a round trip of its own")

        monkeypatch.setattr(places, "numbers", asked)
        for number in range(60):  # more than are in stock at once
            mid, now = f"m{number}", frozen_clock.now()
            event = Event(Platform.MESSENGER, "1000", f"p{number}", mid, now, Message("oui"), mid=mid)
            await console.inbox.take(b"{}", [(event, None)], now)
        rows = await console.rows("SELECT * FROM deliveries ORDER BY id")
        assert len(rows) == 61 and {opened(codec, "deliveries.raw", row) for row in rows} == {b"{}"}


async def test_numbers_taken_with_the_claim_change_no_order(desk: Desk) -> None:
    """The thanks for a tap leave before what the turn says, which took its numbers earlier."""
    (anne,) = await talks(desk, "anne")
    async with desk.database.begin() as connection:
        handoff, _ = await open_(connection, desk.codec, NewHandoff(anne, "request", "incompris"), desk.now)
    await desk.run("UPDATE handoffs SET closed_at = now() WHERE id = :id", id=handoff)
    await desk.run(
        "INSERT INTO satisfaction (conversation_id, handoff_id, asked_at) VALUES (:id, :h, now())", id=anne, h=handoff
    )
    (claimed,) = await desk.claim()
    await desk.end(claimed, thumbs=("up",), thanks="Merci.")
    rows = await desk.run("SELECT * FROM outbox ORDER BY id")
    assert [opened_json(desk.codec, "outbox.message", row)["text"] for row in rows] == [
        "Merci.",
        "Allez au commissariat.",
    ]


def test_whether_anything_is_sealed_is_asked_of_every_sealed_column() -> None:
    asked = {
        (table, column)
        for table, column in importlib.import_module("bot.store.migrations.versions.0013_alarms")._SEALED
    }
    assert asked == {(one.table, one.column) for one in places.COLUMNS}
