"""People at a console, and a console that holds one of everything."""

from __future__ import annotations

import pytest

from tests.attack.world import World, furnished
from tests.contract.conftest import (  # noqa: F401 (fixtures)
    alix,
    claire,
    console,
    denis,
    odile,
    project,
    someone,
    trainer,
    wall,
    yanis,
)
from tests.fakes.console import Browser, RunningConsole


@pytest.fixture
async def world(console: RunningConsole, claire: Browser) -> World:  # noqa: F811
    """Claire has a conversation with a note, a draft that waits and a picture; another waits for anyone."""
    return await furnished(console, claire)
