"""Variables of canned replies, and the search among them."""

from __future__ import annotations

import pytest

from bot.policy.canned import filled, first_name, folded, rank, unknown


def test_variables_are_filled_whatever_their_accents() -> None:
    text, missing = filled("Bonjour {{prénom}} {{ PRENOM }}, {{service}}.", {"prénom": "Zoé", "service": " "})
    assert text == "Bonjour Zoé Zoé, {{service}}."
    assert missing == ["{{service}}"]


def test_what_a_value_holds_is_not_filled_again() -> None:
    assert filled("{{lieu}}", {"lieu": "{{agent}}", "agent": "x"}) == ("{{agent}}", [])


def test_unknown_variables_are_named() -> None:
    assert unknown("{{nom}} {{bureau}} {{}} { {x} }") == ["{{bureau}}", "{{}}"]
    assert filled("{{bureau}}", {}) == ("{{bureau}}", ["{{bureau}}"])


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("Nadia Belkacem", "Nadia"),
        ("Jean-Luc", "Jean-Luc"),
        ("nadia_75", ""),
        ("🌸 Rose", ""),
        ("", ""),
        (None, ""),
        ("O’Neil B.", "O’Neil"),
    ],
)
def test_first_names(name: str | None, called: str) -> None:
    assert first_name(name) == called


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("igpn", 0),
        ("ig", 1),
        ("", 1),
        ("reclamation", 2),
        ("IGPN réclam", 2),
        ("desoles", 3),
        ("igpn désolés", 3),
        ("amende", None),
    ],
)
def test_the_search(query: str, found: int | None) -> None:
    assert rank(query, "igpn", "Réclamation", "Nous sommes désolés.") == found


def test_folding() -> None:
    assert folded(" Sœur ÉTÉ ") == "soeur ete"
