"""An agent says what a request is really about: the hand-off gets that subject, and a trainer will look at the message.

The urgency of a request only rises here: neither its place in the queue nor the validation it needs can be talked down.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text

from bot.policy.degree import rank
from bot.policy.intents import INTENTS, PRIORITY, policy_of
from bot.policy.rights import Capability
from bot.store import handoffs
from bot.store.accounts import User
from bot.store.desk.access import Desk
from bot.store.desk.errors import BadChoice, Conflict
from bot.store.desk.holding import must_hold
from bot.store.workbench import readings

CORRECTED = "corrected"


class SubjectStore:
    """One transaction that locks the conversation's row."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def correct(self, user: User, conversation_id: int, intent: str, now: datetime) -> None:
        """Give the open request of a conversation its true subject. Raises BadChoice, Conflict, NotAllowed."""
        if intent not in INTENTS:
            raise BadChoice("Ce sujet n’existe pas.", "Choisissez-en un dans la liste.")
        desk = self._desk
        async with desk.database.begin() as connection:
            conversation = await desk.access(connection, user, conversation_id, Capability.WORK)
            handoff = conversation.handoff
            if handoff is None or handoff.closed_at is not None:
                raise Conflict("Cette demande est close.", "Rouvrez-la si vous voulez en changer le sujet.")
            must_hold(conversation, user, "en changer le sujet", or_free=True)
            if handoff.intent == intent:
                return
            category = policy_of(intent).category
            if rank(category, handoff.reason) < (handoff.priority, PRIORITY[handoff.category]):
                raised = handoffs.NewHandoff(conversation_id, category, handoff.reason, intent)
                await handoffs.open_(connection, desk.codec, raised, now)
            await connection.execute(
                text("UPDATE handoffs SET intent = :intent WHERE id = :id"), {"intent": intent, "id": handoff.id}
            )
            await readings.mark(connection, desk.codec, conversation_id, CORRECTED, intent, now)
            await desk.done(
                connection, now, user, "subject_corrected", conversation_id, handoff=handoff.id, intent=intent
            )
