"""The sender's loopback door: emergency replies without a database, names, health, metrics."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from bot.core.clock import Clock
from bot.core.messages import Platform
from bot.core.trace import Trace, begin, trace_id
from bot.meta import metadata
from bot.meta.direct import SIGNATURE_HEADER, signed
from bot.meta.limits import Verdict
from bot.meta.profile import profile
from bot.meta.send_api import GraphDown, GraphError, GraphTimeout, Outgoing, SendApi
from bot.meta.split import split
from bot.sender.accounts import Accounts, Clients
from bot.sender.budget import Budget
from bot.sender.deps import SenderDeps
from bot.watch.measures import CONTENT_TYPE

log = logging.getLogger("planton.sender")
_REMEMBERED = timedelta(hours=24)
_PAUSES = (0.0, 0.3, 1.0)  # before each try


class NotSent(Exception):
    """The emergency reply did not leave; `slug` says why."""

    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.slug = slug


class Once:
    """Remembers for a day what was sent under which key; two askers at once share one send."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: dict[tuple[str, str], tuple[datetime, asyncio.Task[str]]] = {}

    async def run(self, key: tuple[str, str], send: Callable[[], Any]) -> str:
        """The mid of the send under this key: made now, under way, or done earlier."""
        now = self._clock.now()
        self._forget(now)
        if key not in self._tasks:
            task = asyncio.create_task(send())
            self._tasks[key] = (now, task)
            task.add_done_callback(lambda done: self._settle(key, done))
        # An asker that goes away must not stop the send.
        return await asyncio.shield(self._tasks[key][1])

    def _settle(self, key: tuple[str, str], task: asyncio.Task[str]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._tasks.pop(key, None)  # may be asked again

    def _forget(self, now: datetime) -> None:
        # Keys stand in order of time, so the old ones come first.
        for key, (at, _) in list(self._tasks.items()):
            if now - at < _REMEMBERED:
                break
            del self._tasks[key]


class Door:
    """The HTTP application."""

    def __init__(
        self,
        deps: SenderDeps,
        clients: Clients,
        accounts: Accounts,
        budget: Budget,
        healthy: Callable[[], bool],
        metrics: Callable[[], bytes],
    ) -> None:
        self._deps, self._clients, self._accounts, self._budget = deps, clients, accounts, budget
        self._healthy, self._metrics = healthy, metrics
        self._once = Once(deps.clock)

    def app(self) -> web.Application:
        """Routes."""
        app = web.Application(client_max_size=64 * 1024)
        app.router.add_post("/emergency", self._emergency)
        app.router.add_post("/profile", self._profile)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/metrics", self._metrics_page)
        return app

    async def _healthz(self, _request: web.Request) -> web.Response:
        ok = self._healthy()
        states = {account: self._accounts.state(account) for account in self._clients.ids()}
        return web.json_response({"ok": ok, "accounts": states}, status=200 if ok else 503)

    async def _metrics_page(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics(), headers={"Content-Type": CONTENT_TYPE})

    async def _asked(self, request: web.Request, fields: tuple[str, ...]) -> dict[str, str]:
        raw = await request.read()
        if not signed((self._deps.secret_key, *self._deps.older_keys), raw, request.headers.get(SIGNATURE_HEADER)):
            raise web.HTTPForbidden
        try:
            data = json.loads(raw)
            asked = {field: data[field] for field in fields}
            Platform(asked["platform"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise web.HTTPBadRequest from None
        if not all(isinstance(value, str) and value and _whole(value) for value in asked.values()):
            raise web.HTTPBadRequest
        return asked

    async def _emergency(self, request: web.Request) -> web.Response:
        asked = await self._asked(request, ("platform", "account", "person", "text", "key"))
        api = self._clients.get(asked["account"])
        if api is None:
            return web.json_response({"sent": False, "error": "unknown_account"}, status=404)
        try:
            mid = await self._once.run((asked["account"], asked["key"]), lambda: self._send(api, asked))
        except NotSent as error:
            log.error("emergency not sent: account %s, %s", asked["account"], error.slug)
            return web.json_response({"sent": False, "error": error.slug}, status=502)
        return web.json_response({"sent": True, "mid": mid})

    async def _send(self, api: SendApi, asked: dict[str, str]) -> str:
        platform = Platform(asked["platform"])
        begin(Trace(trace_id(asked["platform"], asked["account"], asked["key"])))
        mark = metadata.make_ref(self._deps.metadata_key, metadata.unrowed_ref(asked["key"]))
        mid = ""
        for part in split(asked["text"], platform):
            mid = await self._insist(api, platform, asked, Outgoing(part, metadata=mark))
        if not mid:
            raise NotSent("empty")
        log.warning("emergency sent without the outbox: account %s, mid %s", asked["account"], mid)
        return mid

    async def _insist(self, api: SendApi, platform: Platform, asked: dict[str, str], message: Outgoing) -> str:
        """Try a few times. A reply sent twice after a lost answer is accepted here, a missing one is not."""
        slug = "graph_down"
        for pause in _PAUSES:
            await asyncio.sleep(pause)
            await self._budget.take_alone(asked["account"])
            self._budget.note(asked["account"])
            try:
                return (await api.send(platform, asked["person"], message)).message_id
            except GraphTimeout:
                slug = "timeout"
            except GraphDown:
                slug = "graph_down"
            except GraphError as error:
                slug = error.row.slug
                if error.row.verdict in (Verdict.FINAL, Verdict.STOP):
                    break
        raise NotSent(slug)

    async def _profile(self, request: web.Request) -> web.Response:
        asked = await self._asked(request, ("platform", "account", "person"))
        api = self._clients.get(asked["account"])
        found = None if api is None else await profile(api, Platform(asked["platform"]), asked["person"])
        if found is None:
            return web.json_response({})
        return web.json_response({"name": found.name, "username": found.username, "picture": found.picture})


def _whole(text: str) -> bool:
    """Whether no half of a character stands in it, which could be neither signed nor sent."""
    return text.isascii() or not any("\ud800" <= one <= "\udfff" for one in text)
