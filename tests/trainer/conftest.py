"""One real training a session: a small project with a model in service, and a candidate that was made worse on purpose."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.app.evaluate import judge
from bot.app.launcher import engine_environ, engine_python
from bot.app.wall import wall
from bot.trainer.candidates import Model
from bot.trainer.conduct import Conductor, Halt, Order, Outcome
from bot.trainer.figures import Judged
from bot.trainer.gold import Case
from bot.trainer.project import Project
from tests.fakes.project import AUTHOR, BLOCK, LINE, copied, thin

TOLD = 36  # of these messages by which questions are believed, one is kept: each is weighed alone, a third of a small training
LEFT = 2  # examples that a spoilt intent keeps
SPOILT = ("danger_immediat", "detresse_suicide", "disparition")  # taught as a greeting by the candidate


@dataclass(frozen=True)
class Trained:
    """`project`: a folder with both models; its working tree is the candidate's. `good`: data/nlu.yml of the model in service.
    `outcome`: what comparing them said; `told`: (stage, share) as it went."""

    project: Project
    good: str
    current: Model
    candidate: Model
    outcome: Outcome
    told: Sequence[tuple[str, float]]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The models; whoever moves or changes anything works on a copy (`clone`)."""
    project = thin(copied(tmp_path_factory.mktemp("trained") / "projet"))
    header, *lines = project.read("data/etalonnage.tsv").splitlines(keepends=True)
    project.write("data/etalonnage.tsv", "".join([header, *lines[::TOLD]]))
    project.git("commit", "--quiet", "--all", "--message", "Moins de messages", author=AUTHOR)
    subprocess.run(
        [str(engine_python()), "-m", "bot.engine", "train", "--root", str(project.root)],
        cwd=project.root,
        env=engine_environ(os.environ),
        check=True,
        capture_output=True,
    )
    good = project.read("data/nlu.yml")
    current = Model(next((project.root / "models").glob("*.tar.gz")), project.root)
    project.write("data/nlu.yml", spoilt(good))
    told: list[tuple[str, float]] = []
    conductor = conductor_of(lambda stage, share, _more: told.append((stage, share)))
    outcome = conductor.run(Order(project, AUTHOR, "2026-01-15T12:00:00+01:00"))
    candidate = Model(project.root / "models" / "candidates" / f"{outcome.candidate}.tar.gz", project.root)
    return Trained(project, good, current, candidate, outcome, told)


def clone(trained: Trained, folder: Path) -> Project:
    """The project with its models and history, for a test of its own."""
    shutil.copytree(trained.project.root, folder, symlinks=True)
    return Project(folder)


def conductor_of(report: Callable[[str, float, Mapping[str, Any]], None], halt: Halt | None = None) -> Conductor:
    """Trains and measures with the real engine, behind the wall of this machine."""
    return Conductor(engine_python(), engine_environ(os.environ), measured, report, halt, frugal=False, wall=wall)


def measured(cases: Sequence[Case], model: Model, started: Any, seen: Any) -> list[Judged]:
    """As `planton eval` judges."""
    return judge(cases, [case.text for case in cases], model, started, seen)


def spoilt(nlu: str) -> str:
    """Dangers and disappearances among the greetings: a model that misses them."""
    taken: list[str] = []
    kept: list[str] = []
    losing, count = False, 0
    for line in nlu.splitlines(keepends=True):
        if line.startswith(BLOCK):
            losing, count = line.strip() in {f"- intent: {name}" for name in SPOILT}, 0
        count += losing and line.startswith(LINE)
        (taken if losing and line.startswith(LINE) and count > LEFT else kept).append(line)
    head = f"{BLOCK}intent: salutation\n    examples: |\n"
    before, found, after = "".join(kept).partition(head)
    assert found
    assert taken
    return before + found + "".join(taken) + after
