"""Durations in buckets: what is read back is near what went in."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from bot.policy.histogram import LAST, bucket, middle, quantile

SECONDS = st.floats(min_value=5, max_value=60 * 86_400)


@given(SECONDS)
def test_a_bucket_stands_for_what_is_within_five_percent(seconds: float) -> None:
    stands = middle(bucket(timedelta(seconds=seconds))).total_seconds()
    assert abs(stands - seconds) <= 0.05 * seconds


def test_the_ends_take_what_lies_beyond() -> None:
    assert bucket(timedelta(seconds=-3)) == bucket(timedelta(0)) == bucket(timedelta(seconds=5)) == 0
    assert bucket(timedelta(seconds=5.1)) == 1
    assert bucket(timedelta(days=400)) == LAST


@given(st.lists(SECONDS, min_size=1, max_size=60), st.sampled_from([0.5, 0.9, 1.0]))
def test_a_quantile_is_that_of_the_durations(values: list[float], share: float) -> None:
    found = quantile(Counter(bucket(timedelta(seconds=v)) for v in values), share)
    rank = next(i for i in range(1, len(values) + 1) if i >= share * len(values) - 1e-9)
    exact = sorted(values)[rank - 1]
    assert found is not None
    assert abs(found.total_seconds() - exact) <= 0.05 * exact


def test_of_nothing_there_is_no_median() -> None:
    assert quantile({}, 0.5) is None
