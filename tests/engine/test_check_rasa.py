"""`rasa data validate` in its own environment: what it really prints comes out in French, with its place."""

from __future__ import annotations

import os
import subprocess
from datetime import date
from pathlib import Path

import pytest

from bot.trainer.checks import check_all, rasa
from tests.fakes.project import copied, thin

HOSTILE = """
import json, os, pathlib
from rasa.shared.importers.rasa import RasaFileImporter

def attempt(what):
    try:
        return bool(what())
    except OSError:
        return False

reached = {
    "parent": attempt(lambda: pathlib.Path("/proc/%d/environ").read_bytes()),
    "outside": attempt(lambda: pathlib.Path(%r).read_text()),
    "write": attempt(lambda: pathlib.Path("data/trace").write_text("x")),
    "network": os.readlink("/proc/self/ns/net") == %r,
    "password": "PGPASSWORD" in os.environ,
}

class Importer(RasaFileImporter):
    def __init__(self, *arguments, **more):
        raise ValueError("'" + (" ".join(name for name, there in reached.items() if there) or "rien") + "'")
"""

MORE = """
- story: un autre chemin
  steps:
  - intent: recrutement_conditions
  - action: action_recrutement
  - intent: recrutement_conditions
    entities:
    - corps: officier
  - action: action_repondre

- story: une chasse
  steps:
  - intent: armes_chasse
  - action: action_danser
"""


def test_what_rasa_really_finds(tmp_path: Path) -> None:
    project = thin(copied(tmp_path / "project"))  # all that it names stands there too
    stories = project.read("data/stories.yml").rstrip("\n") + "\n" + MORE
    project.write("data/stories.yml", stories)
    found = rasa.check(project)
    told = {one.what: (one.severity, one.file, one.line) for one in found}
    lines = stories.splitlines()

    def at(text: str) -> tuple[str, str, int]:
        return "error", "data/stories.yml", next(n for n, line in enumerate(lines, 1) if text in line)

    assert told["l’intention « armes_chasse » n’existe pas dans domain.yml."] == at("armes_chasse")
    assert told["l’action ou la réponse « action_danser » n’existe pas dans domain.yml."] == at("action_danser")
    (conflict,) = [
        what for what in told if what.startswith("des histoires se contredisent après « recrutement_conditions »")
    ]
    assert "action_repondre dans « un autre chemin »" in conflict
    # Nothing else: what it prints of what is sound is said elsewhere, or of no interest.
    assert len(found) == 3
    # What the other checks found with a better place is not told again.
    known = check_all(project, today=date(2026, 1, 15))
    assert [one for one in found if not any(rasa.same(one, other) for other in known)] == []


def test_what_config_names_runs_behind_the_wall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`importers` makes Rasa import a trainer's file: it reaches nothing of ours."""
    monkeypatch.setenv("PGPASSWORD", "caché")
    project = copied(tmp_path / "project")
    (tmp_path / "secret").write_text("caché")
    ours = os.readlink("/proc/self/ns/net")
    (project.root / "data" / "mine.py").write_text(HOSTILE % (os.getpid(), str(tmp_path / "secret"), ours))
    project.write("config.yml", project.read("config.yml") + "\nimporters:\n- name: data.mine.Importer\n")
    (crash,) = rasa.check(project)
    assert crash.severity == "error"
    assert crash.what == "Rasa ne peut pas lire les fichiers, à cause de « rien » : l’entraînement échouerait."


def test_that_it_ran_without_a_wall_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rasa.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, b""))
    (told,) = rasa.check(copied(tmp_path / "project"), way="aucun")
    assert "pas isolé" in told.what
    assert "bubblewrap" in told.remedy
