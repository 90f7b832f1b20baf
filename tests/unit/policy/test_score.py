"""The linear score as it is read and applied."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.policy.score import LinearScore, features, message_features, pack, runs, tells, windows, word_features

BUCKETS = 4096
UNIT = 0.01


def line(weights: dict[int, float]) -> dict[str, Any]:
    """A linear model of bias -4, as training exports it."""
    return {
        "bias": -4.0,
        "unit": UNIT,
        "weights": pack([round(weights.get(bucket, 0.0) / UNIT) for bucket in range(BUCKETS)]),
    }


def known(*words: str) -> dict[int, float]:
    return {bucket: 20.0 for word in words for bucket in word_features(word, BUCKETS, 1)}


def mapping(**more: Any) -> dict[str, Any]:
    """Weights that know « couteau » as danger and « mourir » as distress."""
    return {
        "version": 3, "buckets": BUCKETS, "longest": 4, "threshold": 0.5, "confirm": 0.4, "confirm_short": 0.1,
        "distress_from": 0.5, "danger": line(known("couteau", "mourir")), "distress": line(known("mourir")), **more,
    }  # fmt: skip


SCORE = LinearScore.from_mapping(mapping())
LONG = "le voisin du dessus rentre chaque soir à la même heure et il tient un grand couteau"


def assess(text: str) -> tuple[float, float]:
    found = SCORE.assess(text)
    assert found is not None
    return found.danger, found.distress


def test_short_messages_have_a_scale_of_their_own() -> None:
    wary = LinearScore.from_mapping(mapping(short=[[0.5, -2.0], [1.0, -9.0]]))
    few, before = wary.assess("je veux vraiment mourir"), SCORE.assess("je veux vraiment mourir")
    assert few is not None
    assert before is not None
    assert few.danger < before.danger
    assert few.distress < before.distress
    assert wary.assess(LONG) == SCORE.assess(LONG)


def test_danger_and_distress() -> None:
    knife, death, hello = map(assess, ("il tient un grand couteau", "je veux vraiment mourir", "bonjour à vous tous"))
    assert knife[0] > 0.9
    assert knife[1] < 0.5
    assert death[0] > 0.9
    assert death[1] > 0.5
    assert hello == (pytest.approx(0.018, abs=0.01), 0.0)
    assert SCORE.alarms("voici un grand COUTEAU !")
    assert not SCORE.alarms("bonjour à vous tous")
    assert not SCORE.alarms("bonjour")


@pytest.mark.parametrize("text", [" … 😀 ", "un couteau", "il a un couteau", "mourir"])
def test_too_few_words_tell_nothing(text: str) -> None:
    assert SCORE.assess(text) is None
    assert not any(map(tells, windows(text)))


def test_what_the_lexicon_met_weighs_in() -> None:
    weights = message_features("", ["intrusion"], BUCKETS)
    score = LinearScore.from_mapping(mapping(danger=line(dict.fromkeys(weights, 8.0))))
    without, met, other = (score.assess("bonjour à vous tous", cues) for cues in ((), ["intrusion"], ["incendie"]))
    assert without is not None
    assert met is not None
    assert other is not None
    assert without.danger < other.danger < met.danger
    assert met.danger == pytest.approx(0.98, abs=0.01)


def test_marks_weigh_in() -> None:
    plain, cry, question = (message_features(text, (), BUCKETS) for text in ("a", "a !", "a ? b"))
    assert (len(plain), len(cry), len(question)) == (0, 1, 1)
    assert len(message_features("a ? ", (), BUCKETS)) == 2


def test_a_short_message_needs_less_to_confirm() -> None:
    short = SCORE.assess("voici quelques mots de trop")
    long = SCORE.assess("voici quelques mots de trop et encore beaucoup d'autres mots qui suivent")
    assert short is not None
    assert long is not None
    assert (short.short, long.short) == (True, False)
    assert not SCORE.confirms(short)
    assert SCORE.confirms(replace(short, danger=0.1))
    assert not SCORE.confirms(replace(long, danger=0.39))
    assert SCORE.confirms(replace(long, danger=0.4))
    assert not SCORE.is_distress(replace(short, distress=0.49))
    assert SCORE.is_distress(replace(short, distress=0.5))


def test_a_long_story_cannot_dilute_a_danger() -> None:
    story = "Je vous raconte ma journée au bureau avec mes collègues et mon chien. " * 60
    assert assess(story)[0] < 0.5
    assert assess(story + "Il tient un grand couteau. " + story)[0] > 0.8
    assert assess(story.replace(".", "") + "il tient un grand couteau " + story.replace(".", ""))[0] > 0.8


def test_the_score_is_what_training_computes() -> None:
    text = "il a un grand couteau"
    (window,) = windows(text)
    weights = known("couteau", "mourir")
    expected = -4.0 + sum(weights.get(bucket, 0.0) * value for bucket, value in features(window, BUCKETS, 4).items())
    assert SCORE.margin(window) == pytest.approx(expected)


def test_runs_count_in_order_and_as_they_sound() -> None:
    assert runs(("pas", "mourir")) != runs(("mourir", "pas"))
    assert runs(("il", "frape")) == runs(("il", "fraper"))
    assert len(runs(("a", "b", "a", "b", "a", "b"))) == 4 + 4 + 4


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"version": 1}, "version 1"),
        ({"threshold": 0}, "hors bornes"),
        ({"threshold": 1}, "hors bornes"),
        ({"confirm": 2}, "hors bornes"),
        ({"buckets": 0}, "hors bornes"),
        ({"buckets": 1 << 30}, "hors bornes"),
        ({"longest": 1}, "hors bornes"),
        ({"buckets": 2048}, "nombre de poids"),
        ({"danger": None}, "illisible"),
        ({"danger": {**line({}), "weights": "é"}}, "illisible"),
        ({"danger": {**line({}), "weights": "abcd"}}, "illisible"),
        ({"distress": {"bias": 0}}, "illisible"),
    ],
)
def test_a_wrong_file_is_refused(more: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        LinearScore.from_mapping(mapping(**more))


def test_a_missing_key_is_refused() -> None:
    with pytest.raises(ValueError, match="illisible"):
        LinearScore.from_mapping({"version": 3})


@given(st.text(st.characters(), max_size=500))
@settings(max_examples=200, deadline=None)
def test_any_text_has_a_probability_and_every_word_a_window(text: str) -> None:
    found = SCORE.assess(text)
    assert found is None or 0.0 <= found.danger <= 1.0
    from bot.policy.normalise import normalise

    assert set(normalise(text).split()) == {word for window in windows(text) for word in window}


@pytest.mark.parametrize("unit", ["a", "a. ", "couteau ", "é", "ab cd ef. "])
def test_a_hundred_thousand_characters(unit: str) -> None:
    before = time.process_time()
    SCORE.assess((unit * 100_000)[:100_000])
    assert time.process_time() - before < 10
