"""Every fault, how it is made and ended, and how many messages flow meanwhile: one table for the short form and the long one.

    line = await strike(world, fault, messages=80)

Messages flow at a steady rate, the fault comes at a random moment, the flow goes on until a little after its end. Then
everything must be settled without a hand, and what was lost, doubled, out of order is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import random
import shutil
import signal
import subprocess
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from bot.sandbox.graph import Mood, Script
from tests.fakes.graph import PAGE, ScriptedGraph
from tests.scenario.processes import HELP, QUESTIONS, Account, Message, Meta, Planton, Table, account, settled, until

RESUMES = 15.0  # seconds in which work resumes after a kill
RATE = 20  # messages a second
AFTER = 2.5  # seconds that messages go on flowing once the fault is over
ALARM_EVERY = 20  # one message in so many is a cry for help
ENGINE_STARTS = 300.0  # at most, on a busy machine
GIVES_UP = 240.0  # seconds after which something that is not settled is not going to be
CRIES = 2  # emergency replies under way when all died at once: sent again rather than risked
# Seconds by which machines' clocks are ahead: whoever hands something over has another hour than who takes it.
APART = {
    "gateway": 3600.0,
    "worker": -3600.0,
    "sender": 3600.0,
    "console": -3600.0,
    "trainer": 3600.0,
    "monitor": -3600.0,
}
UNHEARD_OF = 987_654  # a code of Meta's that nobody knows
USED = {"X-App-Usage": json.dumps({"call_count": 90, "total_time": 20, "total_cputime": 20})}
DISK = 1500  # MB of a disk that can be filled


@dataclass
class World:
    """The running system and what is around it."""

    planton: Planton
    meta: Meta
    graph: ScriptedGraph
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    disk: bool = False  # whether its folder is a small disk of its own
    hours: Mapping[str, float] = field(default_factory=dict)  # role → seconds that its machine's clock is always ahead

    def calm(self) -> None:
        """Meta as it should be."""
        self.graph.graph.weather = lambda person: Script()
        self.graph.graph.answer_delay = 0.0
        self.meta.copies, self.meta.hold, self.meta.skew = 1, lambda: 0.0, lambda: 0.0
        self.meta.echoes, self.meta.echo_hold = True, 0.0
        self.planton.clocks(**self.hours)


Make = Callable[[World], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """`make` makes it and ends it, while people write; `before`: what is wrong before they do.

    `doubled`: replies that may come twice, at most, because nothing can tell. `held`: a cry for help that we have is answered
    in time all the same; not where nothing of ours runs that could, or Meta cannot be reached.
    """

    name: str
    make: Make
    messages: int  # in the long form
    short: int = 0  # in `make test`; 0: not there
    doubled: int = 0
    rasa: bool = False  # with the real engine, in the long form
    before: Make | None = None
    held: bool = True


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Make `folder` a disk of its own that can be filled; False where we may not mount."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}m,mode=0700", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)


# -- how faults are made -------------------------------------------------------------------------------------------------


def killing(role: str) -> Make:
    """kill -9."""

    async def make(world: World) -> None:
        world.planton.kill(role)

    return make


async def kill_launcher(world: World) -> None:
    """kill -9 of the parent of all; whoever looks after it (systemd) starts it again a second later."""
    world.planton.kill("launcher")
    await asyncio.sleep(1)
    world.planton.start()


async def restart_postgres(world: World) -> None:
    """As an administrator does: clients are thrown out, the server ends well."""
    world.planton.tree()["postgres"][0].send_signal(signal.SIGINT)


def freezing(role: str, seconds: float) -> Make:
    """It stands still and keeps its connections."""

    async def make(world: World) -> None:
        with world.planton.frozen(role):
            await asyncio.sleep(seconds)

    return make


async def fill_disk(world: World) -> None:
    """No byte is left for PostgreSQL for twenty seconds; then there is room again."""
    if not world.disk:
        await _forbid_writing(world, 20)
        return
    ballast = world.planton.var / "ballast"
    end = time.monotonic() + 20
    try:
        with ballast.open("ab", buffering=0) as file:
            while time.monotonic() < end:  # what PostgreSQL frees is taken again
                if free := shutil.disk_usage(world.planton.var).free:
                    with contextlib.suppress(OSError):
                        os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), free)
                await asyncio.sleep(0.02)
    finally:
        ballast.unlink()


async def _forbid_writing(world: World, seconds: float) -> None:
    """Without the right to mount: a limit on the size of files, which PostgreSQL takes for a full disk."""
    end = time.monotonic() + seconds
    limited: dict[int, psutil.Process] = {}
    while time.monotonic() < end:
        for one in world.planton.tree()["postgres"]:
            with contextlib.suppress(psutil.Error):
                one.rlimit(psutil.RLIMIT_FSIZE, (0, psutil.RLIM_INFINITY))
                limited[one.pid] = one
        await asyncio.sleep(0.05)
    for one in limited.values():
        with contextlib.suppress(psutil.Error):
            one.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))


async def cut_engine(world: World) -> None:
    """It ends and cannot start again, for long enough that people are told and agents get what waits."""
    world.planton.engine_loads(False)
    try:
        world.planton.kill("engine")
        await asyncio.sleep(22)
    finally:
        world.planton.engine_loads(True)


async def hang_for_good(world: World) -> None:
    """Nobody wakes it: whoever looks after it has to see that it does not answer."""
    [old] = world.planton.tree()["engine"]
    old.suspend()
    while old.is_running():
        await asyncio.sleep(0.2)


def weather(seconds: float, script: Script, to: Callable[[World, str], bool] = lambda world, person: True) -> Make:
    """For some seconds Meta answers every send so (`to`: of whom)."""

    async def make(world: World) -> None:
        world.graph.graph.weather = lambda person: script if to(world, person) else Script()
        await asyncio.sleep(seconds)
        world.graph.graph.weather = lambda person: Script()

    return make


def _some(world: World, person: str) -> bool:
    """Half of those who are not in danger: what Meta says for good of a person it does not say of all."""
    return "sos" not in person and zlib.crc32(person.encode()) % 2 == 0


def _calm(world: World, person: str) -> bool:
    """Those who are not in danger: what slows down everybody else does not slow down an emergency that Meta takes."""
    return "sos" not in person


def breaking(seconds: float, mood: Mood, echoes: bool = True) -> Make:
    """Connections break, or answers are no answers: half of the messages were taken all the same."""

    async def make(world: World) -> None:
        world.meta.echoes = echoes
        world.graph.graph.weather = lambda person: Script(mood, accepted=world.rng.random() < 0.5)
        await asyncio.sleep(seconds)
        world.graph.graph.weather = lambda person: Script()
        await asyncio.sleep(0 if echoes else 6)  # none comes for those either
        world.meta.echoes = True

    return make


async def refuse(world: World) -> None:
    """Nothing listens at Meta's."""
    await world.graph.refuse()
    await asyncio.sleep(4)
    await world.graph.accept()


async def expire_token(world: World) -> None:
    """Code 190 for everything: the account stops until its token works again."""
    page = world.graph.graph.accounts[PAGE]
    token, page.token = page.token, "another-token"
    await asyncio.sleep(8)
    page.token = token


async def echoes_before(world: World) -> None:
    """The echo of a message overtakes the answer to its send."""
    world.graph.graph.answer_delay = 0.7
    await asyncio.sleep(8)
    world.graph.graph.answer_delay = 0.0


async def echoes_late(world: World) -> None:
    """They come long after."""
    world.meta.echo_hold = 15.0
    await asyncio.sleep(8)
    world.meta.echo_hold = 0.0


async def echoes_never(world: World) -> None:
    """They do not come."""
    world.meta.echoes = False
    await asyncio.sleep(8)
    world.meta.echoes = True


async def duplicate(world: World) -> None:
    """Each webhook comes three times at once."""
    world.meta.copies = 3
    await asyncio.sleep(8)
    world.meta.copies = 1


async def shuffle(world: World) -> None:
    """Each webhook is up to four seconds on its way."""
    world.meta.hold = lambda: world.rng.uniform(0, 4)
    await asyncio.sleep(8)
    world.meta.hold = lambda: 0.0


async def an_hour_late(world: World) -> None:
    """They were written an hour ago."""
    world.meta.skew = lambda: -3600.0 - world.rng.uniform(0, 300)
    await asyncio.sleep(8)
    world.meta.skew = lambda: 0.0


async def wrong_clock(world: World) -> None:
    """Their hour is anything: hours ahead, hours ago, years ago."""
    world.meta.skew = lambda: world.rng.choice((-7200.0, 7200.0, 86_400.0 * 400, -time.time() + 1))
    await asyncio.sleep(8)
    world.meta.skew = lambda: 0.0


def starting(ahead: float) -> Make:
    """Gateway, worker and sender start on machines whose clocks are wrong."""

    async def before(world: World) -> None:
        wrong = dict.fromkeys(("gateway", "worker", "sender"), ahead)
        world.planton.clocks(**wrong)
        for role in wrong:
            await world.planton.restart(role)
        await world.planton.ready(ENGINE_STARTS)
        await _told_apart(world, wrong)

    return before


async def set_right(world: World) -> None:
    """Those clocks are put right while the roles run."""
    world.planton.clocks(**world.hours)
    await asyncio.sleep(4)


async def jumping(world: World) -> None:
    """Each machine's clock jumps, an hour or two at a time, each its own way; each is ahead once and behind once at least."""
    rounds = [APART, *({role: world.rng.choice((-3600.0, 0.0, 3600.0)) for role in APART} for _ in range(3))]
    for ahead in (*rounds, {role: -seconds for role, seconds in APART.items()}):
        world.planton.clocks(**ahead)
        await _told_apart(world, ahead)


async def _told_apart(world: World, ahead: Mapping[str, float]) -> None:
    """Each role has noticed that its machine's clock is wrong, and told so."""

    async def noticed() -> bool:
        told = {row["role"]: row["skew"] for row in await world.planton.rows("SELECT role, skew FROM clocks")}
        return all(abs(told.get(role, math.inf) - ahead[role]) < 60 for role in ("gateway", "worker", "sender"))

    await until(noticed, GIVES_UP, "every role tells how far its machine's clock is", every=0.2)


async def all_at_once(world: World) -> None:
    """Database, engine, Meta and sender away together; they come back in any order."""
    planton = world.planton
    planton.engine_loads(False)
    await world.graph.refuse()
    planton.kill("engine")
    still = planton.tree()["postgres"]
    for one in still:
        with contextlib.suppress(psutil.Error):
            one.suspend()
    planton.kill("sender")
    await asyncio.sleep(12)

    async def database() -> None:
        for one in still:
            with contextlib.suppress(psutil.Error):
                one.kill() if world.rng.random() < 0.5 else one.resume()

    async def engine() -> None:
        planton.engine_loads(True)

    back = [database, engine, world.graph.accept]
    world.rng.shuffle(back)
    for one_back in back:
        await one_back()
        await asyncio.sleep(world.rng.uniform(0.5, 3))


# -- the table -----------------------------------------------------------------------------------------------------------

FAULTS = (
    Fault("kill -9 gateway", killing("gateway"), 300, short=80),
    Fault("kill -9 worker", killing("worker"), 300, short=80),
    Fault("kill -9 sender", killing("sender"), 300, short=80),
    Fault("kill -9 postgres", killing("postgres"), 300, short=80),
    Fault("kill -9 console", killing("console"), 160),
    Fault("kill -9 trainer", killing("trainer"), 160),
    Fault("kill -9 monitor", killing("monitor"), 160),
    Fault("PostgreSQL restarted", restart_postgres, 300),
    Fault("PostgreSQL frozen 30 s", freezing("postgres", 30), 700),
    Fault("PostgreSQL: disk full 20 s", fill_disk, 520),
    Fault("engine cut 22 s, cannot start", cut_engine, 560),
    Fault("engine hangs 20 s", freezing("engine", 20), 520),
    Fault("engine hangs for good", hang_for_good, 900),
    Fault("Graph: 10 s an answer", weather(10, Script(latency=10)), 340),
    Fault("Graph: connection reset, half taken", breaking(6, Mood.RESET), 220),
    Fault("Graph: connection reset, no echo", breaking(3, Mood.RESET, echoes=False), 200, doubled=60),
    Fault("Graph: 500", weather(8, Script(Mood.ERROR, status=500)), 220),
    Fault("Graph: 4", weather(6, Script(Mood.ERROR, code=4)), 200),
    Fault("Graph: 613", weather(6, Script(Mood.ERROR, code=613)), 200),
    *(
        Fault(f"Graph: {code}", weather(6, Script(Mood.ERROR, code=code), _calm), 200)
        for code in (17, 32, 80002, 80006)
    ),
    Fault("Graph: 613/1996", weather(6, Script(Mood.ERROR, code=613, subcode=1996), _calm), 200),
    Fault("Graph: 429, unknown code", weather(6, Script(Mood.ERROR, status=429, code=UNHEARD_OF), _calm), 200),
    Fault("Graph: unknown code", weather(6, Script(Mood.ERROR, code=UNHEARD_OF), _calm), 200),
    Fault("Graph: 368", weather(6, Script(Mood.ERROR, code=368), _calm), 200),
    Fault("Graph: 90 % used", weather(8, Script(headers=USED)), 200),
    Fault("Graph: 190", expire_token, 220),
    Fault("Graph: 10/2018278", weather(8, Script(Mood.ERROR, code=10, subcode=2018278), _some), 200),
    Fault("Graph: 551", weather(8, Script(Mood.ERROR, code=551, subcode=1545041), _some), 200),
    Fault("Graph: garbage, half taken", breaking(6, Mood.GARBAGE), 220),
    Fault("Graph: connection refused", refuse, 220, short=40, held=False),
    Fault("echoes before the answer", echoes_before, 200),
    Fault("echoes 15 s late", echoes_late, 200),
    Fault("echoes never", echoes_never, 200),
    Fault("webhooks three times", duplicate, 200),
    Fault("webhooks shuffled", shuffle, 200),
    Fault("webhooks an hour late", an_hour_late, 200),
    Fault("webhooks with a wrong clock", wrong_clock, 200),
    Fault("clocks an hour ahead", set_right, 260, before=starting(3600.0)),
    Fault("clocks an hour behind", set_right, 260, before=starting(-3600.0)),
    Fault("clocks jumping", jumping, 260, short=60),
    Fault("all down at once", all_at_once, 460, held=False),
    Fault("kill -9 launcher, start 1 s later", kill_launcher, 300, short=80, doubled=CRIES, held=False),
    Fault("Rasa: kill -9 engine", killing("engine"), 300, rasa=True),
    Fault("Rasa: engine hangs 30 s", freezing("engine", 30), 700, rasa=True),
    Fault("Rasa: kill -9 launcher, start 1 s later", kill_launcher, 300, doubled=CRIES, rasa=True, held=False),
)
BY_NAME = {fault.name: fault for fault in FAULTS}


class Storm:
    """People who write at a steady rate while a fault comes and goes."""

    def __init__(self, world: World, name: str, rate: float = RATE) -> None:
        """`rate`: messages a second."""
        self.world, self.rate = world, rate
        self.name = f"{zlib.crc32(name.encode()):x}"
        self.messages: list[Message] = []

    def one(self) -> None:
        """The next message. Everyone writes about three times, mixed; one in four is a newcomer; one in twenty cries for help."""
        i = len(self.messages)
        if i % ALARM_EVERY == ALARM_EVERY - 1:
            person, words = f"{self.name}sos{i}", HELP
        else:
            person = f"{self.name}new{i}" if i % 4 == 3 else f"{self.name}p{i // 12}-{i % 3}"
            words = QUESTIONS[i % len(QUESTIONS)]
        self.messages.append(self.world.meta.write(person, words))

    async def blow(self, count: int, make: Make) -> tuple[float, float]:
        """Write `count` messages at least, and until the fault is over; when it began and when it ended."""
        start = time.monotonic()
        at = self.world.rng.uniform(0.15, 0.5) * count / self.rate
        fault: asyncio.Task[None] | None = None
        began = ended = 0.0
        while len(self.messages) < count or not ended or time.monotonic() < ended + AFTER:
            await asyncio.sleep(max(0.0, start + len(self.messages) / self.rate - time.monotonic()))
            if fault is None and time.monotonic() >= start + at:
                began, fault = time.monotonic(), asyncio.ensure_future(make(self.world))
            if fault is not None and fault.done() and not ended:
                await fault
                ended = time.monotonic()
            self.one()
        return began, ended

    def first_answer_after(self, moment: float) -> float | None:
        """Seconds from a moment until a newcomer who wrote after it was answered."""
        after = {m.person for m in self.messages if m.wrote >= moment and "new" in m.person}
        times = (c.at for c in self.world.graph.calls if c.text is not None and c.person in after and c.at > moment)
        first = min(times, default=None)
        return None if first is None else first - moment


async def strike(world: World, fault: Fault, messages: int) -> Account:
    """One fault while messages flow; returns its line once everything is settled."""
    await world.planton.ready(ENGINE_STARTS)
    if fault.before is not None:
        await fault.before(world)
    storm = Storm(world, fault.name)
    try:
        _, ended = await storm.blow(messages, fault.make)
    finally:
        world.calm()
    await world.meta.acknowledged(storm.messages, GIVES_UP)
    await until(lambda: storm.first_answer_after(ended) is not None, GIVES_UP, "a newcomer answered")
    await settled(world.planton, storm.messages, GIVES_UP)
    line = await account(fault.name, world.planton, world.meta, storm.messages)
    line.seconds = storm.first_answer_after(ended) or 0.0
    return line


def sane(line: Account, doubled: int = 0) -> None:
    """Nothing lost, nothing out of order, every cry for help answered, no more than `doubled` replies twice."""
    found = (line.lost, line.disordered, line.doubled <= doubled, line.danger != float("inf"))
    assert found == (0, 0, True, True), (line, line.notes[:20])


def in_time() -> float:
    """Seconds in which work resumes; longer while others keep the machine busy."""
    return RESUMES * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


spans: dict[Planton, list[Any]] = {}  # what the collector got of whom


def keep(line: Account, table: Table, doubled: int = 0) -> None:
    """Keep the line, and look at it."""
    table.lines.append(line)
    sane(line, doubled)


async def not_ready(planton: Planton, *names: str) -> dict[str, Any]:
    """What /readyz says once it names just these: on a busy machine a probe may be late, and name one more."""
    state: dict[str, Any] = {}

    async def named() -> bool:
        state.clear()
        state.update(await planton.readyz())
        return state.get("not_ready") == list(names)

    await until(named, 20, f"not ready: {names}, not {state}")
    return state
