"""More people write than can be answered at once: who is told that the answer will be late."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Optional

from bot.core.clock import plausible
from bot.policy import owner as owners
from bot.policy.night import Night
from bot.policy.patience import TOLD_AGAIN
from bot.policy.window import STANDARD


@dataclass(frozen=True)
class Backlog:
    """What waits: seconds since the first conversation was due, and since the first reply was to leave (0: none)."""

    oldest_turn: float = 0.0
    oldest_reply: float = 0.0


@dataclass(frozen=True)
class Waiter:
    """Somebody who waits. `told_at`: when they were last told of an outage or of a wait."""

    owner: str
    category: str
    standby: bool
    attended: bool  # an agent has spoken for the open hand-off
    blocked: bool
    last_person_at: Optional[datetime]
    last_agent_at: Optional[datetime]
    told_at: Optional[datetime]
    answered: bool = False  # a human may have answered in Meta's inbox: no turn has judged that echo yet


def overloaded(backlog: Backlog, notice: timedelta) -> bool:
    """Whether people are to be told. Not while the replies themselves queue up at Meta's door: a notice would delay them."""
    limit = notice.total_seconds()
    return backlog.oldest_turn >= limit > backlog.oldest_reply


def is_told(waiter: Waiter, night: Night, now: datetime) -> bool:
    """Whether this person is told now: the bot has the word, by day, in Meta's window, and they were not told lately."""
    if waiter.blocked or waiter.answered or night.contains(now):
        return False
    if not owners.bot_has_word(waiter.owner, waiter.category, waiter.standby, waiter.attended):
        return False
    if waiter.last_person_at is None or now - waiter.last_person_at >= STANDARD:
        return False
    recent = (plausible(waiter.told_at, now), plausible(waiter.last_agent_at, now))
    return all(at is None or now - at >= TOLD_AGAIN for at in recent)
