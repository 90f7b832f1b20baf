"""Who may send in this second: the store shares the ceiling among senders, emergencies go first, and nobody sends faster
than Meta's own account of our use allows."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable

from bot.core.clock import Clock
from bot.meta.send_api import Usage
from bot.sender.deps import Timing
from bot.sender.ports import OutboxStore

log = logging.getLogger("planton.sender")
_BATCH = 10
_AHEAD = 40  # one permit in so many of the ceiling may be taken before its row is there
CALM, BUSY, FULL = 70, 75, 100  # percent of what Meta allows
_FORGOTTEN = 300.0  # seconds after which what Meta told counts no more


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
        self._gap: dict[str, float] = {}  # account → seconds between replies, while Meta says that we ask much
        self._next: dict[str, float] = {}
        self._told: dict[str, float] = {}

    def note(self, account: str) -> None:
        """A message leaves now."""
        recent = self._recent[account]
        recent.append(time.monotonic())
        if len(recent) > self._ceiling:
            recent.popleft()

    def rate(self, account: str) -> int:
        """Messages that left through this process in the last second (at most as many as the ceiling)."""
        recent, since = self._recent[account], time.monotonic() - 1
        while recent and recent[0] < since:
            recent.popleft()
        return len(recent)

    # What Meta says of our use

    def used(self, account: str, usage: Usage) -> None:
        """What Meta's headers say: so much of what it allows is used. From 75 % on, replies leave ever more slowly: at the
        ceiling at 75 %, one a second at 100 % (each percent takes the same part away). Emergencies never wait for it."""
        now, gap = time.monotonic(), self._gap.get(account)
        if not usage.told:
            if gap is not None and now - self._told[account] > _FORGOTTEN:
                del self._gap[account]
            return
        self._told[account] = now
        if usage.percent < BUSY:
            if gap is not None and usage.percent >= CALM:
                self._gap[account] = 1 / self._ceiling
            elif gap is not None:
                del self._gap[account]
                log.warning(
                    "account %s: Meta counts %d %% of its limit, replies as fast as ever", account, usage.percent
                )
            return
        if gap is None:
            log.warning("account %s: Meta counts %d %% of its limit, replies slow down", account, usage.percent)
        spare = max(0.0, (FULL - usage.percent) / (FULL - BUSY))
        self._gap[account] = 1 / self._ceiling**spare

    def gap(self, account: str) -> float:
        """Seconds from one reply to the next that Meta's account of our use asks for; 0: as fast as the ceiling."""
        return self._gap.get(account, 0.0)

    # Permits

    def share(self) -> int:
        """How many rows of an account are worth having here: what may leave in a quarter of a second."""
        return max(1, self._ceiling // 4)

    def full(self) -> list[str]:
        """Accounts of which as many rows as are worth having wait for a permit."""
        return [
            account
            for account, waiting in self._waiting.items()
            if waiting >= min(self.share(), max(1, int(0.25 / self._gap.get(account, 0.001))))
        ]

    async def take(self, account: str, go_on: Callable[[], bool]) -> bool:
        """Wait for a permit; False when none came in time, or `go_on` says to give up."""
        if not self._waiting[account] and go_on() and self._at_hand(account):
            return True
        end = time.monotonic() + self._timing.budget_wait
        self._waiting[account] += 1
        try:
            async with self._locks[account]:  # first come, first served
                while go_on() and time.monotonic() < end:
                    if await self._permit(account):
                        return True
                    await asyncio.sleep(self._pause(account))
                return False
        finally:
            self._waiting[account] -= 1

    def _pause(self, account: str) -> float:
        """Seconds until a permit is worth asking for again."""
        longest, gap = self._timing.budget_step, self._gap.get(account)
        if gap is None or self._emergencies[account]:
            return longest
        wait = self._next.get(account, 0.0) - time.monotonic()
        return min(wait, longest) if wait > 0 else longest

    def _at_hand(self, account: str) -> bool:
        """Take a permit that this process has already."""
        if self._emergencies[account] or not self._spaced(account):
            return False
        second, left = self._left.get(account, (0, 0))
        if left <= 0 or second != int(self._clock.now().timestamp()):
            return False
        self._left[account] = (second, left - 1)
        self._leaves(account)
        return True

    async def _permit(self, account: str) -> bool:
        if self._emergencies[account] or not self._spaced(account):  # they take what the store has, first
            return False
        if self._at_hand(account):
            return True
        now = self._clock.now()
        # Under way as fast as this, the second will need more: a store that is asked for each costs as much as a send.
        ahead = min(self._ceiling // _AHEAD, self.rate(account) // 4)
        wanted = max(1, ahead, min(_BATCH, self._waiting[account]))
        got = await self._store.take_budget(account, now, wanted, False)
        if got > 0:
            self._left[account] = (int(now.timestamp()), got - 1)
            self._leaves(account)
        return got > 0

    def _spaced(self, account: str) -> bool:
        return account not in self._gap or time.monotonic() >= self._next.get(account, 0.0)

    def _leaves(self, account: str) -> None:
        if account in self._gap:
            self._next[account] = time.monotonic() + self._gap[account]

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
