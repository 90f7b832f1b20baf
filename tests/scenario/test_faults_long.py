"""Every fault while ten thousand messages flow (`make test-faults`): nothing lost, nothing out of order, nothing to do by hand.

FAULTS_SEED replays the moments of an earlier run, FAULTS_ONLY takes the faults whose name it fits, FAULTS_MESSAGES sets
the number of messages.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.fakes.graph import ScriptedGraph
from tests.scenario.faults import ENGINE_STARTS, FAULTS, Fault, World, sane, small_disk, strike
from tests.scenario.processes import DUE_WITHIN, ROOT, Meta, Planton, Table

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.faults]

SEED = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))
ONLY = os.environ.get("FAULTS_ONLY", "")
SCALE = int(os.environ.get("FAULTS_MESSAGES") or 10_000) / 10_000
CHOSEN = [fault for fault in FAULTS if re.search(ONLY, fault.name)]
PATIENCE = {"ENGINE_NOTICE": "5", "ENGINE_HANDOFF": "15"}  # so that a cut of the engine lasts long enough for both


async def test_ten_thousand_messages_at_least() -> None:
    assert sum(fault.messages for fault in FAULTS) >= 10_000


@pytest.fixture(scope="module")
def table(pytestconfig: pytest.Config) -> Iterator[Table]:
    made = Table(f"seed {SEED}: make test-faults GRAINE={SEED} replays it")
    pytestconfig.pluginmanager.register(made, "planton-faults-long")
    yield made
    made.keep(ROOT / "test-artefacts" / "faults-long.txt")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Everything running: with the real engine if the parameter says so, else on a small disk with a light one."""
    rasa: bool = request.param
    folder = tmp_path_factory.mktemp("rasa" if rasa else "light")
    with small_disk(folder / "var") as disk:
        changes = {} if rasa else PATIENCE
        async with ScriptedGraph(latency=0.05) as graph, Planton(folder, graph.url, not rasa, **changes) as planton:
            meta = Meta(planton, graph)
            try:
                await planton.ready(ENGINE_STARTS)
                yield World(planton, meta, graph, disk=disk)
            finally:
                await meta.close()


@pytest.mark.parametrize(
    ("world", "fault"),
    [(fault.rasa, fault) for fault in CHOSEN],
    indirect=["world"],
    scope="module",
    ids=[fault.name.replace(" ", "_") for fault in CHOSEN],
)
async def test_nothing_is_lost(world: World, table: Table, fault: Fault) -> None:
    world.rng = random.Random(f"{SEED} {fault.name}")
    line = await strike(world, fault, max(60, round(fault.messages * SCALE)))
    table.lines.append(line)
    sane(line, fault.doubled)
    assert not fault.held or (line.owed or 0.0) <= DUE_WITHIN, (
        line,
        "on a machine that is busy otherwise this may be late",
    )
    report = await world.planton.doctor()
    assert (report["in_flight"], report["outbox"]["queued"]) == (0, 0), report
