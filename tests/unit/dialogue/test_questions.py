"""A message that gives what was asked is told from one that interrupts, and from the end of an offer."""

from __future__ import annotations

from typing import Any

import pytest

from bot.dialogue.questions import OPEN, answers, asked


def state(asked: str | None) -> dict[str, Any]:
    return {"v": 1, "question": {"slot": asked, "at": 1.0} if asked else None}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (state("commissariat_contact_horaires"), state(None), True),
        (state("recrutement_conditions"), state("age"), True),  # the next question
        (state("age"), state("age"), False),  # an interruption: it is still open
        (state(None), state("age"), False),
        (None, state(None), False),
        (state("offre_agent"), state(None), False),
        (state("animaux|armes"), state(None), False),
        ({"question": "?"}, state(None), False),
        (state("age"), {}, True),
    ],
)
def test_a_question_is_answered(before: dict[str, Any] | None, after: dict[str, Any], told: bool) -> None:
    assert answers(before, after, 2.0) is told


def test_a_question_is_closed_after_a_day() -> None:
    assert asked(state("age"), 1.0 + OPEN) == "age"
    assert asked(state("age"), 2.0 + OPEN) == ""
    assert not answers(state("age"), state(None), 2.0 + OPEN)
    assert asked({"question": {"slot": "age"}}, 1.0) == ""
