"""The whole system: for one test, or as real processes for a file of faults."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from bot.store.codec import Codec
from tests.fakes.collector import collector
from tests.fakes.graph import ScriptedGraph
from tests.fakes.ports import free_ports
from tests.scenario.faults import APART, World, spans
from tests.scenario.launching import Machine, machine_in
from tests.scenario.processes import ROOT, Meta, Planton, Table
from tests.scenario.system import System, running


@pytest.fixture
async def system(database_url: str, codec: Codec, tmp_path: Path) -> AsyncIterator[System]:
    """Everything running by day, without debounce."""
    async with running(database_url, codec, tmp_path) as started:
        yield started


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """Where a test starts launchers of its own."""
    with machine_in(tmp_path) as machine:
        yield machine


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    """What the faults of one file cost."""
    name = request.path.stem.removeprefix("test_")
    made = Table()
    request.config.pluginmanager.register(made, f"planton-{name}")
    yield made
    made.keep(ROOT / "test-artefacts" / f"{name}.txt")


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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long form of the fault tests runs when it is asked for by name."""
    if "faults" in config.getoption("-m"):
        return
    long = [item for item in items if item.get_closest_marker("faults")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
