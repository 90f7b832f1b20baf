"""Who is told that the answer will be late."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.policy.night import Night
from bot.policy.overload import Backlog, Waiter, is_told, overloaded

NOON = datetime(2026, 1, 15, 11, tzinfo=UTC)
NIGHT = Night(ZoneInfo("Europe/Paris"))
NOTICE = timedelta(minutes=2)
WAITER = Waiter("bot", "none", False, False, False, NOON - timedelta(minutes=3), None, None)


@pytest.mark.parametrize(
    ("backlog", "expected"),
    [
        (Backlog(), False),
        (Backlog(119, 0), False),
        (Backlog(120, 0), True),
        (Backlog(500, 119), True),
        (Backlog(500, 120), False),  # the replies are what is slow: a notice would delay them
    ],
)
def test_overloaded(backlog: Backlog, expected: bool) -> None:
    assert overloaded(backlog, NOTICE) is expected


@pytest.mark.parametrize(
    ("waiter", "expected"),
    [
        (WAITER, True),
        (replace(WAITER, owner="closed"), True),
        (replace(WAITER, owner="waiting", category="request"), True),
        (replace(WAITER, owner="waiting", category="complaint"), False),
        (replace(WAITER, owner="waiting", category="request", attended=True), False),
        (replace(WAITER, owner="agent"), False),
        (replace(WAITER, owner="inbox"), False),
        (replace(WAITER, standby=True), False),
        (replace(WAITER, blocked=True), False),
        (replace(WAITER, answered=True), False),
        (replace(WAITER, last_person_at=None), False),
        (replace(WAITER, last_person_at=NOON - timedelta(hours=24)), False),
        (replace(WAITER, told_at=NOON - timedelta(minutes=59)), False),
        (replace(WAITER, told_at=NOON - timedelta(minutes=60)), True),
        (replace(WAITER, last_agent_at=NOON - timedelta(minutes=5)), False),
    ],
)
def test_is_told(waiter: Waiter, expected: bool) -> None:
    assert is_told(waiter, NIGHT, NOON) is expected


def test_nobody_is_told_at_night() -> None:
    night = NOON.replace(hour=1)
    assert not is_told(replace(WAITER, last_person_at=night - timedelta(minutes=3)), NIGHT, night)
