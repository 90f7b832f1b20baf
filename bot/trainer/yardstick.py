"""What two models were compared by, besides the models: the messages, the precisions, the program that decides and counts.

A comparison holds as long as this is the same: what it says of a candidate is not what it would say now otherwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from bot.core import program
from bot.trainer import answer_comparison

GOLD = (
    "tests/gold/intents.tsv",
    "tests/gold/emergency.tsv",
    "tests/gold/scripts.tsv",
    *answer_comparison.FILES.values(),
)
DATA = ("data/precisions.yml",)  # what else trainers write is in the models' names
# What decides besides the model: a change of it makes another measure.
DECIDES = ("bot/core", "bot/dialogue", "bot/engine", "bot/policy", "actions")
# What asks and counts.
COUNTS = (
    "bot/app/chains.py",
    "bot/app/conversations.py",
    "bot/app/evaluate.py",
    "bot/app/evaluate_answers.py",
    "bot/app/evaluate_scripts.py",
    "bot/app/policy.py",
    "bot/app/route.py",
    "bot/trainer/answer_comparison.py",
    "bot/trainer/answer_figures.py",
    "bot/trainer/comparison.py",
    "bot/trainer/figures.py",
    "bot/trainer/gold.py",
    "bot/trainer/gold_conversations.py",
    "bot/trainer/script_figures.py",
)


def digest(root: Path) -> str:
    """Sixteen hex digits over all of it, as it stands in a folder; a file that is not there counts as such. Blocks: reads
    some hundred small files."""
    found, code = hashlib.sha256(), program.of(root)
    for name in (*GOLD, *DATA):
        _add(found, name, root / name)
    for name in COUNTS:
        _add(found, name, code / name)
    for path in deciding(code):
        _add(found, path.relative_to(code).as_posix(), path)
    return found.hexdigest()[:16]


def deciding(root: Path) -> Iterator[Path]:
    """The files of the program that decide, in order."""
    for part in DECIDES:
        yield from sorted((root / part).glob("**/*.py"))


def _add(found: hashlib._Hash, name: str, path: Path) -> None:
    found.update(f"{name}\0".encode())
    found.update(hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b"absent")
