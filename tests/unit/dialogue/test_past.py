"""What the dialogue's state tells about the last turns."""

from __future__ import annotations

from typing import Any

import pytest

from bot.dialogue.past import WITHIN, is_recent, topics

NOW = 1_800_000_000.0
EVENTS = [["u", "procuration", []], ["a", "action_repondre", False], ["s", "ville", "Lyon"], ["u", "armes", ["ville"]]]


def test_the_newest_subject_comes_first() -> None:
    assert topics({"at": NOW, "events": EVENTS}, NOW + WITHIN) == ("armes", "procuration")


@pytest.mark.parametrize(
    "state",
    [
        None,
        {},
        {"at": NOW - WITHIN - 1, "events": EVENTS},
        {"at": True, "events": EVENTS},
        {"at": NOW, "events": "u"},
        {"at": NOW, "events": [["u"], ["u", 3], "u", []]},
    ],
)
def test_what_is_old_or_of_another_shape_tells_nothing(state: Any) -> None:
    assert topics(state, NOW) == ()


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"at": NOW - 1800}, True),
        ({"at": NOW - 1801}, False),
        ({"at": NOW + 5}, True),  # two clocks are never quite the same
        ({"at": NOW + 6}, False),  # a wrong clock calms nobody for ever
        ({"at": True}, False),
        ({}, False),
        (None, False),
    ],
)
def test_only_what_was_just_said_is_recent(state: Any, expected: bool) -> None:
    assert is_recent(state, NOW) is expected
