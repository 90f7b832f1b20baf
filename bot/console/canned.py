"""The page of canned replies: what agents say often, written by those who may."""

from __future__ import annotations

from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.exceptions import NotFound
from sanic.response import html, redirect

from bot.console.forms import field
from bot.console.site import Site, Topic
from bot.policy import canned as policy
from bot.policy.intents import DANGER_INTENTS, INTENTS, PRIORITY
from bot.policy.rights import Capability
from bot.store.canned import BODY_AT_MOST, TITLE_AT_MOST, Canned, CannedError, CannedStore, Written

_QUERY_AT_MOST = 100
_BIGGEST = 2**63 - 1


def routes(site: Site) -> Blueprint:
    """The list, the form, what is done to one."""
    views, topic = CannedViews(site), Topic("canned")
    topic.page("/reponses-types", views.show, Capability.EDIT_CANNED, "show")
    topic.page("/reponses-types/nouvelle", views.blank, Capability.EDIT_CANNED, "blank")
    topic.form("/reponses-types/nouvelle", views.add, Capability.EDIT_CANNED, "add")
    topic.page("/reponses-types/<number:int>", views.one, Capability.EDIT_CANNED, "one")
    topic.form("/reponses-types/<number:int>", views.change, Capability.EDIT_CANNED, "change")
    topic.form("/reponses-types/<number:int>/archiver", views.archive, Capability.EDIT_CANNED, "archive")
    return topic.blueprint


class CannedViews:
    """A form that is refused is shown again with what was typed."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._store = CannedStore(site.deps.database)

    async def show(self, request: Request) -> HTTPResponse:
        """Those that are offered, or archived; `q` searches."""
        query = str(request.args.get("q") or "")[:_QUERY_AT_MOST]
        archived = request.args.get("archivees") == "1"
        replies = await self._store.all(query, archived)
        return self._page(request, "canned/page.html", replies=replies, query=query, archived=archived)

    async def blank(self, request: Request) -> HTTPResponse:
        """An empty form."""
        return self._form(request, None, Written("", "", ""))

    async def add(self, request: Request) -> HTTPResponse:
        """Create one."""
        written = _written(request)
        try:
            await self._store.add(request.ctx.user, written, self._site.deps.wall.now())
        except CannedError as error:
            return self._form(request, None, written, error)
        return redirect("/reponses-types", status=303)

    async def one(self, request: Request, number: int) -> HTTPResponse:
        """The form of one that is offered."""
        found = await self._found(number)
        return self._form(request, found, _of(found))

    async def change(self, request: Request, number: int) -> HTTPResponse:
        """Write it anew; refused when somebody else has just done so."""
        found, written = await self._found(number), _written(request)
        try:
            await self._store.change(
                request.ctx.user, found.id, written, field(request, "vu"), self._site.deps.wall.now()
            )
        except CannedError as error:
            return self._form(request, await self._found(number), written, error)
        return redirect("/reponses-types", status=303)

    async def archive(self, request: Request, number: int) -> HTTPResponse:
        """It is offered no longer; what was written with it stays."""
        found = await self._found(number)
        await self._store.archive(request.ctx.user, found.id, self._site.deps.wall.now())
        return redirect("/reponses-types", status=303)

    async def _found(self, number: int) -> Canned:
        found = await self._store.get(number) if 0 < number <= _BIGGEST else None
        if found is None:
            raise NotFound("no such canned reply")
        return found

    def _form(
        self, request: Request, reply: Canned | None, written: Written, error: CannedError | None = None
    ) -> HTTPResponse:
        return self._page(
            request,
            "canned/form.html",
            422 if error else 200,
            reply=reply,
            written=written,
            error=error,
            variables=policy.VARIABLES,
            categories=tuple(PRIORITY),
            intents=[name for name in INTENTS if name not in DANGER_INTENTS],
            title_at_most=TITLE_AT_MOST,
            body_at_most=BODY_AT_MOST,
        )

    def _page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTTPResponse:
        page = self._site.renderer.page(template, user=request.ctx.user, csrf=request.ctx.csrf, **values)
        return html(page, status)


def _written(request: Request) -> Written:
    return Written(
        field(request, "raccourci").strip().removeprefix("/"),
        field(request, "titre"),
        field(request, "texte"),
        field(request, "categorie"),
        field(request, "sujet"),
    )


def _of(found: Canned) -> Written:
    return Written(found.shortcut, found.title, found.body, found.category or "", found.intent or "")
