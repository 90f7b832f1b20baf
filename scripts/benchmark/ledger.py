"""What Planton says that it did with each message, read from its database, and which row each arrival was."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import psycopg

from bot.store import overload
from scripts.benchmark.accounting import Arrival, Fate, Key, Name

_MARK = re.compile(r"pl1\.(\d+)(?:-(\d+))?\.")
_DOOR = re.compile(r"pl1\.e[0-9a-f]+\.")  # `bot.meta.metadata.unrowed_ref`: an emergency that went without the database
ROW = 100  # parts that a row may have

Sent = Sequence[Any]  # as `graph.Book.sent` has it


def ordinary(under_way: Iterable[str], urgent: Collection[int]) -> bool:
    """Whether one of these marks is of no emergency. `urgent`: the rows of the emergency lane. An emergency overtakes by design,
    so what begins while one is under way is in order."""
    for metadata in under_way:
        mark = _MARK.match(metadata)
        if not (int(mark[1]) in urgent if mark else _DOOR.match(metadata)):
            return True
    return False


# Dispositions of a message whose silence is meant: nobody answers it by itself, and nobody forgot it.
SILENT = ("ignored", "to_agent", "handed_off", "emergency")


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
        roots, _ = self._roots(prefix)
        for mid, disposition, row, status, lane in self.rows(
            """SELECT e.mid, e.disposition, e.outbox_id, o.status, o.lane FROM events e
               LEFT JOIN outbox o ON o.id = e.outbox_id WHERE e.mid LIKE %(like)s""",
            like=f"m\\_{prefix}%",
        ):
            if disposition is None:
                continue
            _, person, number = mid.split("_")
            if row is None or status == "cancelled":  # a danger overtook it, or it was for an agent
                fate = Fate(silent=disposition in SILENT, why=disposition)
            else:
                fate = Fate(roots.get(row, row) * ROW, urgent=lane == "emergency")
            found[person, int(number)] = fate
        return found

    def told(self, *prefixes: str) -> tuple[int, int]:
        """How many people got the notice that their answer will be late, and how many of them got it twice."""
        [row] = self.rows(
            """SELECT count(*), count(*) FILTER (WHERE notices > 1) FROM (
                   SELECT count(*) AS notices FROM outbox o JOIN conversations c ON c.id = o.conversation_id
                   WHERE c.person LIKE ANY(%(people)s) AND o.dedup LIKE %(name)s AND o.status = 'sent'
                   GROUP BY o.conversation_id) told""",
            people=[f"{prefix}%" for prefix in prefixes],
            name=f"{overload.NAME}%",
        )
        return int(row[0]), int(row[1])

    def _roots(self, prefix: str) -> tuple[dict[int, int], set[int]]:
        """Row → the first of those that were written with it, as one reply; 0 for what answers no message. And the rows of
        the emergency lane."""
        found: dict[int, int] = {}
        urgent: set[int] = set()
        for row, author, lane, first in self.rows(
            """SELECT o.id, o.author, o.lane, min(o.id) OVER (PARTITION BY o.conversation_id, o.created_at) FROM outbox o
               JOIN conversations c ON c.id = o.conversation_id WHERE c.person LIKE %(like)s""",
            like=f"{prefix}%",
        ):
            found[row] = 0 if author == "system" else first
            if lane == "emergency":
                urgent.add(row)
        return found, urgent

    def arrivals(self, prefix: str, sent: Iterable[Sent]) -> list[Arrival]:
        """What people got, by the row that each part carries in its mark."""
        roots, urgent = self._roots(prefix)
        found = []
        for person, metadata, _, at, under_way in sent:
            if not person.startswith(prefix):
                continue
            mark = _MARK.match(metadata)
            row, part = (int(mark[1]), int(mark[2] or 0)) if mark else (0, 0)
            root = roots.get(row, row)
            key: Key | None = root * ROW if root else None
            found.append(Arrival(person, key, (row - root) * ROW + part, at, ordinary(under_way, urgent)))
        return found
