"""The sender process: two claim loops that never wait for each other, a probe, and the loopback door."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
import traceback
from collections import Counter
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Any

from aiohttp import web

from bot.core.errors import SendError
from bot.core.outbox import AGENT, EMERGENCY, REPLY
from bot.meta.limits import BY_HAND
from bot.meta.send_api import Usage
from bot.sender.accounts import UNKNOWN_ACCOUNT, Accounts, Clients
from bot.sender.budget import Budget
from bot.sender.delivery import Dangers, Delivery
from bot.sender.deps import SenderDeps
from bot.sender.door import Door
from bot.sender.measured import handling
from bot.sender.ports import OutboxStore, Row
from bot.watch.measures import written

log = logging.getLogger("planton.sender")
_BATCH = 32
_CLAIMING = 1.0  # seconds, amply, from what a claim saw to the beginning of its attempts
_OWN_FAULT = ("token", "app_secret", UNKNOWN_ACCOUNT)  # a read proves them gone; other stops show at a send only


class _Lane:
    """The slots of a claim loop."""

    def __init__(self, slots: int) -> None:
        self._slots, self._running = slots, 0
        self._ended = asyncio.Event()

    def free(self) -> int:
        """How many rows may begin."""
        return self._slots - self._running

    def begins(self, task: asyncio.Task[None]) -> None:
        """A row takes a slot until its task is done."""
        self._running += 1
        task.add_done_callback(self._ends)

    def _ends(self, _task: asyncio.Task[None]) -> None:
        self._running -= 1
        self._ended.set()

    async def wait(self, wake: Coroutine[Any, Any, None]) -> None:
        """Until a row ends, or `wake` does."""
        self._ended.clear()
        waits = [asyncio.create_task(one) for one in (wake, self._ended.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
            await asyncio.gather(*waits, return_exceptions=True)


class Sender:
    """Everything between the outbox and Meta. `start`, then `stop`."""

    def __init__(self, deps: SenderDeps) -> None:
        self._deps = deps
        self._stopping = False
        self._counts: Counter[tuple[str, str]] = Counter()
        self._loops: list[asyncio.Task[None]] = []
        self._rows: set[asyncio.Task[None]] = set()
        self._held: dict[int, Row] = {}
        self._taken: dict[int, float] = {}  # when they were claimed
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> None:
        """Listen and begin to claim. Raises OSError when the port is taken."""
        deps, timing = self._deps, self._deps.timing
        ids = [account.id for account in deps.accounts]
        budget = self._budget = Budget(deps.store, deps.emergency_store, timing, deps.ceiling)
        self._accounts = Accounts(deps.store, deps.clock, timing, deps.rng, budget, ids)
        self._clients = Clients(deps, deps.concurrency, timing.send_timeout, "reply", self._told)
        slots, patience = deps.emergency_concurrency, timing.emergency_send_timeout
        self._courier_clients = Clients(deps, slots, patience, "emergency", self._told)
        self._door_clients = Clients(deps, slots, patience, "door", self._told)
        deps.metrics.watch(
            self._counts,
            deps.ceiling,
            lambda: max((budget.rate(account) for account in ids), default=0) / deps.ceiling,
            lambda: len(self._held),
            lambda: {account: budget.use.pace(account) or deps.ceiling for account in ids},
            budget.unpermitted,
        )
        # Each lane writes stops and pauses through its own store.
        urgent = Accounts(deps.emergency_store, deps.clock, timing, deps.rng, budget, ids)
        urgent.share(self._accounts)
        dangers = self._dangers = Dangers(timing.renew_after + _CLAIMING, deps.emergency_store.hears)
        self._delivery = Delivery(
            deps, deps.store, self._clients, self._accounts, budget, self._counts, dangers, lambda: self._stopping
        )
        self._courier = Delivery(
            deps,
            deps.emergency_store,
            self._courier_clients,
            urgent,
            budget,
            self._counts,
            dangers,
            lambda: self._stopping,
        )
        tell = functools.partial(written, deps.metrics.registry)
        door = self._door = Door(deps, self._door_clients, self._accounts, budget, self._healthy, tell)
        self._runner = web.AppRunner(door.app(), access_log=None, shutdown_timeout=timing.grace)
        await self._runner.setup()
        await web.TCPSite(self._runner, deps.host, deps.port).start()
        self.url = f"http://{deps.host}:{self._runner.addresses[0][1]}"
        lanes = (
            self._claims(deps.emergency_store, self._courier, (EMERGENCY,), deps.emergency_concurrency),
            self._claims(deps.store, self._delivery, (REPLY, AGENT), deps.concurrency),
            self._keeps(deps.emergency_store, True),
            self._keeps(deps.store, False),
            self._probes(),
            self._listens(),
            door.forgets(),
        )
        self._loops = [asyncio.create_task(lane) for lane in lanes]
        log.info("sender ready, %d accounts", len(deps.accounts))

    async def stop(self) -> None:
        """Claim nothing more, let what is under way end, close."""
        self._stopping = True
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        if self._rows:
            _, late = await asyncio.wait(self._rows, timeout=self._deps.timing.grace)
            for task in late:
                task.cancel()  # its lease runs out, and its echo is looked for before it is sent again
            await asyncio.gather(*late, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
            await self._door.close()
            await self._delivery.close()
            await self._accounts.close()
            await self._budget.close()
            for clients in (self._clients, self._courier_clients, self._door_clients):
                await clients.close()

    def _healthy(self) -> bool:
        return not self._stopping and all(not loop.done() for loop in self._loops)

    def _told(self, account: str, usage: Usage, sending: bool) -> None:
        """What an answer of Meta's says of our use, whatever was asked."""
        if usage.told:
            self._deps.metrics.told(account, usage.percent)
        self._budget.used(account, usage)
        if usage.regain and sending:
            self._accounts.rest(account, usage.regain)

    async def _listens(self) -> None:
        """Hear of dangers that anybody queues."""
        while True:
            try:
                await self._dangers.listen(self._deps.emergency_store.dangers())
            except Exception as error:  # whatever ails the store, the loop must live
                log.warning("dangers not heard of: %s", type(error).__name__)
            self._dangers.anywhere()
            await asyncio.sleep(self._deps.timing.emergency_poll)

    # Claiming

    async def _claims(self, store: OutboxStore, delivery: Delivery, lanes: Sequence[str], slots: int) -> None:
        """Claim due rows for free slots, for ever."""
        urgent, timing = EMERGENCY in lanes, self._deps.timing
        poll = timing.emergency_poll if urgent else timing.poll
        lease, lane = self._lease(urgent), _Lane(slots)
        last = 0.0
        await self._deps.sure()
        while True:
            free = min(lane.free(), _BATCH if urgent else min(_BATCH, self._budget.share()))
            full = () if urgent else self._budget.full()
            try:
                now = self._deps.clock.now()
                rows = await store.claim(now, free, lanes, lease, held=self._held, full=full) if free > 0 else ()
            except Exception as error:  # whatever ails the store, the loop must live
                log.warning("claim failed: %s", type(error).__name__)
                await asyncio.sleep(poll)
                continue
            last = time.monotonic()
            for row in rows:
                task = asyncio.create_task(self._one(store, delivery, row))
                self._rows.add(task)
                task.add_done_callback(self._rows.discard)
                lane.begins(task)
            await asyncio.sleep(0)  # they begin, and wait for the ceiling where they must
            if rows and len(rows) == free and lane.free() > 0:
                continue  # there may be more
            # Whatever was left for want of room goes on when a row ends; all else when somebody says so, or in time.
            if lane.free() <= 0 or full:
                await lane.wait(self._wait(store, lanes, poll))
            else:
                await self._wait(store, lanes, poll)
            if not urgent:
                await asyncio.sleep(max(0.0, last + timing.claim_gap - time.monotonic()))

    async def _wait(self, store: OutboxStore, lanes: Sequence[str], poll: float) -> None:
        try:
            await store.wait(lanes, poll)
        except Exception as error:  # as above
            log.warning("wake-up failed: %s", type(error).__name__)
            await asyncio.sleep(poll)

    async def _one(self, store: OutboxStore, delivery: Delivery, row: Row, probe: bool = False) -> None:
        self._held[row.id] = row
        self._taken[row.id] = time.monotonic()
        handling(row, self._deps.clock.now())
        try:
            await delivery.deliver(row, probe)
        except Exception as error:  # one row must not harm the others; the fault's own words may hold a citizen's
            where = traceback.extract_tb(error.__traceback__)[-1]
            log.error("row %d broke off: %s at %s:%s", row.id, type(error).__name__, where.filename, where.lineno)
            await delivery.broke(row)
        finally:
            self._held.pop(row.id, None)
            self._taken.pop(row.id, None)

    def _lease(self, urgent: bool) -> timedelta:
        return timedelta(seconds=self._deps.timing.emergency_lease if urgent else self._deps.timing.lease)

    async def _keeps(self, store: OutboxStore, urgent: bool) -> None:
        """Lengthen the leases of what is under way, which may take longer than one lease; most takes a tenth of a second."""
        lease = self._lease(urgent)
        step = lease.total_seconds() / 4
        while True:
            await asyncio.sleep(step)
            since = time.monotonic() - step
            old = [row for number, row in self._held.items() if self._taken[number] < since]
            rows = [row for row in old if (row.lane == EMERGENCY) == urgent]
            try:
                if rows:
                    await store.hold(rows, lease)
            except Exception as error:  # as above
                log.warning("leases not lengthened: %s", type(error).__name__)

    # Probing

    async def _probes(self) -> None:
        """See now and then whether stopped accounts work again; other senders may have stopped them."""
        while True:
            try:
                self._accounts.learn(await self._deps.store.stopped_accounts())
                for account, slug in list(self._accounts.stopped.items()):
                    await self._probe(account, slug)
            except Exception as error:  # as above
                log.warning("probe failed: %s", type(error).__name__)
            await asyncio.sleep(self._deps.timing.probe_every)

    async def _probe(self, account: str, slug: str) -> None:
        api = self._clients.get(account)
        if api is None or slug in BY_HAND:
            return
        try:
            await api.me()
        except SendError as error:
            log.info("account %s still stopped: %s", account, error)
            return
        if slug in _OWN_FAULT:
            await self._accounts.resume(account)
            return
        now, lanes = self._deps.clock.now(), (REPLY, AGENT)
        for row in await self._deps.store.claim(now, 1, lanes, self._lease(False), account, self._held):
            await self._one(self._deps.store, self._delivery, row, probe=True)
