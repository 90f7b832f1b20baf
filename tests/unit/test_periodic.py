"""What a console repeats goes on after a defect, and ends when it is told to."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from bot.console.periodic import Periodic


async def test_a_step_that_fails_is_made_up_for_by_the_next(caplog: pytest.LogCaptureFixture) -> None:
    steps, done = iter((ValueError("secret words"), OSError(), None)), asyncio.Event()

    async def step() -> None:
        if (error := next(steps)) is not None:
            raise error
        done.set()
        await asyncio.Event().wait()

    periodic = Periodic("drafts", step, every=0.0)
    await periodic.start(cast(Any, None))
    await done.wait()
    await periodic.stop(cast(Any, None))
    assert [record.getMessage() for record in caplog.records] == [
        "drafts: not looked at: ValueError",
        "drafts: not looked at: database away (OSError)",
    ]


async def test_it_can_be_woken() -> None:
    times, again = 0, asyncio.Event()

    async def step() -> None:
        nonlocal times
        times += 1
        again.set()

    periodic = Periodic("drafts", step, every=3600)
    await periodic.start(cast(Any, None))
    await again.wait()
    again.clear()
    periodic.wake()
    await again.wait()
    await periodic.stop(cast(Any, None))
    assert times == 2
