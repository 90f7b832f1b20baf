"""The trainers' files in a folder of their own, without the program (PROJECT_DIR): models are called and judged as beside it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bot.core import program
from bot.settings import Settings
from bot.trainer import conduct, publishing, yardstick
from bot.trainer.project import Project

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What trainers edit, and nothing else."""
    folder = tmp_path_factory.mktemp("apart")
    for name in ("config.yml", "domain.yml"):
        shutil.copy(ROOT / name, folder)
    for name in ("data", "tests/gold"):
        shutil.copytree(ROOT / name, folder / name)
    return folder


def test_a_model_has_the_same_name_and_the_same_yardstick(apart: Path) -> None:
    assert publishing.fingerprint(Project(apart)) == publishing.fingerprint(Project(ROOT))
    assert yardstick.digest(apart) == yardstick.digest(ROOT)


def test_files_beside_the_program_go_with_that_program(tmp_path: Path, apart: Path) -> None:
    (tmp_path / "bot").mkdir()
    assert program.of(tmp_path) == tmp_path
    assert program.of(apart) == ROOT


def test_every_part_of_the_program_looks_there(apart: Path) -> None:
    script = (
        "import json; from bot.app import launcher, policy, places, seed, trial; "
        "print(json.dumps([str(one) for one in (places.PROJECT, policy.DOMAIN, policy.LEXICON, launcher.Launcher.models)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "PLANTON_PROJECT_DIR": str(apart)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [Path(one) for one in json.loads(done.stdout)] == [
        apart,
        apart / "domain.yml",
        apart / "data" / "danger.yml",
        apart / "models",
    ]
    assert Settings({}).project_dir == ROOT


def test_a_training_from_there_finds_the_program(apart: Path, tmp_path: Path) -> None:
    conduct._link(apart, tmp_path)
    assert {name: (tmp_path / name).resolve() for name in conduct.CODE} == {name: ROOT / name for name in conduct.CODE}
