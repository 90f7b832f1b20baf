"""People who are blocked: their messages open no hand-off and get no reply, emergencies excepted.

The gateway and the worker look for danger as ever; only what they find harmless is set aside, with its disposition.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# For a query over conversations `c`: whether that person is blocked.
STANDS = "EXISTS (SELECT FROM blocks b WHERE b.conversation_id = c.id AND b.lifted_at IS NULL)"


@dataclass(frozen=True)
class Block:
    """A block that stands. `reason`: a slug that the console explains; `by`: the agent's name."""

    reason: str
    at: datetime
    by: str


async def standing(connection: AsyncConnection, conversation_id: int) -> Block | None:
    """The block of that conversation's person, None when there is none."""
    row = (
        await connection.execute(
            text("""
                SELECT b.reason, b.at, u.name FROM blocks b JOIN users u ON u.id = b.user_id
                WHERE b.conversation_id = :id AND b.lifted_at IS NULL
            """),
            {"id": conversation_id},
        )
    ).one_or_none()
    return None if row is None else Block(row.reason, row.at, row.name)


async def block(connection: AsyncConnection, conversation_id: int, user_id: int, reason: str, now: datetime) -> bool:
    """Block; False when that person is blocked already."""
    done = await connection.execute(
        text("""
            INSERT INTO blocks (conversation_id, at, user_id, reason) VALUES (:id, :now, :user, :reason)
            ON CONFLICT (conversation_id) WHERE lifted_at IS NULL DO NOTHING
        """),
        {"id": conversation_id, "now": now, "user": user_id, "reason": reason},
    )
    return done.rowcount == 1


async def lift(connection: AsyncConnection, conversation_id: int, user_id: int, now: datetime) -> bool:
    """Lift the block; False when there is none."""
    done = await connection.execute(
        text("""
            UPDATE blocks SET lifted_at = :now, lifted_by = :user WHERE conversation_id = :id AND lifted_at IS NULL
        """),
        {"id": conversation_id, "now": now, "user": user_id},
    )
    return done.rowcount == 1
