"""The whole system for one test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.store.codec import Codec
from tests.scenario.system import System, running


@pytest.fixture
async def system(database_url: str, codec: Codec, tmp_path: Path) -> AsyncIterator[System]:
    """Everything running by day, without debounce."""
    async with running(database_url, codec, tmp_path) as started:
        yield started


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long form of the fault tests runs when it is asked for by name."""
    if "faults" in config.getoption("-m"):
        return
    long = [item for item in items if item.get_closest_marker("faults")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
