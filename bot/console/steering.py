"""The steering page: how much came, who answered, how long people waited, whether they were content; and right now."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import html

from bot.console import csv_safe, export, labels
from bot.console import steering_words as says
from bot.console.chart import Bar, Chart, stacked
from bot.console.door import LIVE_HEADER
from bot.console.site import Site, Topic
from bot.console.steering_periods import NAMES, OWN, TODAY, BadPeriod, Bin, Period, period
from bot.policy.rights import Capability
from bot.store import audit
from bot.store.steering import Moment, Steering, figures
from bot.store.volumes import Counts

SUBJECTS = 10  # that are shown at once
MOST = 100  # questions that a page names; the file has all
KEPT_FOR = 2.0  # seconds that « right now » serves every page that asks
_PLATFORMS = tuple(labels.PLATFORMS)


def routes(site: Site) -> Blueprint:
    """The page and its file."""
    views, topic = SteeringViews(site), Topic("steering")
    topic.page("/pilotage", views.show, Capability.SEE_STEERING, "show")
    topic.page("/pilotage.csv", views.file, Capability.EXPORT, "file")
    return topic.blueprint


@dataclass(frozen=True)
class Asked:
    """What the address asked for. `error`: why it cannot be; the period is then today."""

    period: Period
    since: str
    until: str
    error: str = ""

    @property
    def query(self) -> str:
        """The period as the address of the file wants it; only what was checked."""
        if self.period.name == OWN:
            return f"periode={OWN}&du={self.period.first}&au={self.period.last}"
        return f"periode={self.period.name}"


class SteeringViews:
    """Figures, never words."""

    def __init__(self, site: Site) -> None:
        self._deps = site.deps
        self._store = Steering(site.deps.database)
        self._renderer = site.renderer
        self._moment: tuple[float, Moment] | None = None
        self._looking = asyncio.Lock()

    async def show(self, request: Request) -> HTTPResponse:
        """The page; only what stands right now when the page refreshes itself."""
        user, csrf = request.ctx.user, request.ctx.csrf
        moment = await self._now()
        if LIVE_HEADER in request.headers:
            return html(self._renderer.page("steering/_now.html", user=user, csrf=csrf, says=says, moment=moment))
        asked = self._asked(request)
        chosen = asked.period
        counts = await self._store.counts(chosen.since, chosen.until)
        counts_before = await self._store.counts(chosen.before_since, chosen.before_until)
        found, before = figures(counts), figures(counts_before)
        page = self._renderer.page(
            "steering/page.html",
            user=user,
            csrf=csrf,
            says=says,
            moment=moment,
            asked=asked,
            period=chosen,
            names=NAMES,
            found=found,
            before=before,
            terms=await self._store.terms(),
            volumes=_volumes(chosen, counts, counts_before, self._deps.clock.now()),
            hours=None if chosen.grain == "hour" else _day_hours(chosen, counts),
            subjects=_ranked(found.intents),
            questions=(await asyncio.to_thread(self._deps.catalogue)).questions,
            ways=_ranked(found.routes),
            shown=SUBJECTS,
            most=MOST,
        )
        return html(page, 422 if asked.error else 200)

    async def file(self, request: Request) -> HTTPResponse:
        """The period's figures for a spreadsheet; recorded."""
        asked = self._asked(request)
        if asked.error:
            return await self.show(request)
        chosen = asked.period
        counts = await self._store.counts(chosen.since, chosen.until, export.COUNTED)
        # A dense month is a hundred thousand lines: other pages are served meanwhile.
        rows = await asyncio.to_thread(lambda: list(export.rows(chosen, counts, figures(counts))))
        async with self._deps.database.begin() as connection:
            await audit.record(
                connection,
                self._deps.wall.now(),
                request.ctx.user.id,
                "export",
                what="pilotage",
                since=chosen.first.isoformat(),
                until=chosen.last.isoformat(),
                rows=len(rows),
            )
        name = f"pilotage-{chosen.first}-{chosen.last}"
        return await asyncio.to_thread(csv_safe.file, name, export.HEADER, rows)

    def _asked(self, request: Request) -> Asked:
        name, since, until = (str(request.args.get(key) or "")[:40] for key in ("periode", "du", "au"))
        name = name or (OWN if since or until else "")  # an address that gives days means them
        now, zone = self._deps.clock.now(), self._deps.zone
        try:
            return Asked(period(name, since, until, now, zone), since, until)
        except BadPeriod as bad:
            return Asked(period(TODAY, "", "", now, zone), since, until, str(bad))

    async def _now(self) -> Moment:
        """How things stand, looked at for all pages at once."""
        async with self._looking:
            if self._moment is None or time.monotonic() - self._moment[0] >= KEPT_FOR:
                found = await self._store.moment(self._deps.clock.now(), self._deps.wall.now())
                self._moment = (time.monotonic(), found)
            return self._moment[1]


def _volumes(chosen: Period, counts: Counts, counts_before: Counts, now: datetime) -> Chart:
    """Messages received, platforms stacked, with the period before as a mark."""
    bins, earlier = chosen.bins(), chosen.bins_before()
    sums, sums_before = _sums(bins, counts), _sums(earlier, counts_before)
    bars = []
    for i, one in enumerate(bins):
        label, short = says.bin_label(one.since, chosen.grain)
        comes = one.since >= now
        before = None if comes or i >= len(earlier) else sum(sums_before[i].values())
        bars.append(Bar(label, short, sums[i], before))
    return stacked(bars, _PLATFORMS)


def _day_hours(chosen: Period, counts: Counts) -> Chart:
    """Messages received by hour of the day."""
    sums: list[Counter[str]] = [Counter() for _ in range(24)]
    for (hour, platform, measure, _), n in counts.hours.items():
        if measure == "received":
            sums[hour.astimezone(chosen.zone).hour][platform] += n
    labels_ = [(f"de {h}{says.NB}h à {(h + 1) % 24}{says.NB}h", f"{h}{says.NB}h") for h in range(24)]
    return stacked([Bar(*names, dict(values)) for names, values in zip(labels_, sums, strict=True)], _PLATFORMS)


def _sums(bins: Sequence[Bin], counts: Counts) -> list[dict[str, int]]:
    """Received messages of each bin, by platform."""
    found: list[Counter[str]] = [Counter() for _ in bins]
    at = 0
    for (hour, platform, measure, _), n in sorted(counts.hours.items()):
        while at < len(bins) and bins[at].until <= hour:
            at += 1
        if measure == "received" and at < len(bins):
            found[at][platform] += n
    return [dict(sums) for sums in found]


def _ranked(values: Mapping[str, int]) -> list[tuple[str, int]]:
    """The most frequent first; what was not understood comes last."""
    return sorted(values.items(), key=lambda item: (item[0] == "", -item[1], item[0]))
