"""What was spoken of that is not so: a film, a game, an exercise."""

from __future__ import annotations

import pytest

from bot.policy.pretended import LONGEST, pretended


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (["bonjour", "on a un tournage rue Thiers"], True),
        (["notre exercice d'évacuation de mardi"], True),
        (["jecris un polar"], True),
        (["je teste le robot ptdr"], True),
        (["je joue dans un jeu vidéo"], True),
        (["j'ai perdu ma carte"], False),
        # Who is afraid writes these as well.
        (["c'est pas une blague"], False),
        (["j'ai peur ptdr"], False),
        (["il dit que c'est un canular mais il est armé"], False),
        (["il m'a braqué avec une fausse arme"], False),
        (["mon ex s'appelle Roman"], False),
        (["ce n'est pas un tournage"], False),
        (["c'est pas un exercice d'évacuation"], False),
        (["on n'est plus dans un jeu vidéo"], False),
        (["je ne teste pas votre robot"], False),
        ([], False),
        (["un tournage " + "et la suite " * 60], False),
    ],
)
def test_what_is_not_so(said: list[str], expected: bool) -> None:
    assert len("un tournage " + "et la suite " * 60) > LONGEST
    assert pretended(said) is expected
