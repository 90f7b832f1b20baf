"""`rasa data validate` in its own environment: what it really prints comes out in French, with its place."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from bot.trainer.checks import check_all, rasa
from tests.fakes.project import copied

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
    project = copied(tmp_path / "project")
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
