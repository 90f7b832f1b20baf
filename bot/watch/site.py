"""What the database tells of the whole site: queue, outbox, hand-offs, emergencies, accounts; and which engines answer.

Every gateway tells it, each with the same values: take the highest, never the sum. Values are looked up when they are asked
for, at most every few seconds, on a connection of their own; a database that does not answer leaves them out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric

from bot.watch.measures import Gathered

log = logging.getLogger("planton.watch")

T = TypeVar("T")
FRESH = 5.0  # seconds that a look serves
PATIENCE = 2.0  # seconds that a scrape waits for a look


@dataclass(frozen=True)
class Queue:
    """What waits under one label. `oldest`: seconds that the first has been waiting."""

    count: int = 0
    oldest: float = 0.0


@dataclass(frozen=True)
class Site:
    """The site at a moment. Keys: priority, lane, category, state."""

    due: Mapping[str, Queue]  # conversations that could be handled now
    leased: int  # in the hands of a worker
    later: int  # waiting for their moment: debounce, night, retry
    outbox: Mapping[str, Queue]
    in_flight: int
    handoffs: Mapping[str, Queue]  # open; `oldest` of those that nobody took
    unread: Queue  # emergencies that no agent has opened
    accounts: Mapping[str, int]
    refused: int = 0  # sealed values that did not belong where they stood, within a day


Look = Callable[[], Awaitable[Site]]
Engines = Callable[[], Awaitable[tuple[int, int]]]  # (ready, away)


class SiteMetrics(Gathered):
    """Gauges of the site on a registry. `refresh` before the registry is written."""

    def __init__(
        self,
        registry: CollectorRegistry,
        look: Look,
        engines: Engines,
        answers: Callable[[], Awaitable[bool]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`answers`: whether the database does, which may be although a look takes too long."""
        self._look, self._engines, self._answers, self._clock = look, engines, answers, clock
        self._up = False
        self._site: Site | None = None
        self._ready, self._away = 0, 0
        self._seconds = 0.0
        self._at: float | None = None
        self._task: asyncio.Task[None] | None = None
        registry.register(self)

    async def refresh(self) -> None:
        """Look anew unless the last look is fresh; those who ask at once share a look. Never raises."""
        if self._at is not None and self._clock() - self._at < FRESH:
            return
        if self._task is None:
            self._task = asyncio.create_task(self._renew())
            self._task.add_done_callback(self._done)
        await asyncio.wait({self._task}, timeout=PATIENCE + 0.5)

    def _done(self, _task: asyncio.Task[None]) -> None:
        self._task = None

    async def _renew(self) -> None:
        start = self._clock()
        site, engines, up = await asyncio.gather(
            self._asked(self._look), self._asked(self._engines), self._asked(self._answers)
        )
        self._site, self._up = site, site is not None or bool(up)
        self._ready, self._away = engines or (0, 0)
        self._at = self._clock()
        self._seconds = self._at - start

    async def _asked(self, ask: Callable[[], Awaitable[T]]) -> T | None:
        try:
            async with asyncio.timeout(PATIENCE):
                return await ask()
        except Exception as error:  # whatever ails what is watched, the rest is told
            log.info("not looked at: %s", type(error).__name__)
            return None

    def collect(self) -> Iterable[Metric]:
        """The last look."""
        site = self._site
        yield GaugeMetricFamily("planton_database_up", "Whether the database answered.", int(self._up))
        yield GaugeMetricFamily("planton_database_look_seconds", "How long the last look took.", self._seconds)
        engines = GaugeMetricFamily("planton_engines", "Engines of ENGINE_URL by state.", labels=["state"])
        engines.add_metric(["ready"], self._ready)
        engines.add_metric(["away"], self._away)
        yield engines
        if site is not None:
            yield from families(site)


def families(site: Site) -> Iterable[Metric]:
    """A site as gauges."""
    yield from _queues(
        "planton_queue",
        "conversations",
        "Conversations that could be handled now",
        "Age of the one due first",
        "priority",
        site.due,
    )
    yield GaugeMetricFamily("planton_queue_leased_conversations", "In the hands of a worker.", site.leased)
    yield GaugeMetricFamily(
        "planton_queue_later_conversations", "Waiting for their moment: debounce, night, retry.", site.later
    )
    yield from _queues(
        "planton_outbox", "rows", "Messages that could leave now", "Age of the one due first", "lane", site.outbox
    )
    yield GaugeMetricFamily("planton_events_in_flight", "Events without disposition.", site.in_flight)
    yield from _queues(
        "planton_handoffs",
        "open",
        "Open hand-offs",
        "Age of the first that no agent has taken",
        "category",
        site.handoffs,
    )
    yield GaugeMetricFamily(
        "planton_emergencies_unread", "Open emergencies that no agent has opened.", site.unread.count
    )
    yield GaugeMetricFamily(
        "planton_emergencies_unread_oldest_seconds", "Age of the first unread emergency.", site.unread.oldest
    )
    yield GaugeMetricFamily(
        "planton_refused_rows",
        "Sealed values found in another row than theirs, or altered, within a day.",
        site.refused,
    )
    accounts = GaugeMetricFamily("planton_accounts", "Accounts by state: ok, paused, stopped.", labels=["state"])
    for state in ("ok", "paused", "stopped"):
        accounts.add_metric([state], site.accounts.get(state, 0))
    yield accounts


def _queues(
    name: str, what: str, counts: str, ages: str, label: str, queues: Mapping[str, Queue]
) -> Iterable[GaugeMetricFamily]:
    count = GaugeMetricFamily(f"{name}_{what}", f"{counts}, by {label}.", labels=[label])
    oldest = GaugeMetricFamily(f"{name}_oldest_seconds", f"{ages}, by {label}.", labels=[label])
    for value, queue in queues.items():
        count.add_metric([value], queue.count)
        oldest.add_metric([value], queue.oldest)
    yield count
    yield oldest
