"""A conversation's thread: what the person said, what we answered, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from bot.core.clean import clean
from bot.policy.rights import Capability
from bot.store import audit
from bot.store.accounts import User
from bot.store.desk.access import SPOKEN, Conversation, Desk, last_seen
from bot.store.desk.said import Said, said_of

THREAD = 200  # entries of a thread that are read at first
THREAD_AT_MOST = 5000

_SHOWN = (*SPOKEN, "echo", "reaction")


@dataclass(frozen=True)
class Entry:
    """One line of the thread. `author`: person, inbox, bot, night, emergency, agent, system, reaction."""

    id: str
    author: str
    at: datetime
    said: Said
    agent: str | None = None
    intent: str | None = None
    confidence: float | None = None
    standby: bool = False
    status: str | None = None
    delivered_at: datetime | None = None
    read_at: datetime | None = None
    error_slug: str | None = None
    error_remedy: str | None = None
    quick_replies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Thread:
    """A conversation's entries, oldest first. `seen`: id of the last thing that the person did."""

    entries: tuple[Entry, ...]
    seen: int
    more: bool


_EVENTS = text("""
    SELECT id, kind, channel, mid, target, at, body, disposition, reason, intent, confidence FROM events
    WHERE conversation_id = :id AND kind = ANY(:kinds) ORDER BY at DESC, id DESC LIMIT :limit
""")
_OUTBOX = text("""
    SELECT o.id, o.author, o.message, o.status, o.created_at, o.sent_at, o.delivered_at, o.read_at, o.error_slug,
           o.error_remedy, u.name AS agent
    FROM outbox o LEFT JOIN users u ON u.id = o.user_id
    WHERE o.conversation_id = :id ORDER BY o.id DESC LIMIT :limit
""")


class ThreadStore:
    """Threads, and who looked at them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def thread(self, user: User, conversation_id: int, limit: int = THREAD) -> tuple[Conversation, Thread]:
        """The conversation with its last `limit` entries."""
        limit = max(1, min(limit, THREAD_AT_MOST))
        async with self._desk.database.begin() as connection:
            conversation = await self._desk.access(connection, user, conversation_id, Capability.READ)
            values = {"id": conversation_id, "limit": limit + 1}
            events = (await connection.execute(_EVENTS, {**values, "kinds": list(_SHOWN)})).all()
            sent = (await connection.execute(_OUTBOX, values)).all()
            seen = await last_seen(connection, conversation_id)
        entries = [*self._of_events(events), *(self._of_outbox(row) for row in sent)]
        # At the same moment, what a person said stands before what answers it.
        entries.sort(key=lambda e: (e.at, e.id[0] == "o", int(e.id[1:])))
        more = len(events) > limit or len(sent) > limit or len(entries) > limit
        return conversation, Thread(tuple(entries[-limit:]), seen, more)

    async def seen_page(self, user: User, conversation_id: int, now: datetime) -> None:
        """Note that this user opened the conversation's page."""
        async with self._desk.database.begin() as connection:
            await audit.record(connection, now, user.id, "view", conversation_id)

    def _of_events(self, newest_first: Sequence[Row[Any]]) -> list[Entry]:
        entries: dict[str, Entry] = {}
        for row in reversed(newest_first):
            said = said_of(self._desk.codec, row.kind, row.body)
            if row.kind == "unsend" or (row.kind == "echo" and row.reason not in ("inbox_reply", "inbox_automation")):
                continue
            if row.kind == "edit" and row.target in entries:
                before = entries[row.target]
                entries[row.target] = _edited(before, said, row)
                continue
            author = {"echo": "inbox", "reaction": "reaction"}.get(row.kind, "person")
            entries[row.mid if row.mid and row.kind != "reaction" else f"e{row.id}"] = Entry(
                id=f"e{row.id}",
                author=author,
                at=row.at,
                said=said,
                intent=row.intent,
                confidence=row.confidence,
                standby=row.channel == "standby",
            )
        return list(entries.values())

    def _of_outbox(self, row: Row[Any]) -> Entry:
        message = self._desk.codec.open_json(row.message, "outbox.message")
        return Entry(
            id=f"o{row.id}",
            author=row.author,
            at=row.created_at,
            said=Said(clean(message["text"]), kind="sent"),
            agent=row.agent,
            status=row.status,
            delivered_at=row.delivered_at,
            read_at=row.read_at,
            error_slug=row.error_slug,
            error_remedy=row.error_remedy,
            quick_replies=tuple(title for title, _ in message.get("quick_replies", ())),
        )


def _edited(before: Entry, said: Said, row: Row[Any]) -> Entry:
    """The entry with its newest text, what it was understood as included."""
    if before.said.withdrawn:
        return before
    shown = Said(
        said.text,
        before.said.attachments,
        before.said.kind,
        said.withdrawn,
        edited=not said.withdrawn,
        before=before.said.text,
        reply_to=before.said.reply_to,
    )
    return Entry(
        id=before.id,
        author=before.author,
        at=before.at,
        said=shown,
        intent=row.intent or before.intent,
        confidence=row.confidence if row.intent else before.confidence,
        standby=before.standby,
    )
