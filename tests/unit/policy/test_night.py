"""The night by the wall clock, every hour of the year, both changes of clock included."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.policy.night import Desk, Night, hour_text, instant

PARIS = ZoneInfo("Europe/Paris")
NIGHT = Night(PARIS)
ACROSS = Night(PARIS, time(22, 30), time(5, 15))
WALLS = st.times().map(lambda t: t.replace(second=0, microsecond=0))


def test_every_hour_of_the_year() -> None:
    moment = datetime(2025, 12, 31, 23, tzinfo=timezone.utc)
    for _ in range(366 * 24):
        local = moment.astimezone(PARIS)
        assert NIGHT.contains(moment) == (local.hour < 6)
        assert ACROSS.contains(moment) == (local.time() >= time(22, 30) or local.time() < time(5, 15))
        if NIGHT.contains(moment):
            assert NIGHT.name(moment) == local.date()
        if ACROSS.contains(moment):
            assert ACROSS.name(moment) == (local - timedelta(hours=6)).date()
        moment += timedelta(hours=1)


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 29), 5), (date(2026, 10, 25), 7), (date(2026, 1, 15), 6)],
)
def test_a_night_lasts_until_six_on_the_wall_whatever_the_clock_change(day: date, hours: int) -> None:
    start = instant(day, time(0, 0), PARIS)
    end = NIGHT.ends_at(start)
    assert end - start == timedelta(hours=hours)
    assert NIGHT.name(start) == NIGHT.name(end - timedelta(seconds=1)) == day
    assert not NIGHT.contains(end)
    assert end.astimezone(PARIS).time() == time(6, 0)


def test_a_time_that_does_not_exist_moves_forward_and_a_double_one_is_the_first() -> None:
    assert instant(date(2026, 3, 29), time(2, 30), PARIS) == datetime(2026, 3, 29, 1, 30, tzinfo=timezone.utc)
    assert instant(date(2026, 10, 25), time(2, 30), PARIS) == datetime(2026, 10, 25, 0, 30, tzinfo=timezone.utc)


def test_equal_bounds_are_no_night() -> None:
    none = Night(PARIS, time(3, 0), time(3, 0))
    moment = datetime(2026, 1, 15, 2, 0, tzinfo=timezone.utc)
    assert not none.contains(moment)
    assert none.ends_at(moment) == moment
    with pytest.raises(ValueError):
        none.name(moment)


@given(st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(timezone.utc)), WALLS, WALLS)
def test_the_end_is_the_first_moment_outside(moment: datetime, start: time, end: time) -> None:
    night = Night(PARIS, start, end)
    after = night.ends_at(moment)
    assert after >= moment
    assert after - moment <= timedelta(hours=26)
    if night.contains(moment):
        assert after > moment
        night.name(moment)


def test_an_end_that_comes_twice_in_autumn_is_never_over_before_the_night_is() -> None:
    night = Night(PARIS, time(0, 0), time(2, 30))
    again = datetime(2026, 10, 25, 1, 10, tzinfo=timezone.utc)  # 02:10 for the second time
    assert night.contains(again)
    assert night.ends_at(again) == datetime(2026, 10, 25, 1, 30, tzinfo=timezone.utc)


def test_naive_times_are_refused() -> None:
    with pytest.raises(ValueError):
        NIGHT.contains(datetime(2026, 1, 15, 2, 0))


def test_hours_in_words() -> None:
    assert hour_text(time(6, 0)) == "6\u00a0h"
    assert hour_text(time(6, 30)) == "6\u00a0h\u00a030"


@pytest.mark.parametrize(
    ("desk", "hour", "is_open"),
    [
        (Desk(PARIS), 5, False),
        (Desk(PARIS), 23, True),
        (Desk(PARIS, time(8), time(18)), 12, True),
        (Desk(PARIS, time(8), time(18)), 18, False),
        (Desk(PARIS, time(20), time(4)), 2, True),
        (Desk(PARIS, time(20), time(4)), 12, False),
    ],
)
def test_desk_hours(desk: Desk, hour: int, is_open: bool) -> None:
    assert desk.open(datetime(2026, 1, 15, hour, 30, tzinfo=PARIS)) is is_open
