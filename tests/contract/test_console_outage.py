"""When the console says that the engine is out: what workers met, and what it sees itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from bot.console.deps import ConsoleDeps
from bot.console.outage import Watch
from bot.core.clock import FrozenClock
from bot.store import news
from bot.store.codec import Codec
from bot.store.db import CONSOLE, Database, Listener
from tests.fakes.console import RunningConsole, running_console


class Answers:
    """Whether the engine answers."""

    def __init__(self) -> None:
        self.ready = False

    async def __call__(self) -> bool:
        return self.ready


@pytest.fixture
async def console(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, wall: FrozenClock
) -> AsyncIterator[RunningConsole]:
    async with running_console(database, database_url, codec, frozen_clock, wall) as running:
        yield running


@pytest.fixture
def engine() -> Answers:
    return Answers()


@pytest.fixture
def watch(database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, engine: Answers) -> Watch:
    """A watch of the test's own, which looks when told."""
    deps = ConsoleDeps(
        database,
        codec,
        Listener(database_url, (CONSOLE,)),
        frozen_clock,
        "secret",
        False,
        {},
        False,
        engine_ready=engine,
    )
    return Watch(deps)


async def seen(watch: Watch, clock: FrozenClock, **later: float) -> datetime | None:
    clock.advance(**later)
    await watch.look()
    return watch.since


async def test_an_engine_that_answered_and_is_silent_for_a_minute_is_out(
    watch: Watch, engine: Answers, frozen_clock: FrozenClock
) -> None:
    engine.ready = True
    assert await seen(watch, frozen_clock) is None
    engine.ready = False
    assert await seen(watch, frozen_clock, seconds=10) is None  # as when it is started again
    began = frozen_clock.now()
    assert await seen(watch, frozen_clock, seconds=59) is None
    assert await seen(watch, frozen_clock, seconds=1) == began
    assert await seen(watch, frozen_clock, hours=1) == began
    engine.ready = True
    assert await seen(watch, frozen_clock) is None


async def test_a_console_that_never_reached_the_engine_cries_no_alarm_of_its_own(
    watch: Watch, frozen_clock: FrozenClock
) -> None:
    assert await seen(watch, frozen_clock) is None
    assert await seen(watch, frozen_clock, hours=1) is None


async def test_people_who_wait_for_the_engine_tell_of_it_too(
    watch: Watch, console: RunningConsole, engine: Answers, frozen_clock: FrozenClock
) -> None:
    engine.ready = True  # it says so, and answers nobody
    number, began = await console.says("p1", "bonjour"), frozen_clock.now()
    away = "UPDATE conversations SET engine_away_since = :at WHERE id = :id"
    await console.execute(away, at=began, id=number)
    assert await seen(watch, frozen_clock, seconds=59) is None
    assert await seen(watch, frozen_clock, seconds=1) == began
    await console.execute(away, at=None, id=number)
    assert await seen(watch, frozen_clock) is None


async def test_open_pages_hear_of_it_once_each_way(
    watch: Watch, console: RunningConsole, engine: Answers, frozen_clock: FrozenClock
) -> None:
    engine.ready = True
    await watch.look()
    engine.ready = False
    with console.listener.subscribe() as queue:
        for _ in range(4):
            await seen(watch, frozen_clock, seconds=40)
        engine.ready = True
        for _ in range(2):
            await seen(watch, frozen_clock, seconds=40)
        async with console.database.begin() as connection:
            await news.topic(connection, "last")
        told = []
        while "last" not in told:
            told.append((await asyncio.wait_for(queue.get(), 30))[1])
    assert [token for token in told if token] == ["engine", "engine", "last"]
