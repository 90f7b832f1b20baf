"""Who speaks, and whose echo it was."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Optional

import pytest

from bot.policy.owner import (
    EchoContext,
    EchoOf,
    bot_may_answer,
    in_loop,
    inbox_is_over,
    may_give_numbers,
    whose_echo,
)

AT = datetime(2026, 1, 15, 9, 0, tzinfo=timezone.utc)
ECHO = EchoContext(
    signed=False,
    mid_known=False,
    app_id="999",
    our_app_id="111",
    at=AT,
    received_at=AT,
    now=AT + timedelta(seconds=3),
    send_in_flight=False,
    first_message_of_day_at=None,
)


@pytest.mark.parametrize(
    ("owner", "category", "may"),
    [
        ("bot", "none", True),
        ("closed", "complaint", True),
        ("waiting", "thanks", True),
        ("waiting", "request", True),
        *(("waiting", c, False) for c in ("complaint", "witness", "sensitive", "urgent", "emergency")),
        ("agent", "none", False),
        ("inbox", "request", False),
    ],
)
def test_who_may_speak(owner: str, category: str, may: bool) -> None:
    assert bot_may_answer(owner, category) is may


@pytest.mark.parametrize(
    ("owner", "standby", "minutes", "may"),
    [
        ("waiting", False, 5, True),
        ("bot", False, None, True),
        ("closed", False, None, True),
        ("waiting", True, None, False),
        ("agent", False, None, False),
        ("inbox", False, None, True),
        ("inbox", False, 29, False),
        ("inbox", False, 30, True),
    ],
)
def test_who_may_be_given_the_numbers(owner: str, standby: bool, minutes: Optional[int], may: bool) -> None:
    human = None if minutes is None else AT - timedelta(minutes=minutes)
    assert may_give_numbers(owner, standby, human, AT) is may


def test_ten_replies_are_enough() -> None:
    assert not in_loop(9)
    assert in_loop(10)


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        (ECHO, EchoOf.HUMAN),
        (replace(ECHO, now=AT), EchoOf.UNKNOWN_YET),  # it may have overtaken the person's message
        (replace(ECHO, now=AT, first_message_of_day_at=AT - timedelta(hours=1)), EchoOf.HUMAN),
        (replace(ECHO, signed=True), EchoOf.OURS),
        (replace(ECHO, mid_known=True), EchoOf.OURS),
        (replace(ECHO, app_id="111"), EchoOf.OURS),
        (replace(ECHO, app_id=None, our_app_id=None), EchoOf.HUMAN),
        (replace(ECHO, send_in_flight=True), EchoOf.UNKNOWN_YET),
        (replace(ECHO, send_in_flight=True, now=AT + timedelta(seconds=10)), EchoOf.HUMAN),
        (replace(ECHO, first_message_of_day_at=AT - timedelta(seconds=3)), EchoOf.AUTOMATION),
        (replace(ECHO, first_message_of_day_at=AT - timedelta(seconds=4)), EchoOf.HUMAN),
        (replace(ECHO, first_message_of_day_at=AT + timedelta(seconds=1)), EchoOf.HUMAN),
    ],
)
def test_whose_echo(context: EchoContext, expected: EchoOf) -> None:
    assert whose_echo(context) is expected


@pytest.mark.parametrize(
    ("until", "over"),
    [
        (None, True),
        (timedelta(minutes=-1), True),
        (timedelta(hours=23), False),
        (timedelta(hours=24, minutes=30), False),  # by Meta's clock, which may be ahead
        (timedelta(days=3), True),  # by a clock that was wrong
    ],
)
def test_the_inbox_keeps_a_conversation_for_a_day(until: Optional[timedelta], over: bool) -> None:
    assert inbox_is_over(None if until is None else AT + until, AT) is over
