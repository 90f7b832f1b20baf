"""What is measured, started as it is run, each in processes of its own that end with this one."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bot.store.embedded import Embedded, die_with_parent
from scripts.benchmark.graph import REFUSED, TOKEN
from scripts.benchmark.ledger import Ledger
from tests.fakes.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
ENGINE_PYTHON = ROOT / ".venv-engine" / "bin" / "python"
PAGE = "100200300"
READY = 900.0  # seconds, on a machine that does much else
HOST = "127.0.0.1"


def model() -> Path:
    """The newest trained model."""
    found = sorted((ROOT / "models").glob("*.tar.gz"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise SystemExit("no model: make train")
    return found[-1]


def fetch(port: int, path: str, body: bytes | None = None, method: str | None = None) -> Any:
    """A GET (or a POST of `body`) on loopback; its JSON."""
    request = urllib.request.Request(
        f"http://{HOST}:{port}{path}", data=body, method=method, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.loads(response.read() or b"null")


class Running:
    """Processes by name. `with` ends them."""

    def __init__(self) -> None:
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def spawn(self, name: str, words: list[str], environ: Mapping[str, str], log: Path, cwd: Path = ROOT) -> None:
        """Start one; what it says goes to `log`."""
        with log.open("ab") as output:
            self.processes[name] = subprocess.Popen(
                words,
                cwd=cwd,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )

    @property
    def pids(self) -> dict[str, int]:
        """Name → pid of each root process."""
        return {name: process.pid for name, process in self.processes.items()}

    def await_ready(self, port: int, path: str, log: Path) -> None:
        """Wait until it answers 200 there."""
        end = time.monotonic() + READY
        while time.monotonic() < end:
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise SystemExit(f"{name} ended; it said:\n{log.read_text(errors='replace')[-3000:]}")
            try:
                with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=10) as response:
                    if response.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(0.2)
        raise SystemExit(f"not ready after {READY:.0f} s; it said:\n{log.read_text(errors='replace')[-3000:]}")

    def end(self) -> None:
        """SIGTERM to each, then SIGKILL."""
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _environment(**changes: str) -> dict[str, str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PLANTON_")}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    return environ | {
        "RASA_TELEMETRY_ENABLED": "false",
        "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **changes,
    }


class GraphProcess:
    """The scripted Graph API, apart."""

    def __init__(self, latency: float) -> None:
        words = [sys.executable, "-m", "scripts.benchmark.graph", "--latency", str(latency)]
        self.process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    @property
    def url(self) -> str:
        """What `PLANTON_META_GRAPH_URL` says."""
        return f"http://{HOST}:{self.port}/v26.0"

    def answer_after(self, seconds: float) -> None:
        """Change how long an answer takes."""
        fetch(self.port, f"/bench/latency?seconds={seconds}", method="POST")

    def send_receipts(self, planton: Planton) -> None:
        """From now on, tell this Planton of each message that a person got: echo, delivery, read."""
        where = {"port": planton.port, "path": planton.path, "page": PAGE, "secret": planton.secret}
        fetch(self.port, f"/bench/receipts?{urllib.parse.urlencode(where)}", method="POST")

    def count(self) -> int:
        """Messages that reached people so far."""
        return int(fetch(self.port, "/bench/sent?from=1000000000")["count"])

    def refused(self) -> int:
        """Receipts that Planton did not take, each time that they were posted."""
        return int(fetch(self.port, "/bench/sent?from=1000000000")["calls"].get(REFUSED, 0))

    def sent(self, start: int = 0) -> list[list[Any]]:
        """Each message from the `start`th on, as `graph.Book.sent` has it."""
        return list(fetch(self.port, f"/bench/sent?from={start}")["sent"])

    def end(self) -> None:
        """Stop it."""
        self.process.terminate()
        self.process.wait()


@contextlib.contextmanager
def graph(latency: float) -> Iterator[GraphProcess]:
    """A Graph API for a while."""
    process = GraphProcess(latency)
    try:
        yield process
    finally:
        process.end()


class Planton(Running):
    """`planton run`, all roles, with a database of its own."""

    def __init__(self, folder: Path, graph_url: str, ceiling: int = 400, **settings: str) -> None:
        super().__init__()
        self.port, self.secret, self.header = free_port(), secrets.token_hex(16), "X-Hub-Signature-256"
        self.path = "/webhooks/meta"
        var, log = folder / "var", folder / "output"
        var.mkdir(mode=0o700)
        given = {
            "VAR_DIR": str(var),
            "GATEWAY_PORT": str(self.port),
            "CONSOLE_PORT": str(free_port()),
            "SENDER_PORT": str(free_port()),
            "ENGINE_URL": f"http://{HOST}:{free_port()}",
            "META_APP_SECRET": self.secret,
            "META_VERIFY_TOKEN": "bench-verify",
            "META_PAGE_ID": PAGE,
            "META_PAGE_TOKEN": TOKEN,
            "META_GRAPH_URL": graph_url,
            "SEND_CEILING": str(ceiling),
            "DEBOUNCE_MS": "0",
            "NIGHT_START": "00:00",
            "NIGHT_END": "00:00",
            "DESK_HOURS": "00:00-24:00",
            **settings,
        }
        environ = _environment(**{f"PLANTON_{name}": value for name, value in given.items()})
        self.log = log
        self.spawn("launcher", [sys.executable, "-m", "bot", "run"], environ, log)
        self.await_ready(self.port, "/readyz", log)
        self.ledger = Ledger(Embedded(var).url)


# Run by Python at the start of stock Rasa: its Facebook channel's calls go to the scripted Graph API. The channel's and
# fbmessenger's code stay as they are; without TLS, each call is cheaper for it than it would be.
REDIRECT = """
import os
import requests
_send = requests.Session.send
def _redirected(self, request, **more):
    request.url = request.url.replace("https://graph.facebook.com", os.environ["BENCH_GRAPH"], 1)
    return _send(self, request, **more)
requests.Session.send = _redirected
"""


FAILED_ACTION = "Encountered an exception while running action"


class Stock(Running):
    """`rasa run` and `rasa run actions` as Rasa's documentation has them: Facebook and REST channels, trackers in memory."""

    def __init__(self, folder: Path, graph_port: int) -> None:
        super().__init__()
        self.port, self.secret, self.header = free_port(), secrets.token_hex(16), "X-Hub-Signature"
        self.path = "/webhooks/facebook/webhook"
        actions, self.log = free_port(), folder / "output"
        credentials = {"facebook": {"verify": "v", "secret": self.secret, "page-access-token": TOKEN}, "rest": {}}
        # JSON is YAML.
        (folder / "credentials.yml").write_text(json.dumps(credentials))
        (folder / "endpoints.yml").write_text(
            json.dumps({"action_endpoint": {"url": f"http://{HOST}:{actions}/webhook"}})
        )
        (folder / "sitecustomize.py").write_text(REDIRECT)
        environ = _environment(BENCH_GRAPH=f"http://{HOST}:{graph_port}")
        rasa = [str(ENGINE_PYTHON), "-m", "rasa", "run"]
        self.spawn("action server", [*rasa, "actions", "--actions", "actions", "-p", str(actions)], environ, self.log)
        words = [*rasa, "-m", str(model()), "-i", HOST, "-p", str(self.port), "--credentials"]
        words += [str(folder / "credentials.yml"), "--endpoints", str(folder / "endpoints.yml")]
        self.spawn("rasa", words, environ | {"PYTHONPATH": str(folder)}, self.log)
        self.await_ready(actions, "/health", self.log)
        self.await_ready(self.port, "/webhooks/facebook/", self.log)

    def failed_actions(self) -> int:
        """How many actions broke off so far, by its own log: such a message is acknowledged and never answered."""
        return self.log.read_text(encoding="utf-8", errors="replace").count(FAILED_ACTION)


class Engine(Running):
    """The engine alone, as `planton run` starts it, asked over HTTP."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.port, self.secret, self.header, self.path = free_port(), "", "", "/turn"
        self.log = folder / "output"
        words = [str(ENGINE_PYTHON), "-m", "bot.engine", "serve", "--port", str(self.port), "--model", str(model())]
        self.spawn("engine", words, _environment(), self.log)
        self.await_ready(self.port, "/healthz", self.log)


class Edge(Running):
    """An HTTP server that verifies and answers 200."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.port, self.secret, self.header = free_port(), secrets.token_hex(16), "X-Hub-Signature-256"
        self.path = "/webhooks/meta"
        self.log = folder / "output"
        words = [sys.executable, "-m", "scripts.benchmark.edge", str(self.port), self.secret]
        self.spawn("edge", words, _environment(), self.log)
        self.await_ready(self.port, "/healthz", self.log)


@contextlib.contextmanager
def running(kind: Any, *words: Any, **settings: Any) -> Iterator[Any]:
    """One of the systems above, with a folder of its own, until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="planton-bench-") as folder:
        system = kind(Path(folder), *words, **settings)
        try:
            yield system
        finally:
            system.end()
