"""Conversations and the one door to them; what every topic of the desk shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.dialogue import QuickReply, Reply
from bot.core.messages import Platform
from bot.policy import window
from bot.policy.rights import LOOKS, Capability
from bot.store import audit, news, outbox
from bot.store.accounts import User
from bot.store.codec import Codec
from bot.store.conversations import PROFILE
from bot.store.db import Database
from bot.store.desk.errors import Conflict, NoSuchConversation, NotAllowed
from bot.store.sightings import Sightings

AGENT_PRIORITY = 2  # before the bot's replies; emergencies have their own lane

# What a person does that an agent has to have seen before answering.
SPOKEN = ("text", "quick_reply", "attachment", "postback", "edit", "unsend", "unsupported", "empty")


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
    state: str = "open"  # open, snoozed, closed, spam
    due_at: datetime | None = None  # first human reply expected by
    assignee_id: int | None = None  # who should; `Conversation.agent_id` says who has it
    assignee: str | None = None
    team_id: int | None = None
    team: str | None = None
    snoozed_until: datetime | None = None
    close_reason: str | None = None
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
    erased_at: datetime | None = None  # its words and its person are gone

    def held_by(self, user: User) -> bool:
        """Whether this user has the conversation."""
        return self.owner == "agent" and self.agent_id == user.id

    @property
    def wrote_again(self) -> bool:
        """Whether the person has written since the last message of an agent."""
        last = self.last_agent_at
        return last is not None and self.last_person_at is not None and self.last_person_at > last


HANDOFF = """h.id AS handoff_id, h.conversation_id AS handoff_of, h.category AS handoff_category, h.priority,
    h.intent, h.reason, h.old, h.opened_at,
    h.raised_at, h.taken_at, h.replied_at, h.closed_at, h.outcome, h.slots, h.state,
    h.due_at, h.assignee_id, (SELECT name FROM users WHERE id = h.assignee_id) AS assignee, h.team_id,
    (SELECT name FROM teams WHERE id = h.team_id) AS team, h.snoozed_until, h.close_reason"""
CONVERSATION = """c.id, c.platform, c.profile, c.owner, c.owner_version, c.agent_id, u.name AS agent, c.standby,
    c.last_person_at, c.last_agent_at, c.erased_at"""

_OPEN = text(f"""
    SELECT {CONVERSATION}, {HANDOFF}
    FROM conversations c LEFT JOIN users u ON u.id = c.agent_id
    LEFT JOIN LATERAL (
        SELECT * FROM handoffs WHERE conversation_id = c.id ORDER BY closed_at IS NULL DESC, id DESC LIMIT 1) h ON true
    WHERE c.id = :id
""")  # noqa: S608


class Desk:
    """What the topics build on. `texts`: replies of domain.yml by name; `buttons`: quick replies by reply name."""

    def __init__(
        self,
        database: Database,
        codec: Codec,
        texts: Mapping[str, str],
        buttons: Mapping[str, Sequence[QuickReply]] | None = None,
    ) -> None:
        self.database = database
        self.codec = codec
        self.sightings = Sightings(database)
        self._texts = texts
        self._buttons = buttons or {}

    async def access_conversation(
        self, user: User, conversation_id: int, needs: Capability = Capability.READ
    ) -> Conversation:
        """The conversation, if this user has that capability on it.

        Raises NotAllowed before it says whether there is such a conversation, else NoSuchConversation.
        """
        async with self.database.begin() as connection:
            return await self.access(connection, user, conversation_id, needs)

    async def access(
        self, connection: AsyncConnection, user: User, conversation_id: int, needs: Capability
    ) -> Conversation:
        """As `access_conversation`, in the caller's transaction; a capability that writes locks the row first."""
        if not user.may(needs):
            raise NotAllowed()
        if needs not in LOOKS:
            await connection.execute(
                text("SELECT 1 FROM conversations WHERE id = :id FOR UPDATE"), {"id": conversation_id}
            )
        row = (await connection.execute(_OPEN, {"id": conversation_id})).one_or_none()
        if row is None:
            raise NoSuchConversation
        if row.erased_at is not None and needs not in LOOKS:
            raise Conflict(
                "Le contenu de cette conversation a été effacé\u00a0: il n’y a plus rien à y faire.",
                "Si la personne écrit de nouveau, une autre conversation s’ouvre.",
            )
        return self.conversation(row)

    def conversation(self, row: Row[Any]) -> Conversation:
        """From a row with the columns CONVERSATION and HANDOFF."""
        profile = self.codec.readable_json(row.profile, PROFILE, row.id)
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
            handoff=self.handoff(row),
            erased_at=row.erased_at,
        )

    def handoff(self, row: Row[Any]) -> Handoff | None:
        """From a row with the columns HANDOFF; None when there is none."""
        if row.handoff_id is None:
            return None
        slots = self.codec.readable_json(row.slots, "handoffs.slots", row.handoff_of, row.handoff_id) or {}
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
            state=row.state,
            due_at=row.due_at,
            assignee_id=row.assignee_id,
            assignee=row.assignee,
            team_id=row.team_id,
            team=row.team,
            snoozed_until=row.snoozed_until,
            close_reason=row.close_reason,
            slots={str(k): str(v) for k, v in slots.items() if v not in (None, "")},
        )

    async def tell(
        self,
        connection: AsyncConnection,
        conversation: Conversation,
        name: str,
        dedup: str,
        now: datetime,
        due_at: datetime | None = None,
    ) -> None:
        """One sentence of the system, where the window still lets it leave; not before `due_at`."""
        try:
            window.tag("system", conversation.last_person_at, now)
        except window.WindowClosed:
            return
        reply = Reply(self._texts[name], tuple(self._buttons.get(name, ())))
        await outbox.add(
            connection,
            self.codec,
            outbox.NewRow(
                conversation.id, "agent", "system", reply, now, priority=AGENT_PRIORITY, dedup=dedup, due_at=due_at
            ),
        )

    async def done(
        self, connection: AsyncConnection, now: datetime, user: User, action: str, conversation_id: int, **detail: Any
    ) -> None:
        """Record what was done and tell open pages; the last step of every action."""
        await audit.record(connection, now, user.id, action, conversation_id, **detail)
        await news.conversation(connection, conversation_id)


async def last_seen(connection: AsyncConnection, conversation_id: int) -> int:
    """The id of the last thing of the person that an agent has to have seen before answering; 0 when there is none."""
    return int(
        await connection.scalar(
            text("""
                SELECT coalesce(max(id), 0) FROM events WHERE conversation_id = :id
                  AND (kind = ANY(:kinds) OR kind = 'echo' AND reason = 'inbox_reply')
            """),
            {"id": conversation_id, "kinds": list(SPOKEN)},
        )
        or 0
    )
