"""One row's way to Meta: its parts in order, each once, and what becomes of it when Meta refuses."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from bot.core.errors import SendError
from bot.core.outbox import EMERGENCY
from bot.core.waiting import within
from bot.meta import metadata
from bot.meta.limits import Verdict
from bot.meta.send_api import GraphDown, GraphError, GraphTimeout, Outgoing, SendApi
from bot.meta.split import split
from bot.meta.template import Shape, shape
from bot.sender.accounts import UNKNOWN_ACCOUNT, UNKNOWN_REMEDY, Accounts, Clients, backoff
from bot.sender.budget import GLANCE, Budget
from bot.sender.deps import SenderDeps
from bot.sender.ports import OutboxStore, Row

log = logging.getLogger("planton.sender")
T = TypeVar("T")
U = TypeVar("U")
_EMPTY = "Le message est vide\u00a0: rien n’a été envoyé."
_BAD_PARAMETER, _OF_THE_MESSAGE = 100, ("bad_message", "media", "unknown")  # what a template may be refused with
_CALM = 5  # messages in the last second and account: from there on, each message is one call
_AFTER_A_CRASH = 4  # times the usual wait for an echo


class Dangers:
    """Conversations in which an emergency reply has just been queued, by whomever, or sets out here.

    `hears`: whether what others queue is heard at present; while it is not, any conversation may be one of them."""

    def __init__(self, lasts: float, hears: Callable[[], bool] = lambda: True) -> None:
        self._lasts, self._hears = lasts, hears
        self._begun: dict[int, float] = {}  # oldest first
        self._any = -math.inf

    def begins(self, conversation: int) -> None:
        """One sets out."""
        now = time.monotonic()
        self._begun.pop(conversation, None)
        self._begun[conversation] = now
        while (oldest := next(iter(self._begun))) != conversation and now - self._begun[oldest] > self._lasts:
            del self._begun[oldest]

    def anywhere(self) -> None:
        """Nobody listened for a while."""
        self._any = time.monotonic()

    async def listen(self, told: AsyncIterator[int | None]) -> None:
        """Take in what `OutboxStore.dangers` tells, for ever."""
        async for conversation in told:
            if conversation is None:
                self.anywhere()
            else:
                self.begins(conversation)

    def lately(self, conversation: int) -> bool:
        """Whether there was one within `lasts` seconds, or may have been."""
        begun = max(self._any, self._begun.get(conversation, -math.inf))
        return time.monotonic() - begun <= self._lasts or not self._hears()


class Delivery:
    """Delivers the rows of one lane family. `dangers`: shared by both."""

    def __init__(
        self,
        deps: SenderDeps,
        store: OutboxStore,
        clients: Clients,
        accounts: Accounts,
        budget: Budget,
        counts: Counter[tuple[str, str]],
        dangers: Dangers,
        stopping: Callable[[], bool],
    ) -> None:
        self._deps, self._store, self._clients = deps, store, clients
        self._accounts, self._budget, self._counts, self._stopping = accounts, budget, counts, stopping
        self._dangers = dangers
        self._timing, self._clock = deps.timing, deps.clock
        self._courtesies: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Drop the courtesies under way."""
        for task in self._courtesies:
            task.cancel()
        await asyncio.gather(*self._courtesies, return_exceptions=True)

    async def deliver(self, row: Row, probe: bool = False) -> None:
        """Send what is left of the row and write its outcome. `probe`: try although the account is stopped."""
        api = self._clients.get(row.account)
        if api is None:
            await self._accounts.stop(row.account, UNKNOWN_ACCOUNT, UNKNOWN_REMEDY)
            await self._retry(row, UNKNOWN_ACCOUNT)
            return
        parts = split(row.text, row.platform)
        if row.parts_sent >= len(parts):
            await self._fail(row, "empty", _EMPTY)
            return
        attempt = _Attempt(self, row, api, parts, probe)
        try:
            await attempt.run()
        finally:
            attempt.done.set()

    async def broke(self, row: Row) -> None:
        """The attempt ended in a fault of our own: again later, ever more seldom."""
        at = self._clock.now() + backoff(row.attempts, self._timing, self._deps.rng, self._longest(row, odd=True))
        await self._keep(row, lambda: self._store.retry(row, at, "internal", maybe_sent=True))

    # Outcomes

    async def _fail(self, row: Row, slug: str, remedy: str) -> None:
        self._count(row, "failed")
        log.warning("row %d failed: %s", row.id, slug)
        await self._keep(row, lambda: self._store.failed(row, slug, remedy))

    async def _retry(self, row: Row, slug: str, at: datetime | None = None, odd: bool = False) -> None:
        self._count(row, "retried")
        when = at or self._clock.now() + backoff(row.attempts, self._timing, self._deps.rng, self._longest(row, odd))
        log.info("row %d again at %s: %s", row.id, when.isoformat(), slug)
        await self._keep(row, lambda: self._store.retry(row, when, slug))

    def _longest(self, row: Row, odd: bool) -> float:
        """Seconds that waits grow to; for how long it is tried is the claim's affair, not that of how often."""
        if row.lane == EMERGENCY:
            return self._timing.longest_emergency_retry
        return self._timing.longest_odd_retry if odd else self._timing.longest_retry

    async def _refused(self, row: Row, error: GraphError) -> None:
        """Act on Meta's error as the table says."""
        log.warning("row %d refused: %s", row.id, error)
        what, urgent, now = error.row, row.lane == EMERGENCY, self._clock.now()
        again: datetime | None = None
        if what.tell:
            await self._accounts.trouble(row.account, error)
        if what.verdict is Verdict.FINAL:
            await self._fail(row, what.slug, what.remedy)
            return
        if what.verdict is Verdict.RATE:
            until = await self._accounts.rate_limited(row.account, error)
            again = None if urgent else until
        elif what.verdict is Verdict.STOP:
            # Due later, not at once: the next probe should try another row, in case it is this one's own fault.
            await self._accounts.stop(row.account, what.slug, what.remedy)
            if urgent and what.by_hand and row.attempts:  # tried at once, then seldom: each call may prolong the block
                again = now + timedelta(seconds=self._timing.blocked_emergency_retry)
        elif what.verdict is Verdict.WAIT_CONTROL and not urgent:
            again = now + timedelta(seconds=self._timing.control_retry)
        elif urgent and what.odd and not row.attempts:
            again = now
        await self._retry(row, what.slug, again, what.odd)

    async def _keep(self, row: Row, write: Callable[[], Awaitable[bool]]) -> None:
        """Write an outcome; what already happened at Meta must not be forgotten over a hiccup of the database."""
        delay = self._timing.first_retry / 5
        for _ in range(6):
            try:
                if not await write():
                    log.warning("row %d: lease lost, outcome not kept", row.id)
                return
            except Exception as error:  # any fault of the store; the lease's end is the last resort
                log.warning("row %d: outcome not written yet (%s)", row.id, type(error).__name__)
                await asyncio.sleep(delay)
                delay *= 2

    def _count(self, row: Row, outcome: str) -> None:
        self._counts[(row.lane, outcome)] += 1

    # Courtesies: that it was read, that an answer comes

    def courtesy(self, row: Row, api: SendApi, done: asyncio.Event) -> None:
        """Start mark_seen and typing_on when it is calm; nothing waits for them. Each is a call like the message itself."""
        rate = max(self._budget.rate(row.account), len(self._courtesies) // 2)
        if row.lane == EMERGENCY or rate >= _CALM or rate * 2 >= self._deps.ceiling or self._budget.gap(row.account):
            return
        for action in ("mark_seen", "typing_on"):
            task = asyncio.create_task(self._courtesy(row, api, action, done))
            self._courtesies.add(task)
            task.add_done_callback(self._courtesies.discard)

    async def _courtesy(self, row: Row, api: SendApi, action: str, done: asyncio.Event) -> None:
        try:
            await api.action(row.person, action)
            if action == "typing_on" and done.is_set():  # overtaken by the answer: let no bubble stand behind it
                await api.action(row.person, "typing_off")
        except GraphError as error:
            if error.row.verdict is Verdict.RATE:  # the message itself would be refused too, and count
                await self._accounts.rate_limited(row.account, error)
        except SendError:
            log.debug("%s not taken", action)


class _Attempt:
    """One claim's attempt at one row."""

    def __init__(self, delivery: Delivery, row: Row, api: SendApi, parts: list[str], probe: bool) -> None:
        self._d, self._row, self._api, self._parts, self._probe = delivery, row, api, parts, probe
        self._judged = time.monotonic()
        self._begun = -math.inf  # when the last call to Meta set out
        self._courteous = False
        self._unwritten = False  # what leaves is not what stands in the outbox
        self._as_text = False  # Meta refused the template: its links stand in the text then
        self._mute = False  # the store did not answer, and an emergency asks it nothing more before it leaves
        self._end = math.inf  # when an emergency has waited long enough for the store
        self.done = asyncio.Event()

    async def run(self) -> None:
        index = self._row.parts_sent
        while index < len(self._parts):  # new words may have another number of parts
            if not await self._part(index):
                return
            index += 1

    async def _part(self, index: int) -> bool:
        """Send one part; True to go on with the next."""
        row, first = self._row, index == self._row.parts_sent
        self._mute = False
        if first and (row.maybe_sent or row.attempts):
            # A sender died over it. The gateway that takes its echo in may have died with it, and starts only now.
            patience = 1 if row.lane == EMERGENCY else _AFTER_A_CRASH
            mid = await self._echo(index, wait=patience * row.maybe_sent)
            if mid:
                return await self._went(index, mid)
        if not await self._may_leave():
            return False
        if row.lane == EMERGENCY and not await self._words(index):
            return False
        try:
            mid = await self._send(index)
        except GraphTimeout as error:
            log.warning("row %d: %s", row.id, error)
            return await self._lost(index)
        except GraphDown as error:
            log.warning("row %d: %s", row.id, error)
            await self._d._retry(row, "graph_down")
            return False
        except GraphError as error:
            if self._shape(index).links and error.code == _BAD_PARAMETER and error.row.slug in _OF_THE_MESSAGE:
                log.warning("row %d: its template was refused, it goes as text: %s", row.id, error)
                self._as_text = True
                return await self._part(index)
            await self._d._refused(row, error)
            return False
        return await self._went(index, mid)

    async def _may_leave(self) -> bool:
        """Permit, account and row are good at this moment; else the row was handed back or is no longer ours."""
        row, d = self._row, self._d
        if row.lane == EMERGENCY:
            d._dangers.begins(row.conversation_id)
            self._end = time.monotonic() + d._timing.emergency_budget_wait
            self._mute = not await d._budget.take_emergency(row.account, not self._mute)
        else:
            if self._open() and not self._courteous:
                self._courteous = True
                d.courtesy(row, self._api, self.done)
            if not await d._budget.take(row.account, self._open):
                at = d._accounts.paused_until(row.account) or d._clock.now()
                await d._keep(row, lambda: d._store.release(row, at))
                return False
        # A danger that comes up takes back what has not left; of what was claimed before, only a second look tells.
        overtaken = row.lane != EMERGENCY and d._dangers.lately(row.conversation_id)
        if overtaken or time.monotonic() - self._judged > d._timing.renew_after:
            if not await self._still():
                log.info("row %d: no longer to be sent", row.id)
                return False
            self._judged = time.monotonic()
        return True

    async def _words(self, index: int) -> bool:
        """What an emergency reply says now, after all that may have held it up; False: it is too old, or no longer ours."""
        row, d = self._row, self._d
        now = d._clock.now()
        fresh = await d._deps.words.leaving(row.text, row.answer, row.created_at, now)
        if fresh.text is None:
            d._count(row, "too_old")
            log.warning("row %d: a day late, left to an agent", row.id)
            await d._keep(row, lambda: d._store.too_old(row, now))
            return False
        if index or fresh.text == row.text:  # what begins otherwise must not go on with these
            return True
        self._row = row = replace(row, text=fresh.text, answer=fresh.answer)
        self._parts = split(row.text, row.platform)
        log.info("row %d: worded anew, it leaves late", row.id)
        kept = await self._answer(lambda: d._store.reworded(row), None, "new words not written yet")
        self._unwritten = kept is None  # the person gets the right words, agents see them later
        return kept is not False

    async def _still(self) -> bool:
        """Judge the row again. A store that does not answer holds no emergency back."""
        row, d = self._row, self._d
        return await self._answer(
            lambda: d._store.renew(row, d._clock.now(), timedelta(seconds=d._timing.lease)), True, "not judged again"
        )

    async def _seen(self, index: int) -> str | None:
        """Whether its echo has come; of an emergency, a store that does not answer is taken for « no »: better twice."""
        row, d = self._row, self._d
        return await self._answer(lambda: d._store.echo_seen(row.id, index), None, "no echo looked for")

    async def _answer(self, ask: Callable[[], Coroutine[Any, Any, T]], otherwise: U, without: str) -> T | U:
        """What the store says; for an emergency, `otherwise` where it does not say it in time."""
        row, timing = self._row, self._d._timing
        if row.lane != EMERGENCY:
            return await ask()
        if self._mute:
            return otherwise
        left = max(GLANCE, self._end - time.monotonic())
        try:
            return await within(min(timing.emergency_store_wait, left), ask())
        except Exception as error:  # whatever ails the store
            self._mute = isinstance(error, TimeoutError)
            log.warning("row %d: %s (%s)", row.id, without, type(error).__name__)
            return otherwise

    def _open(self) -> bool:
        accounts, account = self._d._accounts, self._row.account
        closed = account in accounts.stopped or accounts.paused_until(account) is not None
        return not self._d._stopping() and (self._probe or not closed)

    async def _send(self, index: int) -> str:
        row, last = self._row, index == len(self._parts) - 1
        mark = metadata.make(self._d._deps.metadata_key, row.id, index)
        found = self._shape(index)
        message = Outgoing(found.text, row.quick_replies if last else (), row.tag, mark, found.links)
        self._d._budget.note(row.account)
        self._begun = time.monotonic()
        return (await self._api.send(row.platform, row.person, message)).message_id

    def _shape(self, index: int) -> Shape:
        """A message of one part may carry its links as buttons: it is one part with them as without."""
        links = self._row.links if len(self._parts) == 1 and not self._as_text else ()
        return shape(self._parts[index], links, self._row.platform)

    async def _went(self, index: int, mid: str) -> bool:
        row, d = self._row, self._d
        if self._unwritten:
            self._unwritten = False
            await d._keep(row, lambda: d._store.reworded(row))
        if index < len(self._parts) - 1:
            await d._keep(row, lambda: d._store.part_sent(row, index, mid))
        else:
            self.done.set()
            d._count(row, "sent")
            now = d._clock.now()
            d._deps.metrics.sent(
                row.lane,
                (now - row.created_at).total_seconds(),
                None if row.since is None else now.timestamp() - row.since,
            )
            await d._keep(row, lambda: d._store.sent(row, mid, d._clock.now()))
        await d._accounts.works(row.account, self._begun)
        return True

    async def _lost(self, index: int) -> bool:
        """The answer was lost: its echo says whether the message left; without one it is sent again."""
        self._mute, self._end = False, math.inf
        mid = await self._echo(index, wait=1)
        if mid:
            return await self._went(index, mid)
        first = self._row.attempts == 0
        await self._d._retry(self._row, "timeout", self._d._clock.now() if first else None)
        return False

    async def _echo(self, index: int, wait: int) -> str | None:
        """The mid of its echo. `wait`: how many times the usual wait."""
        end = time.monotonic() + self._d._timing.echo_wait * wait
        while True:
            mid = await self._seen(index)
            if mid or self._mute or time.monotonic() >= end:
                return mid
            await asyncio.sleep(self._d._timing.echo_step)
