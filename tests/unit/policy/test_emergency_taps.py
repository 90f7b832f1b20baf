"""What a tap under an emergency reply asks for."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Optional

import pytest

from bot.core.dialogue import QuickReply
from bot.policy.emergency import TOO_OLD, EmergencyAction, Situation, other_words
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
        ("any_partner", "partner_relative"),
        ("any_sexual", "witness"),
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
    ("situation", "late"),
    [
        (Situation(NOW, NOW), False),
        (Situation(NOW, NOW, last_full_at=NOW, last_script="silent"), False),  # tapped twice
        (Situation(NOW, NOW, last_full_at=NOW - TOO_OLD, last_script="own_danger"), False),
        (Situation(NOW, NOW, last_full_at=NOW, last_script="own_danger"), True),
    ],
)
def test_who_taps_where_no_other_words_are_due_reads_the_short_line(situation: Situation, late: bool) -> None:
    action = other_words("silent", situation, late)
    assert action is not None
    assert (action.send, action.handoff, action.text_keys) == ("short", False, ("utter_urgence_rappel",))
    again = other_words("silent", replace(situation, last_short_at=NOW), late)
    assert again is not None and (again.send, again.handoff) == ("none", False), "no oftener than elsewhere"


@pytest.mark.parametrize("late", [False, True])
def test_a_tap_in_a_thread_that_another_app_owns_says_nothing_and_goes_to_a_human(late: bool) -> None:
    situation = Situation(NOW, NOW, last_full_at=NOW, last_script="own_danger", standby=True)
    assert other_words("silent", situation, late) == EmergencyAction("none", handoff=True)


def test_the_short_line_of_a_distress_names_the_3114() -> None:
    action = other_words("relative_act", Situation(NOW, NOW, last_full_at=NOW, last_script="relative_act"))
    assert action is not None and action.text_keys == ("utter_urgence_rappel", "utter_nuit_detresse")


def test_a_tap_of_yesterday_may_not_be_answered() -> None:
    assert other_words("silent", Situation(NOW - TOO_OLD * 2, NOW, last_full_at=NOW, last_script="own_danger")) is None


def test_every_script_has_words_for_who_helps() -> None:
    assert {script(OTHER, last) for last in SCRIPTS} == {"witness", "partner_relative", "child", "relative_act"}
