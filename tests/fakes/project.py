"""A project of a test's own: the trainers' files in a git repository, which the test may change and train."""

from __future__ import annotations

import shutil
from pathlib import Path

from bot.trainer.project import Project

ROOT = Path(__file__).resolve().parents[2]
AUTHOR = "Épreuve <epreuve@localhost>"
LINKED = ("bot", "actions", "scripts", ".venv-engine", ".venv")  # code: the same for every project


def copied(folder: Path, quick: bool = True) -> Project:
    """The project copied into `folder`, with one commit. `quick`: without background examples nor sentence encoder, so that a
    training takes some fifteen seconds instead of minutes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("config.yml", "domain.yml", "endpoints.yml", "credentials.yml"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "data", folder / "data", ignore=shutil.ignore_patterns("fonds") if quick else None)
    shutil.copytree(ROOT / "tests" / "gold", folder / "tests" / "gold")
    (folder / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "guide-formateur.md", folder / "docs" / "guide-formateur.md")
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    (folder / ".gitignore").write_text("\n".join(("/models/", "/.rasa/", *(f"/{name}" for name in LINKED), "")))
    project = Project(folder)
    if quick:
        config = project.read("config.yml")
        assert "encoder: true" in config
        project.write("config.yml", config.replace("encoder: true", "encoder: false"))
    project.git("init", "--quiet", "--initial-branch=main")
    project.git("add", ".")
    project.git("commit", "--quiet", "--message", "Début", author=AUTHOR)
    return project
