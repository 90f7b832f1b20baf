"""Models on disk: the one in service, the candidates, and what stands beside each.

models/<hash>.tar.gz  <hash>.danger.json  <hash>.json (card)  <hash>.files/ (bot/core/served.py)
models/candidates/    the same four for each candidate

In service is what the engines say; where nobody looks after engines, the newest archive of `models/`.
"""

from __future__ import annotations

import contextlib
import json
import os
import tarfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bot.core import served
from bot.trainer import engines
from bot.trainer.comparison import Fold

SUFFIX = ".tar.gz"
CANDIDATES = "candidates"
CROSS_VALIDATION = "folds.json"  # in the archive, written by the classifier


@dataclass(frozen=True)
class Model:
    """A trained model. `root`: the folder whose replies and lexicon go with it when it has no copies of its own."""

    archive: Path
    root: Path

    @property
    def hash(self) -> str:
        """Its name: what it was made from, in sixteen hex digits."""
        return self.archive.name.removesuffix(SUFFIX)

    @property
    def score(self) -> Path:
        """The danger score that was learnt with it."""
        return self.archive.with_name(f"{self.hash}.danger.json")

    @property
    def card(self) -> Path:
        """Its card."""
        return self.archive.with_name(f"{self.hash}.json")

    @property
    def files(self) -> Path:
        """The folder of what is read beside it: `domain.yml`, `data/danger.yml`, `data/precisions.yml`, `data/answers/`."""
        return served.beside(self.archive, self.root)

    @property
    def parts(self) -> list[Path]:
        """All that an engine reads of it."""
        own = served.folder(self.archive)
        beside = [own] if own.is_dir() else [self.root / name for name in served.names(self.root)]
        return [path for path in (self.archive, self.score, *beside) if path.exists()]

    def folds(self) -> list[Fold] | None:
        """Its cross-validation; None when it was trained before that was kept. Reads the archive: a second."""
        try:
            with tarfile.open(self.archive) as archive:
                for member in archive:
                    if member.isfile() and member.name.endswith(f"/{CROSS_VALIDATION}"):
                        found = archive.extractfile(member)
                        return [Fold(*row) for row in json.load(found)] if found else None
        except (OSError, tarfile.TarError, ValueError, TypeError):
            return None
        return None


@dataclass(frozen=True)
class Card:
    """What stands beside a model. `hash`: of its data and code; `commit`: what git recorded then, "" without git; `made_at`: ISO
    8601 with offset; `author`: who asked for it; `figures`: shares by set and name; `memory`: bytes at most at once while training;
    `seconds`: that it took; `training`: the run's number, 0 from the command line."""

    hash: str
    author: str
    made_at: str
    commit: str = ""
    figures: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    memory: int = 0
    seconds: float = 0.0
    training: int = 0
    examples: int = 0

    def write(self, path: Path) -> None:
        """Leave it beside the model, at once."""
        draft = path.with_name(f".{path.name}.part")
        draft.write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        os.replace(draft, path)

    @classmethod
    def read(cls, path: Path) -> Card | None:
        """The card of a file; None when there is none, or none that can be read."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return cls(**kept)
        return None


def current(root: Path, var: Path | None = None) -> Model | None:
    """The model in service. `var`: VAR_DIR, where the launcher says what its engines serve."""
    found = engines.in_service(root / "models", var)
    return Model(found, root) if found else None


def candidates(root: Path) -> list[Model]:
    """The candidates, the newest first."""
    return [Model(path, root) for path in _newest_first(root / "models" / CANDIDATES)]


def _newest_first(folder: Path) -> list[Path]:
    dated = []
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(OSError):  # moved or forgotten meanwhile
            dated.append((path.stat().st_mtime, path.name, path))
    return [path for _, _, path in sorted(dated, reverse=True)]
