"""What has changed in the files since the last publication: line by line, by whom, taken back one by one or by file."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import html, redirect
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.console import workbench_examples_words as says
from bot.console.door import LIVE_HEADER
from bot.console.forms import field
from bot.console.site import Site, Topic
from bot.core import catalogue
from bot.core.errors import Explained
from bot.policy.rights import Capability
from bot.store.workbench import reply_changes
from bot.store.workbench.corrections import Correction, Corrections
from bot.trainer.changes import ChangedFile, Line, changes
from bot.trainer.corpus import BACKGROUND, NLU, Operation
from bot.trainer.correcting import correct
from bot.trainer.errors import Changed, TrainerError
from bot.trainer.giving_up import give_up

PATH = "/atelier/changements"
STANDING = 2_000  # corrections of a file that are looked through
REPLIES = 30  # replies and questions of a file whose last change is looked up
_TOLD = {
    "annule": "Annulé\u00a0: la ligne est de nouveau comme à la dernière publication.",
    "abandonne": "Fichier revenu à sa dernière publication.",
}


def routes(site: Site) -> Blueprint:
    """The page, one line taken back, a file given up."""
    views, topic = ChangeViews(site), Topic("workbench-changes")
    topic.page(PATH, views.show, Capability.SEE_WORKBENCH, "show")
    topic.form(f"{PATH}/ligne", views.line, Capability.CORRECT, "line")
    topic.form(f"{PATH}/abandonner", views.discard, Capability.CORRECT, "discard")
    return topic.blueprint


@dataclass(frozen=True)
class Told:
    """A line with who did it. `correction`: the one that can be taken back; `reply`: of a reply or a question, its last change."""

    line: Line
    correction: Correction | None = None
    reply: reply_changes.Change | None = None


@dataclass(frozen=True)
class Group:
    """Lines of one intent, list or reply, in the file's order."""

    about: str
    lines: tuple[Told, ...]


@dataclass(frozen=True)
class Shown:
    """A changed file as the page shows it."""

    file: ChangedFile
    groups: tuple[Group, ...]

    @property
    def examples(self) -> bool:
        return self.file.name == NLU or self.file.name.startswith(BACKGROUND)


class ChangeViews:
    """Everything is read from git and the files each time: they are the truth."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._db = site.deps.database

    async def show(self, request: Request) -> HTTPResponse:
        """The changed files."""
        return await self._shown(request)

    async def line(self, request: Request) -> HTTPResponse:
        """Take one line back that somebody changed by hand: an example that came goes, one that went comes back."""
        project = self._site.deps.project
        sign, name, intent, marked = (field(request, n) for n in ("signe", "fichier", "intention", "exemple"))
        if sign not in ("+", "-") or not intent or not marked or not _of_examples(name):
            return await self._shown(
                request, TrainerError("Cette ligne ne se reprend pas d’ici.", "Rechargez la page."), 422
            )
        if project is None:
            return await self._shown(request)
        operation = (
            Operation("remove", intent, marked, file=name)
            if sign == "+"
            else Operation("add", intent, marked, file=name, after=field(request, "apres"))
        )
        try:
            shown = next((one for one in await asyncio.to_thread(changes, project) if one.name == name), None)
            if shown is None or not any(
                (one.sign, one.about, one.example) == (sign, intent, marked) for one in shown.lines
            ):
                raise Changed("Cette ligne n’est plus un changement.", "Voyez ci-dessous ce qui a changé.")
            await correct(project, self._db, request.ctx.user, self._site.deps.wall.now(), [operation])
        except TrainerError as error:
            return await self._shown(request, error, 409 if isinstance(error, Changed) else 422)
        return redirect(f"{PATH}?fait=annule", status=303)

    async def discard(self, request: Request) -> HTTPResponse:
        """A file goes back to its last commit, with all its changes, after a confirmation."""
        project, name = self._site.deps.project, field(request, "fichier")
        if project is None:
            return await self._shown(request)
        if field(request, "confirme") != "oui":
            error = TrainerError(
                "Rien n’a été abandonné\u00a0: la case n’est pas cochée.",
                "Cochez-la si vous êtes sûr, puis recommencez.",
            )
            return await self._shown(request, error, 422)
        try:
            await give_up(project, self._db, request.ctx.user, self._site.deps.wall.now(), name, field(request, "vu"))
        except TrainerError as error:
            return await self._shown(request, error, 409 if isinstance(error, Changed) else 422)
        return redirect(f"{PATH}?fait=abandonne", status=303)

    # -- showing -----------------------------------------------------------------------------------------------------

    async def _shown(self, request: Request, error: Explained | None = None, status: int = 200) -> HTTPResponse:
        project = self._site.deps.project
        if project is None:
            return self._broken(
                request,
                "Le dossier de Planton n’est pas sur cette machine.",
                "Ouvrez la console de la machine qui le contient.",
            )
        try:
            found = await asyncio.to_thread(changes, project)
        except TrainerError as away:
            return self._broken(request, away.what, away.remedy)
        async with self._db.begin() as connection:
            shown = [Shown(one, _grouped(await self._told(connection, one))) for one in found]
        template = "workbench/_changes.html" if LIVE_HEADER in request.headers else "workbench/changes.html"
        return self._page(
            request, template, status, shown=shown, error=error, told=_TOLD.get(str(request.args.get("fait") or ""), ""),
            damaged=[one.file.damaged for one in shown if one.file.damaged is not None],
        )  # fmt: skip

    async def _told(self, connection: AsyncConnection, file: ChangedFile) -> list[Told]:
        if _of_examples(file.name):
            standing = await Corrections.standing(connection, file.name, STANDING)
            return _attributed(file.lines, standing)
        if file.name != "domain.yml" and not file.name.startswith(f"{catalogue.FOLDER}/"):
            return [Told(line) for line in file.lines]
        names = list(dict.fromkeys(line.about for line in file.lines if line.about))[:REPLIES]
        last: dict[str, reply_changes.Change] = {}
        for name in names:
            for change in await reply_changes.of(connection, name, 1):
                if change.undone_at is None:
                    last[name] = change
        return [Told(line, reply=last.get(line.about)) for line in file.lines]

    def _broken(self, request: Request, what: str, remedy: str) -> HTTPResponse:
        return self._page(
            request,
            "workbench/examples_broken.html",
            503,
            error=TrainerError(what, remedy),
            damaged=None,
            part="changes",
        )

    def _page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTTPResponse:
        page = self._site.renderer.page(
            template,
            user=request.ctx.user,
            csrf=request.ctx.csrf,
            says=says,
            path="/atelier/exemples",
            here_path=PATH,
            **values,
        )
        return html(page, status)


def _of_examples(name: str) -> bool:
    return name == NLU or name.startswith(BACKGROUND + "/")


def _attributed(lines: Sequence[Line], standing: Sequence[Correction]) -> list[Told]:
    """Each line with the newest standing correction that made it so."""
    came: dict[tuple[str, str], Correction] = {}
    went: dict[tuple[str, str], Correction] = {}
    for one in standing:
        if one.kind != "remove":
            came.setdefault((one.target, one.result), one)
        if one.kind != "add":
            went.setdefault((one.intent, one.marked), one)
    sides: Mapping[str, Mapping[tuple[str, str], Correction]] = {"+": came, "-": went}
    return [Told(line, sides[line.sign].get((line.about, line.example)) if line.example else None) for line in lines]


def _grouped(told: Sequence[Told]) -> tuple[Group, ...]:
    groups: list[Group] = []
    for one in told:
        if groups and groups[-1].about == one.line.about:
            groups[-1] = Group(one.line.about, (*groups[-1].lines, one))
        else:
            groups.append(Group(one.line.about, (one,)))
    return tuple(groups)
