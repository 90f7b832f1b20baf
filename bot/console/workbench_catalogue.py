"""The catalogue of questions by topic: how many there are, what is overdue or unchecked, how often each came; search."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import redirect

from bot.console import workbench_catalogue_words as says
from bot.console.forms import field, whole
from bot.console.question_counts import QuestionCount
from bot.console.site import STARTED, Site, Topic
from bot.console.workbench_catalogue_desk import PATH, CatalogueDesk, Row, row_of
from bot.console.workbench_search import seal_words, searched
from bot.core.catalogue import Question
from bot.policy.rights import Capability
from bot.trainer.errors import TrainerError

PAGE = 40  # questions
QUERY_AT_MOST = 100


def routes(site: Site) -> Blueprint:
    """The list, and what is sought in it."""
    views, topic = CatalogueViews(site), Topic("workbench-catalogue")
    topic.page(PATH, views.list_, Capability.SEE_WORKBENCH, "list")
    topic.form(PATH, views.seek, Capability.SEE_WORKBENCH, "seek")
    topic.blueprint.listener("before_server_start")(views.warm)
    topic.blueprint.listener("before_server_stop")(views.cool)
    return topic.blueprint


@dataclass(frozen=True)
class Subject:
    """One topic in the list: how many questions, how many are overdue or never checked, how often they came."""

    intent: str
    rows: tuple[Row, ...]

    @property
    def overdue(self) -> int:
        return sum(row.overdue for row in self.rows)

    @property
    def unchecked(self) -> int:
        return sum(row.unchecked for row in self.rows)

    @property
    def count(self) -> QuestionCount:
        counts = [row.count for row in self.rows]
        return QuestionCount(sum(c.asked for c in counts), sum(c.up for c in counts), sum(c.down for c in counts))


@dataclass(frozen=True)
class Asked:
    """Which questions to show. `sealed`: the words as addresses and forms carry them."""

    chosen: str = "toutes"
    topic: str = ""
    query: str = ""
    sealed: str = ""
    first: int = 0

    @property
    def narrowed(self) -> bool:
        """Whether questions are shown, and not topics."""
        return bool(self.topic or self.query or self.chosen != "toutes")

    def link(self, **other: str) -> str:
        """The address of this list, or of another one beside it."""
        told = {"filtre": "" if self.chosen == "toutes" else self.chosen, "theme": self.topic, "r": self.sealed} | other
        kept = {name: value for name, value in told.items() if value}
        return f"{PATH}?{urlencode(kept)}" if kept else PATH


class CatalogueViews:
    """The list; what it looks for stands sealed in addresses."""

    def __init__(self, site: Site) -> None:
        self._desk = CatalogueDesk(site)
        self._codec = site.desk.codec
        self._warming: asyncio.Task[None] | None = None

    async def warm(self, *_: Any) -> None:
        """A thousand questions take three seconds to read: before the first page, not during it; and not while all
        else starts."""

        async def read() -> None:
            await asyncio.sleep(STARTED)
            with contextlib.suppress(TrainerError):  # the page that needs it will say what is wrong
                await self._desk.known()

        self._warming = asyncio.create_task(read())

    async def cool(self, *_: Any) -> None:
        """The console ends."""
        if self._warming is not None:
            self._warming.cancel()

    async def list_(self, request: Request) -> HTTPResponse:
        """The topics; or the questions of a topic, of a filter, with some words."""
        asked = self._asked({name: str(request.args.get(name) or "") for name in ("filtre", "theme", "r", "de")})
        try:
            known = await self._desk.known()
        except TrainerError as error:
            return self._desk.broken(request, error)
        counts = await self._desk.counts()
        rows = [row_of(one, known, counts) for one in known.questions.values()]
        told = {name: sum(_fits(row, name) for row in rows) for name in says.FILTERS}
        found = await asyncio.to_thread(_found, rows, asked)
        first = min(asked.first, max(0, len(found) - 1)) // PAGE * PAGE
        return self._desk.page(
            request, "catalogue", asked=asked, subjects=_subjects(rows), rows=found[first : first + PAGE], n=len(found),
            first=first, page=PAGE, counts=told, total=len(rows), counted=bool(counts),
        )  # fmt: skip

    async def seek(self, request: Request) -> HTTPResponse:
        """Read the words to look for, and lead to the address of what says them."""
        query = field(request, "q")[:QUERY_AT_MOST].strip()
        asked = self._asked({"filtre": field(request, "filtre"), "theme": field(request, "theme")})
        return redirect(asked.link(r=seal_words(self._codec, query) if query else ""), status=303)

    def _asked(self, given: Mapping[str, str]) -> Asked:
        chosen, topic = given.get("filtre", ""), given.get("theme", "")
        query, sealed = searched(self._codec, given.get("r", ""))
        return Asked(
            chosen if chosen in says.FILTERS else "toutes",
            topic if topic.isidentifier() else "",
            query,
            sealed,
            whole(given.get("de"), 0),
        )


def _subjects(rows: Sequence[Row]) -> list[Subject]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.question.intent, []).append(row)
    return [Subject(intent, tuple(found[intent])) for intent in sorted(found, key=says.order)]


def _found(rows: Sequence[Row], asked: Asked) -> list[Row]:
    words = _plain(asked.query).split()
    found = [row for row in rows if _fits(row, asked.chosen) and asked.topic in ("", row.question.intent)]
    found = [row for row in found if all(word in _words(row.question) for word in words)]
    return sorted(found, key=lambda row: says.order(row.question.intent))


def _fits(row: Row, chosen: str) -> bool:
    return {"a-relire": row.overdue, "a-verifier": row.unchecked, "erreurs": row.errors > 0}.get(chosen, True)


def _words(one: Question) -> str:
    """All that a question says, to look for words in."""
    parts = (one.id.replace("_", " "), one.title, one.question, *(v.text for v in one.variants), *one.examples)
    return _plain("\n".join((*parts, one.link, *one.source)))


@functools.lru_cache(maxsize=4_096)
def _plain(text: str) -> str:
    """Without accents and capitals."""
    bare = unicodedata.normalize("NFKD", text.replace("’", "'"))
    return "".join(c for c in bare if not unicodedata.combining(c)).casefold()
