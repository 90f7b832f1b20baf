"""Words of the search: what is met by what, what somebody asks for, what is shown of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.policy import search
from bot.policy.search import Part, excerpt, nearness, parse, plain, says, stem, stems, words


@pytest.mark.parametrize(
    "forms",
    [
        "plainte plaintes PLAINTES Plainte",
        "porter porté portée portés portées porte portez portaient portait",
        "voler volé volée volées vole vols vol",
        "frapper frappé frappée frappe frappent frappez",
        "appeler appelle appellent appelé appelées appelez",
        "menacer menace menacent menacée menaces",
        "déposer déposé déposée déposées depose",
        "cheval chevaux",
        "excellent excellente excellents excellentes",
        "arriver arrivent arrivé",
        "national nationale nationaux nationales",
        "agressé agressée agresser agression agressions",
        "policier policiers policière policières",
        "réclamation réclamations reclamation",
        "clé clés cle",
        "œuvre oeuvre œuvres",
        "payer payé paye payée payez",
        "créé créée créées",
        "rue rues",
        "17",
        "e\u0301te\u0301 été",
        "bonjour bonjouuuur BONJOUR",
        "portable porta\u200bble por\u00adtable",
    ],
)
def test_forms_of_a_word_meet(forms: str) -> None:
    assert len({tuple(sorted(stems(form, whole=True))) for form in forms.split()}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("fille", "fils"),
        ("vol", "voleur"),
        ("plainte", "plaine"),
        ("rue", "ruelle"),
        ("police", "politesse"),
        ("1", "17"),
    ],
)
def test_other_words_do_not(one: str, other: str) -> None:
    assert stems(one) != stems(other)


def test_words_are_parted_where_they_end() -> None:
    assert words("L’identité, aujourd’hui : 3ans_après (AB-123-CD) quelqu’un…") == [
        "l", "identite", "aujourdhui", "3", "ans", "apres", "ab", "123", "cd", "quelquun",
    ]  # fmt: skip
    assert words("") == words(" ,;:!?… 👍 ") == []
    assert plain("ŒUVRE") == "oeuvre"


def test_frequent_words_stand_in_names_alone() -> None:
    assert stems("il est dans la rue") == {"rue"}
    assert stems("Le Bris", whole=True) == {"le", "bri"}


@given(st.text(max_size=400))
def test_any_text_is_read(text: str) -> None:
    query = parse(text)
    stems(text)
    says(query, text)
    nearness(query, text)
    shown = "".join(part.text for part in excerpt(query, text))
    assert len(shown) <= search.EXCERPT + 2


@pytest.mark.parametrize(
    "text", ["é" * 100_000, "e\u0301" * 50_000, "a " * 50_000, '"' * 100_000, "-a" * 50_000, "\u0300" * 100_000]
)
def test_length_has_an_end(text: str) -> None:
    assert len(words(text)) <= search.LONGEST_TEXT
    assert all(len(one) <= search.LONGEST_WORD for one in stems(text, whole=True))
    query = parse(text)
    assert len(query.terms) + len(query.without) <= 2 * search.MOST_WORDS
    assert len("".join(part.text for part in excerpt(query, text))) <= search.EXCERPT + 2


# -- what somebody asks for ---------------------------------------------------------------------------------------


def test_all_words_but_the_frequent_ones() -> None:
    query = parse("le vélo de Marseille")
    assert query.terms == ("velo", "marseil")
    assert query.plain == ("velo", "marseille")
    assert query.ignored == ("le", "de")
    assert not query.reads


def test_words_in_a_row() -> None:
    for typed in ('"carte d’identité" vélo', "«\u00a0carte d'identité\u00a0» vélo", "“carte d’identité” vélo"):
        query = parse(typed)
        assert query.phrases == (("cart", "d", "identit"),)
        assert query.terms == ("cart", "identit", "velo")
        assert query.ignored == ()
        assert query.reads
    assert parse('"vélo"').phrases == ()
    assert parse('"carte').terms == ("cart",)
    assert parse('"il y a"').ignored == ("il", "y", "a")
    assert parse('"il y a"').terms == parse('"il y a"').phrases == ()


def test_words_to_leave_out() -> None:
    assert parse("vélo -vols −casque").without == (stem("vol"), stem("casque"))
    assert parse("week-end").terms == (stem("week"), stem("end"))
    assert parse("vélo -porte-clés").without_phrases == ((stem("porte"), stem("cles")),)
    assert parse('vélo -"carte grise"').without_phrases == ((stem("carte"), stem("grise")),)
    assert parse('vélo -"carte grise"').without == ()
    assert parse("vélo -le").without == ()
    assert parse("- vélo").without == ()
    assert parse("vélo -").terms == ("velo",)


def test_a_query_has_an_end() -> None:
    query = parse(" ".join(f"mot{n}" for n in range(60)))
    assert len(query.terms) == search.MOST_WORDS
    assert parse("").terms == ()


# -- whether, and how near ----------------------------------------------------------------------------------------


def test_a_text_says_a_phrase_or_not() -> None:
    query = parse('"carte d’identité"')
    assert says(query, "J’ai perdu mes CARTES D’IDENTITE hier")
    assert not says(query, "la carte et l’identité")
    assert not says(query, "identité d’une carte")
    without = parse('carte -"carte grise"')
    assert says(without, "ma carte bleue est grise")
    assert not says(without, "ma carte grise")


def test_what_is_nearer_comes_first() -> None:
    query = parse("plainte déposée")
    exact = nearness(query, "plainte déposée")
    row = nearness(query, "deux plaintes déposées hier au commissariat central de la ville")
    apart = nearness(
        query, "plaintes de voisins, puis rien, et enfin une autre fut déposée par le gardien de l’immeuble"
    )
    assert exact > row > apart > nearness(query, "") == 0
    assert nearness(parse("-vélo"), "du vent") == 0


# -- what is shown ------------------------------------------------------------------------------------------------


def test_what_was_found_is_marked() -> None:
    shown = excerpt(parse("plainte velo"), "Mes plaintes :\n\nle VÉLO volé")
    assert shown == (
        Part("Mes "), Part("plaintes", True), Part(" : le "), Part("VÉLO", True), Part(" volé"),
    )  # fmt: skip
    assert excerpt(parse("rien"), "tout autre chose") == (Part("tout autre chose"),)
    assert excerpt(parse("a"), "") == ()


def test_frequent_words_are_marked_within_their_phrase_alone() -> None:
    shown = excerpt(parse('"carte d’identité"'), "d’accord, ma carte d’identité")
    assert [part.text for part in shown if part.hit] == ["carte", "d", "identité"]
    assert shown[0].text == "d’accord, ma "


def test_a_long_text_is_shown_around_what_was_found() -> None:
    shown = excerpt(parse("vélo"), "début " * 200 + "mon vélo rouge " + "fin " * 200)
    text = "".join(part.text for part in shown)
    assert text.startswith("…début")
    assert text.endswith("fin…")
    assert Part("vélo", True) in shown
    assert len(text) <= search.EXCERPT + 2
    one = excerpt(parse("vélo"), "x" * 500 + " vélo " + "y" * 500)
    assert Part("vélo", True) in one
    assert excerpt(parse("rien"), "mot " * 200)[0].text.endswith("mot…")
    assert len("".join(part.text for part in excerpt(parse("rien"), "z" * 1000))) == search.EXCERPT + 1
    many = excerpt(parse("vélo"), "vélo " * 300)
    assert sum(part.hit for part in many) < 60
