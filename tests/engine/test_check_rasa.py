"""`rasa data validate` in its own environment: what it really prints comes out in French, with its place."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from bot.trainer.checks import check_all
from tests.fakes.project import copied


def test_what_rasa_really_finds(tmp_path: Path) -> None:
    project = copied(tmp_path / "project")
    stories = project.read("data/stories.yml")
    more = (
        "\n- story: un autre chemin\n  steps:\n  - intent: recrutement_conditions\n  - slot_was_set:\n    - inconnu: oui\n"
        "  - action: action_recrutement\n"
    )
    project.write("data/stories.yml", stories.rstrip("\n") + "\n" + more)
    found = [one for one in check_all(project, today=date(2026, 1, 15), with_rasa=True) if one.code == "rasa"]
    (slot,) = [one for one in found if "« inconnu »" in one.what]
    assert slot.severity == "error"
    assert slot.file == "data/stories.yml"
    assert project.read("data/stories.yml").splitlines()[(slot.line or 0) - 1].strip() == "- inconnu: oui"
    # Nothing else: whatever it prints of a sound project is said elsewhere, or of no interest.
    assert [one for one in found if one is not slot] == []
