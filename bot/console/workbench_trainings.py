"""Trainings: asked for, followed as they go, stopped; then the candidate beside the model in service."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.exceptions import NotFound
from sanic.response import html, redirect

from bot.console import workbench_trainings_charts as charts
from bot.console import workbench_trainings_words as says
from bot.console.door import LIVE_HEADER
from bot.console.forms import whole
from bot.console.site import Site, Topic
from bot.policy.rights import Capability
from bot.store.workbench.runs import Run, Runs
from bot.trainer.candidates import current
from bot.trainer.comparison import SETS, Comparison, Judgement, SetComparison
from bot.trainer.progress import Progress, expected, progress

PAGE = 40  # messages
PATH = "/atelier/essais"


def routes(site: Site) -> Blueprint:
    """The list, one training, and what is done there."""
    views, topic = TrainingViews(site), Topic("workbench-trainings")
    topic.page(PATH, views.list_, Capability.SEE_WORKBENCH, "list")
    topic.form(f"{PATH}/lancer", views.ask, Capability.TRAIN, "ask")
    topic.page(f"{PATH}/<number:int>", views.one, Capability.SEE_WORKBENCH, "one")
    topic.form(f"{PATH}/<number:int>/arreter", views.stop, Capability.TRAIN, "stop")
    return topic.blueprint


@dataclass(frozen=True)
class Shown:
    """What of a comparison is looked at: the set, which messages of it, of which intent, from which on."""

    each: SetComparison
    kind: str
    intent: str
    rows: Sequence[Judgement]
    n: int
    first: int
    counts: dict[str, int]

    def query(self, **changed: str | int) -> str:
        """The address of the same page with something else chosen."""
        wanted = {"jeu": self.each.name, "voir": self.kind, "intention": self.intent, "de": 0, **changed}
        return "&".join(f"{name}={value}" for name, value in wanted.items() if value)


class TrainingViews:
    """Figures and words; what trains is the role `trainer`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._deps = site.deps
        self._runs = Runs(site.deps.database)
        self._read: tuple[int, Comparison] | None = None

    # -- pages ---------------------------------------------------------------------------------------------------

    async def list_(self, request: Request) -> HTTPResponse:
        """All trainings, the newest first; only the living part when the page refreshes itself."""
        if self._deps.project is None:
            return self._absent(request)
        runs = await self._runs.recent()
        serving = await asyncio.to_thread(current, self._deps.project.root)
        values: dict[str, Any] = {
            "runs": runs,
            "progress": await self._progress(runs),
            "serving": serving.hash if serving else "",
        }
        template = "_trainings_live.html" if LIVE_HEADER in request.headers else "trainings.html"
        return self._page(request, template, **values)

    async def one(self, request: Request, number: int) -> HTTPResponse:
        """One training: how far it is, why it failed, or what came of it."""
        if self._deps.project is None:
            return self._absent(request)
        run = await self._runs.get(number)
        if run is None:
            raise NotFound("no such training")
        far = (await self._progress([run])).get(run.id)
        if LIVE_HEADER in request.headers:
            return self._page(request, "_training_live.html", run=run, far=far)
        comparison = await self._comparison(run)
        shown = _shown(request, comparison) if comparison else None
        pictures = await asyncio.to_thread(_pictures, shown.each) if shown else {}
        return self._page(
            request, "training.html", run=run, far=far, comparison=comparison, shown=shown, diff=await self._runs.diff(number),
            expired=run.state == "done" and not run.unchanged and comparison is None, **pictures,
        )  # fmt: skip

    # -- what is done --------------------------------------------------------------------------------------------

    async def ask(self, request: Request) -> HTTPResponse:
        """Ask for a training; one that waits already stands for this one too."""
        if self._deps.project is None:
            return self._absent(request)
        number, _ = await self._runs.ask(self._deps.clock.now(), request.ctx.user)
        return redirect(f"{PATH}/{number}", status=303)

    async def stop(self, request: Request, number: int) -> HTTPResponse:
        """Stop one at once; one that has ended stays as it is."""
        if await self._runs.get(number) is None:
            raise NotFound("no such training")
        await self._runs.stop(self._deps.clock.now(), request.ctx.user, number)
        return redirect(f"{PATH}/{number}", status=303)

    # -- reading -------------------------------------------------------------------------------------------------

    async def _comparison(self, run: Run) -> Comparison | None:
        """What a training came to; the last one that was looked at is kept, since its pages are many."""
        if not run.has_result:
            return None
        if self._read is None or self._read[0] != run.id:
            kept = await self._runs.result(run.id)
            if kept is None:
                return None
            self._read = (run.id, await asyncio.to_thread(Comparison.from_json, kept))
        return self._read[1]

    async def _progress(self, runs: Sequence[Run]) -> dict[int, Progress]:
        living = [run for run in runs if run.living and run.state != "queued"]
        if not living:
            return {}
        wanted = expected(await self._runs.durations())
        now = self._deps.clock.now()
        return {
            run.id: progress(
                run.stage,
                max(0.0, (now - run.stage_since).total_seconds()) if run.stage_since else 0.0,
                run.share,
                wanted,
            )
            for run in living
        }

    def _page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTTPResponse:
        page = self._site.renderer.page(
            f"workbench/{template}", user=request.ctx.user, csrf=request.ctx.csrf, says=says, **values
        )
        return html(page, status)

    def _absent(self, request: Request) -> HTTPResponse:
        return self._page(request, "trainings_absent.html", 503)


def _shown(request: Request, comparison: Comparison) -> Shown:
    """What the address asks for; the first set that was measured otherwise, and its losses if there are any."""
    measured = [each for name in SETS if (each := comparison.set(name)).candidate]
    name = str(request.args.get("jeu") or "")
    each = comparison.set(name) if name in SETS else (measured[0] if measured else comparison.set(SETS[0]))
    intent = str(request.args.get("intention") or "")
    intent = intent if intent in each.intents else ""
    within = [row for row in each.judgements if not intent or row.wanted == intent]
    counts = {kind: sum(_fits(row, kind) for row in within) for kind in says.FILTERS}
    kind = str(request.args.get("voir") or "")
    if kind not in says.FILTERS:
        kind = next((known for known in ("pertes", "gains", "autres") if counts[known]), "tous")
    rows = [row for row in within if _fits(row, kind)]
    first = min(whole(str(request.args.get("de") or ""), 0), max(0, len(rows) - 1)) // PAGE * PAGE
    return Shown(each, kind, intent, rows[first : first + PAGE], len(rows), first, counts)


def _fits(row: Judgement, kind: str) -> bool:
    if kind == "pertes":
        return row.change == "loss"
    if kind == "gains":
        return row.change == "gain"
    if kind == "autres":
        return row.moved and row.change == "same"
    if kind == "faux":
        return not row.before.right and not row.after.right
    return True


def _pictures(each: SetComparison) -> dict[str, Any]:
    before, after = each.current, each.candidate
    if after is None:
        return {"matrix": None, "matrix_before": None, "confusions": [], "curves": {}}
    curves = {"after": charts.curve(after.calibration)}
    if before:
        curves["before"] = charts.curve(before.calibration)
    return {
        "matrix": charts.matrix(after, before),
        "matrix_before": charts.matrix(before, after) if before else None,
        "confusions": charts.confusions(before, after),
        "curves": curves,
    }
