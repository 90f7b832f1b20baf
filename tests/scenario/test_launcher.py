"""`planton run` as it is run: real roles in real processes, ended in every rude way."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from bot.app.launcher import engine_environ
from bot.settings import KNOWN
from bot.store.embedded import Embedded
from tests.fakes.ports import free_port

pytestmark = pytest.mark.alone

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


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with machine_in(tmp_path) as machine:
        yield machine


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One that has started, for tests that leave it running."""
    with machine_in(tmp_path_factory.mktemp("running")) as machine:
        machine.started()
        yield machine


def test_everything_starts_says_where_and_ends_at_sigterm(machine: Machine) -> None:
    run = machine.started()
    children = run.tree()
    assert any("bin/postgres" in command for command in children.values())
    for role in ROLES:
        assert alive(run.child(f"_role {role}"))
    for name in ("GATEWAY", "CONSOLE", "SENDER"):
        assert f"http://127.0.0.1:{machine.environ[f'PLANTON_{name}_PORT']}" in run.said
    group = os.getpgid(run.process.pid)
    postmaster = run.child("bin/postgres")
    roles = [run.child(f"_role {role}") for role in ROLES]
    assert {os.getpgid(pid) for pid in (postmaster, *roles)} == {group}

    parts, found = {(f"planton_{role}", role) for role in ROLES}, set[tuple[str, str]]()
    with psycopg.connect(Embedded(machine.folder / "var").url, autocommit=True) as owner:
        for _ in range(2400):  # no part that answers a port waits for a worker's first connection
            rows = owner.execute(
                "SELECT usename, application_name FROM pg_stat_activity WHERE application_name LIKE 'planton-%'"
            )
            found = {(role, name.removeprefix("planton-").partition("-")[0]) for role, name in rows}
            if parts <= found:
                break
            time.sleep(0.1)
    assert parts <= found  # each under its own PostgreSQL role, what has no part in its name included
    assert {role for role, _ in found} == {role for role, _ in parts}

    run.process.terminate()
    assert run.process.wait(60) == 0
    assert [pid for pid in children if alive(pid)] == []
    assert "Traceback" not in run.said


def test_only_the_sender_holds_the_page_token(running: Machine) -> None:
    run = running.runs[0]
    holders = [
        role
        for role in ROLES
        if TOKEN.encode() in Path(f"/proc/{run.child(f'_role {role}')}/environ").read_bytes().split(b"\0")
    ]
    assert holders == ["sender"]
    for written in (running.folder / "var").glob("*.json"):
        assert "secret-page-token" not in written.read_text()
        assert "app-secret" not in written.read_text()


def test_the_engine_is_told_no_secret() -> None:
    secret = {f"PLANTON_{name}": "x" for name in (*KNOWN, "A_SECRET_OF_TOMORROW") if name != "TIMEZONE"}
    others = {"AWS_SECRET_ACCESS_KEY": "x", "PGPASSWORD": "x", "CREDENTIALS_DIRECTORY": "/run/credentials"}
    seen = engine_environ(
        {**secret, **others, "PATH": "/bin", "PYTHONDONTWRITEBYTECODE": "1", "PLANTON_TIMEZONE": "Europe/Paris"}
    )
    assert not (secret | others).keys() & seen.keys()
    assert "PYTHONDONTWRITEBYTECODE" not in seen
    assert seen["PLANTON_TIMEZONE"] == "Europe/Paris"
    assert seen["RASA_TELEMETRY_ENABLED"] == "false"


def test_killed_it_takes_everything_with_it_and_starts_again_one_second_later(machine: Machine) -> None:
    first = machine.started()
    children = list(first.tree())
    assert len(children) > 4
    first.process.kill()
    first.process.wait()
    assert eventually(lambda: not any(alive(pid) for pid in children), 30), first.said
    time.sleep(1)
    second = machine.started()
    assert alive(second.process.pid)


def test_everything_killed_at_once_starts_again(machine: Machine) -> None:
    first = machine.started()
    children = list(first.tree())
    os.killpg(first.process.pid, signal.SIGKILL)
    first.process.wait()
    time.sleep(1)
    machine.started()
    assert not any(alive(pid) for pid in children)


def test_a_role_that_dies_is_started_again(running: Machine) -> None:
    run = running.runs[0]
    pid = run.child("_role gateway")
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: "passerelle : arrêt inattendu (signal 9), nouveau départ dans 0,2 s" in run.said, 30)
    assert eventually(lambda: run.said.count("prêt : passerelle") == 2 and answers(f"{run.gateway}/healthz"), 60)
    assert run.child("_role gateway") != pid


def test_postgres_that_dies_is_started_again_and_the_roles_find_it(running: Machine) -> None:
    run = running.runs[0]
    gateway = run.child("_role gateway")
    os.kill(run.child("bin/postgres"), signal.SIGKILL)
    url = Embedded(running.folder / "var").url
    assert eventually(lambda: "base de données : arrêt inattendu" in run.said, 30)

    def back() -> bool:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            return False
        return True

    assert eventually(back, 30)
    assert alive(gateway)


def test_a_taken_port_is_one_line_before_anything_starts(machine: Machine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(machine.environ["PLANTON_GATEWAY_PORT"])))
        taken.listen()
        run = machine.run(*ROLES)
        assert run.process.wait(60) == 2
    port = machine.environ["PLANTON_GATEWAY_PORT"]
    assert run.said.splitlines() == [
        f"planton : Le port {port} est déjà pris. Libérez-le, ou donnez-en un autre avec PLANTON_GATEWAY_PORT."
    ]
    assert not (machine.folder / "var" / "postgres").exists()


def test_two_ports_alike_are_one_line(machine: Machine) -> None:
    run = machine.run(*ROLES, CONSOLE_PORT=machine.environ["PLANTON_GATEWAY_PORT"])
    assert run.process.wait(60) == 2
    assert "PLANTON_CONSOLE_PORT et PLANTON_GATEWAY_PORT donnent le même port" in run.said
    assert len(run.said.splitlines()) == 1


def test_a_second_launcher_on_the_same_folder_gets_one_line(running: Machine) -> None:
    first = running.runs[0]
    second = running.run("worker")
    assert second.process.wait(60) == 2
    assert len(second.said.splitlines()) == 1
    assert "utilise déjà le dossier" in second.said
    assert "PLANTON_VAR_DIR" in second.said
    assert first.process.poll() is None


def test_every_missing_setting_is_one_line_with_its_remedy(machine: Machine) -> None:
    run = machine.run(*ROLES, META_PAGE_TOKEN=None, META_VERIFY_TOKEN=None, DEBOUNCE_MS="vite")
    assert run.process.wait(60) == 2
    lines = run.said.splitlines()
    assert len(lines) == 3
    assert any("PLANTON_META_PAGE_TOKEN : ce réglage manque. Voyez" in line for line in lines)
    assert any("PLANTON_META_VERIFY_TOKEN : ce réglage manque." in line for line in lines)
    assert any("PLANTON_DEBOUNCE_MS : « vite » n’est pas un nombre entier" in line for line in lines)


def test_a_role_asks_only_for_its_own_settings(machine: Machine) -> None:
    run = machine.run("console", META_PAGE_TOKEN=None, META_VERIFY_TOKEN=None, META_APP_SECRET=None, META_PAGE_ID=None)
    assert eventually(lambda: "prêt : console" in run.said, 60), run.said


def test_control_c_reaches_everyone_at_once_and_still_ends_calmly(machine: Machine) -> None:
    run = machine.started()
    children = run.tree()
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.process.wait(60) == 0
    assert [pid for pid in children if alive(pid)] == []
    assert "Traceback" not in run.said
    assert "tout est arrêté" in run.said


def test_a_database_that_is_away_at_the_start_is_awaited(machine: Machine) -> None:
    elsewhere = Embedded(machine.folder / "other", {"shared_buffers": "16MB"})
    secrets = {"SECRET_KEY": "k" * 40, "METRICS_TOKEN": "m", "DATA_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}
    run = machine.run(*ROLES, DATABASE_URL=elsewhere.url, **secrets)
    assert eventually(lambda: "la base de données ne répond pas" in run.said, 60), run.said
    assert eventually(lambda: answers(f"{run.gateway}/healthz"), 60), run.said
    with elsewhere:

        def migrated() -> bool:
            with psycopg.connect(elsewhere.url) as connection:
                row = connection.execute("SELECT to_regclass('events') IS NOT NULL").fetchone()
            return row == (True,)

        assert eventually(migrated, 60), run.said
        run.process.terminate()
        assert run.process.wait(60) == 0
