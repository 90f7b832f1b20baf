"""Planton as it is run, in real processes, with a Meta that sends again what was not acknowledged.

async with Planton(folder, graph.url) as planton:
    meta = Meta(planton, graph)
    await planton.ready()
    message = meta.write("person", QUESTIONS[0])
    planton.kill("worker")
    await settled(planton, [message], 30)
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp
import psutil
import psycopg
from psycopg.rows import dict_row

from bot.meta.signature import HEADER, sign
from bot.sandbox.graph import Sent
from bot.settings import SECRETS
from bot.store.embedded import Embedded, die_with_parent
from tests.fakes.graph import PAGE, SECRET, TOKEN, ScriptedGraph
from tests.fakes.leaks import check
from tests.fakes.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
SKEWED = ROOT / "tests" / "fakes" / "skewed"
ROLES = ("gateway", "worker", "sender", "console")
QUESTIONS = (
    "bonjour, comment porter plainte pour un vol de vélo ?",
    "slt c koi lé condition pr devenir gardien de la paix",
    "j'ai perdu ma carte d'identité hier soir",
    "comment faire une procuration pour dimanche",
    "mon voisin fait du bruit toutes les nuits que faire",
    "où en est ma plainte déposée en mars",
    "je pars en vacances, vous pouvez surveiller ma maison ?",
    "comment contester une amende de stationnement",
    "combien de points il me reste sur mon permis",
    "c'est quoi une main courante",
)
HELP = "au secours il est en train de défoncer la porte avec une hache"
DUE_WITHIN = 2.0  # seconds after which the reply to a cry for help may leave, at most
_MARK = re.compile(r"pl1\.(\d+)(?:-(\d+))?\.")


async def until(true: Callable[[], Any], seconds: float, what: str, every: float = 0.05) -> float:
    """Wait for something (a plain or an async condition) to become true; the seconds it took."""
    start = time.monotonic()
    while True:
        value = true()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return time.monotonic() - start
        assert time.monotonic() - start < seconds, f"not within {seconds} s: {what}"
        await asyncio.sleep(every)


def environment(folder: Path, graph_url: str, **changes: str | None) -> dict[str, str]:
    """An environment for `planton run`: free ports, no night, nothing of ours that the caller's shell may hold."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PLANTON_")}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    settings: dict[str, str | None] = {
        "VAR_DIR": str(folder),
        "GATEWAY_PORT": str(free_port()),
        "CONSOLE_PORT": str(free_port()),
        "SENDER_PORT": str(free_port()),
        "ENGINE_URL": f"http://127.0.0.1:{free_port()}",
        "META_APP_SECRET": SECRET,
        "META_VERIFY_TOKEN": "verify",
        "META_PAGE_ID": PAGE,
        "META_PAGE_TOKEN": TOKEN,
        "META_GRAPH_URL": graph_url,
        "SEND_CEILING": "300",
        "DEBOUNCE_MS": "0",
        "NIGHT_START": "00:00",
        "NIGHT_END": "00:00",
        "DESK_HOURS": "00:00-24:00",
        **changes,
    }
    return environ | {f"PLANTON_{name}": value for name, value in settings.items() if value is not None}


class Planton:
    """`planton run` with all its children. `async with` ends every process that it started, by pid, whatever happens."""

    def __init__(self, folder: Path, graph_url: str, light: bool = False, **changes: str | None) -> None:
        """`light`: with an engine of a few lines in the place of Rasa. `changes`: of the settings."""
        self.folder, self.light = folder, light
        self.var = folder / "var"
        self.var.mkdir(exist_ok=True)
        self._clocks = folder / "clocks.json"
        path = os.pathsep.join(filter(None, (str(SKEWED), os.environ.get("PYTHONPATH"))))
        self.environ = environment(self.var, graph_url, **changes) | {
            "PYTHONPATH": path,
            "SKEW_FILE": str(self._clocks),
        }
        self.database = Embedded(self.var).url
        self.url = f"http://127.0.0.1:{self.environ['PLANTON_GATEWAY_PORT']}"
        self.sender_url = f"http://127.0.0.1:{self.environ['PLANTON_SENDER_PORT']}"
        self.process: subprocess.Popen[bytes] | None = None
        self.session: aiohttp.ClientSession = None  # type: ignore[assignment]
        self._seen: set[psutil.Process] = set()
        self.words: set[str] = set()  # what people wrote: none of it may be written down in plain

    async def __aenter__(self) -> Planton:
        if self.light:
            self.engine_loads(True)
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=256))
        try:
            self.start()
        except BaseException:
            await self.session.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.session.close()
        self.stop()

    # Life

    def engine_loads(self, well: bool) -> None:
        """Whether a light engine that starts from now on can."""
        models = self.folder / "models"
        models.mkdir(exist_ok=True)
        (models / "light.tar.gz").write_text(json.dumps({"word": "procuration", "fail": not well}))

    def clocks(self, **ahead: float) -> None:
        """The machine's clock of each of these roles is so many seconds ahead from now on, that of all others is right."""
        draft = self._clocks.with_suffix(".new")
        draft.write_text(json.dumps(ahead))
        draft.replace(self._clocks)

    async def restart(self, role: str) -> None:
        """As an administrator does: it ends what it is at, and is started again."""
        [old] = self.tree()[role]
        old.terminate()
        await until(lambda: any(one.pid != old.pid for one in self.tree()[role]), 240, f"{role} started again")

    def start(self) -> None:
        """Start the launcher; it answers a little later."""
        light = ["tests.fakes.planton_process", str(self.folder / "models")]
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *(light if self.light else ["bot", "run"])],
                cwd=ROOT,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )

    def stop(self) -> None:
        """SIGTERM, and what does not end within a minute is killed."""
        if self.process is None:
            return
        self.tree()
        for one in self._seen:
            with contextlib.suppress(psutil.Error):
                one.resume()
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for one in self._seen:
            with contextlib.suppress(psutil.Error):
                one.kill()
        self.check_written()
        self.check_rights()

    # What it may not write down

    @property
    def secrets(self) -> set[str]:
        """Every secret of this run, given or made."""
        given = {self.environ.get(f"PLANTON_{name}", "") for name in SECRETS}
        made = {path.read_text().strip() for path in (self.var / "secrets").glob("[!.]*")}
        return {secret for secret in given | made if len(secret) > 8 and not secret.startswith("postgresql:")}

    def check_rights(self) -> None:
        """Every part had the rights that it asked for: it may have swallowed a refusal and tried again."""
        log = self.var / "postgres.log"
        refused = set(re.findall(r"permission denied .*", log.read_text(errors="replace"))) if log.exists() else set()
        assert not refused, f"bot/store/grants.py does not give what a part needs: {sorted(refused)}"

    def check_written(self) -> None:
        """Output of all processes, PostgreSQL's log, and what lies in VAR_DIR beside the database hold no secret and
        nobody's words."""
        guarded = self.secrets | self.words
        check("what the processes wrote", self.folder / "output", guarded)
        for path in self.var.iterdir():
            if path.is_file():
                check(path.name, path, guarded)

    @property
    def said(self) -> str:
        """What all processes wrote."""
        return (self.folder / "output").read_text(errors="replace").replace("\u00a0", " ")

    def tree(self) -> dict[str, list[psutil.Process]]:
        """The live processes by role; `postgres` holds the postmaster first."""
        assert self.process is not None
        found: dict[str, list[psutil.Process]] = defaultdict(list)
        try:
            children = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return found
        for one in children:
            with contextlib.suppress(psutil.Error):
                if one.status() == psutil.STATUS_ZOMBIE:
                    continue
                self._seen.add(one)
                words = one.cmdline()
                if "_role" in words:
                    found[words[words.index("_role") + 1]].append(one)
                elif "bot.engine" in words or "tests.fakes.engine_process" in words:
                    found["engine"].append(one)
                elif one.name() == "postgres":
                    found["postgres"].insert(0 if one.ppid() == self.process.pid else 99, one)
        return found

    def kill(self, role: str) -> None:
        """kill -9 of one role, of the postmaster, or of the launcher itself."""
        assert self.process is not None
        if role == "launcher":
            self.tree()
            self.process.kill()
            self.process.wait()
            return
        self.tree()[role][0].kill()

    @contextlib.contextmanager
    def frozen(self, role: str) -> Any:
        """All processes of a role stand still."""
        still = self.tree()[role]
        for one in still:
            with contextlib.suppress(psutil.Error):
                one.suspend()
        try:
            yield
        finally:
            for one in still:
                with contextlib.suppress(psutil.Error):
                    one.resume()

    # What it says of itself

    async def readyz(self) -> dict[str, Any]:
        """The answer of /readyz; empty while the gateway does not answer."""
        try:
            async with self.session.get(f"{self.url}/readyz", timeout=aiohttp.ClientTimeout(total=5)) as response:
                return dict(await response.json(content_type=None))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return {}

    async def ready(self, seconds: float = 300) -> float:
        """Wait until all parts answer."""

        async def all_answer() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.said[-3000:]
            return (await self.readyz()).get("ready") is True

        return await until(all_answer, seconds, "ready", every=0.1)

    async def doctor(self) -> dict[str, Any]:
        """`planton doctor --json`."""
        code, out, err = await command(self.environ, "doctor", "--json")
        assert code in (0, 1), err
        return dict(json.loads(out))

    async def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """Rows of a query; a database that is away is awaited."""
        end = time.monotonic() + 20
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self.database, row_factory=dict_row, connect_timeout=5
                ) as connection:
                    return await (await connection.execute(query, values)).fetchall()
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(0.1)


async def command(environ: dict[str, str], *words: str, seconds: float = 240) -> tuple[int, str, str]:
    """Run `planton …` to its end: code, output, errors."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        *words,
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=die_with_parent(signal.SIGTERM),
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), seconds)
    except TimeoutError:
        process.terminate()
        out, err = await process.communicate()
        raise AssertionError(f"planton {words} did not end: {err.decode()[-2000:]}") from None
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode().replace("\u00a0", " ")


@dataclass
class Message:
    """What a person wrote, and when Meta was told that we have it."""

    person: str
    mid: str
    words: str
    wrote: float
    acknowledged: float | None = None
    refusals: int = 0


def again(tries: int) -> float:
    """Seconds until a webhook that was not acknowledged is sent again; Meta waits longer still."""
    return min(4.0, 0.3 * 1.5**tries) * random.uniform(0.7, 1.3)


class Meta:
    """Posts webhooks until each is acknowledged, as Meta does; brings back the echo of what was sent.

    What a fault may change: `copies` of each webhook at once, `hold` and `skew` (seconds, asked for each message) before
    it is posted and of its timestamp, `echo_hold` seconds before an echo is, `echoes` whether any come.
    """

    def __init__(self, planton: Planton, graph: ScriptedGraph) -> None:
        self.planton, self.graph = planton, graph
        self.copies = 1
        self.hold: Callable[[], float] = lambda: 0.0
        self.skew: Callable[[], float] = lambda: 0.0
        self.echo_hold = 0.0
        self.echoes = True
        self.messages: list[Message] = []
        self.refusals = {503}  # answers after which a webhook is sent again; any other is a mistake
        self.silent: set[str] = set()  # people whose echoes never come
        self.slowest = 0.0  # a single post's answer, in seconds
        self._numbers = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        graph.graph.on_echo = self._echo

    def write(self, person: str, words: str) -> Message:
        """A person writes; the webhook is on its way."""
        self._numbers += 1
        message = Message(person, f"m_fault_{self._numbers}", words, time.monotonic())
        self.planton.words.add(words)
        self.messages.append(message)
        self._spawn(self._deliver(message))
        return message

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, message: Message) -> None:
        now, copies = int((time.time() + self.skew()) * 1000), self.copies
        if hold := self.hold():
            await asyncio.sleep(hold)
        item = {
            "sender": {"id": message.person},
            "recipient": {"id": PAGE},
            "timestamp": now,
            "message": {"mid": message.mid, "text": message.words},
        }
        body = {"object": "page", "entry": [{"id": PAGE, "time": now, "messaging": [item]}]}
        for _ in range(copies - 1):
            self._spawn(self._post(body))
        while not await self._post(body):
            message.refusals += 1
            await asyncio.sleep(again(message.refusals))
        message.acknowledged = time.monotonic()

    async def _echo(self, body: dict[str, Any]) -> None:
        if body["entry"][0]["messaging"][0]["recipient"]["id"] in self.silent:
            return
        if not self.echoes:
            return
        if self.echo_hold:
            await asyncio.sleep(self.echo_hold)
        tries = 0
        while not await self._post(body):
            tries += 1
            await asyncio.sleep(again(tries))

    async def _post(self, body: dict[str, Any]) -> bool:
        raw = json.dumps(body).encode()
        start = time.monotonic()
        try:
            async with self.planton.session.post(
                f"{self.planton.url}/webhooks/meta",
                data=raw,
                headers={HEADER: sign(SECRET, raw)},
                timeout=aiohttp.ClientTimeout(total=20),
            ) as response:
                await response.read()
                assert response.status in (200, *self.refusals), response.status
                self.slowest = max(self.slowest, time.monotonic() - start)
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def close(self) -> None:
        """Drop what is still on its way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # What reached people

    def reached(self, person: str) -> list[Sent]:
        """What this person received, in order."""
        return [sent for sent in self.graph.sent if sent.person == person]

    def delays(self, messages: Iterable[Message]) -> list[tuple[float, float]]:
        """Seconds until a reply to each message's person came to the Graph API: since it was written, and since Meta was
        told that we have it (0 if the reply was sooner). Infinite if none did."""
        first: dict[str, float] = {}
        for call in self.graph.calls:
            if call.text is not None and call.person is not None:
                first.setdefault(call.person, call.at)
        came = [(m, first.get(m.person, math.inf)) for m in messages]
        return [(at - m.wrote, max(0.0, at - (m.acknowledged or at))) for m, at in came]

    async def acknowledged(self, messages: Iterable[Message], seconds: float) -> None:
        """Wait until Meta was told of all of them."""
        await until(lambda: all(m.acknowledged for m in messages), seconds, "every message acknowledged")


@dataclass
class Account:
    """What became of some messages: one line of the table."""

    fault: str
    messages: int
    lost: int = 0
    doubled: int = 0
    disordered: int = 0
    seconds: float = 0.0
    danger: float | None = None  # the slowest reply to a cry for help, since it was written
    owed: float | None = None  # likewise, since Meta was told that we have it
    notes: list[str] = field(default_factory=list)


def mark_of(sent: Sent) -> tuple[int, int] | None:
    """(outbox id, part) of a message, from its signed mark; None when it left without the outbox."""
    found = _MARK.match(sent.metadata or "")
    return (int(found[1]), int(found[2] or 0)) if found else None


async def settled(planton: Planton, messages: list[Message], seconds: float) -> float:
    """Wait until each of these messages has its disposition and each reply of theirs has left or failed."""
    mids = [m.mid for m in messages]

    async def done() -> bool:
        row = (
            await planton.rows(
                """SELECT count(*) FILTER (WHERE e.disposition IS NOT NULL) AS settled,
                          count(*) FILTER (WHERE EXISTS (SELECT FROM outbox o WHERE o.conversation_id = e.conversation_id
                              AND o.status = 'queued')) AS unsent
                   FROM events e WHERE e.mid = ANY(%(mids)s)""",
                mids=mids,
            )
        )[0]
        return row["settled"] == len(mids) and row["unsent"] == 0

    return await until(done, seconds, "every message settled and every reply sent", every=0.2)


async def account(fault: str, planton: Planton, meta: Meta, messages: list[Message]) -> Account:
    """Count what was lost, doubled and out of order, and check the ledger's balance."""
    line = Account(fault, len(messages))
    mids = [m.mid for m in messages]
    people = {m.person for m in messages}
    events = await planton.rows(
        """SELECT e.mid, e.at, e.id, e.disposition, e.reason, e.outbox_id, c.person, o.status, o.lane, o.attempts,
               e.received_at > clock_timestamp() + interval '1 second' AS ahead,
               extract(epoch FROM o.due_at - e.received_at)::float8 AS waits
           FROM events e JOIN conversations c ON c.id = e.conversation_id LEFT JOIN outbox o ON o.id = e.outbox_id
           WHERE e.mid = ANY(%(mids)s) ORDER BY e.at, e.id""",
        mids=mids,
    )
    by_mid: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        by_mid[event["mid"]].append(event)
        # A machine's own clock must date nothing, and no cry for help waits for a moment to come.
        if event["ahead"] or (event["lane"] == "emergency" and event["attempts"] == 0 and event["waits"] > DUE_WITHIN):
            line.lost += 1
            line.notes.append(f"{event['mid']}: dated by a clock that is wrong, due after {event['waits']} s")
    received = {mark_of(sent) for sent in meta.graph.sent}
    for message in messages:
        if message.acknowledged is None:
            continue
        found = by_mid[message.mid]
        if len(found) != 1 or found[0]["disposition"] is None:
            line.lost += 1
            line.notes.append(f"{message.mid}: {len(found)} rows, disposition {[f['disposition'] for f in found]}")
        elif (found[0]["disposition"] == "answered" or found[0]["status"] == "sent") and (
            found[0]["outbox_id"],
            0,
        ) not in received:
            line.lost += 1
            line.notes.append(f"{message.mid}: answered by row {found[0]['outbox_id']}, which never arrived")
    reached: dict[str, list[Sent]] = defaultdict(list)
    for sent in meta.graph.sent:
        reached[sent.person].append(sent)
    line.doubled, notes = await _doubled(planton, reached, people)
    line.notes += notes
    urgent = {row["id"] for row in await planton.rows("SELECT id FROM outbox WHERE lane = 'emergency'")}
    own_events: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if event["outbox_id"] and event["lane"] == "reply":
            own_events[event["person"]].append(event)
    for person in people:
        sents = [(mark[0], sent) for sent in reached[person] if (mark := mark_of(sent)) and mark[0]]
        replies = [(row, sent) for row, sent in sents if row not in urgent]
        first = list(dict.fromkeys(row for row, _ in replies))
        own = own_events[person]
        # What came in later although it is older is answered next, so that order is owed only to what was stored in order.
        late = any(
            one["outbox_id"] > other["outbox_id"] and one["id"] < other["id"]
            for one, other in itertools.combinations(own, 2)
        )
        overlapped = len(first) > 1 and any(sent.overlapped for _, sent in replies)
        if first != sorted(first) or late or overlapped:
            line.disordered += 1
            line.notes.append(
                f"{person}: sent {first}, answers {[e['outbox_id'] for e in own]}, overlapped {overlapped}"
            )
    await balance(planton)
    delays = meta.delays(m for m in messages if m.words == HELP)
    if delays:
        line.danger, line.owed = (max(column) for column in zip(*delays, strict=True))
    return line


async def _doubled(planton: Planton, reached: dict[str, list[Sent]], people: set[str]) -> tuple[int, list[str]]:
    """Messages that a person received twice, and rows of the outbox that answer nothing."""
    notes = []
    twice = 0
    for person in people:
        marks = [mark_of(sent) for sent in reached[person]]
        for mark in {m for m in marks if m}:
            if marks.count(mark) > 1:
                twice += marks.count(mark) - 1
                notes.append(f"{person}: row {mark} arrived {marks.count(mark)} times")
    orphans = await planton.rows(
        """SELECT o.id, c.person FROM outbox o JOIN conversations c ON c.id = o.conversation_id
           WHERE c.person = ANY(%(people)s) AND o.author <> 'system' AND NOT EXISTS (
               SELECT FROM events e JOIN outbox p ON p.id = e.outbox_id
               WHERE p.conversation_id = o.conversation_id AND p.created_at = o.created_at)""",
        people=list(people),
    )
    notes += [f"{row['person']}: row {row['id']} answers no message" for row in orphans]
    return twice + len(orphans), notes


async def balance(planton: Planton) -> None:
    """received = sum of dispositions + in flight, in one look."""
    row = (
        await planton.rows(
            """SELECT count(*) AS received, count(*) FILTER (WHERE disposition IS NULL) AS in_flight,
                      count(*) FILTER (WHERE disposition IN ('answered', 'emergency', 'handed_off', 'to_agent', 'ignored',
                                                             'failed')) AS settled FROM events"""
        )
    )[0]
    assert row["received"] == row["settled"] + row["in_flight"], row


class Table:
    """What each fault cost: a plugin of pytest that prints it at the end of the run."""

    def __init__(self, title: str = "") -> None:
        self.title = title
        self.lines: list[Account] = []

    def text(self) -> str:
        """Aligned lines."""
        rows = [_row("fault", "messages", "lost", "doubled", "disorder", "seconds", "danger", "owed")]
        for line in self.lines:
            dangers = ("-" if one is None else f"{one:.1f}" for one in (line.danger, line.owed))
            counts = (line.messages, line.lost, line.doubled, line.disordered, f"{line.seconds:.1f}")
            rows.append(_row(line.fault, *counts, *dangers))
        sums = (
            sum(getattr(line, name) for line in self.lines) for name in ("messages", "lost", "doubled", "disordered")
        )
        rows.append(_row("all", *sums, "", "", ""))
        legend = (
            "seconds: from a kill, or from the end of another fault, until a newcomer was answered",
            "danger: the slowest reply to a cry for help, in seconds; owed: since Meta was told that we have it",
            self.title,
        )
        return "\n".join([*rows, *filter(None, legend)])

    def keep(self, path: Path) -> None:
        """Write it to a file."""
        path.parent.mkdir(exist_ok=True)
        path.write_text(self.text() + "\n", encoding="utf-8")

    def pytest_sessionfinish(self, session: Any) -> None:
        """Called by pytest: what a worker prints nobody reads, so that it is handed over (tests/conftest.py)."""
        if self.lines and hasattr(session.config, "workeroutput"):
            before = session.config.workeroutput.get("faults", "")
            session.config.workeroutput["faults"] = "\n\n".join(filter(None, (before, self.text())))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Called by pytest."""
        if self.lines:
            terminalreporter.write_sep("=", "faults")
            terminalreporter.write_line(self.text())


def _row(fault: str, *columns: object) -> str:
    return f"{fault:<42}" + "".join(f"{column!s:>10}" for column in columns)
