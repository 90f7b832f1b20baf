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
