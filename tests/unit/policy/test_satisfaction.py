"""Who is asked whether they were well informed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from bot.policy.intents import PRIORITY
from bot.policy.satisfaction import ANSWERS, FIT, FIT_REASONS, Closing, answer, asks
from bot.store.desk.work import CLOSE_REASONS

NOW = datetime(2026, 1, 15, 11, 0, tzinfo=timezone.utc)
FINE = Closing("request", "repondu", replied=True, standby=False, asked_at=None, emergency_at=None)


def test_whoever_was_answered_is_asked() -> None:
    assert asks(FINE, NOW)
    long_ago = NOW - timedelta(days=7)
    assert asks(replace(FINE, asked_at=long_ago, emergency_at=long_ago), NOW)


@pytest.mark.parametrize("category", sorted(PRIORITY))
def test_only_those_who_came_with_a_question(category: str) -> None:
    assert asks(replace(FINE, category=category), NOW) == (category in ("request", "complaint"))


@pytest.mark.parametrize(
    "change",
    [
        {"reason": "doublon"},
        {"reason": "sans_suite"},
        {"reason": None},
        {"replied": False},
        {"standby": True},
        {"asked_at": NOW - timedelta(days=6)},
        {"emergency_at": NOW - timedelta(days=6)},
    ],
)
def test_nobody_else(change: dict[str, Any]) -> None:
    assert not asks(replace(FINE, **change), NOW)


def test_reasons_and_categories_exist() -> None:
    assert set(PRIORITY) > FIT
    assert set(CLOSE_REASONS) > FIT_REASONS


def test_a_tap_is_known_by_its_payload_alone() -> None:
    assert [answer(payload) for payload in ANSWERS] == ["up", "down"]
    assert answer(None) is answer("") is answer("👍 Oui") is answer("/parler_humain") is None
