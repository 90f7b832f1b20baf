"""The beat: look, decide what to tell, keep it, hand it over. One look is synchronous and runs in a thread."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import psycopg

from bot.core.clock import Clock
from bot.monitor.board import Away, Board
from bot.monitor.finding import Problem
from bot.monitor.ladder import Alert, Notice, step
from bot.monitor.memory import Memory, alert_of
from bot.monitor.post import Post
from bot.monitor.wording import message
from bot.store import alerts as shelf

EVERY = 15.0  # seconds
PING_EVERY = 60.0
# While the database is away nobody knows who tells: who told last does; the others wait, in case that machine is down too.
OTHERS = {"database": timedelta(minutes=10)}
Row = dict[str, Any]
log = logging.getLogger("planton.monitor")


@dataclass(frozen=True)
class Looked:
    """What one look found. `unknown`: families of keys that it could not look at."""

    problems: tuple[Problem, ...] = ()
    unknown: frozenset[str] = frozenset()


class Site(Protocol):
    """What is looked at."""

    def local(self) -> Looked:
        """This machine: its services, its disk, the engines that it uses."""
        ...

    def shared(self, connection: psycopg.Connection[Row]) -> Looked:
        """What is the same whichever machine looks; may raise psycopg.Error."""
        ...

    def database_away(self) -> Problem:
        """The trouble that the database does not answer, with the key `database`."""
        ...

    def blind(self) -> Problem:
        """The trouble that the database answers and the shared checks fail, with the key `checks`."""
        ...


class Heart:
    """`beat` once, or `run` until cancelled. `host`: what messages call this machine."""

    def __init__(
        self, site: Site, board: Board, memory: Memory, post: Post, clock: Clock, zone: ZoneInfo, host: str
    ) -> None:
        self._site = site
        self._board = board
        self._memory = memory
        self._post = post
        self._clock = clock
        self._zone = zone
        self._host = host
        self._ahead: list[Alert] | None = None  # shared alerts that the table does not have yet

    def beat(self) -> Notice:
        """One look, and what was told."""
        now = self._clock.now()
        local = self._site.local()
        problems, slower = list(local.problems), None if self._memory.led else OTHERS
        before: list[Alert] = []
        after: list[Alert] = []
        shared = Notice()
        try:
            before, after, shared = self._board.ask(self._shared)
        except Away:
            problems.append(self._site.database_away())
        except psycopg.Error as error:  # it is there, but not for that: its schema is old, its disk is full
            log.warning("shared checks not done: %s %s", type(error).__name__, error.sqlstate)
            problems.append(self._site.blind())
        self._memory.alerts, mine = step(self._memory.alerts, problems, now, local.unknown, slower)
        self._tell(mine + shared)
        if after != before:
            self._keep(after)
        self._post.deliver(now)
        self._memory.save()
        return mine + shared

    @property
    def leads(self) -> bool:
        """Whether this machine tells what all share, as far as it knows."""
        return self._memory.led

    async def run(self, ping: Callable[[], Awaitable[None]] | None = None, every: float = EVERY) -> None:
        """For ever, whatever ails it. `ping` tells somebody outside that the heart beats."""
        pinged = float("-inf")
        loop = asyncio.get_running_loop()
        while True:
            try:
                await asyncio.to_thread(self.beat)
                if ping is not None and self.leads and loop.time() - pinged >= PING_EVERY:
                    pinged = loop.time()
                    await ping()
            except Exception as error:  # a defect of one look must not end the others
                log.error("look failed: %s", type(error).__name__)
            await asyncio.sleep(every)

    def _shared(self, connection: psycopg.Connection[Row], leads: bool) -> tuple[list[Alert], list[Alert], Notice]:
        """Shared alerts as the table has them, as they should be, and what to tell."""
        self._memory.led = leads
        if not leads:
            self._ahead = None
            return [], [], Notice()
        looked = self._site.shared(connection)
        kept = [alert_of(row) for row in shelf.read(connection)]
        after, notice = step(
            kept if self._ahead is None else self._ahead, looked.problems, self._clock.now(), looked.unknown
        )
        return kept, after, notice

    def _keep(self, after: list[Alert]) -> None:
        """Told first, then kept: a message twice is better than none."""
        self._ahead = after
        rows = [asdict(alert) for alert in after]
        try:
            self._board.ask(lambda connection, _: shelf.write(connection, rows))
            self._ahead = None
        except (Away, psycopg.Error) as error:
            log.warning("alerts not kept: %s", type(error).__name__)

    def _tell(self, notice: Notice) -> None:
        if not notice:
            return
        for alert in (*notice.opened, *notice.reminded):
            log.error("alert: %s", alert.key)
        for alert in notice.closed:
            log.warning("alert over: %s", alert.key)
        self._post.put(message(notice, self._host, self._zone), self._clock.now())
        self._memory.save()
