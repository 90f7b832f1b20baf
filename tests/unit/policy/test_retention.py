"""How long each class is kept: pure rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from bot.policy.retention import CONVERSATIONS, DEFAULT, Class, class_of, in_words, told

NOW = datetime(2026, 11, 26, 3, 0, tzinfo=timezone.utc)


def test_what_is_older_than_its_limit_goes() -> None:
    assert DEFAULT.cutoff(Class.EVERYDAY, NOW) == NOW - timedelta(days=180)
    assert replace(DEFAULT, audit=None).cutoff(Class.AUDIT, NOW) is None
    assert DEFAULT.shortest == min(DEFAULT.days(of) or 0 for of in CONVERSATIONS)


@pytest.mark.parametrize(
    ("categories", "danger", "expected"),
    [
        ([], False, Class.EVERYDAY),
        (["request", "thanks"], False, Class.EVERYDAY),
        (["request", "complaint"], False, Class.COMPLAINTS),
        (["witness"], False, Class.SENSITIVE),
        (["emergency"], False, Class.EMERGENCIES),
        ([], True, Class.EMERGENCIES),
        (["sensitive", "complaint"], False, Class.COMPLAINTS),  # kept longer: 730 days against 365
        (["emergency", "complaint"], False, Class.EMERGENCIES),  # equally long: the graver
    ],
)
def test_the_longest_class_counts(categories: list[str], danger: bool, expected: Class) -> None:
    assert class_of(categories, danger, DEFAULT) is expected


@pytest.mark.parametrize(
    ("days", "said"), [(30, "30\u00a0jours"), (365, "1\u00a0an"), (730, "2\u00a0ans"), (400, "400\u00a0jours")]
)
def test_limits_in_words(days: int, said: str) -> None:
    assert in_words(days) == said


def test_a_reply_tells_the_limits_of_this_service() -> None:
    text = told("courantes {courantes}, autres {autres}", replace(DEFAULT, everyday=90, emergencies=1095))
    assert text == "courantes 90\u00a0jours, autres 3\u00a0ans"
