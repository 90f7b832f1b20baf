"""The thumbs question: asked when an agent closes a hand-off, answered by a tap, kept once.

Whom it is asked: `bot.policy.satisfaction`. Nothing here is a citizen's words: a hand-off, two moments, up or down.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.dialogue import Reply
from bot.policy import satisfaction as policy
from bot.policy import window
from bot.policy.closing import ACCEPTED
from bot.store import blocks, outbox
from bot.store.codec import Codec

if TYPE_CHECKING:  # the desk's own modules import the store's, this one among them
    from bot.store.desk.access import Conversation, Desk


async def ask(connection: AsyncConnection, desk: Desk, conversation: Conversation, now: datetime) -> bool:
    """Ask whoever's hand-off is being closed, if it is fit and the window lets it; whether they are asked.

    The last call of closing: it belongs in the same transaction, after what was unsent has been cancelled.
    `conversation`: as it was before it closed.
    """
    handoff = conversation.handoff
    if handoff is None or handoff.closed_at is not None:
        return False
    row = (
        await connection.execute(
            text("""
                SELECT h.close_reason, h.category, h.replied_at, c.emergency_at, c.standby,
                    (SELECT max(asked_at) FROM satisfaction s WHERE s.conversation_id = c.id) AS asked_at
                FROM handoffs h JOIN conversations c ON c.id = h.conversation_id WHERE h.id = :id
            """),
            {"id": handoff.id},
        )
    ).one()
    closing = policy.Closing(
        row.category, row.close_reason, row.replied_at is not None, row.standby, row.asked_at, row.emergency_at
    )
    if not policy.asks(closing, now) or await blocks.standing(connection, conversation.id) is not None:
        return False
    try:
        window.tag("system", conversation.last_person_at, now)
    except window.WindowClosed:
        return False
    asked = await connection.scalar(
        text("""
            INSERT INTO satisfaction (conversation_id, handoff_id, asked_at) VALUES (:conversation, :handoff, :now)
            ON CONFLICT (handoff_id) DO NOTHING RETURNING id
        """),
        {"conversation": conversation.id, "handoff": handoff.id, "now": now},
    )
    if asked is not None:
        # Not while the closing can be taken back: who is still being helped is not asked how it was.
        name = f"satisfaction:{handoff.id}"
        await desk.tell(connection, conversation, policy.QUESTION, name, now, due_at=now + ACCEPTED)
    return asked is not None


async def answered(
    connection: AsyncConnection, codec: Codec, conversation_id: int, answer: str, thanks: str | None, now: datetime
) -> bool:
    """Keep a tap as the answer to the last question of that conversation; whether it is the first one.

    `answer`: up or down. The first tap counts and is thanked for (`thanks`: the words, None while a human has the
    conversation); any later one changes nothing.
    """
    asked = await connection.scalar(
        text("""
            UPDATE satisfaction SET answered_at = :now, answer = :answer
            WHERE answered_at IS NULL
              AND id = (SELECT max(id) FROM satisfaction WHERE conversation_id = :conversation)
            RETURNING id
        """),
        {"conversation": conversation_id, "answer": answer, "now": now},
    )
    if asked is not None and thanks:
        row = outbox.NewRow(conversation_id, "reply", "system", Reply(thanks), now, dedup=f"satisfaction-merci:{asked}")
        await outbox.add(connection, codec, row)
    return asked is not None
