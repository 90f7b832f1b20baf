"""The role `monitor`: what it looks at here, and where alerts go. It runs without the database, and holds no page token."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import psycopg

from bot.app import bound, doctor, rotation, several, vitals
from bot.app.access import unreachable
from bot.app.places import PROJECT
from bot.app.say import typeset
from bot.core.clock import Clock, SharedClock
from bot.monitor.board import Board
from bot.monitor.finding import Grade, Problem
from bot.monitor.heart import Heart, Looked
from bot.monitor.memory import Memory
from bot.monitor.post import Post
from bot.monitor.targets import Target, hush, send_all, targets
from bot.monitor.wording import Message
from bot.settings import PREFIX, Settings

BALANCE_EVERY = timedelta(minutes=10)  # it reads every message
CERTIFICATES_EVERY = timedelta(hours=1)
WAIT = 2.0  # seconds for what is looked at beside, else its outcome is told at a later look
Row = dict[str, Any]
log = logging.getLogger("planton.monitor")


class Here:
    """This machine and the site, as `bot.monitor.heart.Site` wants them: the checks are those of `planton doctor`."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._folder: Path | None = None  # PostgreSQL's, once known
        self._balance = _Seldom(BALANCE_EVERY)
        self._certificates = _Beside(CERTIFICATES_EVERY)
        self._schema = _Seldom(BALANCE_EVERY)

    def local(self) -> Looked:
        """Services and engines that this machine uses, and its disk."""
        found = asyncio.run(doctor.listening(self._settings, services(self._settings)))
        found += vitals.disk(self._settings, [PROJECT, *([self._folder] if self._folder else [])])
        # « nothing answers » stands for each of them: none of those that were told is back.
        all_silent = any(problem.key == "service" for problem in found)
        return Looked(tuple(found), frozenset({"service"} if all_silent else ()))

    def shared(self, connection: psycopg.Connection[Row]) -> Looked:
        """What the database tells, the certificates, the version of Meta's API."""
        now = self._clock.now()
        looked = _Gathered()
        known = self._certificates(now, lambda: vitals.certificates(self._settings, now))
        looked.add(known or ())
        if known is None:
            looked.unknown.add("certificate")
        looked.add(doctor.graph_version(self._settings, now.date()))
        self._folder = vitals.data_directory(connection)
        if old := self._schema(now, lambda: [one for one in [doctor.schema(connection)] if one]):
            looked.add(old)
            looked.unknown.update(FROM_DATABASE)
            return looked.done()
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            for look in (doctor.accounts, doctor.reloads):
                looked.add(look(connection))
            for dated in (
                doctor.webhooks,
                doctor.waiting,
                vitals.access,
                vitals.quiet,
                bound.problems,
                rotation.problems,
                several.problems,
            ):
                looked.add(dated(connection, now))
            looked.add(vitals.unread(connection, now, self._settings.alert_unread))
        self._count(connection, now, looked)
        return looked.done()

    def _count(self, connection: psycopg.Connection[Row], now: datetime, looked: _Gathered) -> None:
        """The balance, apart: where it takes too long, the rest is told all the same."""
        try:
            with connection.transaction():
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                looked.add(self._balance(now, lambda: doctor.balance(connection, doctor.counted(connection))))
        except psycopg.errors.QueryCanceled:
            log.warning("the balance of messages took too long to count")
            self._balance.later(now)
            looked.unknown.add("balance")

    def database_away(self) -> Problem:
        """The database does not answer from here."""
        error = unreachable()
        return Problem(error.what, error.remedy, key="database", grade=Grade.CRITICAL, local=True)

    def blind(self) -> Problem:
        """The database answers, and refuses what the shared checks ask."""
        return Problem(
            "La surveillance ne peut pas lire la base : urgences non lues, file et jetons ne sont plus surveillés.",
            "Voyez le journal de la surveillance (monitor) et celui de PostgreSQL, puis : planton doctor",
            key="checks",
            grade=Grade.CRITICAL,
            local=True,
        )


FROM_DATABASE = (
    "access", "token", "permission", "sends", "silence", "emergencies", "balance", "stopped", "notice", "subscription",
    "catchup", "page_token", "queue", "outbox", "reload", "clock", "workbenches", "sealed",
)  # fmt: skip


class _Gathered:
    """Problems, without those that only `doctor` tells."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []
        self.unknown: set[str] = set()

    def add(self, problems: Iterable[Problem]) -> None:
        self._problems += [problem for problem in problems if problem.key and not problem.advice]

    def done(self) -> Looked:
        return Looked(tuple(self._problems), frozenset(self.unknown))


class _Seldom:
    """Looks now and then; between two looks the last outcome stands."""

    def __init__(self, every: timedelta) -> None:
        self._every = every
        self._at: datetime | None = None
        self._found: list[Problem] = []

    def __call__(self, now: datetime, look: Callable[[], Iterable[Problem]]) -> list[Problem]:
        if self._at is None or not timedelta(0) <= now - self._at < (
            timedelta(minutes=1) if self._found else self._every
        ):
            self._found, self._at = list(look()), now
        return self._found

    def later(self, now: datetime) -> None:
        """It could not look: not again before its time."""
        self._found, self._at = [], now


class _Beside:
    """As `_Seldom`, in a thread: names and hosts that do not answer must not use up the time that the database has."""

    def __init__(self, every: timedelta) -> None:
        self._seldom = _Seldom(every)
        self._known: list[Problem] | None = None
        self._thread: threading.Thread | None = None

    def __call__(self, now: datetime, look: Callable[[], Iterable[Problem]]) -> list[Problem] | None:
        """What was found last; None before the first time."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._look, args=(now, look), daemon=True)
            self._thread.start()
            self._thread.join(WAIT)
        return self._known

    def _look(self, now: datetime, look: Callable[[], Iterable[Problem]]) -> None:
        self._known = self._seldom(now, look)


def typeset_and_send(wanted: Sequence[tuple[Target, Message]]) -> dict[str, bool]:
    """As `send_all`, with French spaces."""
    return send_all([(target, Message(typeset(m.title), typeset(m.body), m.grade)) for target, m in wanted])


def services(settings: Settings) -> tuple[str, ...]:
    """What should answer on this machine: as set, else what the same `planton run` starts; alone, everything."""
    if settings.alert_services is not None:
        return settings.alert_services
    started = {role for role in settings.environ.get(PREFIX + "ROLES", "").split(",") if role}
    here = tuple(role for role in doctor.SERVICES if role in started or (role == "engine" and "worker" in started))
    return here if started - {"monitor"} else doctor.SERVICES


async def monitor(settings: Settings, url: str) -> None:
    """Look and tell until cancelled."""
    hush()
    told = targets(settings.alert_urls)
    if not told:
        log.warning("alerts go nowhere: PLANTON_ALERT_URLS_FILE is not given")
    clock = SharedClock()
    memory = Memory.load(settings.var_dir / vitals.MEMORY)
    board = Board(url, clock=clock)
    heart = Heart(
        Here(settings, clock),
        board,
        memory,
        Post(told, memory, typeset_and_send),
        clock,
        settings.zone,
        socket.gethostname(),
    )
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        with _closing(board):
            await heart.run(_ping(session, settings.heartbeat_url))


@contextlib.contextmanager
def _closing(board: Board) -> Iterator[None]:
    try:
        yield
    finally:
        board.close()


def _ping(session: aiohttp.ClientSession, url: str | None) -> Any:
    """Tells a watcher elsewhere that we run: it rings when this stops. Its address holds a secret, so errors are types."""
    if url is None:
        return None

    async def ping() -> None:
        try:
            async with session.get(url, allow_redirects=False) as response:
                if response.status >= 400:
                    log.warning("heartbeat refused: %d", response.status)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("heartbeat not taken: %s", type(error).__name__)

    return ping
