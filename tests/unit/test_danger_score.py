"""The command that measures lexicon and score, as trainers' documents write it, and on files that it cannot use."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bot.app.route import ENGINE_PYTHON

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ("docs/urgences.md", "data/danger.yml")
COMMAND = re.compile(r"^(?:#\s+)?(\.venv-engine/bin/python -m bot\.engine\.danger_score .*)$", re.MULTILINE)


# Starting the engine's interpreter takes longer than being refused: one start for all.
DRIVER = """
import contextlib, io, json, sys
from bot.engine.danger_score import main
for arguments in json.load(sys.stdin):
    out, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        code = main(arguments)
    print(json.dumps([code, out.getvalue(), said.getvalue()]))
"""


def run(command: Sequence[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, input=stdin, capture_output=True, text=True, check=False)


def run_each(asked: Sequence[Sequence[str]]) -> list[tuple[int, str, str]]:
    """Exit code, output and complaints of each; a stack trace fails."""
    done = run([str(ENGINE_PYTHON), "-c", DRIVER], json.dumps(asked))
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def documented() -> set[str]:
    return {
        command.strip() for name in DOCUMENTS for command in COMMAND.findall((ROOT / name).read_text(encoding="utf-8"))
    }


def test_the_documented_command_prints_its_tables() -> None:
    [command] = documented()  # both documents give the same one
    done = run(shlex.split(command))
    assert done.returncode == 0, done.stderr
    for detector in ("lexique seul", "score seul", "lexique confirmé ou score"):
        assert f"| {detector} |" in done.stdout


LEXICON_TOLD = (
    "n’est pas un fichier d’exemples : il n’y a pas de liste « nlu: ». C’est un lexique : donnez-le après --lexicon."
)


REFUSED = {
    "entrees: []\n": LEXICON_TOLD,
    "": "n’est pas un fichier d’exemples",
    "- a\n": "n’est pas un fichier d’exemples",
    "nlu: salut\n": "n’est pas un fichier d’exemples",
    "nlu:\n- salut\n": "n’est pas un fichier d’exemples",
    "nlu:\n- intent: 'salut\n": "ce n’est pas du YAML correct",
    "nlu:\n- intent: animaux\n  examples: |\n    - un chat\n": "Trop peu d’exemples pour mesurer",
}


def test_a_file_of_no_use_is_told_in_french(tmp_path: Path) -> None:
    asked, expected = [], []
    for number, (content, told) in enumerate(REFUSED.items()):
        path = tmp_path / f"donné{number}.yml"
        path.write_text(content, encoding="utf-8")
        asked.append([str(path)])
        expected.append(told)
    latin = tmp_path / "latin.yml"
    latin.write_bytes("nlu: été\n".encode("latin-1"))
    asked += [[str(tmp_path / "absent.yml")], [str(latin)], ["data/nlu.yml", "--lexicon", "data/nlu.yml"]]
    expected += ["ne se lit pas", "n’est pas en UTF-8", "rubrique inconnue"]
    for (code, printed, said), told in zip(run_each(asked), expected, strict=True):
        assert (code, printed) == (2, "")
        assert told in said
