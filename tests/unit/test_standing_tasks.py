"""Tasks that run beside others: no error ends them unheard."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

import psycopg
import pytest

from bot.app import catchup as catching
from bot.app import wiring
from bot.core.clock import SystemClock
from bot.core.messages import Platform
from bot.sender.deps import SenderAccount
from bot.sender.subscriptions import Found
from bot.sender.watch import Watch, WatchTiming
from bot.settings import Settings
from bot.store import stale
from bot.store.db import Database
from bot.store.meta_flow import Flow
from bot.store.workbench.alarms import Alarm
from bot.worker import alarms, overload
from bot.worker.alarms import AlarmReader

SECRET = "mots-de-quelqu-un"


async def _until(reached: asyncio.Event, task: asyncio.Task[None]) -> None:
    """Wait for what the task brings about, then end the task."""
    try:
        async with asyncio.timeout(20):
            await reached.wait()
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_reading_of_alarms_outlives_any_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(alarms, "EVERY", 0.0)
    again = asyncio.Event()

    class Reader:
        looks = 0

        async def step(self) -> int:
            self.looks += 1
            if self.looks == 1:
                raise KeyError(SECRET)
            again.set()
            return 0

    await _until(again, asyncio.create_task(alarms.keep_reading(cast("AlarmReader", Reader()))))
    assert "KeyError" in caplog.text and SECRET not in caplog.text


@pytest.mark.parametrize("which", ["notices", "due times"])
async def test_what_an_operator_has_to_mend_is_told_as_an_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, which: str
) -> None:
    monkeypatch.setattr(overload, "EVERY", 0.0)
    again = asyncio.Event()

    class Task:
        looks = 0

        async def step(self, *_: Any) -> int:
            self.looks += 1
            if self.looks == 1:
                raise psycopg.errors.InsufficientPrivilege(SECRET)
            again.set()
            return 0

    task = Task()
    if which == "notices":
        keep = overload.keep_telling(cast("overload.Notices", task))
    else:
        keep = stale.keep_setting_right(task.step, cast("Database", None), SystemClock(), every=0.0)
    await _until(again, asyncio.create_task(keep))
    [told] = [record for record in caplog.records if "42501" in record.getMessage()]
    assert (told.levelno, SECRET in caplog.text) == (logging.ERROR, False)


async def test_an_alarm_that_cannot_be_read_is_told_once_and_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    kept: list[int] = []

    class Alarms:
        async def unread(self, _: datetime, passed: set[int], *__: object) -> list[Alarm]:
            at = datetime.now(UTC)
            return [Alarm(n, n, at, f"{SECRET} {n}", b"") for n in (1, 2) if n not in passed and n not in kept]

        async def keep(self, alarm: Alarm, *_: Any) -> bool:
            kept.append(alarm.event)
            return True

    class Engine:
        async def understand(self, words: str) -> None:
            if words.endswith("1"):
                raise RuntimeError(words)

    reader = AlarmReader(cast("Any", Alarms()), cast("Any", Engine()), SystemClock(), lambda _: True, rest=0)
    assert [await reader.step(), await reader.step()] == [2, 0]
    assert kept == [2]
    assert [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING] == [
        "event 1 passed over: RuntimeError"
    ]


async def test_a_catch_up_that_could_not_begin_begins_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    began, tries = asyncio.Event(), 0

    async def close() -> None:
        return None

    @contextlib.asynccontextmanager
    async def clients(*_: object) -> AsyncIterator[dict[str, str]]:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise ValueError(SECRET)
        yield {}

    class Begun:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        async def run(self) -> None:
            began.set()
            await asyncio.Event().wait()

    class Store:
        codec = clock = wall = None

    class Nothing:
        def __init__(self, *_: object, **__: object) -> None:
            self.close = close

    monkeypatch.setattr(wiring, "WATCH_AGAIN", 0.0)
    monkeypatch.setattr(wiring, "Watch", Begun)
    monkeypatch.setattr(wiring, "Database", Nothing)
    monkeypatch.setattr(catching, "clients", clients)
    monkeypatch.setattr(catching, "catch_up", Nothing)
    settings = Settings({})
    await _until(began, asyncio.create_task(wiring._watching(settings, "", cast("Any", Store()), ())))
    assert tries == 2 and "ValueError" in caplog.text and SECRET not in caplog.text


async def test_a_long_walk_delays_no_check_of_any_account() -> None:
    first, second = SenderAccount("1", "1", "t", "s"), SenderAccount("2", "1", "t", "s")
    walking: list[str] = []
    checked: list[str] = []
    enough = asyncio.Event()
    ticks = iter(range(0, 10**9, 1000))

    class Walks:
        async def walk(self, account: SenderAccount, _: object) -> None:
            walking.append(account.id)
            await asyncio.Event().wait()  # as long as anybody looks

    class Subscriptions:
        async def look(self, account: SenderAccount, _: object) -> Any:
            checked.append(account.id)
            if walking and checked.count("1") > 2 and checked.count("2") > 2:
                enough.set()
            return Found(account.id, Platform.MESSENGER, "ok")

    class Looking(Watch):
        async def _flow(self, account: str) -> Flow | None:
            return None

    apis = cast("Any", {first: None, second: None})
    watch = Looking(
        apis,
        cast("Any", None),
        cast("Any", Walks()),
        cast("Any", Subscriptions()),
        SystemClock(),
        WatchTiming(first=0, poll=0),
        lambda: float(next(ticks)),
    )
    await _until(enough, asyncio.create_task(watch.run()))
    assert walking == ["1"]  # one after the other, and none twice
