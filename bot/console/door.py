"""The door: log-in, sessions, CSRF, one-time links."""

from __future__ import annotations

import functools
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from sanic import HTTPResponse, Request
from sanic.exceptions import NotFound
from sanic.response import empty, html, redirect

from bot.console.deps import ConsoleDeps
from bot.console.forms import field
from bot.console.render import Renderer
from bot.console.words import duration
from bot.core.clean import clean
from bot.store.accounts import ABSOLUTE, Accounts, Session, User

Handler = Callable[..., Coroutine[Any, Any, HTTPResponse]]

LIVE_HEADER = "X-Planton-Live"  # the page asks by itself: no sign of life of the person
_OPEN = ("/connexion", "/entrer", "/static/", "/vendor/")
_NEXT = re.compile(r"/(file|conversations/\d{1,18})(\?[a-z0-9=&_.,:%+-]*)?", re.IGNORECASE)
_DEVICE_FOR = timedelta(days=180)

WRONG = "Nom ou mot de passe incorrect."
EXPIRED_FORM = (
    "Cette page était ouverte depuis trop longtemps, ou vous vous êtes reconnecté depuis. Rien n’a été envoyé. "
    "Rechargez la conversation\u00a0: votre brouillon y est gardé."
)


class Forbidden(Exception):
    """A POST without the right CSRF token."""


class Door:
    """Who comes in, and the forms they may send."""

    def __init__(self, deps: ConsoleDeps, accounts: Accounts, renderer: Renderer) -> None:
        self._deps = deps
        self._accounts = accounts
        self._renderer = renderer
        prefix = "__Host-" if deps.secure_cookies else ""
        self._cookie = prefix + "planton_session"
        self._before = prefix + "planton_entree"  # ties the log-in form to the browser
        self._device = prefix + "planton_appareil"

    # -- every request -------------------------------------------------------------------------------------------

    async def enter(self, request: Request) -> HTTPResponse | None:
        """Read the session; without one, only the door is open."""
        request.ctx.user, request.ctx.csrf = None, ""
        if request.path.startswith(("/static/", "/vendor/")):
            return None
        session = await self.session(request, touch=LIVE_HEADER not in request.headers and request.path != "/flux")
        if session is not None:
            request.ctx.user, request.ctx.csrf = session.user, session.csrf
        if request.path.startswith(_OPEN):
            return None
        return self._ask(request) if session is None else None

    def form(self, handler: Handler) -> Handler:
        """The handler of a form: it runs only when the session's CSRF token is shown."""

        @functools.wraps(handler)
        async def guarded(request: Request, *args: Any, **kwargs: Any) -> HTTPResponse:
            if not request.ctx.csrf or not self._shown(request, request.ctx.csrf):
                raise Forbidden(EXPIRED_FORM)
            return await handler(request, *args, **kwargs)

        return guarded

    async def session(self, request: Request, touch: bool) -> Session | None:
        """The living session of a request."""
        token = request.cookies.get(self._cookie)
        if not token:
            return None
        return await self._accounts.session(token, self._deps.wall.now(), touch)

    def _ask(self, request: Request) -> HTTPResponse:
        if LIVE_HEADER in request.headers or request.path == "/flux":
            return empty(401)
        here = request.path if request.method == "GET" else request.path.rpartition("/")[0]
        if request.method == "GET" and request.query_string:
            here += "?" + request.query_string
        suite = f"?suite={quote(here)}" if _NEXT.fullmatch(here) else ""
        return redirect("/connexion" + suite, status=303)

    @staticmethod
    def _shown(request: Request, expected: str) -> bool:
        given = request.headers.get("X-CSRF-Token") or field(request, "csrf")
        return hmac.compare_digest(str(given).encode(errors="replace"), expected.encode())

    # -- log-in --------------------------------------------------------------------------------------------------

    async def show(self, request: Request) -> HTTPResponse:
        """The log-in page."""
        suite = _next(request.args.get("suite"))
        if request.ctx.user is not None:
            return redirect(suite, status=303)
        return self._page(request, suite)

    def _page(self, request: Request, suite: str, error: str = "", name: str = "", status: int = 200) -> HTTPResponse:
        before = request.cookies.get(self._before) or secrets.token_urlsafe(16)
        page = self._renderer.page(
            "login.html", user=None, csrf=self._seal(before), suite=suite, error=error, name=name, demo=self._deps.demo
        )
        response = html(page, status)
        self._set(response, self._before, before, None)
        return response

    def _seal(self, before: str) -> str:
        message = b"login\x00" + before.encode(errors="replace")
        return hmac.new(self._deps.secret_key.encode(), message, hashlib.sha256).hexdigest()

    async def log_in(self, request: Request) -> HTTPResponse:
        """Check name and password; open a session."""
        suite = _next(field(request, "suite"))
        name = clean(field(request, "nom"))[:200]
        before = request.cookies.get(self._before) or ""
        if not before or not self._shown(request, self._seal(before)):
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
        old = request.cookies.get(self._cookie)
        if old:
            await self._accounts.close_session(old, now)
        token = await self._accounts.open_session(user, now)
        response = redirect(suite, status=303)
        self._set(response, self._cookie, token, int(ABSOLUTE.total_seconds()))
        device = self._accounts.device_cookie(user)
        self._set(response, self._device, device, int(_DEVICE_FOR.total_seconds()))
        return response

    async def log_out(self, request: Request) -> HTTPResponse:
        """End the session here and in the browser."""
        token = request.cookies.get(self._cookie)
        if token:
            await self._accounts.close_session(token, self._deps.wall.now())
        response = redirect("/connexion", status=303)
        self._set(response, self._cookie, "", 0)
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
        return await self._let_in(request, user, _next(request.args.get("suite")))

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


def _next(given: object) -> str:
    """Where to go after log-in: one of our own pages."""
    return str(given) if given and _NEXT.fullmatch(str(given)) else "/file"
