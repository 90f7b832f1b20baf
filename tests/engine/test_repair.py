"""Slips of the finger, read by the trained engine: without the repair, each of these is another intent or a guess."""

from __future__ import annotations

import pytest

from tests.engine.conftest import EngineProcess


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("contseter une amednde", "contravention"),
        ("mon passeprot est predu", "perte_vol_documents"),
        ("tatouaeg au cuo", "recrutement_aptitude"),
        ("perroqeut trouvvé", "animaux"),
    ],
)
def test_slips_are_put_right(engine: EngineProcess, text: str, intent: str) -> None:
    understanding = engine.turn(text)["understanding"]
    assert understanding["intent"] == intent
    assert understanding["confidence"] >= 0.7
