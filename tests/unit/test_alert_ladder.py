"""When a trouble rings: also one that looks well for a moment now and then; not one that was a hiccup."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.monitor.finding import Grade, Problem
from bot.monitor.ladder import Alert, step

START = datetime(2026, 1, 14, 10, tzinfo=UTC)
DOWN = Problem("Le service ne répond pas.", "Relancez-le.", key="service:worker", grade=Grade.CRITICAL)


def rings(seen: list[bool], every: int = 10) -> int | None:
    """After how many seconds it rings, looked at as often; None: never."""
    alerts: list[Alert] = []
    for number, there in enumerate(seen):
        now = START + timedelta(seconds=every * number)
        alerts, notice = step(alerts, [DOWN] if there else [], now)
        if notice.opened:
            return every * number
    return None


def test_a_service_that_dies_soon_after_each_start_rings() -> None:
    up, down = [False] * 2, [True] * 10
    assert rings((up + down) * 3) is not None
    assert rings([True] * 30) == 120


def test_a_hiccup_does_not_ring() -> None:
    assert rings(([True] + [False] * 5) * 20) is None


def test_an_alert_of_the_future_rings_and_is_told_again() -> None:
    """A machine whose clock was ahead kept it: the others do not wait for that hour."""
    later, reminder = START + timedelta(days=3), START + timedelta(hours=1)
    unconfirmed = Alert(DOWN.key, DOWN.grade, DOWN.what, DOWN.remedy, later)
    alerts, _ = step([unconfirmed], [DOWN], START)
    _, notice = step(alerts, [DOWN], START + timedelta(minutes=2))
    assert [alert.key for alert in notice.opened] == [DOWN.key]
    told = replace(unconfirmed, opened_at=later, told_at=later, told=1)
    alerts, _ = step([told], [DOWN], START)
    _, notice = step(alerts, [DOWN], reminder)
    assert [alert.key for alert in notice.reminded] == [DOWN.key]
