"""Noise told from progress, figures side by side, what stays of a comparison in JSON."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.console import workbench_trainings_words as says
from bot.trainer.comparison import (
    CONFIRMED,
    EMERGENCY,
    FOLDS,
    INTENTS,
    Both,
    Comparison,
    Fold,
    IntentFigures,
    SetComparison,
    compare_folds,
)
from bot.trainer.conduct import STAGES
from bot.trainer.figures import Judged
from bot.trainer.gold import Case
from bot.trainer.progress import expected, progress
from bot.trainer.significance import McNemar, exact, mcnemar, needed


def test_p_is_that_of_a_fair_coin() -> None:
    assert exact(0, 0) == 1
    assert exact(5, 5) == 1
    assert exact(6, 0) == pytest.approx(2 / 64)
    assert exact(12, 4) == pytest.approx(0.0768, abs=1e-4)  # textbook value
    assert exact(5000, 5000) == 1  # no overflow, however many


@given(st.integers(0, 60), st.integers(0, 60))
def test_p_is_symmetric_and_falls_as_the_split_grows(gains: int, losses: int) -> None:
    p = exact(gains, losses)
    assert 0 < p <= 1
    assert p == exact(losses, gains)
    assert math.isclose(p, 1) or exact(max(gains, losses) + 1, min(gains, losses)) < p


@pytest.mark.parametrize(
    ("gains", "losses", "verdict", "said"),
    [
        (0, 0, "same", "rien ne distingue"),
        (3, 1, "noise", "il faut 8\u00a0gains"),
        (1, 3, "noise", "il faut 8\u00a0pertes"),
        (5, 0, "noise", "Avec aucune perte, il faut 6\u00a0gains"),
        (6, 0, "progress", "c’est un progrès"),
        (0, 6, "decline", "c’est un recul"),
    ],
)
def test_noise_is_not_taken_for_progress(gains: int, losses: int, verdict: str, said: str) -> None:
    test = mcnemar([(False, True)] * gains + [(True, False)] * losses + [(True, True)] * 90)
    assert test == McNemar(gains, losses, exact(gains, losses))
    assert test.verdict == verdict
    assert said in says.tells(test)


def test_how_many_gains_it_takes() -> None:
    assert [needed(losses) for losses in (0, 1, 4)] == [6, 8, 13]


DANGER = Case("au secours", "danger_immediat", "", "emergency", 2)
LOOK_ALIKE = Case("mort de rire", "salutation", "", "answer", 3)


def judged(case: Case, route: str, intent: str | None = None) -> Judged:
    """A reading with a certain route."""
    return Judged(case, intent or case.intent, route, intent or case.intent, 0.8)


def test_an_emergency_is_right_when_its_reply_leaves_and_a_look_alike_when_it_does_not() -> None:
    before = [judged(DANGER, "emergency", "violences_conjugales"), judged(LOOK_ALIKE, "answer")]
    after = [judged(DANGER, "handoff"), judged(LOOK_ALIKE, "emergency")]
    found = SetComparison.of(EMERGENCY, before, after)
    assert [row.change for row in found.judgements] == ["loss", "loss"]
    assert [row.text for row in found.lost_emergencies] == ["au secours"]
    assert found.current is not None
    assert found.candidate is not None
    assert (found.current.missed_emergencies, found.candidate.missed_emergencies) == (0, 1)
    other = SetComparison.of(INTENTS, before, after)
    assert [row.change for row in other.judgements] == ["gain", "same"]  # there, the intent counts


def test_a_citizens_words_stay_out() -> None:
    found = SetComparison.of(CONFIRMED, [judged(DANGER, "emergency")], [judged(DANGER, "answer")], [77])
    kept = json.dumps(Comparison("a", "b", (found,)).to_json())
    assert "secours" not in kept
    assert found.judgements[0].event == 77


def test_cross_validation_compares_what_both_know() -> None:
    before = [Fold("a", "armes", "armes", 0.9), Fold("b", "armes", "armes", 0.9), Fold("c", "armes", "animaux", 0.5)]
    after = [Fold("a", "armes", "armes", 0.9), Fold("b", "armes", "animaux", 0.6), Fold("d", "armes", "armes", 0.7)]
    found = compare_folds(before, after)
    assert found.test == McNemar(0, 1, 1.0)
    assert (found.same_right, found.same_wrong) == (1, 0)
    assert [row.text for row in found.losses] == ["b"]
    assert found.candidate is not None
    assert found.candidate.n == 3
    assert found.candidate.shares["route_accuracy"] is None
    assert found.candidate.per_intent["armes"].route_accuracy is None
    alone = compare_folds(None, after)
    assert alone.current is None
    assert "avant que" in alone.missing


def test_it_survives_json() -> None:
    before = [judged(DANGER, "emergency"), judged(LOOK_ALIKE, "answer")]
    sets = (
        SetComparison.of(EMERGENCY, before, [replace(each, route="answer") for each in before]),
        SetComparison.alone(INTENTS, before, "aucun modèle"),
        SetComparison.absent(CONFIRMED, "rien"),
        compare_folds([Fold("a", "armes", "armes", 0.9)], [Fold("a", "armes", "animaux", 0.9)]),
    )
    whole = Comparison("a" * 16, "b" * 16, sets, ("note",), "c" * 16)
    assert Comparison.from_json(json.loads(json.dumps(whole.to_json()))) == whole
    older = {name: value for name, value in whole.to_json().items() if name != "yardstick"}
    assert Comparison.from_json(older).yardstick == ""
    assert whole.set(FOLDS) is sets[3]
    assert Comparison("", "b", ()).set(INTENTS).missing == "non mesuré"


def test_a_drop_needs_messages_on_both_sides() -> None:
    def row(accuracy: float | None, n: int = 10) -> IntentFigures:
        return IntentFigures(n, accuracy, accuracy, accuracy, accuracy)

    assert Both(row(0.9), row(0.8)).drop == pytest.approx(0.1)
    assert Both(row(0.8), row(0.9)).drop == 0
    assert Both(row(0.8), None).drop == 0
    assert Both(row(None, 0), row(0.0)).drop == 0


def test_what_is_left_is_told_from_earlier_runs() -> None:
    wanted = expected([{"learning": 100, "reading": 10}, {"learning": 300}, {"learning": 200}])
    assert wanted["learning"] == 200
    assert wanted["reading"] == 10
    assert wanted["danger"] == STAGES["danger"]
    total = sum(wanted.values())
    start = progress("copying", 0, 0, wanted)
    assert start.seconds == pytest.approx(total, abs=0.1)
    half = progress("learning", 100, 0, wanted)
    later = progress("learning", 199, 0, wanted)
    late = progress("learning", 5000, 0, wanted)
    assert start.share < half.share < later.share <= late.share < 1
    assert start.seconds > half.seconds > later.seconds > 0
    assert progress("candidate", 30, 0.5, wanted).seconds == pytest.approx(
        30 + wanted["current"] + wanted["answers"] + wanted["comparing"], abs=0.1
    )
    assert progress("", 3, 0, wanted).share == 0
