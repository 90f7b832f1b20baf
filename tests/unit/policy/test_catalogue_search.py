"""Looking into the catalogue: words of a question, its title and its examples; accents, endings, a slip, an unfinished word."""

from __future__ import annotations

import pytest

from bot.policy.catalogue_search import CatalogueSearch
from tests.fakes.catalogue import search

FOUND = search()


def ids(typed: str) -> list[str]:
    return [one.id for one in FOUND.find(typed)]


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("procuration étranger", "procuration/etranger"),
        ("PROCURATION ETRANGER", "procuration/etranger"),
        ("étrangères", "procuration/etranger"),  # another ending
        ("ambas", None),  # of an answer alone
        ("montreal", "procuration/etranger"),  # of an example
        ("intern", "procuration/en_ligne"),  # not finished
        ("procuraton etrangr", "procuration/etranger"),  # slips
        ("délai de l’IGPN", "reclamation_police/igpn_delai"),
        ("« robot »", "salutation/robot"),
        ("xylophone", None),
    ],
)
def test_what_words_find(typed: str, first: str | None) -> None:
    assert next(iter(ids(typed)), None) == first


def test_the_question_itself_comes_before_an_example_and_the_rarer_word_before_the_frequent() -> None:
    assert ids("procuration")[:2] == ["procuration/en_ligne", "procuration/etranger"]
    assert ids("procuration lyon") == ["procuration/etranger"]  # all the words
    assert ids("procuration xylophone") == ["procuration/en_ligne", "procuration/etranger"]  # as many as there are


def test_frequent_words_are_looked_for_only_as_the_beginning_of_others() -> None:
    assert ids("la") == ids("en") == []
    assert ids("par") == ["salutation/robot"]  # « parle »
    assert ids("procuration par") == ids("procuration")


def test_no_word_finds_everything_in_its_order() -> None:
    assert ids("") == ids(" ?! ") == list(FOUND.questions)
    assert CatalogueSearch().find("procuration") == CatalogueSearch().find("") == ()


def test_a_hundred_thousand_characters_are_soon_looked_for() -> None:
    assert FOUND.find("procuration " * 9_000)
