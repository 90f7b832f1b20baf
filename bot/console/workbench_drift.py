"""The page of drift: is the bot understood as well as before, what do people ask that it does not know, what is never asked."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import html

from bot.console import csv_safe
from bot.console import workbench_drift_words as says
from bot.console.chart import Bar, Chart, stacked
from bot.console.csv_safe import Cell
from bot.console.door import LIVE_HEADER
from bot.console.site import Site, Topic
from bot.policy.intents import DANGER_INTENTS, INTENTS
from bot.policy.rights import Capability
from bot.policy.topics import topics
from bot.store import audit, news
from bot.store.sightings import Sightings
from bot.store.workbench.drift import Drift, Understood, Unknown, Week, opened
from bot.trainer.corpus import Corpus
from bot.trainer.errors import TrainerError
from bot.trainer.project import Project

log = logging.getLogger("planton.console")

DAYS = 28  # of subjects and of new topics
SHOWN = 15  # new topics
EXAMPLES = 5  # further messages of a topic
PATIENCE = 0.5  # seconds that a page waits for the topics before it comes without them
REST = 20  # topics that took a second to make are shown so many seconds although messages came since
# Much asked, few examples: so many messages, and so much bigger a part of the messages than of the examples.
ASKED, RATIO = 20, 2.0
HEADER = ("Semaine du", "Mesure", "Sujet", "Nombre", "Sur", "Part (%)")


def routes(site: Site) -> Blueprint:
    """The page and its file."""
    views, topic = DriftViews(site), Topic("workbench-drift")
    topic.page("/atelier/suivi", views.show, Capability.SEE_WORKBENCH, "show")
    topic.page("/atelier/suivi.csv", views.file, Capability.SEE_WORKBENCH, "file")
    return topic.blueprint


@dataclass(frozen=True)
class NewTopic:
    """A subject of messages that were not understood: the most typical first. `people`: how many wrote them."""

    messages: tuple[Unknown, ...]
    people: int

    @property
    def typical(self) -> Unknown:
        return self.messages[0]


@dataclass(frozen=True)
class Found:
    """The new topics, of so many messages. `key`: what they were made from; `stale`: monotonic seconds from which they are made
    anew when messages came."""

    key: tuple[int, int]
    stale: float
    topics: tuple[NewTopic, ...]
    messages: int


@dataclass(frozen=True)
class Subject:
    """One line of the table of subjects. `examples`: None without the project's folder."""

    intent: str
    figures: Understood
    examples: int | None
    month: int
    quarter: int
    wanting: bool  # much asked, few examples


class DriftViews:
    """Figures at once; topics are made in a thread, for all pages together."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._deps = site.deps
        self._store = Drift(site.deps.database, site.deps.zone)
        self._sightings = Sightings(site.deps.database)
        self._found: Found | None = None
        self._making: asyncio.Task[None] | None = None

    async def show(self, request: Request) -> HTTPResponse:
        """The page; only the new topics when the page refreshes itself."""
        user, csrf, now = request.ctx.user, request.ctx.csrf, self._deps.clock.now()
        found = await self._topics(now)
        await self._seen(request, found)
        if LIVE_HEADER in request.headers:
            page = self._site.renderer.page(
                "workbench/_drift_topics.html",
                user=user,
                csrf=csrf,
                says=says,
                found=found,
                days=DAYS,
                shown=SHOWN,
                examples=EXAMPLES,
            )
            return html(page)
        span = str(request.args.get("periode") or "12")
        span = span if span in says.SPANS else "12"
        weeks = await self._store.weeks(now, int(span))
        subjects = await self._subjects(now)
        page = self._site.renderer.page(
            "workbench/drift.html", user=user, csrf=csrf, says=says, found=found, days=DAYS, shown=SHOWN, examples=EXAMPLES,
            span=span, weeks=weeks,
            charts={measure: _chart(weeks, measure) for measure in says.MEASURES},
            current=weeks[-1], before=weeks[-2], subjects=subjects,
            never=[one for one in subjects if not one.quarter], rare=[one for one in subjects if one.quarter and not one.month],
            wanting=[one for one in subjects if one.wanting], empty=not any(week.received or week.read for week in weeks),
        )  # fmt: skip
        return html(page)

    async def file(self, request: Request) -> HTTPResponse:
        """The figures for a spreadsheet, a year of them; counts only, recorded."""
        now = self._deps.clock.now()
        weeks = await self._store.weeks(now, 52)
        rows = list(_rows(weeks, await self._subjects(now), now))
        async with self._deps.database.begin() as connection:
            await audit.record(
                connection, self._deps.wall.now(), request.ctx.user.id, "export", what="suivi", rows=len(rows)
            )
        return csv_safe.file(f"suivi-{now.astimezone(self._deps.zone).date()}", HEADER, rows)

    async def _seen(self, request: Request, found: Found | None) -> None:
        """Citizens' words are about to be on the screen."""
        if found is not None:
            shown = (one.conversation for topic in found.topics[:SHOWN] for one in topic.messages[: EXAMPLES + 1])
            user, now = request.ctx.user, self._deps.wall.now()
            await self._sightings.record(user.id, "drift_viewed", now, shown)

    # -- subjects ------------------------------------------------------------------------------------------------

    async def _subjects(self, now: datetime) -> list[Subject]:
        figures = {one.intent: one for one in await self._store.subjects(now, DAYS)}
        met = await self._store.met(now)
        examples = await asyncio.to_thread(_examples, self._deps.project)
        return subjects(figures, met, examples)

    # -- new topics ----------------------------------------------------------------------------------------------

    async def _topics(self, now: datetime) -> Found | None:
        """The topics as they are; a little older ones while new ones are made; None while the first are."""
        since = now - timedelta(days=DAYS)
        key = await self._store.state(since)
        found = self._found
        if found is not None and (found.key == key or time.monotonic() < found.stale):
            return found
        if self._making is None or self._making.done():
            self._making = asyncio.create_task(self._make(key, since))
        await asyncio.wait([self._making], timeout=PATIENCE)
        return self._found

    async def _make(self, key: tuple[int, int], since: datetime) -> None:
        began = time.monotonic()
        rows = await self._store.unknown(since)
        made = await asyncio.to_thread(lambda: new_topics(opened(self._deps.codec, rows)))
        ended = time.monotonic()
        self._found = Found(key, ended + REST * (ended - began), made, len(rows))
        if ended - began > PATIENCE:  # pages came without them
            async with self._deps.database.begin() as connection:
                await news.topic(connection, "drift")
        log.info("drift: %d messages, %d topics", len(rows), len(made))


def new_topics(messages: Sequence[Unknown]) -> tuple[NewTopic, ...]:
    """What several people wrote about, the subjects of most people first. Blocks: seconds for ten thousand messages."""
    found = []
    for topic in topics([one.words for one in messages]):
        members = tuple(messages[i] for i in topic.members)
        people = len({one.conversation for one in members})
        if people > 1:  # one person who says it again and again is no new subject
            found.append(NewTopic(members, people))
    return tuple(sorted(found, key=lambda one: (-one.people, -len(one.messages), one.typical.event)))


def subjects(
    figures: Mapping[str, Understood], met: Mapping[str, tuple[int, int]], examples: Mapping[str, int] | None
) -> list[Subject]:
    """Every subject that we have, the most frequent first. Dangers come by other ways too: they are never called useless."""
    read = sum(one.n for name, one in figures.items() if name in INTENTS)
    total = sum(examples.values()) if examples else 0
    found = []
    for name in INTENTS:
        one = figures.get(name, Understood(name, 0, 0, 0, 0, 0))
        month, quarter = met.get(name, (0, 0))
        if name in DANGER_INTENTS:
            quarter = quarter or 1
            month = month or 1
        n = examples.get(name, 0) if examples is not None else None
        wanting = n is not None and read > 0 and one.n >= ASKED and one.n / read >= RATIO * n / max(1, total)
        found.append(Subject(name, one, n, month, quarter, wanting))
    return sorted(found, key=lambda subject: (-subject.figures.n, subject.intent))


def _examples(project: Project | None) -> Mapping[str, int] | None:
    """How many examples each subject has in data/nlu.yml; None without the folder, or while the file is damaged."""
    if project is None:
        return None
    try:
        corpus = Corpus.read(project)
    except TrainerError:
        return None
    return Counter(one.intent for one in corpus.examples if one.file == "data/nlu.yml")


def _chart(weeks: Sequence[Week], measure: str) -> Chart:
    """One column a week: the share, in hundredths."""
    bars = [
        Bar(says.week(one.first), says.short(one.first), {"share": round(100 * (one.share(measure) or 0))})
        for one in weeks
    ]
    return stacked(bars, ("share",), labels=4)


def _rows(weeks: Sequence[Week], found: Sequence[Subject], now: datetime) -> Iterator[tuple[Cell, ...]]:
    for week in weeks:
        day = f"{week.first:%d/%m/%Y}"
        for measure, label in says.MEASURES.items():
            whole = week.read if measure == "low" else week.received
            yield day, label, "", week.part(measure), whole, _part(week.part(measure), whole)
    last = f"{DAYS} derniers jours"
    for subject in found:
        name, one = says.subject(subject.intent), subject.figures
        yield last, "Messages lus", name, one.n, "", ""
        for measure, n in (
            ("answered", one.answered), ("clarified", one.clarified), ("handed_off", one.handed_off), ("low", one.low),
        ):  # fmt: skip
            yield last, says.MEASURES[measure], name, n, one.n, _part(n, one.n)
        if subject.examples is not None:
            yield last, "Exemples", name, subject.examples, "", ""


def _part(n: int, whole: int) -> Cell:
    return round(100 * n / whole, 1) if whole else None
