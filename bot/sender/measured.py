"""The Send API's client with a stopwatch."""

from __future__ import annotations

import time
from typing import Any

from bot.core.messages import Platform
from bot.meta.send_api import GraphDown, GraphError, GraphTimeout, Outgoing, SendApi, SendResult
from bot.watch.sender import OK, SenderMetrics


class MeasuredApi(SendApi):
    """Counts sends by result, and what Meta says of our use."""

    def __init__(self, metrics: SenderMetrics, lane: str, *args: Any) -> None:
        super().__init__(*args)
        self._metrics, self._lane = metrics, lane

    async def send(self, platform: Platform, recipient: str, message: Outgoing) -> SendResult:
        """As SendApi.send."""
        start, result, percent = time.perf_counter(), "cancelled", 0
        try:
            sent = await super().send(platform, recipient, message)
            result, percent = OK, sent.usage.percent
            return sent
        except GraphError as error:
            result, percent = error.row.slug, error.usage.percent
            raise
        except GraphTimeout:
            result = "timeout"
            raise
        except GraphDown:
            result = "graph_down"
            raise
        finally:
            self._metrics.asked(self._lane, result, time.perf_counter() - start, percent)
