"""The wall around the engines that the trainer and the console start: trainers' files and models run code in them.

Behind it a process finds no secret in its environment, no file but the program, the interpreter and what it is given, one folder
to write to, no process but its own, and no network: neither PostgreSQL nor another service of this machine. It talks over its
standard streams, or a Unix socket in its folder. Three ways, the first that works here: bubblewrap; an account of its own, for
root; none, which is said wherever it matters. Nothing is believed without a try: `choose` starts the engine's interpreter in it.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import pwd
import resource
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.core.errors import SetupError

AUTO, BWRAP, ACCOUNT, NONE = "auto", "bwrap", "compte", "aucun"
WAYS = (AUTO, BWRAP, ACCOUNT, NONE)
NAME = "planton-essai"  # the account; no other process of ours has it, and it owns nothing
MEMORY = 8 << 30  # bytes that each process may hold
FILE = 4 << 30  # bytes of a file
PROCESSES, DESCRIPTORS = 512, 1024
PATIENCE = 20  # seconds for the try
# What every program needs of the machine. No /etc as such, no /var, /run, /home, /root, /srv.
_MACHINE = ("/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/sys/devices/system/cpu")
_PROCESSOR = ("/proc/cpuinfo", "/proc/meminfo", "/proc/stat")  # without which ONNX does not start
_NEW_PRIVILEGES = 38  # PR_SET_NO_NEW_PRIVS
_SHORT = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)  # of something that comes back
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Program:
    """What an engine consists of: `python`, its interpreter; `code`: the folders of the program."""

    python: Path
    code: Sequence[Path]

    @property
    def files(self) -> list[Path]:
        """All of it: the environment of the interpreter, and the interpreter itself."""
        home = self.python.resolve().parent.parent
        own = [] if str(home) == "/usr" else [home]
        return [*own, self.python.parent.parent, *self.code]


@dataclass(frozen=True)
class Given:
    """What one process is given besides: files and folders to read, at most one folder to write to, where it starts."""

    read: Sequence[Path] = ()
    write: Path | None = None
    cwd: Path | None = None


@dataclass(frozen=True)
class Start:
    """How to start a process: for subprocess.Popen. `prepare`: runs in the child, before the program."""

    words: list[str]
    environ: dict[str, str]
    prepare: Callable[[], None]


@dataclass(frozen=True)
class Wall:
    """`kind`: BWRAP, ACCOUNT or NONE. `network`: whether it is within reach all the same. `proc`: whether the kernel lets the wall
    have a /proc of its own. `missing`: French, why it is no better; empty where nothing is to be wished for."""

    kind: str = NONE
    network: bool = True
    proc: bool = True
    missing: str = ""
    program: Program | None = None
    uid: int = 0
    gid: int = 0

    @property
    def whole(self) -> bool:
        """Whether neither the network, nor our files, nor other processes are within reach."""
        return self.kind != NONE and not self.network

    @property
    def told(self) -> str:
        """What holds for a process behind it, in French: for pages."""
        if self.kind == NONE:
            return (
                "Attention : ce moteur n’est pas isolé sur cette machine. "
                "Il a le réseau, et les droits de Planton sur les fichiers."
            )
        if self.network:
            return (
                "Ce moteur tourne sous un compte à lui, sans secret ni droit sur les fichiers de Planton. "
                "Attention : il garde le réseau de cette machine."
            )
        return "Ce moteur tourne à part : sans réseau, sans secret et sans la base de données."

    def start(
        self,
        command: Sequence[str | Path],
        environ: Mapping[str, str],
        given: Given,
        then: Callable[[], None] = lambda: None,
    ) -> Start:
        """`environ`: already without secrets. `then`: what else the child does first (priority, death with its parent)."""
        words = [str(word) for word in command]
        scratch = str(given.write or "/tmp")  # noqa: S108 (behind the wall)
        if self.kind == NONE:
            return Start(words, dict(environ), functools.partial(_prepare, then))
        own = {**environ, "HOME": scratch, "TMPDIR": scratch}
        if self.kind == ACCOUNT:
            if given.write is not None:
                os.chown(given.write, self.uid, self.gid)
            return Start(words, own, functools.partial(_as_account, then, self.uid, self.gid, not self.network))
        return Start([*self._bwrap(given), "--", *words], own, functools.partial(_prepare, then))

    def _bwrap(self, given: Given) -> list[str]:
        found = ["bwrap", "--unshare-user-try", "--unshare-ipc", "--unshare-pid", "--unshare-net"]
        found += ["--die-with-parent", "--new-session", "--cap-drop", "ALL"]
        found += ["--proc", "/proc"] if self.proc else ["--tmpfs", "/proc"]
        found += ["--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run"]  # noqa: S108
        for place in (*_MACHINE, *(() if self.proc else _PROCESSOR)):
            found += ["--ro-bind-try", place, place]
        for path in [*(self.program.files if self.program else ()), *given.read]:
            found += ["--ro-bind", str(path), str(path)]
        if given.write is not None:
            found += ["--bind", str(given.write), str(given.write)]
        return [*found, "--remount-ro", "/", "--chdir", str(given.cwd or "/")]


OPEN = Wall()


def choose(way: str, program: Program) -> Wall:
    """The wall that holds here. Raises SetupError where `way` demands one that does not, or the machine is too busy to tell."""
    why: list[str] = []
    if way in (AUTO, BWRAP):
        wall, no = _try_bwrap(program)
        if wall is not None:
            return wall
        why.append(no)
    if way in (AUTO, ACCOUNT):
        wall, no = _try_account(program)
        if wall is not None:
            return wall
        why.append(no)
    if way in (BWRAP, ACCOUNT):
        raise SetupError(
            f"Les moteurs de l’atelier ne peuvent pas être isolés par « {way} » : {why[0]}.",
            "Installez ce qui manque (docs/exploitation.md, « Les moteurs de l’atelier »), ou changez PLANTON_ENGINE_WALL.",
        )
    return Wall(missing=" ; ".join(why) or "ENGINE_WALL=aucun")


# -- tries ----------------------------------------------------------------------------------------------------------


def _try_bwrap(program: Program) -> tuple[Wall | None, str]:
    if shutil.which("bwrap") is None:
        return None, "bubblewrap n’est pas installé (apt install bubblewrap)"
    said = ""
    for proc in (True, False):  # some containers and units hide parts of /proc, and forbid another one then
        wall = Wall(BWRAP, network=False, proc=proc, program=program)
        said = _tried(wall, program) or ""
        if not said:
            return wall, ""
    return None, f"bubblewrap ne démarre pas ici ({said})"


def _try_account(program: Program) -> tuple[Wall | None, str]:
    if os.geteuid() != 0:
        return None, "un compte à part demande d’être root"
    found = _account()
    if found is None:
        return None, f"le compte « {NAME} » n’existe pas (useradd --system {NAME})"
    said = ""
    for network in (False, True):
        missing = "" if not network else "le noyau ne donne pas ici de réseau à part"
        wall = Wall(ACCOUNT, network, program=program, missing=missing, uid=found.pw_uid, gid=found.pw_gid)
        said = _tried(wall, program) or ""
        if not said:
            return wall, ""
    return None, f"le compte « {NAME} » ne peut pas lancer le moteur ({said})"


def _account() -> pwd.struct_passwd | None:
    """Created where it is missing, as the embedded database's is."""
    with_tool = shutil.which("useradd", path="/usr/sbin:/sbin")
    for _ in range(2):
        try:
            return pwd.getpwnam(NAME)
        except KeyError:
            if with_tool is None:
                return None
        options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        try:
            subprocess.run(
                [with_tool, *options, "--shell", "/usr/sbin/nologin", NAME],
                check=False,
                capture_output=True,
                timeout=PATIENCE,
            )
        except subprocess.TimeoutExpired:
            raise _later() from None
    return None


def _tried(wall: Wall, program: Program) -> str | None:
    """What stands in the way, in the words of whoever refuses; None: the interpreter ran behind it, and saw the program."""
    sees = "import os, sys; sys.exit(any(not os.access(p, os.R_OK) for p in sys.argv[1:]))"
    start = wall.start(
        [program.python, "-c", sees, *program.code], {"PATH": os.environ.get("PATH", os.defpath)}, Given()
    )
    try:
        done = subprocess.run(
            start.words,
            env=start.environ,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
            preexec_fn=start.prepare,
        )
    except subprocess.TimeoutExpired:
        raise _later() from None
    except (OSError, subprocess.SubprocessError) as error:
        if isinstance(error, OSError) and error.errno in _SHORT:
            raise _later() from None
        return type(error).__name__
    if done.returncode == 0:
        return None
    return (done.stderr.strip().splitlines() or ["le programme n’y est pas lisible"])[-1][:200]


def _later() -> SetupError:
    """Nothing is known of a wall that could not be tried: no engine runs without for that."""
    return SetupError(
        "L’isolement des moteurs de l’atelier n’a pas pu être essayé : la machine est trop occupée.",
        "Réessayez plus tard ; si cela dure, voyez docs/exploitation.md, « Les moteurs de l’atelier ».",
    )


# -- in the child ---------------------------------------------------------------------------------------------------


def _prepare(then: Callable[[], None]) -> None:
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_DATA, MEMORY),
        (resource.RLIMIT_FSIZE, FILE),
        (resource.RLIMIT_NOFILE, DESCRIPTORS),
    ):
        hard = resource.getrlimit(what)[1]
        low = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (low, low))
    then()


def _as_account(then: Callable[[], None], uid: int, gid: int, apart: bool) -> None:
    if apart:
        os.unshare(os.CLONE_NEWNET | os.CLONE_NEWIPC)
    resource.setrlimit(resource.RLIMIT_NPROC, (PROCESSES, PROCESSES))
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    _libc.prctl(_NEW_PRIVILEGES, 1, 0, 0, 0)
    _prepare(then)  # last: a change of account forgets the wish to die with the parent
