"""The candidate model that trainers try in a chat: one engine of its own, started on demand, gone after ten idle minutes.

It is a child of the console, behind a wall (`bot.trainer.wall`), at a lower priority, and dies with it.
Two never run at once on a machine: whoever has one holds
`models/.trial.lock`. What is typed to it is kept nowhere: the dialogue's state travels with each turn, as to any engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Protocol

from bot.core import program
from bot.core.dialogue import Reply, Turn
from bot.core.errors import SetupError
from bot.core.system_errors import reason
from bot.dialogue.client import EngineClient
from bot.store.embedded import die_with_parent
from bot.trainer.candidates import Model
from bot.trainer.errors import Changed, TrainerError
from bot.trainer.wall import OPEN, Given, Wall

log = logging.getLogger("planton.trial")

IDLE = 600.0  # seconds without a turn
PATIENCE = 180.0  # seconds that it may take to start, on a busy machine
LOOK = 0.5  # seconds between looks at it while it starts
WATCH = 5.0  # seconds between looks at it afterwards
NICE = 5  # behind the service
GRACE = 5.0  # seconds to end in
OFF, STARTING, READY, FAILED = "off", "starting", "ready", "failed"

Command = Callable[[Path, Path], Sequence[str]]  # (Unix socket, archive) → what starts an engine
Room = Callable[
    [bool], Awaitable[str | None]
]  # (whether it still has to start) → why there is no memory for it, in French
Tell = Callable[[], Awaitable[None]]  # the pages look again


class TrialError(TrainerError):
    """The candidate cannot be tried now."""


class Taken(Changed):
    """A colleague is trying another one."""


@dataclass(frozen=True)
class Decision:
    """What would be done about a message: as `planton route` says, with what the engine believed. `by`: the detector that saw
    a danger, if one did; `danger`: the engine's chance of one."""

    intent: str | None
    confidence: float
    route: str
    category: str
    replies: tuple[Reply, ...]
    ranking: tuple[tuple[str, float], ...] = ()
    entities: Mapping[str, str] = ()  # type: ignore[assignment]
    danger: float = 0.0
    by: str | None = None


class Judge(Protocol):
    """The policy on what an engine answered; `model`: a candidate, None for the one in service. Blocks: it may read files."""

    def __call__(self, text: str, turn: Turn, model: Model | None, *, begun: bool, handed: bool) -> Decision: ...


@dataclass(frozen=True)
class State:
    """The candidate's engine as it stands. `since`, `used`: seconds of a clock that only grows; `who`: who asked for it."""

    phase: str = OFF
    model: Model | None = None
    who: str = ""
    since: float = 0.0
    used: float = 0.0
    failure: str = ""
    wall: str = ""  # what holds for the process that runs, in French

    @property
    def lives(self) -> bool:
        """Whether there is a process."""
        return self.phase in (STARTING, READY)


class Candidate(Protocol):
    """The port to the candidate's engine."""

    @property
    def state(self) -> State: ...

    async def start(self, model: Model, who: str, replace: bool = False) -> None: ...

    async def stop(self) -> None: ...

    async def turn(self, text: str, state: dict[str, Any] | None, payload: str | None = None) -> Turn: ...


@dataclass(frozen=True)
class Trial:
    """What the page of the trial works with."""

    candidate: Candidate
    judge: Judge


class CandidateEngine:
    """Implements Candidate with a process. Lives in one event loop, whose thread must outlive it."""

    def __init__(
        self,
        command: Command,
        environ: Mapping[str, str],
        folder: Path,
        room: Room,
        tell: Tell,
        idle: float = IDLE,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], Wall] = lambda: OPEN,
    ) -> None:
        """`wall`: what the engine runs behind; asked for at each start, blocks. Raises SetupError."""
        self._wall = wall
        self._place: Path | None = None
        self._command, self._environ, self._folder = command, environ, folder
        self._room, self._tell, self._idle, self._clock = room, tell, idle, clock
        self._state = State()
        self._process: subprocess.Popen[bytes] | None = None
        self._client: EngineClient | None = None
        self._said: IO[bytes] | None = None
        self._lock: IO[bytes] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._one = asyncio.Lock()

    @property
    def state(self) -> State:
        """How it stands."""
        return self._state

    async def start(self, model: Model, who: str, replace: bool = False) -> None:
        """Start an engine with that model; it is ready some seconds later. Raises TrialError, Taken.

        One that a colleague has used lately is only ended if `replace` says so.
        """
        async with self._one:
            now = self._state
            if now.lives and now.model == model:
                self._touch()
                return
            if now.lives and now.who != who and not replace:
                raise Taken(
                    f"{now.who} essaie déjà un autre candidat, et deux prendraient trop de mémoire.",
                    "Demandez-lui, ou remplacez-le.",
                )
            await self._end(State())
            if not model.archive.is_file():
                raise TrialError("Ce candidat n’existe plus.", "Choisissez-en un autre.")
            if (why := await self._room(True)) is not None:
                raise TrialError(why, "Réessayez un peu plus tard.")
            try:
                wall = await asyncio.to_thread(self._wall)
            except SetupError as error:
                raise TrialError(error.what, error.remedy) from None
            self._launch(model, who, wall)
        await self._tell()

    async def stop(self) -> None:
        """End it, if there is one."""
        async with self._one:
            await self._end(State())
        await self._tell()

    async def turn(self, text: str, state: dict[str, Any] | None, payload: str | None = None) -> Turn:
        """Run one turn. Raises TrialError when it is not ready, EngineDown, EngineRefused."""
        client = self._client
        if client is None or self._state.phase != READY:
            raise TrialError("Le candidat n’est pas prêt.", "Attendez qu’il ait démarré.")
        self._touch()
        return await client.turn("essai", text, state, payload)

    async def close(self) -> None:
        """End it with the console."""
        async with self._one:
            await self._end(State())

    # -- the process ---------------------------------------------------------------------------------------------

    def _launch(self, model: Model, who: str, wall: Wall) -> None:
        self._lock = _locked(self._folder)
        try:
            self._place = Path(tempfile.mkdtemp(prefix="planton-essai-"))  # all that it writes to, its socket among it
            address = self._place / "moteur"
            start = wall.start(
                self._command(address, model.archive),
                self._environ,
                Given(model.parts, self._place, program.ROOT),
                _prepared(),
            )
            self._said = tempfile.TemporaryFile()  # noqa: SIM115 (read when it failed, closed with the process)
            self._process = subprocess.Popen(
                start.words,
                env=start.environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                preexec_fn=start.prepare,
            )
        except (OSError, subprocess.SubprocessError) as error:
            self._unlock()
            raise TrialError(f"Le moteur ne démarre pas ({reason(error)}).", "Prévenez l’exploitant.") from None
        self._client = EngineClient(["http://moteur"], timeout=20.0, unix=str(address))
        now = self._clock()
        self._state = State(STARTING, model, who, now, now, wall=wall.told)
        self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        """Until it ends: say when it is ready, end it when nobody uses it or its memory is needed."""
        while True:
            await asyncio.sleep(LOOK if self._state.phase == STARTING else WATCH)
            why = await self._over()
            if why is not None:
                async with self._one:
                    await self._end(
                        State(FAILED if why else OFF, self._state.model, self._state.who, failure=why), ours=True
                    )
                await self._tell()
                return
            if self._state.phase == STARTING and self._client is not None and await self._client.ready():
                now = self._clock()
                self._state = replace(self._state, phase=READY, since=now, used=now)
                await self._tell()

    async def _over(self) -> str | None:
        """Why it has to end ("" for: nobody uses it); None while it goes on."""
        now, state = self._clock(), self._state
        if self._process is None or self._process.poll() is not None:
            return await asyncio.to_thread(self._complaint)
        if state.phase == STARTING and now - state.since > PATIENCE:
            return f"Le candidat n’était pas prêt au bout de {PATIENCE:.0f}\u00a0secondes."
        if now - state.used > self._idle:
            return ""
        try:
            return await self._room(False)
        except Exception as error:  # the database may be away; the candidate has nothing to do with it
            log.warning("memory could not be judged: %s", type(error).__name__)
            return None

    def _complaint(self) -> str:
        """The last line that a dead engine wrote."""
        lines: list[str] = []
        if self._said is not None:
            with contextlib.suppress(OSError, ValueError):
                self._said.seek(0)
                lines = self._said.read(100_000).decode(errors="replace").strip().splitlines()
        told = f" ({lines[-1][:200]})" if lines else ""
        return f"Le candidat s’est arrêté{told}."

    async def _end(self, after: State, ours: bool = False) -> None:
        """End process, client and watch (unless it is the watch that asks), and be `after`."""
        watching, self._watching = self._watching, None
        if watching is not None and not ours:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
        client, self._client = self._client, None
        process, self._process = self._process, None
        self._state = after
        if client is not None:
            await client.close()
        if process is not None:
            await asyncio.to_thread(_ended, process)
        if self._said is not None:
            self._said.close()
            self._said = None
        self._unlock()

    def _unlock(self) -> None:
        """Nothing of it is left."""
        if self._place is not None:
            shutil.rmtree(self._place, ignore_errors=True)
            self._place = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _touch(self) -> None:
        state = self._state
        self._state = replace(state, used=self._clock())


def _locked(folder: Path) -> IO[bytes]:
    """The machine's one place for a candidate. Raises Taken when another console has it."""
    folder.mkdir(parents=True, exist_ok=True)
    held = (folder / ".trial.lock").open("ab")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        raise TrialError(
            "Un candidat est déjà à l’essai depuis une autre console de cette machine.", "Arrêtez-le là-bas d’abord."
        ) from None
    return held


def _prepared() -> Callable[[], None]:
    """What the process does first: it comes after the service, and dies with the console."""
    tied = die_with_parent(signal.SIGKILL)

    def prepare() -> None:
        os.nice(NICE)
        tied()

    return prepare


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
