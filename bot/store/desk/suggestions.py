"""What a suggested reply is made from: the person's last words that nobody has answered, and the dialogue's state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from bot.policy.rights import Capability
from bot.store import places
from bot.store.accounts import User
from bot.store.conversations import STATE
from bot.store.desk.access import Conversation, Desk
from bot.store.desk.said import said_of


@dataclass(frozen=True)
class Asked:
    """The person's last words, and the dialogue as it stands (None: afresh)."""

    conversation: Conversation
    words: str
    state: dict[str, Any] | None


class SuggestionStore:
    """Reads what a suggestion needs; it changes nothing."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def asked(self, user: User, conversation_id: int) -> Asked | None:
        """None when the last words are an agent's, were withdrawn, or are none."""
        async with self._desk.database.begin() as connection:
            conversation = await self._desk.access(connection, user, conversation_id, Capability.READ)
            row = (
                await connection.execute(
                    text(f"""
                        SELECT e.kind, e.body, {places.event("e")}, c.state, e.at <= c.last_agent_at AS answered
                        FROM events e JOIN conversations c ON c.id = e.conversation_id
                        WHERE e.conversation_id = :id AND e.kind IN ('text', 'edit', 'quick_reply')
                        ORDER BY e.at DESC, e.id DESC LIMIT 1
                    """),  # noqa: S608 (names of ours)
                    {"id": conversation_id},
                )
            ).one_or_none()
        if row is None or row.answered:
            return None
        said = said_of(self._desk.codec, row.kind, row.body, row.place)
        if said.withdrawn or not said.text.strip():
            return None
        return Asked(conversation, said.text, self._desk.codec.readable_json(row.state, STATE, conversation_id))

    @staticmethod
    def values(conversation: Conversation, user: User) -> Mapping[str, str]:
        """What fills the variables of a canned reply that stand for the request."""
        handoff = conversation.handoff
        slots = handoff.slots if handoff else {}
        return {**{name: slots.get(name, "") for name in ("service", "ville", "lieu", "date")}, "agent": user.name}
