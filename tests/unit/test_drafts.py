"""Of several hand-offs that one turn asks for, the most pressing stays."""

from __future__ import annotations

from itertools import permutations

from bot.core.dialogue import HandoffRequest
from bot.policy.intents import PRIORITY
from bot.worker.turn import _Draft

VIOLENCE = HandoffRequest("sensitive", PRIORITY["sensitive"], "violences_conjugales", {"ville": "Lyon"})
LIKELY = HandoffRequest("sensitive", PRIORITY["sensitive"], "danger_probable")
MISSING = HandoffRequest("urgent", PRIORITY["urgent"], "disparition")


def kept(*asked: HandoffRequest) -> tuple[str, str | None, dict[str, str]]:
    """(reason, intent, what was told) of the one that stays."""
    draft = _Draft()
    for request in asked:
        draft.hand_off(request, f"of {request.reason}")
    assert draft.handoff is not None
    return draft.handoff.reason, draft.handoff_intent, dict(draft.handoff.slots)


def test_a_likely_danger_stays_before_violence_in_whatever_order() -> None:
    for asked in permutations((VIOLENCE, LIKELY)):
        assert kept(*asked) == ("danger_probable", "of danger_probable", {"ville": "Lyon"})


def test_a_missing_person_stays_before_both() -> None:
    for asked in permutations((VIOLENCE, LIKELY, MISSING)):
        assert kept(*asked) == ("disparition", "of disparition", {"ville": "Lyon"})
