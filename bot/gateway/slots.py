"""How many transactions the gateway has under way at once."""

from __future__ import annotations

import asyncio
from collections import deque

LEAST = 16  # they share transactions, which cost little more for sixteen webhooks than for one


class Slots:
    """Up to `most`; half as many after one was cut short, one more each time all of them ended in time.

    Webhooks that are stored at once share a transaction, and one of them that gives up ends it for all: with too many under
    way for the moment's speed, each would be cut short just before its end, and nothing would ever be stored.
    """

    def __init__(self, most: int) -> None:
        self._most, self._least = float(most), float(min(LEAST, most))
        self._limit = self._most
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._pressing: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int:
        """How many at present."""
        return int(self._limit)

    async def take(self, first: bool = False) -> None:
        """Wait for one; first come, first served. `first`: before all who wait (a danger)."""
        if self._taken < self.limit and not self._pressing and (first or not self._waiting):
            self._taken += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._pressing if first else self._waiting).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.free()  # it came as we left
            raise

    def free(self) -> None:
        """Give one back."""
        self._taken -= 1
        self._go_on()

    def in_time(self) -> None:
        """A transaction ended in time."""
        self._limit = min(self._most, self._limit + 1 / self._limit)
        self._go_on()

    def too_late(self) -> None:
        """One was cut short."""
        self._limit = max(self._least, self._limit / 2)

    def _go_on(self) -> None:
        while (queue := self._pressing or self._waiting) and self._taken < self.limit:
            turn = queue.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)
