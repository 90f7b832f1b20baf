"""What a sender counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from bot.watch.measures import WAITS, WORK, Gathered

LANES = ("emergency", "reply", "agent", "door")  # `door`: emergencies while the database is away
OK = "ok"
_RECENT = 60.0  # seconds that what Meta said of our use counts


class SenderMetrics:
    """Counters and histograms on one registry (one of its own unless given)."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry = registry or CollectorRegistry()
        sends = Histogram(
            "planton_sender_send_seconds", "Calls of the Send API.", ["lane"], registry=registry, buckets=WORK
        )
        self._sends = {lane: sends.labels(lane) for lane in LANES}
        self._results = Counter(
            "planton_sender_sends",
            "Calls of the Send API by result: ok, timeout, graph_down, or a name of Meta's error table.",
            ["lane", "result"],
            registry=registry,
        )
        self._counters: dict[tuple[str, str], Counter] = {}  # `labels` looks its child up under a lock
        waits = Histogram(
            "planton_sender_queue_seconds",
            "From the outbox to Meta having taken the message.",
            ["lane"],
            registry=registry,
            buckets=WAITS,
        )
        self._waits = {lane: waits.labels(lane) for lane in LANES}
        replies = Histogram(
            "planton_sender_reply_seconds",
            "From the arrival of a message to Meta having taken its reply, nights left out.",
            ["lane"],
            registry=registry,
            buckets=WAITS,
        )
        self._replies = {lane: replies.labels(lane) for lane in LANES}
        usage = Gauge(
            "planton_sender_meta_usage_ratio",
            "The highest use of its limits that Meta told within the last minute; 1: nothing more is taken.",
            registry=registry,
        )
        usage.set_function(self._use)
        self._usage: list[tuple[float, float]] = []

    def asked(self, lane: str, result: str, seconds: float, percent: int) -> None:
        """A call of the Send API. `percent`: what Meta's headers said of our use."""
        self._sends[lane].observe(seconds)
        if (counter := self._counters.get((lane, result))) is None:
            counter = self._counters[lane, result] = self._results.labels(lane, result)
        counter.inc()
        now = time.monotonic()
        # Only what is higher than all that came later is kept: a few values at most.
        while self._usage and (self._usage[-1][1] <= percent or self._usage[0][0] < now - _RECENT):
            self._usage.pop(-1 if self._usage[-1][1] <= percent else 0)
        self._usage.append((now, percent))

    def sent(self, lane: str, queued: float, since: float | None) -> None:
        """A row left. Seconds since it stood in the outbox, and since the message that it answers came (None: unknown)."""
        self._waits[lane].observe(max(0.0, queued))
        if since is not None:
            self._replies[lane].observe(max(0.0, since))

    def _use(self) -> float:
        edge = time.monotonic() - _RECENT
        return max((percent for at, percent in list(self._usage) if at >= edge), default=0) / 100

    def watch(
        self, counts: Mapping[tuple[str, str], int], ceiling: int, used: Callable[[], float], held: Callable[[], int]
    ) -> None:
        """Tell also what the sender has: rows by (lane, outcome); messages a second and account; how much of it the
        busiest account used in the last second; rows under way."""
        self.registry.register(_Service(counts, ceiling, used, held))


class _Service(Gathered):
    def __init__(
        self, counts: Mapping[tuple[str, str], int], ceiling: int, used: Callable[[], float], held: Callable[[], int]
    ) -> None:
        self._counts, self._ceiling, self._used, self._held = counts, ceiling, used, held

    def collect(self) -> Iterable[Metric]:
        """Read when asked, so that counting costs what a Counter costs."""
        rows = CounterMetricFamily("planton_sender_rows", "Rows of the outbox by outcome.", labels=["lane", "outcome"])
        for labels, count in sorted(dict(self._counts).items()):
            rows.add_metric(labels, count)
        yield rows
        yield GaugeMetricFamily("planton_sender_rows_running", "Rows under way.", self._held())
        yield GaugeMetricFamily(
            "planton_sender_ceiling_messages", "Messages that may leave a second and account.", self._ceiling
        )
        yield GaugeMetricFamily(
            "planton_sender_ceiling_used_ratio",
            "Part of the ceiling that the busiest account used in the last second, through this process.",
            self._used(),
        )
