"""Counts inputs, and holds each one to its bounds of processor time and memory.

Processor time, not the clock: a busy machine must not look like a slow parser. An input over its bound is run again, and the
quickest of three counts, so that the interpreter's own pauses are no finding.
"""

from __future__ import annotations

import json
import resource
import time
from collections import Counter
from pathlib import Path

from bot.meta.payloads import ITEMS_MAX
from tests.fuzz.targets import Target

FLOOR = 0.1  # seconds of processor time that any input may take: coverage makes the code several times slower
# Besides what the target says of a byte: for each item of a webhook's body. Two bytes may be one, up to the most that are read.
PER_ITEM = 50e-6
MEMORY = 512 * 1024 * 1024  # bytes of address space beyond what the program takes before the first input


class Slow(Exception):
    """An input took more processor time than its size allows."""


class Meter:
    """Runs a target's inputs; `told()` is what the table shows."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._outcomes: Counter[str] = Counter()
        self._inputs = self._bytes = 0
        self._slowest, self._slowest_bytes = 0.0, 0
        self._begun, self._begun_cpu = time.monotonic(), time.process_time()
        self._base = peak()

    @property
    def inputs(self) -> int:
        """How many so far."""
        return self._inputs

    def run(self, data: bytes) -> None:
        """One input. Raises what the target raises, or Slow."""
        spent, outcome = self._timed(data)
        allowed = FLOOR + self._target.per_byte * len(data) + PER_ITEM * min(len(data) // 2, ITEMS_MAX)
        if spent > min(allowed, self._slowest):
            spent = min(spent, *(self._timed(data)[0] for _ in range(2)))
        if spent > allowed:
            raise Slow(f"{spent:.3f} s for {len(data)} bytes, at most {allowed:.3f}")
        self._inputs += 1
        self._bytes += len(data)
        self._outcomes[outcome] += 1
        if spent > self._slowest:
            self._slowest, self._slowest_bytes = spent, len(data)

    def _timed(self, data: bytes) -> tuple[float, str]:
        begun = time.thread_time()
        outcome = self._target.run(data)
        return time.thread_time() - begun, outcome

    def told(self) -> dict[str, object]:
        """Figures as JSON types: seconds, bytes."""
        return {
            "inputs": self._inputs,
            "bytes": self._bytes,
            "seconds": time.monotonic() - self._begun,
            "processor": time.process_time() - self._begun_cpu,
            "slowest": self._slowest,
            "slowest_bytes": self._slowest_bytes,
            "peak": peak(),
            "grown": peak() - self._base,
            "outcomes": dict(self._outcomes),
        }

    def save(self, path: Path) -> None:
        """Write the figures; a child that is killed leaves its last ones."""
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(self.told()), encoding="utf-8")
        fresh.replace(path)


def peak() -> int:
    """The most memory this process had so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def bounded(more: int = MEMORY) -> None:
    """From here on the process may take `more` bytes of address space; beyond it an allocation fails."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
