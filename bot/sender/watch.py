"""Beside the sends: looks whether Meta still sends webhooks, and catches up at the start, now and then, and when one was lost.

It has its own connections to Meta and to the database, and its own pace: no send waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from bot.core.clock import Clock, plausible
from bot.meta.send_api import SendApi
from bot.sender.catchup import CatchUp, Outcome
from bot.sender.deps import SenderAccount
from bot.sender.subscriptions import Found, Subscriptions
from bot.sender.tokens import Tokens
from bot.store import meta_flow
from bot.store.db import Database
from bot.store.meta_flow import Flow

log = logging.getLogger("planton.watch")


@dataclass(frozen=True)
class WatchTiming:
    """Seconds."""

    first: float = 3.0  # what waits in the outbox leaves first
    poll: float = 15.0  # whether a walk is wanted
    walk_every: float = 900.0
    walk_again: float = 120.0  # after one that broke off, or that somebody else was doing
    check_every: float = 300.0  # of the subscription
    token_every: float = 3600.0


class Watch:
    """`run` until cancelled."""

    def __init__(
        self,
        accounts: Mapping[SenderAccount, SendApi],
        database: Database,
        catch_up: CatchUp,
        subscriptions: Subscriptions,
        clock: Clock,
        timing: WatchTiming | None = None,
        tick: Callable[[], float] = time.monotonic,
        tokens: Tokens | None = None,
    ) -> None:
        self._accounts = accounts
        self._db = database
        self._catch_up = catch_up
        self._subscriptions = subscriptions
        self._clock = clock
        self._timing = timing or WatchTiming()
        self._tick = tick
        self._walk_at: dict[str, float] = {}
        self._check_at: dict[str, float] = {}
        self._tokens = tokens
        self._token_at: dict[str, float] = {}
        self._states: dict[str, str | None] = {}
        self._restored: set[str] = set()  # accounts whose subscription came back since their last walk began

    async def run(self) -> None:
        """For ever; whatever ails the store or Meta, the next look comes. A long walk delays walks only, no check."""
        await asyncio.sleep(self._timing.first)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._always(self._check))
            both.create_task(self._always(self._catch_up_if_due))

    async def _always(self, do: Callable[[SenderAccount, SendApi], Awaitable[None]]) -> None:
        """One account after the other, for ever."""
        while True:
            for account, api in self._accounts.items():
                try:
                    await do(account, api)
                except Exception as error:  # the outbox does not depend on this
                    log.warning("account %s not looked at: %s", account.id, type(error).__name__)
            await asyncio.sleep(self._timing.poll)

    async def look(self, account: SenderAccount, api: SendApi) -> None:
        """Do for one account what is due."""
        await self._check(account, api)
        await self._catch_up_if_due(account, api)

    async def _check(self, account: SenderAccount, api: SendApi) -> None:
        if self._tick() >= self._check_at.get(account.id, 0.0):
            self._check_at[account.id] = self._tick() + self._timing.check_every
            found = await self._subscriptions.look(account, api)
            if found.restored:
                self._restored.add(account.id)
            self._tell(found)
        if self._tokens is not None and self._tick() >= self._token_at.get(account.id, 0.0):
            self._token_at[account.id] = self._tick() + self._timing.token_every
            await self._tokens.look(account, api)

    async def _catch_up_if_due(self, account: SenderAccount, api: SendApi) -> None:
        flow = await self._flow(account.id)
        # A walk that ends takes back the store's wish, also one that was noted after it had begun.
        wanted = flow is not None and (flow.walk_wanted or account.id in self._restored)
        if wanted and flow is not None and not flow.walk_error:
            await self._walk(account, api)
        elif self._tick() >= self._walk_at.get(account.id, 0.0):
            rest = 0.0 if flow is None or account.id not in self._walk_at else self._rest(flow)
            if rest > 0:
                self._walk_at[account.id] = self._tick() + rest
            else:
                await self._walk(account, api)

    async def _walk(self, account: SenderAccount, api: SendApi) -> None:
        self._walk_at[account.id] = self._tick() + self._timing.walk_again
        self._restored.discard(account.id)
        outcome = await self._catch_up.walk(account, api)
        if not outcome.busy and not outcome.error:
            self._walk_at[account.id] = self._tick() + self._timing.walk_every
        _walked(outcome)

    def _rest(self, flow: Flow) -> float:
        """Seconds until the next walk, where another sender ended one lately."""
        now = self._clock.now()
        walked = plausible(flow.walked_at, now)
        if walked is None or flow.walk_error is not None:
            return 0.0
        return self._timing.walk_every * 0.9 - (now - walked).total_seconds()

    async def _flow(self, account: str) -> Flow | None:
        async with self._db.begin(durable=False) as connection:
            flows = await meta_flow.read(connection, [account])
        return flows[0] if flows else None

    def _tell(self, found: Found) -> None:
        """A line when it changes."""
        now = found.error or found.state
        if self._states.get(found.account) == now:
            return
        self._states[found.account] = now
        if found.state == meta_flow.LOST:
            log.error("account %s: Meta sends no webhooks any more; run: planton meta subscribe", found.account)
        elif found.state == meta_flow.PARTIAL:
            log.warning("account %s: fields not subscribed: %s", found.account, ", ".join(found.missing))
        elif found.error:
            log.warning("account %s: subscription unknown (%s)", found.account, found.error)
        else:
            log.info("account %s: subscribed", found.account)


def _walked(outcome: Outcome) -> None:
    found = outcome.taken + outcome.told
    level = logging.WARNING if found or outcome.unreadable else logging.INFO
    counts = (outcome.account, outcome.threads, found, outcome.unreadable)
    log.log(level, "account %s: %d threads read, %d messages caught up with, %d without details at Meta", *counts)
