"""Code that a trainer's file or a model brings along, behind each wall: what it finds, and what it does not."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import pytest

from bot.app import trial as wired
from bot.app import wall as settled
from bot.app.launcher import engine_environ
from bot.app.wall import engine_program, wall
from bot.core.clock import SystemClock
from bot.core.errors import SetupError
from bot.settings import Settings
from bot.trainer import wall as walls
from bot.trainer.trial import READY, CandidateEngine, State
from bot.trainer.wall import ACCOUNT, AUTO, BWRAP, NONE, OPEN, Given, Program, Wall, choose
from tests.trainer.conftest import Trained

SAID = "Ce moteur tourne à part : sans réseau, sans secret et sans la base de données."
TRIES = {
    "environment",
    "secret",
    "parent",
    "signal",
    "database",
    "tcp",
    "abstract",
    "outside",
    "program",
    "own",
    "given",
}
PYTHON = Path("/usr/bin/python3")  # Debian's: an account may run it wherever ours lies
HOSTILE = """
import json, os, pathlib, socket, sys
place = json.loads(sys.argv[1])

def reach(family, address):
    with socket.socket(family) as one:
        one.settimeout(5)
        one.connect(address)
    return True

def write(path):
    pathlib.Path(path, "trace").write_text("x")
    return True

tries = {
    "environment": lambda: any("caché" in value for value in os.environ.values()),
    "secret": lambda: "caché" in pathlib.Path(place["secret"]).read_text(),
    "parent": lambda: bool(pathlib.Path("/proc", str(place["parent"]), "environ").read_bytes()),
    "signal": lambda: os.kill(place["parent"], 0) is None,
    "database": lambda: reach(socket.AF_UNIX, place["database"]),
    "tcp": lambda: reach(socket.AF_INET, ("127.0.0.1", place["port"])),
    "abstract": lambda: reach(socket.AF_UNIX, chr(0) + place["abstract"]),
    "outside": lambda: write(place["outside"]),
    "program": lambda: write(place["program"]),
    "own": lambda: write(place["own"]),
    "given": lambda: pathlib.Path(place["given"]).read_text() == "un modèle",
}
done = {}
for name, attempt in tries.items():
    try:
        done[name] = bool(attempt())
    except Exception:
        done[name] = False
print(json.dumps(done))
"""


@dataclass(frozen=True)
class Surroundings:
    """What a machine of Planton's has, and who must not have it. `tries`: its places, for the hostile program."""

    folder: Path
    tries: dict[str, object]

    def run(self, behind: Wall) -> set[str]:
        """Everything that the hostile program succeeded in."""
        own, given, code = self.folder / "sien", self.folder / "donné", self.folder / "programme"
        environ = engine_environ({"PATH": "/usr/bin:/bin", "PGPASSWORD": "caché", "PLANTON_DATA_KEY": "caché"})
        start = behind.start([PYTHON, "-c", HOSTILE, json.dumps(self.tries)], environ, Given([given], own, code))
        done = subprocess.run(
            start.words,
            env=start.environ,
            cwd="/",
            capture_output=True,
            text=True,
            preexec_fn=start.prepare,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return {name for name, succeeded in json.loads(done.stdout).items() if succeeded}


@pytest.fixture
def machine() -> Iterator[Surroundings]:
    """Outside pytest's own folders, into which only we may look."""
    folder = Path(tempfile.mkdtemp(prefix="mur-"))
    folder.chmod(0o755)
    for name in ("sien", "dehors", "programme"):
        (folder / name).mkdir()
    (folder / "base").mkdir(mode=0o700)
    (folder / "secret").write_text("caché")
    (folder / "secret").chmod(0o600)
    (folder / "donné").write_text("un modèle")
    abstract = f"planton-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as database,
        socket.socket(socket.AF_UNIX) as named,
    ):
        database.bind(str(folder / "base" / ".s.PGSQL.5432"))
        named.bind("\0" + abstract)
        for one in (database, named):
            one.listen()
        yield Surroundings(
            folder,
            {
                "secret": str(folder / "secret"),
                "parent": os.getpid(),
                "database": str(folder / "base" / ".s.PGSQL.5432"),
                "port": tcp.getsockname()[1],
                "abstract": abstract,
                "outside": str(folder / "dehors"),
                "program": str(folder / "programme"),
                "own": str(folder / "sien"),
                "given": str(folder / "donné"),
            },
        )
    shutil.rmtree(folder)


def test_without_a_wall_it_finds_all_but_the_environment(machine: Surroundings) -> None:
    """What shows that the tries can succeed."""
    assert machine.run(OPEN) == TRIES - {"environment"}


@pytest.mark.parametrize("proc", [True, False])
def test_behind_bubblewrap_it_has_what_it_was_given(machine: Surroundings, proc: bool) -> None:
    found = choose(BWRAP, Program(PYTHON, [machine.folder / "programme"]))
    assert (found.kind, found.whole, found.told) == (
        BWRAP,
        True,
        "Ce moteur tourne à part : sans réseau, sans secret et sans la base de données.",
    )
    assert machine.run(replace(found, proc=proc)) == {"own", "given"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a process another account")
def test_behind_an_account_it_has_no_right_to_what_is_ours(machine: Surroundings) -> None:
    found = choose(ACCOUNT, Program(PYTHON, [machine.folder / "programme"]))
    kept = {"tcp", "abstract"} if found.network else set()  # where the kernel gives root no network apart
    assert ("Attention" in found.told) == bool(kept)
    assert machine.run(found) == {"own", "given"} | kept
    assert machine.run(replace(found, network=True)) == {"own", "given", "tcp", "abstract"}


def test_nothing_is_believed_without_a_try(machine: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program(PYTHON, [machine.folder / "programme"])
    (machine.folder / "bwrap").write_text("#!/bin/sh\necho 'No permissions to create new namespace' >&2\nexit 1\n")
    (machine.folder / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(machine.folder), prepend=":")
    monkeypatch.setattr(walls, "_account", lambda: None)
    with pytest.raises(SetupError, match="isolés par « bwrap » : bubblewrap ne démarre pas ici \\(No permissions"):
        choose(BWRAP, program)
    with pytest.raises(SetupError, match="« compte »"):
        choose(ACCOUNT, program)
    found = choose(AUTO, program)
    assert found.kind == NONE
    assert "No permissions" in found.missing
    assert found.told.startswith("Attention : ce moteur n’est pas isolé")
    assert choose(NONE, program).kind == NONE


def test_a_bad_moment_is_not_taken_for_a_missing_wall(machine: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program(PYTHON, [machine.folder / "programme"])
    monkeypatch.setattr(settled, "engine_program", lambda: program)
    monkeypatch.setattr(settled, "_whole", {})
    for error in (subprocess.TimeoutExpired("bwrap", 20), OSError(errno.EAGAIN, "fork")):
        with monkeypatch.context() as busy:
            busy.setattr(subprocess, "run", mock.Mock(side_effect=error))
            with pytest.raises(SetupError, match="trop occupée"):
                wall(Settings({"PLANTON_ENGINE_WALL": "auto"}))
    with monkeypatch.context() as without:
        without.setattr(walls, "_tried", lambda wall, program: "no")
        assert wall(Settings({"PLANTON_ENGINE_WALL": "auto"})).kind == NONE
    assert wall(Settings({"PLANTON_ENGINE_WALL": "auto"})).whole  # the next engine has it
    monkeypatch.setattr(settled, "choose", mock.Mock(side_effect=AssertionError))
    assert wall(Settings({"PLANTON_ENGINE_WALL": "auto"})).whole  # and it is tried once


async def test_a_real_candidate_answers_from_behind_the_wall(trained: Trained, tmp_path: Path) -> None:
    """Trainings and measures went through it already (`trained`)."""
    assert wall() == choose(BWRAP, engine_program())
    _, engine = wired.trial(Settings(), None, SystemClock(), lambda: None)  # type: ignore[arg-type, return-value]
    assert isinstance(engine, CandidateEngine)

    async def nothing() -> None:
        return None

    async def room(starts: bool) -> str | None:
        return None

    engine._folder, engine._room, engine._tell = tmp_path, room, nothing
    try:
        await engine.start(trained.candidate, "Inès")
        async with asyncio.timeout(180):
            while engine.state.phase != READY:
                assert engine.state.lives, engine.state.failure
                await asyncio.sleep(0.1)
        assert (await engine.turn("bonjour", None)).understanding.intent
        assert apart(engine.state, engine._process)
    finally:
        await engine.close()


def apart(state: State, process: subprocess.Popen[bytes] | None) -> bool:
    """Whether what the page says holds for every process that the engine consists of."""
    assert process is not None
    assert state.wall == SAID
    inside = walled(process.pid)
    assert inside
    ours = os.readlink("/proc/self/ns/net")
    return all(os.readlink(f"/proc/{pid}/ns/net") != ours for pid in inside)


def walled(pid: int) -> list[int]:
    """The engine's processes: bubblewrap's own descendants."""
    found = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*found, *(below for one in found for below in walled(one))]
