"""What is known of each account: its client, and whether Meta wants anything from it at present."""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import random
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import aiohttp

from bot.core.clock import Clock
from bot.meta.send_api import GraphError, SendApi, Usage
from bot.sender.budget import Budget
from bot.sender.deps import SenderDeps, Timing
from bot.sender.measured import MeasuredApi
from bot.sender.ports import OutboxStore

log = logging.getLogger("planton.sender")

UNKNOWN_ACCOUNT = "unknown_account"
UNKNOWN_REMEDY = (
    "Ce compte n’est pas dans la configuration de l’expéditeur. "
    "Ajoutez-le (META_PAGE_ID, META_IG_ID ou le fichier ACCOUNTS), puis redémarrez l’expéditeur."
)


_TROUBLE_EVERY = 60.0  # seconds after which the store hears of the same trouble again


def backoff(
    attempts: int, timing: Timing, rng: random.Random, longest: float | None = None, first: float = 0.0
) -> timedelta:
    """The wait after `attempts` failures before this one: doubled each time, with jitter, never over the longest.

    `first`: seconds that the first one takes at least."""
    longest = timing.longest_retry if longest is None else longest
    delay: float = min(max(longest, first), max(first, timing.first_retry) * 2.0 ** min(attempts, 30))
    return timedelta(seconds=delay * rng.uniform(0.5, 1.0))


class Clients:
    """The clients of one lane (as metrics call it), on connections of their own."""

    def __init__(
        self,
        deps: SenderDeps,
        connections: int,
        timeout: float,
        lane: str,
        told: Callable[[str, Usage, bool], None],
    ) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        limit = aiohttp.ClientTimeout(total=timeout, sock_connect=min(5.0, timeout))
        self._apis = {
            a.id: MeasuredApi(
                deps.metrics,
                lane,
                functools.partial(told, a.id),
                self._session,
                deps.graph_url,
                a.page_id,
                a.access or a.token,
                a.app_secret,
                limit,
            )
            for a in deps.accounts
        }

    def get(self, account: str) -> SendApi | None:
        """The account's client, or None for an account that is not configured."""
        return self._apis.get(account)

    def ids(self) -> list[str]:
        """Every configured account."""
        return list(self._apis)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


class Accounts:
    """Stops and pauses, as this process knows them; the store tells the other senders."""

    def __init__(
        self, store: OutboxStore, clock: Clock, timing: Timing, rng: random.Random, budget: Budget, ids: Sequence[str]
    ) -> None:
        self._store, self._clock, self._timing, self._rng = store, clock, timing, rng
        self._budget, self._ids = budget, ids
        self.stopped: dict[str, str] = {}
        self._paused: dict[str, datetime] = {}
        self._streak: dict[str, int] = {}
        self._refused: dict[str, float] = {}  # when its last limit or stop was heard of
        self._troubles: dict[tuple[str, str], float] = {}
        self._tasks: set[asyncio.Task[datetime]] = set()

    def share(self, other: Accounts) -> None:
        """Know what the other lane's view knows; only the store is one's own."""
        self.stopped, self._paused, self._streak = other.stopped, other._paused, other._streak
        self._troubles, self._refused = other._troubles, other._refused

    async def close(self) -> None:
        """Drop what is being noted."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def learn(self, stopped: dict[str, str]) -> None:
        """What all senders know is stopped."""
        for account in stopped.keys() - self.stopped.keys():
            self._refused[account] = time.monotonic()
        self.stopped.clear()
        self.stopped.update(stopped)

    def paused_until(self, account: str) -> datetime | None:
        """When its pause ends, if one runs; one longer than any can be was begun by a clock that was wrong."""
        longest = timedelta(seconds=self._timing.longest_pause)
        until = self._paused.get(account)
        return until if until is not None and timedelta() < until - self._clock.now() <= longest else None

    def state(self, account: str) -> str:
        """For health: ok, paused, or the slug of what stopped it."""
        return self.stopped.get(account) or ("paused" if self.paused_until(account) else "ok")

    async def stop(self, account: str, row_slug: str, remedy: str) -> None:
        """Nothing more leaves but emergencies; one alert line a stop."""
        if self.stopped.get(account) != row_slug:
            log.error("account %s stopped (%s): %s", account, row_slug, remedy)
        self.stopped[account] = row_slug
        self._refused[account] = time.monotonic()
        try:
            await self._store.stop_account(account, row_slug, remedy)
        except Exception as fault:  # the next refusal notes it; the row's own outcome must not depend on it
            log.warning("account %s: stop not noted (%s)", account, type(fault).__name__)

    async def works(self, account: str, begun: float) -> None:
        """A send that began then (monotonic) went through. One that was under way at the last limit or stop proves nothing."""
        if begun <= self._refused.get(account, -math.inf):
            return
        self._streak.pop(account, None)
        self._budget.use.works(account)
        if account in self.stopped:
            await self.resume(account)

    async def trouble(self, account: str, error: GraphError) -> None:
        """Meta refused what an operator should look at: one alert line a minute and code, and a note for `doctor`."""
        key, now = (account, error.named), time.monotonic()
        if now - self._troubles.get(key, -_TROUBLE_EVERY) < _TROUBLE_EVERY:
            return
        self._troubles[key] = now
        log.error(
            "account %s: Meta refuses with code %s (%s): %s", account, error.named, error.row.slug, error.row.remedy
        )
        try:
            await self._store.note_trouble(account, error.row.slug, error.named)
        except Exception as fault:  # the log has it
            log.warning("account %s: trouble not noted (%s)", account, type(fault).__name__)

    async def resume(self, account: str) -> None:
        """It works again."""
        self.stopped.pop(account, None)
        self._paused.pop(account, None)
        log.warning("account %s works again", account)
        await self._store.resume_account(account)

    async def rate_limited(self, account: str, error: GraphError) -> datetime:
        """Pause for as long as Meta says, else ever longer; returns the end. Afterwards one message tries alone."""
        what = error.row
        if what.halves:
            self._budget.halve(account)
        streak = self._streak.get(account, 0)
        running = self.paused_until(account)
        if running is None:  # sends that were under way when the pause began do not lengthen it
            self._streak[account] = streak + 1
        asked = max(error.retry_after or 0.0, error.usage.regain.total_seconds())
        wait = timedelta(seconds=min(asked, self._timing.longest_pause))
        longest = self._timing.longest_unasked_pause
        until = self._clock.now() + (
            wait or backoff(streak, self._timing, self._rng, max(longest, what.first_wait), what.first_wait)
        )
        if not wait and running is not None:
            return running
        for other in (*self._ids, account) if what.whole_app else (account,):
            self._limited(other)
            if other != account:
                await self.pause(other, until)
        return await self.pause(account, until)

    def rest(self, account: str, regain: timedelta) -> None:
        """Meta's headers say that nothing more is taken for so long: known here at once, and noted for the others."""
        until = self._clock.now() + min(regain, timedelta(seconds=self._timing.longest_pause))
        self._limited(account)
        task = asyncio.get_running_loop().create_task(self.pause(account, until))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _limited(self, account: str) -> None:
        self._refused[account] = time.monotonic()
        self._budget.limited(account)

    async def pause(self, account: str, until: datetime) -> datetime:
        """No reply before `until`; a longer pause stays."""
        running = self.paused_until(account)
        if running is not None and running >= until:
            return running
        log.warning("account %s paused until %s", account, until.isoformat())
        self._paused[account] = until
        try:
            await self._store.pause_account(account, until)
        except Exception as fault:  # this process keeps to it in any case
            log.warning("account %s: pause not noted (%s)", account, type(fault).__name__)
        return until
