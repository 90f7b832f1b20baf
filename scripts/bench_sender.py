"""The sender alone, as it is run: how fast it empties the outbox to a Graph API that takes its time, and what a message costs.

    python scripts/bench_sender.py                                 10,000 rows, Graph at 100 ms
    python scripts/bench_sender.py --latency 0.05 0.1 0.2          one line each
    python scripts/bench_sender.py --rate 30 --seconds 10          a steady stream instead
    python scripts/bench_sender.py --claims                        how long a claim takes with 10² to 10⁵ rows waiting
    python scripts/bench_sender.py --idle 30                       no row at all: what waiting costs

CPU is told for the sender's process and for its connections to PostgreSQL; feeding and the Graph API are not counted.
Everything stays on loopback, in a directory that goes away.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import aiohttp
import psutil
import psycopg

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bot.core.dialogue import Reply  # noqa: E402
from bot.core.outbox import AGENT, REPLY  # noqa: E402
from bot.sandbox.graph import Graph, GraphAccount, GraphServer  # noqa: E402
from bot.store import outbox  # noqa: E402
from bot.store.codec import Codec  # noqa: E402
from bot.store.db import OUTBOX, Database, Listener  # noqa: E402
from bot.store.embedded import Embedded  # noqa: E402
from tests.fakes.ports import free_port  # noqa: E402

PAGE, TOKEN, SECRET = "100200300", "bench-token", "bench-secret"
KEY = base64.b64encode(bytes(32)).decode()
PROFILED = """
import cProfile, sys, time
from bot.app.cli import main
profile = cProfile.Profile(time.thread_time)
profile.enable()
try:
    main(sys.argv[2:])
finally:
    profile.disable()
    profile.dump_stats(sys.argv[1])
"""  # CPU of the loop's thread, from the start on
WORDS = (
    "Bonjour, je suis un assistant automatique. Vous pouvez porter plainte dans tout commissariat, à toute heure. " * 4
)


class Desk:
    """A database with its outbox."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database = Database(url, size=2, name="bench")
        self.codec = Codec(KEY)
        self._people = 0

    async def people(self, count: int) -> list[int]:
        """New conversations whose window is open."""
        first, self._people = self._people, self._people + count
        async with await psycopg.AsyncConnection.connect(self.url, application_name="bench") as connection:
            found = await connection.execute(
                "INSERT INTO conversations (platform, account, person, last_person_at)"
                " SELECT 'messenger', %s, '9' || lpad(n::text, 9, '0'), now()"
                " FROM generate_series(%s::integer, %s::integer) n RETURNING id",
                (PAGE, first, first + count - 1),
            )
            return [row[0] for row in await found.fetchall()]

    async def fill(self, rows: int, each: int = 1) -> int:
        """At once; `each`: messages a person. Returns how many rows."""
        people = await self.people(max(1, rows // each))
        now = datetime.now(timezone.utc)
        async with await psycopg.AsyncConnection.connect(self.url, application_name="bench") as connection:
            cursor = connection.cursor()
            numbers = await cursor.execute(
                "SELECT nextval('outbox_id_seq') FROM generate_series(1, %s)", (each * len(people),)
            )
            places = [(n, person) for n in range(each) for person in sorted(people)]
            lines = zip((row[0] for row in await numbers.fetchall()), places, strict=True)
            async with cursor.copy(
                "COPY outbox (id, conversation_id, account, lane, author, message, owner_version, created_at, due_at) FROM STDIN"
            ) as copy:
                for number, (n, person) in lines:
                    message = {"text": f"{n} {WORDS}", "quick_replies": []}
                    sealed = self.codec.seal_json(message, "outbox.message", person, number)
                    await copy.write_row((number, person, PAGE, REPLY, "bot", sealed, 0, now, now))
            await cursor.execute("SELECT pg_notify(%s, '')", (OUTBOX,))
        return len(people) * each

    async def stream(self, rate: float, seconds: float) -> int:
        """One row after the other, each as the worker adds it."""
        count = round(rate * seconds)
        people = await self.people(count)
        start = time.monotonic()
        for number, person in enumerate(people):
            await asyncio.sleep(max(0.0, start + number / rate - time.monotonic()))
            async with self.database.begin() as connection:
                row = outbox.NewRow(
                    person, REPLY, "bot", Reply(f"0 {WORDS}"), datetime.now(timezone.utc), owner_version=0
                )
                await outbox.add(connection, self.codec, row)
        return count


class Cpu:
    """CPU seconds of the sender and of its backends since it was made."""

    def __init__(self, sender: int, url: str) -> None:
        self._sender, self._url = sender, url
        self._before = self._now()

    def _now(self) -> tuple[float, dict[int, float]]:
        with psycopg.connect(self._url, application_name="bench") as connection:
            pids = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'planton%'"
            ).fetchall()
        return _seconds(self._sender), {pid: _seconds(pid) for (pid,) in pids}

    def since(self) -> tuple[float, float]:
        """(sender, its backends)."""
        sender, backends = self._now()
        return sender - self._before[0], sum(cpu - self._before[1].get(pid, 0.0) for pid, cpu in backends.items())


def _seconds(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


@contextlib.contextmanager
def desk() -> Iterator[Desk]:
    """A fresh database, migrated."""
    with tempfile.TemporaryDirectory(prefix="planton-bench-") as var, Embedded(Path(var)) as server:
        url = server.url

        async def migrate() -> None:
            database = Database(url, size=1)
            await database.migrate()
            await database.close()

        asyncio.run(migrate())
        yield Desk(url)


@contextlib.asynccontextmanager
async def sending(desk: Desk, graph_url: str, ceiling: int, profile: str) -> AsyncIterator[int]:
    """The sender as a process of its own; its pid once it is ready."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="planton-bench-") as var:
        settings = {
            "VAR_DIR": var,
            "DATABASE_URL": desk.url,
            "DATA_KEY": KEY,
            "SECRET_KEY": "bench-secret-key-of-thirty-two-characters",
            "SENDER_PORT": str(port),
            "META_APP_SECRET": SECRET,
            "META_PAGE_ID": PAGE,
            "META_PAGE_TOKEN": TOKEN,
            "META_GRAPH_URL": graph_url,
            "SEND_CEILING": str(ceiling),
        }
        environ = {k: v for k, v in os.environ.items() if not k.startswith("PLANTON_")}
        environ |= {f"PLANTON_{name}": value for name, value in settings.items()}
        environ["TZ"] = "UTC"
        process = subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, *(["-c", PROFILED, profile] if profile else ["-m", "bot"]), "_role", "sender"],
            cwd=ROOT,
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            async with aiohttp.ClientSession() as session:
                for _ in range(300):
                    with contextlib.suppress(aiohttp.ClientError, OSError):
                        async with session.get(f"http://127.0.0.1:{port}/healthz") as response:
                            if response.status == 200:
                                break
                    await asyncio.sleep(0.1)
                else:
                    raise SystemExit("the sender is not ready after thirty seconds")
            await asyncio.sleep(5)  # its first look at what Meta remembers is over
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait, 20)


async def run(desk: Desk, options: argparse.Namespace, latency: float) -> int:
    """One measurement; 1 when a message was lost, doubled or overtaken."""
    graph = Graph([GraphAccount(PAGE, TOKEN, SECRET, "")], latency=latency)
    server = GraphServer(graph)
    await server.start()
    try:
        async with sending(desk, server.url, options.ceiling, options.profile) as sender:
            await desk.fill(20)  # warm: connections, prepared statements
            while len(graph.sent) < 20:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)
            graph.sent.clear()
            graph.calls.clear()
            cpu, began = Cpu(sender, desk.url), time.monotonic()
            if options.idle:
                await asyncio.sleep(options.idle)
                own, backends = cpu.since()
                minute = 60 / options.idle
                print(f"idle: sender {own * minute:.2f} s of CPU a minute, its PostgreSQL {backends * minute:.2f} s")
                return 0
            if options.rate:
                count = await desk.stream(options.rate, options.seconds)
            else:
                count = await desk.fill(options.rows, options.each)
            while len(graph.sent) < count and time.monotonic() - began < options.limit:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            took = time.monotonic() - began
            await asyncio.sleep(0.3)  # what was sent is written
            own, backends = cpu.since()
            with psycopg.connect(desk.url) as connection:
                left = connection.execute("SELECT count(*) FROM outbox WHERE status <> 'sent'").fetchone()
            return _report(graph, latency, count, took, own, backends, left[0] if left else 0)
    finally:
        await desk.database.close()
        await server.stop()


def _report(graph: Graph, latency: float, count: int, took: float, own: float, backends: float, left: int) -> int:
    texts: dict[str, list[str]] = defaultdict(list)
    for sent in graph.sent:
        texts[sent.person].append(sent.text)
    doubled = sum(len(said) - len(set(said)) for said in texts.values())
    disordered = sum(said != sorted(said) for said in texts.values())
    overlapped = sum(sent.overlapped for sent in graph.sent)
    n = max(1, len(graph.sent))
    print(
        f"Graph {latency * 1000:.0f} ms: {len(graph.sent)} messages in {took:.1f} s, {len(graph.sent) / took:.0f} a second; "
        f"CPU a message: sender {own / n * 1000:.2f} ms, its PostgreSQL {backends / n * 1000:.2f} ms; "
        f"calls a message {len(graph.calls) / n:.2f}; not sent {left}, doubled {doubled}, disordered {disordered}, "
        f"at once to one person {overlapped}",
        flush=True,
    )
    return int(left + doubled + disordered + overlapped > 0)


async def claims(desk: Desk) -> None:
    """Milliseconds for a claim of 32, with ever more rows waiting; 64 are under way."""
    listener = Listener(desk.url, ())
    waiting = 0
    for total in (100, 1_000, 10_000, 100_000):
        waiting += await desk.fill(total - waiting)
        store = outbox.OutboxStore(desk.database, desk.codec, listener, 400)
        lease = timedelta(seconds=60)
        now = datetime.now(timezone.utc)
        held = [row.id for row in await store.claim(now, 64, (REPLY, AGENT), lease)]
        times = []
        for _ in range(25):
            began = time.perf_counter()
            rows = await store.claim(now, 32, (REPLY, AGENT), lease, held=held)
            times.append(time.perf_counter() - began)
            async with desk.database.begin(durable=False) as connection:
                driver = (await connection.get_raw_connection()).driver_connection
                assert driver is not None
                ids = [row.id for row in rows]
                await driver.execute("UPDATE outbox SET lease_until = NULL WHERE id = ANY(%s)", (ids,))
        async with desk.database.begin(durable=False) as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            await driver.execute("UPDATE outbox SET lease_until = NULL WHERE lease_until IS NOT NULL")
        if hasattr(store, "close"):
            await store.close()
        spread = statistics.quantiles(times[5:], n=20)
        print(
            f"{total:>7} rows wait: claim of {len(rows)}: median {statistics.median(times[5:]) * 1000:.1f} ms, "
            f"95 % {spread[-1] * 1000:.1f} ms",
            flush=True,
        )
    await desk.database.close()


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--each", type=int, default=1, help="messages a person")
    parser.add_argument("--latency", type=float, nargs="+", default=[0.1], help="seconds that the Graph API takes")
    parser.add_argument("--ceiling", type=int, default=400, help="PLANTON_SEND_CEILING")
    parser.add_argument("--rate", type=float, default=0.0, help="messages a second, instead of all at once")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--limit", type=float, default=300.0, help="seconds to wait for the end")
    parser.add_argument("--idle", type=float, default=0.0, help="seconds without a row")
    parser.add_argument("--claims", action="store_true")
    parser.add_argument("--profile", default="", help="write a cProfile of the sender to this file")
    options = parser.parse_args()
    with desk() as opened:
        if options.claims:
            asyncio.run(claims(opened))
            return 0
        return max(asyncio.run(run(opened, options, latency)) for latency in options.latency)


if __name__ == "__main__":
    sys.exit(main())
