"""Who changed which reply, or question of the catalogue, when, and the lines before and after: to be seen and undone.

Both are public: kept in clear. A question is named by its id (`intent/question`), which no reply's name looks like.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store import audit, news
from bot.store.user import User

Lines = tuple[str, str, str]  # a reply's or a question's name, its lines before, its lines after


@dataclass(frozen=True)
class Change:
    """One saving. `by`: the account's name; `undone_at`: None while it stands."""

    id: int
    at: datetime
    by: str
    moves: tuple[Lines, ...]
    undone_at: datetime | None
    undone_by: str | None


_SELECT = """
    SELECT c.id, c.changed_at, u.name AS by, c.moves, c.undone_at, v.name AS undone_by
    FROM reply_changes c LEFT JOIN users u ON u.id = c.user_id LEFT JOIN users v ON v.id = c.undone_by
"""


async def record(connection: AsyncConnection, at: datetime, user: User, moves: Sequence[Lines]) -> int:
    """Keep a change, audited; its number. In the transaction in which the file is written."""
    number = await connection.scalar(
        text("""
            INSERT INTO reply_changes (changed_at, user_id, names, moves)
            VALUES (:at, :user, :names, CAST(:moves AS jsonb)) RETURNING id
        """),
        {
            "at": at,
            "user": user.id,
            "names": [move[0] for move in moves],
            "moves": json.dumps([list(m) for m in moves]),
        },
    )
    await audit.record(connection, at, user.id, "reply_changed", change=int(number or 0), names=[m[0] for m in moves])
    await news.topic(connection, "workbench")
    return int(number or 0)


async def get(connection: AsyncConnection, number: int, lock: bool = False) -> Change | None:
    """One change; `lock`: until the transaction ends."""
    rows = await connection.execute(
        text(f"{_SELECT} WHERE c.id = :id {'FOR UPDATE OF c' if lock else ''}"), {"id": number}
    )
    row = rows.one_or_none()
    return None if row is None else _change(row)


async def undone(connection: AsyncConnection, at: datetime, user: User, number: int) -> None:
    """Mark a change as taken back, audited."""
    await connection.execute(
        text("UPDATE reply_changes SET undone_at = :at, undone_by = :user WHERE id = :id"),
        {"at": at, "user": user.id, "id": number},
    )
    await audit.record(connection, at, user.id, "reply_undone", change=number)
    await news.topic(connection, "workbench")


async def standing(connection: AsyncConnection) -> list[Change]:
    """All that nobody took back, the newest first."""
    rows = await connection.execute(text(f"{_SELECT} WHERE c.undone_at IS NULL ORDER BY c.id DESC"))
    return [_change(row) for row in rows]


async def discarded(connection: AsyncConnection, at: datetime, user: User, numbers: Sequence[int]) -> None:
    """domain.yml went back to its last commit: these are taken back with it."""
    await connection.execute(
        text("""
            UPDATE reply_changes SET undone_at = :at, undone_by = :user
            WHERE id = ANY(CAST(:ids AS bigint[])) AND undone_at IS NULL
        """),
        {"at": at, "user": user.id, "ids": list(numbers)},
    )


async def of(connection: AsyncConnection, name: str, limit: int = 10) -> list[Change]:
    """The last changes of a reply, the newest first."""
    rows = await connection.execute(
        text(f"{_SELECT} WHERE c.names @> ARRAY[CAST(:name AS text)] ORDER BY c.id DESC LIMIT :n"),
        {"name": name, "n": limit},
    )
    return [_change(row) for row in rows]


def _change(row: object) -> Change:
    moves = tuple((str(a), str(b), str(c)) for a, b, c in row.moves)  # type: ignore[attr-defined]
    return Change(row.id, row.changed_at, row.by or "compte supprimé", moves, row.undone_at, row.undone_by)  # type: ignore[attr-defined]
