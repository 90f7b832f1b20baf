"""A training from end to end, by the real engine: what it leaves, what it says, how it ends."""

from __future__ import annotations

from tests.trainer.conftest import Trained


def test_a_worse_candidate_is_told_as_worse(trained: Trained) -> None:
    comparison = trained.outcome.comparison
    assert comparison is not None
    emergency = comparison.set("emergency")
    assert emergency.test.losses > emergency.test.gains, emergency.test
    print(trained.outcome.seconds, trained.outcome.memory, [(s.name, s.test, s.missing) for s in comparison.sets])
