"""The queue: who waits for a human."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from bot.store.accounts import User
from bot.store.desk.access import CONVERSATION, HANDOFF, Conversation, Desk, Handoff
from bot.store.desk.said import Said, said_of

PAGE = 30

TAKE, MINE, ALL, CLOSED = "a-prendre", "a-moi", "toutes", "closes"
FILTERS = (TAKE, MINE, ALL, CLOSED)


@dataclass(frozen=True)
class QueueRow:
    """One line of the queue."""

    conversation: Conversation
    handoff: Handoff
    words: Said | None
    words_at: datetime | None


@dataclass(frozen=True)
class Cursor:
    """Where a page of the queue begins: after that line."""

    priority: int
    at: datetime
    id: int


@dataclass(frozen=True)
class Queue:
    """A page of the queue, with how many stand under each filter."""

    rows: tuple[QueueRow, ...]
    counts: Mapping[str, int]
    following: Cursor | None


_WHERE = {
    TAKE: "h.closed_at IS NULL AND c.owner <> 'agent'",
    MINE: "h.closed_at IS NULL AND c.owner = 'agent' AND c.agent_id = :user",
    ALL: "h.closed_at IS NULL",
    CLOSED: "h.closed_at IS NOT NULL",
}
_AFTER_OPEN = "AND (h.priority, h.opened_at, h.id) > (:priority, CAST(:at AS timestamptz), :after)"
_AFTER_CLOSED = "AND (h.closed_at, h.id) < (CAST(:at AS timestamptz), :after)"


def _queue_sql(which: str, after: bool) -> str:
    closed = which == CLOSED
    order = "h.closed_at DESC, h.id DESC" if closed else "h.priority, h.opened_at, h.id"
    begin = (_AFTER_CLOSED if closed else _AFTER_OPEN) if after else ""
    agent = "h.user_id" if closed else "c.agent_id"
    return f"""
        SELECT {CONVERSATION}, {HANDOFF}, e.body AS words, e.at AS words_at, e.kind AS words_kind
        FROM handoffs h JOIN conversations c ON c.id = h.conversation_id LEFT JOIN users u ON u.id = {agent}
        LEFT JOIN LATERAL (
            SELECT body, at, kind FROM events WHERE conversation_id = c.id
              AND kind IN ('text', 'quick_reply', 'attachment', 'postback', 'edit', 'unsupported', 'empty')
            ORDER BY at DESC, id DESC LIMIT 1) e ON true
        WHERE {_WHERE[which]} {begin} ORDER BY {order} LIMIT :limit
    """  # noqa: S608


_COUNTS = text("""
    SELECT count(*) FILTER (WHERE c.owner <> 'agent') AS take,
           count(*) FILTER (WHERE c.owner = 'agent' AND c.agent_id = :user) AS mine, count(*) AS total
    FROM handoffs h JOIN conversations c ON c.id = h.conversation_id WHERE h.closed_at IS NULL
""")


class QueueStore:
    """Pages of the queue."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def page(self, user: User, which: str, after: Cursor | None = None, size: int = PAGE) -> Queue:
        """A page of the queue: open hand-offs by priority, then age; closed ones newest first."""
        values: dict[str, Any] = {"limit": size + 1}
        if which == MINE:
            values["user"] = user.id
        if after is not None:
            values.update(at=after.at, after=after.id)
            if which != CLOSED:
                values["priority"] = after.priority
        async with self._desk.database.begin() as connection:
            rows = (await connection.execute(text(_queue_sql(which, after is not None)), values)).all()
            counts = (await connection.execute(_COUNTS, {"user": user.id})).one()
        shown = tuple(self._queue_row(row) for row in rows[:size])
        following = None
        if len(rows) > size:
            last = shown[-1].handoff
            following = Cursor(last.priority, last.closed_at or last.opened_at, last.id)
        return Queue(shown, {TAKE: counts.take, MINE: counts.mine, ALL: counts.total}, following)

    def _queue_row(self, row: Row[Any]) -> QueueRow:
        handoff = self._desk.handoff(row)
        assert handoff is not None
        words = None if row.words is None else said_of(self._desk.codec, row.words_kind, row.words)
        return QueueRow(self._desk.conversation(row), handoff, words, row.words_at)
