"""From the raw body to events, each person's words looked at for danger."""

from __future__ import annotations

import logging
import time
from datetime import datetime

from bot.core.messages import Edit, Event, Message
from bot.gateway.metrics import GatewayMetrics
from bot.gateway.ports import Item, Triage
from bot.meta.payloads import parse
from bot.policy import emergency_taps
from bot.policy.emergency import Detection

log = logging.getLogger(__name__)


class Reader:
    """Parses a body and triages its texts; plain code without waiting, so that it can run in a thread."""

    def __init__(self, triage: Triage, budget: float, metrics: GatewayMetrics) -> None:
        self._triage = triage
        self._budget = budget
        self._metrics = metrics

    def read(self, raw: bytes, received_at: datetime) -> list[Item]:
        """Events with what the triage found. Raises BadPayload.

        Texts beyond the time budget are left to the worker, which triages again: an acknowledgement that comes too
        late would have Meta send the whole body again, and the dangers in it with it.
        """
        deadline = time.monotonic() + self._budget
        return [(event, self._look(event, deadline)) for event in parse(raw, received_at)]

    def _look(self, event: Event, deadline: float) -> Detection | None:
        if event.person is None or not isinstance(event.body, (Message, Edit)) or not event.body.text:
            return None
        if isinstance(event.body, Message) and emergency_taps.tap(event.body.quick_reply):
            return None  # the title is ours
        if time.monotonic() > deadline:
            self._metrics.untriaged.labels("budget").inc()
            return None
        try:
            found = self._triage(event.body.text)
        except Exception as error:  # a text that breaks the triage must not cost its neighbours theirs
            self._metrics.untriaged.labels("error").inc()
            log.error("triage failed: %s, event %s", type(error).__name__, event.key)
            return None
        if found is not None:
            self._metrics.dangers.inc()
        return found
