"""The console's words for times and windows."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import Mock

import pytest

from bot.console import words
from bot.core.clock import FrozenClock


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "moins d’1 min"), (59, "moins d’1 min"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"), (11_100, "3 h 05"),
     (86_400, "1 j"), (187_200, "2 j 4 h"), (-5, "moins d’1 min")],
)  # fmt: skip
def test_durations(seconds: int, said: str) -> None:
    assert words.duration(timedelta(seconds=seconds)).replace("\u00a0", " ") == said


def test_window_levels(frozen_clock: FrozenClock) -> None:
    now = frozen_clock.now()
    ages = {"open": 1, "soon": 22.5, "human": 24, "closed": 168}
    assert {level: words.window_left(now - timedelta(hours=h), now).level for level, h in ages.items()} == {
        k: k for k in ages
    }
    assert words.window_left(None, now).level == "closed"
    assert not words.window_left(None, now).can_write


@pytest.mark.parametrize(
    ("outcome", "why", "said"),
    [
        ("closed", "sans_suite", "sans suite"),
        ("closed", None, ""),
        ("given_back", None, "rendue à l’assistant"),
        (None, None, ""),
    ],
)
def test_how_a_request_ended(outcome: str | None, why: str | None, said: str) -> None:
    assert words.ending(Mock(outcome=outcome, close_reason=why)) == said
