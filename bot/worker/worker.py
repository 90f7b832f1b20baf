"""The claim loop: many conversations in parallel, each by one worker at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import traceback
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from bot.core.clock import Clock
from bot.core.errors import EngineDown, EngineRefused, LeaseLost
from bot.core.trace import begin
from bot.store.conversations import Conversation, Conversations
from bot.store.db import DUE, Listener
from bot.store.faults import Fault, fault_of, level, passes, told
from bot.worker.turn import TurnTaker

log = logging.getLogger("planton.worker")

LEASE = timedelta(seconds=9)  # lengthened while a turn lasts, so that a killed worker lets go of its conversations soon
POLL = 1.0  # seconds between looks when nothing wakes us
GATHER = 0.06  # seconds between claims of a worker that has work: a wake-up costs more than its work (docs/vitesse.md)
GATHER_MUCH = 0.03  # of one that has nearly all that it can have at once
ENGINE_RETRY_MAX = 5.0  # seconds
SETUP_TRIES = 4  # looks at a conversation, half a minute, while something is missing in the database's set-up
PAUSE_MAX = 300.0  # seconds between two looks at a conversation with which nothing can be done
_STUCK_MOST = 1000  # conversations of that kind that are remembered


@dataclass(frozen=True)
class WorkerDeps:
    """What a worker needs. `parallel`: conversations at once in this process."""

    conversations: Conversations
    turns: TurnTaker
    listener: Listener
    clock: Clock
    parallel: int = 16


@dataclass
class _Held:
    """A conversation that is being handled. `since`: when its lease began, by the loop's clock."""

    conversation: Conversation
    since: float


class Worker:
    """Runs until cancelled; `step` handles what is due now, once."""

    def __init__(self, deps: WorkerDeps) -> None:
        self._deps = deps
        self._turns = deps.turns
        self._running: dict[asyncio.Task[None], _Held] = {}
        self._stuck: dict[int, int] = {}  # conversation → how often nothing could be done with it
        self._room = asyncio.Event()
        self._sleeps_until: datetime | None = None

    def use(self, turns: TurnTaker) -> None:
        """Take each turn that begins from now on with these rules; those under way end with theirs."""
        self._turns = turns

    async def run(self) -> None:
        """Claim and handle for ever. A database that is away is waited for."""
        keeper = asyncio.create_task(self._keep())
        try:
            while True:
                try:
                    if await self._claim():
                        await self._sleep()
                except (
                    SQLAlchemyError,
                    OSError,
                    TimeoutError,
                ) as error:  # it concerns all conversations, whatever it is
                    log.log(level(error), "no conversation can be claimed: %s; trying again", told(error))
                    await asyncio.sleep(0.5 if passes(error) else 5.0)
        finally:
            keeper.cancel()
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def step(self) -> int:
        """Handle everything that is due now, one claim after the other; returns how many conversations were handled."""
        handled = 0
        while True:
            claimed = await self._deps.conversations.claim(self._deps.clock.now(), self._deps.parallel, LEASE)
            if not claimed:
                return handled
            await asyncio.gather(*(self._handle(c) for c in claimed))
            handled += len(claimed)

    async def _claim(self) -> bool:
        """Take on as many as there is room for; whether that was all that is due."""
        if self._free() <= self._deps.parallel // 4:  # much is under way: one claim for several ends of turns
            await asyncio.sleep(GATHER_MUCH)
        while (room := self._free()) <= 0:
            self._room.clear()
            await self._room.wait()
        claimed = await self._deps.conversations.claim(self._deps.clock.now(), room, LEASE)
        for conversation in claimed:
            task = asyncio.create_task(self._guarded(conversation))
            self._running[task] = _Held(conversation, asyncio.get_running_loop().time())
            task.add_done_callback(self._done)
        return len(claimed) < room

    def _free(self) -> int:
        return self._deps.parallel - len(self._running)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._room.set()
        due = self._deps.conversations.next_due
        if due is not None and self._sleeps_until is not None and due < self._sleeps_until:
            self._deps.listener.wake(DUE)  # somebody wrote on meanwhile

    async def _sleep(self) -> None:
        """Until something comes in, or something is due. Who has work already gathers for a moment: several conversations
        cost one claim hardly more than one."""
        if self._running:
            await asyncio.sleep(GATHER)
        now, due = self._deps.clock.now(), self._deps.conversations.next_due
        timeout = POLL if due is None else min(POLL, max(0.005, (due - now).total_seconds()))
        self._sleeps_until = now + timedelta(seconds=timeout)
        try:
            await self._deps.listener.wait(DUE, timeout)
        finally:
            self._sleeps_until = None

    async def _guarded(self, conversation: Conversation) -> None:
        """The outermost guard of one conversation: whatever happens, the lease ends and the others go on."""
        try:
            await self._handle(conversation)
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                await self._release(conversation, 0, conversation.attempts, "retry")
            raise
        except Exception as error:
            if passes(error):
                await self._wait_for(conversation, error)
            elif fault_of(error) is Fault.SETUP and self._stuck.get(conversation.id, 0) < SETUP_TRIES:
                await self._put_off(conversation, error)  # it is about to be mended, and would fill the agents' queue
            else:
                await self._broke(conversation, error)
        else:
            self._stuck.pop(conversation.id, None)

    async def _wait_for(self, conversation: Conversation, error: Exception) -> None:
        """The database is away, or others were met: the conversation is taken up again when its lease ends, or at once."""
        log.warning("conversation %s: %s", conversation.id, told(error))
        if fault_of(error) is Fault.MET:
            with contextlib.suppress(Exception):
                await self._release(conversation, random.uniform(0.1, 0.5), conversation.attempts, "retry")  # noqa: S311

    async def _broke(self, conversation: Conversation, error: Exception) -> None:
        """A defect, of ours or in what this conversation holds: it must not stop the others, and a human takes this one."""
        # The frames, not the message: an error's own text may quote a citizen.
        frames = "".join(traceback.format_tb(error.__traceback__))
        log.error("conversation %s: %s\n%s", conversation.id, told(error), frames)
        for give in (self._turns.give_to_human, self._turns.give_in_silence):
            try:
                await give(conversation)
            except LeaseLost:
                return  # whoever changed it has it looked at again
            except Exception as again:
                error = again
                if passes(again):
                    return await self._wait_for(conversation, again)
            else:
                self._stuck.pop(conversation.id, None)
                return None
        return await self._put_off(conversation, error)

    async def _put_off(self, conversation: Conversation, error: Exception) -> None:
        """Not even the hand-off can be written: this conversation alone waits, longer each time, and operators are told."""
        tries = self._stuck.pop(conversation.id, 0)
        if len(self._stuck) >= _STUCK_MOST:
            self._stuck.pop(next(iter(self._stuck)))
        self._stuck[conversation.id] = tries + 1
        pause = min(PAUSE_MAX, 2.0 ** min(tries + 1, 10))
        log.error(
            "conversation %s: neither answered nor handed to a human: %s; looked at again in %.0f s",
            conversation.id,
            told(error),
            pause,
        )
        try:
            await self._release(conversation, pause, conversation.attempts, "retry")
        except Exception:  # its messages cannot be touched; its lease can
            with contextlib.suppress(Exception):
                await self._deps.conversations.renew([conversation], timedelta(seconds=pause))

    async def _keep(self) -> None:
        """Lengthen the leases of turns that take long: a slow engine, many messages."""
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 9)
            try:
                await self._renew()
            except (SQLAlchemyError, OSError, TimeoutError) as error:  # the end of each turn will tell
                log.log(level(error, logging.DEBUG), "leases not lengthened: %s", told(error))

    async def _renew(self) -> None:
        """All that have lasted for a third of their time, together; who is left out is tried again at the next look."""
        now = asyncio.get_running_loop().time()
        old = [held for held in self._running.values() if now - held.since >= LEASE.total_seconds() / 3]
        if old:
            kept = await self._deps.conversations.renew([held.conversation for held in old], LEASE)
            for held in old:
                if held.conversation.id in kept:
                    held.since = now

    async def _handle(self, conversation: Conversation) -> None:
        begin(conversation.trace())
        await self._turn(conversation)

    async def _turn(self, conversation: Conversation) -> None:
        turns = self._turns
        try:
            await turns.take(conversation)
        except LeaseLost:
            log.info("conversation %s: changed meanwhile, looking again", conversation.id)
            await self._release(conversation, 0, conversation.attempts, "retry")
        except EngineDown:
            delay = min(ENGINE_RETRY_MAX, 0.25 * 2 ** min(conversation.attempts, 5)) * random.uniform(0.7, 1.3)  # noqa: S311
            await self._without_engine(turns, conversation, delay)
        except EngineRefused:
            if conversation.attempts == 0:
                await self._release(conversation, 0.2, 1, "retry")
            else:
                await turns.give_to_human(conversation)

    async def _without_engine(self, turns: TurnTaker, conversation: Conversation, delay: float) -> None:
        try:
            await turns.without_engine(conversation, timedelta(seconds=delay))
        except LeaseLost:
            await self._release(conversation, 0, conversation.attempts, "retry")

    async def _release(self, conversation: Conversation, delay: float, attempts: int, why: str) -> None:
        due = self._deps.clock.now() + timedelta(seconds=delay)
        await self._deps.conversations.release(conversation, due, attempts, why)
