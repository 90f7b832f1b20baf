"""The worker's parts with counters around them: they do what they did, and what they did is counted."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from bot.core.errors import EngineDown, EngineRefused, LeaseLost
from bot.core.trace import trace_id
from bot.store.codec import Codec
from bot.store.conversations import Conversation, Conversations, Finish
from bot.store.db import Database
from bot.store.faults import passes
from bot.watch import spans
from bot.watch.worker import WorkerMetrics
from bot.worker.turn import TurnTaker

log = logging.getLogger("planton.worker")


class MeasuredConversations(Conversations):
    """Counts claims, what waited, and dispositions once they are written."""

    def __init__(self, database: Database, codec: Codec, metrics: WorkerMetrics) -> None:
        super().__init__(database, codec)
        self._metrics = metrics

    async def claim(self, now: datetime, limit: int, lease: timedelta) -> list[Conversation]:
        """As Conversations.claim."""
        begun, start = time.time_ns(), time.perf_counter()
        claimed = await super().claim(now, limit, lease)
        if claimed:
            if spans.active is not None:
                _traced(spans.active, claimed, now, begun)
            self._metrics.claimed(len(claimed), time.perf_counter() - start)
            for conversation in claimed:
                if conversation.pending and conversation.pending[0].waiting != "night":
                    self._metrics.waited((now - conversation.pending[0].received_at).total_seconds())
        return claimed

    async def finish(self, conversation: Conversation, finish: Finish, now: datetime) -> None:
        """As Conversations.finish."""
        with spans.inside("finish", replies=len(finish.replies)):
            await super().finish(conversation, finish, now)
        self._metrics.settled((s.disposition, len(s.events)) for s in finish.settlements)
        if finish.emergency is not None:
            self._metrics.settled([("emergency", len(finish.emergency.events))])


def _traced(recorded: spans.Spans, claimed: Sequence[Conversation], now: datetime, begun: int) -> None:
    """What each first message waited, and the claim."""
    end = time.time_ns()
    for conversation in claimed:
        trace = conversation.trace()
        if trace.since is not None:
            waited = int((now - trace.since).total_seconds() * 1e9)
            recorded.past(trace.id, "queue", begun - max(0, waited), begun, priority=conversation.due_priority)
        recorded.past(trace.id, "claim", begun, end, conversation=conversation.id, together=len(claimed))


def _others(conversation: Conversation) -> list[str]:
    """The traces of the messages that are read together with the first."""
    if spans.active is None:
        return []
    platform = conversation.platform.value
    return [trace_id(platform, conversation.account, one.mid) for one in conversation.pending[1:] if one.mid]


def outcome_of(error: BaseException) -> str:
    """What a turn that raised came to."""
    if isinstance(error, LeaseLost):
        return "changed"
    if isinstance(error, EngineDown):
        return "engine_away"
    if isinstance(error, EngineRefused):
        return "engine_refused"
    return "database_away" if passes(error) else "error"


class MeasuredTurns(TurnTaker):
    """Times and counts turns."""

    def __init__(self, metrics: WorkerMetrics, *args: Any) -> None:
        super().__init__(*args)
        self._metrics = metrics

    async def take(self, conversation: Conversation) -> None:
        """As TurnTaker.take."""
        outcome, told = "done", {"messages": len(conversation.pending)}
        try:
            with self._metrics.turn(), spans.inside("turn", links=_others(conversation), **told):
                await super().take(conversation)
        except Exception as error:
            outcome = outcome_of(error)
            raise
        finally:
            self._metrics.ended(outcome)
            log.debug("turn: %s", outcome)
