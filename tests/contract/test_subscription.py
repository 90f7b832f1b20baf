"""The webhook subscription: asked, noted, told, restored; the commands `meta` and `catchup`; the sender's watch."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import psycopg
import pytest
from sqlalchemy import text

from bot.app.cli import main
from bot.app.doctor import examine
from bot.app.wiring import run_role
from bot.core.clock import SystemClock
from bot.meta.send_api import SendApi
from bot.meta.subscription import FIELDS
from bot.sender.catchup import CatchUp, CatchUpDeps
from bot.sender.deps import SenderAccount
from bot.sender.pace import Pace
from bot.sender.subscriptions import Subscriptions
from bot.sender.watch import Watch, WatchTiming
from bot.settings import Settings
from bot.store import meta_flow
from bot.store.catchup import Shelf
from bot.store.db import Database
from bot.store.meta_flow import Flow
from tests.conftest import of_part
from tests.fakes.graph import IG, PAGE, SECRET, TOKEN, Script, ScriptedGraph
from tests.fakes.ports import free_port

PAGE_ACCOUNT, IG_ACCOUNT = SenderAccount(PAGE, PAGE, TOKEN, SECRET), SenderAccount(IG, PAGE, TOKEN, SECRET)
EXPLOITATION = Path(__file__).parents[2] / "docs" / "exploitation.md"
KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


@dataclass
class World:
    graph: ScriptedGraph
    database: Database
    api: SendApi
    subscriptions: Subscriptions

    async def flow(self, account: str = PAGE) -> Flow:
        async with self.database.begin() as connection:
            return (await meta_flow.read(connection, [account]))[0]

    def subscribe_to(self, *fields: str) -> None:
        self.graph.graph.subscribed[PAGE] = list(fields)


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    async with ScriptedGraph() as graph, aiohttp.ClientSession() as session:
        api = SendApi(session, graph.url, PAGE, TOKEN, SECRET)
        yield World(
            graph, database, api, Subscriptions(of_part(database, "sender"), SystemClock(), graph.url, "424242")
        )


def test_the_fields_are_those_of_the_documentation() -> None:
    text = EXPLOITATION.read_text(encoding="utf-8")
    assert [field for field in FIELDS if f"`{field}`" not in text] == []


async def test_a_lost_subscription_is_noted_and_a_restored_one_wants_a_walk(world: World) -> None:
    assert (await world.subscriptions.look(PAGE_ACCOUNT, world.api)).state == "ok"
    world.subscribe_to()
    assert (await world.subscriptions.look(PAGE_ACCOUNT, world.api)).state == "lost"
    assert (await world.subscriptions.look(IG_ACCOUNT, world.api)).state == "lost"
    flow = await world.flow()
    since = flow.lost_since
    assert flow.subscription == "lost" and since is not None and not flow.walk_wanted
    await world.subscriptions.look(PAGE_ACCOUNT, world.api)
    assert (await world.flow()).lost_since == since

    found = await world.subscriptions.restore(PAGE_ACCOUNT, world.api)

    assert (found.state, found.restored) == ("ok", True)
    flow = await world.flow()
    assert flow.walk_wanted and flow.lost_since is None and flow.missing == ()


async def test_missing_fields_are_named_and_others_are_kept(world: World) -> None:
    world.subscribe_to("feed", *FIELDS[:-2])
    found = await world.subscriptions.look(PAGE_ACCOUNT, world.api)
    assert (found.state, found.missing) == ("partial", FIELDS[-2:])
    assert (await world.subscriptions.look(IG_ACCOUNT, world.api)).state == "ok"
    assert (await world.subscriptions.restore(PAGE_ACCOUNT, world.api)).state == "ok"
    assert set(world.graph.graph.subscribed[PAGE]) == {"feed", *FIELDS}


async def test_another_apps_subscription_is_not_ours(world: World) -> None:
    other = Subscriptions(of_part(world.database, "sender"), SystemClock(), world.graph.url, "99")
    assert (await other.look(PAGE_ACCOUNT, world.api)).state == "lost"


async def test_what_meta_does_not_say_changes_nothing(world: World) -> None:
    await world.subscriptions.look(PAGE_ACCOUNT, world.api)
    world.graph.graph.script_readings(Script(status=401, code=190))
    found = await world.subscriptions.look(PAGE_ACCOUNT, world.api)
    flow = await world.flow()
    assert found.error == "token" and "jeton" in found.remedy
    assert (flow.subscription, flow.subscription_error) == ("ok", "token")
    await world.subscriptions.look(PAGE_ACCOUNT, world.api)
    assert (await world.flow()).subscription_error is None


async def test_the_watch_walks_at_the_start_and_when_a_subscription_was_restored(world: World) -> None:
    async def take(*_: object) -> list[object]:
        return []

    async def no_sleep(_: float) -> None:
        return None

    clock = SystemClock()
    walks = CatchUp(CatchUpDeps(Shelf(of_part(world.database, "sender")), take, clock, Pace(2, no_sleep)))  # type: ignore[arg-type]
    timing = WatchTiming(first=0, walk_every=900, check_every=300)
    ticks = [100.0]
    watch = Watch(
        {PAGE_ACCOUNT: world.api}, world.database, walks, world.subscriptions, clock, timing, lambda: ticks[0]
    )

    def pass_time(seconds: float) -> None:
        ticks[0] += seconds
        clock.offset += timedelta(seconds=seconds)

    def lists() -> int:
        return sum(call.path.endswith("/conversations") for call in world.graph.readings)

    await watch.look(PAGE_ACCOUNT, world.api)
    await watch.look(PAGE_ACCOUNT, world.api)
    assert lists() == 1
    world.subscribe_to()
    pass_time(301)
    await watch.look(PAGE_ACCOUNT, world.api)
    assert (await world.flow()).subscription == "lost" and lists() == 1
    await world.subscriptions.restore(PAGE_ACCOUNT, world.api)  # `planton meta subscribe`, in another process
    await watch.look(PAGE_ACCOUNT, world.api)
    await watch.look(PAGE_ACCOUNT, world.api)
    assert lists() == 2
    pass_time(901)
    world.graph.graph.script_readings(
        Script(times=2, status=401, code=190)
    )  # the subscription's question, then the walk's
    await watch.look(PAGE_ACCOUNT, world.api)
    assert (await world.flow()).walk_error == "token"
    pass_time(121)
    await watch.look(PAGE_ACCOUNT, world.api)
    assert (await world.flow()).walk_error is None


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, world: World, database_url: str, tmp_path: Path) -> None:
    """The sender's own settings in the environment."""
    for name, value in {
        "DATABASE_URL": database_url,
        "VAR_DIR": str(tmp_path),
        "META_APP_SECRET": SECRET,
        "META_PAGE_ID": PAGE,
        "META_PAGE_TOKEN": TOKEN,
        "META_GRAPH_URL": world.graph.url,
        "SECRET_KEY": "k" * 40,
        "DATA_KEY": KEY,
    }.items():
        monkeypatch.setenv(f"PLANTON_{name}", value)


async def run(*arguments: str) -> int:
    return await asyncio.to_thread(main, arguments)


@pytest.mark.usefixtures("shell")
async def test_the_commands(world: World, database_url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    world.subscribe_to("messages")
    assert await run("meta", "status") == 1
    said = capfd.readouterr().out
    assert "abonnement incomplet, il manque messaging_postbacks, message_echoes" in said
    assert "planton meta subscribe" in said
    problems = (await asyncio.to_thread(examine, Settings(), datetime.now(UTC), tmp_path)).problems
    assert any("il manque" in p.what and p.remedy == "Lancez : planton meta subscribe" for p in problems)
    assert await run("meta", "subscribe") == 0
    assert "vont être repris" in capfd.readouterr().out

    at = datetime.now(UTC) - timedelta(minutes=30)
    world.graph.graph.wrote("41", "mes mots bien à moi", "m_1", at)
    since = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M+00:00}"
    assert await run("catchup", "--simuler", "--depuis", since) == 0
    out = capfd.readouterr().out
    assert "1 message à reprendre" in out and "rien n’a été enregistré" in out
    assert await run("catchup", "--depuis", since) == 0
    assert await run("catchup", "--depuis", since) == 0
    out, err = capfd.readouterr()
    assert "1 message repris (1 personne)" in out and "0 message repris" in out
    assert "mes mots" not in out + err and TOKEN not in out + err and "41" not in out.replace(since, "")
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT mid FROM events").fetchall() == [("m_1",)]

    world.graph.graph.script_readings(Script(status=401, code=190))
    assert await run("catchup") == 1
    assert "Arrêté avant la fin (token)" in capfd.readouterr().out
    assert await run("catchup", "--depuis", "2999-01-01") == 2
    assert "dans l’avenir" in capfd.readouterr().err


@pytest.mark.usefixtures("shell")
async def test_the_sender_catches_up_by_itself_at_its_start(
    world: World, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime.now(UTC)
    async with world.database.begin() as connection:
        await meta_flow.arrived(connection, {PAGE: "messenger"}, at)
        await meta_flow.begin(connection, PAGE, "messenger", at - timedelta(hours=1))  # all was in an hour ago
        await connection.execute(text("UPDATE meta_flow SET walk_since = NULL"))
    world.graph.graph.wrote("41", "Bonjour", "m_1", at - timedelta(minutes=30))
    monkeypatch.setenv("PLANTON_SENDER_PORT", str(free_port()))
    monkeypatch.setattr("bot.sender.watch.WatchTiming", functools.partial(WatchTiming, first=0.0))
    role = asyncio.create_task(run_role("sender", Settings()))
    try:
        async with asyncio.timeout(60):
            while not (flow := await world.flow()).walked_at:
                assert not role.done(), role.exception()
                await asyncio.sleep(0.1)
    finally:
        role.cancel()
        await asyncio.gather(role, return_exceptions=True)
    assert (flow.walk_found, flow.subscription, flow.walk_error) == (1, "ok", None)
    async with world.database.begin() as connection:
        assert (await connection.execute(text("SELECT mid FROM events"))).scalars().all() == ["m_1"]


@pytest.mark.usefixtures("shell")
async def test_without_a_token_the_command_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PLANTON_META_PAGE_TOKEN")
    assert await run("meta", "status") == 2
    assert "PLANTON_META_PAGE_TOKEN" in capfd.readouterr().err


@pytest.mark.usefixtures("shell")
async def test_a_stopped_account_is_tried_again_by_hand(database_url: str, capfd: pytest.CaptureFixture[str]) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO accounts (account, stopped_slug, stopped_at) VALUES ('1', 'policy_block', now()), ('2', 'token', now())"
        )
        assert await run("meta", "resume", "--compte", "1") == 0
        assert "Compte 1" in capfd.readouterr().out
        stopped = connection.execute("SELECT account FROM accounts WHERE stopped_at IS NOT NULL").fetchall()
        assert stopped == [("2",)]
        assert await run("meta", "resume", "--compte", "1") == 1
        assert "Le compte 1 n’est pas arrêté" in capfd.readouterr().out
        assert await run("meta", "resume") == 0
        assert await run("meta", "resume") == 1
