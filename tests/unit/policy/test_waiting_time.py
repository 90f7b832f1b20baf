"""The median wait, where some still wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from bot.policy.waiting_time import Waits, median


def minutes(*spans: float) -> tuple[timedelta, ...]:
    """Durations of so many minutes."""
    return tuple(timedelta(minutes=span) for span in spans)


@pytest.mark.parametrize(
    ("answered", "waiting", "expected"),
    [
        ((), (), None),  # nobody was answered
        ((), (5, 90), None),
        ((7,), (), 7),
        ((2, 4, 6), (), 4),  # nobody waits: the plain median
        ((8, 2, 6, 4), (), 4),  # by four minutes, half are answered
        ((1, 2, 3, 4, 5, 6, 7), (), 4),  # 6/7 · 5/6 · 4/5 · 3/4 is a half and a bit
        ((2, 4, 6), (90,), 4),
        ((2, 4, 6), (90, 91), 6),
        ((2, 4, 6), (90, 91, 92, 93), None),  # more than half wait longer than anybody who was answered
        ((4, 4), (4,), 4),  # an answer counts before who has waited just as long
        ((10, 20, 30), (1, 1, 1), 20),  # who has just come says nothing of long waits
        ((10, 20), (15,), 20),  # 2/3, then nobody is left
    ],
)
def test_the_median_counts_those_who_still_wait(
    answered: Sequence[float], waiting: Sequence[float], expected: float | None
) -> None:
    found = median(Waits(minutes(*answered), minutes(*waiting)))
    assert found == (None if expected is None else timedelta(minutes=expected))


def test_two_hundred_who_wait_are_not_told_four_minutes() -> None:
    answered, waiting = minutes(*range(1, 8)), minutes(*range(30, 240))
    assert median(Waits(answered)) == timedelta(minutes=4)
    assert median(Waits(answered, waiting)) is None


@pytest.mark.parametrize(("late", "told"), [(0, True), (3, True), (4, False)])
def test_more_late_than_answered_is_no_time_to_tell(late: int, told: bool) -> None:
    young = minutes(*[1] * 10)
    assert (median(Waits(minutes(5, 6, 7), young, late)) is not None) == told


def test_what_was_not_read_whole_tells_nothing() -> None:
    assert median(Waits(minutes(5, 6, 7), (), 0, whole=False)) is None
