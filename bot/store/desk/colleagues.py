"""To whom a conversation may be given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.policy.rights import RIGHTS, Capability


@dataclass(frozen=True)
class Colleague:
    """Somebody who works on conversations. `has`: how many of them now."""

    id: int
    name: str
    has: int


async def colleagues(connection: AsyncConnection) -> Sequence[Colleague]:
    """Everyone whose account is enabled and whose role works on conversations, by name."""
    roles = [role.value for role, rights in RIGHTS.items() if Capability.WORK in rights]
    rows = await connection.execute(
        text("""
            SELECT u.id, u.name, (SELECT count(*) FROM conversations c WHERE c.owner = 'agent' AND c.agent_id = u.id) AS has
            FROM users u WHERE u.disabled_at IS NULL AND u.role = ANY(:roles) ORDER BY lower(u.name)
        """),
        {"roles": roles},
    )
    return [Colleague(row.id, row.name, row.has) for row in rows]
