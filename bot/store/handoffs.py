"""Hand-offs: what waits for a human. At most one is open in a conversation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.policy.degree import pressing, rank
from bot.policy.intents import PRIORITY
from bot.store import news, places
from bot.store.codec import Codec
from bot.store.db import CONSOLE, notify

_COLUMN = "handoffs.slots"
# Reasons, which the console has words for.
FOLLOW_UP = "emergency_follow_up"  # a further message after a danger, harmless by itself
OLD = "emergency_old"  # a danger of more than a day ago: no automatic reply left
UNSENT = "emergency_unsent"  # the emergency reply never left
UNSTORABLE = "unstorable"  # an agent reads it in Meta's inbox
_UNTOLD = (UNSENT, UNSTORABLE)  # of a danger: also said where another danger had opened it


@dataclass(frozen=True)
class NewHandoff:
    """A hand-off to open. `reason`: a slug that the console explains; `slots`: what was told now.

    `before`: what was told earlier; it fills what the hand-off, if one is open, does not hold yet. `shows`: a place or a picture
    came, or a button's « je ne peux pas parler », which agents look at as at a new danger.
    """

    conversation_id: int
    category: str
    reason: str
    intent: str | None = None
    old: bool = False
    slots: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] = field(default_factory=dict)
    number: int | None = None  # of the row, of `places.numbers`; None: it takes one
    shows: bool = False


# The first one of a conversation, given that none is open. `{source}`: the conversation, as `c`; values: of `opening`, and `now`.
OPEN = """
    INSERT INTO handoffs (id, conversation_id, category, priority, intent, reason, old, opened_at, raised_at, slots, platform,
        due_at) OVERRIDING SYSTEM VALUE
    SELECT CAST(:handoff_id AS bigint), c.id,
        CAST(:handoff_category AS text), CAST(:handoff_priority AS smallint), CAST(:handoff_intent AS text),
        CAST(:handoff_reason AS text), CAST(:handoff_old AS boolean), CAST(:now AS timestamptz), CAST(:now AS timestamptz),
        CAST(:handoff_slots AS bytea), c.platform, CAST(:now AS timestamptz)
        + (SELECT within FROM deadlines WHERE priority = CAST(:handoff_priority AS smallint))
    FROM {source} RETURNING id
"""
_OPEN = text(OPEN.format(source="conversations c WHERE c.id = :id"))


def opening(codec: Codec, new: NewHandoff, number: int) -> dict[str, Any]:
    """The values of `OPEN`. `number`: the row's, of `places.numbers`."""
    return {
        "handoff_id": number,
        "handoff_category": new.category,
        "handoff_priority": pressing(new.category, new.reason),
        "handoff_intent": new.intent,
        "handoff_reason": new.reason,
        "handoff_old": new.old,
        "handoff_slots": codec.seal_json({**new.before, **new.slots}, _COLUMN, new.conversation_id, number),
    }


async def open_(connection: AsyncConnection, codec: Codec, new: NewHandoff, now: datetime) -> tuple[int, bool]:
    """Open a hand-off, or raise the open one to the more pressing of the two (`bot.policy.degree.rank`); the conversation waits for
    a human.

    A conversation that an agent or Meta's inbox owns keeps its owner. Returns the hand-off's id and whether it is new.
    """
    row = (
        await connection.execute(
            text(
                "SELECT id, category, priority, slots FROM handoffs WHERE conversation_id = :id AND closed_at IS NULL FOR UPDATE"
            ),
            {"id": new.conversation_id},
        )
    ).one_or_none()
    priority = pressing(new.category, new.reason)
    raises = row is not None and rank(new.category, new.reason) < (row.priority, PRIORITY[row.category])
    if row is None:
        number = new.number if new.number is not None else (await places.numbers(connection, "handoffs"))[0]
        values = {**opening(codec, new, number), "id": new.conversation_id, "now": now}
        handoff = await connection.scalar(_OPEN, values)
        category = new.category
    else:
        handoff = row.id
        category = new.category if raises else row.category
        slots = {
            **new.before,
            **(codec.readable_json(row.slots, _COLUMN, new.conversation_id, row.id) or {}),
            **new.slots,
        }
        await connection.execute(
            text("""
                UPDATE handoffs SET slots = :slots,
                    raised_at = CASE WHEN :priority <= priority AND NOT :follows THEN :now ELSE raised_at END,
                    category = :category, reason = CASE WHEN :tells THEN :reason ELSE reason END,
                    intent = CASE WHEN :raises THEN :intent ELSE intent END,
                    due_at = CASE WHEN :raises THEN least(due_at, CAST(:now AS timestamptz)
                        + (SELECT within FROM deadlines d WHERE d.priority = :priority)) ELSE due_at END,
                    alerted_at = CASE WHEN :raises THEN NULL ELSE alerted_at END,
                    priority = least(priority, :priority), snoozed_until = NULL
                WHERE id = :id
            """),
            {
                "id": handoff,
                "slots": codec.seal_json(slots, _COLUMN, new.conversation_id, row.id),
                "priority": priority,
                "category": category,
                "reason": new.reason,
                "follows": priority == row.priority and new.reason == FOLLOW_UP and not (new.shows or new.slots),
                "raises": raises,
                "tells": raises or (priority == 0 and new.reason in _UNTOLD),
                "intent": new.intent,
                "now": now,
            },
        )
    await connection.execute(
        text("""
            UPDATE conversations SET category = :category,
                owner = CASE WHEN owner IN ('agent', 'inbox') THEN owner ELSE 'waiting' END
            WHERE id = :id
        """),
        {"id": new.conversation_id, "category": category},
    )
    await notify(connection, CONSOLE, str(new.conversation_id))
    # A new danger rings again: whoever has the conversation may be away.
    again = priority == 0 and new.reason != FOLLOW_UP
    if row is None or raises or again:
        await news.topic(connection, "handoff", priority)  # open pages may ring
    return int(handoff), row is None


async def told_late(connection: AsyncConnection, handoff_id: int) -> None:
    """What the person was to be told at once is a day late: the open hand-off says so, whatever opened it."""
    await connection.execute(
        text("UPDATE handoffs SET old = true, reason = :reason WHERE id = :id AND closed_at IS NULL"),
        {"id": handoff_id, "reason": OLD},
    )


async def add_slots(connection: AsyncConnection, codec: Codec, conversation_id: int, slots: Mapping[str, Any]) -> None:
    """Fill fields of the open hand-off with what the person has said since."""
    row = (
        await connection.execute(
            text("SELECT id, slots FROM handoffs WHERE conversation_id = :id AND closed_at IS NULL FOR UPDATE"),
            {"id": conversation_id},
        )
    ).one_or_none()
    if row is None or not slots:
        return
    merged = {**(codec.readable_json(row.slots, _COLUMN, conversation_id, row.id) or {}), **slots}
    await connection.execute(
        text("UPDATE handoffs SET slots = :slots WHERE id = :id"),
        {"id": row.id, "slots": codec.seal_json(merged, _COLUMN, conversation_id, row.id)},
    )
    await notify(connection, CONSOLE, str(conversation_id))


# For `bot.policy.waiting_time`: the answered since $1, who waits at $2, who was closed since $1 without a reply; at most $3 of
# each, and how many are late. Thanks ($4) wait for nothing; a vital danger ($5) is answered before others and tells nothing of
# their wait, but one that is late stands ahead of them.
WAITS = """
    SELECT
        ARRAY(SELECT replied_at - opened_at FROM handoffs
            WHERE replied_at > $1::timestamptz AND priority <> $4::smallint AND priority <> $5::smallint
            LIMIT $3::integer) AS answered,
        ARRAY(SELECT $2::timestamptz - opened_at FROM handoffs
            WHERE closed_at IS NULL AND replied_at IS NULL AND priority <> $4::smallint AND priority <> $5::smallint
            LIMIT $3::integer) AS waiting,
        ARRAY(SELECT closed_at - opened_at FROM handoffs
            WHERE closed_at > $1::timestamptz AND replied_at IS NULL AND priority <> $4::smallint AND priority <> $5::smallint
            LIMIT $3::integer) AS ended,
        (SELECT count(*) FROM (SELECT FROM handoffs
            WHERE closed_at IS NULL AND replied_at IS NULL AND priority <> $4::smallint AND due_at <= $2::timestamptz
            LIMIT $3::integer) x) AS late
"""
