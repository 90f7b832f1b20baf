"""What Planton says that it did with each message, read from its database, and which row each arrival was."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from typing import Any

import psycopg

from scripts.benchmark.accounting import Arrival, Fate, Key, Name

_MARK = re.compile(r"pl1\.(\d+)(?:-(\d+))?\.")
ROW = 100  # parts that a row may have

Sent = Sequence[Any]  # person, metadata, text, monotonic seconds, overlapped: as the Graph API keeps it


class Ledger:
    """Reads the embedded database of a running Planton. `prefix`: of the persons of one measurement."""

    def __init__(self, url: str) -> None:
        self._url = url

    def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        with psycopg.connect(self._url) as connection:
            return connection.execute(query, values).fetchall()

    def in_flight(self) -> tuple[int, int]:
        """Messages without a disposition, and replies not sent."""
        [row] = self.rows(
            """SELECT (SELECT count(*) FROM events WHERE disposition IS NULL),
                      (SELECT count(*) FROM outbox WHERE status = 'queued')"""
        )
        return int(row[0]), int(row[1])

    def drained(self, seconds: float, every: float = 0.5) -> bool:
        """Wait until nothing is in flight; False when it takes longer."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.in_flight() == (0, 0):
                return True
            time.sleep(every)
        return False

    def fates(self, prefix: str) -> dict[Name, Fate]:
        """Of each stored message."""
        found = {}
        roots = self._roots(prefix)
        for mid, disposition, row, status, lane in self.rows(
            """SELECT e.mid, e.disposition, e.outbox_id, o.status, o.lane FROM events e
               LEFT JOIN outbox o ON o.id = e.outbox_id WHERE e.mid LIKE %(like)s""",
            like=f"m\\_{prefix}%",
        ):
            if disposition is None:
                continue
            _, person, number = mid.split("_")
            if row is None or status == "cancelled":  # a danger overtook it, or it was for an agent
                fate = Fate(silent=disposition in ("ignored", "to_agent", "handed_off", "emergency"))
            else:
                fate = Fate(roots.get(row, row) * ROW, urgent=lane == "emergency")
            found[person, int(number)] = fate
        return found

    def _roots(self, prefix: str) -> dict[int, int]:
        """Row → the first of those that were written with it, as one reply; 0 for what answers no message."""
        found: dict[int, int] = {}
        for row, author, first in self.rows(
            """SELECT o.id, o.author, min(o.id) OVER (PARTITION BY o.conversation_id, o.created_at) FROM outbox o
               JOIN conversations c ON c.id = o.conversation_id WHERE c.person LIKE %(like)s""",
            like=f"{prefix}%",
        ):
            found[row] = 0 if author == "system" else first
        return found

    def arrivals(self, prefix: str, sent: Iterable[Sent]) -> list[Arrival]:
        """What people got, by the row that each part carries in its mark."""
        roots = self._roots(prefix)
        found = []
        for person, metadata, _, at, overlapped in sent:
            if not person.startswith(prefix):
                continue
            mark = _MARK.match(metadata)
            row, part = (int(mark[1]), int(mark[2] or 0)) if mark else (0, 0)
            root = roots.get(row, row)
            key: Key | None = root * ROW if root else None
            found.append(Arrival(person, key, (row - root) * ROW + part, at, overlapped))
        return found
