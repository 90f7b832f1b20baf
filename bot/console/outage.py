"""Whether the engine is out: every page says so, calmly, as long as it lasts.

Two witnesses. The workers': a conversation that has waited for it for longer than people are left without a word. And this
console's own look, which also sees an outage in which nobody writes; it counts once the engine has answered it, so that a
console that cannot reach the engine at all, which only costs it suggestions, raises no false alarm.
"""

from __future__ import annotations

from datetime import datetime

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import html
from sqlalchemy import text

from bot.console.deps import ConsoleDeps
from bot.console.periodic import Periodic
from bot.console.site import Site, Topic
from bot.policy.rights import Capability
from bot.store import news

EVERY = 10.0  # seconds between looks
TOPIC = "engine"
_WAITING = text("SELECT min(engine_away_since) FROM conversations WHERE engine_away_since <= :before")


def routes(site: Site) -> Blueprint:
    """The banner alone, for pages that are open while the engine comes or goes; and the look itself."""
    watch, topic = Watch(site.deps), Topic("outage")
    site.renderer.outage = lambda: watch.since

    async def banner(request: Request) -> HTTPResponse:
        return html(site.renderer.page("outage/_banner.html", user=request.ctx.user))

    topic.page("/assistant/bandeau", banner, Capability.SEE_QUEUE, "banner")
    watch.attach(topic.blueprint)
    return topic.blueprint


class Watch(Periodic):
    """Runs in each console's process. `since`: since when the engine is out, as far as it is to be told."""

    def __init__(self, deps: ConsoleDeps) -> None:
        super().__init__("engine's outage", self.look, EVERY)
        self._deps = deps
        self.since: datetime | None = None
        self._told: datetime | None = None
        self._failing: datetime | None = None
        self._reached = False

    async def look(self) -> None:
        """Look once; open pages hear of a change."""
        now = self._deps.clock.now()
        before = now - self._deps.engine_notice
        async with self._deps.database.begin() as connection:
            waiting = await connection.scalar(_WAITING, {"before": before})
        failing = await self._own_look(now)
        own = failing if self._reached and failing is not None and failing <= before else None
        self.since = min((one for one in (waiting, own) if one is not None), default=None)
        if (self.since is None) != (self._told is None):
            async with self._deps.database.begin() as connection:
                await news.topic(connection, TOPIC)
            self._told = self.since

    async def _own_look(self, now: datetime) -> datetime | None:
        """Since when this console has asked in vain."""
        if self._deps.engine_ready is None:
            return None
        if await self._deps.engine_ready():
            self._reached, self._failing = True, None
        elif self._failing is None:
            self._failing = now
        return self._failing
