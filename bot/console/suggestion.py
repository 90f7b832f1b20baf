"""A suggested reply: what the assistant would answer, where an agent may honestly say it; never sent by itself."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from bot.core.clean import for_understanding
from bot.core.dialogue import Engine, Turn
from bot.core.errors import EngineDown, EngineRefused
from bot.policy import canned as variables
from bot.policy.intents import ANSWER, DANGER_INTENTS, policy_of
from bot.policy.route import NET_DANGER
from bot.store.accounts import User
from bot.store.canned import Canned, CannedStore
from bot.store.desk.access import Conversation
from bot.store.desk.suggestions import Asked, SuggestionStore

WITHIN = 2.0  # seconds: an agent who writes does not wait for it
# What only the assistant can say: that it is one, or that somebody else will answer.
_BOT_SPEAKS = re.compile(
    r"assistant automatique|je n’ai pas accès|\b(?:un|d’un|qu’un|l’) ?agent\b|je transmets|j’ai bien reçu|choisissez «",
    re.I,
)


@dataclass(frozen=True)
class Suggestion:
    """`source`: assistant, or the title of a canned reply; `missing`: variables to be filled by hand, as written."""

    text: str
    source: str
    intent: str
    missing: tuple[str, ...] = ()


class Suggestions:
    """Asks the engine, which keeps nothing; without it there is no suggestion."""

    def __init__(self, engine: Engine | None, canned: CannedStore, store: SuggestionStore) -> None:
        self._engine = engine
        self._canned = canned
        self._store = store

    async def of(self, user: User, conversation_id: int) -> Suggestion | None:
        """A reply to the last words, None where there is none that an agent could honestly send.

        Raises NotAllowed, NoSuchConversation.
        """
        asked = await self._store.asked(user, conversation_id)
        if asked is None or self._engine is None or _is_emergency(asked.conversation):
            return None
        words = for_understanding(asked.words)
        turn = await self._turn(self._engine, conversation_id, words, asked) if words else None
        if turn is None or turn.clarify or turn.understanding.intent is None or not turn.understanding.french:
            return None
        if turn.understanding.intent in DANGER_INTENTS or turn.understanding.danger >= NET_DANGER:
            return None
        intent = turn.understanding.intent
        if turn.handoff is None and policy_of(intent).route == ANSWER:
            said = "\n\n".join(reply.text for reply in turn.replies)
            if said and not _BOT_SPEAKS.search(said):
                return Suggestion(said, "assistant", intent)
        found = await self._canned.for_intent(intent)
        return None if found is None else self._from_canned(found, intent, asked.conversation, user)

    async def _turn(self, engine: Engine, conversation_id: int, words: str, asked: Asked) -> Turn | None:
        try:
            async with asyncio.timeout(WITHIN):
                return await engine.turn(f"c{conversation_id}", words, asked.state)
        except (EngineDown, EngineRefused, TimeoutError):
            return None

    def _from_canned(self, found: Canned, intent: str, conversation: Conversation, user: User) -> Suggestion:
        text, missing = fill(found.body, conversation, user)
        return Suggestion(text, found.title, intent, tuple(missing))


def fill(body: str, conversation: Conversation, user: User) -> tuple[str, list[str]]:
    """A canned reply with what is known of the person, the request and the agent; and what stays open."""
    values = {
        **SuggestionStore.values(conversation, user),
        "nom": conversation.name or "",
        "prénom": variables.first_name(conversation.name),
    }
    return variables.filled(body, values)


def _is_emergency(conversation: Conversation) -> bool:
    handoff = conversation.handoff
    return handoff is not None and handoff.closed_at is None and handoff.category == "emergency"
