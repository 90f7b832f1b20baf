"""Connections, migrations and wake-ups."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql as pgsql
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

if TYPE_CHECKING:
    from alembic.config import Config  # whoever migrates imports it: every role would wait for it

from bot.core.clock import SharedClock
from bot.core.errors import SetupError
from bot.store import granting, its_clock
from bot.store.plain import PLANS, Plain, PlainPool

MIGRATION_LOCK = 7_109_301  # advisory lock held while migrating

_NOTES = "planton_notes"  # what is to be notified after the commit, under this name in the connection's info
_NOT_DURABLE = text("SET LOCAL synchronous_commit = off")
_PLANNED = "planton_planned"  # since when a connection has its plans (seconds of the loop), in its info
_DISCARD = text("DISCARD PLANS")
_NOTIFY = """
    SELECT pg_notify(n.channel, n.payload) FROM unnest($1::text[], $2::text[]) AS n(channel, payload),
        (SELECT set_config('synchronous_commit', 'off', true)) AS relaxed
"""  # nothing is written
Note = tuple[str, str]  # channel, payload

DUE, OUTBOX, EMERGENCY, CONSOLE = "planton_due", "planton_outbox", "planton_emergency", "planton_console"
TRAINER = "planton_trainer"


GATHER = 0.05  # seconds for which what is to be notified is gathered while much happens

LAST = 1.0  # seconds that a process which ends has for what it still has to notify

LOCK_PATIENCE = "2s"  # how long a migration may make others queue behind the lock that it waits for

# A host or network that vanishes says no goodbye. Both ends of a connection notice within about this many seconds: ours, so
# that nobody waits for ever for an answer; PostgreSQL's, so that what a lost host had locked is free again.
SILENCE = 11
OURS: dict[str, Any] = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": SILENCE * 1000,
}
ITS = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": str(SILENCE * 1000),
}
_SET_ITS = "SELECT set_config(name, setting, false) FROM json_each_text(%s) AS its(name, setting)"


class SchemaBusy(SetupError):
    """The schema cannot be brought up to date now."""

    def __init__(self) -> None:
        super().__init__(
            "Le schéma de la base ne se met pas à jour : des opérations longues occupent ses tables.",
            "Attendez leur fin (sauvegarde, purge, export), puis relancez ; rien n’a été changé.",
        )


class SchemaNewer(SetupError):
    """A newer version was here."""

    def __init__(self, there: str, ours: str) -> None:
        super().__init__(
            f"La base est au schéma {there}, et cette version de Planton s’arrête au schéma {ours}.",
            "Installez ici aussi la nouvelle version ; pour revenir en arrière, restaurez la sauvegarde d’avant.",
        )


class SchemaWaits(SetupError):
    """The schema is not the one that this version needs, and who asks may not change it."""

    def __init__(self, there: str | None, ours: str) -> None:
        super().__init__(
            f"La base est au schéma {there}, et cette version de Planton attend le schéma {ours}."
            if there
            else "La base est vide : son propriétaire ne l’a pas encore préparée.",
            "Faites, avec l’adresse du propriétaire de la base : planton migrate",
        )


class Database:
    """A pool of connections to one PostgreSQL. `url`: a libpq URI or conninfo string. `clock` follows PostgreSQL's, which is
    read over each connection before anything else is asked over it."""

    def __init__(self, url: str, size: int = 8, name: str = "planton", clock: SharedClock | None = None) -> None:
        self.url = url
        self.clock = clock or SharedClock()
        self._name = name
        self.engine: AsyncEngine = create_async_engine(
            "postgresql+psycopg://",
            async_creator=self._connect,
            pool_size=size,
            max_overflow=0,
            pool_timeout=10,
            pool_pre_ping=False,
            pool_recycle=3600,
            hide_parameters=True,  # an error must not quote a citizen
        )
        self._plain = PlainPool(self._connect_plain, max(2, size // 2))
        self._notices = Notices(PlainPool(self._connect_plain, 1))

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        return await connect(self.url, self._name, prepare_threshold=3, clock=self.clock)

    async def _connect_plain(self) -> psycopg.AsyncConnection[Any]:
        return await connect(self.url, self._name, autocommit=True, prepare_threshold=1, clock=self.clock)

    @contextlib.asynccontextmanager
    async def begin(self, durable: bool = True) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed at the end, rolled back on any exception.

        `durable` False: the commit does not wait for the disk; what a crash of the server then forgets must be harmless
        (leases, counters). Notifications leave after the commit (see `Notices`).
        """
        async with self.engine.connect() as connection:
            notes: dict[Note, None] = {}
            connection.info[_NOTES] = notes
            await _plan_anew(connection)
            async with connection.begin():
                if not durable:
                    await connection.execute(_NOT_DURABLE)
                yield connection
            if notes:
                self._notices.add(notes)

    @contextlib.asynccontextmanager
    async def plain(self) -> AsyncIterator[Plain]:
        """A connection in which each statement is a transaction of its own, for what happens with each message.

        Raises sqlalchemy's DBAPIError, as `begin` does.
        """
        async with self._plain.connection() as connection:
            yield connection

    def tell(self, notes: Iterable[Note]) -> None:
        """Notify what a statement of `plain` has changed."""
        self._notices.add(notes)

    async def now(self) -> datetime:
        """What PostgreSQL's clock shows; for what is done once. Raises what the database raises."""
        async with self.plain() as connection:
            await its_clock.ask(connection, self.clock)
        return self.clock.now()

    async def ping(self) -> bool:
        """Whether the database answers within a second."""
        try:
            async with asyncio.timeout(1):
                async with self.engine.connect() as connection:
                    await connection.execute(text("SELECT 1"))
            return True
        except Exception:
            return False

    async def migrate(self, tries: int = 40, pause: float = 1.5) -> None:
        """Bring the schema to the newest revision, while others may be at work; several processes may call this at once.

        A change that would have to wait for a lock gives way at once, so that nobody queues behind it, and is tried again
        `tries` times with a `pause` (seconds). Raises SchemaBusy after that, SchemaNewer when a newer version has been here
        and this one no longer serves.
        """
        for left in range(tries, 0, -1):
            try:
                async with self.engine.begin() as connection:
                    await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
                    await connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_PATIENCE}'"))
                    await connection.run_sync(_upgrade)
                return
            except OperationalError as error:
                if not isinstance(error.orig, psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected):
                    raise
                if left == 1:
                    raise SchemaBusy from None
                await asyncio.sleep(pause)

    async def close(self) -> None:
        """Notify what is still to be notified; close the connections."""
        await self._notices.close()
        await self._plain.close()
        await self.engine.dispose()


class Notices:
    """Wakes others after a commit: at once when little happens or somebody is in danger, else for all that was committed
    within GATHER seconds together.

    PostgreSQL holds one lock over all commits that notify, so that in the transaction itself each would wait for the disk
    alone; and each transaction that notifies wakes every process that listens to anything. What a crash or a broken connection
    swallows is made up for by polling.
    """

    def __init__(self, pool: PlainPool) -> None:
        self._pool = pool
        self._notes: dict[Note, None] = {}
        self._last = float("-inf")
        self._hurry = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def add(self, notes: Iterable[Note]) -> None:
        """Notify these soon."""
        new = dict.fromkeys(notes)
        self._notes.update(new)
        if any(channel == EMERGENCY for channel, _ in new):
            self._hurry.set()
        if self._notes and self._task is None:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Notify what is left, and end; a database that is away is not waited for."""
        self._hurry.set()
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=LAST)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._pool.close()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._notes:
                await self._gather(self._last + GATHER - loop.time())
                self._last = loop.time()
                notes, self._notes = self._notes, {}
                await self._send(notes)
        finally:
            self._task = None

    async def _gather(self, seconds: float) -> None:
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._hurry.wait()
        self._hurry.clear()

    async def _send(self, notes: Iterable[Note]) -> None:
        channels, payloads = zip(*notes, strict=True)
        for _ in range(2):  # the first time the connection may have died while it was idle
            try:
                async with self._pool.connection() as connection:
                    await connection.rows(_NOTIFY, (list(channels), list(payloads)))
                return
            except (DBAPIError, OSError, TimeoutError):
                continue


async def connect(
    url: str,
    name: str,
    autocommit: bool = False,
    prepare_threshold: int | None = 5,
    clock: SharedClock | None = None,
) -> psycopg.AsyncConnection[Any]:
    """A connection that notices within SILENCE seconds that the other end is gone. What the URL says itself goes first.
    `clock`: hears what PostgreSQL's shows."""
    given = conninfo_to_dict(url)
    wanted = {option: value for option, value in OURS.items() if option not in given}
    connection = await psycopg.AsyncConnection.connect(
        url,
        autocommit=True,
        connect_timeout=3,
        application_name=name,
        prepare_threshold=prepare_threshold,
        **wanted,
    )
    try:
        if not connection.info.host.startswith("/"):  # over the network
            await connection.execute(_SET_ITS, (json.dumps(ITS),), prepare=False)
        if clock is not None:
            await its_clock.ask_raw(connection, clock)
        await connection.set_autocommit(autocommit)
    except BaseException:
        await connection.close()
        raise
    return connection


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory

    if _newer(connection):
        return
    if not connection.scalar(_MAY_MIGRATE):
        _check_current(connection)
        return
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    head = ScriptDirectory.from_config(config).get_revision("head")
    assert head is not None
    _remember(connection, getattr(head.module, "SERVES_SINCE", head.revision))
    granting.apply(lambda statement: _run(connection, statement))


def _check_current(connection: Connection) -> None:
    """A part's role only looks. Raises SchemaWaits."""
    empty = connection.scalar(text("SELECT to_regclass('alembic_version') IS NULL"))
    there, ours = None if empty else connection.scalar(_REVISION), schemas()[0]
    if there != ours:
        raise SchemaWaits(there, ours)


def _run(connection: Connection, statement: str) -> list[Any]:
    done = connection.exec_driver_sql(statement)
    return list(done.all()) if done.returns_rows else []


_MAY_MIGRATE = text("SELECT has_schema_privilege('public', 'CREATE')")
_REVISION = text("SELECT version_num FROM alembic_version")
_SERVES = text("SELECT value #>> '{}' FROM facts WHERE name = 'schema_serves_since'")
_SET_SERVES = text("""
    INSERT INTO facts (name, value) VALUES ('schema_serves_since', to_jsonb(CAST(:since AS text)))
    ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE facts.value <> excluded.value
""")


def _newer(connection: Connection) -> bool:
    """Whether a newer version brought the schema further, which we may work with all the same. Raises SchemaNewer."""
    if connection.scalar(text("SELECT to_regclass('alembic_version') IS NULL")):
        return False
    there, known = connection.scalar(_REVISION), schemas()
    if there is None or there in known:
        return False
    serves = connection.scalar(_SERVES)  # revisions are numbers of one width: they compare as words
    if serves is None or known[0] < serves:
        raise SchemaNewer(there, known[0])
    return True


def _remember(connection: Connection, since: str) -> None:
    """From which schema on a version's code may run with this one: an older version asks before it starts."""
    connection.execute(_SET_SERVES, {"since": since})


def schemas() -> list[str]:
    """Every revision of the schema that this version knows, the newest first."""
    from alembic.script import ScriptDirectory

    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]


async def _plan_anew(connection: AsyncConnection) -> None:
    """Before the transaction: the first statement of one may be to say what it shall see."""
    now = asyncio.get_running_loop().time()
    if now - connection.info.setdefault(_PLANNED, now) > PLANS:
        async with connection.begin():
            await connection.execute(_DISCARD)
        connection.info[_PLANNED] = now


async def notify(connection: AsyncConnection, channel: str, payload: str = "") -> None:
    """Wake who listens on `channel` once the transaction (of `Database.begin`) is committed."""
    connection.info[_NOTES][(channel, payload)] = None


class Listener:
    """One LISTEN connection a process. `wait` returns as soon as something was notified, or after `timeout` seconds.

    It reconnects by itself; while the database is away it only sleeps, so callers keep polling at `timeout`.
    """

    def __init__(self, url: str, channels: Iterable[str]) -> None:
        self._url = url
        self._channels = tuple(channels)
        self._events = {name: asyncio.Event() for name in self._channels}
        self._subscribers: list[asyncio.Queue[tuple[str, str]]] = []
        self._task: asyncio.Task[None] | None = None
        self.listening = False  # what is notified now is heard

    def start(self) -> None:
        """Begin to listen in a task of the running loop."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="listener")

    async def close(self) -> None:
        """Stop listening."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def wait(self, channel: str, timeout: float) -> bool:
        """True when `channel` was notified since the last call, False after `timeout` seconds."""
        event = self._events[channel]
        try:
            async with asyncio.timeout(timeout):
                await event.wait()
            return True
        except TimeoutError:
            return False
        finally:
            event.clear()

    def wake(self, channel: str) -> None:
        """Wake who waits here, as if `channel` had been notified."""
        self._events[channel].set()

    @contextlib.contextmanager
    def subscribe(self) -> Any:
        """A queue that receives every (channel, payload) from now on; for pages that stay open.

        An empty payload on each channel means that the connection is new: anything may have happened before.
        """
        queue: asyncio.Queue[tuple[str, str]] = asyncio.Queue(maxsize=1000)
        self._subscribers.append(queue)
        try:
            yield queue
        finally:
            self._subscribers.remove(queue)

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except (psycopg.Error, OSError):
                await asyncio.sleep(0.5)

    async def _listen(self) -> None:
        connection = await connect(self._url, "planton-listen", autocommit=True)
        async with connection:
            for name in self._channels:
                await connection.execute(pgsql.SQL("LISTEN {}").format(pgsql.Identifier(name)))
            self.listening = True
            try:
                await self._hear(connection)
            finally:
                self.listening = False

    async def _hear(self, connection: psycopg.AsyncConnection[Any]) -> None:
        for event in self._events.values():
            event.set()  # something may have happened while nobody listened
        for name in self._channels:
            self._tell(name, "")
        async for note in connection.notifies():
            self._events[note.channel].set()
            self._tell(note.channel, note.payload)

    def _tell(self, channel: str, payload: str) -> None:
        for queue in self._subscribers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait((channel, payload))
