"""« mes données », from the words to the reply: project files, settings, the decision."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot.app import policy
from bot.app.route import decision
from bot.core.dialogue import Reply, Turn, Understanding
from bot.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DAY = datetime(2026, 1, 15, 11, tzinfo=ZoneInfo("Europe/Paris"))


def told(words: str) -> str:
    turn = Turn(Understanding("hors_perimetre", 0.4), (Reply("Du moteur."),), None, True)
    (reply,) = decision(policy.build(Settings(), files=ROOT), words, turn, DAY).replies
    return reply.text


def test_who_asks_is_told_with_the_limits_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTON_RETENTION_EVERYDAY", "91")
    said = told("c koi vous faites de mes données ?").replace("\u00a0", " ")
    for words in ("la police nationale", "Pourquoi :", "91 jours", "2 ans", "Vos droits :", "www.cnil.fr"):
        assert words in said
    assert len(said.encode()) <= 1000
    assert "Du moteur." in told("je cherche un emploi")


def test_an_emergency_goes_before_it() -> None:
    said = told("au secours il me tue avec un couteau, supprimez mes messages")
    assert "Vos droits" not in said and "17" in said
