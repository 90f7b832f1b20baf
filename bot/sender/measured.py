"""The Send API's client with a stopwatch, and what a row is called by in logs and traces."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from bot.core.messages import Platform
from bot.core.trace import Trace, begin
from bot.meta.send_api import GraphDown, GraphError, GraphTimeout, Outgoing, SendApi, SendResult, Usage
from bot.sender.ports import Row
from bot.watch import spans
from bot.watch.sender import OK, SenderMetrics

log = logging.getLogger("planton.sender")


def handling(row: Row, now: datetime) -> None:
    """From here on, this task is about a row that was claimed `now`."""
    begin(Trace(row.trace, None, (("conversation", row.conversation_id), ("row", row.id))))
    if spans.active is not None:
        end = time.time_ns()
        waited = int((now - row.created_at).total_seconds() * 1e9)
        spans.active.past(
            row.trace, "outbox", end - max(0, waited), end, row=row.id, lane=row.lane, attempt=row.attempts
        )


class MeasuredApi(SendApi):
    """Counts sends by result, and tells what each answer says of our use, whatever was asked."""

    def __init__(self, metrics: SenderMetrics, lane: str, told: Callable[[Usage, bool], None], *args: Any) -> None:
        super().__init__(*args)
        self._metrics, self._lane, self._told = metrics, lane, told

    def noted(self, usage: Usage, sending: bool) -> None:
        """As SendApi.noted."""
        self._told(usage, sending)

    async def send(self, platform: Platform, recipient: str, message: Outgoing) -> SendResult:
        """As SendApi.send."""
        start, result = time.perf_counter(), "cancelled"
        with spans.inside("send", spans.CLIENT, lane=self._lane) as told:
            try:
                sent = await super().send(platform, recipient, message)
                result = OK
                return sent
            except GraphError as error:
                result = error.row.slug
                raise
            except GraphTimeout:
                result = "timeout"
                raise
            except GraphDown:
                result = "graph_down"
                raise
            finally:
                told["result"] = result
                self._metrics.asked(self._lane, result, time.perf_counter() - start)
                log.debug("send: %s", result)
