"""How a session begins and moves on: cookies, what is still asked of it, where it leads."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta
from urllib.parse import quote

from sanic import HTTPResponse, Request
from sanic.response import redirect

from bot.console import device
from bot.console.door import STAGES, Door, next_page, shows
from bot.console.forms import field
from bot.console.site import Site
from bot.store.accounts import User
from bot.store.sessions import ABSOLUTE, Method, Session

DEVICE_FOR = timedelta(days=180)


class Entry:
    """Shared by everything that lets someone in."""

    def __init__(self, site: Site, door: Door) -> None:
        self._deps = site.deps
        self._accounts = site.accounts
        self.door = door
        prefix = "__Host-" if site.deps.secure_cookies else ""
        self.before = prefix + "planton_entree"  # ties what happens before the log-in to the browser
        self.known = prefix + "planton_appareil"

    # -- in ------------------------------------------------------------------------------------------------------

    async def let_in(
        self, request: Request, user: User, suite: str, method: Method = "password", factor: bool = False
    ) -> HTTPResponse:
        """Begin a session and go to what it still lacks, else to `suite`."""
        now = self._deps.wall.now()
        old = request.cookies.get(self.door.cookie)
        if old:
            await self._accounts.sessions.close(old, now)
        agent = device.words(request.headers.get("user-agent"))
        token = await self._accounts.sessions.begin(user, now, method, agent, factor)
        session = await self._accounts.sessions.of_token(token, now)
        response = redirect(suite if session is None else onward(session, suite), status=303)
        self.set(response, self.door.cookie, token, int(ABSOLUTE.total_seconds()))
        if session is not None and session.stage == "open":
            self._know(response, user)
        return response

    async def move_on(self, request: Request, suite: str, response: HTTPResponse | None = None) -> HTTPResponse:
        """Something that was asked has been given: go on. A session that is open now gets a new token.

        `response`: what is shown instead of going on.
        """
        session = await self.door.session(request, touch=True)
        response = response or redirect("/connexion" if session is None else onward(session, suite), status=303)
        if session is not None and session.stage == "open":
            token = await self._accounts.sessions.renew(session.id)
            self.set(response, self.door.cookie, token, int(ABSOLUTE.total_seconds()))
            self._know(response, session.user)
        return response

    def device(self, request: Request, name: str) -> str | None:
        """The id of this browser, when the account of that name was once all the way in here."""
        return self._accounts.device_of(name, request.cookies.get(self.known))

    def _know(self, response: HTTPResponse, user: User) -> None:
        """Whoever has the password alone is not known: they would count apart from all other strangers."""
        self.set(response, self.known, self._accounts.device_cookie(user), int(DEVICE_FOR.total_seconds()))

    # -- forms before there is a session -------------------------------------------------------------------------

    def stub(self, request: Request) -> str:
        """What ties a form to this browser, in a cookie; made if there is none."""
        return request.cookies.get(self.before) or secrets.token_urlsafe(16)

    def seal(self, stub: str) -> str:
        """The CSRF token of a form that is shown without a session."""
        return _seal(self._deps.secret_key, stub)

    def fits(self, request: Request) -> bool:
        """Whether the form was shown in this browser."""
        stub = request.cookies.get(self.before) or ""
        keys = filter(None, (self._deps.secret_key, self._deps.older_key))
        return bool(stub) and any([shows(request, _seal(key, stub)) for key in keys])

    # -- the rest ------------------------------------------------------------------------------------------------

    def base(self, request: Request) -> str:
        """The console's address as people see it, without a final slash."""
        scheme = "https" if self._deps.secure_cookies else request.scheme
        return self._deps.url or f"{scheme}://{request.host}"

    def set(self, response: HTTPResponse, name: str, value: str, max_age: int | None) -> None:
        """A cookie of ours."""
        response.add_cookie(
            name,
            value,
            path="/",
            httponly=True,
            secure=self._deps.secure_cookies,
            samesite="Lax",
            max_age=max_age,
        )


def onward(session: Session, suite: str) -> str:
    """Where a session goes: to what it lacks, else to `suite`."""
    if session.stage == "open":
        return suite
    return STAGES[session.stage] + ("" if suite == "/file" else f"?suite={quote(suite)}")


def wanted(request: Request) -> str:
    """The page that one was on the way to."""
    return next_page(field(request, "suite") or request.args.get("suite"))


def _seal(key: str, stub: str) -> str:
    return hmac.new(key.encode(), b"login\x00" + stub.encode(errors="replace"), hashlib.sha256).hexdigest()
