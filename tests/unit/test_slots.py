"""Fewer at once after one was cut short, slowly more while they end in time; nobody's turn is lost."""

from __future__ import annotations

import asyncio

from bot.gateway.slots import LEAST, Slots


async def test_first_come_first_served_and_never_more_than_allowed() -> None:
    slots, order = Slots(2), []

    async def one(name: str) -> None:
        await slots.take()
        order.append(name)

    tasks = [asyncio.create_task(one(name)) for name in "abcd"]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert order == ["a", "b"]
    slots.free()
    await asyncio.sleep(0.01)
    assert order == ["a", "b", "c"]
    slots.free()
    await asyncio.gather(*tasks)
    assert order == ["a", "b", "c", "d"]


async def test_a_danger_is_next_whoever_waits() -> None:
    slots, order = Slots(1), []

    async def one(name: str, first: bool = False) -> None:
        await slots.take(first)
        order.append(name)

    tasks = [asyncio.create_task(one(name, name in "cd")) for name in "abcd"]
    await asyncio.sleep(0.01)
    for _ in "abc":
        slots.free()
        await asyncio.sleep(0.01)
    await asyncio.gather(*tasks)
    assert order == ["a", "c", "d", "b"]


async def test_who_leaves_the_queue_takes_nobodys_turn() -> None:
    slots = Slots(1)
    await slots.take()
    gone, given, last = (asyncio.create_task(slots.take()) for _ in range(3))
    await asyncio.sleep(0.01)
    gone.cancel()
    await asyncio.sleep(0.01)
    slots.free()  # the second one's turn has come
    given.cancel()  # and it leaves in the same moment
    await asyncio.wait_for(last, 60)
    assert given.cancelled()


async def test_the_limit_follows_what_ends_in_time() -> None:
    slots = Slots(64)
    slots.too_late()
    assert slots.limit == 32
    for _ in range(10):
        slots.too_late()
    assert slots.limit == LEAST
    for _ in range(LEAST):
        slots.in_time()
    assert slots.limit in (LEAST, LEAST + 1)
    for _ in range(5000):
        slots.in_time()
    assert slots.limit == 64
    assert Slots(1).limit == 1


async def test_a_limit_that_grows_lets_in_who_waits() -> None:
    slots = Slots(2 * LEAST)
    for _ in range(5):
        slots.too_late()
    for _ in range(LEAST):
        await slots.take()
    waits = asyncio.create_task(slots.take())
    await asyncio.sleep(0.01)
    assert not waits.done()
    for _ in range(2 * LEAST):  # each adds a part of one
        slots.in_time()
    await asyncio.wait_for(waits, 60)
