"""How long a message waits for an engine that is away."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from bot.policy.patience import Outage, Patience, Step, step, was_told

NOON = datetime(2026, 1, 15, 11, 0, tzinfo=timezone.utc)
PATIENCE = Patience(timedelta(seconds=60), timedelta(seconds=300))


def ago(seconds: float) -> datetime:
    """A moment before noon."""
    return NOON - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("waited", "may_speak", "told", "due"),
    [
        (0, True, None, Step.WAIT),
        (59, True, None, Step.WAIT),
        (60, True, None, Step.TELL),
        (60, False, None, Step.WAIT),  # at night, under a human, outside the window
        (70, True, 5, Step.WAIT),  # once
        (70, True, 3599, Step.WAIT),  # of an earlier outage, a moment ago
        (70, True, 3600, Step.TELL),
        (299, True, 200, Step.WAIT),
        (300, True, None, Step.HAND_OVER),
        (300, False, None, Step.HAND_OVER),
        (300, True, 240, Step.HAND_OVER),
        (70, True, -3600, Step.TELL),  # told in an hour, says a clock that was wrong
    ],
)
def test_what_is_due(waited: float, may_speak: bool, told: float | None, due: Step) -> None:
    outage = Outage(ago(waited), NOON, None if told is None else ago(told), may_speak)
    assert step(outage, PATIENCE) is due


def test_agents_get_it_at_once_where_no_wait_is_wanted() -> None:
    assert step(Outage(NOON, NOON, None, True), Patience(timedelta(0), timedelta(0))) is Step.HAND_OVER


@pytest.mark.parametrize(
    ("since", "told", "expected"),
    [(60, 30, True), (60, 60, True), (60, 90, False), (60, None, False), (None, 30, False)],
)
def test_whether_this_very_outage_was_told(since: float | None, told: float | None, expected: bool) -> None:
    assert was_told(*(None if s is None else ago(s) for s in (since, told)), NOON, False) is expected


@pytest.mark.parametrize(("told", "expected"), [(3599, True), (3600, False), (None, False)])
def test_whoever_writes_again_to_agents_is_not_told_each_time(told: float | None, expected: bool) -> None:
    assert was_told(ago(300), None if told is None else ago(told), NOON, True) is expected
