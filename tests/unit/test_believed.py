"""The chance of a danger is scaled apart for short and for long messages, and the others fill what is left."""

from __future__ import annotations

import numpy as np
import pytest

from bot.engine.believed import AS_IT_IS, apply, is_short

NAMES = ["animaux", "danger_immediat", "detresse_suicide", "salutation"]
CHANCES = np.array([0.3, 0.3, 0.1, 0.3])
SHORT, LONG = "il est là", "il est là depuis une heure et il tape sur la porte de la cuisine"


def test_each_length_has_its_own_scale() -> None:
    assert (is_short(SHORT), is_short(LONG)) == (True, False)
    scales = np.array([(1.0, -2.0), (1.0, 2.0)])
    few, many = (apply(scales, NAMES, CHANCES, text) for text in (SHORT, LONG))
    assert few[1] + few[2] == pytest.approx(1 / (1 + np.exp(-(np.log(0.4 / 0.6) - 2.0))))
    assert many[1] + many[2] > 0.8 > 0.4 > few[1] + few[2]
    for found in (few, many):
        assert found.sum() == pytest.approx(1.0)
        assert found[1] / found[2] == pytest.approx(3.0)
        assert found[0] == pytest.approx(found[3])


@pytest.mark.parametrize(
    ("names", "chances"),
    [
        (["animaux", "salutation"], [0.5, 0.5]),  # no emergency is known
        (NAMES, [0.0, 1.0, 0.0, 0.0]),  # nothing can be scaled of what is certain
        (NAMES, [0.5, 0.0, 0.0, 0.5]),
    ],
)
def test_what_cannot_be_scaled_stays(names: list[str], chances: list[float]) -> None:
    given = np.array(chances)
    assert apply(np.array([(2.0, 1.0), (2.0, 1.0)]), names, given, SHORT) is given


def test_a_model_without_scales_is_read_as_it_is() -> None:
    assert apply(np.array([AS_IT_IS, AS_IT_IS]), NAMES, CHANCES, LONG) == pytest.approx(CHANCES)
