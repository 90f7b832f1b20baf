"""When the 3114 is named though no distress is sure: words of sorrow, and small chances that agree."""

from __future__ import annotations

import pytest

from bot.core.dialogue import Understanding
from bot.policy import distress_line


@pytest.mark.parametrize(
    "text",
    [
        "ma mère pleure tous les jours depuis l'enterrement",
        "mon frère va pas bien du tout",
        "il se fait du mal, je sais plus quoi faire",
        "mon cousin a fait une tentative en mars",
        "j'ai failli en finir l'an dernier",
        "elle a des idées noires",
        "g plu la force de continuer",
        "ma voisine dit qu'elle est un poids pour ses enfants",
    ],
)
def test_words_of_sorrow(text: str) -> None:
    assert distress_line.beside_ordinary(text, {}, 0.0)
    assert not distress_line.speaks_of_sorrow(text + " et puis voilà" * 40), (
        "other people's tears stand in a long story"
    )


@pytest.mark.parametrize(
    "text",
    [
        "comment renouveler ma carte d'identité",
        "j'ai pleuré de rire en lisant votre message",
        "le bébé du dessus pleure la nuit",
        "je vais bien, merci",
        "j'ai failli mourir de honte au guichet",
    ],
)
def test_other_tears(text: str) -> None:
    assert not distress_line.beside_ordinary(text, {}, 0.0)


@pytest.mark.parametrize(
    ("scripts", "none", "engine", "named"),
    [
        (0.7, 0.05, 0.04, True),
        (0.7, 0.05, 0.01, False),
        (0.5, 0.05, 0.04, False),
        (0.7, 0.2, 0.04, False),
        (0.2, 0.5, 0.15, True),
        (0.05, 0.5, 0.15, False),
    ],
)
def test_small_chances_that_agree(scripts: float, none: float, engine: float, named: bool) -> None:
    chances = {"own_distress": scripts / 2, "relative_act": scripts / 2, "none": none}
    assert distress_line.beside_ordinary("bonjour", chances, engine) is named


def test_the_engines_chance_is_that_of_all_that_belongs_to_the_intent() -> None:
    ranking = (("armes", 0.5), ("detresse_suicide", 0.2), ("detresse_suicide_proche", 0.1))
    assert distress_line.engines(Understanding("armes", 0.5, ranking)) == pytest.approx(0.3)
    assert distress_line.engines(Understanding("detresse_suicide", 0.4)) == 0.4
    assert distress_line.engines(Understanding(None, 0.0)) == 0.0
