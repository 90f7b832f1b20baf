"""Legal holds: a conversation that nothing may erase as long as the hold stands, whatever its age."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from bot.core.clean import clean
from bot.policy.rights import Capability
from bot.store import places
from bot.store.accounts import User
from bot.store.desk.access import Desk
from bot.store.desk.errors import BadChoice, Conflict

COLUMN = "legal_holds.reason"
LONGEST = 500  # characters of a reason


@dataclass(frozen=True)
class Hold:
    """A hold. `reason`: as it was given; `lifted_at` None: it stands."""

    conversation_id: int
    placed_at: datetime
    placed_by: str
    reason: str
    lifted_at: datetime | None
    lifted_by: str | None


_SELECT = """
    SELECT l.id, l.conversation_id, l.placed_at, l.reason, l.lifted_at, p.name AS placed_by, u.name AS lifted_by
    FROM legal_holds l JOIN users p ON p.id = l.placed_by LEFT JOIN users u ON u.id = l.lifted_by
"""
_STANDING = text(_SELECT + " WHERE l.conversation_id = :id AND l.lifted_at IS NULL")
_ALL = text(_SELECT + " ORDER BY l.lifted_at IS NOT NULL, l.placed_at DESC, l.id DESC LIMIT :most")


class HoldStore:
    """Each action is one transaction that locks the conversation's row, as the purge does."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def standing(self, conversation_id: int) -> Hold | None:
        """The hold of a conversation that the caller has access to."""
        async with self._desk.database.begin() as connection:
            row = (await connection.execute(_STANDING, {"id": conversation_id})).one_or_none()
        return None if row is None else self._hold(row)

    async def all(self, most: int = 200) -> Sequence[Hold]:
        """Those that stand, the newest first, then those that were lifted."""
        async with self._desk.database.begin() as connection:
            rows = (await connection.execute(_ALL, {"most": most})).all()
        return [self._hold(row) for row in rows]

    def _hold(self, row: Row[Any]) -> Hold:
        reason = self._desk.codec.open(row.reason, COLUMN, row.conversation_id, row.id).decode()
        return Hold(row.conversation_id, row.placed_at, row.placed_by, reason, row.lifted_at, row.lifted_by)

    async def place(self, user: User, conversation_id: int, reason: str, now: datetime) -> None:
        """Keep it until somebody lifts the hold. Raises BadChoice, Conflict."""
        said = clean(reason).strip()
        async with self._desk.database.begin() as connection:
            await self._desk.access(connection, user, conversation_id, Capability.HOLD)
            if not said or len(said) > LONGEST:
                raise BadChoice(
                    "Donnez la raison de la conservation\u00a0: rien n’a été enregistré.",
                    f"Par exemple une procédure et son numéro, en {LONGEST} caractères au plus.",
                )
            (number,) = await places.numbers(connection, "legal_holds")
            done = await connection.execute(
                text("""
                    INSERT INTO legal_holds (id, conversation_id, placed_at, placed_by, reason) OVERRIDING SYSTEM VALUE
                    VALUES (:number, :id, :now, :user, :reason)
                    ON CONFLICT (conversation_id) WHERE lifted_at IS NULL DO NOTHING
                """),
                {
                    "number": number,
                    "id": conversation_id,
                    "now": now,
                    "user": user.id,
                    "reason": self._desk.codec.seal(said.encode(), COLUMN, conversation_id, number),
                },
            )
            if done.rowcount != 1:
                raise Conflict("Cette conversation est déjà sous conservation légale.", "Rechargez la page.")
            await self._desk.done(connection, now, user, "hold_placed", conversation_id)

    async def lift(self, user: User, conversation_id: int, now: datetime) -> None:
        """Its ordinary time applies again: what is past it goes the next night. Raises Conflict."""
        async with self._desk.database.begin() as connection:
            await self._desk.access(connection, user, conversation_id, Capability.HOLD)
            done = await connection.execute(
                text("""
                    UPDATE legal_holds SET lifted_at = :now, lifted_by = :user
                    WHERE conversation_id = :id AND lifted_at IS NULL
                """),
                {"id": conversation_id, "now": now, "user": user.id},
            )
            if done.rowcount != 1:
                raise Conflict("Cette conversation n’est pas sous conservation légale.", "Rechargez la page.")
            await self._desk.done(connection, now, user, "hold_lifted", conversation_id)
