"""What a sender counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram
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
        self._usage: dict[str, list[tuple[float, float]]] = {}  # by account
        registry.register(_Usage(self._uses))

    def asked(self, lane: str, result: str, seconds: float) -> None:
        """A call of the Send API."""
        self._sends[lane].observe(seconds)
        if (counter := self._counters.get((lane, result))) is None:
            counter = self._counters[lane, result] = self._results.labels(lane, result)
        counter.inc()

    def told(self, account: str, percent: int) -> None:
        """What Meta's headers said of an account's use."""
        now, usage = time.monotonic(), self._usage.setdefault(account, [])
        # Only what is higher than all that came later is kept: a few values at most.
        while usage and (usage[-1][1] <= percent or usage[0][0] < now - _RECENT):
            usage.pop(-1 if usage[-1][1] <= percent else 0)
        usage.append((now, percent))

    def sent(self, lane: str, queued: float, since: float | None) -> None:
        """A row left. Seconds since it stood in the outbox, and since the message that it answers came (None: unknown)."""
        self._waits[lane].observe(max(0.0, queued))
        if since is not None:
            self._replies[lane].observe(max(0.0, since))

    def _uses(self) -> dict[str, float]:
        edge = time.monotonic() - _RECENT
        return {
            account: max((percent for at, percent in list(usage) if at >= edge), default=0) / 100
            for account, usage in list(self._usage.items())
        }

    def watch(
        self,
        counts: Mapping[tuple[str, str], int],
        ceiling: int,
        used: Callable[[], float],
        held: Callable[[], int],
        paces: Callable[[], Mapping[str, float]],
        unpermitted: Mapping[str, int],
    ) -> None:
        """Tell also what the sender has: rows by (lane, outcome); messages a second and account; how much of it the
        busiest account used in the last second; rows under way; by account, messages a second that Meta's account of our use
        leaves of the ceiling; emergencies that did not wait for the ceiling any longer, by why."""
        self.registry.register(_Service(counts, ceiling, used, held, paces, unpermitted))


class _Usage(Gathered):
    def __init__(self, uses: Callable[[], Mapping[str, float]]) -> None:
        self._uses = uses

    def collect(self) -> Iterable[Metric]:
        usage = GaugeMetricFamily(
            "planton_sender_meta_usage_ratio",
            "The highest use of its limits that Meta told within the last minute; 1: nothing more is taken.",
            labels=["account"],
        )
        for account, part in sorted(self._uses().items()):
            usage.add_metric([account], part)
        yield usage


class _Service(Gathered):
    def __init__(
        self,
        counts: Mapping[tuple[str, str], int],
        ceiling: int,
        used: Callable[[], float],
        held: Callable[[], int],
        paces: Callable[[], Mapping[str, float]],
        unpermitted: Mapping[str, int],
    ) -> None:
        self._counts, self._ceiling, self._used, self._held = counts, ceiling, used, held
        self._paces, self._unpermitted = paces, unpermitted

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
        pace = GaugeMetricFamily(
            "planton_sender_pace_messages",
            "Messages a second that Meta's account of our use leaves of the ceiling, by account.",
            labels=["account"],
        )
        for account, messages in sorted(self._paces().items()):
            pace.add_metric([account], messages)
        yield pace
        hasty = CounterMetricFamily(
            "planton_sender_unpermitted_emergencies",
            "Emergencies that left without a permit: the ceiling was used up for two seconds, or the store gave no answer.",
            labels=["reason"],
        )
        for reason in ("ceiling", "store"):
            hasty.add_metric([reason], self._unpermitted.get(reason, 0))
        yield hasty
