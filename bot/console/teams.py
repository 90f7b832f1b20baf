"""Teams, for administrators: create, rename, choose members, archive."""

from __future__ import annotations

from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.exceptions import NotFound
from sanic.response import html, redirect

from bot.console import accounts_words
from bot.console.forms import field, whole
from bot.console.site import Site, Topic
from bot.policy.rights import Capability
from bot.store.accounts import AccountError
from bot.store.administration import Administration
from bot.store.teams import Team, Teams

HERE = "/equipes"
ONE = HERE + "/<number:int>"


def routes(site: Site) -> Blueprint:
    """The page and its forms."""
    views, topic = TeamViews(site), Topic("teams")
    topic.page(HERE, views.all, Capability.MANAGE_ACCOUNTS, "all")
    topic.form(HERE, views.add, Capability.MANAGE_ACCOUNTS, "add")
    topic.page(ONE, views.show, Capability.MANAGE_ACCOUNTS, "show")
    topic.form(ONE + "/modifier", views.change, Capability.MANAGE_ACCOUNTS, "change")
    topic.form(ONE + "/archiver", views.archive, Capability.MANAGE_ACCOUNTS, "archive")
    return topic.blueprint


class TeamViews:
    """Forms answer with a redirection, so that a reload repeats nothing."""

    def __init__(self, site: Site) -> None:
        self._deps = site.deps
        self._teams = Teams(site.deps.database)
        self._accounts = Administration(site.deps.database, site.accounts)
        self._renderer = site.renderer

    async def all(self, request: Request) -> HTTPResponse:
        """Every team."""
        return await self._all(request)

    async def _all(
        self, request: Request, error: AccountError | None = None, name: str = "", status: int = 200
    ) -> HTTPResponse:
        return await self._page(request, "accounts/teams.html", status, error=error, name=name)

    async def _page(self, request: Request, template: str, status: int, **values: Any) -> HTTPResponse:
        accounts = await self._accounts.all(self._deps.wall.now())
        page = self._renderer.page(
            template,
            user=request.ctx.user,
            csrf=request.ctx.csrf,
            said=accounts_words,
            teams=await self._teams.all(),
            people=[account.user for account in accounts if account.disabled_at is None],
            told=accounts_words.told(request.args.get("fait")),
            **values,
        )
        return html(page, status)

    async def add(self, request: Request) -> HTTPResponse:
        """Create one, then choose its members."""
        name = field(request, "nom")
        try:
            number = await self._teams.add(request.ctx.user, name, self._deps.wall.now())
        except AccountError as error:
            return await self._all(request, error, name, 422)
        return redirect(f"{HERE}/{number}?fait=equipe-creee", status=303)

    async def show(self, request: Request, number: int) -> HTTPResponse:
        """One team."""
        team = await self._team(number)
        return await self._page(
            request, "accounts/team.html", 200, team=team, name=team.name, chosen=team.members, error=None
        )

    async def _team(self, number: int) -> Team:
        found = [team for team in await self._teams.all() if team.id == number]
        if not found:
            raise NotFound("no such team")
        return found[0]

    async def change(self, request: Request, number: int) -> HTTPResponse:
        """Name and members."""
        team, name = await self._team(number), field(request, "nom")
        given = request.form.getlist("membres", []) if request.form else []
        members = tuple(n for n in (whole(str(one), 0) for one in given) if n)
        try:
            await self._teams.change(request.ctx.user, number, name, members, self._deps.wall.now())
        except AccountError as error:
            return await self._page(
                request, "accounts/team.html", 422, team=team, name=name, chosen=members, error=error
            )
        return redirect(f"{HERE}?fait=equipe", status=303)

    async def archive(self, request: Request, number: int) -> HTTPResponse:
        """It is no longer offered."""
        await self._team(number)
        await self._teams.archive(request.ctx.user, number, self._deps.wall.now())
        return redirect(f"{HERE}?fait=archivee", status=303)
