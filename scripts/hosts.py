"""Separate hosts on one machine: each has a network namespace, a name and a share of the processors of its own.

with Lan() as lan:
    database = lan.host("db", 10)
    database.start(["postgres", …], {…})
    database.cut(worker)      # nothing between the two arrives any more, and nothing says so
    database.lose()           # as a power cut: all processes gone, the cable out

Needs root, `ip` (iproute2) and a writable cgroup hierarchy of `cpu`. Everything is removed at the end; what a run that was
killed left behind goes at the start of the next.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from bot.core.errors import SetupError
from bot.store.embedded import die_with_parent

PREFIX, NET = "plm-", "10.77.0"
NOWHERE = "02:00:00:00:00:fe"  # nobody's address: frames to it are lost without a word
PERIOD = 100_000  # microseconds: of a share of the processors
GROUPS = Path("/sys/fs/cgroup")


def missing() -> list[str]:
    """What keeps this machine from playing several, one French line each; empty when nothing does."""
    found = []
    if os.geteuid() != 0:
        found.append(
            "Il faut être root : les espaces de noms réseau et les quotas le demandent (sudo make bench-machines)."
        )
    if shutil.which("ip") is None:
        found.append("La commande « ip » manque. Sous Debian : apt install iproute2")
    if shutil.which("nginx") is None:
        found.append("nginx manque. Sous Debian : apt install nginx-light")
    if not found:
        if subprocess.run(["ip", "netns", "add", f"{PREFIX}try"], capture_output=True).returncode:
            found.append("Ce noyau ou ce conteneur ne permet pas d’espace de noms réseau (ip netns add est refusé).")
        subprocess.run(["ip", "netns", "del", f"{PREFIX}try"], capture_output=True)
    if not found and _groups() is None:
        found.append(
            "Les groupes de contrôle (cgroup « cpu ») ne sont pas inscriptibles : pas de quota de processeur par machine."
        )
    return found


def _groups() -> Path | None:
    """The hierarchy in which a group with a quota can be made, or None."""
    for base in (GROUPS, GROUPS / "cpu", GROUPS / "cpu,cpuacct"):
        trial = base / f"{PREFIX}try-{os.getpid()}"
        with contextlib.suppress(OSError):
            if base == GROUPS and not (base / "cgroup.controllers").exists():
                continue
            if base == GROUPS:
                (base / "cgroup.subtree_control").write_text("+cpu")
            trial.mkdir()
            usable = (trial / "cpu.max").exists() or (trial / "cpu.cfs_quota_us").exists()
            trial.rmdir()
            if usable:
                return base
    return None


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise SetupError(f"ip {' '.join(words)} : {done.stderr.strip()}", "Voyez scripts/hosts.py.")


class Host:
    """One of the machines. `address`: on the common network; `name`: what its processes take for the machine's name."""

    def __init__(self, name: str, number: int, groups: Path) -> None:
        self.name, self.address = name, f"{NET}.{number}"
        self._space = f"{PREFIX}{name}"
        self._group = groups / self._space
        self._group.mkdir(exist_ok=True)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._cut: set[Host] = set()

    # -- processes -----------------------------------------------------------------------------------------------

    def enter(self) -> None:
        """Take the calling thread's network to this machine; what it opens afterwards is there."""
        with Path("/run/netns", self._space).open() as space:
            os.setns(space.fileno(), os.CLONE_NEWNET)

    def start(
        self, command: Sequence[str], environ: Mapping[str, str], folder: Path, log: Path
    ) -> subprocess.Popen[bytes]:
        """Start a program on this machine; it dies with us. Its output goes to the end of `log`."""
        with_us = die_with_parent(signal.SIGKILL)

        def enter() -> None:
            with_us()
            (self._group / "cgroup.procs").write_text(str(os.getpid()))
            self.enter()
            os.unshare(os.CLONE_NEWUTS)
            socket.sethostname(self.name)

        with log.open("ab") as output:
            process = subprocess.Popen(
                list(command),
                env=dict(environ),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=enter,
            )
        self._processes.append(process)
        return process

    @property
    def pids(self) -> list[int]:
        """All that runs here."""
        return [int(pid) for pid in (self._group / "cgroup.procs").read_text().split()]

    @property
    def running(self) -> bool:
        """Whether what was started last still runs."""
        return bool(self._processes) and self._processes[-1].poll() is None

    def end(self, patience: float = 25.0) -> None:
        """SIGTERM to what was started; what does not end in time is killed."""
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + patience
        while any(process.poll() is None for process in self._processes) and time.monotonic() < deadline:
            time.sleep(0.02)
        self.kill()

    def kill(self) -> None:
        """kill -9 of everything here, until nothing is left."""
        deadline = time.monotonic() + 10
        while (left := self.pids) and time.monotonic() < deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for process in self._processes:
                process.poll()
            time.sleep(0.02)
        for process in self._processes:
            process.wait()
        self._processes.clear()

    def quota(self, cores: float | None) -> None:
        """At most this much of a processor for all that runs here, and that much also where others want it; None: no limit."""
        weight = "cpu.weight" if (self._group / "cpu.weight").exists() else "cpu.shares"
        usual = {"cpu.weight": 100, "cpu.shares": 1024}[weight]
        (self._group / weight).write_text(str(usual if cores is None else 50 * usual))
        if (self._group / "cpu.max").exists():
            (self._group / "cpu.max").write_text(f"{'max' if cores is None else int(cores * PERIOD)} {PERIOD}")
            return
        (self._group / "cpu.cfs_period_us").write_text(str(PERIOD))
        (self._group / "cpu.cfs_quota_us").write_text("-1" if cores is None else str(int(cores * PERIOD)))

    # -- the network ---------------------------------------------------------------------------------------------

    def cut(self, *others: Host) -> None:
        """Nothing arrives between this machine and those, in either direction, and nobody is told."""
        for other in others:
            for one, far in ((self, other), (other, self)):
                _ip(
                    "-n",
                    one._space,
                    "neigh",
                    "replace",
                    far.address,
                    "lladdr",
                    NOWHERE,
                    "nud",
                    "permanent",
                    "dev",
                    "eth0",
                )
            self._cut.add(other)

    def mend(self) -> None:
        """End every cut that was made from here."""
        for other in self._cut:
            for one, far in ((self, other), (other, self)):
                _ip("-n", one._space, "neigh", "del", far.address, "dev", "eth0")
        self._cut.clear()

    def lose(self) -> None:
        """A power cut: first the cable, so that no process can say goodbye, then everything that runs."""
        _ip("-n", self._space, "link", "set", "eth0", "down")
        self.kill()

    def plug(self) -> None:
        """The cable is in again."""
        _ip("-n", self._space, "link", "set", "eth0", "up")

    # -- life ----------------------------------------------------------------------------------------------------

    def make(self, switch: str) -> None:
        """Make the namespace and its cable to the switch."""
        _ip("netns", "add", self._space)
        port = f"{PREFIX}{self.name}"
        _ip("-n", switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", self._space)
        _ip("-n", switch, "link", "set", port, "master", "lan", "up")
        _ip("-n", self._space, "addr", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", self._space, "link", "set", device, "up")

    def remove(self) -> None:
        """End everything, and leave nothing."""
        self.kill()
        subprocess.run(["ip", "netns", "del", self._space], capture_output=True)
        with contextlib.suppress(OSError):
            self._group.rmdir()


class Lan:
    """The machines' network: a bridge in a namespace of its own, so that this machine's network stays as it is."""

    def __init__(self) -> None:
        self.hosts: dict[str, Host] = {}
        self._switch = f"{PREFIX}switch"

    def __enter__(self) -> Lan:
        groups = _groups()
        if groups is None:
            raise SetupError("Les groupes de contrôle ne sont pas inscriptibles.", "Lancez en root.")
        self._groups = groups
        self._alone = Path("/run", f"{PREFIX}lock").open("w")
        try:
            fcntl.flock(self._alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupError("Une autre mesure sur plusieurs machines est en cours ici.", "Attendez sa fin.") from None
        self._sweep()
        _ip("netns", "add", self._switch)
        _ip("-n", self._switch, "link", "add", "lan", "type", "bridge")
        _ip("-n", self._switch, "link", "set", "lan", "up")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for host in self.hosts.values():
            host.remove()
        self._sweep()

    def host(self, name: str, number: int) -> Host:
        """Another machine, with the address NET.number."""
        host = self.hosts[name] = Host(name, number, self._groups)
        host.make(self._switch)
        return host

    def _sweep(self) -> None:
        for group in self._groups.glob(f"{PREFIX}*"):
            for pid in (group / "cgroup.procs").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            with contextlib.suppress(OSError):
                time.sleep(0.05)
                group.rmdir()
        spaces = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
        for line in spaces.splitlines():
            if line.startswith(PREFIX):
                subprocess.run(["ip", "netns", "del", line.split()[0]], capture_output=True)
