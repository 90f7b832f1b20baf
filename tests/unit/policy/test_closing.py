"""What closing a request asks for."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from bot.policy.closing import ACCEPTED, UNDO, second_look, undoable, untaken_emergency
from bot.policy.intents import PRIORITY

NOW = datetime(2026, 1, 15, 11, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize("category", sorted(PRIORITY))
def test_who_may_be_in_danger_is_looked_at_twice(category: str) -> None:
    assert second_look(category, PRIORITY[category]) == (category in ("emergency", "urgent", "sensitive"))
    assert second_look(category, PRIORITY["urgent"])  # a likely danger, whatever it was about


def test_an_emergency_is_closed_by_whoever_took_it() -> None:
    assert untaken_emergency("emergency", "waiting")
    assert untaken_emergency("emergency", "inbox")
    assert not untaken_emergency("emergency", "agent")
    assert not untaken_emergency("sensitive", "waiting")


def test_a_closing_can_be_taken_back_for_ten_seconds() -> None:
    assert timedelta(seconds=10) == UNDO
    assert undoable(NOW - UNDO, NOW)
    assert undoable(NOW - ACCEPTED, NOW)
    assert not undoable(NOW - ACCEPTED - timedelta(milliseconds=1), NOW)
    assert not undoable(NOW + timedelta(days=400), NOW)  # a clock that was wrong
