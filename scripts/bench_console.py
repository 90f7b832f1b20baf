"""The console at its full size: pages at the server, and 50 consoles that follow the queue live.

Invents conversations (`planton seed`) in a database of its own, starts `planton run console` on it and asks for pages one
after the other: queue (each filter, page after page), conversation, steering, search. Then hand-offs are opened while many
consoles are connected: each, told by the stream, asks for its queue again, as `core.js` does; the delay runs from the
commit to the moment when that page shows the new line. Prints medians and 95th percentiles beside what is promised, and the
processor time that the server's processes spent on each: it says what the machine's other work hides.

    python scripts/bench_console.py [--conversations 100000] [--messages 1000000] [--consoles 50]
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import html
import os
import re
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import aiohttp
import psutil
import psycopg

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bot.app import seed  # noqa: E402
from bot.store import handoffs  # noqa: E402
from bot.store.accounts import AccountError, Accounts  # noqa: E402
from bot.store.codec import Codec  # noqa: E402
from bot.store.db import Database  # noqa: E402
from bot.store.embedded import Embedded  # noqa: E402
from bot.store.volumes import RollUp  # noqa: E402

PAGES_MS, SEARCH_MS, LIVE_MS = 200, 300, 1000  # what the console promises
AGENTS, PASSWORD = 10, "une phrase de passe pour mesurer"
DEEP = 60  # pages of the queue that are leafed through
SEARCHES: tuple[dict[str, str], ...] = (
    {"mots": "plainte"},
    {"mots": "bonjour"},
    {"mots": "vélo marseille"},
    {"mots": "commissariat horaires samedi"},
    {"mots": "introuvablement"},
    {"mots": '"carte d’identité"'},
    {"mots": '"plainte vélo marseille"'},
    {"mots": "merci -bonjour"},
    {"mots": "police", "auteur": "assistant"},
    {"mots": "équipage", "auteur": "note"},
    {"mots": "le bris"},
    {"mots": "camille", "auteur": "nom"},
    {"mots": "plainte", "categorie": "complaint"},
    {"mots": "plainte", "etat": "spam"},
    {"mots": "plainte", "plateforme": "instagram", "categorie": "urgent"},
    {"mots": "perdu portefeuille", "tri": "proche"},
)


def percentile(values: Sequence[float], percent: int) -> float:
    """In the unit of the values."""
    return values[0] if len(values) == 1 else statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


class Client:
    """Somebody who has logged in."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def log_in(self, name: str) -> None:
        """Through the form, as anybody."""
        async with self.session.get(f"{self.url}/connexion") as response:
            csrf = hidden(await response.text(), "csrf")
        fields = {"csrf": csrf, "nom": name, "mot_de_passe": PASSWORD, "suite": "/file"}
        async with self.session.post(f"{self.url}/connexion", data=fields) as response:
            if response.status != 200 or not response.url.path.startswith("/file"):
                raise SystemExit(f"{name} does not get in: {response.status} {response.url.path}")

    async def page(self, path: str, live: bool = False) -> tuple[float, int, str, str]:
        """(milliseconds, status, body, address)."""
        start = time.perf_counter()
        headers = {"X-Planton-Live": "1"} if live else {}
        async with self.session.get(self.url + path, headers=headers) as response:
            body = await response.text()
        return (time.perf_counter() - start) * 1000, response.status, body, response.url.path_qs


def hidden(page: str, name: str) -> str:
    """The value of a hidden field, "" when there is none."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    return html.unescape(found[1]) if found else ""


class Meter:
    """Processor time of the console and of its database, since the last look."""

    def __init__(self) -> None:
        self._launcher: psutil.Process | None = None
        self._database = ""
        self._before = 0.0

    def watch(self, launcher: int, database_url: str) -> None:
        """From now on."""
        self._launcher = psutil.Process(launcher)
        with psycopg.connect(database_url) as connection:
            self._database = f" {connection.info.dbname} "
        self.spent()

    def spent(self) -> float:
        """Milliseconds."""
        total = 0.0
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
        spent, self._before = (total - self._before) * 1000, total
        return max(0.0, spent)

    def _processes(self) -> list[psutil.Process]:
        assert self._launcher is not None
        found = [self._launcher, *self._launcher.children(recursive=True)]
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                title = " ".join(process.cmdline())
                if title.startswith("postgres:") and self._database in title:
                    found.append(process)
        return found


class Bench:
    """One run."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.slow: list[str] = []
        self.meter = Meter()
        drawn = base64.b64encode(secrets.token_bytes(32)).decode()
        self.codec_key = os.environ.get("PLANTON_DATA_KEY", drawn) if options.database else drawn
        self.codec = Codec(self.codec_key)

    def run(self) -> int:
        """Prepare, measure, print, end; 1 when something took longer than promised."""
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="planton-console-"))
            url = self.options.database or stack.enter_context(Embedded(Path(folder) / "pg")).url
            asyncio.run(self._prepare(url))
            with socket.create_server(("127.0.0.1", 0)) as probe:
                port = probe.getsockname()[1]
            process = subprocess.Popen(
                [sys.executable, "-m", "bot", "run", "console"],
                cwd=ROOT,
                env=self._environment(folder, url, port),
                stdout=subprocess.DEVNULL,
                stderr=None if self.options.verbose else subprocess.DEVNULL,
            )
            try:
                asyncio.run(self._measure(url, f"http://127.0.0.1:{port}", process))
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=30)
        print("\nall within what is promised" if not self.slow else f"\nslower than promised: {', '.join(self.slow)}")
        return 1 if self.slow else 0

    def _environment(self, folder: str, url: str, port: int) -> dict[str, str]:
        environ = {k: v for k, v in os.environ.items() if not k.startswith("PLANTON_")}
        settings = {
            "VAR_DIR": folder,
            "DATABASE_URL": url,
            "DATA_KEY": self.codec_key,
            "SECRET_KEY": "secret of the bench",
            "METRICS_TOKEN": "token of the bench",
            "CONSOLE_PORT": str(port),
        }
        return environ | {f"PLANTON_{name}": value for name, value in settings.items()}

    async def _prepare(self, url: str) -> None:
        database = Database(url, size=2)
        await database.migrate()
        if not self.options.database:
            await self._seed(url)
        await RollUp(database).catch_up(datetime.now(timezone.utc))  # as the workers do every minute
        accounts = Accounts(database, "secret of the bench")
        for number in range(AGENTS):
            with contextlib.suppress(AccountError):  # there from an earlier run
                await accounts.add(f"Mesure {number}", "agent", PASSWORD)
        await database.close()

    async def _seed(self, url: str) -> None:
        start = time.monotonic()
        options = self.options
        say = print if options.verbose else lambda line: None
        await asyncio.to_thread(seed.fill, url, self.codec, options.conversations, options.messages, tell=say)
        with psycopg.connect(url) as connection:
            size = connection.execute("SELECT pg_size_pretty(pg_database_size(current_database()))").fetchone()
        assert size is not None
        took = time.monotonic() - start
        print(f"{options.conversations:,} conversations, {options.messages:,} messages: {took:.0f} s, {size[0]}\n")

    async def _measure(self, database_url: str, url: str, process: subprocess.Popen[bytes]) -> None:
        await self._ready(url, process)
        self.meter.watch(process.pid, database_url)
        clients = [Client(url) for _ in range(AGENTS)]
        try:
            for number, client in enumerate(clients):
                await client.log_in(f"Mesure {number}")
            load, cores = os.getloadavg()[0], os.cpu_count() or 1
            busy = "  (others are at work here: times are longer than they would be)" if load > cores else ""
            print(f"load {load:.1f} on {cores} cores{busy}\n")
            print(f"{'page':<42}{'n':>5}{'median':>10}{'p95':>10}{'most':>10}{'CPU':>9}   asked")
            await self._queue(clients[0])
            await self._conversations(clients[0], database_url)
            await self._steering(clients[0])
            await self._search(clients[0])
            await self._live(clients, database_url)
        finally:
            for client in clients:
                await client.session.close()

    async def _ready(self, url: str, process: subprocess.Popen[bytes]) -> None:
        async with aiohttp.ClientSession() as session:
            for _ in range(300):
                if process.poll() is not None:
                    raise SystemExit("planton run ended; try again with --verbose")
                try:
                    async with session.get(f"{url}/connexion") as response:
                        if response.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.2)
        raise SystemExit("the console is not ready after a minute; try again with --verbose")

    def _report(
        self, name: str, values: Sequence[float], promised: float, cpu: float = 0.0, by: str = "median"
    ) -> None:
        median, p95, most = statistics.median(values), percentile(values, 95), max(values)
        slow = (median if by == "median" else most) > promised
        mark = "  SLOW" if slow else ""
        spent = f"{cpu / len(values):>6.0f} ms" if cpu else " " * 9
        print(
            f"{name:<42}{len(values):>5}{median:>7.0f} ms{p95:>7.0f} ms{most:>7.0f} ms{spent}   {promised:.0f} ms{mark}",
            flush=True,
        )
        if slow:
            self.slow.append(name.strip())

    async def _page(self, name: str, client: Client, path: str, times: int, promised: float = PAGES_MS) -> list[float]:
        await self._time(client, path, 0)  # what everybody shares is warm
        self.meter.spent()
        taken = await self._time(client, path, times - 1)
        self._report(name, taken, promised, self.meter.spent())
        return taken

    async def _time(self, client: Client, path: str, more: int) -> list[float]:
        """Milliseconds of one look and `more`."""
        taken = []
        for _ in range(more + 1):
            spent, status, _, _ = await client.page(path)
            if status != 200:
                raise SystemExit(f"{path} answers {status}")
            taken.append(spent)
        return taken

    # -- pages ------------------------------------------------------------------------------------------------------

    async def _queue(self, client: Client) -> None:
        times = self.options.times
        await self._page("queue", client, "/file", times)
        _, _, page, _ = await client.page("/file")
        links = {html.unescape(link) for link in re.findall(r'href="(/file\?[^"]+)"', page) if "apres=" not in link}
        for name, values in re.findall(r'<select[^>]*name="(\w+)"[^>]*>(.*?)</select>', page, re.DOTALL):
            if name in ("categorie", "reseau", "qui", "age", "delai"):
                links |= {f"/file?etat=toutes&{name}={value}" for value in re.findall(r'value="([^"]+)"', values)}
        links |= {"/file?etat=toutes&categorie=urgent&reseau=instagram&age=plus-24h"}
        every: list[float] = []
        self.meter.spent()
        worst: tuple[float, str] = (0.0, "")
        for link in sorted(links):
            taken = await self._time(client, link, max(3, times // 4))
            every += taken
            worst = max(worst, (statistics.median(taken), link))
        self._report(f"queue, {len(links)} filters", every, PAGES_MS, self.meter.spent())
        self._report(f"  slowest: {worst[1]}"[:42], [worst[0]], PAGES_MS)
        for which in ("toutes", "closes"):
            path, taken = f"/file?etat={which}", []
            self.meter.spent()
            for _ in range(DEEP):
                spent, _, page, _ = await client.page(path)
                taken.append(spent)
                more = re.search(r'href="(/file\?[^"]*apres=[^"]*)"[^>]*data-testid="next-page"', page)
                if more is None:
                    break
                path = html.unescape(more[1])
            self._report(f"queue {which}, leafing to page {len(taken)}", taken, PAGES_MS, self.meter.spent())

    async def _conversations(self, client: Client, database_url: str) -> None:
        with psycopg.connect(database_url) as connection:
            some = [
                row[0] for row in connection.execute("SELECT id FROM conversations ORDER BY md5(id::text) LIMIT 30")
            ]
            long = connection.execute(
                "SELECT conversation_id, count(*) FROM events GROUP BY 1 ORDER BY 2 DESC LIMIT 1"
            ).fetchone()
        assert long is not None
        self.meter.spent()
        taken = [(await client.page(f"/conversations/{number}"))[0] for number in some]
        self._report("conversation", taken, PAGES_MS, self.meter.spent())
        await self._page(
            f"conversation, {long[1]} messages of a person", client, f"/conversations/{long[0]}", self.options.times
        )

    async def _steering(self, client: Client) -> None:
        _, status, page, _ = await client.page("/pilotage")
        if status != 200:
            print(f"{'steering':<42} not served ({status})")
            return
        await self._page("steering", client, "/pilotage", self.options.times)
        for link in sorted({html.unescape(found) for found in re.findall(r'href="(/pilotage\?[^"]+)"', page)}):
            await self._page(f"  {link}"[:42], client, link, max(3, self.options.times // 4))

    async def _search(self, client: Client) -> None:
        every: list[float] = []
        for fields in SEARCHES:
            _, _, page, _ = await client.page("/recherche")
            data = {"csrf": hidden(page, "csrf"), **fields}
            async with client.session.post(f"{client.url}/recherche", data=data) as response:
                if response.status != 200:
                    raise SystemExit(f"the search for {fields} answers {response.status}")
                path = response.url.path_qs
            name = "search " + " ".join(fields.values())[:34]
            every += await self._page(name, client, path, self.options.times, SEARCH_MS)
        self._report("search, all of these", every, SEARCH_MS)

    # -- live -------------------------------------------------------------------------------------------------------

    async def _live(self, clients: Sequence[Client], database_url: str) -> None:
        options = self.options
        database = Database(database_url, size=2)
        consoles = [Console(clients[n % len(clients)]) for n in range(options.consoles)]
        tasks = [asyncio.create_task(console.follow()) for console in consoles]
        try:
            await asyncio.wait_for(asyncio.gather(*(console.ready.wait() for console in consoles)), 60)
            await asyncio.sleep(1)
            with psycopg.connect(database_url) as connection:
                free = [
                    row[0]
                    for row in connection.execute(
                        "SELECT id FROM conversations WHERE owner IN ('bot', 'closed') ORDER BY id DESC LIMIT %s",
                        (options.handoffs,),
                    )
                ]
            delays: list[float] = []
            self.meter.spent()
            for number in free:
                delays += await self._hand_off(database, consoles, number)
                await asyncio.sleep(1.5)
            self._report(
                f"live, {options.consoles} consoles, to each page", delays, LIVE_MS, self.meter.spent(), "most"
            )
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await database.close()

    async def _hand_off(self, database: Database, consoles: Sequence[Console], number: int) -> list[float]:
        for console in consoles:
            console.expects(number)
        async with database.begin() as connection:
            new = handoffs.NewHandoff(number, "emergency", "emergency_lexicon", "danger_immediat")
            await handoffs.open_(connection, self.codec, new, datetime.now(timezone.utc))
        committed = time.perf_counter()
        try:
            await asyncio.wait_for(asyncio.gather(*(console.shown.wait() for console in consoles)), 30)
        except TimeoutError:
            raise SystemExit("a new hand-off did not reach every open queue within 30 s") from None
        return [max(0.0, (console.shown_at - committed) * 1000) for console in consoles]


class Console:
    """An open queue: its stream, and its own fragment asked for again whenever something happened."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._wanted = ""
        self.ready, self.shown = asyncio.Event(), asyncio.Event()
        self.shown_at = 0.0

    def expects(self, conversation: int) -> None:
        """The next hand-off is of that conversation."""
        self._wanted = f'data-conversation="{conversation}"'
        self.shown.clear()

    async def follow(self) -> None:
        """Read the stream until cancelled."""
        timeout = aiohttp.ClientTimeout(total=None)
        async with self._client.session.get(f"{self._client.url}/flux", timeout=timeout) as response:
            async for line in response.content:
                if line.startswith(b"event: pret"):
                    self.ready.set()
                elif line.startswith(b"event: change"):
                    _, _, page, _ = await self._client.page("/file", live=True)
                    if self._wanted and self._wanted in page and not self.shown.is_set():
                        self.shown_at = time.perf_counter()
                        self.shown.set()


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--database", metavar="URI", help="one that is seeded already (its key: PLANTON_DATA_KEY)")
    parser.add_argument("--consoles", type=int, default=50)
    parser.add_argument("--handoffs", type=int, default=10, help="opened one after the other, for the live delay")
    parser.add_argument("--times", type=int, default=20, help="how often each page is asked for")
    parser.add_argument("--verbose", action="store_true", help="show what the system prints")
    return Bench(parser.parse_args()).run()


if __name__ == "__main__":
    sys.exit(main())
