"""Faults over real processes: every one is killed while messages flow, PostgreSQL stands still, Meta misbehaves.

One system serves most tests, in the order of this file. A table of what was lost, doubled and late ends the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from bot.core.trace import trace_id
from tests.fakes.collector import collector, spans_of
from tests.fakes.graph import PAGE, SECRET, TOKEN, Mood, Script, ScriptedGraph
from tests.fakes.ports import free_ports
from tests.scenario import leaking
from tests.scenario.faults import APART, BY_NAME, FAULTS, Fault, World, sane, strike
from tests.scenario.processes import (
    HELP,
    QUESTIONS,
    ROOT,
    Account,
    Meta,
    Planton,
    Table,
    account,
    command,
    environment,
    settled,
    until,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.alone]

RESUMES = 15.0  # seconds in which work resumes after a kill
ENGINE_STARTS = 240.0  # at most, with all the rest, on a busy machine


def in_time() -> float:
    """Seconds in which work resumes; longer while others keep the machine busy."""
    return RESUMES * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@pytest.fixture(scope="module")
def table(pytestconfig: pytest.Config) -> Iterator[Table]:
    made = Table()
    pytestconfig.pluginmanager.register(made, "planton-faults")
    yield made
    made.keep(ROOT / "test-artefacts" / "faults.txt")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Everything, over a light engine, on machines whose clocks are an hour ahead or behind from the start."""
    folder = tmp_path_factory.mktemp("faults")
    told = {"METRICS_PORT": str(free_ports(2)), "LOG_LEVEL": "debug"}
    async with (
        collector() as (traces_url, got),
        ScriptedGraph(latency=0.05) as graph,
        contextlib.AsyncExitStack() as stack,
    ):
        planton = Planton(folder, graph.url, light=True, TRACES_URL=traces_url, **told)
        planton.clocks(**APART)
        await stack.enter_async_context(planton)
        spans[planton] = got
        meta = Meta(planton, graph)
        try:
            yield World(planton, meta, graph, hours=APART)
        finally:
            await meta.close()


spans: dict[Planton, list[Any]] = {}  # what the collector got of whom


def keep(line: Account, table: Table, doubled: int = 0) -> None:
    """Keep the line, and look at it."""
    table.lines.append(line)
    sane(line, doubled)


async def not_ready(planton: Planton, *names: str) -> dict[str, Any]:
    """What /readyz says once it names just these: on a busy machine a probe may be late, and name one more."""
    state: dict[str, Any] = {}

    async def named() -> bool:
        state.clear()
        state.update(await planton.readyz())
        return state.get("not_ready") == list(names)

    await until(named, 20, f"not ready: {names}, not {state}")
    return state


# Wrong settings: before anything starts.


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"GATEWAY_PORT": "quatre-vingts"}, "PLANTON_GATEWAY_PORT : « quatre-vingts » n’est pas un port."),
        ({"TIMEZONE": "Europe/Lutèce"}, "PLANTON_TIMEZONE : « Europe/Lutèce » n’est pas un fuseau connu."),
        ({"META_APP_SECRET": None}, "PLANTON_META_APP_SECRET : ce réglage manque. Donnez-le"),
        ({"META_PAGE_TOKEN": None}, "PLANTON_META_PAGE_TOKEN : ce réglage manque. Voyez"),
        ({"DATA_KEY": "trop-courte"}, "PLANTON_DATA_KEY"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_a_wrong_setting_is_one_line_with_its_remedy(
    world: World, tmp_path: Path, changes: dict[str, str | None], told: str
) -> None:
    environ = environment(tmp_path / "var", world.graph.url, **changes)
    code, out, err = await command(environ, "run")
    assert code == 2
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert told in lines[0]
    assert re.search(r"\. [A-Z]\w+", lines[0])  # what is wrong, then what to do
    assert "Traceback" not in err + out
    assert left_behind(tmp_path) == []


async def test_a_taken_port_is_one_line_and_leaves_nothing_running(world: World, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environ = environment(tmp_path / "var", world.graph.url, CONSOLE_PORT=str(port))
        code, _, err = await command(environ, "run")
    assert code == 2
    assert err.strip().splitlines() == [
        f"planton : Le port {port} est déjà pris. Libérez-le, ou donnez-en un autre avec PLANTON_CONSOLE_PORT."
    ]
    assert left_behind(tmp_path) == []


def left_behind(folder: Path) -> list[str]:
    """Processes that still work for an installation in this folder."""
    found = []
    for one in psutil.process_iter():
        try:
            if f"{folder}/" in one.environ().get("PLANTON_VAR_DIR", "") + "/" or str(folder) in " ".join(one.cmdline()):
                found.append(" ".join(one.cmdline()))
        except psutil.Error:
            continue
    return found


# The system as it should be


async def test_ready_says_so_and_doctor_has_its_shape(world: World) -> None:
    await world.planton.ready(ENGINE_STARTS)
    assert await not_ready(world.planton) == {
        "ready": True,
        "not_ready": [],
        "checks": {name: {"ok": True} for name in ("database", "engine", "sender", "meta")},
    }
    person = world.meta.write("shape", QUESTIONS[0])
    await world.meta.acknowledged([person], in_time())
    await settled(world.planton, [person], 60)
    report = await world.planton.doctor()
    assert list(report) == ["ok", "received", "in_flight", "dispositions", "outbox", "problems"]
    assert set(report["dispositions"]) == {"answered", "emergency", "handed_off", "to_agent", "ignored", "failed"}
    assert set(report["outbox"]) == {"queued", "sent", "failed", "cancelled"}
    assert report["received"] == sum(report["dispositions"].values()) + report["in_flight"] > 0
    assert report["dispositions"]["answered"] == report["outbox"]["sent"] == 1
    assert all({"what", "remedy"} <= set(problem) for problem in report["problems"])
    assert all(problem["what"] and problem["remedy"] for problem in report["problems"])


async def test_the_data_key_of_another_installation_is_refused(world: World) -> None:
    """The same database, another key: what citizens wrote could not be read, and what is written would be lost."""
    await world.planton.ready(ENGINE_STARTS)
    environ = world.planton.environ | {
        "PLANTON_DATABASE_URL": world.planton.database,
        "PLANTON_DATA_KEY": "A" * 43 + "=",
        "PLANTON_SECRET_KEY": "another-secret",
        "PLANTON_METRICS_TOKEN": "another-token",
    }
    del environ["PLANTON_METRICS_PORT"]  # the running worker's own
    code, _, err = await command(environ, "run", "worker")
    assert code == 2, err
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert "PLANTON_DATA_KEY" in lines[0]


# Faults while messages flow


@pytest.mark.parametrize("name", [fault.name for fault in FAULTS if fault.short and "launcher" not in fault.name])
async def test_while_messages_flow(world: World, table: Table, name: str) -> None:
    fault = BY_NAME[name]
    line = await strike(world, fault, fault.short)
    keep(line, table, fault.doubled)
    assert line.seconds < in_time()
    assert (line.danger or 0.0) < in_time() / {"kill -9 worker": 5, "clocks jumping": 7.5}.get(name, 1)


async def test_a_sender_that_stands_still_is_named(world: World) -> None:
    planton = world.planton
    await planton.ready(ENGINE_STARTS)
    with planton.frozen("sender"):
        state = await not_ready(planton, "sender")
    assert "planton run sender" in state["checks"]["sender"]["remedy"].replace("\u00a0", " ")


async def test_kill_9_of_the_engine(world: World, table: Table) -> None:
    """Dangers and acknowledgements do not wait for it; what it should have understood is understood when it is back."""
    planton, meta = world.planton, world.meta
    await planton.ready(ENGINE_STARTS)
    state: dict[str, Any] = {}
    report: dict[str, Any] = {}

    async def away(world: World) -> None:
        meta.slowest = 0.0
        planton.engine_loads(False)
        planton.kill("engine")
        state.update(await not_ready(planton, "engine"))
        report.update(await planton.doctor())
        planton.engine_loads(True)

    line = await strike(world, Fault("kill -9 engine", away, 0), 80)
    keep(line, table)
    assert "planton run engine" in state["checks"]["engine"]["remedy"].replace("\u00a0", " ")
    assert any("moteur" in problem["what"] for problem in report["problems"]), report
    assert meta.slowest < in_time() / 3  # what Meta waits
    assert (line.danger or 0.0) < in_time() / 5
    assert line.seconds < in_time()
    # Nobody was given to an agent only because the engine was away for a moment.
    assert not await planton.rows("SELECT 1 FROM events WHERE reason = 'moteur'")


# PostgreSQL stands still


async def test_postgres_frozen_for_five_seconds(world: World, table: Table) -> None:
    planton, meta = world.planton, world.meta
    await planton.ready(ENGINE_STARTS)
    with planton.frozen("postgres"):
        start = time.monotonic()
        alarm = meta.write("frozen-sos", HELP)
        others = [meta.write(f"frozen{i}", QUESTIONS[i]) for i in range(10)]
        await until(lambda: meta.reached("frozen-sos"), 20, "the danger answered through the sender")
        await not_ready(planton, "database")
        await asyncio.sleep(max(0.0, start + 5 - time.monotonic()))
    back = time.monotonic()
    await meta.acknowledged([alarm, *others], in_time())
    await settled(planton, [alarm, *others], 60)
    line = await account("PostgreSQL frozen 5 s", planton, meta, [alarm, *others])
    line.seconds = time.monotonic() - back
    keep(line, table)
    assert alarm.refusals >= 1
    assert len(meta.reached("frozen-sos")) == 1
    handoffs = await planton.rows(
        "SELECT h.priority FROM handoffs h JOIN conversations c ON c.id = h.conversation_id WHERE c.person = 'frozen-sos'"
    )
    assert [row["priority"] for row in handoffs] == [0]
    await planton.ready(60)


# Meta misbehaves


async def test_the_graph_api_answers_badly_in_every_way_at_once(world: World, table: Table) -> None:
    planton, meta, graph = world.planton, world.meta, world.graph
    await planton.ready(ENGINE_STARTS)
    meta.silent.add("hang-mute")
    graph.script(
        Script(Mood.ERROR, times=2, status=500, person="500"),
        Script(Mood.ERROR, code=613, person="613"),
        Script(Mood.ERROR, code=551, subcode=1545041, person="551"),
        Script(latency=10, person="slow"),
        Script(Mood.HANG, accepted=True, person="hang-echo"),
        Script(Mood.HANG, accepted=True, person="hang-mute"),
        Script(Mood.HANG, accepted=False, person="hang-lost"),
        Script(Mood.RESET, accepted=True, person="reset-echo"),
    )
    people = ("500", "613", "551", "slow", "hang-echo", "hang-mute", "hang-lost", "reset-echo")
    start = time.monotonic()
    messages = [meta.write(person, QUESTIONS[0]) for person in people]
    await meta.acknowledged(messages, in_time())
    await asyncio.sleep(2)
    alarm = meta.write("graph-sos", HELP)  # meanwhile somebody is in danger
    assert await until(lambda: meta.reached("graph-sos"), 9, "the danger answered") < 6  # the slow one takes ten
    await settled(planton, [*messages, alarm], 60)
    line = await account("Graph: 500, 613, 551, 10 s, hang, reset", planton, meta, [*messages, alarm])
    line.seconds = time.monotonic() - start
    keep(line, table, doubled=1)
    times = {person: len(meta.reached(person)) for person in people}
    assert times == {
        "500": 1,
        "613": 1,
        "551": 0,
        "slow": 1,
        "hang-echo": 1,
        "hang-mute": 2,  # its answer was lost and no echo came: the one case in which a reply is doubled
        "hang-lost": 1,
        "reset-echo": 1,
    }
    gone = await planton.rows(
        """SELECT e.disposition, e.reason, o.status, o.error_slug, o.error_remedy
           FROM events e JOIN conversations c ON c.id = e.conversation_id JOIN outbox o ON o.id = e.outbox_id
           WHERE c.person = '551' AND e.kind = 'text'"""
    )
    assert [(row["disposition"], row["status"]) for row in gone] == [("failed", "failed")]
    assert gone[0]["error_slug"] == "person_unavailable"
    assert "plus joignable" in gone[0]["error_remedy"]


async def test_an_expired_page_token_stops_the_account_until_it_works_again(world: World, table: Table) -> None:
    planton, meta, graph = world.planton, world.meta, world.graph
    await planton.ready(ENGINE_STARTS)
    page = graph.graph.accounts[PAGE]
    token, page.token = page.token, "another-token"
    try:
        messages = [meta.write(f"token{i}", QUESTIONS[i]) for i in range(5)]
        await meta.acknowledged(messages, in_time())

        async def stopped() -> bool:
            return bool(await planton.rows("SELECT 1 FROM accounts WHERE stopped_slug = 'token'"))

        await until(stopped, 30, "the account stopped")
        state = await not_ready(planton, "meta")
        assert "doctor" in state["checks"]["meta"]["remedy"]
        report = await planton.doctor()
        told = [p for p in report["problems"] if PAGE in p["what"]]
        assert report["ok"] is False
        assert len(told) == 1
        assert "META_PAGE_TOKEN" in told[0]["remedy"]
        assert report["outbox"]["queued"] >= 5
    finally:
        page.token = token
    back = time.monotonic()
    await settled(planton, messages, 60)
    line = await account("Graph: 190, token works again", planton, meta, messages)
    line.seconds = time.monotonic() - back
    keep(line, table)
    assert line.seconds < in_time()
    assert not await planton.rows("SELECT 1 FROM accounts WHERE stopped_at IS NOT NULL")


# What is written down


async def test_one_trace_shows_a_messages_way_through_the_processes(world: World) -> None:
    planton = world.planton
    await planton.ready(ENGINE_STARTS)
    message = world.meta.write("traced", QUESTIONS[0])
    await settled(planton, [message], 60)
    trace, got = trace_id("messenger", PAGE, message.mid), spans[planton]
    wanted = {
        *(("planton-gateway", name) for name in ("webhook", "store")),
        *(("planton-worker", name) for name in ("queue", "claim", "turn", "engine", "finish")),
        *(("planton-sender", name) for name in ("outbox", "send")),
    }
    await until(lambda: wanted <= spans_of(got, trace), 60, f"all spans, not only {spans_of(got, trace)}")


async def test_no_output_log_dump_or_command_line_holds_a_secret_or_a_citizens_words(world: World) -> None:
    """Words are planted by webhooks (good, badly signed, broken), by Meta's errors, by an agent; faults went before."""
    planton = world.planton
    await planton.ready(ENGINE_STARTS)
    await leaking.plant(world)
    guarded = leaking.everyones() | planton.words | planton.secrets
    assert len(planton.secrets) >= 5
    for what, data in (await leaking.shown(planton)).items():
        leaking.check(what, data, guarded)
    leaking.check("spans", json.dumps(spans[planton], ensure_ascii=False).encode(), guarded)
    dump = leaking.dumped(planton)
    leaking.check("pg_dump", dump, guarded)
    for what, data in (await leaking.backed_up(planton)).items():
        leaking.check(what, data, guarded)
    # The check sees what it looks for: the same dump with one of the words in it.
    assert leaking.leaks(dump + leaking.WORDS["note"].encode(), guarded)


async def test_of_all_processes_the_sender_alone_has_the_page_token(world: World) -> None:
    planton = world.planton
    await planton.ready(ENGINE_STARTS)
    assert set(planton.tree()) >= {"gateway", "worker", "sender", "console", "engine"}
    assert leaking.holders(planton, TOKEN) == {"sender"}
    assert "engine" not in leaking.holders(planton, SECRET)
    assert leaking.holders(planton, SECRET) <= {"gateway", "sender"}
    for path in (p for p in planton.var.rglob("*") if p.is_file() and "postgres/" not in str(p)):
        leaking.check(str(path), path, [TOKEN, SECRET])  # no file of ours has it, so that no role can read it there


# Last, since everything starts anew


async def test_kill_9_of_the_launcher_and_a_start_one_second_later(world: World, table: Table) -> None:
    fault = BY_NAME["kill -9 launcher, start 1 s later"]
    line = await strike(world, fault, fault.short)
    keep(line, table)
    assert line.seconds < in_time()
    assert (line.danger or 0.0) < in_time()
    report = await world.planton.doctor()
    assert report["in_flight"] == report["outbox"]["queued"] == 0


async def test_nothing_is_left_running_at_the_end(world: World) -> None:
    planton = world.planton
    before = [one for some in planton.tree().values() for one in some]
    assert before
    planton.stop()
    assert planton.process is not None
    assert planton.process.returncode == 0  # calmly, and not killed after a minute
    assert [one for one in before if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []
    assert "Traceback" not in planton.said
    words = [*QUESTIONS, HELP]
    assert [w for w in words if w in planton.said] == []
