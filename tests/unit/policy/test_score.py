"""The linear score as it is read and applied."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.policy.score import LinearScore, features, pair_feature, windows, word_features

BUCKETS = 4096


def mapping(**more: Any) -> dict[str, Any]:
    """Weights that know « couteau » as danger and « mourir » as distress."""
    danger = {str(bucket): 40.0 for word in ("couteau", "mourir") for bucket in word_features(word, BUCKETS, 1)}
    distress = {str(bucket): 40.0 for bucket in word_features("mourir", BUCKETS, 1)}
    return {
        "version": 1, "buckets": BUCKETS, "longest": 4, "threshold": 0.5, "bias": -4.0, "weights": danger,
        "distress_bias": -4.0, "distress_weights": distress, **more,
    }  # fmt: skip


SCORE = LinearScore.from_mapping(mapping())


def test_danger_and_distress() -> None:
    knife, death, hello = (
        SCORE.assess(text) for text in ("il tient un grand couteau", "je veux vraiment mourir", "bonjour à vous tous")
    )
    assert knife.danger > 0.9
    assert knife.distress < 0.5
    assert death.danger > 0.9
    assert death.distress > 0.5
    assert hello.danger < 0.5
    assert SCORE.alarms("voici un grand COUTEAU !")
    assert not SCORE.alarms("bonjour")


@pytest.mark.parametrize("text", [" … 😀 ", "un couteau", "il a un couteau", "mourir"])
def test_too_few_words_tell_nothing(text: str) -> None:
    assert SCORE.probability(text) == 0.0


def test_a_long_story_cannot_dilute_a_danger() -> None:
    story = "Je vous raconte ma journée au bureau avec mes collègues et mon chien. " * 60
    assert SCORE.probability(story) < 0.5
    assert SCORE.probability(story + "Il a un couteau. " + story) > 0.8
    assert SCORE.probability(story.replace(".", "") + "il a un couteau " + story.replace(".", "")) > 0.8


def test_the_score_is_what_training_computes() -> None:
    text = "il a un grand couteau"
    (window,) = windows(text)
    weights = {int(bucket): weight for bucket, weight in mapping()["weights"].items()}
    expected = -4.0 + sum(weights.get(bucket, 0.0) * value for bucket, value in features(window, BUCKETS, 4).items())
    assert SCORE.margin(window) == pytest.approx(expected)


def test_pairs_count_in_order() -> None:
    pair = {str(pair_feature("pas", "mourir", BUCKETS)): -90.0}
    score = LinearScore.from_mapping(mapping(weights={**mapping()["weights"], **pair}))
    assert score.margin(("pas", "mourir")) < score.margin(("mourir", "pas"))


@pytest.mark.parametrize(
    "more",
    [
        {"version": 2},
        {"threshold": 0},
        {"threshold": 1},
        {"buckets": 0},
        {"longest": 1},
        {"weights": None},
        {"bias": None},
    ],
)
def test_a_wrong_file_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="score d’urgence"):
        LinearScore.from_mapping(mapping(**more))


def test_a_missing_key_is_refused() -> None:
    with pytest.raises(ValueError, match="illisible"):
        LinearScore.from_mapping({"version": 1})


@given(st.text(st.characters(), max_size=500))
@settings(max_examples=200, deadline=None)
def test_any_text_has_a_probability_and_every_word_a_window(text: str) -> None:
    assert 0.0 <= SCORE.probability(text) <= 1.0
    from bot.policy.normalise import normalise

    assert set(normalise(text).split()) == {word for window in windows(text) for word in window}


@pytest.mark.parametrize("unit", ["a", "a. ", "couteau ", "é", "ab cd ef. "])
def test_a_hundred_thousand_characters(unit: str) -> None:
    before = time.perf_counter()
    SCORE.probability((unit * 100_000)[:100_000])
    assert time.perf_counter() - before < 10
