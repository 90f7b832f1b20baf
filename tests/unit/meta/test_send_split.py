"""Splitting keeps every character and every limit."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.messages import Platform
from bot.meta.limits import text_limit, text_size
from bot.meta.split import graphemes, split, truncate

FIREFIGHTER = "\U0001f469\U0001f3fd\u200d\U0001f692"
_ALPHABET = st.one_of(
    st.sampled_from(
        [" ", "\n", ". ", "\n\n", "é", "e\u0301", FIREFIGHTER, "🇫🇷", "❤️", "1️⃣", "\u00a0!", "https://a.fr/b?c=d ", "abc"]
    ),
    st.characters(exclude_categories=("Cs", "Cc")),
)
_TEXT = st.lists(_ALPHABET, max_size=60).flatmap(lambda ws: st.integers(1, 120).map(lambda n: "".join(ws) * n))
BOTH = pytest.mark.parametrize("platform", list(Platform))


@BOTH
@settings(max_examples=150, deadline=None)
@given(text=_TEXT)
def test_nothing_lost_and_every_part_fits(platform: Platform, text: str) -> None:
    parts = split(text, platform)
    assert all(0 < text_size(part, platform) <= text_limit(platform) for part in parts)
    at = 0
    for part in parts:  # between two parts there is only white space
        gap, at = text.index(part, at), at
        assert text[at:gap].strip(" \t\r\n") == ""
        at = gap + len(part)
    assert text[at:].strip(" \t\r\n") == ""


@BOTH
@settings(max_examples=100, deadline=None)
@given(text=_TEXT)
def test_no_character_is_broken(platform: Platform, text: str) -> None:
    whole = {"".join(g) for g in graphemes(text.strip(" \t\r\n"))}
    if any(text_size(g, platform) > text_limit(platform) for g in whole):
        return  # such a pile of marks cannot stay whole
    assert all(g in whole for part in split(text, platform) for g in graphemes(part))


@BOTH
@pytest.mark.parametrize("piece", ["  . https://a.fr/b?c=d \n\n🏻", "abc  \u0301", "abc\n \u0301", "\n\u0301", " \t🏻"])
def test_a_mark_after_white_space_is_not_broken(platform: Platform, piece: str) -> None:
    text = piece * 900
    whole = set(graphemes(text.strip(" \t\r\n")))
    assert all(g in whole for part in split(text, platform) for g in graphemes(part))


def test_short_text_is_one_part() -> None:
    assert split("  Bonjour !\n", Platform.MESSENGER) == ["Bonjour !"]
    assert split(" \n ", Platform.MESSENGER) == []
    assert split("", Platform.INSTAGRAM) == []


def test_limits_at_the_edge() -> None:
    assert len(split("a" * 1999, Platform.MESSENGER)) == 1
    assert [len(p) for p in split("a" * 2000, Platform.MESSENGER)] == [1999, 1]
    assert len(split("é" * 500, Platform.INSTAGRAM)) == 1
    assert [len(p) for p in split("é" * 501, Platform.INSTAGRAM)] == [500, 1]


def test_prefers_paragraph_then_sentence_then_space() -> None:
    assert split("a" * 700 + "\n\n" + "b. " * 200, Platform.INSTAGRAM)[0] == "a" * 700
    first, second = split("Un mot. " * 100 + "Deux mots! " * 60, Platform.INSTAGRAM)
    assert first.endswith((".", "!"))
    assert second.endswith("mots!")
    assert split("mot " * 400, Platform.INSTAGRAM)[0].endswith("mot")


def test_no_break_space_is_not_a_cut() -> None:
    assert split("a" * 998 + "\u00a0!", Platform.MESSENGER) == ["a" * 998 + "\u00a0!"]
    first, second = split("x " * 498 + "oui\u202f!", Platform.INSTAGRAM)
    assert second == "oui\u202f!"
    assert first.endswith("x")


def test_a_link_is_not_cut() -> None:
    link = "https://www.masecurite.interieur.gouv.fr/fr/demarches-en-ligne"
    parts = split("é" * 480 + link, Platform.INSTAGRAM)
    assert parts == ["é" * 480, link]
    assert link in split("mot " * 245 + link, Platform.INSTAGRAM)[1]
    assert len(split("https://a.fr/" + "x" * 1500, Platform.INSTAGRAM)) == 2  # longer than any message: no other way


def test_long_text_is_quick() -> None:
    assert len(split(FIREFIGHTER * 20_000, Platform.INSTAGRAM)) > 100
    assert len("".join(split("a" * 100_000, Platform.MESSENGER))) == 100_000


def test_truncate_keeps_characters_whole() -> None:
    assert truncate("Déposer plainte", 20) == "Déposer plainte"
    assert truncate("a" * 30, 20) == "a" * 20
    assert truncate("a" * 19 + FIREFIGHTER, 20) == "a" * 19
