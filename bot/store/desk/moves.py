"""A conversation goes elsewhere: to a colleague or a team, to later, out of the way (spam), and people who are blocked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.policy import window
from bot.policy.rights import Capability, may
from bot.store import blocks, snoozes
from bot.store.accounts import User
from bot.store.desk import notes
from bot.store.desk.access import Conversation, Desk, Handoff
from bot.store.desk.errors import BadChoice, Conflict
from bot.store.desk.holding import end, may_put_aside, must_have_read, must_hold, open_handoff

# Why somebody is blocked; the console has words for each.
BLOCK_REASONS = ("injures", "menaces", "envois_repetes", "publicite", "autre")


@dataclass(frozen=True)
class Target:
    """Who is to have a conversation: a colleague or a team (`kind`: user | team)."""

    kind: str
    id: int


class MoveStore:
    """Each action is one transaction that locks the conversation's row."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    # -- to a colleague or a team --------------------------------------------------------------------------------

    async def transfer(self, user: User, conversation_id: int, to: Target, word: str, key: str, now: datetime) -> None:
        """Give what one has to a colleague, who has it from now on, or to a team, where anyone may take it.

        `word`: a note to them, "" for none; `key`: the form's own name. Raises BadChoice, BadReply, Conflict.
        """
        async with self._desk.database.begin() as connection:
            conversation = await self._desk.access(connection, user, conversation_id, Capability.WORK)
            must_hold(conversation, user, "la transférer")
            await self._give(connection, user, conversation, to, now)
            noted = await self._word(connection, user, conversation_id, word, key, now)
            await self._desk.done(connection, now, user, "transfer", conversation_id, **_detail(to), note=noted)

    async def assign(
        self, user: User, conversation_id: int, to: Target, held_by: int | None, word: str, key: str, now: datetime
    ) -> None:
        """Say who should have it, whoever has it now. `held_by`: who had it on the page. As `transfer` otherwise."""
        async with self._desk.database.begin() as connection:
            conversation = await self._desk.access(connection, user, conversation_id, Capability.ASSIGN)
            if conversation.owner == "agent" and conversation.agent_id != held_by:
                raise Conflict(
                    f"{conversation.agent} vient de prendre cette conversation\u00a0: elle n’a pas été attribuée.",
                    "Voyez avec cette personne, puis attribuez-la de nouveau s’il le faut.",
                )
            await self._give(connection, user, conversation, to, now)
            noted = await self._word(connection, user, conversation_id, word, key, now)
            await self._desk.done(connection, now, user, "assign", conversation_id, **_detail(to), note=noted)

    async def _give(
        self, connection: AsyncConnection, user: User, conversation: Conversation, to: Target, now: datetime
    ) -> None:
        handoff = _open(conversation)
        await _must_exist(connection, to, conversation)
        person, team = (to.id, None) if to.kind == "user" else (None, to.id)
        await connection.execute(
            text("""
                UPDATE handoffs SET assignee_id = :person, team_id = :team, assigned_at = :now, assigned_by = :user,
                    snoozed_until = NULL
                WHERE id = :id
            """),
            {"person": person, "team": team, "now": now, "user": user.id, "id": handoff.id},
        )
        if conversation.owner == "agent":
            await connection.execute(
                text("""
                    UPDATE conversations SET owner = CASE WHEN CAST(:person AS bigint) IS NULL THEN 'waiting' ELSE 'agent' END,
                        agent_id = :person, owner_version = owner_version + 1 WHERE id = :id
                """),
                {"person": person, "id": conversation.id},
            )

    async def _word(
        self, connection: AsyncConnection, user: User, conversation_id: int, word: str, key: str, now: datetime
    ) -> int | None:
        """The note's id, None when there is no word."""
        if not word.strip():
            return None
        return await notes.add(connection, self._desk.codec, user, conversation_id, word, key, now)

    # -- to later ------------------------------------------------------------------------------------------------

    async def snooze(
        self, user: User, conversation_id: int, until: datetime, now: datetime, seen: int | None = None
    ) -> None:
        """Out of the queue until a moment, or until the person writes. Raises BadChoice, Conflict.

        `seen`, here and below: the last thing of the person that the page showed; Stale when they wrote since.
        """
        async with self._desk.database.begin() as connection:
            conversation = await self._desk.access(connection, user, conversation_id, Capability.WORK)
            if conversation.owner == "agent":
                must_hold(conversation, user, "la mettre en attente", or_free=True)
            handoff = _open(conversation)
            if handoff.category == "emergency":
                raise Conflict("Une urgence ne se met pas en attente.", "Traitez-la maintenant, ou transférez-la.")
            _must_be_sensible(conversation, until, now)
            await must_have_read(connection, conversation_id, seen, "rien n’a changé.")
            await snoozes.snooze(connection, conversation_id, handoff.id, until, user.id)
            await self._desk.done(
                connection, now, user, "snooze", conversation_id, handoff=handoff.id, until=until.isoformat()
            )

    async def wake(self, user: User, conversation_id: int, now: datetime) -> None:
        """Back in the queue before its time."""
        async with self._desk.database.begin() as connection:
            conversation = await self._desk.access(connection, user, conversation_id, Capability.WORK)
            handoff = conversation.handoff
            if handoff is None or handoff.state != "snoozed":
                return
            await connection.execute(
                text("UPDATE handoffs SET snoozed_until = NULL WHERE id = :id"), {"id": handoff.id}
            )
            await self._desk.done(connection, now, user, "wake", conversation_id, handoff=handoff.id, by="agent")

    # -- out of the way ------------------------------------------------------------------------------------------

    async def spam(self, user: User, conversation_id: int, now: datetime, seen: int | None = None) -> None:
        """Undesirable: out of the queue, nothing is said. A new message is the bot's. Raises Conflict."""
        async with self._desk.database.begin() as connection:
            conversation = await self._desk.access(connection, user, conversation_id, Capability.WORK)
            if conversation.handoff is not None and conversation.handoff.state == "spam":
                return
            may_put_aside(conversation, user, "l’écarter")
            await must_have_read(connection, conversation_id, seen, "rien n’a changé.")
            await open_handoff(connection, self._desk.codec, conversation, now)
            handoff = await end(connection, conversation_id, user, "spam", None, now)
            await self._desk.done(connection, now, user, "spam", conversation_id, handoff=handoff)

    async def not_spam(self, user: User, conversation_id: int, now: datetime) -> None:
        """It was wrongly called spam: it waits for an agent again, where it stood. Raises Conflict."""
        async with self._desk.database.begin() as connection:
            conversation = await self._desk.access(connection, user, conversation_id, Capability.WORK)
            handoff = conversation.handoff
            if handoff is None or handoff.state != "spam":
                raise Conflict("Cette conversation n’est plus marquée comme indésirable.", "Il n’y a rien à faire.")
            await connection.execute(
                text("""
                    UPDATE handoffs SET closed_at = NULL, outcome = NULL, reopened_at = :now WHERE id = :id
                """),
                {"now": now, "id": handoff.id},
            )
            await connection.execute(
                text("""
                    UPDATE conversations SET category = :category, owner_version = owner_version + 1,
                        owner = CASE WHEN owner IN ('agent', 'inbox') THEN owner ELSE 'waiting' END
                    WHERE id = :id
                """),
                {"category": handoff.category, "id": conversation_id},
            )
            await self._desk.done(connection, now, user, "not_spam", conversation_id, handoff=handoff.id)

    async def block(
        self, user: User, conversation_id: int, reason: str, now: datetime, seen: int | None = None
    ) -> None:
        """Messages of this person open no hand-off and get no reply any more, emergencies excepted.

        `reason`: one of BLOCK_REASONS. Raises BadChoice, Conflict.
        """
        if reason not in BLOCK_REASONS:
            raise BadChoice("Choisissez un motif de blocage.", "Le motif est inscrit au journal.")
        async with self._desk.database.begin() as connection:
            conversation = await self._desk.access(connection, user, conversation_id, Capability.BLOCK)
            may_put_aside(conversation, user, "bloquer cette personne")
            await must_have_read(connection, conversation_id, seen, "rien n’a changé.")
            if not await blocks.block(connection, conversation_id, user.id, reason, now):
                return
            handoff = await end(connection, conversation_id, user, "blocked", None, now)
            await self._desk.done(connection, now, user, "block", conversation_id, handoff=handoff, reason=reason)

    async def unblock(self, user: User, conversation_id: int, now: datetime) -> None:
        """The person is answered again."""
        async with self._desk.database.begin() as connection:
            await self._desk.access(connection, user, conversation_id, Capability.BLOCK)
            if await blocks.lift(connection, conversation_id, user.id, now):
                await self._desk.done(connection, now, user, "unblock", conversation_id)


def _detail(to: Target) -> dict[str, int]:
    return {"subject_id": to.id} if to.kind == "user" else {"team": to.id}


def _open(conversation: Conversation) -> Handoff:
    handoff = conversation.handoff
    if handoff is None or handoff.closed_at is not None:
        raise Conflict("Aucune demande n’est ouverte dans cette conversation.", "Prenez-la ou rouvrez-la d’abord.")
    return handoff


async def _must_exist(connection: AsyncConnection, to: Target, conversation: Conversation) -> None:
    if to.kind == "team":
        found = await connection.scalar(
            text("SELECT id FROM teams WHERE id = :id AND archived_at IS NULL"), {"id": to.id}
        )
        if found is None:
            raise BadChoice("Cette équipe n’existe plus.", "Choisissez-en une autre.")
        return
    role = await connection.scalar(text("SELECT role FROM users WHERE id = :id AND disabled_at IS NULL"), {"id": to.id})
    if role is None or not may(role, Capability.WORK):
        raise BadChoice("Cette personne ne peut pas suivre de conversation.", "Choisissez quelqu’un d’autre.")
    if conversation.owner == "agent" and conversation.agent_id == to.id:
        raise BadChoice("Cette personne suit déjà la conversation.", "Choisissez quelqu’un d’autre.")


def _must_be_sensible(conversation: Conversation, until: datetime, now: datetime) -> None:
    if until <= now:
        raise BadChoice("Ce moment est déjà passé.", "Choisissez un moment à venir.")
    if until - now > snoozes.SNOOZE_AT_MOST:
        raise BadChoice("C’est trop loin\u00a0: 30\u00a0jours au plus.", "Choisissez un moment plus proche.")
    last = conversation.last_person_at
    closes = None if last is None else window.closes_at("agent", last)
    if closes is not None and now < closes <= until:
        raise BadChoice(
            "À ce moment-là, Meta n’acceptera plus de réponse\u00a0: la fenêtre de 7\u00a0jours sera fermée.",
            "Choisissez un moment plus proche, ou répondez d’abord.",
        )
