"""The engine is away: until when a message waits in silence, when its person is told once, when agents get it.

Emergencies and the night's message need no engine and do not wait for any of this.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Optional

from bot.core.clock import plausible

TOLD_AGAIN = timedelta(hours=1)  # an engine that comes and goes does not make the same apology each time


class Step(enum.Enum):
    """What to do about a conversation whose messages nobody can understand at present."""

    WAIT = "wait"
    TELL = "tell"  # that an answer will be late; the messages go on waiting
    HAND_OVER = "hand_over"  # to the agents' queue, not understood


@dataclass(frozen=True)
class Patience:
    """Counted from the first attempt in vain: `notice` until the person is told, `handoff` until agents get it."""

    notice: timedelta = timedelta(seconds=60)
    handoff: timedelta = timedelta(minutes=5)


@dataclass(frozen=True)
class Outage:
    """One conversation's wait. `may_speak`: the bot has the word here, by day, within Meta's window."""

    since: datetime
    now: datetime
    told_at: Optional[datetime]  # when this person was last told of an outage, this one or an earlier one
    may_speak: bool


def step(outage: Outage, patience: Patience) -> Step:
    """What is due now."""
    waited = outage.now - outage.since
    if waited >= patience.handoff:
        return Step.HAND_OVER
    told_at = plausible(outage.told_at, outage.now)
    told = told_at is not None and outage.now - told_at < TOLD_AGAIN
    if waited >= patience.notice and outage.may_speak and not told:
        return Step.TELL
    return Step.WAIT


def was_told(since: Optional[datetime], told_at: Optional[datetime], now: datetime, handed_over: bool) -> bool:
    """Whether the hand-over needs no apology of its own: the person was told of this very outage, or (`handed_over`: agents
    have an earlier message already) lately of one."""
    told_at = plausible(told_at, now)
    if told_at is None:
        return False
    return (since is not None and told_at >= since) or (handed_over and now - told_at < TOLD_AGAIN)
