"""Entries that come at once are written together; one bad entry costs the others nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy.exc import DBAPIError

from bot.store.batches import Batches


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine too, nobody is thought to stand still."""
    monkeypatch.setattr("bot.store.batches.EXPECTED", 60.0)


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


async def test_who_comes_soon_after_others_is_gathered_with_who_follows() -> None:
    writer = Writer()
    batches = Batches(writer.write, 3, gather=0.05)
    await batches.add("alone")  # nobody came before: nobody is expected
    await asyncio.gather(*(batches.add(entry) for entry in "ab"))
    assert writer.batches == [["alone"], ["a", "b"]]
    await asyncio.gather(*(batches.add(entry) for entry in "cdefg"))
    assert sorted(map(len, writer.batches[2:])) == [2, 3]


async def test_what_is_urgent_overtakes_all_but_its_own_and_has_its_own_writer() -> None:
    gate = asyncio.Event()
    writer = Writer(gate=gate)
    batches = Batches(writer.write, 10, people=lambda entry: entry[0])
    tasks = [asyncio.create_task(batches.add(entry)) for entry in ("x1", "a1", "b1", "a2")]
    await asyncio.sleep(0.01)
    tasks += [asyncio.create_task(batches.add(entry)) for entry in ("c1", "d1", "c2")]
    tasks.append(asyncio.create_task(batches.add("c3", urgent=True)))
    await asyncio.sleep(0.01)
    assert writer.batches == [["x1", "a1", "b1", "a2"], ["c1", "c2", "c3"]]
    gate.set()
    await asyncio.gather(*tasks)
    assert writer.batches[2:] == [["d1"]]


class Slow:
    """Each batch lasts until it is let go by its first entry."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self._gates: dict[str, asyncio.Event] = {}

    async def write(self, entries: Sequence[str]) -> None:
        self.batches.append(list(entries))
        await self._gates.setdefault(entries[0], asyncio.Event()).wait()

    async def go(self, entry: str) -> None:
        """Let it end, and see what follows."""
        self._gates[entry].set()
        await settle()


async def settle() -> None:
    """Until nothing happens by itself."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("urgent", [True, False])
@pytest.mark.parametrize("later", [True, False])
async def test_a_writer_that_stands_still_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch, urgent: bool, later: bool
) -> None:
    monkeypatch.setattr("bot.store.batches.EXPECTED", 1.0)
    writer = Slow()
    batches = Batches(writer.write, 10, people=str)
    tasks = [asyncio.create_task(batches.add("a", urgent))]
    await settle()
    if later:  # else it comes before anybody can know
        await asyncio.sleep(1.05)
    tasks.append(asyncio.create_task(batches.add("b", urgent)))
    await settle()
    assert later is (len(writer.batches) == 2), "told apart by when the other's batch began"
    async with asyncio.timeout(180):
        while len(writer.batches) < 2:
            await asyncio.sleep(0.005)
    assert writer.batches == [["a"], ["b"]]
    await writer.go("a")
    await writer.go("b")
    await asyncio.gather(*tasks)


async def test_what_is_urgent_waits_for_what_is_being_written_of_the_same_person_alone() -> None:
    writer = Slow()
    batches = Batches(writer.write, 10, people=lambda entry: entry[0])
    tasks = [asyncio.create_task(batches.add("a1"))]
    await settle()
    for entry in ("a2", "b1", "a3"):
        tasks.append(asyncio.create_task(batches.add(entry, urgent=entry != "a3")))
        await settle()
    assert writer.batches == [["a1"], ["b1"]]
    await writer.go("b1")
    assert len(writer.batches) == 2
    await writer.go("a1")
    assert writer.batches[2:] == [["a2"]]  # and what came after it waits for it
    await writer.go("a2")
    assert writer.batches[3:] == [["a3"]]
    await writer.go("a3")
    await asyncio.gather(*tasks)


async def test_a_second_writer_takes_nothing_of_people_whom_the_first_has_under_way() -> None:
    writer = Slow()
    batches = Batches(writer.write, 2, people=lambda entry: entry[0])
    tasks = [asyncio.create_task(batches.add("a1"))]
    await settle()
    tasks += [asyncio.create_task(batches.add(entry)) for entry in ("a2", "b1", "a3")]
    await settle()
    assert writer.batches == [["a1"], ["b1"]]
    await writer.go("b1")  # nothing is left that may be written, until somebody else comes
    tasks.append(asyncio.create_task(batches.add("c1")))
    await settle()
    assert writer.batches[2:] == [["c1"]]
    await writer.go("a1")
    assert writer.batches[3:] == [["a2", "a3"]]
    await writer.go("c1")
    await writer.go("a2")
    await asyncio.gather(*tasks)


async def test_who_comes_along_with_what_is_urgent_takes_theirs_along() -> None:
    writer = Slow()
    batches = Batches(writer.write, 10, people=str)
    tasks = [asyncio.create_task(batches.add("x"))]
    await settle()
    tasks += [asyncio.create_task(batches.add(entry)) for entry in ("b", "c", "ab")]
    await settle()
    tasks.append(asyncio.create_task(batches.add("a", urgent=True)))
    await settle()
    assert writer.batches == [["x"], ["b", "ab", "a"]]
    for entry in "xbc":
        await writer.go(entry)
    await asyncio.gather(*tasks)


async def test_who_gives_up_frees_what_waited_for_it() -> None:
    writer = Slow()
    batches = Batches(writer.write, 10, people=lambda entry: entry[0])
    first = asyncio.create_task(batches.add("a1"))
    await settle()
    urgent = asyncio.create_task(batches.add("a2", urgent=True))
    await settle()
    first.cancel()
    await settle()
    assert writer.batches == [["a1"], ["a2"]]
    await writer.go("a2")
    await urgent


async def test_who_gives_up_while_waiting_holds_nobody_up() -> None:
    writer = Slow()
    batches = Batches(writer.write, 10, people=str)
    still = asyncio.create_task(batches.add("a", urgent=True))
    await settle()
    urgent = asyncio.create_task(batches.add("ab", urgent=True))
    other = asyncio.create_task(batches.add("b"))
    await settle()
    assert writer.batches == [["a"]]
    urgent.cancel()
    await settle()
    assert writer.batches == [["a"], ["b"]]
    for entry in "ab":
        await writer.go(entry)
    await asyncio.gather(still, other)


async def test_an_entry_that_comes_as_the_writer_ends_is_written() -> None:
    writer = Writer()
    batches = Batches(writer.write, 10)
    later: list[asyncio.Task[None]] = []
    first = asyncio.create_task(batches.add("a"))
    first.add_done_callback(lambda _: later.append(asyncio.create_task(batches.add("b"))))
    await first
    await asyncio.sleep(0)
    await asyncio.wait_for(asyncio.gather(*later), 30)
    assert writer.batches == [["a"], ["b"]]
