"""Reading the audit: pages and files, newest first. Whoever reads it is recorded too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.policy.rights import Capability
from bot.store import audit
from bot.store.accounts import User
from bot.store.db import Database
from bot.store.desk.errors import NotAllowed

PAGE = 50
BATCH = 1_000  # lines of a file that are read at once


@dataclass(frozen=True)
class Wanted:
    """What is looked for. `person`: who did it; `system`: what nobody in person did; times are [since, until)."""

    person: int | None = None
    system: bool = False
    actions: tuple[str, ...] = ()
    conversation: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    def as_detail(self) -> dict[str, Any]:
        """As the audit keeps it: what was looked for, never whom it was about in words."""
        sought = {
            "person": self.person,
            "system": self.system or None,
            "actions": list(self.actions) or None,
            "sought_conversation": self.conversation,
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
        }
        return {name: value for name, value in sought.items() if value is not None}


@dataclass(frozen=True)
class Line:
    """One thing that was done, or seen. `who` None: the system, or somebody before the door; `about`: the account acted upon."""

    id: int
    at: datetime
    who: str | None
    role: str | None
    action: str
    conversation: int | None
    about: str | None
    conversations: tuple[int, ...] = ()  # those that a list showed
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cursor:
    """Where a page begins: after that line."""

    at: datetime
    id: int


@dataclass(frozen=True)
class LogPage:
    """Lines, newest first, and where the next page begins."""

    lines: tuple[Line, ...]
    following: Cursor | None


@dataclass(frozen=True)
class Actor:
    """Somebody whose name may stand in the audit."""

    id: int
    name: str
    disabled: bool


class AuditLog:
    """The audit, for those who may read it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, user: User, wanted: Wanted, now: datetime, after: Cursor | None = None, size: int = PAGE
    ) -> LogPage:
        """A page; that this user read it is recorded. Raises NotAllowed."""
        _must_read(user)
        async with self._database.begin() as connection:
            rows = await _read(connection, wanted, after, size + 1)
            further: dict[str, Any] = {"further": True} if after else {}
            await audit.record(connection, now, user.id, "audit_read", **wanted.as_detail(), **further)
        lines = tuple(_line(row) for row in rows[:size])
        return LogPage(lines, Cursor(lines[-1].at, lines[-1].id) if len(rows) > size else None)

    async def file(self, user: User, wanted: Wanted, now: datetime) -> AsyncIterator[Sequence[Line]]:
        """Everything that is wanted, in batches; the export is recorded before the first leaves. Raises NotAllowed."""
        _must_read(user)
        if not user.may(Capability.EXPORT):
            raise NotAllowed("Votre rôle ne permet pas d’exporter le journal.")
        async with self._database.begin() as connection:
            newest = await connection.scalar(text("SELECT coalesce(max(id), 0) FROM audit"))
            await audit.record(connection, now, user.id, "export", what="journal", **wanted.as_detail())
        after = None
        while True:
            async with self._database.begin() as connection:
                rows = await _read(connection, wanted, after, BATCH)
            if not rows:
                return
            # What is recorded while the file is read is not of it.
            yield [_line(row) for row in rows if row.id <= int(newest or 0)]
            after = Cursor(rows[-1].at, rows[-1].id)

    async def actors(self) -> Sequence[Actor]:
        """Everybody who has or had an account, by name."""
        query = text("SELECT id, name, disabled_at IS NOT NULL AS disabled FROM users ORDER BY lower(name), id")
        async with self._database.begin() as connection:
            return [Actor(row.id, row.name, row.disabled) for row in await connection.execute(query)]


def _must_read(user: User) -> None:
    if not user.may(Capability.READ_AUDIT):
        raise NotAllowed("Le journal s’ouvre aux auditeurs et aux administrateurs.")


async def _read(connection: AsyncConnection, wanted: Wanted, after: Cursor | None, limit: int) -> Sequence[Row[Any]]:
    conditions, values = _conditions(wanted)
    if after is not None:
        conditions.append("(a.at, a.id) < (:after_at, :after_id)")
        values.update(after_at=after.at, after_id=after.id)
    where = " AND ".join(conditions) or "true"
    # The page is cut first, so that names are looked up for its lines alone.
    query = f"""
        SELECT p.*, u.name AS who, u.role, s.name AS about FROM (
            SELECT a.id, a.at, a.user_id, a.action, a.conversation_id, a.subject_id, a.conversations, a.detail FROM audit a
            WHERE {where} ORDER BY a.at DESC, a.id DESC LIMIT :limit) p
        LEFT JOIN users u ON u.id = p.user_id LEFT JOIN users s ON s.id = p.subject_id
        ORDER BY p.at DESC, p.id DESC
    """  # noqa: S608
    return (await connection.execute(text(query), {**values, "limit": limit})).all()


# Two indexes, each asked for itself: a condition with OR would read the lines one by one, newest first.
_OF_CONVERSATION = """a.id IN (
    SELECT id FROM audit WHERE conversation_id = :conversation
    UNION ALL SELECT id FROM audit WHERE conversations @> ARRAY[CAST(:conversation AS bigint)])"""


def _conditions(wanted: Wanted) -> tuple[list[str], dict[str, Any]]:
    """SQL of our own with its values; what is not looked for is not in it, so that each filter reads its index."""
    conditions: list[str] = []
    values: dict[str, Any] = {}
    given = {
        "a.user_id = :person": wanted.person,
        "a.at >= :since": wanted.since,
        "a.at < :until": wanted.until,
    }
    for condition, value in given.items():
        if value is not None:
            conditions.append(condition)
            values[condition.rpartition(":")[2]] = value
    if wanted.conversation is not None:
        conditions.append(_OF_CONVERSATION)
        values["conversation"] = wanted.conversation
    if wanted.system:
        conditions.append("a.user_id IS NULL")
    if len(wanted.actions) == 1:
        conditions.append("a.action = :action")
        values["action"] = wanted.actions[0]
    elif wanted.actions:
        conditions.append("a.action = ANY(:actions)")
        values["actions"] = list(wanted.actions)
    return conditions, values


def _line(row: Row[Any]) -> Line:
    return Line(
        row.id,
        row.at,
        row.who,
        row.role,
        row.action,
        row.conversation_id,
        row.about,
        tuple(row.conversations or ()),
        row.detail or {},
    )
