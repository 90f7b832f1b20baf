"""What an agent does to a conversation: take, reply, give back, close, reopen."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.policy.closing import second_look, undoable, untaken_emergency
from bot.policy.rights import Capability
from bot.store import audit, outbox, satisfaction
from bot.store.accounts import User
from bot.store.db import DUE, notify
from bot.store.desk import alarms, drafts, replies
from bot.store.desk.access import Conversation, Desk
from bot.store.desk.errors import BadChoice, Conflict, NeedsSecondLook, UntakenEmergency
from bot.store.desk.holding import (
    close_handoff,
    end,
    give_to,
    must_be_fresh,
    must_have_read,
    must_hold,
    open_handoff,
    release,
)

# Why a conversation is closed; the console has words for each.
PASSED_ON = "transmis"
CLOSE_REASONS = ("repondu", "transmis", "sans_suite", "hors_perimetre", "doublon", "autre")

TOO_LATE = (
    "Il est trop tard pour annuler cette clôture.",
    "Si la demande doit continuer, choisissez «\u00a0Rouvrir la demande\u00a0».",
)
NOT_OURS = (
    "Cette conversation était suivie depuis la messagerie de Meta\u00a0: sa clôture ne s’annule pas ici.",
    "Si la demande doit continuer, choisissez «\u00a0Rouvrir la demande\u00a0».",
)
INBOX = "inbox"  # the owner of what is answered there
_CLOSING = text("""
    SELECT detail FROM audit WHERE conversation_id = :id AND action = 'close' AND at = :at AND user_id = :user
    ORDER BY id DESC LIMIT 1
""")
_GOES_ON = text("""
    UPDATE handoffs SET closed_at = NULL, outcome = NULL, close_reason = NULL,
        user_id = CASE WHEN taken_at IS NULL THEN NULL ELSE user_id END
    WHERE id = :id
""")


def _may_close(conversation: Conversation, reason: str, looked: str) -> None:
    """Raises UntakenEmergency, or NeedsSecondLook for a grave request that was not confirmed."""
    handoff = conversation.handoff
    if handoff is None or handoff.closed_at is not None:
        return
    if untaken_emergency(handoff.category, conversation.owner):
        raise UntakenEmergency("elle n’a pas été close")
    if second_look(handoff.category, handoff.priority) and not (reason and looked == handoff.category):
        raise NeedsSecondLook


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
            handoff_id, category = await open_handoff(connection, self._desk.codec, conversation, now)
            await give_to(connection, conversation_id, handoff_id, category, user.id, now)
            await self._desk.tell(connection, conversation, "utter_agent_arrive", f"arrive:{handoff_id}", now)
            await self._desk.done(connection, now, user, "take", conversation_id, handoff=handoff_id, held_by=held_by)

    async def reply(
        self,
        user: User,
        conversation_id: int,
        written: str,
        seen: int,
        key: str,
        now: datetime,
        seen_sent: int | None = None,
    ) -> int | None:
        """Queue an agent's message; returns its id, None when the same form was sent before (a double click).

        `seen`, `seen_sent`: ids of the last thing of the person, and of an agent, that the page showed; `key`: the
        form's own name. The author's draft is done with. Raises BadReply, Conflict, Stale, Overtaken, NeedsValidation,
        window.WindowClosed.
        """
        words = replies.checked(written)
        dedup = replies.form_name(user.id, key, words)
        async with self._desk.database.begin() as connection:
            conversation = await self._desk.access(connection, user, conversation_id, Capability.WORK)
            if await replies.stands(connection, conversation_id, dedup):
                return None
            must_hold(conversation, user, "répondre")
            await must_be_fresh(connection, conversation_id, user, seen, seen_sent)
            await replies.must_need_no_validation(connection, conversation)
            row = await replies.queue(connection, self._desk, conversation, user.id, words, dedup, now)
            await drafts.forget(connection, conversation_id, user.id)
            await self._desk.done(connection, now, user, "reply", conversation_id, outbox=row, characters=len(words))
            return row

    async def give_back(self, user: User, conversation_id: int, now: datetime, seen: int | None = None) -> None:
        """The bot speaks again, with a fresh dialogue; the person is told once.

        `seen`: as in `close`. Raises Conflict, Stale when the person wrote meanwhile: the bot takes up no earlier words.
        """
        async with self._desk.database.begin() as connection:
            conversation = await self._desk.access(connection, user, conversation_id, Capability.WORK)
            if conversation.owner == "bot":
                return
            if conversation.owner != "inbox":
                must_hold(conversation, user, "la rendre", or_free=True)
            await must_have_read(connection, conversation_id, seen, "la conversation n’a pas été rendue.")
            handoff = await close_handoff(connection, conversation_id, user, "given_back", None, now)
            await release(connection, conversation_id, "bot")
            await outbox.cancel_unsent(connection, conversation_id, "given_back", now, ("system",))
            key = f"revient:{handoff}" if handoff else f"revient:v{conversation.owner_version}"
            await self._desk.tell(connection, conversation, "utter_assistant_revient", key, now)
            await notify(connection, DUE)
            await self._desk.done(connection, now, user, "give_back", conversation_id, handoff=handoff)

    async def close(
        self, user: User, conversation_id: int, seen: int, now: datetime, reason: str = "", looked: str = ""
    ) -> None:
        """Nothing more is expected; a new message will be the bot's.

        `reason`: one of CLOSE_REASONS, "" lets the hand-off say whether it was answered; `looked`: the category that the agent
        confirmed, which a grave request needs, with a reason. Raises BadChoice, Conflict, NeedsSecondLook, Stale when the
        person wrote meanwhile.
        """
        if reason and reason not in CLOSE_REASONS:
            raise BadChoice("Ce motif de clôture n’existe pas.", "Choisissez-en un dans la liste.")
        async with self._desk.database.begin() as connection:
            conversation = await self._desk.access(connection, user, conversation_id, Capability.WORK)
            if conversation.owner == "closed":
                return
            if conversation.owner == "agent":
                must_hold(conversation, user, "la clore", or_free=True)
            await must_have_read(connection, conversation_id, seen, "la conversation n’a pas été close.")
            _may_close(conversation, reason, looked)
            answered = conversation.handoff is not None and conversation.handoff.replied_at is not None
            reason = reason or ("repondu" if answered else "sans_suite")
            handoff = await end(connection, conversation_id, user, "closed", reason, now)
            await self._confirmed(connection, user, conversation, reason, now)
            await satisfaction.ask(connection, self._desk, conversation, now)
            was = {"was": INBOX} if conversation.owner == INBOX else {}
            await self._desk.done(
                connection, now, user, "close", conversation_id, handoff=handoff, reason=reason,
                held_by=conversation.agent_id, **was,
            )  # fmt: skip

    async def _confirmed(
        self, connection: AsyncConnection, user: User, conversation: Conversation, reason: str, now: datetime
    ) -> None:
        """A danger that is passed on to a service was one. An answer alone says nothing: people are told that all is well, too."""
        handoff = conversation.handoff
        if reason != PASSED_ON or handoff is None or handoff.category != "emergency" or handoff.closed_at is not None:
            return
        if n := await alarms.confirm_closed(connection, user, handoff, now):
            await audit.record(
                connection, now, user.id, "alarm_confirmed", conversation.id, handoff=handoff.id, alarms=n
            )

    async def undo_close(self, user: User, conversation_id: int, now: datetime) -> None:
        """What this user has just closed goes on as it stood, with whoever had it; the person hears nothing of it.

        Raises Conflict when it is too late, or something has happened there since.
        """
        async with self._desk.database.begin() as connection:
            conversation = await self._desk.access(connection, user, conversation_id, Capability.WORK)
            handoff = conversation.handoff
            closed_at = handoff.closed_at if handoff is not None and handoff.outcome == "closed" else None
            if handoff is None or closed_at is None or conversation.owner != "closed" or not undoable(closed_at, now):
                raise Conflict(*TOO_LATE)
            closing = (
                await connection.execute(_CLOSING, {"id": conversation_id, "at": closed_at, "user": user.id})
            ).one_or_none()
            if closing is None:
                raise Conflict(*TOO_LATE)
            if closing.detail.get("was") == INBOX:  # given to the bot or to us, the person would hear two voices
                raise Conflict(*NOT_OURS)
            held_by = closing.detail.get("held_by")
            await connection.execute(_GOES_ON, {"id": handoff.id})
            await connection.execute(
                text("""
                    UPDATE conversations SET owner = CASE WHEN CAST(:agent AS bigint) IS NULL THEN 'waiting' ELSE 'agent' END,
                        agent_id = :agent, owner_version = owner_version + 1, owner_until = NULL, category = :category
                    WHERE id = :id
                """),
                {"agent": held_by, "category": handoff.category, "id": conversation_id},
            )
            await outbox.cancel_unsent(connection, conversation_id, "reopened", now, ("system",))
            await alarms.unconfirm(connection, user, handoff, closed_at)
            await self._desk.done(
                connection, now, user, "reopen", conversation_id, handoff=handoff.id, held_by=held_by, undone=True
            )

    async def reopen(self, user: User, conversation_id: int, now: datetime) -> None:
        """The last hand-off, closed or set aside as spam, goes on; whoever reopens has it. Raises Conflict."""
        async with self._desk.database.begin() as connection:
            conversation = await self._desk.access(connection, user, conversation_id, Capability.WORK)
            if conversation.held_by(user):
                return
            handoff = conversation.handoff
            if handoff is None or handoff.closed_at is None or conversation.owner == "agent":
                raise Conflict("Cette conversation est déjà ouverte.", "Prenez-la si vous voulez y répondre.")
            await connection.execute(
                text("""
                    UPDATE handoffs SET closed_at = NULL, outcome = NULL, close_reason = NULL, reopened_at = :now
                    WHERE id = :id
                """),
                {"now": now, "id": handoff.id},
            )
            await give_to(connection, conversation_id, handoff.id, handoff.category, user.id, now)
            await self._desk.tell(connection, conversation, "utter_agent_arrive", f"arrive:{handoff.id}", now)
            await self._desk.done(connection, now, user, "reopen", conversation_id, handoff=handoff.id)
