"""Which readings are worth a look, why, and which first."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.dialogue import Understanding
from bot.policy.doubt import WEIGHTS, reasons, weight


def _read(intent: str, chance: float, *second: Any, **more: Any) -> Understanding:
    ranking = ((intent, chance), (second[0], second[1])) if second else ((intent, chance),)
    return Understanding(intent, chance, ranking, **more)


SURE = _read("procuration", 0.97, "salutation", 0.01)


@pytest.mark.parametrize(
    ("understanding", "route", "clarified", "words", "found"),
    [
        (SURE, "answer", False, 8, ()),
        (_read("procuration", 0.59, "salutation", 0.1), "answer", False, 8, ("low",)),
        (_read("procuration", 0.45, "salutation", 0.35), "answer", False, 8, ("low", "close")),
        (_read("procuration", 0.97), "clarify", True, 1, ("clarified",)),
        (_read("hors_perimetre", 0.9, "armes", 0.02), "answer", False, 8, ("outside",)),
        # A grave subject: sure, it is dealt with; unsure, or second, somebody looks.
        (_read("violences_conjugales", 0.95, "salutation", 0.01), "handoff", False, 8, ()),
        (_read("violences_conjugales", 0.7, "salutation", 0.1), "handoff", False, 8, ("sensitive",)),
        (_read("reclamation_police", 0.8, "disparition", 0.15), "handoff", False, 8, ("sensitive",)),
        # Near the alarm, on either side of it.
        (_read("armes", 0.9, "salutation", 0.01, danger=0.06), "answer", False, 8, ("danger",)),
        (_read("danger_immediat", 0.97, "armes", 0.01, danger=0.97), "emergency", False, 8, ()),
        (_read("armes", 0.9, "salutation", 0.01, danger=0.02), "emergency", False, 8, ("danger",)),
        # Words that nobody wrote before: several, and a good part of the message.
        (_read("armes", 0.9, "salutation", 0.01, unknown=2), "answer", False, 5, ("unusual",)),
        (_read("armes", 0.9, "salutation", 0.01, unknown=2), "answer", False, 9, ()),
        (_read("armes", 0.9, "salutation", 0.01, unknown=1), "answer", False, 2, ()),
        # Another language has its own way; a danger in it has not.
        (_read("armes", 0.3, "salutation", 0.25, french=False), "answer", False, 8, ()),
        (_read("armes", 0.3, "salutation", 0.25, french=False, danger=0.2), "answer", False, 8, ("danger",)),
        (Understanding(None, 0.0), None, False, 3, ("low",)),
    ],
)
def test_reasons(
    understanding: Understanding, route: str | None, clarified: bool, words: int, found: tuple[str, ...]
) -> None:
    assert reasons(understanding, route, clarified, words) == found


def test_what_may_cost_a_life_weighs_more_than_all_that_is_merely_unsure() -> None:
    merely = [
        reason for reason in WEIGHTS if reason not in ("danger", "false_alarm", "sensitive", "corrected", "answered")
    ]
    assert weight(["danger"]) > weight(merely)
    assert weight(["sensitive"]) > weight(["clarified", "low", "close"])
    assert weight([]) == 0
    assert weight(["of another release"]) == 0
