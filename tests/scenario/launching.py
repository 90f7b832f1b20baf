"""`planton run` as it is run: real roles in real processes, for tests that end them in every rude way."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.fakes.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
ROLES = ("gateway", "worker", "sender", "console")  # the engine, slow to start, has its own tests
TOKEN = "PLANTON_META_PAGE_TOKEN=secret-page-token"


def eventually(true: Callable[[], bool], seconds: float, every: float = 0.05) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(every)
    return true()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@dataclass
class Run:
    """One launcher."""

    process: subprocess.Popen[bytes]
    errors: Path
    gateway: str

    @property
    def said(self) -> str:
        return self.errors.read_text().replace("\u00a0", " ")

    def tree(self) -> dict[int, str]:
        """Every process that descends from the launcher, without it: pid and command line."""
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        found: dict[int, str] = {}
        newest = {self.process.pid}
        while newest:
            newest = {pid for pid, parent in parents.items() if parent in newest}
            for pid in newest:
                with contextlib.suppress(OSError):
                    found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def child(self, words: str) -> int:
        """The pid of the child whose command line holds these words."""
        return next(pid for pid, command in self.tree().items() if words in command)

    def ready(self, seconds: float = 300) -> bool:
        return eventually(lambda: self.said.count("prêt :") >= 3 and answers(f"{self.gateway}/healthz"), seconds)


@dataclass
class Machine:
    """Where launchers run: a folder and ports."""

    folder: Path
    environ: dict[str, str]
    runs: list[Run] = field(default_factory=list)

    def run(self, *roles: str, **changes: str | None) -> Run:
        environ = {**self.environ}
        for name, value in changes.items():
            environ.pop(f"PLANTON_{name}", None)
            if value is not None:
                environ[f"PLANTON_{name}"] = value
        errors = self.folder / f"errors-{len(self.runs)}"
        with errors.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "bot", "run", *roles],
                cwd=ROOT,
                env=environ,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        self.runs.append(Run(process, errors, f"http://127.0.0.1:{environ['PLANTON_GATEWAY_PORT']}"))
        return self.runs[-1]

    def started(self, *roles: str, **changes: str | None) -> Run:
        run = self.run(*(roles or ROLES), **changes)
        assert run.ready(), run.said
        return run


@contextlib.contextmanager
def machine_in(folder: Path) -> Iterator[Machine]:
    """A machine of which nothing is left running; no part of it lacked a right."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith("PLANTON_")}
    name, _, token = TOKEN.partition("=")
    ports = {f"PLANTON_{n}_PORT": str(free_port()) for n in ("GATEWAY", "CONSOLE", "SENDER", "SANDBOX")}
    settings = {
        "PLANTON_VAR_DIR": str(folder / "var"),
        "PLANTON_META_APP_SECRET": "app-secret",
        "PLANTON_META_VERIFY_TOKEN": "verify",
        "PLANTON_META_PAGE_ID": "100200300",
        "PLANTON_META_GRAPH_URL": f"http://127.0.0.1:{free_port()}/v26.0",
        "PLANTON_ENGINE_URL": f"http://127.0.0.1:{free_port()}",
        name: token,
    }
    machine = Machine(folder, {**ours, **ports, **settings})
    yield machine
    for run in machine.runs:
        descendants = list(run.tree())
        if run.process.poll() is None:
            run.process.terminate()
            try:
                run.process.wait(60)
            except subprocess.TimeoutExpired:
                run.process.kill()
                run.process.wait()
        for pid in descendants:
            if alive(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    log = folder / "var" / "postgres.log"
    assert not log.exists() or "permission denied" not in log.read_text(errors="replace"), (
        "bot/store/grants.py lacks a right"
    )
