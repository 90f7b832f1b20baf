"""Meta's window, hour by hour."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from bot.policy.window import CLOSED_AGENT, CLOSED_BOT, WindowClosed, closes_at, outlived, tag

NOW = datetime(2026, 3, 29, 12, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize("hours", range(24 * 9))
def test_every_hour(hours: int) -> None:
    last = NOW - timedelta(hours=hours)
    if hours < 24:
        assert tag("bot", last, NOW) is None
        assert tag("agent", last, NOW) is None
        return
    for author in ("bot", "night", "system"):
        with pytest.raises(WindowClosed, match="24 heures"):
            tag(author, last, NOW)
    if hours < 24 * 7:
        assert tag("agent", last, NOW) == "HUMAN_AGENT"
    else:
        with pytest.raises(WindowClosed) as error:
            tag("agent", last, NOW)
        assert str(error.value) == CLOSED_AGENT


def test_nobody_wrote() -> None:
    with pytest.raises(WindowClosed) as error:
        tag("bot", None, NOW)
    assert str(error.value) == CLOSED_BOT


def test_closing_times() -> None:
    assert closes_at("bot", NOW) == NOW + timedelta(hours=24)
    assert closes_at("agent", NOW) == NOW + timedelta(days=7)


@pytest.mark.parametrize(
    ("author", "hours", "over"),
    [
        ("bot", 23.9, False),
        ("bot", 24, True),
        ("emergency", 23.9, False),
        ("emergency", 24, True),
        ("agent", 24, False),
        ("agent", 24 * 7, True),
    ],
)
def test_a_message_outlives_every_window(author: str, hours: float, over: bool) -> None:
    assert outlived(author, NOW - timedelta(hours=hours), NOW) is over
