"""The sender's inner door: emergency replies without a database, names, health, metrics.

Who asks says which danger, and how old; what the person reads is written here. `bot.meta.direct` says how it is asked.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from aiohttp import web

from bot.core.emergency import Answer
from bot.core.messages import Platform
from bot.core.trace import Trace, begin, trace_id
from bot.meta import metadata
from bot.meta.direct import SIGNATURE_HEADER, signed
from bot.meta.limits import Verdict
from bot.meta.profile import profile
from bot.meta.send_api import GraphDown, GraphError, GraphTimeout, Outgoing, SendApi
from bot.meta.split import split
from bot.sender.accounts import Accounts, Clients
from bot.sender.answered import Answered, OtherRequest
from bot.sender.budget import Budget
from bot.sender.deps import SenderDeps
from bot.sender.stamps import Stamps
from bot.watch.measures import CONTENT_TYPE

log = logging.getLogger("planton.sender")
_WORDS = ("platform", "account", "person", "stamp")
_KINDS = ("danger", "distress")
_LANGUAGES = ("fr", "en")
_FARTHEST = 1e11  # seconds
_PAUSES = (0.0, 0.3, 1.0)  # before each try


class NotSent(Exception):
    """The emergency reply did not leave; `slug` says why."""

    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.slug = slug


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
        self._answered = Answered(deps.clock, (deps.secret_key, *deps.older_keys), deps.answered)
        self._stamps = Stamps()
        self._answered.load()

    async def forgets(self) -> None:
        """Forget what was answered long ago, for ever; not by a machine's own clock, which may be days ahead."""
        await self._deps.sure()
        await self._answered.keep_forgetting()

    async def close(self) -> None:
        """Note what was answered and is not on disk yet."""
        await self._answered.close()

    def app(self) -> web.Application:
        """Routes."""
        app = web.Application(client_max_size=64 * 1024)
        app.router.add_get("/stamp", self._stamp)
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

    async def _stamp(self, _request: web.Request) -> web.Response:
        return web.json_response({"stamp": self._stamps.make()}, headers={"Cache-Control": "no-store"})

    async def _asked(
        self, request: web.Request, words: tuple[str, ...], numbers: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """The fields of a request that one of our own signed, and that nobody made before."""
        raw = await request.read()
        keys = (self._deps.secret_key, *self._deps.older_keys)
        if not signed(keys, request.path, raw, request.headers.get(SIGNATURE_HEADER)):
            raise web.HTTPForbidden
        try:
            data = json.loads(raw)
            asked = {field: data[field] for field in (*words, *numbers)}
            Platform(asked["platform"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise web.HTTPBadRequest from None
        if not all(isinstance(value := asked[field], str) and value and _whole(value) for field in words):
            raise web.HTTPBadRequest
        if not all(_number(asked[field]) for field in numbers):
            raise web.HTTPBadRequest
        if not self._stamps.use(asked["stamp"]):
            log.warning("door: a request with a stamp that is used, old or another sender's")
            raise web.HTTPConflict(text=json.dumps({"error": "stamp"}), content_type="application/json")
        script = data.get("script")  # whoever asks may be of a version before
        said = {
            "script": script if isinstance(script, str) and script else None,
            "listens": data.get("listens") is True,
        }
        return asked | said

    async def _emergency(self, request: web.Request) -> web.Response:
        asked = await self._asked(request, (*_WORDS, "kind", "language", "key"), ("at", "age"))
        if asked["kind"] not in _KINDS or asked["language"] not in _LANGUAGES:
            raise web.HTTPBadRequest
        account, api = asked["account"], self._clients.get(asked["account"])
        if api is None:
            return web.json_response({"sent": False, "error": "unknown_account"}, status=404)
        whom = asked["platform"], asked["person"], str(asked["at"])
        try:
            mid = await self._answered.run((account, asked["key"]), whom, lambda: self._send(api, asked))
        except OtherRequest:
            log.error("emergency not sent: account %s, its key was another message's", account)
            return web.json_response({"sent": False, "error": "key"}, status=409)
        except NotSent as error:
            log.error("emergency not sent: account %s, %s", account, error.slug)
            return web.json_response({"sent": False, "error": error.slug}, status=502)
        return web.json_response({"sent": True, "mid": mid})

    async def _send(self, api: SendApi, asked: dict[str, Any]) -> str:
        platform = Platform(asked["platform"])
        begin(Trace(trace_id(asked["platform"], asked["account"], asked["key"])))
        words = await self._written(asked)
        mark = metadata.make_ref(self._deps.metadata_key, metadata.unrowed_ref(asked["key"]))
        mid = ""
        for part in split(words, platform):
            mid = await self._insist(api, platform, asked, Outgoing(part, metadata=mark))
        if not mid:
            raise NotSent("empty")
        log.warning("emergency sent without the outbox: account %s, mid %s", asked["account"], mid)
        return mid

    async def _written(self, asked: dict[str, Any]) -> str:
        """The reply, by the smaller of the ages that the two clocks tell: one that is wrong must keep nothing back."""
        now, at = self._deps.clock.now(), datetime.fromtimestamp(asked["at"], tz=timezone.utc)
        age = max(timedelta(), min(timedelta(seconds=asked["age"]), now - at))
        answer = Answer(asked["kind"], at, asked["language"] == "fr", script=asked["script"], listens=asked["listens"])
        words = await self._deps.words.reply(answer, age, now)
        if words is None:
            raise NotSent("too_old")
        return words

    async def _insist(self, api: SendApi, platform: Platform, asked: dict[str, Any], message: Outgoing) -> str:
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
        asked = await self._asked(request, _WORDS)
        api = self._clients.get(asked["account"])
        found = None if api is None else await profile(api, Platform(asked["platform"]), asked["person"])
        if found is None:
            return web.json_response({})
        return web.json_response({"name": found.name, "username": found.username, "picture": found.picture})


def _whole(text: str) -> bool:
    """Whether no half of a character stands in it, which could be neither signed nor sent."""
    return text.isascii() or not any("\ud800" <= one <= "\udfff" for one in text)


def _number(value: Any) -> bool:
    """Whether it is a number of seconds that a clock may show."""
    return type(value) in (int, float) and 0 <= value < _FARTHEST
