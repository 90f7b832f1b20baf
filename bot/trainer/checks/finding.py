"""What a check says of a file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Optional

from bot.trainer.errors import BadFile

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """Something wrong at a place, and what to do about it, in French.

    An error keeps a model from being made or from being trusted; a warning is worth a look. `line` counts from one, None
    for a whole file. `code`: the check; `families.of` says to which family it belongs. `intent`: which one it is about, if any;
    `text`: which example.
    """

    severity: Severity
    code: str
    file: str
    line: Optional[int]
    what: str
    remedy: str
    intent: Optional[str] = None
    text: Optional[str] = None

    @property
    def where(self) -> str:
        """As editors open it."""
        return self.file if self.line is None else f"{self.file}:{self.line}"

    def as_json(self) -> dict[str, Any]:
        """For `planton check --json`."""
        return {
            "severity": self.severity,
            "code": self.code,
            "file": self.file,
            "line": self.line,
            "what": typeset(self.what),
            "remedy": typeset(self.remedy),
            "intent": self.intent,
        }

    @property
    def is_error(self) -> bool:
        """Whether it keeps a model from being made or trusted."""
        return self.severity == "error"


def error(code: str, file: str, line: Optional[int], what: str, remedy: str, **more: Any) -> Finding:
    """What must be put right."""
    return Finding("error", code, file, line, what, remedy, **more)


def warning(code: str, file: str, line: Optional[int], what: str, remedy: str, **more: Any) -> Finding:
    """What is worth a look."""
    return Finding("warning", code, file, line, what, remedy, **more)


def damaged(bad: BadFile) -> Finding:
    """A file that cannot be read: what the other checks could not look at."""
    place = (
        "" if bad.line is None else f", ligne {bad.line}" + ("" if bad.column is None else f", colonne {bad.column}")
    )
    what = bad.what.removeprefix(f"{bad.path}{place} : ")
    return error(
        "file", bad.path, bad.line, what if bad.column is None else f"colonne {bad.column} : {what}", bad.remedy
    )


def ordered(found: Iterable[Finding]) -> list[Finding]:
    """Errors first, what trainers edit before the rest, then by line; the same thing once."""
    return sorted(
        dict.fromkeys(found),
        key=lambda one: (not one.is_error, one.file != "data/nlu.yml", one.file, one.line or 0, one.code),
    )


def typeset(text: str) -> str:
    """French spaces, where plain ones stand."""
    text = re.sub("« ", "«\u00a0", re.sub(" ([:»])", "\u00a0\\1", text))
    return re.sub(" ([;?!])", "\u202f\\1", text)
