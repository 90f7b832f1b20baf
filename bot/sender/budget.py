"""Who may send in this second: the store shares the ceiling among senders, emergencies go first, and nobody sends faster
than Meta's own account of our use allows.

An emergency waits for the ceiling for `Timing.emergency_budget_wait` at most, whatever the store says or does not say: then it is
sent. Whether that is too much, Meta's refusal tells better than a count that may be wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable

from bot.core.waiting import within
from bot.meta.send_api import Usage
from bot.sender.deps import Timing
from bot.sender.ports import OutboxStore
from bot.sender.use import Use

log = logging.getLogger("planton.sender")
_BATCH = 10
_AHEAD = 40  # one permit in so many of the ceiling may be taken before its row is there
GLANCE = 0.2  # seconds that a store which answered so far is given, however late an emergency is
_TOLD_EVERY = 10.0  # seconds between two lines of the log about the same account


class Budget:
    """Permits to send. One asks the store for several waiting rows at once; what a second leaves over is dropped.

    `unpermitted`: emergencies that left without a permit, by why: `ceiling`, or `store` (it failed, or did not answer).
    """

    def __init__(self, store: OutboxStore, emergency_store: OutboxStore, timing: Timing, ceiling: int) -> None:
        self._store, self._emergency_store = store, emergency_store
        self._timing, self._ceiling = timing, ceiling
        self.use = Use(ceiling)
        self.unpermitted: Counter[str] = Counter()
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._waiting: Counter[str] = Counter()
        self._emergencies: Counter[str] = Counter()
        self._left: dict[str, tuple[float, int]] = {}  # account → (until when, by the monotonic clock; permits)
        self._recent: dict[str, deque[float]] = defaultdict(deque)
        self._next: dict[str, float] = {}
        self._told: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

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
        """What Meta's headers say, of whatever call; the other senders hear of it through the store."""
        self.use.told(account, usage)
        self._tell(account)

    def halve(self, account: str) -> None:
        """Half as fast, for an hour; by all senders."""
        self.use.halve(account)
        self._tell(account)

    def limited(self, account: str) -> None:
        """Meta refuses for now: when the pause is over, one message tries whether it still does."""
        self.use.limited(account)
        self._next.pop(account, None)

    def gap(self, account: str) -> float:
        """Seconds from one reply to the next that Meta's account of our use asks for; 0: as fast as the ceiling."""
        return self.use.gap(account)

    def _tell(self, account: str) -> None:
        if (news := self.use.news(account)) is None:
            return
        with contextlib.suppress(RuntimeError):  # no loop runs: nobody to share with
            task = asyncio.get_running_loop().create_task(self._keep(account, *news))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _keep(self, account: str, percent: int | None, slowed_to: int | None, lasts: float) -> None:
        try:
            await self._store.note_usage(account, percent, slowed_to, lasts)
        except Exception as error:  # this process slows down in any case
            log.warning("account %s: its use not noted (%s)", account, type(error).__name__)

    async def close(self) -> None:
        """Drop what is being noted."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # Permits

    def share(self) -> int:
        """How many rows of an account are worth having here: what may leave in a quarter of a second."""
        return max(1, self._ceiling // 4)

    def full(self) -> list[str]:
        """Accounts of which as many rows as are worth having wait for a permit."""
        return [
            account
            for account, waiting in self._waiting.items()
            if waiting >= min(self.share(), max(1, int(0.25 * (self.use.pace(account) or 1000))))
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
        longest = self._timing.budget_step
        if self.use.pace(account) is None or self._emergencies[account]:
            return longest
        wait = self._next.get(account, 0.0) - time.monotonic()
        return min(wait, longest) if wait > 0 else longest

    def _at_hand(self, account: str) -> bool:
        """Take a permit that this process has already."""
        if self._emergencies[account] or not self._spaced(account):
            return False
        until, left = self._left.get(account, (0.0, 0))
        if left <= 0 or time.monotonic() >= until:
            return False
        self._left[account] = (until, left - 1)
        self._leaves(account)
        return True

    async def _permit(self, account: str) -> bool:
        if self._emergencies[account] or not self._spaced(account):  # they take what the store has, first
            return False
        if self._at_hand(account):
            return True
        # Under way as fast as this, the second will need more: a store that is asked for each costs as much as a send.
        ahead = min(self._ceiling // _AHEAD, self.rate(account) // 4)
        wanted = max(1, ahead, min(_BATCH, self._waiting[account]))
        asked = time.monotonic()  # before the store looks at its clock: what is left of the second is never overrated
        got = await self._store.take_budget(account, wanted, False)
        if got.count > 0:
            self._left[account] = (asked + got.lasts, got.count - 1)
            self._leaves(account)
        return got.count > 0

    def _spaced(self, account: str) -> bool:
        return self.use.pace(account) is None or time.monotonic() >= self._next.get(account, 0.0)

    def _leaves(self, account: str) -> None:
        if gap := self.use.gap(account):
            self._next[account] = time.monotonic() + gap

    async def take_emergency(self, account: str, ask: bool = True) -> bool:
        """Wait for a permit out of the whole ceiling; without one, go on after `emergency_budget_wait` seconds. `ask` False: the
        store is known not to answer. False when it did not."""
        self._emergencies[account] += 1
        try:
            why = await self._emergency_permit(account) if ask else "store"
        finally:
            self._emergencies[account] -= 1
        if why:
            self._unpermitted(account, why)
        return why != "store"

    async def _emergency_permit(self, account: str) -> str:
        """Empty, or why there was none."""
        end, why = time.monotonic() + self._timing.emergency_budget_wait, ""
        while True:
            left = end - time.monotonic()
            try:
                asking = self._emergency_store.take_budget(account, 1, True)
                if (await within(max(0.0, left), asking)).count:
                    return ""
                why = "ceiling"
            except Exception as error:  # a store that is away or hangs: the emergency goes on all the same
                if not why or left >= GLANCE:  # one that answered so far had too little time at the end
                    why = "store"
                log.warning("account %s: no permit asked for (%s)", account, type(error).__name__)
            if time.monotonic() + self._timing.budget_step >= end:
                return why
            await asyncio.sleep(self._timing.budget_step)

    async def take_alone(self, account: str) -> None:
        """Without any store: keeps this process alone under the ceiling, for as long as an emergency waits for it."""
        end = time.monotonic() + self._timing.emergency_budget_wait
        while self.rate(account) >= self._ceiling:
            if time.monotonic() >= end:
                self._unpermitted(account, "ceiling")
                return
            await asyncio.sleep(self._timing.budget_step)

    def _unpermitted(self, account: str, why: str) -> None:
        self.unpermitted[why] += 1
        now = time.monotonic()
        if now - self._told.get(account, -_TOLD_EVERY) >= _TOLD_EVERY:
            self._told[account] = now
            log.warning("account %s: emergencies leave without waiting for the ceiling any longer (%s)", account, why)
