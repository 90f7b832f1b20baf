"""`make bench-machines`: Planton on several machines, each a network namespace with a share of the processors of its own.

PostgreSQL, two gateways behind nginx (as deploy/nginx has it), three workers, two engines, two senders; who writes, and Meta,
stand on machines of their own. Prints what each added worker and engine brings, then what becomes of every message while a
machine is lost, the network is cut, each role is restarted in turn, and the model changes.

    sudo make bench-machines
    python -m scripts.machines [--light] [--share 0.12] [--seconds 12] [--rate 10] [--only scale|faults|NAME,NAME]

Each machine of the first table may use `share` of a processor: adding one adds that much, on a machine of any size.
`--light`: an engine of a few lines instead of Rasa, for the second table.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import random
import re
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import psycopg
from psycopg.rows import dict_row

from bot.core.errors import Explained, SetupError
from bot.store.embedded import Embedded
from bot.trainer import engines as engine_files
from scripts.bench import second_model
from scripts.benchmark import page
from scripts.hosts import NET, Lan, missing
from scripts.marks import around
from tests.fakes.graph import PAGE, SECRET, TOKEN, ScriptedGraph
from tests.scenario.faults import Storm, World
from tests.scenario.processes import HELP, QUESTIONS, Account, Message, Meta, account, settled, until

ROOT = Path(__file__).resolve().parents[1]
NGINX = ROOT / "deploy" / "nginx"
GATEWAYS, WORKERS, ENGINES, SENDERS = ("g1", "g2"), ("w1", "w2", "w3"), ("e1", "e2"), ("s1", "s2")
NUMBERS = {
    "edge": 3,
    "db": 10,
    "g1": 21,
    "g2": 22,
    "w1": 31,
    "w2": 32,
    "w3": 33,
    "e1": 41,
    "e2": 42,
    "s1": 51,
    "s2": 52,
}
ROLES = {**dict.fromkeys(GATEWAYS, "gateway"), **dict.fromkeys(WORKERS, "worker"), **dict.fromkeys(ENGINES, "engine")}
ROLES |= dict.fromkeys(SENDERS, "sender")
STARTS = 240.0  # seconds, at most: two engines on a busy machine
AWAY = 8.0  # seconds that a lost machine stays away
CUT = 20.0  # seconds of a partition
PASSED_OVER = 6.0  # seconds until nginx looks again at a gateway that was away (fail_timeout is 5)


def nginx_conf(folder: Path, address: str, gateways: Sequence[str]) -> str:
    """The files of deploy/nginx for these gateways, without what belongs to a site: TLS, names, limits for one address."""
    shared = (NGINX / "planton-http.conf").read_text(encoding="utf-8")
    shared = re.sub(r"^limit_\w+ .*;$", "", shared, flags=re.MULTILINE)  # everybody writes from one address here
    shared = re.sub(
        r"^(\s*)server 127\.0\.0\.1:8080 (.*;)$",
        lambda line: "\n".join(f"{line[1]}server {gateway}:8080 {line[2]}" for gateway in gateways),
        shared,
        flags=re.MULTILINE,
    )
    webhook = (NGINX / "planton-webhook.conf").read_text(encoding="utf-8")
    passing = re.findall(r"^\s*((?:proxy_read_timeout|proxy_next_upstream\w*|client_\w+) .*;)$", webhook, re.MULTILINE)
    places = [
        f"{kind}_temp_path {folder}/nginx-{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    ]
    return f"""
daemon off; user root; pid {folder}/nginx.pid; error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    {" ".join(places)}
    {shared}
    server {{
        listen {address}:8080;
        include {NGINX}/planton-proxy.conf;
        {" ".join(passing)}
        location / {{ proxy_pass http://planton_gateway; }}
    }}
}}
"""


class Site:
    """All machines, and what `tests.scenario.processes` asks of a running Planton: url, session, words, rows."""

    def __init__(self, lan: Lan, folder: Path, options: argparse.Namespace) -> None:
        self.lan, self.folder, self.light = lan, folder, options.light
        self.hosts = {name: lan.host(name, number) for name, number in NUMBERS.items()}
        self.url = f"http://{self.hosts['edge'].address}:8080"
        self.database = f"postgresql://planton@{self.hosts['db'].address}/planton"
        self.session: aiohttp.ClientSession = None  # type: ignore[assignment]
        self.words: set[str] = set()
        self.graph_url = ""
        self._started: dict[str, float] = {}
        self.engines = list(ENGINES)  # those that workers that start from now on are told of
        self._secrets = {name: secrets.token_urlsafe(32) for name in ("SECRET_KEY", "SENDER_KEY", "METRICS_TOKEN")}
        self._secrets["DATA_KEY"] = base64.b64encode(secrets.token_bytes(32)).decode()

    # -- starting ------------------------------------------------------------------------------------------------

    def environ(self, name: str) -> dict[str, str]:
        """What the machine's launcher is told: the same everywhere, but for where it listens and keeps its files."""
        host, role = self.hosts[name], ROLES[name]
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PLANTON_") and k != "PYTHONDONTWRITEBYTECODE"}
        engines = [f"http://{self.hosts[one].address}:5005" for one in self.engines]
        settings = {
            "VAR_DIR": str(self.folder / name),
            "ENGINE_URL": "http://127.0.0.1:5005" if role == "engine" else ",".join(engines),
            "ENGINE_HOST": host.address,
            "GATEWAY_HOST": host.address,
            "SENDER_HOST": host.address,
            "SENDER_URL": ",".join(f"http://{self.hosts[one].address}:8060" for one in SENDERS),
        }
        if role != "engine":
            settings |= {
                "DATABASE_URL": self.database,
                **self._secrets,
                "META_APP_SECRET": SECRET,
                "META_VERIFY_TOKEN": "verify",
                "META_PAGE_ID": PAGE,
                "META_PAGE_TOKEN": TOKEN,
                "META_GRAPH_URL": self.graph_url,
                "SEND_CEILING": "400",
                "DEBOUNCE_MS": "0",
                "NIGHT_START": "00:00",
                "NIGHT_END": "00:00",
                "DESK_HOURS": "00:00-24:00",
                "PURGE_HOURS": "jamais",
            }
        return kept | {f"PLANTON_{setting}": value for setting, value in settings.items()}

    def start(self, name: str) -> None:
        """Start what runs on a machine; it is ready a little later."""
        host = self.hosts[name]
        log = self.folder / f"{name}.log"
        self._started[name] = time.time()
        if name == "db":
            words = [sys.executable, "-m", "scripts.machines", "_postgres", str(self.folder / "db"), host.address]
            host.start(words, os.environ, ROOT, log)
        elif name == "edge":
            host.start(["nginx", "-c", str(self._nginx()), "-p", str(self.folder)], os.environ, ROOT, log)
        elif self.light and ROLES[name] == "engine":
            words = [sys.executable, "-m", "tests.fakes.launcher_process", str(self.folder / "models"), "300"]
            host.start(words, self.environ(name), ROOT, log)
        else:
            host.start([sys.executable, "-m", "bot", "run", ROLES[name]], self.environ(name), ROOT, log)

    def _nginx(self) -> Path:
        file = self.folder / "nginx.conf"
        gateways = [self.hosts[name].address for name in GATEWAYS]
        file.write_text(nginx_conf(self.folder, self.hosts["edge"].address, gateways), encoding="utf-8")
        return file

    async def start_all(self) -> None:
        """The database first; then everything, and wait until it is ready."""
        models = self.folder / "models"
        models.mkdir()
        for age, name in ((2, "deux"), (1, "un")):  # « un » is the newest
            (models / f"{name}.tar.gz").write_text(json.dumps({"word": "procuration"}))
            os.utime(models / f"{name}.tar.gz", (time.time() - age * 60,) * 2)
        self.start("db")
        await until(self._database_answers, 60, "PostgreSQL answers")
        for name in (*ENGINES, *GATEWAYS, *SENDERS, *WORKERS, "edge"):
            self.start(name)
        for name in (*ENGINES, *SENDERS, *WORKERS, *GATEWAYS):
            await self.ready(name)

    async def _database_answers(self) -> bool:
        try:
            async with await psycopg.AsyncConnection.connect(self.database, connect_timeout=2):
                return True
        except psycopg.Error:
            return False

    async def ready(self, name: str) -> float:
        """Wait until what runs on a machine does its work; the seconds it took."""
        role, address = ROLES.get(name), self.hosts[name].address
        probes = {"gateway": ":8080/readyz", "sender": ":8060/healthz", "engine": ":5005/healthz"}

        async def answers() -> bool:
            assert self.hosts[name].running, f"{name}: {self.said(name)}"
            if name == "db":
                return await self._database_answers()
            if role == "worker":
                rows = await self.rows("SELECT at FROM reloads WHERE role = 'worker' AND host = %(host)s", host=name)
                return bool(rows) and rows[0]["at"].timestamp() > self._started[name]
            url = self.url + "/healthz" if name == "edge" else f"http://{address}{probes[role or '']}"
            try:
                async with self.session.get(url, timeout=aiohttp.ClientTimeout(total=2)) as response:
                    return response.status == 200
            except (aiohttp.ClientError, TimeoutError, OSError):
                return False

        return await until(answers, STARTS, f"{name} ready: {self.said(name)}", every=0.1)

    def said(self, name: str) -> str:
        """The last words of a machine."""
        log = self.folder / f"{name}.log"
        return log.read_text(errors="replace")[-1500:] if log.exists() else ""

    async def stop(self, name: str) -> None:
        """SIGTERM, and wait for the end. In the loop's own thread nothing else goes on meanwhile, hence another."""
        await asyncio.to_thread(self.hosts[name].end)

    async def again(self, *names: str) -> None:
        """Restart machines one after the other, as an update does."""
        for name in names:
            await self.stop(name)
            self.start(name)
            await self.ready(name)
            if ROLES.get(name) == "gateway":
                await asyncio.sleep(PASSED_OVER)

    async def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """Rows of a query; a database that is away is awaited."""
        end = time.monotonic() + 60
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self.database, row_factory=dict_row, connect_timeout=3
                ) as one:
                    return await (await one.execute(query, values)).fetchall()
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(0.2)


# -- what each worker and engine adds --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One line of the first table. `cpu`: milliseconds a message of workers, of engines."""

    workers: int
    engines: int
    rate: float
    cpu: tuple[float, float]


class Scale:
    """Throughput with so many workers and engines, each on a machine of its own with the same share of a processor."""

    def __init__(self, site: Site, meta: Meta, share: float, seconds: float) -> None:
        self.site, self.meta, self.share, self.seconds = site, meta, share, seconds
        self._people = 0

    async def measure(self, workers: int, engines: int) -> Step:
        """Let many write at once and count what is answered in a window, once all have work."""
        site = self.site
        names = (*WORKERS[:workers], *ENGINES[:engines])
        site.engines = list(ENGINES[:engines])
        await asyncio.gather(*(site.stop(name) for name in WORKERS))
        for name in WORKERS[:workers]:
            site.start(name)
        for name in WORKERS[:workers]:
            await site.ready(name)
        messages = [self._write() for _ in range(int(300 * self.share * max(workers, engines) * (self.seconds + 8)))]
        try:
            for name in names:
                site.hosts[name].quota(self.share)
            await self.meta.acknowledged(messages, 60)
            await asyncio.sleep(2)
            answered, cpu, start = len(self.meta.graph.sent), self._cpu(names), time.monotonic()
            await asyncio.sleep(self.seconds)
            count, took = len(self.meta.graph.sent) - answered, time.monotonic() - start
            used = self._cpu(names)
            assert any(not self.meta.reached(m.person) for m in messages), (
                "they ran out of work: more messages are needed"
            )
        finally:
            for name in names:
                site.hosts[name].quota(None)
        await settled(site, messages, 240)  # type: ignore[arg-type]
        spent = [sum(used[n] - cpu[n] for n in names if ROLES[n] == role) for role in ("worker", "engine")]
        return Step(workers, engines, count / took, (1000 * spent[0] / max(1, count), 1000 * spent[1] / max(1, count)))

    def _write(self) -> Message:
        self._people += 1
        return self.meta.write(f"scale{self._people}", QUESTIONS[self._people % len(QUESTIONS)])

    def _cpu(self, names: Sequence[str]) -> dict[str, float]:
        found = dict.fromkeys(names, 0.0)
        for name in names:
            for pid in self.site.hosts[name].pids:
                with contextlib.suppress(psutil.Error):
                    times = psutil.Process(pid).cpu_times()
                    found[name] += times.user + times.system
        return found


def scale_table(steps: Sequence[Step], share: float) -> str:
    """Aligned lines."""
    first = steps[0].rate
    lines = [f"{'workers':>8}{'engines':>9}{'messages/s':>12}{'times':>8}{'ms worker':>11}{'ms engine':>11}"]
    for one in steps:
        lines.append(
            f"{one.workers:>8}{one.engines:>9}{one.rate:>12.1f}{one.rate / first:>8.2f}{one.cpu[0]:>11.1f}{one.cpu[1]:>11.1f}"
        )
    lines.append(
        f"each worker and each engine: a machine of its own with {share:.0%} of a processor; ms: of CPU, a message"
    )
    return "\n".join(lines)


# -- faults ----------------------------------------------------------------------------------------------------------------

Make = Callable[[Site], Awaitable[None]]


def losing(name: str, seconds: float = AWAY) -> Make:
    """The machine's power fails, and comes back."""

    async def make(site: Site) -> None:
        site.hosts[name].lose()
        await asyncio.sleep(seconds)
        site.hosts[name].plug()
        site.start(name)
        await site.ready(name)

    return make


def cutting(some: Sequence[str], others: Sequence[str], seconds: float = CUT) -> Make:
    """The network between these and those machines is cut; everything else goes on."""

    async def make(site: Site) -> None:
        far = [site.hosts[name] for name in others]
        for name in some:
            site.hosts[name].cut(*far)
        await asyncio.sleep(seconds)
        for name in some:
            site.hosts[name].mend()

    return make


def restarting(*names: str) -> Make:
    """One machine after the other is stopped as an update does, and started."""

    async def make(site: Site) -> None:
        await site.again(*names)

    return make


async def change_model(site: Site) -> None:
    """The engines' machines change to another model, one machine after the other, while they answer."""
    with contextlib.nullcontext("deux.tar.gz") if site.light else second_model() as model:
        for name in ENGINES:
            folder = site.folder / name
            wish = engine_files.ask(folder, model)

            def done(folder: Path = folder, wish: engine_files.Wanted = wish) -> bool:
                status = engine_files.status(folder)
                return status.wanted == wish.id and status.state != engine_files.SWITCHING

            await until(done, STARTS, f"{name} changes its model")
            assert engine_files.status(folder).state == engine_files.DONE, engine_files.status(folder).failure
            assert engine_files.status(folder).models == {model}
        if not site.light:
            await site.again(*ENGINES)  # the copy goes: they return to the model of before


FAULTS: dict[str, tuple[str, Make]] = {
    "lose-w": ("machine lost: worker w1", losing("w1")),
    "lose-e": ("machine lost: engine e1", losing("e1")),
    "lose-g": ("machine lost: gateway g1", losing("g1")),
    "lose-s": ("machine lost: sender s1", losing("s1")),
    "lose-edge": ("machine lost: nginx", losing("edge", 4.0)),
    "lose-db": ("machine lost: PostgreSQL", losing("db", 4.0)),
    "cut-w": ("network cut 20 s: workers | PostgreSQL", cutting(WORKERS, ["db"])),
    "cut-w1": ("network cut 20 s: w1 | PostgreSQL", cutting(["w1"], ["db"])),
    "cut-e": ("network cut 20 s: e1 | workers", cutting(["e1"], WORKERS)),
    "cut-g": ("network cut 20 s: gateways | PostgreSQL", cutting(GATEWAYS, ["db"])),
    "cut-g1": ("network cut 20 s: g1 | PostgreSQL", cutting(["g1"], ["db"])),
    "cut-s": ("network cut 20 s: s1 | PostgreSQL", cutting(["s1"], ["db"])),
    "roll-g": ("restarted in turn: gateways", restarting(*GATEWAYS)),
    "roll-w": ("restarted in turn: workers", restarting(*WORKERS)),
    "roll-s": ("restarted in turn: senders", restarting(*SENDERS)),
    "roll-e": ("restarted in turn: engines", restarting(*ENGINES)),
    "model": ("model changed in turn: e1, e2", change_model),
}


@dataclass
class Line:
    """One line of the second table. Seconds: the fault's length, until a newcomer who wrote after it began was answered, the
    slowest first answer to a newcomer, the slowest answer to a cry for help."""

    account: Account
    length: float
    recovered: float
    slowest: float
    refused: int


async def strike(site: Site, world: World, key: str, rate: float) -> Line:
    """One event while messages flow; what became of every message."""
    name, make = FAULTS[key]
    storm = Storm(world, name, rate)

    async def happen(_world: World) -> None:
        await make(site)

    began, ended = await storm.blow(int(6 * rate), happen)
    await world.meta.acknowledged(storm.messages, 120)
    await until(lambda: storm.first_answer_after(began) is not None, 120, "a newcomer answered")
    await settled(site, storm.messages, 180)  # type: ignore[arg-type]
    await asyncio.sleep(1.5)  # a doubled reply would leave soon after
    line = await account(name, site, world.meta, storm.messages)  # type: ignore[arg-type]
    # Sent without the outbox, a cry has no row to be told twice by.
    for cry in (m for m in storm.messages if m.words == HELP):
        if (times := len(world.meta.reached(cry.person))) != 1:
            line.doubled += max(0, times - 1)
            line.lost += times == 0
            line.notes.append(f"{cry.person}: {times} replies to a cry for help")
    newcomers = [m for m in storm.messages if "new" in m.person]
    slowest = max(since_written for since_written, _ in world.meta.delays(newcomers))
    refused = sum(m.refusals for m in storm.messages)
    return Line(line, ended - began, storm.first_answer_after(began) or 0.0, slowest, refused)


PAGE_MD = ROOT / "docs" / "passage-a-l-echelle.md"
CONSOLES = (
    "Les consoles ne sont pas jouées ici. `tests/contract/test_several.py` en fait tourner deux sur une même base : une "
    "session passe de l’une à l’autre, chacune montre qui a pris une conversation, et se déconnecter de l’une vaut pour l’autre."
)


def put(name: str, text: str, said: str) -> None:
    """Put a table between its two marks in the page. `said`: how it was measured."""
    begin, end = f"<!-- {name} -->", f"<!-- fin {name} -->"
    try:
        before, _, after = around(PAGE_MD.read_text(encoding="utf-8"), begin, end)
    except LookupError:
        raise SetupError(f"{PAGE_MD.name} n’a pas de place pour « {name} ».", f"Remettez-y {begin} et {end}.") from None
    PAGE_MD.write_text(f"{before}\n{said}\n\n```\n{text}\n```\n{after}", encoding="utf-8")


def fault_table(lines: Sequence[Line]) -> str:
    """Aligned lines."""
    heads = ("messages", "lost", "doubled", "disorder", "refused", "lasted s", "after s", "slowest s", "danger s")
    rows = [f"{'event':<42}" + "".join(f"{head:>10}" for head in heads)]
    for one in lines:
        a = one.account
        figures = (a.messages, a.lost, a.doubled, a.disordered, one.refused)
        times = (one.length, one.recovered, one.slowest, a.danger or 0.0)
        rows.append(f"{a.fault:<42}" + "".join(f"{n:>10}" for n in figures) + "".join(f"{t:>10.1f}" for t in times))
    totals = [
        sum(getattr(one.account, what) for one in lines) for what in ("messages", "lost", "doubled", "disordered")
    ]
    rows.append(f"{'all':<42}" + "".join(f"{n:>10}" for n in totals))
    rows.append(
        "refused: webhooks answered 503 or not at all, which Meta sent again; after: until a newcomer who wrote after it began"
    )
    rows.append(
        "was answered; slowest: the slowest first answer to a newcomer; danger: to a cry for help (each in seconds)"
    )
    return "\n".join(rows)


def _measured(options: argparse.Namespace, stolen: page.Stolen) -> str:
    command = page.said_by(options.words, "scripts.machines")
    return page.circumstances(command, stolen.share, engine=not options.light)


# -- all of it -------------------------------------------------------------------------------------------------------------


async def bench(options: argparse.Namespace, lan: Lan, folder: Path) -> int:
    """Start, measure, print. Returns 1 when a message was lost or came out of order, or scaling falls short."""
    meta_host = lan.host("meta", 2)
    meta_host.enter()  # from here on we are the machine from which people write
    site = Site(lan, folder, options)
    wrong = 0
    async with ScriptedGraph(latency=0.1, host=f"{NET}.2") as graph:
        site.graph_url = graph.url
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=256)) as site.session:
            start = time.monotonic()
            await site.start_all()
            print(f"{len(site.hosts)} machines ready after {time.monotonic() - start:.0f} s", flush=True)
            meta = Meta(site, graph)  # type: ignore[arg-type]
            meta.refusals |= {502, 504}  # nginx has no gateway at hand
            wanted = (
                []
                if options.only == "scale"
                else list(FAULTS)
                if options.only in (None, "faults")
                else options.only.split(",")
            )
            try:
                if wanted:
                    wrong += await _faults(site, meta, graph, wanted, options)
                if options.only in (None, "scale"):
                    wrong += await _scale(site, meta, options)
            finally:
                await meta.close()
    return 1 if wrong else 0


async def _faults(
    site: Site, meta: Meta, graph: ScriptedGraph, wanted: Sequence[str], options: argparse.Namespace
) -> int:
    stolen = page.Stolen()
    world = World(site, meta, graph, random.Random(options.seed))  # type: ignore[arg-type]
    lines: list[Line] = []
    try:
        for key in wanted:
            line = await strike(site, world, key, options.rate)
            lines.append(line)
            notes = "".join(f"\n    {note}" for note in line.account.notes) if options.notes else ""
            print(f"  {FAULTS[key][0]}: {line.account.lost} lost, {line.account.doubled} doubled{notes}", flush=True)
    finally:
        print("\n" + fault_table(lines) + "\n", flush=True)
    if options.write:
        put("pannes", fault_table(lines), f"{_measured(options, stolen)}\n\n{CONSOLES}")
    return sum(one.account.lost + one.account.disordered for one in lines)


_SIZES = """SELECT pg_database_size(current_database()) AS size, pg_current_wal_lsn() - '0/0' AS wal,
    (SELECT count(*) FROM events WHERE kind = 'text') AS n"""


async def _scale(site: Site, meta: Meta, options: argparse.Namespace) -> int:
    stolen = page.Stolen()
    scale = Scale(site, meta, options.share, options.seconds)
    steps = []
    [before] = await site.rows(_SIZES)
    for workers, engines in ((1, 1), (2, 1), (1, 2), (2, 2)):
        steps.append(await scale.measure(workers, engines))
        one = steps[-1]
        print(f"  {workers} + {engines}: {one.rate:.1f} messages/s", flush=True)
    print("\n" + scale_table(steps, options.share) + "\n", flush=True)
    [after] = await site.rows(_SIZES)
    each = {what: (after[what] - before[what]) / (after["n"] - before["n"]) / 1024 for what in ("size", "wal")}
    disk = f"a message: {each['size']:.1f} KB of the database, {each['wal']:.1f} KB of WAL"
    print(disk + "\n", flush=True)
    if options.write:
        said = _measured(options, stolen)
        put("ajouts", scale_table(steps, options.share), said)
        put("disque", disk, said)
    return int(steps[-1].rate < 1.8 * steps[0].rate)


def _postgres(folder: Path, address: str) -> int:
    """PostgreSQL of this machine, until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    rules = Path(tempfile.gettempdir(), f"plm-hba-{os.getpid()}")  # its own user must read it
    rules.write_text(f"local all all trust\nhost all all {NET}.0/24 trust\n")
    rules.chmod(0o644)
    try:
        with Embedded(folder, {"listen_addresses": address, "hba_file": str(rules)}) as server:
            while not stop.wait(0.5) and server.pid is not None:
                pass
    finally:
        rules.unlink()
    return 0


@contextlib.contextmanager
def _folder(keep: bool) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="plm-"))
    try:
        yield folder
    finally:
        if keep:
            print(f"logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def main(words: Sequence[str]) -> int:
    """Read the options and run; 2 when this machine cannot play several."""
    if words[:1] == ["_postgres"]:
        return _postgres(Path(words[1]), words[2])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--light", action="store_true", help="an engine of a few lines instead of Rasa")
    parser.add_argument(
        "--share", type=float, default=0.12, help="of a processor, for each worker and engine of the first table"
    )
    parser.add_argument("--seconds", type=float, default=15, help="of measuring, for each line of the first table")
    parser.add_argument("--rate", type=float, default=10, help="messages a second during faults")
    parser.add_argument("--seed", type=int, default=1, help="of the moments at which faults begin")
    parser.add_argument("--only", help=f"scale, faults, or some of: {', '.join(FAULTS)}")
    parser.add_argument("--keep", action="store_true", help="keep the machines' logs")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/passage-a-l-echelle.md")
    parser.add_argument("--notes", action="store_true", help="say which messages were doubled, lost or out of order")
    options = parser.parse_args(words)
    options.words = words
    if lacking := missing():
        print("La mesure sur plusieurs machines n’est pas possible ici :", *lacking, sep="\n- ", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was made is removed
    try:
        with _folder(options.keep) as folder, Lan() as lan:
            return asyncio.run(bench(options, lan, folder))
    except Explained as error:
        print(f"{error.what} {error.remedy}".strip(), file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
