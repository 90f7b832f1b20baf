"""`planton run`: starts PostgreSQL and the roles, restarts what dies, ends everything together.

One thread, on purpose: the kernel ties a child's life to the thread that started it. Children stay in our process
group, get a signal when we die (kill -9 included), and PostgreSQL is the last to leave.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from bot.app.child import ROOT, Child
from bot.app.engines import LOOK, EngineChild, Engines, wait_for
from bot.app.entitled import NEEDS, close_memory, environ_of
from bot.app.places import MODELS
from bot.app.ports import Listener, check_free, listeners, local_engines
from bot.app.required import ROLES, faults
from bot.app.say import complain, say
from bot.core import program
from bot.core.errors import Explained, SetupError
from bot.settings import ADDRESSES, CREDENTIALS, GIVEN, PREFIX, SECRETS, Settings
from bot.store import facts
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.embedded import Embedded
from bot.store.grants import PARTS, role_of

GRACE, ENGINE_GRACE = 6.0, 2.0  # seconds to end in; with PostgreSQL's ten, under twenty
FRENCH = {
    "gateway": "passerelle",
    "worker": "traitement",
    "sender": "expéditeur",
    "engine": "moteur",
    "console": "console",
    "trainer": "atelier",
    "monitor": "surveillance",
    "sandbox": "bac à sable",
    "postgres": "base de données",
    "migrate": "mise à jour de la base",
}
# All that the engine may know beside `program.harmless`. A list of what it may not know would be open to the next secret.
_ENGINE_NAMES = (PREFIX + "TIMEZONE", PREFIX + "PDEATHSIG")


@dataclass
class Launcher:
    """Runs roles until it is told to stop. `extra`: environment that every role but the engine gets as well."""

    settings: Settings
    roles: Sequence[str] = ROLES
    extra: Mapping[str, str] = field(default_factory=dict)
    models: Path = MODELS
    embedded: Embedded | None = None
    engines: Engines | None = None
    children: list[Child] = field(default_factory=list)
    stopping: int = 0
    _postgres: Child | None = None  # only its back-off

    def run(self) -> int:
        """Start, supervise, end; the exit code. Expected errors are told in French, one line each."""
        close_memory()  # every secret passes through here
        with self._signals() as wake:
            try:
                self._check()
                url = self._start_storage()
                self._start_roles(url)
                self._supervise(wake)
            except Explained as error:
                complain(error)
                return 2
            except _StopAsked:
                pass
            finally:
                self._end()
        say("tout est arrêté.")
        return 0

    # -- before anything starts ----------------------------------------------------------------------------------

    def _check(self) -> None:
        if wrong := faults(self.settings, self.roles):
            raise SetupError("\n".join(str(error) for error in wrong))
        if "engine" in self.roles and local_engines(self.settings):
            self.check_engine()
        if self._stores and self.settings.embedded:
            self.embedded = Embedded(self.settings.var_dir)
            self.embedded.acquire(patience=3.0)
        check_free([one for role in self.roles for one in listeners(self.settings, role)])

    def check_engine(self) -> None:
        """Raise SetupError when the engine cannot start."""
        check_engine()

    @property
    def _stores(self) -> bool:
        return any(role != "engine" for role in self.roles)

    def _start_storage(self) -> str | None:
        if not self._stores:
            return None
        url = self.settings.database_url
        if self.embedded is not None:
            url = self.embedded.start(check=self._stop_if_asked)
            self._postgres = Child("postgres", (), {}, started=time.monotonic())
            say(f"base de données embarquée dans {self.settings.var_dir}")
        assert url is not None
        self._stop_if_asked()
        remember(self.settings, self.extra)
        keyed = [role for role in self.roles if "DATA_KEY" in NEEDS.get(role, ())]
        if not migrate_or_wait(url, [self._url_of(role, url) for role in self.roles if role != "engine"]):
            say("la base de données ne répond pas. Démarrez-la : Planton reprendra de lui-même.")
            self._add("migrate", [sys.executable, "-m", "bot", "_migrate"], url, once=True)
        elif keyed:
            check_key(self._url_of(keyed[0], url), self.settings)
        return url

    def _url_of(self, role: str, url: str) -> str:
        """The database's address for a part: under its own PostgreSQL role, where it has one. The demonstration's sandbox, which
        plays Meta and moves the clock, is the owner."""
        if self.embedded is not None:
            return self.embedded.url_of(role_of(role)) if role in PARTS else url
        return self.settings.database_url_of(role) or url

    # -- roles ---------------------------------------------------------------------------------------------------

    def _start_roles(self, url: str | None) -> None:
        for role in self.roles:
            self._stop_if_asked()
            if role == "engine":
                self._add_engines()
            else:
                assert url is not None
                self._add(role, self.role_command(role), self._url_of(role, url))

    def role_command(self, role: str) -> list[str]:
        """What starts a role."""
        return [sys.executable, "-m", "bot", "_role", role]

    def engine_command(self, one: Listener) -> list[str]:
        """What starts an engine, but for the socket and the model, which are added."""
        return [str(engine_python()), "-m", "bot.engine", "serve"]

    def _add(self, role: str, command: Sequence[str], url: str, once: bool = False) -> None:
        child = Child(role, command, self._environ(role, url), listeners(self.settings, role), once)
        self.children.append(child)
        self._launch(child)

    def _add_engines(self) -> None:
        environ = engine_environ(self.settings.environ)
        wanted = local_engines(self.settings)
        self.engines = Engines(wanted, self.engine_command, environ, self.models, self.settings.engines_dir)
        for child in self.engines.serving:
            self._launch(child)
        self.children += self.engines.serving

    def _environ(self, role: str, url: str) -> dict[str, str]:
        """What `role` may know, and who started it."""
        return {**environ_of(role, self.settings, url, self.extra), PREFIX + "PARENT": str(os.getpid())}

    # -- supervision ---------------------------------------------------------------------------------------------

    def _supervise(self, wake: int) -> None:
        say("démarrage : " + ", ".join(dict.fromkeys(FRENCH[child.role] for child in self.children)))
        while True:
            pause = 0.25 if any(c.listeners and not c.ready for c in self.children) else 5.0
            if self.engines is not None:
                pause = min(pause, LOOK)
            dues = [child.due for child in (*self.children, self._postgres) if child and child.due]
            if dues:
                pause = max(0.0, min(pause, min(dues) - time.monotonic()))
            wait_for(self.engines.readers if self.engines else (), wake, pause)
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 4096)
            self._stop_if_asked()
            self._watch_postgres()
            self._watch_engines()
            for child in list(self.children):
                self._watch(child)

    def _watch_engines(self) -> None:
        if self.engines is None:
            return
        self.engines.look()
        others = [child for child in self.children if not isinstance(child, EngineChild)]
        self.children = [*others, *self.engines.serving]

    def _watch(self, child: Child) -> None:
        now = time.monotonic()
        if child.running:
            if child.listeners and not child.ready and child.listens():
                child.ready = True
                say(f"prêt : {FRENCH[child.role]}, {' '.join(one.url for one in child.listeners)}")
            elif child.ready and child.hangs(now):
                say(f"{FRENCH[child.role]} : ne répond plus, arrêt forcé.")
                child.signal(signal.SIGKILL)
            return
        code = child.process.returncode if child.process is not None else 0
        if child.once and code == 0:
            self.children.remove(child)
        elif child.due == 0.0:
            pause = child.next_delay(now)
            say(f"{FRENCH[child.role]} : arrêt inattendu ({_reason(code)}), nouveau départ dans {_seconds(pause)}.")
        elif now >= child.due:
            child.due, child.ready = 0.0, False
            if self.engines is not None and isinstance(child, EngineChild):
                self.engines.again(child)
            self._launch(child)

    def _launch(self, child: Child) -> None:
        """Start a process, or try again a little later: a machine that lacks memory for a moment must not end the others."""
        try:
            child.start()
        except (OSError, subprocess.SubprocessError) as error:
            now = time.monotonic()
            child.started = now  # the pauses get longer
            pause = child.next_delay(now)
            why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else type(error).__name__
            say(f"{FRENCH[child.role]} : ne démarre pas ({why}), nouvel essai dans {_seconds(pause)}.")

    def _watch_postgres(self) -> None:
        if self.embedded is None or self._postgres is None or self.embedded.pid is not None:
            return
        now = time.monotonic()
        if self._postgres.due == 0.0:
            pause = self._postgres.next_delay(now)
            say(f"base de données : arrêt inattendu, nouveau départ dans {_seconds(pause)}.")
        elif now >= self._postgres.due:
            self._postgres.due, self._postgres.started = 0.0, now
            try:
                self.embedded.restart()
            except Explained as error:
                complain(error)

    # -- the end -------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        every: list[Child] = [child for child in self.children if not isinstance(child, EngineChild)]
        every += self.engines.all if self.engines else []
        living = [child for child in every if child.running]
        if living:
            say("arrêt en cours…")
        # The engine last: a turn that is being finished still needs it.
        for group, grace in (
            ([c for c in living if c.role != "engine"], GRACE),
            ([c for c in living if c.role == "engine"], ENGINE_GRACE),
        ):
            for child in group:
                child.signal(signal.SIGTERM)
            deadline = time.monotonic() + grace
            while any(c.running for c in group) and time.monotonic() < deadline and self.stopping < 2:
                time.sleep(0.02)
            for child in group:
                child.signal(signal.SIGKILL)
            for child in group:
                if child.process is not None:
                    child.process.wait()
        if self.embedded is not None:
            self.embedded.stop()

    def _stop_if_asked(self) -> None:
        if self.stopping:
            raise _StopAsked

    @contextlib.contextmanager
    def _signals(self) -> Iterator[int]:
        """SIGTERM, SIGINT and SIGHUP ask for the end; a second one is impatience. Yields what wakes the loop."""
        read, write = os.pipe()
        os.set_blocking(read, False)
        os.set_blocking(write, False)
        before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)}

        def ask(_number: int, _frame: FrameType | None) -> None:
            self.stopping += 1

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, ask)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        old = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        try:
            yield read
        finally:
            signal.set_wakeup_fd(old)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(read)
            os.close(write)


class _StopAsked(BaseException):
    """A signal asked for the end."""


def _reason(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"code {code}"


def _seconds(pause: float) -> str:
    return f"{pause:.1f}".replace(".", ",") + "\u00a0s"


# -- what `planton doctor` reads -----------------------------------------------------------------------------------


def remember(settings: Settings, extra: Mapping[str, str]) -> None:
    """Leave the settings of this run beside the embedded database, without any secret: `planton doctor` is called in
    another terminal, whose environment says nothing of them."""
    if not settings.embedded:
        return
    given = Settings({**settings.environ, **extra})
    hidden = {PREFIX + name + end for name in SECRETS for end in ("", "_FILE")}
    hidden |= {PREFIX + name for name in ("VAR_DIR", *ADDRESSES)}
    kept = {n: v for n, v in given.environ.items() if n.startswith(PREFIX) and n not in hidden}
    for name in SECRETS:
        file = given.secret_file(name)
        if file is not None and name == "DATA_KEY" and not given.environ.get(CREDENTIALS):
            kept[f"{PREFIX}{name}_FILE"] = str(file.absolute())  # whether it opens what is stored
        elif given.has(name):
            kept[PREFIX + name] = GIVEN
    if given.has("ALERT_URLS") and f"{PREFIX}ALERT_URLS_FILE" not in kept:
        kept[f"{PREFIX}ALERT_URLS"] = GIVEN  # somebody is told, whoever it is
    draft = settings.var_dir / ".running.json"
    draft.write_text(json.dumps(kept), encoding="utf-8")
    draft.chmod(0o600)
    draft.replace(settings.var_dir / "running.json")


def recall(settings: Settings) -> Settings:
    """The settings with which the embedded database's owner runs, if it runs; what is given here goes first."""
    if not settings.embedded or not Embedded(settings.var_dir).held:
        return settings
    with contextlib.suppress(OSError, ValueError):
        kept = json.loads((settings.var_dir / "running.json").read_text(encoding="utf-8"))
        given_here = filter(settings.has, SECRETS)
        twice = {PREFIX + name + end for name in given_here for end in ("", "_FILE")}
        return Settings({**{n: v for n, v in kept.items() if n not in twice}, **settings.environ})
    return settings


# -- parts that other commands use -------------------------------------------------------------------------------


def engine_python() -> Path:
    """The interpreter of the engine's environment."""
    return ROOT / ".venv-engine" / "bin" / "python"


def check_engine() -> None:
    """Raise SetupError when the engine is not installed or has no model."""
    if not engine_python().exists():
        raise SetupError("Le moteur n’est pas installé.", "Faites : make install")
    if not any(MODELS.glob("*.tar.gz")):
        raise SetupError("Aucun modèle n’est entraîné.", "Faites : planton train")


def engine_environ(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for what runs inside Rasa: only what it needs, so no secret of ours or of others; nothing sent home."""
    given = os.environ if environ is None else environ
    return {
        **program.harmless(given),
        **{name: given[name] for name in _ENGINE_NAMES if name in given},
        "RASA_TELEMETRY_ENABLED": "false",
        "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        PREFIX + "PARENT": str(os.getpid()),
    }


def migrate(url: str) -> bool:
    """Bring the schema up to date; False when the database does not answer."""

    async def upgrade() -> None:
        database = Database(url, size=1)
        try:
            await database.migrate()
        finally:
            await database.close()

    try:
        asyncio.run(upgrade())
    except (psycopg.OperationalError, SQLAlchemyError, OSError) as error:
        cause = getattr(error, "orig", error)
        if isinstance(cause, psycopg.OperationalError | OSError | TimeoutError):
            return False
        raise SetupError(
            f"Le schéma de la base ne se met pas à jour ({type(cause).__name__}).", _schema_remedy()
        ) from None
    return True


def migrate_or_wait(url: str, parts: Sequence[str]) -> bool:
    """`migrate` by the owner; where its address is not for this machine or account, a part's own one tells whether the schema is
    up to date. False when none answers. Raises SchemaWaits when the owner has to bring it up to date first."""
    return migrate(url) or any(migrate(part) for part in dict.fromkeys(parts) if part != url)


def check_key(url: str, settings: Settings) -> None:
    """Raise SettingsError when the database belongs to an installation with another DATA_KEY."""

    async def check() -> None:
        database = Database(url, size=1)
        try:
            async with database.begin() as connection:
                await facts.check_key(connection, Codec(settings.secret("DATA_KEY")))
        finally:
            await database.close()

    with contextlib.suppress(psycopg.OperationalError, SQLAlchemyError, OSError):  # it went away: the roles wait for it
        asyncio.run(check())


def _schema_remedy() -> str:
    return "Vérifiez que l’utilisateur de PLANTON_DATABASE_URL peut créer des tables."


def run(settings: Settings, roles: Sequence[str]) -> int:
    """`planton run [role …]`."""
    names = tuple(roles) or ROLES
    return Launcher(settings, names, {PREFIX + "ROLES": ",".join(names)}).run()
