"""What trainers are told.

TrainerError (an Explained: `what`, `remedy`, both in French)
├── BadFile          a file that is not what it should be; `path`, `line`, `column`
├── Changed          the thing to change is no longer as it was shown: somebody else changed it
└── NoGit            the project is no git repository, or git refused
"""

from __future__ import annotations

from typing import Optional

from bot.core.errors import Explained


class TrainerError(Explained):
    """Something that a trainer asked for cannot be done."""


class BadFile(TrainerError):
    """A file of the project is damaged. `line` and `column` count from one; None when no place can be named."""

    def __init__(
        self, path: str, what: str, remedy: str = "", line: Optional[int] = None, column: Optional[int] = None
    ) -> None:
        place = "" if line is None else f", ligne {line}" + ("" if column is None else f", colonne {column}")
        super().__init__(f"{path}{place} : {what}", remedy)
        self.path = path
        self.line = line
        self.column = column


class Changed(TrainerError):
    """What was to be changed is no longer there, or no longer the same."""


class NoGit(TrainerError):
    """The project's history cannot be read or written. `code`: git's own exit code; None when it gave none."""

    def __init__(self, what: str, remedy: str = "", code: Optional[int] = None) -> None:
        super().__init__(what, remedy)
        self.code = code
