"""Noise: the same for the same message, of the kind it says, and readable."""

from __future__ import annotations

import random
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.app import noise
from bot.core.errors import SetupError
from bot.policy.language import is_french

TEXTS = st.text(st.characters(codec="utf-8"), max_size=80)
FRENCH = (
    "Bonjour, est-ce qu'on peut porter plainte en ligne pour un vol de vélo ? J'ai beaucoup de questions.",
    "Mon père a été poignardé en 2009, je n'ai jamais su à qui demander le dossier 🙏",
    "Quelqu'un essaie d'entrer chez moi, il a un couteau, je suis enfermée dans la salle de bain",
)


def distance(one: str, other: str) -> int:
    """Edits between two words: a letter added, left out or changed, or two neighbours swapped."""
    rows = [list(range(len(other) + 1))]
    for i, a in enumerate(one, 1):
        rows.append([i])
        for j, b in enumerate(other, 1):
            best = min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                best = min(best, rows[i - 2][j - 2] + 1)
            rows[i].append(best)
    return rows[-1][-1]


@pytest.mark.parametrize("kind", noise.KINDS)
@given(text=TEXTS)
def test_any_text_gets_the_same_noise_twice(kind: str, text: str) -> None:
    assert noise.apply(kind, text) == noise.apply(kind, text)


@pytest.mark.parametrize("kind", noise.KINDS)
@given(text=TEXTS)
def test_no_text_loses_its_words_its_numbers_or_its_lines(kind: str, text: str) -> None:
    noisy = noise.apply(kind, text)
    assert bool(re.search(r"\w", noisy)) == bool(re.search(r"\w", text))
    assert all(number in noisy for number in re.findall(r"[0-9]+", text))
    assert noisy.count("\n") == unicodedata.normalize("NFC", text).count("\n")


@pytest.mark.parametrize("kind", ["fautes", "sms"])
def test_another_seed_is_another_noise(kind: str) -> None:
    assert noise.apply(kind, FRENCH[0], 1) != noise.apply(kind, FRENCH[0], 2)


def test_no_accent_is_left() -> None:
    assert noise.apply("accents", "Où ça, à l’œil ? Élève naïf, Noël, aiguë : même côté") == (
        "Ou ca, a l’oeil ? Eleve naif, Noel, aigue : meme cote"
    )
    assert noise.apply("accents", "e\u0301te\u0301") == "ete"
    assert noise.apply("accents", "한국 помощь ё 🚨") == "한국 помощь ё 🚨"


def test_capitals() -> None:
    assert noise.apply("majuscules", "j’ai été volé à 8h 😡") == "J’AI ÉTÉ VOLÉ À 8H 😡"


@pytest.mark.parametrize("text", FRENCH)
@pytest.mark.parametrize("seed", range(20))
def test_each_long_word_has_one_slip_and_no_other_word_has(text: str, seed: int) -> None:
    noisy = noise.apply("fautes", text, seed)
    words = re.compile(r"[^\W\d_]+")
    assert words.sub("", noisy) == words.sub("", text)
    for word, slipped in zip(words.findall(text), words.findall(noisy), strict=True):
        assert distance(word, slipped) == (1 if len(word) >= 6 else 0), (word, slipped)
        assert word[0] == slipped[0]


def test_every_kind_of_slip_occurs() -> None:
    slips = {noise.apply("fautes", "maison", seed) for seed in range(300)}
    assert {"masion", "maisn", "maisoon"} <= slips
    keys = {s for s in slips if len(s) == 6 and sorted(s) != sorted("maison")}
    for slipped in keys:
        [(typed, meant)] = [(a, b) for a, b in zip(slipped, "maison", strict=True) if a != b]
        assert typed in noise.NEIGHBOURS[meant]


def test_neighbours_are_those_of_a_french_keyboard() -> None:
    assert set(noise.NEIGHBOURS["a"]) == {"z", "q"}
    assert set(noise.NEIGHBOURS["q"]) == {"a", "z", "s", "w"}
    assert all(key in noise.NEIGHBOURS[other] for key, others in noise.NEIGHBOURS.items() for other in others)


@pytest.mark.parametrize(
    "text", ["voir https://www.service-public.fr/particuliers", "prenom.nom@courriel.fr", "@policenationale"]
)
def test_addresses_are_copied_not_typed(text: str) -> None:
    assert text.split()[-1] in noise.apply("fautes", text)
    assert text.split()[-1] in noise.apply("sms", text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Est-ce que c'est toujours possible pour vous ?", {"esk|eske", "c", "tjrs", "pr", "vs", "?"}),
        ("J’ai beaucoup de problèmes avec quoi", {"g|jé", "bcp", "avc|avk", "koi"}),
        ("qu'il vienne tout de suite dans la rue", {"kil", "tt", "ds", "la", "rue"}),
        ("tu es où et quand aujourd'hui", {"t", "ou", "é", "kan|qd", "ojd|ajd"}),
        ("je n'arrive pas à porter mon nouveau couteau", {"jariv|jarive", "pa", "a", "porté", "nouvo", "couto"}),
        ("s'il vous plaît il n'y a personne", {"svp", "ya"}),
        ("il frappait des pharmaciens quelquefois", {"il", "frapé", "dé", "farmacien|farmaciens"}),
        ("parce que je suis en train de tomber", {"pck|psk", "jsui|chui", "en", "train", "tombé"}),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_phone_spelling(text: str, words: set[str], seed: int) -> None:
    noisy = noise.apply("sms", text, seed)
    assert all(set(word.split("|")) & set(noisy.split()) for word in words), noisy


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("au secours, il me tue", "o secour, il me tue"),
        ("il n'a pas de couteau", "il a pa de couto"),
        ("je ne suis jamais parti", "jsui jms parti|jsui jamé parti|chui jms parti|chui jamé parti"),
        ("je n'ose rien dire", "jose ri1 dir|jose rien dir|jose ri1 dire|jose rien dire"),
        ("ce n'est pas vrai", "c pa vrai"),
        ("il ne sait", "il ne sait|il ne sé"),  # alone, « ne » says no: it stays
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_phone_spelling_leaves_the_sense(text: str, read: str, seed: int) -> None:
    assert noise.apply("sms", text, seed) in read.split("|")


def test_another_language_is_not_spelt_as_french() -> None:
    text = "Please help me, there is a man with a knife in the house"
    assert not is_french(text)
    assert noise.apply("sms", text) == text.lower()


def test_the_kinds_that_an_option_names() -> None:
    assert noise.chosen(None) == ()
    assert noise.chosen("sms") == ("sms",)
    assert noise.chosen("tous") == ("accents", "fautes", "majuscules", "sms")
    with pytest.raises(SetupError, match="bruit inconnu « pluie »"):
        noise.apply("pluie", "x")
    assert noise.without_accents("é", random.Random(0)) == "e"
