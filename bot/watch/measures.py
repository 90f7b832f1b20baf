"""What every process tells: its build, its CPU and memory; and how a registry is written out.

Names follow Prometheus's conventions: `planton_<part>_<what>_<unit>`, base units (seconds, bytes, ratios from 0 to 1),
counters end in `_total`. Labels are kinds and outcomes from closed lists, and of ids a page's number alone: no name, no word of
anybody's.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bot.core.clock import SharedClock

disable_created_metrics()  # type: ignore[no-untyped-call] # a second series beside each counter, which nobody reads

VERSION = "0.1.0"
CONTENT_TYPE = CONTENT_TYPE_LATEST

# Seconds. What answers at once (acknowledgements, claims), what works (turns, engine, Meta), what waits in a queue.
QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
WORK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15)
WAITS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 900, 3600)


class Gathered(Collector):
    """Families that are made at each look; without a list of what they describe, a registry would ask at its start."""

    def describe(self) -> Iterable[Metric]:
        """Nothing: names are known once there is something to tell."""
        return ()


class Build(Gathered):
    """Which version runs."""

    def collect(self) -> Iterable[Metric]:
        """One family."""
        family = GaugeMetricFamily("planton_build_info", "Version that runs; always 1.", labels=["version", "python"])
        family.add_metric([VERSION, platform.python_version()], 1)
        yield family


class Skew(Gathered):
    """How far the machine's clock is from PostgreSQL's, once that was read."""

    def __init__(self, clock: SharedClock) -> None:
        self._clock = clock

    def collect(self) -> Iterable[Metric]:
        """One family, or none."""
        if self._clock.read:
            what = "By how much this machine's clock is ahead of PostgreSQL's."
            yield GaugeMetricFamily("planton_clock_skew_seconds", what, self._clock.skew)


def registry(clock: SharedClock | None = None) -> CollectorRegistry:
    """A registry with what every process tells. `clock`: PostgreSQL's, as the process follows it."""
    made = CollectorRegistry(auto_describe=False)
    made.register(Build())
    if clock is not None:
        made.register(Skew(clock))
    ProcessCollector(registry=made)
    return made


def written(of: CollectorRegistry) -> bytes:
    """Prometheus's text format."""
    return generate_latest(of)
