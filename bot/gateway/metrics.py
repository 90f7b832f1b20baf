"""What the gateway counts. Labels are kinds and outcomes, never ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from bot.core.messages import Event

_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_AGES = (0.5, 1, 2, 5, 15, 60, 300, 900, 3600, 86400)


class GatewayMetrics:
    """Counters and histograms on one registry."""

    def __init__(self, registry: CollectorRegistry, spooled: Callable[[], float]) -> None:
        self.webhooks = Counter(
            "planton_gateway_webhooks", "Webhook requests by outcome.", ["outcome"], registry=registry
        )
        self.seconds = Histogram(
            "planton_gateway_acknowledge_seconds",
            "From the whole body received to the answer.",
            registry=registry,
            buckets=_QUICK,
        )
        self.events = Counter(
            "planton_gateway_events", "Events stored.", ["platform", "kind", "channel"], registry=registry
        )
        self.age = Histogram(
            "planton_gateway_event_age_seconds",
            "From Meta's timestamp to arrival, of stored events.",
            registry=registry,
            buckets=_AGES,
        )
        self.dangers = Counter("planton_gateway_dangers", "Texts in which the triage saw a danger.", registry=registry)
        self.untriaged = Counter(
            "planton_gateway_untriaged", "Texts left to the worker's triage, by reason.", ["reason"], registry=registry
        )
        self.emergencies = Counter(
            "planton_gateway_direct_emergencies",
            "Emergencies handled while the database was down, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self.storing = Gauge("planton_gateway_storing", "Webhooks being stored or waiting for it.", registry=registry)
        spool = Gauge(
            "planton_gateway_spooled_emergencies",
            "Emergencies answered that the database does not know yet.",
            registry=registry,
        )
        spool.set_function(spooled)

    def stored(self, events: Iterable[Event], now: datetime) -> None:
        """Count what was stored."""
        for event in events:
            self.events.labels(event.platform.value, event.kind, event.channel.value).inc()
            self.age.observe(max(0.0, (now - event.at).total_seconds()))
