"""The agents' desk: the queue, a conversation's thread, and what an agent does to it.

`access_conversation` is the one door to a conversation: every view and every action goes through it.
Each action is one transaction that locks the conversation's row, so that two agents, the gateway and a worker never
decide at the same time; a worker that holds the conversation loses it by the owner's version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.clean import clean
from bot.core.dialogue import QuickReply, Reply
from bot.core.errors import Explained
from bot.core.messages import Attachment, Echo, Edit, Message, Platform, Postback, Reaction, Unknown, body_from_json
from bot.policy import window
from bot.store import handoffs, outbox
from bot.store.accounts import User, audit
from bot.store.codec import Codec
from bot.store.conversations import BODY, PROFILE
from bot.store.db import CONSOLE, DUE, Database, notify

PAGE = 30
THREAD = 200  # entries of a thread that are read at first
THREAD_AT_MOST = 5000
REPLY_AT_MOST = 10_000
AGENT_PRIORITY = 2  # before the bot's replies; emergencies have their own lane

TAKE, MINE, ALL, CLOSED = "a-prendre", "a-moi", "toutes", "closes"
FILTERS = (TAKE, MINE, ALL, CLOSED)

# What a person does that an agent has to have seen before answering.
_SPOKEN = ("text", "quick_reply", "attachment", "postback", "edit", "unsend", "unsupported", "empty")
_SHOWN = (*_SPOKEN, "echo", "reaction")


class DeskError(Explained):
    """The desk refuses; `what` and `remedy` are French, for the agent."""


class NoSuchConversation(DeskError):
    """There is none of that number."""

    def __init__(self) -> None:
        super().__init__("Cette conversation n’existe pas.", "Revenez à la file pour choisir une conversation.")


class NotAllowed(DeskError):
    """The role does not permit it."""

    def __init__(self, what: str = "Votre rôle ne permet pas cette action.") -> None:
        super().__init__(what, "Demandez à un administrateur si vous en avez besoin.")


class Conflict(DeskError):
    """The conversation is not, or no longer, in a state that permits it."""


class Stale(Conflict):
    """The person wrote since the page was shown."""

    def __init__(self, closing: bool = False) -> None:
        what = "la conversation n’a pas été close." if closing else "rien n’a été envoyé."
        again = "puis décidez." if closing else "puis envoyez de nouveau. Votre brouillon est gardé."
        super().__init__(f"La personne vient d’écrire\u00a0: {what}", f"Lisez ce qu’elle dit, {again}")


class BadReply(DeskError):
    """The text cannot be sent."""


@dataclass(frozen=True)
class Handoff:
    """The open hand-off of a conversation, or its last one."""

    id: int
    category: str
    priority: int
    intent: str | None
    reason: str
    old: bool
    opened_at: datetime
    raised_at: datetime
    taken_at: datetime | None
    replied_at: datetime | None
    closed_at: datetime | None
    outcome: str | None
    slots: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Conversation:
    """A conversation as the desk sees it. `agent`: the name of who has it."""

    id: int
    platform: Platform
    name: str | None
    owner: str
    owner_version: int
    agent_id: int | None
    agent: str | None
    standby: bool
    last_person_at: datetime | None
    last_agent_at: datetime | None
    handoff: Handoff | None

    def held_by(self, user: User) -> bool:
        """Whether this user has the conversation."""
        return self.owner == "agent" and self.agent_id == user.id

    @property
    def wrote_again(self) -> bool:
        """Whether the person has written since the last message of an agent."""
        last = self.last_agent_at
        return last is not None and self.last_person_at is not None and self.last_person_at > last


@dataclass(frozen=True)
class Said:
    """Something a person said, as it can be shown."""

    text: str = ""
    attachments: tuple[Attachment, ...] = ()
    kind: str = "text"
    withdrawn: bool = False
    edited: bool = False
    before: str = ""  # the text before the edit
    reply_to: str | None = None  # message | story


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


_HANDOFF = """h.id AS handoff_id, h.category AS handoff_category, h.priority, h.intent, h.reason, h.old, h.opened_at,
    h.raised_at, h.taken_at, h.replied_at, h.closed_at, h.outcome, h.slots"""
_CONVERSATION = """c.id, c.platform, c.profile, c.owner, c.owner_version, c.agent_id, u.name AS agent, c.standby,
    c.last_person_at, c.last_agent_at"""

_OPEN = text(f"""
    SELECT {_CONVERSATION}, {_HANDOFF}
    FROM conversations c LEFT JOIN users u ON u.id = c.agent_id
    LEFT JOIN LATERAL (
        SELECT * FROM handoffs WHERE conversation_id = c.id ORDER BY closed_at IS NULL DESC, id DESC LIMIT 1) h ON true
    WHERE c.id = :id
""")  # noqa: S608

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
        SELECT {_CONVERSATION}, {_HANDOFF}, e.body AS words, e.at AS words_at, e.kind AS words_kind
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


class Desk:
    """What agents see and do. `texts`: replies of domain.yml by name; `buttons`: quick replies by reply name."""

    def __init__(
        self,
        database: Database,
        codec: Codec,
        texts: Mapping[str, str],
        buttons: Mapping[str, Sequence[QuickReply]] | None = None,
    ) -> None:
        self._db = database
        self._codec = codec
        self._texts = texts
        self._buttons = buttons or {}

    # -- seeing --------------------------------------------------------------------------------------------------

    async def queue(self, user: User, which: str, after: Cursor | None = None, size: int = PAGE) -> Queue:
        """A page of the queue: open hand-offs by priority, then age; closed ones newest first."""
        values: dict[str, Any] = {"limit": size + 1}
        if which == MINE:
            values["user"] = user.id
        if after is not None:
            values.update(at=after.at, after=after.id)
            if which != CLOSED:
                values["priority"] = after.priority
        async with self._db.begin() as connection:
            rows = (await connection.execute(text(_queue_sql(which, after is not None)), values)).all()
            counts = (await connection.execute(_COUNTS, {"user": user.id})).one()
        shown = tuple(self._queue_row(row) for row in rows[:size])
        following = None
        if len(rows) > size:
            last = shown[-1].handoff
            following = Cursor(last.priority, last.closed_at or last.opened_at, last.id)
        return Queue(shown, {TAKE: counts.take, MINE: counts.mine, ALL: counts.total}, following)

    def _queue_row(self, row: Row[Any]) -> QueueRow:
        handoff = self._handoff(row)
        assert handoff is not None
        words = None if row.words is None else self._said(row.words_kind, row.words)
        return QueueRow(self._conversation(row), handoff, words, row.words_at)

    async def access_conversation(self, user: User, conversation_id: int, write: bool) -> Conversation:
        """The conversation, if this user may read it (`write`: work on it).

        Raises NotAllowed before it says whether there is such a conversation, else NoSuchConversation.
        """
        async with self._db.begin() as connection:
            return await self._access(connection, user, conversation_id, write)

    async def _access(self, connection: AsyncConnection, user: User, conversation_id: int, write: bool) -> Conversation:
        if not user.reads:
            raise NotAllowed("Votre rôle ne permet pas d’ouvrir les conversations.")
        if write and not user.works:
            raise NotAllowed("Votre rôle permet de lire, pas d’agir sur les conversations.")
        if write:
            await connection.execute(
                text("SELECT 1 FROM conversations WHERE id = :id FOR UPDATE"), {"id": conversation_id}
            )
        row = (await connection.execute(_OPEN, {"id": conversation_id})).one_or_none()
        if row is None:
            raise NoSuchConversation
        return self._conversation(row)

    def _conversation(self, row: Row[Any]) -> Conversation:
        profile = self._codec.open_json(row.profile, PROFILE)
        name = (profile.get("name") or profile.get("username")) if isinstance(profile, dict) else None
        return Conversation(
            id=row.id,
            platform=Platform(row.platform),
            name=str(name) if name else None,
            owner=row.owner,
            owner_version=row.owner_version,
            agent_id=row.agent_id,
            agent=row.agent,
            standby=row.standby,
            last_person_at=row.last_person_at,
            last_agent_at=row.last_agent_at,
            handoff=self._handoff(row),
        )

    def _handoff(self, row: Row[Any]) -> Handoff | None:
        if row.handoff_id is None:
            return None
        slots = self._codec.open_json(row.slots, "handoffs.slots") or {}
        return Handoff(
            id=row.handoff_id,
            category=row.handoff_category,
            priority=row.priority,
            intent=row.intent,
            reason=row.reason,
            old=row.old,
            opened_at=row.opened_at,
            raised_at=row.raised_at,
            taken_at=row.taken_at,
            replied_at=row.replied_at,
            closed_at=row.closed_at,
            outcome=row.outcome,
            slots={str(k): str(v) for k, v in slots.items() if v not in (None, "")},
        )

    async def thread(self, user: User, conversation_id: int, limit: int = THREAD) -> tuple[Conversation, Thread]:
        """The conversation with its last `limit` entries."""
        limit = max(1, min(limit, THREAD_AT_MOST))
        async with self._db.begin() as connection:
            conversation = await self._access(connection, user, conversation_id, write=False)
            values = {"id": conversation_id, "limit": limit + 1}
            events = (await connection.execute(_EVENTS, {**values, "kinds": list(_SHOWN)})).all()
            sent = (await connection.execute(_OUTBOX, values)).all()
            seen = await _last_seen(connection, conversation_id)
        entries = [*self._of_events(events), *(self._of_outbox(row) for row in sent)]
        # At the same moment, what a person said stands before what answers it.
        entries.sort(key=lambda e: (e.at, e.id[0] == "o", int(e.id[1:])))
        more = len(events) > limit or len(sent) > limit or len(entries) > limit
        return conversation, Thread(tuple(entries[-limit:]), seen, more)

    async def seen_page(self, user: User, conversation_id: int, now: datetime) -> None:
        """Note that this user opened the conversation's page."""
        async with self._db.begin() as connection:
            await audit(connection, now, user.id, "view", conversation_id)

    # -- what is shown -------------------------------------------------------------------------------------------

    def _said(self, kind: str, sealed: bytes) -> Said:
        body = body_from_json(self._codec.open_json(sealed, BODY))
        if isinstance(body, Message):
            kind = "unsupported" if body.unsupported else kind
            to = "story" if body.reply_to_story else "message" if body.reply_to_mid else None
            return Said(clean(body.text), body.attachments, kind, reply_to=to)
        if isinstance(body, Postback):
            return Said(clean(body.title), kind="postback")
        if isinstance(body, Edit):
            return Said(clean(body.text), kind="edit", edited=True)
        if isinstance(body, Echo):
            return Said(clean(body.text), body.attachments, "echo")
        if isinstance(body, Reaction):
            emoji = clean(body.emoji or body.name or "")
            return Said(emoji if body.action == "react" else "", kind="reaction")
        return Said(kind=kind, withdrawn=isinstance(body, Unknown) and body.why == "unsent")

    def _of_events(self, newest_first: Sequence[Row[Any]]) -> list[Entry]:
        entries: dict[str, Entry] = {}
        for row in reversed(newest_first):
            said = self._said(row.kind, row.body)
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
        message = self._codec.open_json(row.message, "outbox.message")
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

    # -- working -------------------------------------------------------------------------------------------------

    async def take(self, user: User, conversation_id: int, held_by: int | None, now: datetime) -> None:
        """Take the conversation: the bot is silenced, the person is told once.

        `held_by`: the agent who had it on the page where the button was pressed. Raises Conflict when another has it.
        """
        async with self._db.begin() as connection:
            conversation = await self._access(connection, user, conversation_id, write=True)
            if conversation.held_by(user):
                return
            if conversation.owner == "agent" and conversation.agent_id != held_by:
                raise Conflict(
                    f"{conversation.agent} vient de prendre cette conversation.",
                    "Choisissez-en une autre, ou entendez-vous avec cette personne.",
                )
            handoff = conversation.handoff
            if handoff is None or handoff.closed_at is not None:
                new = handoffs.NewHandoff(conversation_id, "request", "agent")
                handoff_id, _ = await handoffs.open_(connection, self._codec, new, now)
                category = "request"
            else:
                handoff_id, category = handoff.id, handoff.category
            await connection.execute(
                text("""
                    UPDATE conversations SET owner = 'agent', agent_id = :user, owner_version = owner_version + 1,
                        owner_until = NULL, category = :category WHERE id = :id
                """),
                {"user": user.id, "category": category, "id": conversation_id},
            )
            await connection.execute(
                text("UPDATE handoffs SET taken_at = coalesce(taken_at, :now), user_id = :user WHERE id = :id"),
                {"now": now, "user": user.id, "id": handoff_id},
            )
            await outbox.cancel_unsent(connection, conversation_id, "agent_took", now, ("bot", "system"))
            await _settle_pending(connection, conversation_id, "agent", now)
            await self._tell(connection, conversation, "utter_agent_arrive", f"arrive:{handoff_id}", now)
            await self._done(connection, now, user, "take", conversation_id, handoff=handoff_id, held_by=held_by)

    async def reply(
        self, user: User, conversation_id: int, written: str, seen: int, key: str, now: datetime
    ) -> int | None:
        """Queue an agent's message; returns its id, None when the same form was sent before (a double click).

        `seen`: id of the last thing of the person that the page showed; `key`: the form's own name.
        Raises BadReply, Conflict, Stale, window.WindowClosed.
        """
        words = clean(written)
        if not words or not any(c.isprintable() and not c.isspace() for c in words):
            raise BadReply("Votre message est vide.", "Écrivez quelques mots, puis envoyez.")
        if len(words) > REPLY_AT_MOST:
            raise BadReply(
                f"Votre message compte {len(words)} caractères.",
                f"Gardez-en {REPLY_AT_MOST} au plus, ou envoyez-le en plusieurs fois.",
            )
        # The text is part of the name: a form gone back to and changed is another message.
        dedup = "agent:" + hashlib.sha256(f"{user.id}\x00{key}\x00{words}".encode()).hexdigest()[:32]
        async with self._db.begin() as connection:
            conversation = await self._access(connection, user, conversation_id, write=True)
            if await _stands(connection, conversation_id, dedup):
                return None
            _must_hold(conversation, user, "répondre")
            if await _last_seen(connection, conversation_id) > seen:
                raise Stale
            window.tag("agent", conversation.last_person_at, now)
            row = await outbox.add(
                connection,
                self._codec,
                outbox.NewRow(
                    conversation_id,
                    "agent",
                    "agent",
                    Reply(words),
                    now,
                    priority=AGENT_PRIORITY,
                    user_id=user.id,
                    dedup=dedup,
                ),
            )
            await connection.execute(
                text("UPDATE conversations SET last_agent_at = :now WHERE id = :id"),
                {"now": now, "id": conversation_id},
            )
            await connection.execute(
                text("""
                    UPDATE handoffs SET replied_at = coalesce(replied_at, :now), user_id = :user
                    WHERE conversation_id = :id AND closed_at IS NULL
                """),
                {"now": now, "user": user.id, "id": conversation_id},
            )
            await self._done(connection, now, user, "reply", conversation_id, outbox=row, characters=len(words))
            return row

    async def give_back(self, user: User, conversation_id: int, now: datetime) -> None:
        """The bot speaks again, with a fresh dialogue; the person is told once."""
        async with self._db.begin() as connection:
            conversation = await self._access(connection, user, conversation_id, write=True)
            if conversation.owner == "bot":
                return
            if conversation.owner != "inbox":
                _must_hold(conversation, user, "la rendre", administrator=True)
            handoff = await _close_handoff(connection, conversation_id, user, "given_back", now)
            await _release(connection, conversation_id, "bot")
            await outbox.cancel_unsent(connection, conversation_id, "given_back", now, ("system",))
            key = f"revient:{handoff}" if handoff else f"revient:v{conversation.owner_version}"
            await self._tell(connection, conversation, "utter_assistant_revient", key, now)
            await notify(connection, DUE)
            await self._done(connection, now, user, "give_back", conversation_id, handoff=handoff)

    async def close(self, user: User, conversation_id: int, seen: int, now: datetime) -> None:
        """Nothing more is expected; a new message will be the bot's. Raises Stale when the person wrote meanwhile."""
        async with self._db.begin() as connection:
            conversation = await self._access(connection, user, conversation_id, write=True)
            if conversation.owner == "closed":
                return
            if conversation.owner == "agent":
                _must_hold(conversation, user, "la clore", administrator=True)
            if await _last_seen(connection, conversation_id) > seen:
                raise Stale(closing=True)
            handoff = await _close_handoff(connection, conversation_id, user, "closed", now)
            await _release(connection, conversation_id, "closed")
            await outbox.cancel_unsent(connection, conversation_id, "closed", now, ("bot", "system"))
            await _settle_pending(connection, conversation_id, "closed", now)
            await self._done(connection, now, user, "close", conversation_id, handoff=handoff)

    async def _tell(
        self, connection: AsyncConnection, conversation: Conversation, name: str, dedup: str, now: datetime
    ) -> None:
        """One sentence of the system, where the window still lets it leave."""
        try:
            window.tag("system", conversation.last_person_at, now)
        except window.WindowClosed:
            return
        reply = Reply(self._texts[name], tuple(self._buttons.get(name, ())))
        await outbox.add(
            connection,
            self._codec,
            outbox.NewRow(conversation.id, "agent", "system", reply, now, priority=AGENT_PRIORITY, dedup=dedup),
        )

    async def _done(
        self, connection: AsyncConnection, now: datetime, user: User, action: str, conversation_id: int, **detail: Any
    ) -> None:
        await audit(connection, now, user.id, action, conversation_id, json.dumps(detail))
        await notify(connection, CONSOLE, str(conversation_id))


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


def _must_hold(conversation: Conversation, user: User, verb: str, administrator: bool = False) -> None:
    if conversation.held_by(user) or (administrator and user.role == "administrator" and conversation.owner == "agent"):
        return
    if conversation.owner == "agent":
        raise Conflict(
            f"{conversation.agent} a pris cette conversation\u00a0: vous ne pouvez pas {verb}.",
            "Prenez-la d’abord si vous vous êtes entendu avec cette personne. Votre brouillon est gardé.",
        )
    raise Conflict(
        f"Cette conversation n’est pas à vous\u00a0: vous ne pouvez pas {verb}.",
        "Prenez-la d’abord. Votre brouillon est gardé.",
    )


async def _last_seen(connection: AsyncConnection, conversation_id: int) -> int:
    return int(
        await connection.scalar(
            text("""
                SELECT coalesce(max(id), 0) FROM events WHERE conversation_id = :id
                  AND (kind = ANY(:kinds) OR kind = 'echo' AND reason = 'inbox_reply')
            """),
            {"id": conversation_id, "kinds": list(_SPOKEN)},
        )
        or 0
    )


async def _stands(connection: AsyncConnection, conversation_id: int, dedup: str) -> bool:
    return bool(
        await connection.scalar(
            text("SELECT EXISTS (SELECT FROM outbox WHERE conversation_id = :id AND dedup = :dedup)"),
            {"id": conversation_id, "dedup": dedup},
        )
    )


async def _settle_pending(connection: AsyncConnection, conversation_id: int, reason: str, now: datetime) -> None:
    """What waits for the bot is in front of a human now. Echoes stay the worker's: they say who else writes."""
    await connection.execute(
        text("""
            UPDATE events SET disposition = 'to_agent', reason = :reason, settled_at = :now, waiting = NULL
            WHERE conversation_id = :id AND disposition IS NULL AND kind <> 'echo'
        """),
        {"id": conversation_id, "reason": reason, "now": now},
    )


async def _close_handoff(
    connection: AsyncConnection, conversation_id: int, user: User, outcome: str, now: datetime
) -> int | None:
    closed = await connection.scalar(
        text("""
            UPDATE handoffs SET closed_at = :now, outcome = :outcome, user_id = coalesce(user_id, :user)
            WHERE conversation_id = :id AND closed_at IS NULL RETURNING id
        """),
        {"now": now, "outcome": outcome, "user": user.id, "id": conversation_id},
    )
    return None if closed is None else int(closed)


async def _release(connection: AsyncConnection, conversation_id: int, owner: str) -> None:
    await connection.execute(
        text("""
            UPDATE conversations SET owner = :owner, agent_id = NULL, owner_version = owner_version + 1,
                owner_until = NULL, category = 'none', state = NULL WHERE id = :id
        """),
        {"owner": owner, "id": conversation_id},
    )
