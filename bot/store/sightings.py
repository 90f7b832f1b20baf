"""Who saw whose words in a list: at most one line of the audit a look and `audit.SPAN`, naming every conversation on it.

A list refreshes itself several times a second. What a line of the same person, page and details names already, and that
began less than SPAN ago, is not named again: whoever reads the audit knows of each showing that it lies between a line's
time and SPAN later (docs/decisions/audit.md). Only committed lines count, as this process remembers them: another process,
or this one after a restart, writes a line too many, never one too few.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from bot.store import audit
from bot.store.db import Database

REMEMBERED = 200_000  # conversations on lines; beyond, all is forgotten and written anew

_INSERT = text("""
    INSERT INTO audit (at, user_id, action, conversations, detail)
    SELECT i.at, i.user_id, i.action, CAST(i.conversations AS bigint[]), CAST(i.detail AS jsonb)
    FROM unnest(CAST(:ats AS timestamptz[]), CAST(:users AS bigint[]), CAST(:actions AS text[]),
        CAST(:conversations AS text[]), CAST(:details AS text[])) AS i(at, user_id, action, conversations, detail)
""")
_Page = tuple[int, str, str]  # person, action, details


@dataclass(eq=False)
class _Line:
    page: _Page
    at: datetime
    conversations: list[int]
    written: bool = False


class Sightings:
    """Writes the lines. Many people who hear of a change at once share a transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._known: dict[_Page, dict[int, datetime]] = {}
        self._count = 0
        self._waiting: list[_Line] = []
        self._writing = asyncio.Lock()

    async def record(
        self, user_id: int, action: str, at: datetime, conversations: Iterable[int], **detail: Any
    ) -> None:
        """This person is about to be shown words, or the names, of these conversations; to be awaited before they leave.

        `detail`: JSON types that tell one page from another, never a citizen's words. Raises ValueError for an action that
        is not in ACTIONS; what the database raises, and nothing may be shown then.
        """
        if action not in audit.ACTIONS:
            raise ValueError(f"no such action: {action}")
        page = (user_id, action, json.dumps(detail, sort_keys=True))
        known = self._known.get(page, {})
        new = sorted({one for one in conversations if not _covers(known.get(one), at)})
        if not new:
            return
        line = _Line(page, at, new)
        self._waiting.append(line)
        async with self._writing:
            if not line.written:  # by whoever wrote what was waiting
                await self._write()

    async def _write(self) -> None:
        lines, self._waiting = self._waiting, []
        news = [(line, new) for line, new in zip(lines, self._news(lines), strict=True) if new]
        try:
            if news:
                async with self._db.begin() as connection:
                    await connection.execute(
                        _INSERT,
                        {
                            "ats": [line.at for line, _ in news],
                            "users": [line.page[0] for line, _ in news],
                            "actions": [line.page[1] for line, _ in news],
                            "conversations": ["{" + ",".join(map(str, new)) + "}" for _, new in news],
                            "details": [line.page[2] for line, _ in news],
                        },
                    )
        except BaseException:
            self._waiting = lines + self._waiting  # each of the others tries for itself
            raise
        for line in lines:
            line.written = True
        for line, new in news:
            self._remember(line, new)

    def _news(self, lines: list[_Line]) -> list[list[int]]:
        """Of each, what no other look at the same page has told while it waited, or tells with it."""
        told: dict[_Page, dict[int, datetime]] = {}
        news = []
        for line in lines:
            known = told.setdefault(line.page, dict(self._known.get(line.page, {})))
            new = [one for one in line.conversations if not _covers(known.get(one), line.at)]
            known.update(dict.fromkeys(new, line.at))
            news.append(new)
        return news

    def _remember(self, line: _Line, new: list[int]) -> None:
        if self._count > REMEMBERED:
            self._known.clear()
            self._count = 0
        before = self._known.get(line.page, {})
        kept = {one: at for one, at in before.items() if _covers(at, line.at)}
        kept.update(dict.fromkeys(new, line.at))
        self._known[line.page] = kept
        self._count += len(kept) - len(before)


def _covers(began: datetime | None, at: datetime) -> bool:
    """Whether a line of `began` says that something was shown at `at`; not one of the future, should a clock go back."""
    return began is not None and began <= at < began + audit.SPAN
