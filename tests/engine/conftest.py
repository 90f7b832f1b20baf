"""A real engine for the session: trained if its inputs changed, served on a free port, its output kept for inspection."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Optional

import pytest

from bot.app.launcher import engine_environ

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-engine" / "bin" / "python"
TRAINING = 600  # seconds, on a busy machine
START = 300


class Answer(NamedTuple):
    """Status and decoded body of an answer."""

    status: int
    body: Any


class EngineProcess(NamedTuple):
    """The running engine: where it listens and what it has written."""

    url: str
    process: subprocess.Popen[bytes]
    output: Path

    def post(self, path: str, body: Any) -> Answer:
        """POST `body` as JSON (bytes as they are)."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode("ascii")
        return _fetch(urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}))

    def get(self, path: str) -> Answer:
        """GET a path."""
        return _fetch(urllib.request.Request(self.url + path))

    def understand(self, text: str) -> Any:
        """A successful POST /understand."""
        answer = self.post("/understand", {"text": text})
        assert answer.status == 200, answer
        return answer.body

    def turn(self, text: str, state: Any = None, payload: Optional[str] = None, sender: str = "s") -> Any:
        """A successful POST /turn."""
        answer = self.post("/turn", {"sender": sender, "text": text, "state": state, "payload": payload})
        assert answer.status == 200, answer
        return answer.body


def _fetch(request: urllib.request.Request) -> Answer:
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return Answer(response.status, json.loads(response.read()))
    except urllib.error.HTTPError as error:
        return Answer(error.code, json.loads(error.read()))


def start(port: int, output: Path, **environment: str) -> subprocess.Popen[bytes]:
    """Start `serve`; standard output and error go to `output`."""
    with output.open("wb") as file:
        return subprocess.Popen(
            [PYTHON, "-m", "bot.engine", "serve", "--port", str(port)],
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )


def wait_ready(engine: EngineProcess) -> None:
    """Wait until /healthz says so."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        assert engine.process.poll() is None, engine.output.read_text()
        try:
            if engine.get("/healthz").status == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"not ready after {START} s: {engine.output.read_text()}")


def stop(process: subprocess.Popen[bytes], within: float = 30.0) -> int:
    """SIGTERM, and the exit code; kills and fails if it takes longer than `within` seconds."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(within)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


@pytest.fixture(scope="session")
def trained() -> str:
    """Name of the model that fits the present files."""
    done = subprocess.run(
        [PYTHON, "-m", "bot.engine", "train"], cwd=ROOT, capture_output=True, text=True, timeout=TRAINING
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return str(max((ROOT / "models").glob("*.tar.gz"), key=lambda path: path.stat().st_mtime).name)


def alone() -> list[str]:
    """What to put before a command to run it without any network, the loopback included; empty where we may not."""
    words = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-current-user", "--net"]
    return words if subprocess.run([*words, "true"], capture_output=True).returncode == 0 else []


@pytest.fixture(scope="session")
def engine(trained: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """The running engine: on a socket of ours, without a network of its own, with the environment that it has in service."""
    output = tmp_path_factory.mktemp("engine") / "output"
    with socket.socket() as listening, output.open("wb") as file:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        fd = listening.fileno()
        process = subprocess.Popen(
            [*alone(), PYTHON, "-m", "bot.engine", "serve", "--fd", str(fd)],
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
            pass_fds=[fd],
            env=engine_environ({**os.environ, "PLANTON_PDEATHSIG": "1"}),
        )
        running = EngineProcess(f"http://127.0.0.1:{listening.getsockname()[1]}", process, output)
    try:
        wait_ready(running)
        yield running
    finally:
        stop(running.process)


@pytest.fixture(scope="session")
def engine_url(engine: EngineProcess) -> str:
    """Where the running engine listens."""
    return engine.url
