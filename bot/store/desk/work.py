"""What an agent does to a conversation: take, reply, give back, close."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.policy.rights import Capability
from bot.store import handoffs, outbox
from bot.store.accounts import User
from bot.store.db import DUE, notify
from bot.store.desk import replies
from bot.store.desk.access import Conversation, Desk, last_seen
from bot.store.desk.errors import Conflict, Stale


class WorkStore:
    """Each action is one transaction that locks the conversation's row."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def take(self, user: User, conversation_id: int, held_by: int | None, now: datetime) -> None:
        """Take the conversation: the bot is silenced, the person is told once.

        `held_by`: the agent who had it on the page where the button was pressed. Raises Conflict when another has it.
        """
        async with self._desk.database.begin() as connection:
            conversation = await self._desk.access(connection, user, conversation_id, Capability.WORK)
            if conversation.held_by(user):
                return
            if conversation.owner == "agent" and conversation.agent_id != held_by:
                raise Conflict(
                    f"{conversation.agent} vient de prendre cette conversation.",
                    "Choisissez-en une autre, ou entendez-vous avec cette personne.",
                )
            handoff = conversation.handoff
            if handoff is None or handoff.closed_at is not None:
                # The category says which validation a reply needs: closing and taking again does not change it.
                category = handoff.category if handoff else "request"
                new = handoffs.NewHandoff(conversation_id, category, "agent")
                handoff_id, _ = await handoffs.open_(connection, self._desk.codec, new, now)
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
                text("""
                    UPDATE handoffs SET taken_at = coalesce(taken_at, :now), user_id = :user, assignee_id = :user
                    WHERE id = :id
                """),
                {"now": now, "user": user.id, "id": handoff_id},
            )
            await outbox.cancel_unsent(connection, conversation_id, "agent_took", now, ("bot", "system"))
            await _settle_pending(connection, conversation_id, "agent", now)
            await self._desk.tell(connection, conversation, "utter_agent_arrive", f"arrive:{handoff_id}", now)
            await self._desk.done(connection, now, user, "take", conversation_id, handoff=handoff_id, held_by=held_by)

    async def reply(
        self, user: User, conversation_id: int, written: str, seen: int, key: str, now: datetime
    ) -> int | None:
        """Queue an agent's message; returns its id, None when the same form was sent before (a double click).

        `seen`: id of the last thing of the person that the page showed; `key`: the form's own name.
        Raises BadReply, Conflict, Stale, NeedsValidation, window.WindowClosed.
        """
        words = replies.checked(written)
        dedup = replies.form_name(user.id, key, words)
        async with self._desk.database.begin() as connection:
            conversation = await self._desk.access(connection, user, conversation_id, Capability.WORK)
            if await replies.stands(connection, conversation_id, dedup):
                return None
            _must_hold(conversation, user, "répondre")
            if await last_seen(connection, conversation_id) > seen:
                raise Stale
            await replies.must_need_no_validation(connection, conversation)
            row = await replies.queue(connection, self._desk, conversation, user.id, words, dedup, now)
            await self._desk.done(connection, now, user, "reply", conversation_id, outbox=row, characters=len(words))
            return row

    async def give_back(self, user: User, conversation_id: int, now: datetime) -> None:
        """The bot speaks again, with a fresh dialogue; the person is told once."""
        async with self._desk.database.begin() as connection:
            conversation = await self._desk.access(connection, user, conversation_id, Capability.WORK)
            if conversation.owner == "bot":
                return
            if conversation.owner != "inbox":
                _must_hold(conversation, user, "la rendre", or_free=True)
            handoff = await _close_handoff(connection, conversation_id, user, "given_back", now)
            await _release(connection, conversation_id, "bot")
            await outbox.cancel_unsent(connection, conversation_id, "given_back", now, ("system",))
            key = f"revient:{handoff}" if handoff else f"revient:v{conversation.owner_version}"
            await self._desk.tell(connection, conversation, "utter_assistant_revient", key, now)
            await notify(connection, DUE)
            await self._desk.done(connection, now, user, "give_back", conversation_id, handoff=handoff)

    async def close(self, user: User, conversation_id: int, seen: int, now: datetime) -> None:
        """Nothing more is expected; a new message will be the bot's. Raises Stale when the person wrote meanwhile."""
        async with self._desk.database.begin() as connection:
            conversation = await self._desk.access(connection, user, conversation_id, Capability.WORK)
            if conversation.owner == "closed":
                return
            if conversation.owner == "agent":
                _must_hold(conversation, user, "la clore", or_free=True)
            if await last_seen(connection, conversation_id) > seen:
                raise Stale(closing=True)
            handoff = await _close_handoff(connection, conversation_id, user, "closed", now)
            await _release(connection, conversation_id, "closed")
            await outbox.cancel_unsent(connection, conversation_id, "closed", now, ("bot", "system"))
            await _settle_pending(connection, conversation_id, "closed", now)
            await self._desk.done(connection, now, user, "close", conversation_id, handoff=handoff)


def _must_hold(conversation: Conversation, user: User, verb: str, or_free: bool = False) -> None:
    if conversation.held_by(user) or (or_free and user.may(Capability.FREE) and conversation.owner == "agent"):
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
