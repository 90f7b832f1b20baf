"""A project of a test's own: the trainers' files in a git repository, which the test may change and train."""

from __future__ import annotations

import shutil
from pathlib import Path

from bot.trainer.project import Project

ROOT = Path(__file__).resolve().parents[2]
AUTHOR = "Épreuve <epreuve@localhost>"
BLOCK, LINE = "  - ", "      - "  # how data/nlu.yml begins a block and an example
EXAMPLES = 10  # an intent
SCRIPTED = 6  # a text of help, whose learning is most of what a process beside Rasa does
ENTRIES = 12  # of the lexicon
GOLD = 70  # messages a set
TOPIC = "procuration.yml"  # whose questions name no others as related
LINKED = ("bot", "actions", "scripts", ".venv-engine", ".venv")  # code: the same for every project


def copied(folder: Path, quick: bool = True, small: bool = False) -> Project:
    """The project copied into `folder`, with one commit. `quick`: without background examples nor sentence encoder, so that a
    training takes some fifteen seconds instead of minutes. `small`: a little of each file, as `thin` leaves it."""
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
    if small:
        _thin(project)
    project.git("init", "--quiet", "--initial-branch=main")
    project.git("add", ".")
    project.git("commit", "--quiet", "--message", "Début", author=AUTHOR)
    return project


def thin(project: Project) -> Project:
    """A few examples of each intent, one topic of the catalogue, a little of the lexicon, and a few messages of each set: what is
    tried is the way, not the understanding."""
    _thin(project)
    project.git("add", ".")
    project.git("commit", "--quiet", "--message", "Moins d’exemples", author=AUTHOR)
    return project


def _thin(project: Project) -> None:
    for path in project.path("data/answers").glob("*.yml"):
        if path.name != TOPIC:
            path.unlink()
    kept: list[str] = []
    inside, count = False, 0
    for line in project.read("data/nlu.yml").splitlines(keepends=True):
        if line.startswith(BLOCK):
            inside, count = "intent:" in line, 0
        count += inside and line.startswith(LINE)
        if count <= EXAMPLES:
            kept.append(line)
    project.write("data/nlu.yml", "".join(kept))
    kept, count = [], 0
    for line in project.read("data/scripts.yml").splitlines(keepends=True):
        count = 0 if line.startswith("- script:") else count + line.startswith("    - ")
        if count <= SCRIPTED:
            kept.append(line)
    project.write("data/scripts.yml", "".join(kept))
    head, *rest = project.read("data/danger.yml").split("\n  - nom: ")
    entries = [one for number, one in enumerate(rest) if number < ENTRIES or one.startswith("adieux\n")]
    project.write("data/danger.yml", "\n  - nom: ".join([head, *entries]) + "\n")
    topic = f"\t{TOPIC.removesuffix('.yml')}/"
    for name in ("intents", "emergency", "answers"):
        header, *lines = project.read(f"tests/gold/{name}.tsv").splitlines(keepends=True)
        lines = [line for line in lines if topic in line or line.endswith("\t-\n")] if name == "answers" else lines
        project.write(f"tests/gold/{name}.tsv", "".join([header, *lines[:: max(1, len(lines) // GOLD)]]))
    talks = project.read("tests/gold/conversations.yml").split("\n- nom: ")
    project.write("tests/gold/conversations.yml", "\n- nom: ".join(talks[:3]) + "\n")
