"""The worker's parts with counters around them: they do what they did, and what they did is counted."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import DBAPIError

from bot.core.errors import EngineDown, EngineRefused, LeaseLost
from bot.store.codec import Codec
from bot.store.conversations import Conversation, Conversations, Finish
from bot.store.db import Database
from bot.watch.worker import WorkerMetrics
from bot.worker.turn import TurnTaker


class MeasuredConversations(Conversations):
    """Counts claims, what waited, and dispositions once they are written."""

    def __init__(self, database: Database, codec: Codec, metrics: WorkerMetrics) -> None:
        super().__init__(database, codec)
        self._metrics = metrics

    async def claim(self, now: datetime, limit: int, lease: timedelta) -> list[Conversation]:
        """As Conversations.claim."""
        start = time.perf_counter()
        claimed = await super().claim(now, limit, lease)
        if claimed:
            self._metrics.claimed(len(claimed), time.perf_counter() - start)
            for conversation in claimed:
                if conversation.pending and conversation.pending[0].waiting != "night":
                    self._metrics.waited((now - conversation.pending[0].received_at).total_seconds())
        return claimed

    async def finish(self, conversation: Conversation, finish: Finish, now: datetime) -> None:
        """As Conversations.finish."""
        await super().finish(conversation, finish, now)
        self._metrics.settled((s.disposition, len(s.events)) for s in finish.settlements)
        if finish.emergency is not None:
            self._metrics.settled([("emergency", len(finish.emergency.events))])


def outcome_of(error: BaseException) -> str:
    """What a turn that raised came to."""
    if isinstance(error, LeaseLost):
        return "changed"
    if isinstance(error, EngineDown):
        return "engine_away"
    if isinstance(error, EngineRefused):
        return "engine_refused"
    return "database_away" if isinstance(error, DBAPIError | OSError | TimeoutError) else "error"


class MeasuredTurns(TurnTaker):
    """Times and counts turns."""

    def __init__(self, metrics: WorkerMetrics, *args: Any) -> None:
        super().__init__(*args)
        self._metrics = metrics

    async def take(self, conversation: Conversation) -> None:
        """As TurnTaker.take."""
        with self._metrics.turn():
            try:
                await super().take(conversation)
            except Exception as error:
                self._metrics.ended(outcome_of(error))
                raise
        self._metrics.ended("done")
