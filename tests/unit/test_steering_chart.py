"""The geometry of the charts and the periods of the steering page."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.console.chart import Bar, ceiling, stacked
from bot.console.steering_periods import BadPeriod, period
from bot.console.steering_words import change, number, points, share, span

PARIS = ZoneInfo("Europe/Paris")
SERIES = ("messenger", "instagram")
COUNTS = st.lists(
    st.tuples(st.integers(0, 20_000), st.integers(0, 20_000), st.integers(0, 50_000)), min_size=1, max_size=80
)


@given(COUNTS)
def test_bars_stand_on_the_ground_in_proportion_and_never_leave_the_drawing(counts: list[tuple[int, int, int]]) -> None:
    bars = [Bar(str(i), str(i), {"messenger": m, "instagram": n}, before) for i, (m, n, before) in enumerate(counts)]
    chart = stacked(bars, SERIES)
    end = 0.0
    for column in chart.columns:
        assert column.x >= end - 0.002
        end = column.x + column.width
        floor = 100.0
        for rect in column.rects:
            assert rect.y + rect.height == pytest.approx(floor, abs=0.01)
            assert rect.height == pytest.approx(100 * column.bar.values[rect.series] / chart.top, abs=0.01)
            floor = rect.y
        assert floor >= -0.01
        assert column.mark is not None
        assert -0.01 <= column.mark <= 100
    assert end <= 100.01
    assert sum(column.labelled for column in chart.columns) <= 8
    assert chart.ticks[0].value == 0
    assert chart.ticks[-1].value == chart.top


@given(st.integers(0, 10_000_000))
def test_the_axis_ends_at_a_round_number_not_far_above(highest: int) -> None:
    top = ceiling(highest)
    assert top % 4 == 0
    assert highest <= top <= max(4, 2.5 * highest + 4)


def test_like_is_compared_with_like() -> None:
    now = datetime(2026, 1, 15, 13, 35, tzinfo=timezone.utc)  # 14:35 in Paris
    today = period("jour", "", "", now, PARIS)
    assert (today.since, today.until) == (datetime(2026, 1, 15, tzinfo=PARIS), now)
    assert (today.before_since, today.before_until) == (datetime(2026, 1, 14, tzinfo=PARIS), now - timedelta(days=1))
    week = period("7", "", "", now, PARIS)
    assert (week.days, week.grain, len(week.bins())) == (7, "day", 7)
    assert week.before_until == now - timedelta(days=7)
    past = period("choix", "2025-11-01", "2025-11-30", now, PARIS)
    assert past.until == past.bins()[-1].until == datetime(2025, 12, 1, tzinfo=PARIS)
    assert past.before_until == past.since
    year = period("choix", "2025-01-01", "2025-12-31", now, PARIS)
    assert (year.grain, year.bins()[0].since, len(year.bins())) == ("week", year.since, 53)


def test_a_clock_change_makes_a_day_of_25_hours_and_is_no_gap() -> None:
    now = datetime(2026, 10, 26, 9, 0, tzinfo=timezone.utc)
    sunday = period("choix", "2026-10-25", "2026-10-25", now, PARIS)
    assert len(sunday.bins()) == 25
    assert all(a.until == b.since for a, b in zip(sunday.bins(), sunday.bins()[1:], strict=False))
    monday = period("jour", "", "", now, PARIS)
    assert monday.before_until.astimezone(PARIS).hour == 10  # the same time on the wall: 25 hours before


def test_days_that_cannot_be() -> None:
    now = datetime(2026, 1, 15, 11, 0, tzinfo=timezone.utc)
    for since, until in (("", ""), ("x", "2026-01-01"), ("2026-01-02", "2026-01-01"), ("2026-01-16", "2026-01-17")):
        with pytest.raises(BadPeriod):
            period("choix", since, until, now, PARIS)
    assert period("choix", "2026-01-15", "2026-03-01", now, PARIS).until == now  # to come: as far as now


def test_numbers_in_french() -> None:
    assert number(12345) == "12\u202f345"
    assert share(None) == "–"
    assert share(0.426) == "43\u00a0%"
    minutes = {
        0.5: "30\u00a0s",
        12: "12\u00a0min",
        85: "1\u00a0h\u00a025",
        60: "1\u00a0h",
        3120: "2\u00a0j\u00a04\u00a0h",
    }
    assert [span(timedelta(minutes=m)) for m in minutes] == list(minutes.values())
    assert span(timedelta(days=2)) == "2\u00a0j"
    assert (change(3, 2), change(1, 2), change(2, 2), change(2, 0)) == (
        "+\u202f50\u00a0%",
        "−\u202f50\u00a0%",
        "pareil",
        "",
    )
    assert (points(0.5, 0.47), points(0.5, 0.51), points(None, 0.5)) == (
        "+\u202f3\u00a0points",
        "−\u202f1\u00a0point",
        "",
    )
