"""`planton top` over a real database: one frame, one object, a terminal; and what it says where there is none."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from bot.app.cli import main
from tests.fakes.ports import free_port

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def environ(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The settings of a site whose processes do not run."""
    given = {
        "DATABASE_URL": database_url,
        "VAR_DIR": str(tmp_path),
        "METRICS_TOKEN": "jeton",
        **{f"{name}_PORT": str(free_port()) for name in ("GATEWAY", "CONSOLE", "SENDER")},
        "ENGINE_URL": f"http://127.0.0.1:{free_port()}",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"PLANTON_{name}", value)
    return {f"PLANTON_{name}": value for name, value in given.items()}


@pytest.fixture
def waiting(database_url: str) -> None:
    """A conversation that is two minutes late, one that a person's words put off, a message that just left."""
    now = datetime.now(UTC)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO accounts (account, second, used, usage_percent, usage_at, slowed_to, slowed_until)"
            " VALUES ('1000', extract(epoch FROM now()) + 3600, 7, 85, now(), 11, now() + interval '5 minutes')"
        )
        for person, due in (("a", now - timedelta(minutes=2)), ("b", now + timedelta(minutes=2))):
            connection.execute(
                "INSERT INTO conversations (platform, account, person, due_at) VALUES ('messenger', '1000', %s, %s)",
                (person, due),
            )
        connection.execute(
            "INSERT INTO handoffs (conversation_id, platform, category, priority, reason, opened_at, raised_at, due_at)"
            " SELECT min(id), 'messenger', 'emergency', 0, 'emergency_lexicon', %(at)s, %(at)s, %(at)s FROM conversations",
            {"at": now - timedelta(minutes=10)},
        )


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No second to wait for between the two looks."""
    monkeypatch.setattr("bot.app.top.ONCE", 0.0)


@pytest.mark.usefixtures("environ", "waiting", "alone")
def test_one_frame(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "--once"]) == 0
    text = capsys.readouterr().out
    for words in (
        "en direct                  1   !2 min",
        "attendent leur heure         1",
        "urgences que personne n’a lues : 1, depuis 10 min",
        "! Messenger 1000",
        "0/40  Meta 85\u00a0%",  # what stands in a second to come is not now's
        "ralenties à 11 par seconde",
        "SERVICES  base\n",
        "! manquent : passerelle, expéditeur, console, moteurs 0/1, traitement",
        "ALERTES   aucune",
    ):
        assert words in text, text


@pytest.mark.usefixtures("environ", "waiting", "alone")
def test_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["database"] is True
    assert told["site"]["due"]["live"]["count"] == 1
    assert 119 < told["site"]["due"]["live"]["oldest"] < 180
    assert told["site"]["later"] == 1
    assert told["site"]["handoffs"]["emergency"]["count"] == 1
    assert told["services"] == {"gateway": False, "sender": False, "console": False}
    assert told["engines"] == {"ready": 0, "all": 1}
    assert told["delays"]["reply"] is None


def test_no_database_no_terminal_no_sense(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["top"]) == 2
    assert "Il faut un terminal. Pour une image seule" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["top", "--toutes-les", "vite"])
    assert "n’est pas une durée de 0,5 à 3600 secondes" in capsys.readouterr().err
    monkeypatch.setenv("PLANTON_DATABASE_URL", f"postgresql://nobody@127.0.0.1:{free_port()}/nothing")
    assert main(["top", "--once"]) == 2
    assert "La base de données ne répond pas." in capsys.readouterr().err
    monkeypatch.setenv("PLANTON_TIMEZONE", "Paris")
    assert main(["top", "--once"]) == 2
    assert "PLANTON_TIMEZONE" in capsys.readouterr().err


@pytest.mark.usefixtures("waiting")
def test_a_terminal(environ: dict[str, str]) -> None:
    """In a terminal of 80 by 24 it draws, freezes, and leaves at « q » with the terminal as it was."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, **environ, "TERM": "xterm", "LINES": "24", "COLUMNS": "80", "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", "bot", "top", "--toutes-les", "0,5"]
    child = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        assert "TRAITER" in _until(ours, "urgences que personne")
        os.write(ours, b" ")
        _until(ours, "FIG")
        os.write(ours, b"q")
        _drain(ours)
        assert child.wait(10) == 0
    finally:
        child.kill()
        os.close(ours)


def _until(terminal: int, words: str, patience: float = 120.0) -> str:
    seen, end = "", time.monotonic() + patience
    while words not in seen:
        assert time.monotonic() < end, seen
        if select.select([terminal], [], [], 0.2)[0]:
            seen += os.read(terminal, 65_536).decode("utf-8", "replace")
    return seen


def _drain(terminal: int) -> None:
    with contextlib.suppress(OSError):  # the other end is closed
        while os.read(terminal, 65_536):
            pass
