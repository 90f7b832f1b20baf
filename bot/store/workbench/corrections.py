"""Who changed which training example, when, because of which messages, and who took it back.

An example is public (it stands in `data/`), so it is kept in clear; messages are numbers only. The files are the truth: a row says
what was done to them once, not what they hold now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store import audit, news
from bot.store.user import User

ACTIONS = {"add": "example_added", "remove": "example_removed", "move": "example_moved", "edit": "example_edited"}


class Change(Protocol):
    """What is kept of an operation (`bot.trainer.corpus.Operation`)."""

    @property
    def kind(self) -> str:
        """add, remove, move or edit."""

    @property
    def file(self) -> str:
        """From the project's root."""

    @property
    def intent(self) -> str:
        """Which had the example, or got the new one."""

    @property
    def marked(self) -> str:
        """The example as it stood, or as it was added."""

    @property
    def to_intent(self) -> str | None:
        """Where it was moved."""

    @property
    def to_marked(self) -> str | None:
        """What it became."""


@dataclass(frozen=True)
class Correction:
    """One of them. `before`: the example after which the changed one stood; `by`, `undone_by`: accounts as they are named now."""

    id: int
    at: datetime
    by: str
    kind: str
    file: str
    intent: str
    marked: str
    to_intent: str | None
    to_marked: str | None
    before: str | None
    events: tuple[int, ...]
    undone_at: datetime | None
    undone_by: str | None

    @property
    def target(self) -> str:
        """The intent that had the example afterwards."""
        return self.to_intent or self.intent

    @property
    def result(self) -> str:
        """The example as it stood afterwards."""
        return self.to_marked or self.marked


_SELECT = """
    SELECT c.id, c.at, u.name AS by, c.kind, c.file, c.intent, c.marked, c.to_intent, c.to_marked, c.before, c.events,
        c.undone_at, v.name AS undone_by
    FROM corrections c LEFT JOIN users u ON u.id = c.user_id LEFT JOIN users v ON v.id = c.undone_by
"""


class Corrections:
    """Each call belongs in the transaction in which the files are changed."""

    @staticmethod
    async def record(
        connection: AsyncConnection,
        at: datetime,
        user: User,
        change: Change,
        events: Sequence[int] = (),
        before: str | None = None,
    ) -> int:
        """Keep a change, audited; its number. `events`: the messages that it comes from; `before`: as in Correction."""
        number = await connection.scalar(
            text("""
                INSERT INTO corrections (at, user_id, kind, file, intent, marked, to_intent, to_marked, before, events)
                VALUES (:at, :user, :kind, :file, :intent, :marked, :to_intent, :to_marked, :before, :events) RETURNING id
            """),
            {
                "at": at,
                "user": user.id,
                "kind": change.kind,
                "file": change.file,
                "intent": change.intent,
                "marked": change.marked,
                "to_intent": change.to_intent,
                "to_marked": change.to_marked,
                "before": before,
                "events": list(events),
            },
        )
        number = int(number or 0)
        await audit.record(
            connection, at, user.id, ACTIONS[change.kind], correction=number, intent=change.to_intent or change.intent
        )
        await news.topic(connection, "workbench")
        return number

    @staticmethod
    async def get(connection: AsyncConnection, number: int, lock: bool = False) -> Correction | None:
        """One of them; `lock`: until the transaction ends."""
        rows = await connection.execute(
            text(f"{_SELECT} WHERE c.id = :id {'FOR UPDATE OF c' if lock else ''}"), {"id": number}
        )
        row = rows.one_or_none()
        return None if row is None else _correction(row)

    @staticmethod
    async def undone(connection: AsyncConnection, at: datetime, user: User, number: int) -> None:
        """Mark one as taken back, audited."""
        await connection.execute(
            text("UPDATE corrections SET undone_at = :at, undone_by = :user WHERE id = :id AND undone_at IS NULL"),
            {"at": at, "user": user.id, "id": number},
        )
        await audit.record(connection, at, user.id, "correction_undone", correction=number)
        await news.topic(connection, "workbench")

    @staticmethod
    async def discarded(connection: AsyncConnection, at: datetime, user: User, numbers: Sequence[int]) -> None:
        """Their file went back to its last commit: these are taken back with it."""
        await connection.execute(
            text("""
                UPDATE corrections SET undone_at = :at, undone_by = :user
                WHERE id = ANY(CAST(:ids AS bigint[])) AND undone_at IS NULL
            """),
            {"at": at, "user": user.id, "ids": list(numbers)},
        )

    @staticmethod
    async def standing(connection: AsyncConnection, file: str, limit: int | None = None) -> list[Correction]:
        """Those of a file that nobody took back, the newest first."""
        rows = await connection.execute(
            text(f"{_SELECT} WHERE c.file = :file AND c.undone_at IS NULL ORDER BY c.id DESC LIMIT :limit"),
            {"file": file, "limit": limit},
        )
        return [_correction(row) for row in rows]

    @staticmethod
    async def of_intent(connection: AsyncConnection, intent: str) -> list[Correction]:
        """Those that an intent has to do with and that nobody took back, the newest first; locked until the transaction ends."""
        rows = await connection.execute(
            text(f"""
                {_SELECT} WHERE (c.intent = :intent OR c.to_intent = :intent) AND c.undone_at IS NULL
                ORDER BY c.id DESC FOR UPDATE OF c
            """),
            {"intent": intent},
        )
        return [_correction(row) for row in rows]

    @staticmethod
    async def last(connection: AsyncConnection, limit: int, intent: str | None = None) -> list[Correction]:
        """The newest first, of one intent if it is named."""
        rows = await connection.execute(
            text(f"""
                {_SELECT} WHERE CAST(:intent AS text) IS NULL OR c.intent = :intent OR c.to_intent = :intent
                ORDER BY c.id DESC LIMIT :limit
            """),
            {"limit": limit, "intent": intent},
        )
        return [_correction(row) for row in rows]


def _correction(row: Any) -> Correction:
    return Correction(
        row.id,
        row.at,
        row.by or "compte supprimé",
        row.kind,
        row.file,
        row.intent,
        row.marked,
        row.to_intent,
        row.to_marked,
        row.before,
        tuple(row.events),
        row.undone_at,
        row.undone_by,
    )
