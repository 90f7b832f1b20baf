"""The checks: everything that is wrong with the trainers' files, by family, each with its remedy and the way there."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import html, redirect

from bot.console import workbench_checks_words as says
from bot.console.door import LIVE_HEADER
from bot.console.forms import whole
from bot.console.site import Site, Topic
from bot.console.workbench_checks_run import Runner
from bot.policy.rights import Capability
from bot.store import news
from bot.trainer.checks.families import FAMILIES, Family, of
from bot.trainer.checks.finding import Finding
from bot.trainer.corpus import Corpus
from bot.trainer.errors import TrainerError

PATH = "/atelier/verifications"
TOKEN = "checks"  # noqa: S105 – of the news
GLANCE = 6  # findings of a family while all families are shown
PAGE = 100  # of one family


def routes(site: Site) -> Blueprint:
    """The page, and the button that runs the checks."""
    views, topic = CheckViews(site), Topic("workbench-checks")
    topic.page(PATH, views.show, Capability.SEE_WORKBENCH, "show")
    topic.form(f"{PATH}/lancer", views.start, Capability.CORRECT, "start")
    topic.blueprint.listener("before_server_stop")(views.stop)
    return topic.blueprint


@dataclass(frozen=True)
class Asked:
    """What to show: `severity`, `family`, `intent` ("" for all), from which finding of a family on."""

    severity: str = ""
    family: str = ""
    intent: str = ""
    first: int = 0

    @staticmethod
    def of(request: Request) -> Asked:
        given = {name: str(request.args.get(name) or "") for name in ("gravite", "famille", "intention", "de")}
        return Asked(
            given["gravite"] if given["gravite"] in says.SEVERITIES else "",
            given["famille"] if any(family.key == given["famille"] for family in FAMILIES) else "",
            given["intention"][:100],
            whole(given["de"], 0),
        )

    def query(self, **changed: str | int) -> str:
        """The address of the page with something else chosen."""
        wanted = {"gravite": self.severity, "famille": self.family, "intention": self.intent, "de": 0, **changed}
        query = urlencode({name: value for name, value in wanted.items() if value})
        return PATH + (f"?{query}" if query else "")

    def wants(self, one: Finding) -> bool:
        """Whether the filters let it through; the family aside, which has counts of its own."""
        if self.severity and one.is_error != (self.severity == "erreurs"):
            return False
        return not self.intent or one.intent == self.intent


@dataclass(frozen=True)
class Section:
    """A family with those of its findings that are shown. `count`: how many there are."""

    family: Family
    rows: Sequence[Finding]
    count: int
    errors: int


class CheckViews:
    """The last result is shown at once; a run goes on beside, and the page hears of it."""

    def __init__(self, site: Site) -> None:
        self._site = site
        project = site.deps.project
        self._runner = (
            None if project is None else Runner(project, site.deps.wall.now, self._tell, site.deps.engine_wall)
        )

    async def stop(self, *_: Any) -> None:
        """The console ends."""
        if self._runner is not None:
            await self._runner.stop()

    async def show(self, request: Request) -> HTTPResponse:
        """The findings; opening the page runs the checks where the files have changed since."""
        runner = self._runner
        if runner is None:
            return self._page(request, "checks_absent.html", 503)
        stale = await runner.start_if_stale()
        asked = Asked.of(request)
        values = {"runner": runner, "stale": stale, "asked": asked, **self._shown(asked), **await self._intents(asked)}
        return self._page(request, "_checks_live.html" if LIVE_HEADER in request.headers else "checks.html", **values)

    async def start(self, request: Request) -> HTTPResponse:
        """Run them now; a run that is under way goes on."""
        if self._runner is None:
            return self._page(request, "checks_absent.html", 503)
        self._runner.start()
        return redirect(PATH, status=303)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _shown(self, asked: Asked) -> dict[str, Any]:
        result = self._runner.result if self._runner else None
        found = result.found if result else ()
        wanted = [one for one in found if asked.wants(one)]
        counts = Counter(of(one.code).key for one in wanted)
        first = min(asked.first, max(0, counts[asked.family] - 1)) // PAGE * PAGE
        sections = []
        for family in FAMILIES:
            rows = [one for one in wanted if of(one.code) is family]
            if rows and (not asked.family or asked.family == family.key):
                part = rows[first : first + PAGE] if asked.family else rows[:GLANCE]
                sections.append(Section(family, part, len(rows), sum(one.is_error for one in rows)))
        return {
            "result": result,
            "sections": sections,
            "families": [(family, counts[family.key]) for family in FAMILIES if counts[family.key]],
            "errors": sum(one.is_error for one in found),
            "warnings": sum(not one.is_error for one in found),
            "first": first,
            "total": len(wanted),
        }

    async def _intents(self, asked: Asked) -> dict[str, Any]:
        """Intents of the filter, and which of them have a page."""
        project = self._site.deps.project
        assert project is not None
        try:
            known = set((await asyncio.to_thread(Corpus.read, project)).intents)
        except TrainerError:
            known = set()
        result = self._runner.result if self._runner else None
        named = {one.intent for one in (result.found if result else ()) if one.intent}
        return {"known": known, "intents": sorted(named | ({asked.intent} - {""}), key=says.title)}

    async def _tell(self) -> None:
        async with self._site.deps.database.begin() as connection:
            await news.topic(connection, TOKEN)

    def _page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTTPResponse:
        page = self._site.renderer.page(
            f"workbench/{template}",
            user=request.ctx.user,
            csrf=request.ctx.csrf,
            says=says,
            path=PATH,
            page=PAGE,
            paths=self._site.renderer.paths,
            **values,
        )
        return html(page, status)
