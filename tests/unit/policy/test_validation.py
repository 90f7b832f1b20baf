"""Who has to agree to a reply, who may decide, and when a waiting draft becomes pressing."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from bot.policy.validation import RULES, Bar, Pressure, after, asked, bar, decidable, highest, pressure, to_raise

AT = datetime(2026, 1, 15, 11, 0, tzinfo=timezone.utc)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("role", "level", "user", "deciders", "step", "expected"),
    [
        ("validator", "service", 2, (), "service", None),
        ("validator", "service", 2, (), "cabinet", Bar.LEVEL),
        ("validator", "cabinet", 2, (), "service", None),
        ("validator", "cabinet", 2, (3,), "cabinet", None),
        ("validator", None, 2, (), "service", Bar.LEVEL),
        ("administrator", "cabinet", 2, (), "cabinet", None),
        ("validator", "cabinet", 1, (), "service", Bar.OWN),
        ("administrator", "cabinet", 1, (), "service", Bar.OWN),
        ("validator", "cabinet", 2, (2,), "cabinet", Bar.TWICE),
        ("agent", "cabinet", 2, (), "service", Bar.ROLE),
        ("auditor", None, 2, (), "service", Bar.ROLE),
    ],
)
def test_who_may_decide(
    role: str, level: str | None, user: int, deciders: tuple[int, ...], step: str, expected: Bar | None
) -> None:
    assert bar(role, level, user, 1, deciders, step) is expected


def test_what_a_level_may_decide() -> None:
    assert decidable("validator", "service") == ("service",)
    assert decidable("validator", "cabinet") == ("service", "cabinet")
    assert decidable("validator", None) == decidable("agent", "cabinet") == ()


@pytest.mark.parametrize(
    ("steps", "step", "level", "amended", "expected"),
    [
        (("service",), 0, "service", False, 1),
        (("service", "cabinet"), 0, "service", False, 1),
        (("service", "cabinet"), 0, "cabinet", False, 2),  # the cabinet's word holds for both
        (("service", "cabinet"), 0, "cabinet", True, 1),  # but not for its own amendment
        (("service", "cabinet"), 1, "cabinet", True, 2),
    ],
)
def test_what_is_waited_for_next(steps: tuple[str, ...], step: int, level: str, amended: bool, expected: int) -> None:
    assert after(steps, step, "validator", level, amended) == expected


def test_a_rule_that_became_stricter_lengthens_what_waits() -> None:
    assert asked(("service",), ("service", "cabinet")) == ("service", "cabinet")
    assert asked(("service",), ("cabinet",)) == ("service", "cabinet")
    assert asked(("cabinet",), ("service", "cabinet")) == ("cabinet",)
    assert asked(("service", "cabinet"), ()) == ("service", "cabinet")
    assert RULES == ((), ("service",), ("cabinet",), ("service", "cabinet"))


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (timedelta(0), Pressure.CALM),
        (22 * HOUR - timedelta(microseconds=1), Pressure.CALM),
        (22 * HOUR, Pressure.SOON),
        (24 * HOUR - timedelta(microseconds=1), Pressure.SOON),
        (24 * HOUR, Pressure.TAGGED),
        (6 * DAY - timedelta(microseconds=1), Pressure.TAGGED),
        (6 * DAY, Pressure.LAST),
        (7 * DAY - timedelta(microseconds=1), Pressure.LAST),
        (7 * DAY, Pressure.CLOSED),
    ],
)
def test_how_the_window_presses(age: timedelta, expected: Pressure) -> None:
    assert pressure(AT - age, AT) is expected
    assert expected.pressing is (expected in (Pressure.SOON, Pressure.LAST))


def test_nobody_who_never_wrote_is_written_to() -> None:
    assert pressure(None, AT) is Pressure.CLOSED
    assert not to_raise(None, None, AT)


@pytest.mark.parametrize(
    ("age", "raised", "expected"),
    [
        (HOUR, None, False),
        (23 * HOUR, None, True),
        (23 * HOUR, 22 * HOUR + HOUR / 2, False),  # raised half an hour ago
        (30 * HOUR, None, False),  # too late for that boundary
        (23 * HOUR, 2 * HOUR, True),  # raised, then the person wrote again and the window opened anew
        (6 * DAY, 23 * HOUR, True),  # the second boundary
        (6 * DAY + HOUR, 6 * DAY + HOUR / 2, False),
        (8 * DAY, None, False),
    ],
)
def test_when_a_draft_is_raised(age: timedelta, raised: timedelta | None, expected: bool) -> None:
    person = AT - age
    assert to_raise(person, None if raised is None else person + raised, AT) is expected


def test_the_highest_of_several_rules() -> None:
    assert highest([]) is None
    assert highest([(), ()]) is None
    assert highest([(), ("service",)]) == "service"
    assert highest([("service", "cabinet"), ("service",)]) == "cabinet"
