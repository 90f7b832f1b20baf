"""Entries that come at once are written together; one bad entry costs the others nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy.exc import DBAPIError

from bot.store.batches import Batches


class Writer:
    """Remembers batches; `bad` entries make any batch that holds them fail."""

    def __init__(self, bad: str = "", gate: asyncio.Event | None = None, error: Exception | None = None) -> None:
        self.batches: list[list[str]] = []
        self._bad = bad
        self._gate = gate
        self._error = error or DBAPIError("insert", None, ValueError("bad"), False, False)

    async def write(self, entries: Sequence[str]) -> None:
        self.batches.append(list(entries))
        if self._gate:
            await self._gate.wait()
        if self._bad in entries and self._bad:
            raise self._error


async def test_quiet_one_by_one() -> None:
    writer = Writer()
    batches = Batches(writer.write, 10)
    for entry in "abc":
        await batches.add(entry)
    assert writer.batches == [["a"], ["b"], ["c"]]


async def test_busy_together_and_never_more_than_allowed() -> None:
    gate = asyncio.Event()
    writer = Writer(gate=gate)
    batches = Batches(writer.write, 3)
    tasks = [asyncio.create_task(batches.add(entry)) for entry in "abcdefgh"]
    await asyncio.sleep(0.01)
    gate.set()
    await asyncio.gather(*tasks)
    assert sorted(entry for batch in writer.batches for entry in batch) == list("abcdefgh")
    assert max(len(batch) for batch in writer.batches) == 3
    assert len(writer.batches) < 8


@pytest.mark.parametrize("error", [None, ValueError("ours"), KeyError("ours")])
async def test_a_bad_entry_costs_its_neighbours_nothing(error: Exception | None) -> None:
    gate = asyncio.Event()
    writer = Writer(bad="x", gate=gate, error=error)
    batches = Batches(writer.write, 10)
    tasks = {entry: asyncio.create_task(batches.add(entry)) for entry in "1axb"}
    await asyncio.sleep(0.01)
    gate.set()
    results = dict(zip(tasks, await asyncio.gather(*tasks.values(), return_exceptions=True), strict=True))
    assert isinstance(results["x"], type(error or DBAPIError("", None, ValueError(), False, False)))
    assert [entry for entry, result in results.items() if result is None] == ["1", "a", "b"]


async def test_who_gives_up_during_the_write_stops_it_and_the_others_are_written() -> None:
    gate = asyncio.Event()
    writer = Writer(gate=gate)
    batches = Batches(writer.write, 10)
    tasks = [asyncio.create_task(batches.add(entry)) for entry in "12abc"]
    await asyncio.sleep(0.01)
    tasks[3].cancel()
    await asyncio.sleep(0.01)
    gate.set()
    await asyncio.gather(*tasks[:3], tasks[4])
    assert writer.batches == [list("12abc"), list("12ac")]


async def test_who_gave_up_before_its_turn_is_not_written() -> None:
    gate = asyncio.Event()
    writer = Writer(gate=gate)
    batches = Batches(writer.write, 1)
    tasks = [asyncio.create_task(batches.add(entry)) for entry in "abc"]
    await asyncio.sleep(0.01)
    tasks[2].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[2]
    gate.set()
    await asyncio.gather(*tasks[:2])
    assert writer.batches == [["a"], ["b"]]


async def test_who_gave_up_while_its_batch_failed_is_not_written_alone() -> None:
    gate = asyncio.Event()
    writer = Writer(bad="x", gate=gate)
    batches = Batches(writer.write, 10)
    tasks = {entry: asyncio.create_task(batches.add(entry)) for entry in "12axb"}
    await asyncio.sleep(0.01)
    tasks["a"].cancel()
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    assert ["b"] in writer.batches
    assert ["a"] not in writer.batches
