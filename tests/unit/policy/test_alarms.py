"""Where a request goes once its alarm was taken back."""

from __future__ import annotations

import pytest

from bot.policy.alarms import Place, ordinary


@pytest.mark.parametrize(
    ("before", "read", "found"),
    [
        (None, [], Place("request", None)),
        (None, ["danger_immediat", "recrutement_conditions"], Place("request", "recrutement_conditions")),
        (None, ["salutation", "violences_conjugales"], Place("sensitive", "violences_conjugales")),
        (Place("complaint", "reclamation_police"), [], Place("complaint", "reclamation_police")),
        (Place("complaint", "reclamation_police"), ["disparition"], Place("urgent", "disparition")),
        (Place("complaint", "reclamation_police"), ["remerciements"], Place("complaint", "reclamation_police")),
        (Place("emergency", "danger_immediat"), [], Place("request", None)),
    ],
)
def test_the_most_pressing_of_what_is_left(before: Place | None, read: list[str], found: Place) -> None:
    assert ordinary(before, read) == found
    assert ordinary(before, read).priority > 0
