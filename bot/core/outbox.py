"""One row of the outbox, as the store hands it to the sender."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Optional

from bot.core.dialogue import Link, QuickReply
from bot.core.emergency import Answer
from bot.core.messages import Platform

EMERGENCY, REPLY, AGENT = "emergency", "reply", "agent"
HUMAN_AGENT = "HUMAN_AGENT"


@dataclass(frozen=True)
class OutboxRow:
    """A message to a person, leased to one sender.

    `text` is whole: the sender splits it, the same way each time, and `parts_sent` counts the parts that left already.
    `maybe_sent`: the part after those may have left too (an earlier answer was lost, or an earlier lease ran out
    before any outcome was written), so its echo is looked for before it is sent again.
    """

    id: int
    lease: str
    lane: str  # EMERGENCY, REPLY or AGENT
    platform: Platform
    account: str  # the page's or the Instagram account's id, as in Event.account
    person: str
    conversation_id: int
    text: str
    created_at: datetime
    quick_replies: tuple[QuickReply, ...] = ()
    author: str = "bot"
    tag: Optional[str] = None  # HUMAN_AGENT, or None for a plain RESPONSE
    attempts: int = 0  # claims before this one that ended in `retry`
    parts_sent: int = 0
    maybe_sent: bool = False
    last_error: Optional[str] = None
    priority: int = 9
    trace: str = ""  # of the message that it answers; bot.core.trace
    answer: Optional[Answer] = None  # of an emergency reply; None: worded by a version that kept nothing of it
    since: Optional[float] = None  # when that message came, in seconds since the epoch; None: unknown, or a night ago
    links: tuple[Link, ...] = ()  # of the text, as in Reply


@dataclass(frozen=True)
class Permits:
    """So many messages may leave in this second of the store's clock, which lasts so many seconds more."""

    count: int
    second: int = 0
    lasts: float = 0.0


NO_PERMIT = Permits(0)
