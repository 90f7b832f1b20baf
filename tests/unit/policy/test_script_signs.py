"""What words say against a script, whatever its learnt chance."""

from __future__ import annotations

import pytest

from bot.policy.script_signs import befalls, borne_out, is_minor, seen_online, suffers


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mon compagnon me frappe devant les petits", True),
        ("j'ai encore des bleus sur les bras", True),
        ("il a juré de me tuer si je pars", True),
        ("elle dit que je sortirai pas vivante d'ici", True),
        ("mon ex a menacé de me tuer", True),
        ("ma femme jure qu'elle va me tuer", True),
        ("j'ai les bras couverts de bleus", True),
        ("il m'a fait des bleus partout", True),
        ("je suis une femme battue", True),
        ("jsuis victime de violences", True),
        ("mon mari est violent avec moi", True),
        ("je ne suis pas victime de violences", False),
        ("je suis violent avec ma femme", False),
        ("j'ai frappé ma femme et je regrette", False),
        # The person swears, or hits.
        ("je jure de me tuer", False),
        ("mon ex est partie et j'ai juré de me tuer", False),
        ("j'ai juré de la tuer", False),
        ("j'ai menacé de tuer ma femme", False),
        ("j'ai juré que demain je serai pas en vie", False),
        ("j'ai fait des bleus à ma femme", False),
        ("j'ai mis un cocard à ma femme", False),
        ("il ne me frappe pas", False),
    ],
)
def test_who_suffers(text: str, says: bool) -> None:
    assert suffers(text) is says


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("un homme m'a entraînée, il m'a emmenée dans sa voiture", True),
        ("on vient de me voler", True),
        ("je me suis fait arracher ma chaîne", True),
        ("ils sont partis avec mon scooter", True),
        ("deux gars me suivent, un type nous suit depuis la gare", True),
        ("on a volé ma voiture", True),
        # Somebody else.
        ("on l'a emmenée de force", False),
        ("un type suit une fille", False),
        ("ils sont partis avec sa voiture", False),
        ("on ne m'a pas frappé", False),
    ],
)
def test_what_befalls_the_person(text: str, says: bool) -> None:
    assert befalls(text) is says


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("il l'annonce sur son compte insta", True),
        ("vu en story", True),
        ("comment faire avec le coach du club", False),
    ],
)
def test_what_stands_on_a_screen(text: str, says: bool) -> None:
    assert seen_online(text) is says


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("jai 15 ans et il me tape", True),
        ("j’ai 9 ans", True),
        ("G 12 piges", True),
        ("j'ai 25 ans", False),
        ("il a 15 ans", False),
        ("j'ai 10 ans de vie commune avec lui", False),
        ("J'ai 15 ans de mariage derrière moi", False),
        ("moi 14 ans de moins que lui", False),
        ("j'ai 12 ans d’écart avec mon mari", False),
    ],
)
def test_who_is_a_minor(text: str, says: bool) -> None:
    assert is_minor(text) is says


def test_a_chance_that_the_words_speak_against_is_worth_little() -> None:
    learnt = {"partner_author": 0.8, "partner_victim": 0.2}
    found = borne_out(learnt, "mon copain me tape")
    assert found["partner_victim"] > 0.7 and sum(found.values()) == pytest.approx(1.0)
    assert borne_out(learnt, "je la tape") == pytest.approx(learnt)
    wants_to_die = {"own_distress": 0.8, "partner_victim": 0.2}
    assert borne_out(wants_to_die, "il me tape, je veux mourir", "distress") == pytest.approx(wants_to_die)
    assert borne_out(wants_to_die, "il me tape, je veux mourir")["own_distress"] < 0.5
    assert borne_out({"seen_online": 0.7, "child": 0.3}, "le coach du club")["child"] > 0.7
    assert borne_out(learnt, "j'ai 14 ans")["partner_victim"] < 0.05
    assert borne_out({"seen_online": 0.7, "child": 0.3}, "vu en story") == pytest.approx(
        {"seen_online": 0.7, "child": 0.3}
    )
    assert borne_out({"witness": 0.6, "own_danger": 0.4}, "on m'a volé mon sac")["own_danger"] > 0.8
    assert borne_out({}, "j'ai 14 ans") == {}
