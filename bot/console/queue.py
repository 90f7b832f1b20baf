"""The queue's page."""

from __future__ import annotations

import re
from datetime import datetime

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import html, redirect

from bot.console.deps import ConsoleDeps
from bot.console.door import LIVE_HEADER
from bot.console.site import Site, Topic
from bot.policy.rights import Capability
from bot.store.desk.queue import FILTERS, TAKE, Cursor, QueueStore

_CURSOR = re.compile(r"(\d)_(\d{1,16})_(\d{1,18})", re.ASCII)


def routes(site: Site) -> Blueprint:
    """The queue, with which the console begins."""
    views, topic = QueueViews(site), Topic("queue")
    topic.page("/", views.home, Capability.SEE_QUEUE, "home")
    topic.page("/file", views.show, Capability.SEE_QUEUE, "show")
    return topic.blueprint


class QueueViews:
    """Who needs a human."""

    def __init__(self, site: Site) -> None:
        self._deps = site.deps
        self._store = QueueStore(site.desk)
        self._renderer = site.renderer

    async def home(self, request: Request) -> HTTPResponse:
        """The console begins with the queue."""
        return redirect("/file", status=303)

    async def show(self, request: Request) -> HTTPResponse:
        """A page of the queue; only its list when the page refreshes itself."""
        given = request.args.get("etat")
        which = given if given in FILTERS else TAKE
        after = _cursor(request.args.get("apres"), self._deps)
        queue = await self._store.page(request.ctx.user, which, after)
        template = "queue/_list.html" if LIVE_HEADER in request.headers else "queue/page.html"
        page = self._renderer.page(
            template,
            user=request.ctx.user,
            csrf=request.ctx.csrf,
            queue=queue,
            which=which,
            filters=FILTERS,
            later=after is not None,
            following=None if queue.following is None else _written(queue.following),
        )
        return html(page)


def _written(cursor: Cursor) -> str:
    return f"{cursor.priority}_{int(cursor.at.timestamp() * 1_000_000)}_{cursor.id}"


def _cursor(given: str | None, deps: ConsoleDeps) -> Cursor | None:
    match = _CURSOR.fullmatch(given or "")
    if match is None:
        return None
    seconds, micro = divmod(int(match[2]), 1_000_000)
    try:
        at = datetime.fromtimestamp(seconds, tz=deps.zone).replace(microsecond=micro)
    except (ValueError, OverflowError, OSError):
        return None
    return Cursor(int(match[1]), at, int(match[3]))
