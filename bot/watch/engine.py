"""The engine with a stopwatch: the same port, each call counted."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Any, TypeVar

from bot.core.dialogue import Engine, Explanation, Turn, Understanding
from bot.core.errors import EngineRefused
from bot.watch import spans
from bot.watch.worker import WorkerMetrics

T = TypeVar("T")


class MeasuredEngine:
    """bot.core.dialogue.Engine around another one. A call that its caller gives up counts as `away`."""

    def __init__(self, engine: Engine, metrics: WorkerMetrics) -> None:
        self._engine, self._metrics = engine, metrics

    async def understand(self, text: str) -> Understanding:
        """What a text means."""
        return await self._timed("understand", self._engine.understand(text))

    async def explain(self, text: str) -> Explanation:
        """What a text means, and why."""
        return await self._timed("explain", self._engine.explain(text))

    async def turn(
        self,
        sender: str,
        text: str,
        state: dict[str, Any] | None,
        payload: str | None = None,
        meant: str | None = None,
    ) -> Turn:
        """Run one turn of a conversation."""
        return await self._timed("turn", self._engine.turn(sender, text, state, payload, meant))

    async def _timed(self, call: str, asked: Awaitable[T]) -> T:
        start, outcome = time.perf_counter(), "away"
        with spans.inside("engine", spans.CLIENT, call=call) as told:
            try:
                answer = await asked
                outcome = "ok"
                return answer
            except EngineRefused:
                outcome = "refused"
                raise
            finally:
                told["outcome"] = outcome
                self._metrics.asked(call, outcome, time.perf_counter() - start)
