"""Log-in and log-out: password, one-time links of the sandbox."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta

from sanic import Blueprint, HTTPResponse, Request
from sanic.exceptions import NotFound
from sanic.response import html, redirect

from bot.console.door import Door, next_page, shows
from bot.console.forms import field
from bot.console.site import Open, Site, Topic
from bot.console.words import duration
from bot.core.clean import clean
from bot.store.accounts import ABSOLUTE, User

_DEVICE_FOR = timedelta(days=180)

WRONG = "Nom ou mot de passe incorrect."


def routes(site: Site, door: Door) -> Blueprint:
    """The log-in pages."""
    views, topic = LoginViews(site, door), Topic("login")
    topic.page("/connexion", views.show, Open.NOBODY, "show")
    topic.form("/connexion", views.log_in, Open.NOBODY, "log_in")
    topic.form("/deconnexion", views.log_out, Open.HALF, "log_out")
    topic.page("/entrer", views.one_time, Open.NOBODY, "one_time")
    return topic.blueprint


class LoginViews:
    """How a session begins and ends."""

    def __init__(self, site: Site, door: Door) -> None:
        self._deps = site.deps
        self._accounts = site.accounts
        self._renderer = site.renderer
        self._door = door
        prefix = "__Host-" if site.deps.secure_cookies else ""
        self._before = prefix + "planton_entree"  # ties the log-in form to the browser
        self._device = prefix + "planton_appareil"

    async def show(self, request: Request) -> HTTPResponse:
        """The log-in page."""
        suite = next_page(request.args.get("suite"))
        if request.ctx.user is not None:
            return redirect(suite, status=303)
        return self._page(request, suite)

    def _page(self, request: Request, suite: str, error: str = "", name: str = "", status: int = 200) -> HTTPResponse:
        before = request.cookies.get(self._before) or secrets.token_urlsafe(16)
        page = self._renderer.page(
            "login/page.html",
            user=None,
            csrf=self._seal(before),
            suite=suite,
            error=error,
            name=name,
            demo=self._deps.demo,
        )
        response = html(page, status)
        self._set(response, self._before, before, None)
        return response

    def _seal(self, before: str) -> str:
        message = b"login\x00" + before.encode(errors="replace")
        return hmac.new(self._deps.secret_key.encode(), message, hashlib.sha256).hexdigest()

    async def log_in(self, request: Request) -> HTTPResponse:
        """Check name and password; open a session."""
        suite = next_page(field(request, "suite"))
        name = clean(field(request, "nom"))[:200]
        before = request.cookies.get(self._before) or ""
        if not before or not shows(request, self._seal(before)):
            return self._page(request, suite, "La page avait expiré. Saisissez de nouveau vos identifiants.", name, 403)
        address = request.remote_addr or request.ip or ""
        device = self._accounts.device_of(name, request.cookies.get(self._device))
        now = self._deps.wall.now()
        found = await self._accounts.check_password(name, field(request, "mot_de_passe"), address, now, device)
        if isinstance(found, timedelta) and device is not None:
            # This browser's own count is full: it is treated as any other.
            found = await self._accounts.check_password(name, field(request, "mot_de_passe"), address, now)
        if isinstance(found, timedelta):
            wait = duration(found) if found >= timedelta(minutes=1) else "quelques secondes"
            response = self._page(request, suite, f"Trop d’essais manqués. Réessayez dans {wait}.", name, 429)
            response.headers["Retry-After"] = str(int(found.total_seconds()) + 1)
            return response
        if found is None:
            return self._page(request, suite, WRONG, name, 401)
        return await self._let_in(request, found, suite)

    async def _let_in(self, request: Request, user: User, suite: str) -> HTTPResponse:
        now = self._deps.wall.now()
        old = request.cookies.get(self._door.cookie)
        if old:
            await self._accounts.close_session(old, now)
        token = await self._accounts.open_session(user, now)
        response = redirect(suite, status=303)
        self._set(response, self._door.cookie, token, int(ABSOLUTE.total_seconds()))
        device = self._accounts.device_cookie(user)
        self._set(response, self._device, device, int(_DEVICE_FOR.total_seconds()))
        return response

    async def log_out(self, request: Request) -> HTTPResponse:
        """End the session here and in the browser."""
        token = request.cookies.get(self._door.cookie)
        if token:
            await self._accounts.close_session(token, self._deps.wall.now())
        response = redirect("/connexion", status=303)
        self._set(response, self._door.cookie, "", 0)
        # Drafts that the browser kept go with the session.
        response.headers["Clear-Site-Data"] = '"storage"'
        return response

    async def one_time(self, request: Request) -> HTTPResponse:
        """The sandbox's link."""
        if not self._deps.demo:
            raise NotFound("no such page")
        user = await self._accounts.use_link(str(request.args.get("jeton") or ""), self._deps.clock.now())
        if user is None:
            error = "Ce lien a déjà servi ou n’est plus valable. Demandez-en un nouveau depuis le bac à sable."
            return self._page(request, "/file", error, status=403)
        return await self._let_in(request, user, next_page(request.args.get("suite")))

    def _set(self, response: HTTPResponse, name: str, value: str, max_age: int | None) -> None:
        response.add_cookie(
            name,
            value,
            path="/",
            httponly=True,
            secure=self._deps.secure_cookies,
            samesite="Lax",
            max_age=max_age,
        )
