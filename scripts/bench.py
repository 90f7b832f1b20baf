"""`make bench`: the whole system, as it is run, against a Graph API that takes 100 ms.

First a steady stream, then a publication in the middle of one, then everything at once. Prints acknowledgement and reply
latencies, throughput, CPU and memory of each process, and what was lost, doubled or out of order. Everything stays on loopback.

    python scripts/bench.py [--rate 30] [--seconds 60] [--no-publication] [--burst 2000] [--latency 0.1]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bot.meta.signature import HEADER, sign  # noqa: E402
from bot.sandbox.graph import Graph, GraphAccount, GraphServer  # noqa: E402
from bot.store.db import Database  # noqa: E402
from bot.store.embedded import Embedded  # noqa: E402
from bot.store.workbench.publications import Publications  # noqa: E402
from bot.trainer import engines  # noqa: E402
from tests.fakes.ports import free_port  # noqa: E402

PAGE, TOKEN, SECRET, VERIFY = "100200300", "bench-token", "bench-secret", "bench-verify"
SENTENCES = (
    "bonjour, comment porter plainte pour un vol de vélo ?",
    "slt c koi lé condition pr devenir gardien de la paix",
    "j'ai perdu ma carte d'identité hier soir",
    "comment faire une procuration pour dimanche",
    "quels sont les horaires du commissariat svp",
    "j'ai reçu un sms bizarre pour un colis, c'est une arnaque ?",
    "mon voisin fait du bruit toutes les nuits que faire",
    "où en est ma plainte déposée en mars",
    "est-ce qu'on peut entrer dans la police avec un tatouage",
    "je pars en vacances, vous pouvez surveiller ma maison ?",
    "comment contester une amende de stationnement",
    "combien de points il me reste sur mon permis",
    "on m'a volé ma voiture cette nuit devant chez moi",
    "merci beaucoup à la patrouille d'hier soir",
    "je voudrais parler à quelqu'un",
    "c'est quoi une main courante",
)
MOST = 6_000  # MB that all of Planton may take while it switches
SLOWEST = 3.0  # seconds: 99 of 100 replies through the switch
HELP = "au secours il est en train de défoncer la porte avec une hache"


class Bench:
    """One run: the started system, its Graph API, and what was measured."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.graph = Graph([GraphAccount(PAGE, TOKEN, SECRET, None)], latency=options.latency)
        self.acks: list[float] = []
        self.refused = 0
        self.asked: dict[str, float] = {}
        self.alarms: set[str] = set()
        self.answered: dict[str, list[float]] = defaultdict(list)
        self._number = 0
        self.var = Path()

    async def run(self) -> int:
        """Start, measure, print, end. Returns 1 when a message was lost."""
        server = GraphServer(self.graph)
        await server.start()
        with tempfile.TemporaryDirectory(prefix="planton-bench-") as var:
            self.var = Path(var)
            port = free_port()
            system = subprocess.Popen(  # noqa: ASYNC220
                [sys.executable, "-m", "bot", "run"],
                cwd=ROOT,
                env=self._environment(var, port, server.url),
                stdout=subprocess.DEVNULL,
                stderr=None if self.options.verbose else subprocess.DEVNULL,
            )
            try:
                url = f"http://127.0.0.1:{port}"
                async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=256)) as session:
                    await self._ready(session, url, system)
                    lost = await self._measure(session, url + "/webhooks/meta", system)
            finally:
                system.send_signal(signal.SIGTERM)
                system.wait(timeout=30)
                await server.stop()
        return 1 if lost else 0

    def _environment(self, var: str, port: int, graph: str) -> dict[str, str]:
        environ = {k: v for k, v in os.environ.items() if not k.startswith("PLANTON_")}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        settings = {
            "VAR_DIR": var,
            "GATEWAY_PORT": str(port),
            "CONSOLE_PORT": str(free_port()),
            "SENDER_PORT": str(free_port()),
            "ENGINE_URL": f"http://127.0.0.1:{free_port()}",
            "META_APP_SECRET": SECRET,
            "META_VERIFY_TOKEN": VERIFY,
            "META_PAGE_ID": PAGE,
            "META_PAGE_TOKEN": TOKEN,
            "META_GRAPH_URL": graph,
            "SEND_CEILING": str(self.options.ceiling),
            "DEBOUNCE_MS": "0",
            "NIGHT_START": "00:00",
            "NIGHT_END": "00:00",
            "DESK_HOURS": "00:00-24:00",
        }
        return environ | {f"PLANTON_{name}": value for name, value in settings.items()}

    async def _ready(self, session: aiohttp.ClientSession, url: str, system: subprocess.Popen[bytes]) -> None:
        for _ in range(1500):
            if system.poll() is not None:
                raise SystemExit("planton run ended; try again with --verbose")
            try:
                async with session.get(f"{url}/readyz") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.2)
        raise SystemExit("planton run is not ready after five minutes; try again with --verbose")

    def _body(self, words: str) -> tuple[str, bytes]:
        self._number += 1
        person = f"9{self._number:09d}"
        now = int(time.time() * 1000)
        item = {
            "sender": {"id": person},
            "recipient": {"id": PAGE},
            "timestamp": now,
            "message": {"mid": f"m_bench_{self._number}", "text": words},
        }
        entry = {"id": PAGE, "time": now, "messaging": [item]}
        return person, json.dumps({"object": "page", "entry": [entry]}).encode()

    async def _send(self, session: aiohttp.ClientSession, url: str, words: str) -> None:
        person, raw = self._body(words)
        start = time.monotonic()
        self.asked[person] = time.time()
        if words == HELP:
            self.alarms.add(person)
        async with session.post(url, data=raw, headers={HEADER: sign(SECRET, raw)}) as response:
            await response.read()
            self.refused += response.status != 200
        self.acks.append(time.monotonic() - start)

    def _hear(self) -> None:
        for sent in self.graph.sent:
            self.answered[sent.person].append(sent.at.timestamp())

    async def _drained(self, people: set[str], limit: float) -> float:
        start = time.monotonic()
        while time.monotonic() - start < limit:
            reached = {sent.person for sent in self.graph.sent}
            if people <= reached:
                break
            await asyncio.sleep(0.05)
        return time.monotonic() - start

    async def _measure(self, session: aiohttp.ClientSession, url: str, system: subprocess.Popen[bytes]) -> int:
        options = self.options
        await asyncio.gather(*(self._send(session, url, s) for s in SENTENCES))  # warm
        await self._drained(set(self.asked), 30)
        self.acks.clear()
        warm = set(self.asked)
        meter = Meter(system.pid)
        start = time.monotonic()
        tasks = []
        for i in range(options.rate * options.seconds):
            await asyncio.sleep(max(0.0, start + i / options.rate - time.monotonic()))
            words = HELP if i % 50 == 49 else random.choice(SENTENCES)
            tasks.append(asyncio.create_task(self._send(session, url, words)))
        await asyncio.gather(*tasks)
        steady = set(self.asked) - warm
        await self._drained(steady, 60)
        seconds = time.monotonic() - start
        rows = meter.rows(seconds)
        lost = self._report("steady", steady, seconds)
        print(f"\n{'process':<22}{'CPU s':>8}{'CPU %':>8}{'memory MB':>11}")
        for name, cpu, memory in rows:
            print(f"{name:<22}{cpu:>8.1f}{100 * cpu / seconds:>8.1f}{memory:>11.0f}")
        served = [row for row in rows if row[0] != "load and Graph API"]
        cpu, memory = sum(r[1] for r in served), sum(r[2] for r in served)
        print(f"{'all of Planton':<22}{cpu:>8.1f}{100 * cpu / seconds:>8.1f}{memory:>11.0f}")
        print(f"CPU a message: {1000 * cpu / max(1, len(steady)):.1f} ms\n")
        if options.publication:
            lost += await self._publication(session, url, system)
        if options.burst:
            self.acks.clear()
            before = set(self.asked)
            start = time.monotonic()
            await asyncio.gather(*(self._send(session, url, random.choice(SENTENCES)) for _ in range(options.burst)))
            burst = set(self.asked) - before
            await self._drained(burst, 300)
            lost += self._report("at once", burst, time.monotonic() - start)
        return lost

    async def _publication(self, session: aiohttp.ClientSession, url: str, system: subprocess.Popen[bytes]) -> int:
        """The same stream, while a second engine loads a model and takes over and every role reads its files again."""
        self.acks.clear()
        before, seen = set(self.asked), time.monotonic()
        meter, going = Meter(system.pid), asyncio.Event()
        stream = asyncio.create_task(self._stream(session, url, going))
        watch = asyncio.create_task(self._peak(meter, going))
        await asyncio.sleep(5)
        with second_model() as model:
            start = time.monotonic()
            wish = engines.ask(self.var, model)
            while (status := engines.status(self.var)).wanted != wish.id or status.state == engines.SWITCHING:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            took = time.monotonic() - start
            database = Database(Embedded(self.var).url, size=1)
            try:
                await Publications(database).reload(model)
            finally:
                await database.close()
            await asyncio.sleep(10)
            going.set()
            await stream
            peak = await watch
            people = set(self.asked) - before
            await self._drained(people, 60)
            seconds = time.monotonic() - seen
            lost = self._report("publication", people, seconds)
            replies = [self.answered[p][0] - self.asked[p] for p in people if self.answered[p]]
            slow = statistics.quantiles(replies, n=100)[98] if len(replies) > 1 else 0.0
            print(
                f"  the new model served after {took:.1f} s ({status.state} {status.failure}), load {os.getloadavg()[0]:.1f}"
            )
            print(
                f"  memory of all of Planton, at most {peak:.0f} MB (asked: under {MOST}); p99 asked: under {SLOWEST:.0f} s\n"
            )
            wrong = status.state != engines.DONE or peak >= MOST or slow >= SLOWEST
        return lost + wrong

    async def _stream(self, session: aiohttp.ClientSession, url: str, end: asyncio.Event) -> None:
        start, tasks, number = time.monotonic(), [], 0
        while not end.is_set():
            await asyncio.sleep(max(0.0, start + number / self.options.rate - time.monotonic()))
            words = HELP if number % 50 == 49 else random.choice(SENTENCES)
            tasks.append(asyncio.create_task(self._send(session, url, words)))
            number += 1
        await asyncio.gather(*tasks)

    async def _peak(self, meter: Meter, end: asyncio.Event) -> float:
        most = 0.0
        while not end.is_set():
            rows = await asyncio.to_thread(meter.rows, 1.0)
            most = max(most, sum(row[2] for row in rows if row[0] != "load and Graph API"))
            await asyncio.sleep(0.5)
        return most

    def _report(self, name: str, people: set[str], seconds: float) -> int:
        self.answered.clear()
        self._hear()
        replies = [self.answered[p][0] - self.asked[p] for p in people if self.answered[p]]
        alarms = [self.answered[p][0] - self.asked[p] for p in people & self.alarms if self.answered[p]]
        texts: dict[str, list[str]] = defaultdict(list)
        for sent in self.graph.sent:
            texts[sent.person].append(sent.text)
        doubled = sum(1 for p in people if len(set(texts[p])) < len(texts[p]))
        lost = sum(1 for p in people if not self.answered[p])
        print(f"{name}: {len(people)} messages in {seconds:.1f} s, {len(people) / seconds:.1f} a second")
        print(f"  acknowledged  p50 {ms(self.acks, 50)}  p99 {ms(self.acks, 99)}  refused {self.refused}")
        print(f"  answered      p50 {ms(replies, 50)}  p95 {ms(replies, 95)}  p99 {ms(replies, 99)}")
        if alarms:
            print(f"  emergencies   p50 {ms(alarms, 50)}  p99 {ms(alarms, 99)}  ({len(alarms)})")
        print(f"  lost {lost}, doubled {doubled}")
        return lost


@contextlib.contextmanager
def second_model() -> Iterator[str]:
    """The model in service under another name: it costs what any other costs. Dated back, so that it is never the newest."""
    newest = engines.newest(ROOT / "models")
    assert newest is not None
    for left in newest.parent.glob(f"bench-*{engines.SUFFIX}"):  # by a bench that was killed
        left.unlink()
    copy = newest.with_name(f"bench-{os.getpid()}{engines.SUFFIX}")
    shutil.copyfile(newest, copy)
    os.utime(copy, (1, 1))
    try:
        yield copy.name
    finally:
        copy.unlink(missing_ok=True)


def ms(values: list[float], percent: int) -> str:
    """A percentile in milliseconds."""
    if not values:
        return "—"
    if len(values) == 1:
        return f"{values[0] * 1000:.0f} ms"
    return f"{statistics.quantiles(values, n=100)[percent - 1] * 1000:.1f} ms"


class Meter:
    """CPU seconds and resident memory by process, from its making to `rows`."""

    def __init__(self, launcher: int) -> None:
        self._launcher = psutil.Process(launcher)
        self._before = self._cpu()

    def _all(self) -> list[psutil.Process]:
        return [psutil.Process(), self._launcher, *self._launcher.children(recursive=True)]

    def _name(self, process: psutil.Process) -> str:
        if process.pid == os.getpid():
            return "load and Graph API"
        words = process.cmdline()
        if process.pid == self._launcher.pid:
            return "launcher"
        if "_role" in words:
            return words[words.index("_role") + 1]
        return "engine" if "bot.engine" in words else "postgres"

    def _cpu(self) -> dict[int, float]:
        found = {}
        for process in self._all():
            try:
                times = process.cpu_times()
                found[process.pid] = times.user + times.system
            except psutil.NoSuchProcess:
                continue
        return found

    def rows(self, seconds: float) -> list[tuple[str, float, float]]:
        """(name, CPU seconds, MB) summed by name; memory that processes share is divided among them (PSS)."""
        cpu: dict[str, float] = defaultdict(float)
        memory: dict[str, float] = defaultdict(float)
        after = self._cpu()
        for process in self._all():
            try:
                name = self._name(process)
                cpu[name] += after.get(process.pid, 0.0) - self._before.get(process.pid, 0.0)
                memory[name] += process.memory_full_info().pss / 1e6
            except psutil.NoSuchProcess:
                continue
        return [(name, cpu[name], memory[name]) for name in sorted(cpu, key=lambda n: -cpu[n])]


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=30, help="messages a second")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--burst", type=int, default=2000, help="messages at once, after the stream")
    parser.add_argument(
        "--publication", action=argparse.BooleanOptionalAction, default=True, help="change the model under the stream"
    )
    parser.add_argument("--latency", type=float, default=0.1, help="seconds that the Graph API takes")
    parser.add_argument("--ceiling", type=int, default=300, help="PLANTON_SEND_CEILING")
    parser.add_argument("--verbose", action="store_true", help="show what the system prints")
    return asyncio.run(Bench(parser.parse_args()).run())


if __name__ == "__main__":
    sys.exit(main())
