"""Many who ask the same share one look, and none is shown what was true before they asked."""

from __future__ import annotations

import asyncio

import pytest

from bot.console.together import Together


async def test_a_crowd_is_answered_by_two_looks() -> None:
    together: Together[int] = Together()
    begun, go = 0, asyncio.Event()

    async def look() -> int:
        nonlocal begun
        begun += 1
        found = begun
        await go.wait()
        return found

    first = asyncio.create_task(together.ask("file", look))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert begun == 1
    crowd = [asyncio.create_task(together.ask("file", look)) for _ in range(50)]
    other = asyncio.create_task(together.ask("autre", look))
    await asyncio.sleep(0)
    go.set()
    assert await first == 1
    assert await other == 2
    assert set(await asyncio.gather(*crowd)) == {3}, "a look that had begun before they asked is not theirs"
    assert await together.ask("file", look) == 4


async def test_who_leaves_takes_nothing_from_the_others() -> None:
    together: Together[str] = Together()
    go = asyncio.Event()

    async def look() -> str:
        await go.wait()
        return "vu"

    leaves, stays = (asyncio.create_task(together.ask(1, look)) for _ in range(2))
    waits = asyncio.create_task(together.ask(1, look))
    await asyncio.sleep(0)
    leaves.cancel()
    go.set()
    assert await stays == await waits == "vu"


async def test_a_failure_is_told_to_all_and_forgotten() -> None:
    together: Together[str] = Together()

    async def fail() -> str:
        await asyncio.sleep(0)
        raise ValueError

    async def look() -> str:
        return "vu"

    asked = [asyncio.create_task(together.ask(1, fail)) for _ in range(3)]
    for one in asked:
        with pytest.raises(ValueError):
            await one
    assert await together.ask(1, look) == "vu"
