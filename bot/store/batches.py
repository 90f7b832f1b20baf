"""Work that comes at once shares a transaction."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from bot.store.faults import Fault, fault_of

T = TypeVar("T")

WRITERS = (
    2  # batches under way at once where more wait than one may hold: while one waits for the disk, the next is prepared
)
EXPECTED = 0.1  # seconds: who comes so soon after another is likely to be followed by a third; a batch takes no longer


class _GivenUp(Exception):
    """A caller of the batch was cancelled."""


@dataclass(eq=False)
class _Waiting(Generic[T]):
    """An entry, whom it concerns, when it came (seconds of the loop), and who is told."""

    entry: T
    people: frozenset[Hashable]
    since: float
    done: asyncio.Future[None]


class Batches(Generic[T]):
    """Calls `write` with what waits: one entry when it is quiet, up to `most` when it is busy.

    `gather`: seconds that an entry waits for company where company is likely. Urgent entries neither wait nor share with
    others: they have a writer of their own. `people`: whom an entry concerns. What concerns the same one is written in the order
    in which it came: an urgent entry takes along what waits of theirs, and waits itself, as others do, for the end of a batch
    that holds something of theirs.

    An entry whose caller gave up is not written (unless its transaction was just being committed).
    When a batch fails for what is in it, each of its
    entries is written alone, so that one costs nothing to the others.
    """

    def __init__(
        self,
        write: Callable[[Sequence[T]], Awaitable[None]],
        most: int,
        gather: float = 0.0,
        people: Callable[[T], Iterable[Hashable]] = lambda entry: (),
    ) -> None:
        self._write = write
        self._most = most
        self._gather = gather
        self._people = people
        self._waiting: deque[_Waiting[T]] = deque()
        self._urgent: deque[_Waiting[T]] = deque()
        self._writers: list[asyncio.Task[None]] = []
        self._hurried: list[asyncio.Task[None]] = []
        self._under_way: list[frozenset[Hashable]] = []  # whom each batch concerns
        self._began: dict[asyncio.Task[None], float] = {}  # each writer's batch, seconds of the loop
        self._looks: set[int] = set()  # at which queues somebody is to look, by their ids
        self._changed = asyncio.Event()  # there may be something to write
        self._last = -math.inf

    async def add(self, entry: T, urgent: bool = False) -> None:
        """Wait until the entry is written. Raises what `write` raised for it."""
        loop = asyncio.get_running_loop()
        one = _Waiting(entry, frozenset(self._people(entry)), loop.time(), loop.create_future())
        self._changed.set()
        if urgent:
            self._overtake(one)
        else:
            self._waiting.append(one)
            self._staff(self._waiting, self._writers, one.since - self._last < EXPECTED)
            self._last = one.since
        try:
            await one.done
        except asyncio.CancelledError:
            self._changed.set()  # whoever waited behind this one waits for nobody
            raise

    def _overtake(self, one: _Waiting[T]) -> None:
        with_it, people = [one], one.people
        for other in reversed(tuple(self._waiting)):  # whoever comes along takes theirs along
            if not people.isdisjoint(other.people):
                with_it.append(other)
                people |= other.people
                self._waiting.remove(other)
        self._urgent.extend(reversed(with_it))
        self._staff(self._urgent, self._hurried)

    def _staff(self, waiting: deque[_Waiting[T]], writers: list[asyncio.Task[None]], busy: bool = False) -> None:
        """Enough writers for what waits. That is looked at again while it waits: one may yet come to stand still."""
        writers[:] = [task for task in writers if not task.done()]
        if not waiting or len(writers) == WRITERS:
            return
        if not writers or self._held_up(waiting, writers):
            writers.append(asyncio.create_task(self._run(waiting, busy)))
        elif id(waiting) not in self._looks:
            self._looks.add(id(waiting))
            asyncio.get_running_loop().call_later(EXPECTED, self._look, waiting, writers)

    def _look(self, waiting: deque[_Waiting[T]], writers: list[asyncio.Task[None]]) -> None:
        self._looks.remove(id(waiting))
        self._staff(waiting, writers)

    def _held_up(self, waiting: deque[_Waiting[T]], writers: Sequence[asyncio.Task[None]]) -> bool:
        """Whether one writer is not enough: many wait, or it stands still with what it has (a connection that went silent)."""
        now = asyncio.get_running_loop().time()
        return len(waiting) >= self._most or any(now - self._began.get(one, now) > EXPECTED for one in writers)

    async def _run(self, waiting: deque[_Waiting[T]], busy: bool) -> None:
        while waiting:
            if busy and self._gather and len(waiting) < self._most:
                left = waiting[0].since + self._gather - asyncio.get_running_loop().time()
                if left > 0:
                    await asyncio.sleep(left)
            busy = True  # who comes while others are written comes soon after them
            self._changed.clear()
            batch = self._next(waiting)
            if batch:
                await self._write_down(batch)
            elif waiting:  # for the end of other batches
                await self._changed.wait()

    async def _write_down(self, batch: list[_Waiting[T]]) -> None:
        people = frozenset[Hashable]().union(*(one.people for one in batch))
        writer = asyncio.current_task()
        assert writer is not None
        self._under_way.append(people)
        self._began[writer] = asyncio.get_running_loop().time()
        try:
            while batch:
                try:
                    await self._unless_given_up(batch)
                except _GivenUp:  # nothing was kept; those who still wait are written, in their order
                    batch = [one for one in batch if not one.done.done()]
                    continue
                except Exception as error:  # each caller is told; which errors there are is the writer's matter
                    await self._failed(batch, error)
                else:
                    for one in batch:
                        _settle(one.done)
                return
        finally:
            self._under_way.remove(people)
            del self._began[writer]
            self._changed.set()

    async def _unless_given_up(self, batch: list[_Waiting[T]]) -> None:
        """Write a batch; stopped as soon as one of its callers gives up, who must find nothing written afterwards."""
        writing = asyncio.create_task(self._alone([one.entry for one in batch]))

        def give_up(done: asyncio.Future[None]) -> None:
            if done.cancelled():
                writing.cancel()

        for one in batch:
            one.done.add_done_callback(give_up)
        try:
            await asyncio.wait([writing])
            if writing.cancelled():
                raise _GivenUp
            writing.result()
        finally:
            for one in batch:
                one.done.remove_done_callback(give_up)

    async def _alone(self, entries: Sequence[T]) -> None:
        await self._write(entries)

    def _next(self, waiting: deque[_Waiting[T]]) -> list[_Waiting[T]]:
        """The first of those that wait for nothing: whoever else is concerned has something under way, or before it."""
        held = set[Hashable]().union(*self._under_way)
        if waiting is not self._urgent:  # what stands there came before, or it would have been taken along
            held.update(person for one in self._urgent if not one.done.done() for person in one.people)
        batch: list[_Waiting[T]] = []
        left: list[_Waiting[T]] = []
        while waiting and len(batch) < self._most:
            one = waiting.popleft()
            if one.done.done():
                continue
            if held.isdisjoint(one.people):
                batch.append(one)
            else:
                left.append(one)
                held |= one.people
        waiting.extendleft(reversed(left))
        return batch

    async def _failed(self, batch: list[_Waiting[T]], error: Exception) -> None:
        for one in batch:
            if len(batch) == 1 or fault_of(error) is Fault.AWAY:  # which one alone would meet as well
                _settle(one.done, error)
                continue
            if one.done.done():
                continue
            try:
                await self._unless_given_up([one])
            except _GivenUp:
                continue
            except Exception as own:  # as above
                _settle(one.done, own)
            else:
                _settle(one.done)


def _settle(done: asyncio.Future[None], error: Exception | None = None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
