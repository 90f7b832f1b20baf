"""The engine as a process: batch, training's refusals, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.engine.conftest import PYTHON, ROOT, TRAINING, EngineProcess, start, stop
from tests.fakes.ports import free_port


def batch(lines: list[bytes]) -> list[bytes]:
    """Run `batch` on these lines."""
    done = subprocess.run(
        [PYTHON, "-m", "bot.engine", "batch"], cwd=ROOT, input=b"".join(lines), capture_output=True, timeout=300
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b"hippopotame" not in done.stderr
    return done.stdout.splitlines(keepends=True)


def test_batch_answers_each_line_and_a_thousand_in_well_under_a_minute(trained: str) -> None:
    """Processor time, start included: wall time would measure the neighbours."""
    thousand = [b'{"text": "comment porter plainte contre mon voisin qui fait du bruit"}\n'] * 1000
    lines = [
        *thousand,
        b'{"text": "comment porter plainte pour un hippopotame"}\n',
        b'{"text": ""}\n',
        b"not json\n",
        b"[]\n",
        b'{"text": "/restart"}\n',
        b'{"text": "x\\u2028y \\ud800", "payload": "/recrutement_conditions{\\"corps\\": \\"officier\\"}"}\n',
        b'{"text": "bonjour", "understand": true}\n',
        b'{"text": "au revoir"}',
    ]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = batch(lines)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime < 45
    assert len(out) == len(lines)
    assert b"".join(out).isascii()
    same, answers = out[: len(thousand)], [json.loads(line) for line in out[len(thousand) :]]
    assert {json.loads(line)["understanding"]["intent"] for line in same} == {"nuisances_sonores"}
    assert answers[0]["understanding"]["intent"] in ("plainte_comment", "animaux")
    assert [a.get("error") for a in answers[1:4]] == ["empty text", "bad json", "no text"]
    assert answers[4]["state"]["v"] == 1
    assert answers[5]["state"]["slots"]["corps"] == "officier"
    assert set(answers[6]) == {"understanding"}
    assert answers[7]["replies"]


def test_a_second_training_finds_nothing_to_do(trained: str) -> None:
    done = subprocess.run(
        [PYTHON, "-m", "bot.engine", "train"], cwd=ROOT, capture_output=True, text=True, timeout=TRAINING
    )
    assert done.returncode == 0
    assert f"Rien n’a changé : le modèle {trained} convient." in done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what trainers write; the program is the same."""
    for name in ("bot", "actions"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "data", tmp_path / "data")
    for name in ("config.yml", "domain.yml", "endpoints.yml", "credentials.yml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def refusal(project: Path) -> str:
    """What training says before it gives up."""
    done = subprocess.run(
        [PYTHON, "-m", "bot.engine", "train", "--root", project],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not list((project / "models").glob("*.tar.gz")) if (project / "models").exists() else True
    return done.stderr


def line_of(path: Path, text: str) -> int:
    """Number of the line that holds `text`."""
    return next(n for n, line in enumerate(path.read_text().splitlines(), 1) if text in line)


def test_broken_yaml_is_shown_with_its_line(project: Path) -> None:
    path = project / "domain.yml"
    path.write_text(path.read_text() + '\nresponses_bis:\n  utter_x:\n  - text: "pas fermé\n')
    said = refusal(project)
    assert "domain.yml, ligne" in said
    assert "YAML" in said


def test_an_unknown_intent_is_shown_with_its_line(project: Path) -> None:
    path = project / "data" / "nlu.yml"
    path.write_text(path.read_text().rstrip("\n") + "\n\n  - intent: inconnue\n    examples: |\n      - un exemple\n")
    said = refusal(project)
    assert f"data/nlu.yml, ligne {line_of(path, 'intent: inconnue')}" in said
    assert "« inconnue »" in said


def test_an_unknown_reply_in_a_rule_is_shown_with_its_line(project: Path) -> None:
    path = project / "data" / "rules.yml"
    path.write_text(path.read_text().replace("action: action_clarify", "action: utter_inconnue"))
    assert f"data/rules.yml, ligne {line_of(path, 'utter_inconnue')}" in refusal(project)


def test_a_missing_file_is_named(project: Path) -> None:
    (project / "data" / "stories.yml").unlink()
    assert "data/stories.yml" in refusal(project)


def test_no_model_is_one_clear_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [PYTHON, "-m", "bot.engine", "batch", "--model", str(tmp_path)],
        cwd=ROOT,
        input=b"",
        capture_output=True,
        timeout=240,
    )
    assert done.returncode == 2
    assert "Aucun modèle" in done.stderr.decode()
    assert done.stdout == b""


def test_a_taken_port_is_one_clear_line(engine: EngineProcess, tmp_path: Path) -> None:
    port = int(engine.url.rsplit(":", 1)[1])
    process = start(port, tmp_path / "output")
    assert process.wait(60) == 2
    assert f"Le port {port} est déjà pris" in (tmp_path / "output").read_text()


def test_it_ends_quickly_even_while_it_starts(trained: str, tmp_path: Path) -> None:
    port = free_port()
    process = start(port, tmp_path / "output")
    running = EngineProcess(f"http://127.0.0.1:{port}", process, tmp_path / "output")
    deadline = time.monotonic() + 240
    status = 0
    while status != 503 and time.monotonic() < deadline:
        try:
            status = running.get("/healthz").status
        except OSError:
            time.sleep(0.05)
    assert status == 503
    assert running.post("/turn", {"text": "bonjour"}).status == 503
    assert stop(process) == 0
    assert "ready: " not in running.output.read_text()  # it did not load to the end first


def test_it_ends_with_its_parent() -> None:
    port = free_port()
    code = (
        "import subprocess, sys, time\n"
        f"p = subprocess.Popen([{str(PYTHON)!r}, '-m', 'bot.engine', 'serve', '--port', '{port}'])\n"
        "print(p.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ, "PLANTON_PDEATHSIG": "1"}
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    deadline = time.monotonic() + 240
    while not _answers(port):  # from then on it looks after its parent
        assert time.monotonic() < deadline
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 120
    while _alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(child)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
