"""What a turn costs the engine, alone: `python scripts/bench_engine.py`. No server but its own, no database.

Texts come from the gold sets, dialogues from tests/engine/conversations. For each kind of work (a text parsed, a message
understood, a first turn, a turn of a dialogue, a turn over HTTP) it prints milliseconds of this process's CPU, milliseconds
of the clock, and how many a second one engine does. `--profile` says where they go; `--outcomes` writes what each turn
gave, without times, so that `diff` shows whether a change of the code changed an answer.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import csv
import gc
import json
import os
import pstats
import random
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

SELF = Path(__file__).resolve()
ROOT = SELF.parents[1]
PYTHON = ROOT / ".venv-engine" / "bin" / "python"
GOLD = ROOT / "tests" / "gold"
# Where the texts come from, and which share of them.
SHARES = ((GOLD / "intents.tsv", 0.6), (GOLD / "emergency.tsv", 0.2), (ROOT / "tests/engine/deux_questions.tsv", 0.2))
TALKS = ROOT / "tests" / "engine" / "conversations"
LONGEST_FLOAT = 6  # decimals of a probability that count
A_TIME = 1e9  # numbers from here on are seconds since 1970

if TYPE_CHECKING:
    from bot.engine.runtime import Runtime

Step = tuple[str, Optional[str]]  # text, payload of a tap


class Cost(NamedTuple):
    """Of one kind of work."""

    what: str
    count: int
    cpu: float
    clock: float

    def line(self) -> str:
        """One line of the table."""
        cpu, clock = self.cpu / self.count * 1000, self.clock / self.count * 1000
        return f"{self.what:<28}{self.count:>7}{cpu:>10.2f}{clock:>10.2f}{self.count / self.clock:>10.0f}"


def texts(count: int) -> list[str]:
    """The same texts each time, evenly taken from the sets."""
    found: list[str] = []
    for path, share in SHARES:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row["text"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
        wanted = min(len(rows), max(1, round(count * share)))
        found += [rows[i * len(rows) // wanted] for i in range(wanted)]
    random.Random(7).shuffle(found)
    return found


def talks() -> list[list[Step]]:
    """The conversations that the tests play."""
    from ruamel.yaml import YAML

    read = YAML(typ="safe", pure=True).load
    files = sorted(TALKS.glob("*.yml"))
    return [[(step.get("user", ""), step.get("payload")) for step in read(path.read_text("utf-8"))] for path in files]


async def play(runtime: Runtime, steps: Iterable[Step]) -> list[dict[str, Any]]:
    """One conversation; what each turn gave."""
    import numpy

    from bot.engine.runtime import EmptyOutcome, EmptyText

    given, state = [], None
    for text, payload in steps:
        random.seed(7)  # a reply may have variations
        numpy.random.seed(7)
        try:
            turn = await runtime.turn(text, state, payload)
        except (EmptyOutcome, EmptyText) as error:
            turn = {"error": type(error).__name__, "state": state}
        state = turn["state"]
        given.append(turn)
    return given


def load(options: argparse.Namespace) -> Runtime:
    """Without its memory of texts, which would know them all from the second time on, unless it is asked for."""
    from bot.engine import remembered
    from bot.engine.runtime import Runtime

    runtime = Runtime(options.model, remember=remembered.MOST if options.remember else 0)
    gc.collect()
    gc.freeze()
    return runtime


async def measure(what: str, count: int, work: Callable[[], Awaitable[Any]]) -> Cost:
    """Do it once, by both clocks."""
    gc.collect()
    cpu, clock = time.process_time(), time.perf_counter()
    await work()
    return Cost(what, count, time.process_time() - cpu, time.perf_counter() - clock)


async def run(options: argparse.Namespace) -> int:
    """Load, measure, print."""
    began = time.process_time()
    runtime = await asyncio.get_running_loop().run_in_executor(None, load, options)
    loading = time.process_time() - began
    said, dialogues = texts(options.messages), talks()
    turns = sum(map(len, dialogues))
    if options.outcomes:
        await outcomes(runtime, said, dialogues, options.outcomes)
        return 0

    async def parsed() -> None:
        for text in said:
            runtime._parse([text])

    async def understood() -> None:
        for text in said:
            await runtime.understand(text)

    async def first() -> None:
        for text in said:
            await play(runtime, [(text, None)])

    async def talked() -> None:
        for steps in dialogues:
            await play(runtime, steps)

    kinds = [
        ("parse, one text", len(said), parsed),
        ("understand, one message", len(said), understood),
        ("turn, first message", len(said), first),
        ("turn, in a dialogue", turns, talked),
    ]
    if options.profile:
        await first()  # warm
        await profiled(options.profile, first, talked)
        return 0
    await first()
    costs = [await measure(*kind) for kind in kinds for _ in range(options.repeat)]
    costs += [await over_http(runtime, said, options) for _ in range(options.repeat)]
    print(f"{'':<28}{'count':>7}{'ms CPU':>10}{'ms':>10}{'a second':>10}")
    print("\n".join(cost.line() for cost in costs))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(f"loading: {loading:.1f} s of CPU; memory: {resident():.0f} MB, at most {most:.0f} MB; model: {runtime.name}")
    return 0


async def profiled(where: Path, *works: Callable[[], Awaitable[Any]]) -> None:
    """Under cProfile, by CPU time: the heaviest functions on standard output, the whole in a file for `python -m pstats`."""
    profile = cProfile.Profile(time.process_time)
    profile.enable()
    for work in works:
        await work()
    profile.disable()
    profile.dump_stats(where)
    for order in ("tottime", "cumulative"):
        pstats.Stats(profile, stream=sys.stdout).sort_stats(order).print_stats(45)


async def over_http(runtime: Runtime, said: list[str], options: argparse.Namespace) -> Cost:
    """Turns as a worker asks for them, the server in this process, the asking in another that is not counted."""
    from aiohttp import web

    from bot.engine.server import Server

    server = Server(options.model)
    server._runtime = runtime
    runner = web.AppRunner(server.application(), access_log=None)
    await runner.setup()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        await web.SockSite(runner, listening).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/turn"
        command = [sys.executable, str(SELF), "--ask", url, "--at-once", str(options.at_once)]
        command += ["--messages", str(options.messages)]
        in_thread = asyncio.get_running_loop().run_in_executor
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as asking:  # noqa: ASYNC220
            assert asking.stdin is not None
            assert asking.stdout is not None
            await in_thread(None, asking.stdout.readline)  # it is ready
            cost = await measure(
                f"turn, HTTP, {options.at_once} at once",
                len(said),
                partial(in_thread, None, asking.communicate, b"go\n"),
            )
        if asking.returncode:
            raise SystemExit("a turn over HTTP failed")
        await runner.cleanup()
    return cost


async def ask(url: str, said: list[str], at_once: int) -> int:
    """The other side of `over_http`: 1 when an answer was no answer."""
    import aiohttp

    waiting, failed = list(reversed(said)), 0

    async def asker(session: aiohttp.ClientSession) -> None:
        nonlocal failed
        while waiting:
            async with session.post(url, json={"sender": "s", "text": waiting.pop(), "state": None}) as answer:
                await answer.read()
                failed += answer.status != 200

    async with aiohttp.ClientSession() as session:
        print("ready", flush=True)
        sys.stdin.readline()
        await asyncio.gather(*(asker(session) for _ in range(at_once)))
    return 1 if failed else 0


async def outcomes(runtime: Runtime, said: list[str], dialogues: list[list[Step]], where: Path) -> None:
    """One line a turn: what it gave, times left out, probabilities rounded."""
    with where.open("w", encoding="utf-8") as file:
        for steps in [*([(text, None)] for text in said), *dialogues]:
            for (text, payload), turn in zip(steps, await play(runtime, steps), strict=True):
                row = {"text": text, "payload": payload, **timeless(turn)}
                file.write(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n")


def timeless(value: Any) -> Any:
    """The same without moments, which differ from run to run."""
    if isinstance(value, dict):
        return {name: timeless(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [timeless(inner) for inner in value]
    if isinstance(value, float):
        return "a moment" if value >= A_TIME else round(value, LONGEST_FLOAT)
    return value


def resident() -> float:
    """MB of memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def main() -> int:
    """Exit code 0; 1 when a turn over HTTP failed."""
    parser = argparse.ArgumentParser(
        description="Ce que coûte un tour de dialogue au moteur seul : ms de processeur, ms, tours par seconde, mémoire."
    )
    parser.add_argument("--messages", type=int, default=300, help="combien de messages des jeux de référence (300)")
    parser.add_argument("--repeat", type=int, default=1, help="combien de fois chaque mesure (1)")
    parser.add_argument("--at-once", type=int, default=8, help="combien de demandes HTTP à la fois (8)")
    parser.add_argument("--model", type=Path, default=ROOT / "models", help="un modèle, ou un dossier : le plus récent")
    parser.add_argument(
        "--profile", type=Path, metavar="FICHIER", help="profil cProfile des tours, au lieu de la mesure"
    )
    parser.add_argument(
        "--outcomes",
        type=Path,
        metavar="FICHIER",
        help="écrit ce que donne chaque tour, sans les heures, pour comparer",
    )
    parser.add_argument(
        "--remember", action="store_true", help="avec la mémoire des textes déjà lus : tous le sont ici"
    )
    parser.add_argument("--ask", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ask:
        return asyncio.run(ask(options.ask, texts(options.messages), options.at_once))
    from bot.engine import quiet

    os.chdir(ROOT)
    quiet.silence()
    return asyncio.run(run(options))


if __name__ == "__main__":
    if sys.version_info[:2] != (3, 10):  # Rasa lives in an environment of its own
        os.execv(PYTHON, [str(PYTHON), *sys.argv])
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
