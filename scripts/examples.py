"""The training examples of `data/nlu.yml` and `data/fonds/*.yml`, line by line, so that checks can name the line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_MARK = re.compile(r"\[([^\]]*)\](\([^)]*\)|\{[^}]*\})")


@dataclass(frozen=True)
class Example:
    """A training sentence, without entity marks, and where it stands."""

    file: Path
    line: int
    intent: str
    text: str

    @property
    def where(self) -> str:
        """As editors open it."""
        return f"{self.file}:{self.line}"


def files(root: Path = Path("data")) -> list[Path]:
    """Every file of training examples."""
    return [root / "nlu.yml", *sorted((root / "fonds").glob("*.yml"))]


def examples(paths: Iterable[Path]) -> Iterator[Example]:
    """The examples of every intent; lookups, synonyms and expressions are none."""
    for path in paths:
        intent = None
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if found := re.match(r"\s*- (intent|lookup|synonym|regex):\s*(\S+)", line):
                intent = found[2] if found[1] == "intent" else None
            elif intent and (found := re.match(r"\s+- (.*\S)", line)):
                yield Example(path, number, intent, _MARK.sub(r"\1", found[1]))
