"""CPU and memory by process, between two moments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Use:
    """Of all processes of a name: CPU seconds, and MB, what several share divided among them (PSS)."""

    cpu: float
    memory: float


class Meter:
    """Measures process trees by name, from its making on. `roots`: name → pid; children have names of their own where known."""

    def __init__(self, roots: Mapping[str, int]) -> None:
        self._roots = {name: psutil.Process(pid) for name, pid in roots.items()}
        self._before = self._cpu()

    def restart(self) -> None:
        """Measure from now on."""
        self._before = self._cpu()

    def _all(self) -> list[tuple[str, psutil.Process]]:
        found = []
        for name, root in self._roots.items():
            try:
                found.append((name, root))
                found += [(_name(child, name), child) for child in root.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
        return found

    def _cpu(self) -> dict[tuple[int, float], tuple[str, float]]:
        """(pid, start) → name and seconds; what ended meanwhile is told by its parent, if that is a postmaster."""
        found = {}
        for name, process in self._all():
            try:
                times = process.cpu_times()
                ended = times.children_user + times.children_system if name == "postgres" else 0.0
                found[process.pid, process.create_time()] = (name, times.user + times.system + ended)
            except psutil.NoSuchProcess:
                continue
        return found

    def cpu(self) -> dict[str, float]:
        """CPU seconds by name."""
        used: dict[str, float] = defaultdict(float)
        for key, (name, seconds) in self._cpu().items():
            used[name] += seconds - self._before.get(key, (name, 0.0))[1]
        return dict(used)

    def memory(self) -> dict[str, float]:
        """MB by name, now; what several share is divided among them."""
        return self._held(lambda process, _: process.memory_full_info().pss)

    def grown(self) -> dict[str, float]:
        """MB by name, to follow over time. Not divided: the share of one process grows when another that reads the same
        files ends. Without what PostgreSQL's processes share, which fills by design."""
        return self._held(
            lambda process, name: process.memory_full_info().uss if name == "postgres" else process.memory_info().rss
        )

    def _held(self, of: Callable[[psutil.Process, str], int]) -> dict[str, float]:
        held: dict[str, float] = defaultdict(float)
        for name, process in self._all():
            try:
                held[name] += of(process, name) / 1e6
            except psutil.NoSuchProcess:
                continue
        return dict(held)

    def use(self) -> dict[str, Use]:
        """Both."""
        cpu, memory = self.cpu(), self.memory()
        return {name: Use(cpu.get(name, 0.0), memory[name]) for name in memory}


def _name(process: psutil.Process, root: str) -> str:
    """The role of one of Planton's processes; else that of its root."""
    try:
        if process.name() == "postgres":
            return "postgres"
        words = process.cmdline()
    except psutil.NoSuchProcess:
        return root
    if "_role" in words:
        return str(words[words.index("_role") + 1])
    return "engine" if "bot.engine" in words else root
