"""The training examples of `data/nlu.yml`, `data/fonds/*.yml` and the catalogue, line by line, so that checks can name the line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bot.core.errors import SetupError
from bot.core.examples import NAME, QUESTION, blocks, script_blocks, without_marks
from bot.core.yaml_text import Damaged, decode


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


def script_examples(path: Path = Path("data/scripts.yml")) -> Iterator[Example]:
    """The examples of which words a message calls for; `intent` is the script. None without such a file. Raises SetupError."""
    if not path.exists():
        return
    try:
        found, _ = script_blocks(decode(path.read_bytes()))
    except Damaged as error:
        raise SetupError(f"{path}:{error.line} : {error.what}", error.remedy) from None
    for block in found:
        for line, text in enumerate(block.items, block.first):
            yield Example(path, line, block.name, text)


def asked(folder: Path = Path("data/answers")) -> Iterator[Example]:
    """The examples of the catalogue; `intent` is the question (`intent/question`). Raises SetupError for a damaged file."""
    yield from examples(sorted(folder.glob("*.yml")), QUESTION)


def examples(paths: Iterable[Path], names: re.Pattern[str] = NAME) -> Iterator[Example]:
    """The examples of every intent; lookups, synonyms and expressions are none. Raises SetupError for a damaged file."""
    for path in paths:
        try:
            found = blocks(decode(path.read_bytes()), names)
        except Damaged as error:
            raise SetupError(f"{path}:{error.line} : {error.what}", error.remedy) from None
        for block in found:
            if block.kind == "intent":
                for line, marked in enumerate(block.items, block.first):
                    yield Example(path, line, block.name, without_marks(marked))
