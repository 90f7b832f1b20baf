"""What a worker counts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from bot.watch.measures import QUICK, WAITS, WORK

OUTCOMES = ("done", "changed", "engine_away", "engine_refused", "database_away", "error")
DISPOSITIONS = ("answered", "emergency", "handed_off", "to_agent", "ignored", "failed")
_CALLS = ("turn", "understand", "explain")


class WorkerMetrics:
    """Counters and histograms on one registry (one of its own unless given). Each call costs a few microseconds."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()
        self._claims = Histogram(
            "planton_worker_claim_seconds",
            "Time to claim conversations, of claims that found some.",
            registry=registry,
            buckets=QUICK,
        )
        self._claimed = Counter("planton_worker_claimed_conversations", "Conversations claimed.", registry=registry)
        self._waits = Histogram(
            "planton_worker_wait_seconds",
            "From the arrival of a message to the claim of its conversation, nights left out.",
            registry=registry,
            buckets=WAITS,
        )
        self._turns = Histogram(
            "planton_worker_turn_seconds", "Length of a turn, engine included.", registry=registry, buckets=WORK
        )
        outcomes = Counter("planton_worker_turns", "Turns by outcome.", ["outcome"], registry=registry)
        self._outcomes = {name: outcomes.labels(name) for name in OUTCOMES}
        self._running = Gauge("planton_worker_turns_running", "Turns under way.", registry=registry)
        settled = Counter("planton_worker_events", "Events settled by turns.", ["disposition"], registry=registry)
        self._settled = {name: settled.labels(name) for name in DISPOSITIONS}
        engine = Histogram(
            "planton_worker_engine_seconds",
            "Calls of the engine, by call and outcome.",
            ["call", "outcome"],
            registry=registry,
            buckets=WORK,
        )
        self._engine = {(c, o): engine.labels(c, o) for c in _CALLS for o in ("ok", "away", "refused")}

    def claimed(self, conversations: int, seconds: float) -> None:
        """A claim came back with some."""
        self._claims.observe(seconds)
        self._claimed.inc(conversations)

    def waited(self, seconds: float) -> None:
        """A conversation's oldest message had waited so long."""
        self._waits.observe(max(0.0, seconds))

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Around a turn."""
        start = time.perf_counter()
        self._running.inc()
        try:
            yield
        finally:
            self._running.dec()
            self._turns.observe(time.perf_counter() - start)

    def ended(self, outcome: str) -> None:
        """What became of a turn: one of OUTCOMES."""
        self._outcomes[outcome].inc()

    def settled(self, dispositions: Iterable[tuple[str, int]]) -> None:
        """How many events got which disposition."""
        for disposition, events in dispositions:
            self._settled[disposition].inc(events)

    def asked(self, call: str, outcome: str, seconds: float) -> None:
        """A call of the engine: `turn`, `understand` or `explain`; `ok`, `away` or `refused`."""
        self._engine[call, outcome].observe(seconds)
