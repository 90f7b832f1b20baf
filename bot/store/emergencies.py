"""The emergency lane's writing side: one message, a hand-off of priority 0, the bot's unsent words withdrawn.

Used by the gateway (each message as it comes) and by the worker (the engine's opinion), inside their transactions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.dialogue import QuickReply, Reply
from bot.policy.emergency import Answer, Detection
from bot.store import alarms, handoffs, outbox
from bot.store.codec import Codec

# Open emergencies that no agent has looked at since: how many, the newest hand-off, since when. A function of the owner's: who asks
# reads neither the audit nor agents' replies.
UNREAD = "SELECT n, newest, since FROM unread_emergencies(%(before)s, %(now)s)"


@dataclass(frozen=True)
class Seen:
    """What an emergency decision depends on, as the conversation stands."""

    emergency_at: datetime | None
    emergency_kind: str | None  # of the last full reply
    emergency_short_at: datetime | None
    last_agent_at: datetime | None
    standby: bool
    emergency_script: str | None = None  # whose words it had; None: those of its kind


@dataclass(frozen=True)
class EmergencyPlan:
    """What is done: `text` is sent now unless None; `short`: it is the reminder; `handoff`: open or raise; `old`: over a day.

    `answer`: what the text was made for; the sender judges it again by that when it leaves."""

    text: str | None
    short: bool
    handoff: bool
    old: bool
    answer: Answer | None = None
    buttons: tuple[QuickReply, ...] = ()


class EmergencyPlanner(Protocol):
    """The policy with its texts bound: detection (None: a further message), the words, Meta's time of them, now."""

    def __call__(
        self, detection: Detection | None, words: str, at: datetime, now: datetime, seen: Seen
    ) -> EmergencyPlan | None: ...


def seen(row: Any, standby: bool) -> Seen:
    """The view of a conversation, or of its row."""
    return Seen(
        row.emergency_at,
        row.emergency_kind,
        row.emergency_short_at,
        row.last_agent_at,
        standby or row.standby,
        row.emergency_script,
    )


async def carry_out(
    connection: AsyncConnection,
    codec: Codec,
    conversation_id: int,
    plan: EmergencyPlan,
    detection: Detection | None,
    now: datetime,
    slots: Mapping[str, str],
    before: Mapping[str, str],
    already_answered: bool = False,
    numbers: tuple[int, int] | None = None,
    events: Sequence[int] = (),
    shows: bool = False,
) -> int | None:
    """Write what the plan says. Returns the outbox id of the reply, if one leaves.

    `slots`: what the words tell agents; `before`: what was told earlier.
    `already_answered`: the gateway had it sent while the database was away; only the hand-off is opened.
    `numbers`: for the rows of the message and of the hand-off, where the caller has them. `events`: whose words were read. `shows`:
    as in `NewHandoff`.
    """
    row_id = None
    sends = plan.text is not None and not already_answered
    if sends:
        assert plan.text is not None
        row_id = await outbox.add(
            connection,
            codec,
            outbox.NewRow(
                conversation_id,
                "emergency",
                "emergency",
                Reply(plan.text, plan.buttons),
                now,
                priority=0,
                id=numbers and numbers[0],
                answer=plan.answer,
            ),
        )
    found, handoff = None if detection is None else await alarms.ahead(connection, conversation_id), None
    if plan.handoff:
        intent = detection.intent if detection is not None else None
        reason = handoffs.OLD if plan.old else f"emergency_{detection.by}" if detection else handoffs.FOLLOW_UP
        handoff, _ = await handoffs.open_(
            connection,
            codec,
            handoffs.NewHandoff(
                conversation_id, "emergency", reason, intent, plan.old, slots, before, numbers and numbers[1], shows
            ),
            now,
        )
    if detection is not None and found is not None:
        await alarms.keep(connection, codec, conversation_id, detection, found, handoff, events, now)
    if detection is not None:  # after the hand-off, to which what they answered goes
        # The system's too: « un agent prend… » beside it would read as help that is coming.
        await outbox.cancel_unsent(connection, conversation_id, "emergency", now, ("bot", "night", "system"))
    sent = sends or already_answered
    await connection.execute(
        text("""
            UPDATE conversations SET owner_version = owner_version + 1,
                emergency_at = CASE WHEN :full THEN :now ELSE emergency_at END,
                emergency_kind = CASE WHEN :full THEN :kind ELSE emergency_kind END,
                emergency_script = CASE WHEN :full THEN :script ELSE emergency_script END,
                emergency_short_at = CASE WHEN :short THEN :now ELSE emergency_short_at END
            WHERE id = :id
        """),
        {
            "id": conversation_id,
            "full": sent and not plan.short,
            "short": sent and plan.short,
            "now": now,
            "kind": detection and detection.kind,
            "script": plan.answer and plan.answer.script,
        },
    )
    return row_id


async def say(
    connection: AsyncConnection, codec: Codec, conversation_id: int, plan: EmergencyPlan, now: datetime
) -> int | None:
    """Other words after an emergency reply, or the short line, which a tap asked for: no alarm, nobody's unsent words withdrawn.
    In a thread that another app owns, the hand-off alone. Returns the outbox id."""
    if plan.handoff:
        request = handoffs.NewHandoff(conversation_id, "emergency", handoffs.FOLLOW_UP, shows=True)
        await handoffs.open_(connection, codec, request, now)
    if plan.text is None or plan.answer is None:
        return None
    row = outbox.NewRow(
        conversation_id, "emergency", "emergency", Reply(plan.text, plan.buttons), now, priority=0, answer=plan.answer
    )
    number = await outbox.add(connection, codec, row)
    await connection.execute(
        text("""
            UPDATE conversations SET
                emergency_kind = CASE WHEN :short THEN emergency_kind ELSE :kind END,
                emergency_script = CASE WHEN :short THEN emergency_script ELSE :script END,
                emergency_short_at = CASE WHEN :short THEN :now ELSE emergency_short_at END
            WHERE id = :id
        """),
        {
            "id": conversation_id,
            "short": plan.short,
            "now": now,
            "kind": plan.answer.kind,
            "script": plan.answer.script,
        },
    )
    return number
