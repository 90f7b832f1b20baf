"""A few words after a story of danger: what says that it goes on, and what does not."""

from __future__ import annotations

import pytest

from bot.policy.follow_up import Story, goes_on


@pytest.mark.parametrize(
    "text",
    [
        "il est revenu",
        "sa recomence",
        "il é devan la porte",
        "IL A UN COUTEAU",
        "mon ex me suit encore",
        "j'entends ses pas",
        "vite",
        "jai trop peur",
        "il m'a retrouvée",
        "il est revenu aidez moi merci",
        "merci de venir vite, il est revenu",
        "merci, il est devant la porte",
        "merci, ça recommence",
        "je suis pas rassurée, il est revenu",
        "il est revenu, vous venez quand ?",
        "ça recommence, vous pouvez venir ?",
        "il est là aidez-moi ?",
        "il monte",
        "il essaye d'entrer",
        "il a cassé la porte",
        "il n'arrête pas",
        "ça s'arrête pas",
        "il est toujours pas parti",
        "il est rentré du travail et recommence",
        "il est revenu pour s'excuser et il me frappe",
    ],
)
def test_violence_that_goes_on(text: str) -> None:
    assert goes_on(text, "violence")
    assert not goes_on(text, None), "without a story it is nothing by itself"
    assert not goes_on(text, "online")


@pytest.mark.parametrize(
    "text",
    [
        "il n'est pas revenu",
        "c'est réglé, il est revenu s'excuser",
        "il est revenu de vacances",
        "il a 34 ans",
        "à Lyon",
        "il est revenu ?",
        "s'il revient vous venez ?",
        "quand il revient vous pouvez venir ?",
        "il est rentré du travail",
        "il recommence pour s'excuser",
        "il ne monte pas",
        "merci beaucoup",
        "merci, il est revenu",
        "Merci beaucoup, mon mari est rentré",
        "il est revenu, je suis soulagée",
        "il est revenu " * 40,
    ],
)
def test_what_is_no_danger_after_violence(text: str) -> None:
    assert not goes_on(text, "violence")


@pytest.mark.parametrize(
    ("text", "story", "expected"),
    [
        ("toujours rien", "missing", True),
        ("son tel est eteint", "missing", True),
        ("merci, il est toujours pas rentré", "missing", True),
        ("elle est toujours pas rentrée", "missing", True),
        ("on a retrouvé son vélo", "missing", True),
        ("il est rentré", "missing", False),
        ("on a retrouvé son vélo", "violence", False),
    ],
)
def test_somebody_who_is_still_missing(text: str, story: Story, expected: bool) -> None:
    assert goes_on(text, story) is expected
