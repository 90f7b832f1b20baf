"""What was told is kept for a day and goes with a hand-off."""

from __future__ import annotations

from typing import Any

import pytest

from bot.policy.told import A_DAY, keep, known, values

NOW = 1_763_000_000.0


def test_fields_are_kept_for_a_day_each() -> None:
    first = {"told": keep(None, "c'était hier place bellecour", NOW)}
    second = {"told": keep(first, "vers 14h, pardon, lundi", NOW + A_DAY)}
    assert values(second["told"]) == {"date": "lundi", "lieu": "place bellecour", "heure": "14h"}
    third = keep(second, "d'accord", NOW + A_DAY + 1)
    assert values(third) == {"date": "lundi", "heure": "14h"}


def test_what_a_hand_off_is_told() -> None:
    slots = {"ville": "Lyon", "document": "permis", "corps": "autre", "question": "age", "age": "32"}
    state = {"at": NOW, "slots": slots, "told": {"date": ["hier", NOW]}}
    assert known(state, NOW + A_DAY) == {"ville": "Lyon", "document": "permis", "age": "32", "date": "hier"}
    assert known(state, NOW + A_DAY + 1) == {"ville": "Lyon"}


@pytest.mark.parametrize(
    "state",
    [
        None,
        "x",
        {},
        {"slots": [], "told": [], "at": NOW},
        {"slots": {"ville": 3}, "told": {"x": ["y", NOW]}, "at": True},
        {"told": {"date": "hier", "lieu": ["rue"], "heure": [3, NOW], "service": ["la bac", "now"]}},
        {"told": {"date": ["hier", None]}, "slots": {"sujet": "age"}, "at": "yesterday"},
    ],
)
def test_other_shapes_are_left_out(state: Any) -> None:
    assert known(state, NOW) == {}
    assert keep(state, "", NOW) == {}


def test_a_long_value_is_cut() -> None:
    assert len(known({"told": {"lieu": ["x" * 10_000, NOW]}}, NOW)["lieu"]) < 300
