"""Validation: who has to agree to a reply before it leaves, who may decide, and when a waiting draft becomes pressing.

A rule is a sequence of steps, each the level whose agreement is asked for, in order: `()`, `("service",)`,
`("cabinet",)`, `("service", "cabinet")`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Optional

from bot.policy import window
from bot.policy.rights import LEVELS, Capability, may, reaches

Steps = tuple[str, ...]

RULES: tuple[Steps, ...] = ((), ("service",), ("cabinet",), ("service", "cabinet"))

# How long before a boundary of Meta's window a waiting draft is raised.
SOON = timedelta(hours=2)  # before the 24 hours, after which only a human's tag lets it leave
LAST = timedelta(hours=24)  # before the 7 days, after which nothing does


class Bar(str, Enum):
    """Why someone may not decide on a draft."""

    ROLE = "role"  # the role decides nothing
    OWN = "own"  # they wrote it
    TWICE = "twice"  # they decided an earlier step: a second pair of eyes is asked for
    LEVEL = "level"  # the step asks for a higher level


def bar(
    role: str, level: Optional[str], user_id: int, author_id: int, deciders: Collection[int], step: str
) -> Optional[Bar]:
    """Why that person may not decide a step (`service`, `cabinet`), None when they may.

    `deciders`: who decided the draft's earlier steps.
    """
    if not may(role, Capability.VALIDATE):
        return Bar.ROLE
    if user_id == author_id:
        return Bar.OWN
    if user_id in deciders:
        return Bar.TWICE
    return None if reaches(role, level, step) else Bar.LEVEL


def decidable(role: str, level: Optional[str]) -> Steps:
    """The steps that someone of that role and level may decide."""
    return tuple(step for step in LEVELS if reaches(role, level, step))


def highest(rules: Iterable[Sequence[str]]) -> Optional[str]:
    """The highest level that any of these rules asks for; None when none asks for anybody."""
    return max((step for steps in rules for step in steps), key=LEVELS.index, default=None)


def after(steps: Sequence[str], step: int, role: str, level: Optional[str], amended: bool) -> int:
    """The index of the step that is waited for once `steps[step]` is agreed to; `len(steps)` when none is.

    The cabinet's agreement holds for the head of service's and its own step. Who amends has become an author: each
    later step is for somebody else.
    """
    following = step + 1
    while not amended and following < len(steps) and reaches(role, level, steps[following]):
        following += 1
    return following


def asked(steps: Sequence[str], current: Sequence[str]) -> Steps:
    """The steps of a waiting draft, lengthened when its conversation's rule has come to ask for a higher level."""
    stored = tuple(steps)
    return stored + tuple(
        step for step in current if LEVELS.index(step) > max((LEVELS.index(s) for s in stored), default=-1)
    )


class Pressure(str, Enum):
    """How Meta's window stands over a waiting draft."""

    CALM = "calm"
    SOON = "soon"  # the 24 hours are about to end
    TAGGED = "tagged"  # they have ended: it leaves with the tag HUMAN_AGENT
    LAST = "last"  # the 7 days are about to end
    CLOSED = "closed"  # it can no longer leave

    @property
    def pressing(self) -> bool:
        """Whether the draft is about to miss a boundary."""
        return self in (Pressure.SOON, Pressure.LAST)


def pressure(last_person_at: Optional[datetime], now: datetime) -> Pressure:
    """How the window stands, from the person's last message."""
    if last_person_at is None or now >= last_person_at + window.HUMAN:
        return Pressure.CLOSED
    if now >= last_person_at + window.HUMAN - LAST:
        return Pressure.LAST
    if now >= last_person_at + window.STANDARD:
        return Pressure.TAGGED
    return Pressure.SOON if now >= last_person_at + window.STANDARD - SOON else Pressure.CALM


def to_raise(last_person_at: Optional[datetime], raised_at: Optional[datetime], now: datetime) -> bool:
    """Whether a waiting draft is to be raised now: once before each boundary, again when the window opened anew."""
    if last_person_at is None or not pressure(last_person_at, now).pressing:
        return False
    early = window.STANDARD - SOON
    begun = last_person_at + (window.HUMAN - LAST if now >= last_person_at + window.HUMAN - LAST else early)
    return raised_at is None or raised_at < begun
