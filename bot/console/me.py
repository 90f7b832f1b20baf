"""One's own account: password, sessions, one-time codes."""

from __future__ import annotations

from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.exceptions import NotFound
from sanic.response import html, redirect

from bot.console import accounts_words
from bot.console.entry import Entry
from bot.console.forms import field, whole
from bot.console.login import DIFFERENT
from bot.console.second_factor import factors_of, grouped, qr
from bot.console.site import Site, Topic
from bot.policy.rights import Capability
from bot.store.accounts import AccountError
from bot.store.administration import Administration
from bot.store.second_factor import TooManyTries

HERE = "/mon-compte"


def routes(site: Site, entry: Entry) -> Blueprint:
    """The pages of one's own account."""
    views, topic = MeViews(site, entry), Topic("me")
    own = Capability.OWN_ACCOUNT
    topic.page(HERE, views.show, own, "show")
    topic.form(HERE + "/mot-de-passe", views.password, own, "password")
    topic.form(HERE + "/sessions", views.end_sessions, own, "sessions")
    topic.page(HERE + "/second-facteur", views.enrol, own, "enrol")
    topic.form(HERE + "/second-facteur", views.confirm, own, "confirm")
    topic.form(HERE + "/second-facteur/retirer", views.remove, own, "remove")
    topic.form(HERE + "/codes", views.renew, own, "renew")
    return topic.blueprint


class MeViews:
    """Forms answer with a redirection, so that a reload repeats nothing; what is shown once is the answer itself."""

    def __init__(self, site: Site, entry: Entry) -> None:
        self._deps = site.deps
        self._accounts = site.accounts
        self._administration = Administration(site.deps.database, site.accounts)
        self._factors = factors_of(site)
        self._renderer = site.renderer
        self._entry = entry

    async def show(self, request: Request) -> HTTPResponse:
        """Everything about one's own account."""
        return await self._show(request)

    async def _show(
        self, request: Request, error: AccountError | None = None, where: str = "", status: int = 200
    ) -> HTTPResponse:
        user, now = request.ctx.user, self._deps.wall.now()
        account = await self._administration.get(user.id, now)
        if account is None:
            raise NotFound("no such account")
        return self._page(
            request,
            "me/page.html",
            status,
            account=account,
            factor=await self._factors.of(user.id),
            sessions=await self._accounts.sessions.alive(user.id, now),
            this=request.ctx.session.id,
            error=error,
            where=where,
            told=accounts_words.told(request.args.get("fait")),
        )

    def _page(self, request: Request, template: str, status: int, **values: Any) -> HTTPResponse:
        page = self._renderer.page(
            template,
            user=request.ctx.user,
            csrf=request.ctx.csrf,
            said=accounts_words,
            wall=self._deps.wall.now(),
            **values,
        )
        return html(page, status)

    # -- password, sessions ------------------------------------------------------------------------------------------

    async def password(self, request: Request) -> HTTPResponse:
        """Change it; other sessions end."""
        user, new = request.ctx.user, field(request, "nouveau")
        try:
            if new != field(request, "confirmation"):
                raise AccountError(DIFFERENT)
            await self._accounts.change_password(
                user, new, self._deps.wall.now(), request.ctx.session.id, field(request, "actuel")
            )
        except AccountError as error:
            return await self._show(request, error, "password", 422)
        return await self._entry.move_on(request, HERE + "?fait=mot-de-passe")

    async def end_sessions(self, request: Request) -> HTTPResponse:
        """End one session of one's own, or all others."""
        user, this, now = request.ctx.user, request.ctx.session.id, self._deps.wall.now()
        one = whole(field(request, "session"), 0)
        if one:
            await self._accounts.sessions.end_one(user, user.id, one, now)
        else:
            await self._accounts.sessions.end_all(user, user.id, now, but=this)
        return redirect(HERE + "?fait=sessions", status=303)

    # -- one-time codes ----------------------------------------------------------------------------------------------

    async def enrol(self, request: Request) -> HTTPResponse:
        """Show a secret."""
        return await self._enrol(request)

    async def _enrol(self, request: Request, error: str = "", status: int = 200) -> HTTPResponse:
        user = request.ctx.user
        secret = await self._factors.pending(user, request.ctx.session.id, self._deps.wall.now())
        address = self._factors.address(user, secret)
        return self._page(
            request,
            "me/factor.html",
            status,
            factor=await self._factors.of(user.id),
            qr=qr(address),
            secret=grouped(secret),
            address=address,
            error=error,
        )

    async def confirm(self, request: Request) -> HTTPResponse:
        """A first code makes the secret count."""
        try:
            codes = await self._factors.confirm(
                request.ctx.user,
                request.ctx.session.id,
                field(request, "code"),
                self._deps.wall.now(),
                field(request, "actuel"),
            )
        except TooManyTries as error:
            return await self._enrol(request, str(error), 429)
        except AccountError as error:
            return await self._enrol(request, str(error), 422)
        return self._page(request, "me/codes.html", 200, codes=codes, fresh=True)

    async def remove(self, request: Request) -> HTTPResponse:
        """Go without."""
        try:
            await self._factors.remove(request.ctx.user, field(request, "code"), self._deps.wall.now())
        except AccountError as error:
            return await self._show(request, error, "factor", 422)
        return redirect(HERE + "?fait=retire", status=303)

    async def renew(self, request: Request) -> HTTPResponse:
        """New recovery codes."""
        try:
            codes = await self._factors.renew_codes(request.ctx.user, field(request, "code"), self._deps.wall.now())
        except AccountError as error:
            return await self._show(request, error, "factor", 422)
        return self._page(request, "me/codes.html", 200, codes=codes, fresh=False)
