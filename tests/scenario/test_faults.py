"""Faults of our own: wrong settings, and every process killed while messages flow.

One system serves most tests, in the order of this file. A table of what was lost, doubled and late ends the run.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.scenario.faults import (
    BY_NAME,
    ENGINE_STARTS,
    FAULTS,
    Fault,
    World,
    in_time,
    keep,
    not_ready,
    strike,
)
from tests.scenario.processes import (
    HELP,
    QUESTIONS,
    Table,
    command,
    environment,
    settled,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.alone]

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
