"""The console's Sanic application: what every request passes, the error pages, the routes.

A request, in order: the door (`bot.console.door`: session, declared right, CSRF token) → the view, which reaches a
conversation only through `Desk.access` → security headers.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import psycopg
from sanic import Blueprint, HTTPResponse, Request, Sanic
from sanic.exceptions import NotFound, RequestCancelled, SanicException
from sanic.handlers import ErrorHandler
from sanic.response import BaseHTTPResponse, html
from sanic.response import file as file_response
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bot.console import accounts as account_pages
from bot.console import (
    alarm,
    attachments,
    audit_pages,
    canned,
    comfort,
    conversation,
    crisis,
    dsfr,
    live,
    login,
    me,
    oidc,
    outage,
    queue,
    retention,
    search,
    second_factor,
    steering,
    subject,
    teams,
    validation,
    work,
    workbench_catalogue,
    workbench_catalogue_new,
    workbench_catalogue_parts,
    workbench_catalogue_question,
    workbench_changes,
    workbench_checks,
    workbench_drift,
    workbench_examples,
    workbench_inbox,
    workbench_intent,
    workbench_models,
    workbench_pseudonyms,
    workbench_replies,
    workbench_talks,
    workbench_trainings,
    workbench_trial,
)
from bot.console.deps import ConsoleDeps
from bot.console.door import Door, Forbidden
from bot.console.entry import Entry
from bot.console.provider import Provider
from bot.console.render import STATIC, VENDOR_FILES, Renderer
from bot.console.site import Site
from bot.store.accounts import AccountError, Accounts
from bot.store.desk.access import Desk
from bot.store.desk.errors import DeskError, NoSuchConversation, NotAllowed
from bot.store.faults import passes

log = logging.getLogger("planton.console")

# One line a topic, in alphabetical order: a module with `routes(site) -> Blueprint`.
TOPICS: tuple[Callable[[Site], Blueprint], ...] = (
    alarm.routes,
    attachments.routes,
    audit_pages.routes,
    canned.routes,
    comfort.routes,
    conversation.routes,
    crisis.routes,
    outage.routes,
    queue.routes,
    retention.routes,
    search.routes,
    steering.routes,
    subject.routes,
    teams.routes,
    validation.routes,
    work.routes,
    workbench_catalogue.routes,
    workbench_catalogue_new.routes,
    workbench_catalogue_parts.routes,
    workbench_catalogue_question.routes,
    workbench_changes.routes,
    workbench_checks.routes,
    workbench_examples.routes,
    workbench_inbox.routes,
    workbench_intent.routes,
    workbench_models.routes,
    workbench_drift.routes,
    workbench_pseudonyms.routes,
    workbench_replies.routes,
    workbench_talks.routes,
    workbench_trial.routes,
    workbench_trainings.routes,
)
BODY_AT_MOST = 300_000  # the longest reply, form-encoded, with room to say that it is too long
_numbers = itertools.count(1)

CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",  # the CSS base draws its arrows in data: addresses
        "media-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
HSTS = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}  # where the console is reached by https

_PAGES = {
    400: ("Demande incomprise", "La page demandée n’a pas pu être lue. Revenez à la file."),
    403: ("Accès refusé", "Vous n’avez pas le droit d’ouvrir cette page."),
    404: ("Page introuvable", "Cette page n’existe pas, ou n’existe plus."),
    405: ("Demande impossible", "Cette adresse ne s’ouvre pas de cette façon. Revenez à la file."),
    413: ("Message trop long", "Ce que vous avez envoyé est trop long. Revenez en arrière et raccourcissez-le."),
    503: (
        "Service momentanément indisponible",
        "La base de données ne répond pas. Rien n’a été envoyé. Attendez un instant, puis rechargez la page.",
    ),
}
_UNEXPECTED = (
    "Une erreur est survenue",
    "L’action n’a peut-être pas été faite. Rechargez la page pour voir où vous en êtes\u202f; si l’erreur revient, prévenez "
    "l’exploitant.",
)


def create_console(deps: ConsoleDeps) -> Sanic[Any, Any]:
    """The Sanic application. Several may live in one process."""
    renderer = Renderer(deps)
    app: Sanic[Any, Any] = Sanic(
        f"planton_console_{next(_numbers)}", configure_logging=False, error_handler=_Pages(renderer)
    )
    # The one-time link stands in an address, so no access log.
    app.config.update(
        ACCESS_LOG=False,
        MOTD=False,
        REQUEST_MAX_SIZE=BODY_AT_MOST,
        REQUEST_TIMEOUT=20,
        RESPONSE_TIMEOUT=60,
        KEEP_ALIVE_TIMEOUT=75,
        GRACEFUL_SHUTDOWN_TIMEOUT=2.0,
        FORWARDED_SECRET=None,
        PROXIES_COUNT=deps.proxies or None,
        TOUCHUP=False,  # it rewrites Sanic's own methods, which works for the first application of a process only
    )
    accounts = Accounts(deps.database, deps.secret_key, deps.older_key)
    desk = Desk(deps.database, deps.codec, deps.texts, deps.buttons)
    site = Site(deps, renderer, accounts, desk)
    door = Door(deps, accounts)
    stream = live.Live(site, door)

    app.register_middleware(door.enter, "request")
    app.register_middleware(crisis.Banner(deps.database).enter, "request")
    app.register_middleware(_secure(HEADERS | (HSTS if deps.secure_cookies else {})), "response")
    app.register_listener(stream.start, "before_server_start")
    app.register_listener(stream.stop, "before_server_stop")

    entry = Entry(site, door)
    provider = Provider(deps.provider, deps.wall) if deps.provider else None
    doors = (
        login.routes(site, entry, provider),
        second_factor.routes(site, entry),
        oidc.routes(site, entry, provider),
        me.routes(site, entry),
        account_pages.routes(site, entry),
    )
    for blueprint in (*doors, live.routes(stream), *(routes(site) for routes in TOPICS)):
        app.blueprint(blueprint)
    app.add_route(_static, "/static/<name:path>", methods=["GET", "HEAD"], name="static", error_format="html")
    for name in VENDOR_FILES:
        found = renderer.vendor(name)
        if found is not None:
            app.static(f"/vendor/{name}", found, name=_named("vendor", name))
    if deps.dsfr is not None and dsfr.accepted(deps.dsfr):
        for name in dsfr.FILES:
            app.static(f"/vendor/dsfr/{name}", deps.dsfr / name, name=_named("dsfr", name))
    renderer.paths = frozenset("/" + route.path for route in app.router.routes)
    return app


# What a path may name, looked up: a route for each would be built by every application.
_STATIC_FILES = {file.relative_to(STATIC).as_posix(): file for file in STATIC.rglob("*.*")}


async def _static(request: Request, name: str) -> HTTPResponse:
    file = _STATIC_FILES.get(name)
    if file is None:
        raise NotFound
    return await file_response(file, request_headers=request.headers)


def _named(kind: str, name: str) -> str:
    return f"{kind}_" + "".join(c if c.isalnum() else "_" for c in name)


def _secure(headers: Mapping[str, str]) -> Callable[[Request, BaseHTTPResponse], Coroutine[Any, Any, None]]:
    async def secure(request: Request, response: BaseHTTPResponse) -> None:
        for name, value in headers.items():
            response.headers.setdefault(name, value)  # what a citizen sent has a stricter policy of its own
        if request.path.startswith(("/static/", "/vendor/")):
            response.headers["Cache-Control"] = "public, max-age=3600"
        else:
            response.headers["Cache-Control"] = "no-store"

    return secure


class _Pages(ErrorHandler):
    """Error pages in French, without details; logs name an error without its text, which could hold a citizen's words."""

    def __init__(self, renderer: Renderer) -> None:
        super().__init__()
        self._renderer = renderer

    def default(self, request: Request, exception: Exception) -> HTTPResponse:
        status, (title, what), remedy = self._words(exception)
        if status >= 500 and not isinstance(exception, RequestCancelled):  # the browser left: nobody's fault
            # `path` holds ids only.
            log.error("%s %s failed: %s", request.method, request.path, type(exception).__name__)
        if status == 403:
            _refused(request, exception)
        user = getattr(request.ctx, "user", None)
        csrf = getattr(request.ctx, "csrf", "")
        page = self._renderer.page(
            "error.html", user=user, csrf=csrf, title=title, what=what, remedy=remedy, status=status
        )
        return html(page, status)

    def _words(self, exception: Exception) -> tuple[int, tuple[str, str], str]:
        if isinstance(exception, NotAllowed):
            return 403, (_PAGES[403][0], exception.what), exception.remedy
        if isinstance(exception, NoSuchConversation):
            return 404, ("Conversation introuvable", exception.what), exception.remedy
        if isinstance(exception, (DeskError, AccountError)):  # a view that did not show its own page again
            return 409, ("Action impossible", exception.what), exception.remedy
        if isinstance(exception, Forbidden):
            return 403, ("Page expirée", str(exception)), ""
        if isinstance(exception, SanicException):
            status = exception.status_code or 500
            return status, _PAGES.get(status, _UNEXPECTED), ""
        # A connection that is refused or cut is the database being away; anything else is ours.
        if isinstance(exception, (PoolTimeout, ConnectionError)) or _database_away(exception):
            return 503, _PAGES[503], ""
        return 500, _UNEXPECTED, ""

    @staticmethod
    def log(request: Request, exception: Exception) -> None:
        return None


def _refused(request: Request, exception: Exception) -> None:
    """Whoever tries doors leaves a trace: which account, which route, never what stood in the address or the form."""
    session = getattr(request.ctx, "session", None)
    where = request.route.path if request.route else "?"
    account = session.user.id if session else 0
    log.warning("refused: %s /%s to account %d: %s", request.method, where, account, type(exception).__name__)


def _database_away(exception: Exception) -> bool:
    return isinstance(exception, DBAPIError | psycopg.Error) and passes(exception)
