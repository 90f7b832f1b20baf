"""Who speaks in a conversation, and whose echo that was."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Optional

SILENT_WAITING = frozenset({"complaint", "witness", "sensitive", "urgent", "emergency"})
INBOX_FOR = timedelta(hours=24)
INBOX_MARGIN = timedelta(hours=1)  # Meta's clock may be ahead of ours
ECHO_HOLD = timedelta(seconds=10)
AUTOMATION_WITHIN = timedelta(seconds=3)
LOOP_WITHIN = timedelta(minutes=10)
LOOP_REPLIES = 10


def inbox_is_over(until: Optional[datetime], now: datetime) -> bool:
    """Whether the human in Meta's inbox has said nothing for so long that the conversation is nobody's; also where `until` lies
    further ahead than any human there keeps it."""
    return until is None or until <= now or until > now + INBOX_FOR + INBOX_MARGIN


def bot_may_answer(owner: str, category: str) -> bool:
    """Whether the bot answers a new message: it is silent under a human, and while a grave hand-off waits."""
    if owner in ("bot", "closed"):
        return True
    return owner == "waiting" and category not in SILENT_WAITING


def bot_has_word(owner: str, category: str, standby: bool, attended: bool) -> bool:
    """Whether the conversation is the bot's: no other app and no human has it. `attended`: an agent spoke for its hand-off."""
    return not (standby or (owner == "waiting" and attended)) and bot_may_answer(owner, category)


HUMAN_AT_IT = timedelta(minutes=30)  # since a human's last word


def may_give_numbers(owner: str, standby: bool, human_at: Optional[datetime], now: datetime) -> bool:
    """Whether the numbers for a danger that is not sure may be said in a conversation that is not the bot's: beside no other app
    and no agent, nor while a human writes in Meta's inbox. `human_at`: a human's last word."""
    if standby or owner == "agent":
        return False
    return owner != "inbox" or human_at is None or now - human_at >= HUMAN_AT_IT


def in_loop(replies_in_ten_minutes: int) -> bool:
    """Whether the bot has said enough here: two machines may be talking to each other."""
    return replies_in_ten_minutes >= LOOP_REPLIES


class EchoOf(enum.Enum):
    """Whose message an echo repeats."""

    OURS = "ours"
    AUTOMATION = "automation"  # Meta's own instant reply
    HUMAN = "human"  # a human in Meta's inbox
    UNKNOWN_YET = "unknown_yet"  # a send to that person is in flight, or their own message: hold the echo


@dataclass(frozen=True)
class EchoContext:
    """What is known when an echo is judged."""

    signed: bool  # its metadata carries our signature
    mid_known: bool
    app_id: Optional[str]
    our_app_id: Optional[str]
    at: datetime
    received_at: datetime
    now: datetime
    send_in_flight: bool
    first_message_of_day_at: Optional[datetime]  # the person's


def whose_echo(context: EchoContext) -> EchoOf:
    """Judge an echo: ours by signature, message id or app id; else Meta's automation; else a human."""
    if context.signed or context.mid_known:
        return EchoOf.OURS
    if context.our_app_id is not None and context.app_id == context.our_app_id:
        return EchoOf.OURS
    if context.send_in_flight and context.now < context.received_at + ECHO_HOLD:
        return EchoOf.UNKNOWN_YET
    first = context.first_message_of_day_at
    if first is None and context.now < context.received_at + AUTOMATION_WITHIN:
        return EchoOf.UNKNOWN_YET  # the echo of an automation may overtake the message that set it off
    if first is not None and timedelta(0) <= context.at - first <= AUTOMATION_WITHIN:
        return EchoOf.AUTOMATION
    return EchoOf.HUMAN
