"""The one guarded door: every request passes it before any view.

In order: the session is read → the route's declared need is held against it → a form shows its CSRF token. A route
that declares nothing opens to nobody.
"""

from __future__ import annotations

import hmac
import re
from urllib.parse import quote

from sanic import HTTPResponse, Request
from sanic.exceptions import PayloadTooLarge
from sanic.response import empty, redirect

from bot.console import labels
from bot.console.deps import ConsoleDeps
from bot.console.forms import field
from bot.console.site import Open
from bot.policy.rights import Capability
from bot.store.accounts import Accounts
from bot.store.desk.errors import NotAllowed
from bot.store.sessions import Session

LIVE_HEADER = "X-Planton-Live"  # the page asks by itself: no sign of life of the person
CSRF_HEADER = "X-CSRF-Token"  # a script's form
FILES = ("/static/", "/vendor/")
STREAM = "/flux"
# Where a half-open session is sent for what is still asked of it.
STAGES = {
    "factor": "/connexion/code",
    "enrol": "/connexion/second-facteur",
    "password": "/connexion/mot-de-passe",
}
_NEXT = re.compile(
    r"/(?!(?:connexion|deconnexion|entrer|flux|static|vendor)(?:[/?]|$))[a-z][a-z-]*(/[a-z-]+|/\d{1,18})*(\?[a-z0-9=&_.,:%+-]*)?",
    re.IGNORECASE,
)

EXPIRED_FORM = (
    "Cette page était ouverte depuis trop longtemps, ou vous vous êtes reconnecté depuis. Rien n’a été envoyé. "
    "Revenez à la page précédente et rechargez-la\u00a0: le brouillon d’une réponse y est gardé."
)


class Forbidden(Exception):
    """A POST without the right CSRF token."""


class Door:
    """Who comes in, and what opens to them."""

    def __init__(self, deps: ConsoleDeps, accounts: Accounts) -> None:
        self._deps = deps
        self._accounts = accounts
        self.cookie = ("__Host-" if deps.secure_cookies else "") + "planton_session"

    async def enter(self, request: Request) -> HTTPResponse | None:
        """What every request passes; a response when the view is not reached. Raises NotAllowed, Forbidden.

        Afterwards `request.ctx` has `user`, `csrf` and `session`; user and session are None only where no session is
        needed, or is needed whole and is half open.
        """
        request.ctx.user, request.ctx.csrf, request.ctx.session = None, "", None
        if request.path.startswith(FILES):
            return None
        session = await self.session(request, touch=LIVE_HEADER not in request.headers and request.path != STREAM)
        needs = getattr(request.route.ctx, "needs", None) if request.route else None
        if session is not None:
            request.ctx.session, request.ctx.csrf = session, session.csrf
            if session.stage == "open":
                request.ctx.user = session.user
        if needs is Open.NOBODY:
            return None  # the log-in form has a token of its own
        if session is None:
            return self._ask(request)
        if session.stage != "open" and needs is not Open.HALF:
            return self._refuse(request) or redirect(STAGES[session.stage], status=303)
        if request.route is None:
            return None  # there is no such page
        if needs is not Open.HALF:
            _must_have(session, needs)
        if request.method not in ("GET", "HEAD") and not shows(request, session.csrf):
            if not request.body and int(request.headers.get("content-length") or 0) > 0:
                raise PayloadTooLarge("the body was refused")  # it was not read, so its token was not either
            raise Forbidden(EXPIRED_FORM)
        return None

    async def session(self, request: Request, touch: bool) -> Session | None:
        """The living session of a request, half open or whole."""
        token = request.cookies.get(self.cookie)
        if not token:
            return None
        return await self._accounts.sessions.of_token(token, self._deps.wall.now(), touch)

    def _ask(self, request: Request) -> HTTPResponse:
        here = request.path if request.method == "GET" else request.path.rpartition("/")[0]
        if request.method == "GET" and request.query_string:
            here += "?" + request.query_string
        suite = f"?suite={quote(here)}" if _NEXT.fullmatch(here) else ""
        return self._refuse(request) or redirect("/connexion" + suite, status=303)

    @staticmethod
    def _refuse(request: Request) -> HTTPResponse | None:
        """What a script understands, for a request that a script made."""
        by_script = LIVE_HEADER in request.headers or CSRF_HEADER in request.headers or request.path == STREAM
        return empty(401) if by_script else None


def _must_have(session: Session, needs: object) -> None:
    if not isinstance(needs, Capability):
        raise NotAllowed("Cette page n’est ouverte à personne\u00a0: elle ne dit pas quel droit elle demande.")
    if not session.user.may(needs):
        raise NotAllowed(labels.REFUSED.get(needs.value, "Votre rôle ne permet pas cette action."))


def shows(request: Request, expected: str) -> bool:
    """Whether the request shows that CSRF token, in the form or in the header."""
    given = request.headers.get(CSRF_HEADER) or field(request, "csrf")
    return bool(expected) and hmac.compare_digest(str(given).encode(errors="replace"), expected.encode())


def next_page(given: object) -> str:
    """Where to go after log-in: one of our own pages."""
    return str(given) if given and _NEXT.fullmatch(str(given)) else "/file"
