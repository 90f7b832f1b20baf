"""Catching up over the scripted Conversations API and a real PostgreSQL: each message is taken in once, in order."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import pytest
from sqlalchemy import text

from bot.app import policy as policies
from bot.app.catchup import Ours
from bot.app.policy import Policy
from bot.core.clock import FrozenClock
from bot.core.dialogue import Reply
from bot.core.messages import Event, Platform
from bot.core.outbox import REPLY
from bot.meta.payloads import parse
from bot.meta.send_api import SendApi
from bot.sender.catchup import CatchUp, CatchUpDeps, Outcome
from bot.sender.deps import SenderAccount
from bot.sender.pace import Pace
from bot.settings import Settings
from bot.store import meta_flow, outbox
from bot.store.catchup import Shelf
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.inbox import Inbox, InboxRules
from tests.conftest import of_part
from tests.fakes.graph import IG, PAGE, SECRET, TOKEN, Mood, Script, ScriptedGraph
from tests.fakes.sealed import opened_json

DANGER = "au secours il me frappe avec un couteau"


@dataclass
class World:
    graph: ScriptedGraph
    database: Database
    codec: Codec
    clock: FrozenClock
    api: SendApi
    inbox: Inbox
    triage: Any
    slept: list[float] = field(default_factory=list)
    tick: float = 0.0
    fails_after: int | None = None

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def ago(self, **delta: float) -> datetime:
        return self.now - timedelta(**delta)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.tick += seconds

    async def take(self, raw: bytes, events: Sequence[Event], listed: Sequence[str], simulate: bool) -> list[Event]:
        if self.fails_after is not None:
            self.fails_after -= 1
            if self.fails_after < 0:
                raise ConnectionError("killed")
        items = [(event, self.triage(getattr(event.body, "text", ""))) for event in events]
        return [event for event, _ in await self.inbox.catch_up(raw, items, listed, self.now, simulate)]

    async def walk(self, account: str = PAGE, since: datetime | None = None, simulate: bool = False) -> Outcome:
        deps = CatchUpDeps(
            Shelf(of_part(self.database, "sender")), self.take, self.clock, Pace(2, self.sleep, lambda: self.tick)
        )
        return await CatchUp(deps).walk(SenderAccount(account, PAGE, TOKEN, SECRET), self.api, since, simulate)

    async def webhook(self, person: str, words: str, mid: str, at: datetime, account: str = PAGE, **more: Any) -> None:
        """What the gateway does with a webhook."""
        sender, recipient = (account, person) if more.get("is_echo") else (person, account)
        item = {
            "sender": {"id": sender},
            "recipient": {"id": recipient},
            "timestamp": round(at.timestamp() * 1000),
            "message": {"mid": mid, "text": words, **more},
        }
        raw = json.dumps({"object": "page", "entry": [{"id": account, "messaging": [item]}]}).encode()
        events = parse(raw, self.now)
        await self.inbox.take(raw, [(e, self.triage(getattr(e.body, "text", ""))) for e in events], self.now)

    async def rows(self, query: str, **values: Any) -> list[Any]:
        async with self.database.begin() as connection:
            return list((await connection.execute(text(query), values)).all())

    async def events(self, person: str) -> list[tuple[str | None, str, str | None, str | None]]:
        """(mid, kind, disposition, reason), by Meta's time."""
        rows = await self.rows(
            """SELECT e.mid, e.kind, e.disposition, e.reason FROM events e JOIN conversations c ON c.id = e.conversation_id
               WHERE c.person = :person ORDER BY e.at, e.id""",
            person=person,
        )
        return [tuple(row) for row in rows]

    async def flow(self, account: str = PAGE) -> meta_flow.Flow:
        async with self.database.begin() as connection:
            return (await meta_flow.read(connection, [account]))[0]


@pytest.fixture(scope="module")
def policy() -> Policy:
    return policies.build(Settings({}))


@pytest.fixture
async def world(database: Database, codec: Codec, frozen_clock: FrozenClock, policy: Policy) -> AsyncIterator[World]:
    rules = InboxRules(
        frozenset({PAGE, IG}), "512340000000001", timedelta(0), policy.triage, policy.plan, lambda mark: None
    )
    async with ScriptedGraph(clock=frozen_clock) as graph, aiohttp.ClientSession() as session:
        api = SendApi(session, graph.url, PAGE, TOKEN, SECRET)
        made = World(
            graph, database, codec, frozen_clock, api, Inbox(of_part(database, "sender"), codec, rules), policy.triage
        )
        # Webhooks came until two hours ago.
        async with database.begin() as connection:
            await connection.execute(
                text(
                    """INSERT INTO meta_flow (account, platform, complete_until)
                       VALUES (:p, 'messenger', :at), (:i, 'instagram', :at)"""
                ),
                {"p": PAGE, "i": IG, "at": made.ago(hours=2)},
            )
        yield made


async def test_what_never_came_is_taken_in_once_and_in_order(world: World) -> None:
    world.graph.graph.wrote("41", "Bonjour", "m_1", world.ago(minutes=50))
    world.graph.graph.wrote("41", "une question", "m_2", world.ago(minutes=40))
    world.graph.graph.wrote("41", "avant la panne", "m_0", world.ago(hours=5))
    await world.webhook("41", "une question", "m_2", world.ago(minutes=40))  # one of them did come

    outcome = await world.walk()

    assert (outcome.taken, outcome.told, outcome.people, outcome.error) == (1, 0, {"41"}, "")
    assert [mid for mid, *_ in await world.events("41")] == ["m_1", "m_2"]
    again = await world.walk()
    assert (again.taken, len(await world.events("41"))) == (0, 2)
    await world.webhook("41", "Bonjour", "m_1", world.ago(minutes=50))  # its webhook comes after all
    assert len(await world.events("41")) == 2
    flow = await world.flow()
    assert flow.complete_until == world.now and flow.walk is None


async def test_ids_that_differ_are_the_same_message_before_and_after(world: World) -> None:
    at = world.ago(minutes=30).replace(microsecond=400_000)
    world.graph.graph.wrote("41", "Bonjour  à vous", "m_api-1", at)
    world.graph.graph.wrote("41", "Allô", "m_api-2", at + timedelta(minutes=1))
    world.graph.graph.wrote("41", "Allô", "m_api-3", at + timedelta(minutes=1))
    await world.webhook("41", "Bonjour à vous", "m_hook-1", at)

    assert (await world.walk()).taken == 2  # « Allô » was written twice in that second
    await world.webhook("41", "Allô", "m_hook-2", at + timedelta(minutes=1))
    await world.webhook("41", "Allô", "m_hook-3", at + timedelta(minutes=1))
    await world.webhook("41", "Allô", "m_hook-4", at + timedelta(minutes=1))  # a third one, that Meta had not listed

    assert [event[0::3] for event in await world.events("41")] == [
        ("m_hook-1", None),
        ("m_hook-2", None),
        ("m_hook-3", None),
        (None, "twin"),
        (None, "twin"),
        ("m_hook-4", None),
    ]
    assert (await world.walk()).taken == 0


async def test_our_own_messages_are_known_and_a_human_in_metas_inbox_is_an_echo(world: World) -> None:
    await world.webhook("41", "Bonjour", "m_1", world.ago(minutes=60))
    world.graph.graph.wrote("41", "Bonjour", "m_1", world.ago(minutes=60))
    number = (await world.rows("SELECT id FROM conversations"))[0].id
    async with world.database.begin() as connection:
        for words in ("Réponse du planton.", "Réponse dont le reçu fut perdu."):
            row = outbox.NewRow(number, REPLY, "bot", Reply(words), world.ago(minutes=59))
            await outbox.add(connection, world.codec, row)
        await connection.execute(
            text("UPDATE outbox SET mids = '{m_2}', status = 'sent' WHERE id = (SELECT min(id) FROM outbox)")
        )
    for mid, words in (
        ("m_2", "Réponse du planton."),
        ("m_3", "Réponse dont le reçu fut perdu."),
        ("m_4", "Je suis Paul."),
    ):
        world.graph.graph.wrote("41", words, mid, world.ago(minutes=58), from_page=True)

    outcome = await world.walk()

    assert (outcome.taken, outcome.told) == (0, 1)
    assert [event[:3] for event in await world.events("41")] == [("m_1", "text", None), ("m_4", "echo", None)]


async def test_an_old_word_of_a_human_takes_nobody_out_of_the_conversation(world: World) -> None:
    world.graph.graph.wrote("41", "Je suis Paul.", "m_1", world.ago(hours=30), from_page=True)
    world.graph.graph.wrote("42", "Je suis Paul.", "m_2", world.ago(minutes=90), from_page=True)
    await world.webhook("42", "Et ensuite ?", "m_3", world.ago(minutes=20))
    await world.rows("UPDATE events SET disposition = 'answered' WHERE mid = 'm_3' RETURNING id")

    await world.walk(since=world.ago(days=2))

    assert (await world.events("41"))[0][1:] == ("echo", "ignored", "history")
    assert (await world.events("42"))[0][1:] == ("echo", "ignored", "history")


async def test_a_danger_found_late_is_a_danger(world: World) -> None:
    world.graph.graph.wrote("41", DANGER, "m_1", world.ago(minutes=90))
    world.graph.graph.wrote("42", DANGER, "m_2", world.ago(hours=30))
    await world.walk(since=world.ago(days=2))

    assert (await world.events("41"))[0][2] == "emergency"
    assert (await world.events("42"))[0][2] == "handed_off"
    rows = await world.rows("SELECT o.*, c.person FROM outbox o JOIN conversations c ON c.id = o.conversation_id")
    assert [row.person for row in rows] == ["41"]
    said = opened_json(world.codec, "outbox.message", rows[0])["text"]
    assert said.startswith("Si vous êtes toujours en danger")
    assert len(await world.rows("SELECT 1 FROM handoffs WHERE category = 'emergency'")) == 2


async def test_pictures_and_what_meta_does_not_tell_read_as_in_a_webhook(world: World) -> None:
    link = "https://cdn.example/a.jpg"
    world.graph.graph.wrote(
        "41", "", "m_1", world.ago(minutes=9), attachments=[{"type": "image", "payload": {"url": link}}]
    )
    world.graph.graph.wrote(
        "41", "", "m_2", world.ago(minutes=8), attachments=[{"type": "audio", "payload": {"url": link}}]
    )
    world.graph.graph.wrote("41", "", "m_3", world.ago(minutes=7))
    await world.walk()

    assert [kind for _, kind, *_ in await world.events("41")] == ["attachment", "attachment", "unsupported"]
    rows = await world.rows("SELECT * FROM events ORDER BY at LIMIT 2")
    bodies = [opened_json(world.codec, "events.body", row)["attachments"][0] for row in rows]
    assert [(body["type"], body["url"]) for body in bodies] == [("image", link), ("audio", link)]


async def test_instagram_is_read_to_its_twenty_newest(world: World) -> None:
    for n in range(25):
        at = world.ago(minutes=100 - n)
        world.graph.graph.wrote("71", f"mot {n}", f"m_{n}", at, Platform.INSTAGRAM)
    outcome = await world.walk(IG)

    assert (outcome.taken, outcome.unreadable) == (20, 5)
    rows = await world.rows("SELECT DISTINCT platform, account FROM events")
    assert [tuple(row) for row in rows] == [("instagram", IG)]


async def test_newest_first_until_the_watermark_at_two_calls_a_second(world: World) -> None:
    for n in range(45):
        world.graph.graph.wrote(f"p{n}", "bonjour", f"m_{n}", world.ago(minutes=1 + 4 * n))
    for n in range(12):
        world.graph.graph.wrote("long", f"mot {n}", f"m_long{n}", world.ago(minutes=100 - n))
    outcome = await world.walk()  # from two hours ago, less ten minutes

    assert outcome.taken == 33 + 12  # p0 … p32
    paths = [call.path for call in world.graph.readings]
    assert paths == [f"{PAGE}/conversations"] * 2 + ["t_long/messages", f"{PAGE}/conversations"]
    assert len(world.slept) == len(world.graph.readings) - 1 and set(world.slept) == {0.5}


async def test_a_thread_that_moves_during_the_walk_is_not_missed(world: World) -> None:
    for n in range(22):
        world.graph.graph.wrote(f"p{n}", "bonjour", f"m_{n}", world.ago(minutes=1 + n))
    plain_take = world.take

    async def moving(raw: bytes, events: Sequence[Event], listed: Sequence[str], simulate: bool) -> list[Event]:
        if events[0].person == "p0":  # the last of the list writes again while the first is read: its webhook comes
            world.clock.advance(seconds=5)
            world.graph.graph.wrote("p21", "encore moi", "m_new", world.now)
            await world.webhook("p21", "encore moi", "m_new", world.now)
        return await plain_take(raw, events, listed, simulate)

    world.take = moving  # type: ignore[method-assign]
    await world.walk()
    assert [mid for mid, *_ in await world.events("p21")] == ["m_21", "m_new"]


async def test_a_killed_walk_goes_on_where_it_stood(world: World) -> None:
    for n in range(25):
        world.graph.graph.wrote(f"p{n}", "bonjour", f"m_{n}", world.ago(minutes=1 + n))
    world.fails_after = 22
    with pytest.raises(ConnectionError):
        await world.walk()
    flow = await world.flow()
    assert flow.walk is not None and flow.walk.cursor is not None and flow.complete_until == world.ago(hours=2)

    world.fails_after, before = None, len(world.graph.readings)
    assert (await world.walk()).taken == 3
    assert world.graph.readings[before].params["after"] == flow.walk.cursor
    assert len(await world.rows("SELECT DISTINCT person FROM conversations")) == 25


async def test_two_walkers_are_one(world: World) -> None:
    async with Shelf(of_part(world.database, "sender")).walker(PAGE) as alone:
        assert alone
        assert (await world.walk()).busy
    assert not (await world.walk()).busy


@pytest.mark.parametrize("code", [4, 613])
async def test_meta_asks_to_slow_down(world: World, code: int) -> None:
    world.graph.graph.wrote("41", "Bonjour", "m_1", world.ago(minutes=5))
    use = json.dumps({"1": [{"call_count": 100, "estimated_time_to_regain_access": 3}]})
    world.graph.graph.script_readings(
        Script(Mood.ERROR, code=code, headers={"X-Business-Use-Case-Usage": use}), Script(Mood.ERROR, code=code)
    )
    assert (await world.walk()).taken == 1
    assert world.slept[0] == 180 and world.slept[1] >= 10


async def test_a_high_use_slows_the_walk_before_meta_refuses(world: World) -> None:
    for n in range(22):
        world.graph.graph.wrote(f"p{n}", "bonjour", f"m_{n}", world.ago(minutes=1 + n))
    world.graph.graph.usage_headers = {"X-App-Usage": json.dumps({"call_count": 93})}
    await world.walk()
    assert world.slept and min(world.slept) >= 5


async def test_a_refused_token_stops_the_walk_and_is_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    for n in range(3):
        world.graph.graph.wrote(f"p{n}", "mes mots à moi", f"m_{n}", world.ago(minutes=1 + n))
    world.graph.graph.script_readings(Script(times=1, status=401, code=190, subcode=463))
    with caplog.at_level(logging.INFO):
        outcome = await world.walk()
    assert outcome.error == "token" and "jeton" in outcome.remedy and outcome.taken == 0
    assert len(world.graph.readings) == 1  # no second try
    flow = await world.flow()
    assert flow.walk_error == "token" and flow.complete_until == world.ago(hours=2)
    assert (await world.walk()).taken == 3
    assert (await world.flow()).walk_error is None
    assert "mes mots" not in caplog.text and TOKEN not in caplog.text


async def test_fields_that_meta_refuses_are_asked_for_one_by_one(world: World) -> None:
    world.graph.graph.wrote("41", "Bonjour", "m_1", world.ago(minutes=5))
    world.graph.graph.script_readings(Script(code=100))
    assert (await world.walk()).taken == 1
    assert [call.path for call in world.graph.readings] == [f"{PAGE}/conversations"] * 2 + ["t_41", "m_1"]


async def test_a_simulation_keeps_nothing(world: World) -> None:
    world.graph.graph.wrote("41", "Bonjour", "m_1", world.ago(minutes=5))
    assert (await world.walk(simulate=True)).taken == 1
    assert await world.rows("SELECT 1 FROM events UNION ALL SELECT 1 FROM conversations") == []
    assert (await world.flow()).complete_until == world.ago(hours=2)


async def test_a_new_installation_does_not_swallow_the_past(world: World) -> None:
    await world.rows("DELETE FROM meta_flow RETURNING account")
    world.graph.graph.wrote("41", "Bonjour", "m_1", world.ago(days=3))
    assert (await world.walk()).taken == 0
    assert (await world.walk(since=world.ago(days=4))).taken == 1


async def test_a_withdrawal_by_the_webhooks_own_id_finds_the_message(world: World) -> None:
    at = world.ago(minutes=30)
    world.graph.graph.wrote("41", "Oubliez cela", "m_api", at)
    await world.walk()
    await world.webhook("41", "Oubliez cela", "m_hook", at)
    await world.webhook("41", "", "m_hook", world.now, is_deleted=True)

    rows = await world.rows("SELECT * FROM events WHERE kind <> 'unsend'")
    bodies = [str(opened_json(world.codec, "events.body", row)) for row in rows]
    assert len(bodies) == 2 and not any("Oubliez" in body for body in bodies)
    assert (await world.walk()).taken == 0


async def test_a_tap_that_came_as_a_postback_is_not_taken_again_as_its_text(world: World) -> None:
    at = world.ago(minutes=30)
    item = {
        "sender": {"id": "41"},
        "recipient": {"id": PAGE},
        "timestamp": round(at.timestamp() * 1000),
        "postback": {"title": "Porter plainte", "payload": "/plainte"},
    }
    raw = json.dumps({"object": "page", "entry": [{"id": PAGE, "messaging": [item]}]}).encode()
    await world.inbox.take(raw, [(event, None) for event in parse(raw, world.now)], world.now)
    world.graph.graph.wrote("41", "Porter plainte", "m_1", at)
    assert (await world.walk()).taken == 0


async def test_a_thread_that_cannot_be_read_does_not_stop_the_walk(world: World) -> None:
    for n in range(12):
        world.graph.graph.wrote("long", f"mot {n}", f"m_l{n}", world.ago(minutes=20 - n))
    world.graph.graph.wrote("41", "Bonjour", "m_1", world.ago(minutes=40))
    world.graph.graph.script_readings(Script(code=2), Script(code=2))  # tried again
    plain = world.graph.graph.threads.messages
    world.graph.graph.threads.messages = lambda name, query: None  # type: ignore[method-assign]
    outcome = await world.walk()
    assert (outcome.taken, outcome.unreadable, outcome.error) == (1, 1, "")
    world.graph.graph.threads.messages = plain  # type: ignore[method-assign]
    assert (await world.walk(since=world.ago(hours=3))).taken == 12


async def test_what_does_not_open_keeps_no_later_message_out(world: World) -> None:
    """Neither a person's words, nor a reply of ours, nor an echo of one that no row explains."""
    at, wrote = world.ago(minutes=30), world.graph.graph.wrote
    await world.webhook("41", "Bonjour", "m_hook", at)
    await world.webhook(
        "41", "Notre réponse.", "m_echo", at + timedelta(minutes=1), is_echo=True, app_id=512340000000001
    )
    [talk] = await world.rows("SELECT id FROM conversations")
    async with world.database.begin() as connection:
        row = outbox.NewRow(talk.id, REPLY, "bot", Reply("Réponse."), at)
        await outbox.add(connection, world.codec, row)
        elsewhere = {"value": world.codec.seal_json({"text": "…"}, "outbox.message", 0, 0)}
        await connection.execute(text("UPDATE outbox SET message = :value"), elsewhere)
        await connection.execute(text("UPDATE events SET body = :value"), elsewhere)
    for person, minutes in (("40", 40), ("41", 0), ("42", -10)):
        wrote(person, "Allô", f"m_{person}", at - timedelta(minutes=minutes))
    outcome = await world.walk()
    assert (outcome.taken, outcome.people, outcome.error) == (3, {"40", "41", "42"}, "")
    assert len(world.codec.binding.refused) == 3, "and each is told"


async def test_a_meta_that_refuses_its_own_cursors_does_not_hold_the_walk_for_ever(world: World) -> None:
    for n in range(22):
        world.graph.graph.wrote(f"p{n}", "bonjour", f"m_{n}", world.ago(minutes=1 + n))
    plain = world.graph.graph.threads.list

    def refusing(platform: str, query: dict[str, str]) -> dict[str, Any]:
        return plain(platform, {**query, "after": "none of ours"} if "after" in query else query)

    world.graph.graph.threads.list = refusing  # type: ignore[method-assign]
    outcome = await asyncio.wait_for(world.walk(), 60)
    assert (outcome.error, outcome.taken) == ("bad_message", 20)
    assert (await world.flow()).complete_until == world.ago(hours=2)  # nothing is told to be complete
    world.graph.graph.threads.list = plain  # type: ignore[method-assign]
    assert (await world.walk()).taken == 2


@pytest.fixture
def restored(world: World, policy: Policy) -> World:
    """A database that a back-up brought back: what was said since is Meta's alone."""
    world.inbox = Inbox(of_part(world.database, "sender"), world.codec, replace(world.inbox._rules, ours=Ours(policy)))
    return world


async def test_what_was_answered_between_the_backup_and_the_loss_is_not_answered_again(
    restored: World, policy: Policy
) -> None:
    world, texts = restored, policy.texts
    wrote = world.graph.graph.wrote
    at = world.ago(minutes=90)

    def said(person: str, *lines: tuple[str, bool]) -> None:
        for n, (words, ours) in enumerate(lines):
            wrote(person, words, f"m_{person}_{n}", at + timedelta(minutes=n), from_page=ours)

    said("41", ("comment porter plainte ?", False), (texts["utter_plainte_comment"], True), ("et où ?", False))
    said("42", (DANGER, False), (texts["utter_urgence"], True))
    said("43", ("je veux un agent", False), (texts["utter_parler_humain"], True))
    said("44", ("une question", False), (texts["utter_nuit"], True))  # it waited for the morning
    said("45", ("une question", False), ("Bonjour, je m’en occupe.", True))  # an agent
    said("46", (DANGER, False), ("La page est absente.", True))  # nobody gave the numbers
    said("47", (DANGER, False), (texts["utter_urgence"], True), (DANGER, False))
    said("48", ("une question", False))
    echo = {"is_echo": True, "app_id": 512340000000001}
    await world.webhook("48", "Notre réponse.", "m_48_1", at + timedelta(minutes=1), **echo)

    await world.walk()
    history = ("ignored", "history")
    heard = {str(n): [e[2:] for e in await world.events(str(n)) if e[1] == "text"] for n in range(41, 49)}
    assert heard["41"] == [history, (None, None)]
    assert heard["42"][0][0] == "handed_off" and heard["47"][0][0] == "handed_off"
    assert heard["43"] == heard["44"] == heard["45"] == heard["48"] == [history]
    assert heard["46"][0][0] == heard["47"][1][0] == "emergency"
    rows = await world.rows(
        """SELECT c.person, h.category, h.reason FROM handoffs h JOIN conversations c ON c.id = h.conversation_id
           ORDER BY c.person"""
    )
    assert [tuple(row)[:2] for row in rows] == [
        ("42", "emergency"),
        ("43", "request"),
        ("44", "request"),
        ("46", "emergency"),
        ("47", "emergency"),
    ]
    assert [row.reason for row in rows[:3]] == ["untraced"] * 3
    rows = await world.rows("SELECT c.person FROM outbox o JOIN conversations c ON c.id = o.conversation_id ORDER BY 1")
    assert [row.person for row in rows] == ["46", "47"]
    rows = await world.rows("SELECT person, due_at, last_person_at FROM conversations ORDER BY person")
    assert {row.person for row in rows if row.due_at is None} >= {"42", "43", "44", "48"}
    assert all(row.last_person_at is not None for row in rows)  # agents may still write
    assert (await world.walk()).taken == 0 and len(await world.rows("SELECT 1 FROM handoffs")) == 5


async def test_a_danger_of_two_days_ago_that_was_answered_is_marked_old(restored: World, policy: Policy) -> None:
    restored.graph.graph.wrote("41", DANGER, "m_1", restored.ago(hours=30))
    restored.graph.graph.wrote("41", policy.texts["utter_urgence"], "m_2", restored.ago(hours=30), from_page=True)
    await restored.walk(since=restored.ago(days=2))
    rows = await restored.rows("SELECT category, reason, old FROM handoffs")
    assert [tuple(row) for row in rows] == [("emergency", "untraced", True)]
    assert await restored.rows("SELECT 1 FROM outbox") == []
