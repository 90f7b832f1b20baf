"""How often each question of the catalogue came, and how the thumbs stood: what the store counts, for the pages that show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class QuestionCount:
    """Of one question: messages that asked it, thumbs up and down about it."""

    asked: int = 0
    up: int = 0
    down: int = 0


class QuestionCounts(Protocol):
    """Asked by the pages that show questions."""

    async def __call__(self, since: datetime) -> Mapping[str, QuestionCount]:
        """By question, from then on; those that never came may be missing."""


async def no_counts(since: datetime) -> Mapping[str, QuestionCount]:
    """Where nobody counts."""
    return {}
