"""Who may send in this second: the store shares the ceiling among senders, emergencies go first."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable

from bot.core.clock import Clock
from bot.sender.deps import Timing
from bot.sender.ports import OutboxStore

_BATCH = 10


class Budget:
    """Permits to send. One asks the store for several waiting rows at once; what a second leaves over is dropped."""

    def __init__(
        self, store: OutboxStore, emergency_store: OutboxStore, clock: Clock, timing: Timing, ceiling: int
    ) -> None:
        self._store, self._emergency_store = store, emergency_store
        self._clock, self._timing, self._ceiling = clock, timing, ceiling
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._waiting: Counter[str] = Counter()
        self._emergencies: Counter[str] = Counter()
        self._left: dict[str, tuple[int, int]] = {}  # account → (second, permits)
        self._recent: dict[str, deque[float]] = defaultdict(deque)

    def note(self, account: str) -> None:
        """A message leaves now."""
        self._recent[account].append(time.monotonic())

    def rate(self, account: str) -> int:
        """Messages that left through this process in the last second."""
        recent, since = self._recent[account], time.monotonic() - 1
        while recent and recent[0] < since:
            recent.popleft()
        return len(recent)

    async def take(self, account: str, go_on: Callable[[], bool]) -> bool:
        """Wait for a permit; False when none came in time, or `go_on` says to give up."""
        end = time.monotonic() + self._timing.budget_wait
        self._waiting[account] += 1
        try:
            async with self._locks[account]:  # first come, first served
                while go_on() and time.monotonic() < end:
                    if await self._permit(account):
                        return True
                    await asyncio.sleep(self._timing.budget_step)
                return False
        finally:
            self._waiting[account] -= 1

    async def _permit(self, account: str) -> bool:
        if self._emergencies[account]:  # they take what the store has, first
            return False
        now = self._clock.now()
        second, left = self._left.get(account, (0, 0))
        if second != int(now.timestamp()) or left <= 0:
            wanted = max(1, min(_BATCH, self._waiting[account]))
            left = await self._store.take_budget(account, now, wanted, False)
        if left > 0:
            self._left[account] = (int(now.timestamp()), left - 1)
        return left > 0

    async def take_emergency(self, account: str) -> None:
        """Wait for a permit out of the whole ceiling."""
        self._emergencies[account] += 1
        try:
            while True:
                if await self._emergency_store.take_budget(account, self._clock.now(), 1, True):
                    return
                await asyncio.sleep(self._timing.budget_step)
        finally:
            self._emergencies[account] -= 1

    async def take_alone(self, account: str) -> None:
        """Without any store: keeps this process alone under the ceiling."""
        while True:
            if self.rate(account) < self._ceiling:
                return
            await asyncio.sleep(self._timing.budget_step)
