"""Messages that teach which words an emergency gets also teach its intent, where all of a script's are of one."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bot.app.route import ENGINE_PYTHON
from bot.policy.script_score import NAMES
from bot.policy.scripts import INTENTS

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import sys
from pathlib import Path
from bot.engine.train import taught_by_scripts
made = taught_by_scripts(Path(sys.argv[1]), Path(sys.argv[1]) / "made")
print("".join(Path(file).read_text("utf-8") for file in made))
"""
NLU = """version: "3.1"
nlu:
- intent: danger_immediat
  examples: |
    - il y a un [intrus](personne) chez moi
"""


def taught(project: Path) -> str:
    done = subprocess.run([str(ENGINE_PYTHON), "-c", CODE, str(project)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_scripts_of_one_intent_teach_it_what_no_example_says_already(tmp_path: Path) -> None:
    for folder in ("data/fonds", "made"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "data/nlu.yml").write_text(NLU, "utf-8")
    assert taught(tmp_path).strip() == ""  # a project of an earlier version has no scripts
    known = {"own_danger": ["Il y a un intrus chez moi !", "on force ma porte"], "own_distress": ["je veux mourir"]}
    blocks = [
        "\n".join([f"- script: {name}", "  examples: |", *(f"    - {text}" for text in known.get(name, [])), *others])
        for name in NAMES
        for others in [[f"    - {name} {number}" for number in range(5)]]
    ]
    (tmp_path / "data/scripts.yml").write_text("mots: {}\nscripts:\n" + "\n".join(blocks) + "\n", "utf-8")
    said = taught(tmp_path)
    danger, distress = said.split("- intent: detresse_suicide")
    assert "- on force ma porte" in danger and "intrus" not in said
    assert "- je veux mourir" in distress and "je veux mourir" not in danger
    assert {name for name in NAMES if f"- {name} 0" in said} == set(INTENTS)
