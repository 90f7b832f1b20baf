"""A training from end to end, by the real engine: what it leaves, what it says, how it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from bot.app.launcher import engine_python
from bot.core import served
from bot.trainer.candidates import Card, Model, candidates, current
from bot.trainer.comparison import Comparison
from bot.trainer.conduct import KEPT, Halt, Order, Stopped, inputs, take_in
from bot.trainer.errors import TrainerError
from bot.trainer.project import Project
from bot.trainer.yardstick import digest
from tests.fakes.project import AUTHOR, ROOT, copied
from tests.trainer.conftest import Trained, clone, conductor_of

NOW = "2026-01-15T12:00:00+01:00"
STAGES = ["copying", "checking", "reading", "learning", "danger", "candidate", "current", "comparing"]


def silent(_stage: str, _share: float, _more: object) -> None:
    """Nobody listens."""


def test_a_worse_candidate_is_told_as_worse(trained: Trained) -> None:
    comparison = trained.outcome.comparison
    assert comparison is not None
    assert (comparison.current, comparison.candidate) == (trained.current.hash, trained.candidate.hash)
    assert comparison.yardstick == digest(trained.project.root)  # as the gate asks, of the project and not of the copy
    emergency = comparison.set("emergency")
    assert emergency.test.losses > emergency.test.gains
    assert {row.wanted for row in emergency.lost_emergencies} <= {"danger_immediat", "detresse_suicide"}
    assert emergency.lost_emergencies
    folds = comparison.set("folds")
    assert folds.current is not None
    assert folds.candidate is not None
    assert folds.candidate.n == folds.current.n  # the same examples, under other intents
    assert folds.same_right + folds.same_wrong + len(folds.judgements) < folds.current.n
    assert comparison.set("confirmed").missing == "aucun message confirmé ce dernier mois"
    assert Comparison.from_json(json.loads(json.dumps(comparison.to_json()))) == comparison


def test_a_candidate_that_is_waited_for_is_not_forgotten(tmp_path: Path) -> None:
    def train(number: int, waiting: Callable[[], Collection[str] | None]) -> set[str]:
        made = tmp_path / f"made-{number}"
        made.mkdir()
        for suffix in (".tar.gz", ".danger.json"):
            (made / f"{number:016}{suffix}").write_bytes(b"x")
        there = take_in(made, tmp_path / f"{number:016}.tar.gz", {}, waiting)
        os.utime(there, (number, number))
        return {path.name for path in tmp_path.glob("*.tar.gz")}

    for number in range(1, KEPT + 2):
        left = train(number, lambda: {f"{1:016}"})
    assert f"{1:016}.tar.gz" in left
    assert len(left) == KEPT + 1
    assert len(train(KEPT + 2, lambda: None)) == KEPT + 2  # nobody knows: nothing is lost
    assert len(train(KEPT + 3, lambda: ())) == KEPT


def test_it_tells_how_far_it_is_and_leaves_a_card(trained: Trained) -> None:
    stages = list(dict.fromkeys(stage for stage, _ in trained.told))
    assert stages == STAGES
    shares = [share for stage, share in trained.told if stage == "candidate"]
    assert shares == sorted(shares)
    assert shares[-1] > 0.8
    assert list(trained.outcome.seconds) == STAGES
    assert trained.outcome.memory > 200_000_000
    card = Card.read(trained.candidate.card)
    assert card is not None
    assert (card.hash, card.author, card.made_at) == (trained.outcome.candidate, AUTHOR, NOW)
    assert card.commit == trained.project.head()
    assert card.figures["emergency"]["emergency_recall"] is not None
    assert trained.candidate.score.exists()


def test_service_and_files_are_untouched(trained: Trained) -> None:
    root = trained.project.root
    assert current(root) == Model(trained.current.archive, root)
    assert [model.hash for model in candidates(root)] == [trained.candidate.hash]
    left = sorted(path.name for path in (root / "models" / "candidates").iterdir())
    name = trained.candidate.hash
    assert left == [f"{name}.danger.json", f"{name}.files", f"{name}.json", f"{name}.tar.gz"]
    assert trained.candidate.files != root
    assert trained.current.files != root  # `planton train` leaves them too
    for model in (trained.candidate, trained.current):
        assert served.read(model.files) == served.read(root)
    found = inputs(trained.project)
    assert "+      - " in found.diff
    assert found.commit == trained.project.head()


def test_the_model_in_service_is_not_measured_twice(trained: Trained, tmp_path: Path) -> None:
    project = clone(trained, tmp_path / "projet")
    measured: list[str] = []
    conductor = conductor_of(lambda stage, share, _more: measured.append(stage) if share else None)
    outcome = conductor.run(Order(project, AUTHOR, NOW))
    assert outcome.candidate == trained.candidate.hash  # trained already: only measured anew
    assert "current" not in measured
    assert "candidate" in measured
    assert outcome.comparison == trained.outcome.comparison


def test_nothing_changed_is_not_trained(trained: Trained, tmp_path: Path) -> None:
    project = clone(trained, tmp_path / "projet")
    project.write("data/nlu.yml", trained.good)
    outcome = conductor_of(silent).run(Order(project, AUTHOR, NOW))
    assert outcome.unchanged
    assert outcome.candidate == trained.current.hash


def test_a_broken_line_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    project = copied(tmp_path / "projet")
    project.write(
        "data/nlu.yml", project.read("data/nlu.yml").replace("  - intent: armes\n", "  - intent: [armes\n", 1)
    )
    line = project.read("data/nlu.yml").split("[armes")[0].count("\n") + 1
    with pytest.raises(
        TrainerError, match=rf"^data/nlu\.yml, ligne {line}, colonne \d+ : ce n’est pas du YAML"
    ) as told:
        conductor_of(silent).run(Order(project, AUTHOR, NOW))
    assert told.value.remedy
    assert list((project.root / "models" / "candidates").iterdir()) == []


def test_too_few_dangers_are_named() -> None:
    code = """if True:
        from bot.engine.danger_score import check_kinds
        check_kinds([("au secours", "danger_immediat")] * 9 + [("à quoi bon", "detresse_suicide")] * 4)"""
    done = subprocess.run([str(engine_python()), "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "SetupError: Trop peu d’exemples de detresse_suicide : 4, il en faut au moins 5" in done.stderr


def test_it_is_stopped_at_once_with_all_its_processes(trained: Trained, tmp_path: Path) -> None:
    project = changed(clone(trained, tmp_path / "projet"))
    before = set(children(os.getpid()))
    reached, halt, ended = threading.Event(), Halt(), []

    def work() -> None:
        conductor = conductor_of(lambda stage, _share, _more: reached.set() if stage == "learning" else None, halt)
        try:
            conductor.run(Order(project, AUTHOR, NOW))
        except Stopped:
            ended.append("stopped")

    thread = threading.Thread(target=work)
    thread.start()
    assert reached.wait(300)
    until(lambda: len(set(children(os.getpid())) - before) >= 2)  # the engine, and the danger score beside it
    started = set(children(os.getpid())) - before
    halt.stop()
    thread.join(60)
    assert ended == ["stopped"]
    until(lambda: not any(alive(pid) for pid in started))
    left = [path.name for path in (project.root / "models" / "candidates").iterdir() if path.name[0] == "."]
    assert left == []
    assert current(project.root) == Model(project.root / "models" / trained.current.archive.name, project.root)


SCRIPT = """
import sys
from pathlib import Path
from bot.trainer.conduct import Order
from bot.trainer.project import Project
from bot.trainer.yardstick import digest
from tests.trainer.conftest import conductor_of
conductor_of(lambda stage, share, more: print(stage, flush=True)).run(Order(Project(Path(sys.argv[1])), "x", "y"))
"""


def test_its_processes_die_with_it_at_kill_9(trained: Trained, tmp_path: Path) -> None:
    project = changed(clone(trained, tmp_path / "projet"))
    role = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(project.root)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert role.stdout is not None
    assert any(line.strip() == "reading" for line in role.stdout)
    started = children(role.pid)
    assert started
    role.send_signal(signal.SIGKILL)
    role.wait()
    until(lambda: not any(alive(pid) for pid in started))
    role.stdout.close()


def changed(project: Project) -> Project:
    """Inputs that no model was made of, and without what would be trained already."""
    shutil.rmtree(project.root / "models" / "candidates")
    project.write("domain.yml", project.read("domain.yml") + "\n# un autre modèle\n")
    return project


def children(pid: int) -> list[int]:
    """All descendants that are no zombies."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        for task in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            try:
                waiting += (own := [int(one) for one in task.read_text().split() if alive(int(one))])
            except OSError:
                continue
            found += own
    return found


def alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(holds: Callable[[], bool], patience: float = 240) -> None:
    """Wait for it."""
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
