"""Suggested replies: answers of the catalogue to what was asked, what the assistant would say, a canned reply; none is sent by
itself, and none says what only the assistant can say."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.core.clean import for_understanding
from bot.core.dialogue import Engine, Turn
from bot.core.errors import EngineDown, EngineRefused
from bot.policy import canned as variables
from bot.policy import retention
from bot.policy.catalogue_search import CatalogueSearch
from bot.policy.intents import ANSWER, DANGER_INTENTS, policy_of
from bot.policy.questions import NEAR, SURE, intent_of
from bot.policy.route import NET_DANGER
from bot.store.accounts import User
from bot.store.canned import Canned, CannedStore
from bot.store.desk.access import Conversation
from bot.store.desk.suggestions import Asked, SuggestionStore

WITHIN = 2.0  # seconds: an agent who writes does not wait for it
MOST = 4  # suggestions
ASSISTANT, CATALOGUE = "assistant", "catalogue"
# What only the assistant can say: that it is one, or that somebody else will answer.
_BOT_SPEAKS = re.compile(
    r"assistant automatique|je n’ai pas accès|\b(?:un|d’un|qu’un|l’) ?agent\b|je transmets|j’ai bien reçu|choisissez «"
    r"|touchez le bouton",
    re.I,
)
# The catalogue's answers name agents of any service: there only these are the assistant's own words.
_SPEAKS_OF_ITSELF = re.compile(
    r"assistant automatique|je n’ai pas accès|je suis un robot|je transmets|un agent (?:vous |le |la )?(?:lira|répond)",
    re.I,
)


@dataclass(frozen=True)
class Suggestion:
    """`source`: assistant, catalogue, or the title of a canned reply; `missing`: variables to be filled by hand, as written.
    `question`: that of the catalogue which it answers, `chance` that it was asked; "" and 0 of any other."""

    text: str
    source: str
    intent: str
    missing: tuple[str, ...] = ()
    question: str = ""
    chance: float = 0.0


class Suggestions:
    """Asks the engine, which keeps nothing; without it there are no suggestions. `catalogue`: that of the model in service;
    `kept`: how long things are kept, as its answers say."""

    def __init__(
        self,
        engine: Engine | None,
        canned: CannedStore,
        store: SuggestionStore,
        catalogue: Callable[[], CatalogueSearch] = CatalogueSearch,
        kept: retention.Limits = retention.DEFAULT,
    ) -> None:
        self._engine = engine
        self._canned = canned
        self._store = store
        self._catalogue = catalogue
        self._kept = kept

    async def of(self, user: User, conversation_id: int) -> Sequence[Suggestion]:
        """Replies to the last words, the best first; none where there is none that an agent could honestly send.

        Raises NotAllowed, NoSuchConversation.
        """
        asked = await self._store.asked(user, conversation_id)
        if asked is None or self._engine is None or _is_emergency(asked.conversation):
            return ()
        words = for_understanding(asked.words)
        turn = await self._turn(self._engine, conversation_id, words, asked) if words else None
        if turn is None or not turn.understanding.french:
            return ()
        if turn.understanding.intent in DANGER_INTENTS or turn.understanding.danger >= NET_DANGER:
            return ()
        own = await self._own(turn, asked.conversation, user)
        return in_order(own, self._nearest(turn, (asked.state or {}).get("slots")), turn)[:MOST]

    async def _own(self, turn: Turn, conversation: Conversation, user: User) -> Suggestion | None:
        """What the assistant would answer, a canned reply where it may not."""
        intent = turn.understanding.intent
        if turn.clarify or intent is None:
            return None
        if turn.handoff is None and policy_of(intent).route == ANSWER:
            said = "\n\n".join(reply.text for reply in turn.replies)
            known = turn.question in self._catalogue().questions
            if said and not (_SPEAKS_OF_ITSELF if known else _BOT_SPEAKS).search(said):
                return self._answer(turn, str(turn.question), said) if known else Suggestion(said, ASSISTANT, intent)
        found = await self._canned.for_intent(intent)
        return None if found is None else self._from_canned(found, intent, conversation, user)

    def _nearest(self, turn: Turn, slots: Any) -> list[Suggestion]:
        """The catalogue's answers to the nearest questions, whatever the route: an agent may say a fact where the assistant is
        silent."""
        known = slots if isinstance(slots, Mapping) else {}
        questions = self._catalogue().questions
        found = [
            self._answer(turn, id_, retention.told(questions[id_].wording(known).said, self._kept))
            for id_, chance in turn.understanding.questions
            if chance >= NEAR and id_ in questions
        ]
        return [one for one in found if not _SPEAKS_OF_ITSELF.search(one.text)]

    @staticmethod
    def _answer(turn: Turn, question: str, text: str) -> Suggestion:
        chance = dict(turn.understanding.questions).get(question, 0.0)
        return Suggestion(text, CATALOGUE, intent_of(question), question=question, chance=chance)

    async def _turn(self, engine: Engine, conversation_id: int, words: str, asked: Asked) -> Turn | None:
        try:
            async with asyncio.timeout(WITHIN):
                return await engine.turn(f"c{conversation_id}", words, asked.state)
        except (EngineDown, EngineRefused, TimeoutError):
            return None

    def _from_canned(self, found: Canned, intent: str, conversation: Conversation, user: User) -> Suggestion:
        text, missing = fill(found.body, conversation, user)
        return Suggestion(text, found.title, intent, tuple(missing))


def in_order(own: Suggestion | None, near: Sequence[Suggestion], turn: Turn) -> Sequence[Suggestion]:
    """The best first: a question that is surely asked, what was written for the subject of a hand-off, the nearest questions,
    and last the general words that the assistant has for a subject."""
    near = [one for one in near if own is None or one.question != own.question]
    if own is None:
        return near
    if own.question:
        return [own, *near]
    if turn.handoff is None:
        return [*near, own]
    sure = [one for one in near if one.chance >= SURE]
    return [*sure, own, *near[len(sure) :]]


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
