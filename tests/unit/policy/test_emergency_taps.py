"""What a tap under an emergency reply asks for."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Optional

import pytest

from bot.core.dialogue import QuickReply
from bot.policy.emergency import TOO_OLD, Situation, other_words
from bot.policy.emergency_taps import OTHER, SILENCE, offered, script, tap
from bot.policy.scripts import HARMS, SCRIPTS

NOW = datetime(2026, 1, 15, 14, tzinfo=timezone.utc)
BUTTONS = (
    QuickReply("Impossible de parler", SILENCE),
    QuickReply("Aider quelqu’un", OTHER),
    QuickReply("Menu", "/salutation"),
)


@pytest.mark.parametrize(
    ("last", "helps"),
    [
        (None, "witness"),
        ("own_danger", "witness"),
        ("silent", "witness"),
        ("partner_victim", "partner_relative"),
        ("partner_author", "partner_relative"),
        ("partner_minor", "child"),
        ("child", "child"),
        ("own_distress", "relative_act"),
        ("relative_distress", "relative_act"),
    ],
)
def test_whose_words_a_tap_asks_for(last: Optional[str], helps: str) -> None:
    assert script(OTHER, last) == helps
    assert script(SILENCE, last) == "silent"
    assert helps not in HARMS.get(helps, ())


def test_a_tap_is_known_by_its_payload() -> None:
    assert [tap(SILENCE), tap(OTHER), tap("/salutation"), tap(None)] == [SILENCE, OTHER, None, None]


def test_only_other_words_are_offered() -> None:
    assert offered(BUTTONS, "own_danger") == BUTTONS[:2]
    assert offered(BUTTONS, "silent") == BUTTONS[1:2]
    assert offered(BUTTONS, "witness") == offered(BUTTONS, "relative_act") == BUTTONS[:1]


def test_other_words_are_complete_and_open_no_hand_off() -> None:
    situation = Situation(NOW, NOW, last_full_at=NOW - timedelta(minutes=2), last_script="own_danger")
    action = other_words("silent", situation)
    assert action is not None and action.answer is not None
    assert (action.send, action.handoff, action.text_keys) == ("full", False, ("utter_urgence_silence",))
    assert (action.answer.kind, action.answer.script) == ("danger", "silent")
    distress = other_words("silent", Situation(NOW, NOW, last_full_at=NOW, last_script="own_distress"))
    assert distress is not None and distress.text_keys == ("utter_urgence_silence", "utter_nuit_detresse")


@pytest.mark.parametrize(
    "situation",
    [
        Situation(NOW, NOW),
        Situation(NOW, NOW, last_full_at=NOW, last_script="silent"),
        Situation(NOW, NOW, last_full_at=NOW - TOO_OLD, last_script="own_danger"),
        Situation(NOW - TOO_OLD * 2, NOW, last_full_at=NOW, last_script="own_danger"),
        Situation(NOW, NOW, last_full_at=NOW, last_script="own_danger", standby=True),
    ],
)
def test_nothing_more_is_said(situation: Situation) -> None:
    assert other_words("silent", situation) is None


def test_every_script_has_words_for_who_helps() -> None:
    assert {script(OTHER, last) for last in SCRIPTS} == {"witness", "partner_relative", "child", "relative_act"}
