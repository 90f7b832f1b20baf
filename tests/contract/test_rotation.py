"""Secrets are replaced while Planton runs: two are valid at once, nothing stops, `doctor` says which may go."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import psycopg
import pytest
from psycopg.rows import dict_row

from bot.app import rotation
from bot.app.catchup import sender_accounts
from bot.core.clock import FrozenClock, SystemClock
from bot.meta import direct, metadata
from bot.meta.signature import HEADER, sign
from bot.sender import Sender, SenderDeps
from bot.settings import Settings
from bot.store.accounts import Accounts
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.second_factor import SecondFactors
from bot.store.secret_uses import SecretUses
from bot.store.throttle import Throttle
from tests.conftest import of_part
from tests.contract.test_gateway import Setup
from tests.contract.test_sender_loops import KEY, MARK_KEY, QUICK, World, asked
from tests.fakes.console import PASSWORD, Browser, running_console
from tests.fakes.graph import IG, PAGE, SECRET, TOKEN, ScriptedGraph
from tests.fakes.outbox import FakeOutbox
from tests.fakes.words import FixedWords

NEW = "EAAnew-token-of-the-page"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def told(url: str, now: datetime = NOW) -> list[str]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return [f"{one.what} {one.remedy}" for one in rotation.problems(connection, now)]


# The application's secret


async def test_webhooks_signed_with_either_secret_are_taken_and_doctor_says_when_the_old_may_go(
    tmp_path: Path, database: Database, database_url: str
) -> None:
    uses = SecretUses(of_part(database, "gateway"), "META_APP_SECRET", ["new-secret", SECRET])
    clock = FrozenClock(NOW)
    setup = Setup(tmp_path, clock=clock)
    async with setup.run(app_secrets=("new-secret", SECRET), signed=uses.used) as running:
        await uses.keep(NOW)
        assert "gardez les deux" in told(database_url)[0]
        raw = json.dumps({"object": "page", "entry": []}).encode()

        async def post(secret: str) -> int:
            headers = {HEADER: sign(secret, raw)}
            async with running.client.post(f"{running.url}/webhooks/meta", data=raw, headers=headers) as response:
                return response.status

        assert [await post(secret) for secret in (SECRET, "new-secret", "third-secret")] == [200, 200, 403]
        await uses.keep(NOW)
        assert "L’ancien signe encore" in told(database_url)[0]
        assert "retirez-le de META_APP_SECRET" in told(database_url, NOW + timedelta(hours=2))[0]
        for row in await _rows(database_url, "SELECT * FROM secret_uses"):
            assert "secret" not in str(row).replace("META_APP_SECRET", "")
    await SecretUses(of_part(database, "gateway"), "META_APP_SECRET", ["new-secret"]).keep(
        NOW
    )  # started with the new one alone
    assert told(database_url) == []


async def _rows(url: str, query: str) -> list[dict[str, object]]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(query).fetchall()


# The page's token


async def _with_file(path: Path, graph: ScriptedGraph, session: aiohttp.ClientSession) -> tuple[World, SenderDeps]:
    settings = Settings(
        {
            "PLANTON_META_PAGE_ID": PAGE,
            "PLANTON_META_IG_ID": IG,
            "PLANTON_META_PAGE_TOKEN_FILE": str(path),
            "PLANTON_META_APP_SECRET": SECRET,
        }
    )
    outbox = FakeOutbox(SystemClock(), 1000)
    deps = SenderDeps(
        sender_accounts(settings), graph.url, outbox, outbox, KEY, MARK_KEY, SystemClock(), FixedWords(), port=0, ceiling=1000,
        timing=replace(QUICK, probe_every=0.2),
    )  # fmt: skip
    sender = Sender(deps)
    await sender.start()
    return World(graph, outbox, sender, session), deps


@pytest.mark.parametrize("how", ["two at once", "the file is replaced"])
async def test_the_sender_goes_over_to_the_other_token_in_the_middle_of_its_work(
    tmp_path: Path, how: str, database: Database, database_url: str
) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n{NEW}\n" if how == "two at once" else TOKEN)
    file.chmod(0o600)
    async with ScriptedGraph() as graph, aiohttp.ClientSession() as session:
        w, deps = await _with_file(file, graph, session)
        try:
            before = [w.outbox.add(f"Avant {n}", person=f"p{n % 7}") for n in range(20)]
            await w.until(lambda: len(graph.sent) >= 5)
            if how == "the file is replaced":
                file.write_text(f"{NEW}\n{TOKEN}")
            graph.graph.accounts[PAGE].token = NEW  # the old one answers 190 from now on
            after = [w.outbox.add(f"Après {n}", person=f"p{n % 7}") for n in range(20)]
            await w.settled(*before, *after)
            # Each once, in order, and the account never stopped.
            assert sorted(sent.text for sent in graph.sent) == sorted(kept.row.text for kept in (*before, *after))
            for person in {kept.row.person for kept in before}:
                got = [sent.text for sent in graph.sent if sent.person == person]
                assert got == [k.row.text for k in (*before, *after) if k.row.person == person]
            assert await w.emergency(key="m-after") is not None
            assert w.outbox.stopped == {}

            access = deps.accounts[0].access
            assert access is not None
            assert deps.accounts[1].access is access
            telling = asyncio.create_task(rotation.keep_telling(database, [access], SystemClock(), every=0.05))
            await w.until(lambda: bool(told(database_url)))
            telling.cancel()
            line = told(database_url)[0]
            if how == "two at once":
                assert "Meta refuse le premier jeton ; les envois partent avec le second" in line
            else:
                assert "le premier sert. Le second peut être retiré." in line
            assert NEW not in line
            assert TOKEN not in line
        finally:
            await w.sender.stop()


async def test_a_token_that_is_replaced_after_the_account_stopped_starts_it_again(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o600)
    async with ScriptedGraph() as graph, aiohttp.ClientSession() as session:
        w, _ = await _with_file(file, graph, session)
        try:
            graph.graph.accounts[PAGE].token = NEW
            kept = w.outbox.add("Bonjour")
            await w.until(lambda: w.outbox.stopped)
            file.write_text(NEW)
            await w.settled(kept)
            assert [sent.text for sent in graph.sent] == ["Bonjour"]
            assert w.outbox.stopped == {}
        finally:
            await w.sender.stop()


async def test_the_proof_goes_over_to_the_other_secret_of_the_application() -> None:
    settings = Settings(
        {
            "PLANTON_META_PAGE_ID": PAGE,
            "PLANTON_META_PAGE_TOKEN": TOKEN,
            "PLANTON_META_APP_SECRET": f"secret-that-meta-has-not-yet,{SECRET}",
        }
    )
    outbox = FakeOutbox(SystemClock(), 1000)
    async with ScriptedGraph() as graph, aiohttp.ClientSession() as session:
        deps = SenderDeps(
            sender_accounts(settings), graph.url, outbox, outbox, KEY, MARK_KEY, SystemClock(), FixedWords(), port=0,
            timing=QUICK, older_keys=(b"older",),
        )  # fmt: skip
        sender = Sender(deps)
        await sender.start()
        w = World(graph, outbox, sender, session)
        try:
            kept = w.outbox.add("Bonjour")
            await w.settled(kept)
            assert [sent.text for sent in graph.sent] == ["Bonjour"]
            # SENDER_KEY: the door opens to who signs with either.
            for key, opened in ((KEY, True), (b"older", True), (b"third", False)):
                mid = await direct.send_emergency(session, sender.url, [key], asked(str(key)))
                assert (mid is not None) == opened
        finally:
            await sender.stop()


# SECRET_KEY and METRICS_TOKEN


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"SECRET_KEY": "a"}, "SENDER_KEY manque"),
        ({"SECRET_KEY": "a", "SENDER_KEY": "b,a"}, "SENDER_KEY contient deux clés"),
        ({"SECRET_KEY": "a", "SENDER_KEY": "b"}, None),
    ],
)
def test_doctor_says_what_the_senders_door_still_lacks(given: dict[str, str], told: str | None) -> None:
    environ = {"PLANTON_DATABASE_URL": "postgresql://u@h/d", **{f"PLANTON_{name}": one for name, one in given.items()}}
    problems = list(rotation.sender_key(Settings(environ)))
    assert [problem.what.partition(":")[0].strip(" .") for problem in problems] == ([told] if told else [])
    assert all(problem.remedy and problem.advice for problem in problems)


def test_marks_of_sends_in_flight_stay_valid() -> None:
    old, new = b"old-key", b"new-key"
    mark = metadata.make(old, 17, 2)
    assert metadata.verify(new, mark) is None
    found = metadata.verify((new, old), mark)
    assert found is not None
    assert (found.outbox_id, found.part) == (17, 2)


async def test_metrics_open_to_both_tokens(tmp_path: Path) -> None:
    async with Setup(tmp_path).run(metrics_token="new", older_metrics_token="old") as running:
        statuses = [
            (await running.get("/metrics", Authorization=f"Bearer {one}"))[0] for one in ("new", "old", "x", "")
        ]
        assert statuses == [200, 200, 403, 403]


async def test_browsers_codes_and_open_forms_of_the_old_key_stay_good(
    database: Database, database_url: str, frozen_clock: FrozenClock, codec: Codec
) -> None:
    """Sessions are not keyed at all. A form that was open, a known browser and recovery codes are."""
    async with running_console(database, database_url, codec, frozen_clock, secret_key="old-key") as console:
        user = await console.user("Claire")
        async with Browser(console) as claire:
            opened = await claire.get("/connexion")
            async with running_console(
                database, database_url, codec, frozen_clock, secret_key="new-key", older_key="old-key"
            ) as renewed:
                claire._console = renewed  # the same browser, the console started again
                fields = {"nom": "Claire", "mot_de_passe": PASSWORD, "suite": opened.hidden("suite")}
                assert (await claire.post("/connexion", csrf=opened.hidden("csrf"), **fields)).status == 303
                assert (await claire.get("/file")).status == 200
    cookie = Accounts(database, "old-key").device_cookie(user)
    assert Accounts(database, "new-key", "old-key").device_of("Claire", cookie) is not None
    assert Accounts(database, "new-key").device_of("Claire", cookie) is None
    throttle = Throttle(database, "new-key")
    before = SecondFactors(database, codec, throttle, "old-key")._hashes(user, "ABCD-1234")
    assert before[0] in SecondFactors(database, codec, throttle, "new-key", "old-key")._hashes(user, "abcd 1234")
    assert before[0] not in SecondFactors(database, codec, throttle, "new-key")._hashes(user, "ABCD-1234")
