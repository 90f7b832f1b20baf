"""A conversation's thread: what the person said, what we answered, in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.clean import clean
from bot.core.dialogue import Link
from bot.core.messages import Attachment
from bot.policy.rights import Capability
from bot.store import audit, places, understanding
from bot.store.accounts import User
from bot.store.conversations import PROFILE
from bot.store.desk.access import Conversation, Desk, last_seen
from bot.store.desk.said import UNREADABLE, Said, said_of
from bot.store.outbox import links_of

PAGE = 100  # entries that are read at once
GROWS_TO = 400  # a page that stays open grows with what is said, up to here
EARLIER = 20  # hand-offs before the present one

_SHOWN = (
    "text", "quick_reply", "attachment", "postback", "edit", "unsupported", "empty", "echo", "reaction"
)  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LATEST = 253_402_300_799_000_000  # the end of the year 9999


def mark(at: datetime) -> int:
    """A moment as it stands in an address: microseconds since 1970."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def moment(mark: int | None) -> datetime | None:
    """The moment of a mark; None for what is none."""
    return None if mark is None or not 0 < mark <= _LATEST else _EPOCH + timedelta(microseconds=mark)


@dataclass(frozen=True)
class Part:
    """Which part of a thread is wanted; the newest entries when nothing is given.

    `since`: everything from then on, as long as that is not too much (else the newest); `before`: the last ones before
    then; `start`: the first ones from then on.
    """

    since: datetime | None = None
    before: datetime | None = None
    start: datetime | None = None


@dataclass(frozen=True)
class Entry:
    """One line of the thread. `author`: person, inbox, bot, night, emergency, agent, system, reaction."""

    id: str
    author: str
    at: datetime
    said: Said
    agent: str | None = None
    validators: tuple[str, ...] = ()  # who agreed to it before it left
    intent: str | None = None
    confidence: float | None = None
    found: Mapping[str, str] = field(default_factory=dict)  # what the engine found in it: field → value
    standby: bool = False
    status: str | None = None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    read_at: datetime | None = None
    error_slug: str | None = None
    error_remedy: str | None = None
    quick_replies: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()  # of the text, as in Reply


@dataclass(frozen=True)
class Past:
    """A hand-off of the same person that is over."""

    id: int
    category: str
    priority: int
    intent: str | None
    reason: str
    opened_at: datetime
    closed_at: datetime | None
    outcome: str | None
    close_reason: str | None
    agent: str | None


@dataclass(frozen=True)
class Person:
    """Whom we talk with, as the platform names them. `since`: when the conversation began."""

    name: str | None
    username: str | None
    since: datetime


@dataclass(frozen=True)
class Thread:
    """A part of a conversation, oldest first. `seen`: id of the last thing that the person did.

    `older`: there is more before this moment. `newer`: there is more after the last entry. `changes`: grows when an
    earlier message was edited or withdrawn.
    """

    entries: tuple[Entry, ...]
    seen: int
    older: datetime | None
    newer: bool
    changes: int
    earlier: tuple[Past, ...]
    person: Person

    @property
    def more(self) -> bool:
        """Whether something was said before this part."""
        return self.older is not None

    @property
    def since(self) -> datetime | None:
        """Where this part begins."""
        return self.entries[0].at if self.entries else None


def _events(condition: str, order: str) -> str:
    return f"""
        SELECT id, kind, channel, mid, target, at, body, disposition, reason, intent, confidence, entities,
            {places.event("events")} FROM events
        WHERE conversation_id = :id AND kind = ANY(:kinds)
          AND (kind <> 'echo' OR reason IN ('inbox_reply', 'inbox_automation')) {condition}
        ORDER BY at {order}, id {order} LIMIT :limit
    """  # noqa: S608


def _outbox(condition: str, order: str) -> str:
    return f"""
        SELECT o.id, o.conversation_id, o.author, o.message, o.status, o.created_at AS at, o.sent_at, o.delivered_at, o.read_at,
               o.error_slug, o.error_remedy, u.name AS agent,
               ARRAY(SELECT d.name FROM submissions s JOIN validations v ON v.submission_id = s.id
                     JOIN users d ON d.id = v.user_id WHERE s.outbox_id = o.id ORDER BY v.step) AS validators
        FROM outbox o LEFT JOIN users u ON u.id = o.user_id
        WHERE o.conversation_id = :id {condition.replace("at", "o.created_at")}
        ORDER BY o.created_at {order}, o.id {order} LIMIT :limit
    """  # noqa: S608


_BEFORE, _SINCE = "AND at < :moment", "AND at >= :moment"
_QUERIES = {
    (condition, order): (text(_events(condition, order)), text(_outbox(condition, order)))
    for condition, order in (("", "DESC"), (_BEFORE, "DESC"), (_SINCE, "ASC"))
}
_IS_OLDER = text("""
    SELECT EXISTS (SELECT FROM events WHERE conversation_id = :id AND kind = ANY(:kinds) AND at < :moment
                     AND (kind <> 'echo' OR reason IN ('inbox_reply', 'inbox_automation')))
        OR EXISTS (SELECT FROM outbox WHERE conversation_id = :id AND created_at < :moment)
""")
_EDITS = text(f"""
    SELECT id, target, at, body, kind, intent, confidence, entities, {places.event("events")} FROM events
    WHERE conversation_id = :id AND kind = 'edit' AND target = ANY(:mids) ORDER BY at, id
""")  # noqa: S608 (names of ours)
_KNOWN = text("""
    SELECT mid FROM events WHERE conversation_id = :id AND mid = ANY(:mids) AND kind NOT IN ('edit', 'unsend', 'reaction')
""")
_CHANGES = text("""
    SELECT coalesce(max(id), 0) FROM events WHERE conversation_id = :id AND kind IN ('edit', 'unsend')
""")
_PAST = text("""
    SELECT h.id, h.category, h.priority, h.intent, h.reason, h.opened_at, h.closed_at, h.outcome, h.close_reason,
           u.name AS agent
    FROM handoffs h LEFT JOIN users u ON u.id = h.user_id
    WHERE h.conversation_id = :id AND h.id <> :present ORDER BY h.id DESC LIMIT :limit
""")
_ATTACHED = text(f"""
    SELECT kind, body, {places.event("events")} FROM events
    WHERE id = :event AND conversation_id = :id AND kind = ANY(:kinds)
""")  # noqa: S608


@dataclass(frozen=True)
class _Rows:
    """Events and messages of ours, merged in order."""

    rows: list[tuple[bool, Row[Any]]]  # whether it is ours
    older: datetime | None
    newer: bool


class ThreadStore:
    """Threads, their attachments, and who looked at them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def thread(
        self, user: User, conversation_id: int, now: datetime, part: Part | None = None, page: str = ""
    ) -> tuple[Conversation, Thread]:
        """The conversation with a part of its thread; that this user saw it is recorded, once in a while.

        `page`: the one that shows it, where that is not its own.
        """
        async with self._desk.database.begin() as connection:
            conversation = await self._desk.access(connection, user, conversation_id, Capability.READ)
            through = {"page": page} if page else {}
            await audit.record_once(connection, now, user.id, "view", conversation_id, **through)
            found = await self._rows(connection, conversation_id, part or Part())
            entries = await self._entries(connection, conversation_id, found.rows)
            seen = await last_seen(connection, conversation_id)
            changes = int(await connection.scalar(_CHANGES, {"id": conversation_id}) or 0)
            earlier = await self._earlier(connection, conversation)
            person = await self._person(connection, conversation_id)
        return conversation, Thread(tuple(entries), seen, found.older, found.newer, changes, earlier, person)

    async def part(
        self, connection: AsyncConnection, conversation_id: int, part: Part
    ) -> tuple[list[Entry], datetime | None, bool]:
        """What was said, whether there is more before (its moment) and after; for whoever has come through a door and said so
        in the audit."""
        found = await self._rows(connection, conversation_id, part)
        return await self._entries(connection, conversation_id, found.rows), found.older, found.newer

    async def attachment(self, user: User, conversation_id: int, event: int, number: int) -> Attachment | None:
        """One attachment of a message; None when there is none, or it was withdrawn."""
        async with self._desk.database.begin() as connection:
            await self._desk.access(connection, user, conversation_id, Capability.READ)
            values = {"id": conversation_id, "event": event, "kinds": list(_SHOWN)}
            row = (await connection.execute(_ATTACHED, values)).one_or_none()
        said = said_of(self._desk.codec, row.kind, row.body, row.place) if row is not None else Said()
        attachments = said.attachments
        return attachments[number] if 0 <= number < len(attachments) else None

    async def attachment_seen(
        self, user: User, conversation_id: int, event: int, number: int, now: datetime, **detail: Any
    ) -> None:
        """Record that this user was shown an attachment; its player asks for it many times."""
        async with self._desk.database.begin() as connection:
            await audit.record_once(
                connection,
                now,
                user.id,
                "attachment_viewed",
                conversation_id,
                event=event,
                number=number,
                **detail,
            )

    # -- which rows ----------------------------------------------------------------------------------------------

    async def _rows(self, connection: AsyncConnection, conversation_id: int, part: Part) -> _Rows:
        if part.since is not None:
            rows = await self._read(connection, conversation_id, (_SINCE, "ASC"), GROWS_TO + 1, part.since)
            if len(rows) <= GROWS_TO:
                return _Rows(rows, await self._is_older(connection, conversation_id, part.since), newer=False)
        elif part.start is not None:
            rows = await self._read(connection, conversation_id, (_SINCE, "ASC"), PAGE + 1, part.start)
            older = await self._is_older(connection, conversation_id, part.start)
            return _Rows(_first(rows, PAGE), older, newer=len(rows) > PAGE)
        which = ("", "DESC") if part.before is None else (_BEFORE, "DESC")
        rows = await self._read(connection, conversation_id, which, PAGE + 1, part.before)
        shown = _last(rows, PAGE)
        older = shown[0][1].at if len(rows) > PAGE else None
        return _Rows(shown, older, newer=part.before is not None)

    async def _read(
        self,
        connection: AsyncConnection,
        conversation_id: int,
        which: tuple[str, str],
        limit: int,
        at: datetime | None = None,
    ) -> list[tuple[bool, Row[Any]]]:
        """At most `limit` rows of both kinds in order; the newest ones when they were read backwards."""
        values: dict[str, Any] = {"id": conversation_id, "limit": limit}
        if which[0]:
            values["moment"] = at
        events, outbox = _QUERIES[which]
        said = (await connection.execute(events, {**values, "kinds": list(_SHOWN)})).all()
        sent = (await connection.execute(outbox, values)).all()
        # At the same moment, what a person said stands before what answers it.
        rows = sorted([*((False, r) for r in said), *((True, r) for r in sent)], key=lambda r: (r[1].at, r[0], r[1].id))
        return rows[-limit:] if which[1] == "DESC" else rows[:limit]

    async def _is_older(self, connection: AsyncConnection, conversation_id: int, at: datetime) -> datetime | None:
        values = {"id": conversation_id, "kinds": list(_SHOWN), "moment": at}
        return at if await connection.scalar(_IS_OLDER, values) else None

    # -- what they say -------------------------------------------------------------------------------------------

    async def _entries(
        self, connection: AsyncConnection, conversation_id: int, rows: Sequence[tuple[bool, Row[Any]]]
    ) -> list[Entry]:
        """Rows as entries; edits stand with what they change, whenever they came."""
        said = [row for ours, row in rows if not ours]
        mids = [row.mid for row in said if row.mid and row.kind not in ("edit", "reaction")]
        edits: dict[str, list[Row[Any]]] = {}
        if mids:
            for row in await connection.execute(_EDITS, {"id": conversation_id, "mids": mids}):
                edits.setdefault(row.target, []).append(row)
        # An edit whose message never came stands for it; the last one tells.
        strays = {row.target: row for row in said if row.kind == "edit" and row.target not in edits}
        if strays:
            known = await connection.execute(_KNOWN, {"id": conversation_id, "mids": list(strays)})
            for mid in known.scalars():
                strays.pop(mid, None)
        entries = []
        for ours, row in rows:
            if ours:
                entries.append(self._of_outbox(row))
            elif row.kind != "edit":
                changes = edits.get(row.mid, ()) if row.kind != "reaction" else ()
                entries.append(self._of_event(row, changes))
            elif strays.get(row.target) is row:
                entries.append(self._of_event(row, ()))
        return entries

    def _of_event(self, row: Row[Any], edits: Sequence[Row[Any]]) -> Entry:
        codec = self._desk.codec
        entry = Entry(
            id=f"e{row.id}",
            author={"echo": "inbox", "reaction": "reaction"}.get(row.kind, "person"),
            at=row.at,
            said=said_of(codec, row.kind, row.body, row.place),
            intent=row.intent,
            confidence=row.confidence,
            found=understanding.opened(codec, row.id, row.entities),
            standby=row.channel == "standby",
        )
        written = row.at
        for edit in edits:
            entry = self._edited(entry, written, edit)
            written = edit.at
        return entry

    def _edited(self, before: Entry, written: datetime, row: Row[Any]) -> Entry:
        """The entry with its newer text, what it was understood as included."""
        new = said_of(self._desk.codec, row.kind, row.body, row.place)
        if before.said.withdrawn or new.withdrawn:
            return replace(before, said=replace(before.said, text="", withdrawn=True, earlier=()))
        earlier = (*before.said.earlier, (written, before.said.text))
        said = replace(before.said, text=new.text, edited=True, earlier=earlier)
        if row.intent is None:
            return replace(before, said=said)
        found = understanding.opened(self._desk.codec, row.id, row.entities)
        return replace(before, said=said, intent=row.intent, confidence=row.confidence, found=found)

    def _of_outbox(self, row: Row[Any]) -> Entry:
        message = self._desk.codec.readable_json(row.message, "outbox.message", row.conversation_id, row.id)
        return Entry(
            id=f"o{row.id}",
            author=row.author,
            at=row.at,
            said=Said(kind=UNREADABLE) if message is None else Said(clean(message["text"]), kind="sent"),
            agent=row.agent,
            validators=tuple(row.validators),
            status=row.status,
            sent_at=row.sent_at,
            delivered_at=row.delivered_at,
            read_at=row.read_at,
            error_slug=row.error_slug,
            error_remedy=row.error_remedy,
            quick_replies=tuple(title for title, _ in (message or {}).get("quick_replies", ())),
            links=links_of(message or {}),
        )

    # -- about the person ----------------------------------------------------------------------------------------

    async def _earlier(self, connection: AsyncConnection, conversation: Conversation) -> tuple[Past, ...]:
        present = conversation.handoff.id if conversation.handoff else 0
        values = {"id": conversation.id, "present": present, "limit": EARLIER}
        return tuple(Past(**row._mapping) for row in await connection.execute(_PAST, values))

    async def _person(self, connection: AsyncConnection, conversation_id: int) -> Person:
        query = text("SELECT profile, created_at FROM conversations WHERE id = :id")
        row = (await connection.execute(query, {"id": conversation_id})).one()
        profile = self._desk.codec.readable_json(row.profile, PROFILE, conversation_id)
        known = profile if isinstance(profile, dict) else {}
        name, username = (str(known.get(key) or "") or None for key in ("name", "username"))
        return Person(name, username, row.created_at)


def _last(rows: list[tuple[bool, Row[Any]]], size: int) -> list[tuple[bool, Row[Any]]]:
    """The last ones, without parting what happened at the same moment, since the next part begins before it."""
    if len(rows) <= size:
        return rows
    cut = len(rows) - size
    whole = next((i for i in range(cut, len(rows)) if rows[i][1].at != rows[i - 1][1].at), cut)
    return rows[whole:]


def _first(rows: list[tuple[bool, Row[Any]]], size: int) -> list[tuple[bool, Row[Any]]]:
    return rows[:size]
