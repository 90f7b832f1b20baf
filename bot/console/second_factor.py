"""What a session that is half open is still asked for: a one-time code, setting one up, a password of one's own."""

from __future__ import annotations

import segno
from markupsafe import Markup
from sanic import Blueprint, HTTPResponse, Request
from sanic.response import html, redirect

from bot.console.entry import Entry, onward, wanted
from bot.console.forms import field
from bot.console.login import DIFFERENT
from bot.console.site import Open, Site, Topic
from bot.store.accounts import AccountError
from bot.store.second_factor import SecondFactors, TooManyTries
from bot.store.sessions import Session


def factors_of(site: Site) -> SecondFactors:
    """The store of second factors."""
    deps = site.deps
    return SecondFactors(deps.database, deps.codec, site.accounts.throttle, deps.secret_key, deps.older_key)


def routes(site: Site, entry: Entry) -> Blueprint:
    """The pages between the password and the console."""
    views, topic = StageViews(site, entry), Topic("second_factor")
    topic.page("/connexion/code", views.code, Open.HALF, "code")
    topic.form("/connexion/code", views.show_code, Open.HALF, "show_code")
    topic.page("/connexion/second-facteur", views.enrol, Open.HALF, "enrol")
    topic.form("/connexion/second-facteur", views.confirm, Open.HALF, "confirm")
    topic.page("/connexion/mot-de-passe", views.password, Open.HALF, "password")
    topic.form("/connexion/mot-de-passe", views.choose, Open.HALF, "choose")
    return topic.blueprint


def qr(address: str) -> Markup:
    """The QR code as an SVG without style attributes, which the content security policy would refuse."""
    drawn = segno.make(address, error="m").svg_inline(
        border=4, omitsize=True, light="#fff", svgclass="qr", lineclass=None
    )
    return Markup(drawn)  # noqa: S704 (drawn by segno; it holds numbers and our own attributes)


def grouped(secret: str) -> str:
    """A secret as one types it: groups of four."""
    return " ".join(secret[i : i + 4] for i in range(0, len(secret), 4))


class StageViews:
    """Each page is there for its own stage; whoever has passed it is led on."""

    def __init__(self, site: Site, entry: Entry) -> None:
        self._deps = site.deps
        self._accounts = site.accounts
        self._renderer = site.renderer
        self._factors = factors_of(site)
        self._entry = entry

    # -- a code ----------------------------------------------------------------------------------------------------

    async def code(self, request: Request) -> HTTPResponse:
        """Ask for a code."""
        return self._elsewhere(request, "factor") or self._code(request)

    def _code(self, request: Request, error: str = "", status: int = 200) -> HTTPResponse:
        recovery = bool(request.args.get("secours") or field(request, "secours"))
        return self._page(request, "login/code.html", status, error=error, recovery=recovery)

    async def show_code(self, request: Request) -> HTTPResponse:
        """Check it."""
        session: Session = request.ctx.session
        if (away := self._elsewhere(request, "factor")) is not None:
            return away
        try:
            device = self._entry.device(request, session.user.name)
            await self._factors.show(session.user, session.id, field(request, "code"), self._deps.wall.now(), device)
        except TooManyTries as error:
            return self._code(request, str(error), 429)
        except AccountError as error:
            return self._code(request, str(error), 401)
        return await self._entry.move_on(request, wanted(request))

    # -- setting up ------------------------------------------------------------------------------------------------

    async def enrol(self, request: Request) -> HTTPResponse:
        """Show the secret."""
        return self._elsewhere(request, "enrol") or await self._enrol(request)

    async def _enrol(self, request: Request, error: str = "", status: int = 200) -> HTTPResponse:
        user = request.ctx.session.user
        secret = await self._factors.pending(user, request.ctx.session.id, self._deps.wall.now())
        address = self._factors.address(user, secret)
        return self._page(
            request, "login/enrol.html", status, error=error, qr=qr(address), secret=grouped(secret), address=address
        )

    async def confirm(self, request: Request) -> HTTPResponse:
        """A first code makes the secret count; the recovery codes are shown, once."""
        session: Session = request.ctx.session
        if (away := self._elsewhere(request, "enrol")) is not None:
            return away
        try:
            codes = await self._factors.confirm(session.user, session.id, field(request, "code"), self._deps.wall.now())
        except TooManyTries as error:
            return await self._enrol(request, str(error), 429)
        except AccountError as error:
            return await self._enrol(request, str(error), 422)
        shown = self._page(request, "login/codes.html", 200, codes=codes)
        return await self._entry.move_on(request, wanted(request), shown)

    # -- a password of one's own -----------------------------------------------------------------------------------

    async def password(self, request: Request) -> HTTPResponse:
        """Ask for a password instead of the provisional one."""
        return self._elsewhere(request, "password") or self._password(request)

    def _password(self, request: Request, error: str = "", status: int = 200) -> HTTPResponse:
        return self._page(request, "login/password.html", status, error=error)

    async def choose(self, request: Request) -> HTTPResponse:
        """Keep it."""
        session: Session = request.ctx.session
        if (away := self._elsewhere(request, "password")) is not None:
            return away
        new = field(request, "nouveau")
        if new != field(request, "confirmation"):
            return self._password(request, DIFFERENT, 422)
        try:
            await self._accounts.change_password(session.user, new, self._deps.wall.now(), session.id)
        except AccountError as error:
            return self._password(request, str(error), 422)
        return await self._entry.move_on(request, wanted(request))

    # -- the parts -------------------------------------------------------------------------------------------------

    @staticmethod
    def _elsewhere(request: Request, stage: str) -> HTTPResponse | None:
        session: Session = request.ctx.session
        return None if session.stage == stage else redirect(onward(session, wanted(request)), status=303)

    def _page(self, request: Request, template: str, status: int, **values: object) -> HTTPResponse:
        session: Session = request.ctx.session
        page = self._renderer.page(
            template, user=None, csrf=session.csrf, suite=wanted(request), who=session.user, **values
        )
        return html(page, status)
