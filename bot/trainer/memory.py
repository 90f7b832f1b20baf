"""How much memory a process and its descendants hold, at most: what a training needs is told from what it took."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
EVERY = 0.5  # seconds


class Peak:
    """Watches from a thread; `highest`: bytes held at once so far by processes of our own and all their descendants."""

    def __init__(self, pid: int) -> None:
        self.highest = 0
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(EVERY):
            self.highest = max(self.highest, held(self._pid))


def held(pid: int) -> int:
    """Bytes that a process and its descendants hold now; shared pages count for each. 0 when it is gone."""
    waiting, total = [pid], 0
    while waiting:
        one = waiting.pop()
        with contextlib.suppress(OSError, ValueError, IndexError):
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * PAGE
            for task in Path(f"/proc/{one}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
    return total
