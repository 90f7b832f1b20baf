"""The table of intents."""

from __future__ import annotations

import pytest

from bot.policy.intents import INTENTS, PRIORITY, is_danger, policy_of


def test_every_category_has_its_priority() -> None:
    assert {p.category for p in INTENTS.values()} <= PRIORITY.keys()
    assert policy_of("danger_immediat").priority == 0
    assert policy_of("disparition").priority == 1
    assert policy_of("remerciements").priority == 5


@pytest.mark.parametrize(
    ("intent", "route", "category"),
    [
        ("armes_chasse", "answer", "none"),
        ("violences_conjugales_temoin", "handoff", "sensitive"),
        ("danger_immediat_intrusion", "emergency", "emergency"),
        ("inconnu", "answer", "none"),
        (None, "answer", "none"),
    ],
)
def test_added_intents_take_after_their_parent(intent: str | None, route: str, category: str) -> None:
    policy = policy_of(intent)
    assert (policy.route, policy.category) == (route, category)


def test_what_data_added_to_an_emergency_intent_is_one() -> None:
    assert [is_danger(name) for name in ("danger_immediat", "detresse_suicide_proche", "armes", "danger")] == [
        True,
        True,
        False,
        False,
    ]
