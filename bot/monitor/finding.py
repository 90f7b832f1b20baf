"""Something that is wrong now, as `doctor` shows it and the heartbeat tells it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How pressing."""

    CRITICAL = "critical"  # people are not answered, or soon will not be
    WARNING = "warning"


@dataclass(frozen=True)
class Problem:
    """Something wrong and what to do about it. `what` and `remedy`: French, nothing of a citizen's.

    `advice`: worth doing, but the service is sound without it.
    `key`: the same as long as it is the same trouble; without one it is never told by an alert.
    `local`: of this machine, so that each one tells its own.
    `mark`: a number that grows when more of the same happens, so that it is told again before the next reminder.
    """

    what: str
    remedy: str
    advice: bool = False
    key: str = ""
    grade: Grade = Grade.WARNING
    local: bool = False
    mark: int = 0

    def as_json(self) -> dict[str, str]:
        """For the report."""
        return {"what": self.what, "remedy": self.remedy} | ({"level": "advice"} if self.advice else {})
