"""What was spoken of that is not so: a film, an exercise, a joke."""

from __future__ import annotations

import pytest

from bot.policy.pretended import LONGEST, pretended


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (["bonjour", "on a un tournage rue Thiers"], True),
        (["notre exercice d'évacuation de mardi"], True),
        (["jecris un polar"], True),
        (["jtest le robot ptdr"], True),
        (["j'ai perdu ma carte"], False),
        ([], False),
        (["un tournage " + "et la suite " * 60], False),
    ],
)
def test_what_is_not_so(said: list[str], expected: bool) -> None:
    assert len("un tournage " + "et la suite " * 60) > LONGEST
    assert pretended(said) is expected
