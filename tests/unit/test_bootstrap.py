"""Bootstrap intervals: bounds of a share, and whether a change on the same lines is more than chance."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from bot.app import compare
from bot.app.report import between, table
from bot.trainer.bootstrap import Interval, interval, paired, paired_tallies
from bot.trainer.comparison import INTENTS, Comparison, SetComparison
from bot.trainer.figures import MARKED, Judged, measure
from bot.trainer.gold import Case


def marks(right: int, wrong: int, aside: int = 0) -> list[bool | None]:
    return [True] * right + [False] * wrong + [None] * aside


def test_the_bounds_of_a_share_are_those_of_its_standard_error() -> None:
    found = interval(marks(800, 200))
    assert found is not None
    assert found.low == pytest.approx(0.8 - 1.96 * 0.01265, abs=0.004)
    assert found.high == pytest.approx(0.8 + 1.96 * 0.01265, abs=0.004)
    assert found == interval(marks(800, 200))  # the same lines, the same bounds
    assert found.half == pytest.approx(0.0248, abs=0.003)


def test_lines_that_do_not_count_change_nothing() -> None:
    assert interval(marks(80, 20, 500)) == interval(marks(80, 20))
    assert interval(marks(0, 0, 7)) is None
    assert interval([]) is None


def test_fewer_lines_give_wider_bounds() -> None:
    few, many = interval(marks(8, 2)), interval(marks(800, 200))
    assert few is not None
    assert many is not None
    assert few.half > 5 * many.half


def test_a_share_that_no_line_denies_has_no_width() -> None:
    assert interval(marks(12, 0)) == Interval(1.0, 1.0)
    assert interval(marks(1, 0)) == Interval(1.0, 1.0)


def test_losses_without_gains_are_no_chance_beyond_a_few() -> None:
    def lost(n: int) -> bool:
        found = paired(marks(500, 0), marks(500 - n, n))
        assert found is not None
        assert found.by == pytest.approx(-n / 500)
        return found.fell

    assert [lost(n) for n in (0, 1, 2, 3, 6, 20)] == [False, False, False, False, True, True]


def test_losses_and_gains_that_nearly_balance_are_chance() -> None:
    before = [True] * 30 + [False] * 25 + [True] * 445
    after = [False] * 30 + [True] * 25 + [True] * 445
    found = paired(before, after)
    assert found is not None
    assert found.by == pytest.approx(-0.01)
    assert not found.fell
    assert not found.rose
    worse = paired([True] * 60 + before, [False] * 60 + after)
    assert worse is not None
    assert worse.fell
    better = paired([False] * 60 + before, [True] * 60 + after)
    assert better is not None
    assert better.rose


def test_each_side_counts_its_own_lines() -> None:
    """Of what a model answers: one that answers half may answer better."""
    found = paired([True, False] * 100, [True, None] * 100)
    assert found is not None
    assert found.by == pytest.approx(0.5)
    assert found.rose
    assert paired([None] * 5, [True] * 5) is None
    assert paired([], []) is None


def test_the_readings_of_a_line_are_drawn_together() -> None:
    """Five writings of four lines are no twenty lines."""
    alone = paired(marks(60, 0), marks(40, 20))
    together = paired_tallies([(5, 5)] * 12, [(5, 5)] * 8 + [(0, 5)] * 4)
    assert alone is not None
    assert together is not None
    assert together.by == pytest.approx(alone.by)
    assert together.bounds.half > 1.5 * alone.bounds.half


def test_sides_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        paired([True], [True, False])


def test_every_share_of_a_reading_has_its_bounds_and_they_hold_it() -> None:
    case = Case("x", "danger_immediat", "", "emergency")
    seen = Judged(case, "danger_immediat", "emergency", "danger_immediat", 0.9)
    missed = Judged(case, None, "clarify", None, 0.0)
    figures = measure([seen] * 80 + [missed] * 20)
    assert set(figures["intervals"]) == set(MARKED)
    low, high = figures["intervals"]["emergency_recall"]
    assert low < figures["emergency_recall"] == 0.8 < high
    assert figures["intervals"]["false_alarm_rate"] is None
    shown = " ".join(table(figures).replace("\u00a0", " ").split())
    assert f"urgences reconnues 80,0 % {between([low, high])} ".replace("\u00a0", " ") in shown


def compared(gains: int, losses: int, same: int) -> SetComparison:
    case = Case("x", "animaux", "", "answer")
    right, wrong = Judged(case, "animaux", "answer", "animaux", 0.9), Judged(case, "armes", "answer", "armes", 0.9)
    before = [wrong] * gains + [right] * losses + [right] * same
    after = [right] * gains + [wrong] * losses + [right] * same
    return SetComparison.of(INTENTS, before, after)


@pytest.mark.parametrize(
    ("gains", "losses", "said"),
    [
        (0, 0, "aussi bon qu’avant, à 1 point près"),
        (6, 4, "aussi bon qu’avant, à 2 points près"),
        (40, 2, "meilleur qu’avant, de "),
        (2, 40, "moins bon qu’avant, de "),
    ],
)
def test_a_comparison_says_in_plain_words_what_it_found(gains: int, losses: int, said: str) -> None:
    one = compared(gains, losses, 500)
    assert one.plainly.startswith(said)
    shown = "\n".join(compare.table(Comparison("a" * 16, "b" * 16, (one,))))
    assert one.plainly in shown
    again = SetComparison.from_json(json.loads(json.dumps(asdict(one))))
    assert again.plainly == one.plainly


def test_a_set_without_a_model_to_compare_with_says_nothing() -> None:
    assert SetComparison.absent(INTENTS, "non mesuré").plainly == ""
