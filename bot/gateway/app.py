"""The gateway's HTTP side: verify, read, store, acknowledge; nothing here waits for the engine or the sender.

One webhook, in order: whole body (413) → signature on the raw bytes (403) → events (400) → triage → one transaction
→ 200. Where the transaction fails or takes over two seconds: the sender is asked to answer the dangers, and 503 has
Meta send the body again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import itertools
import logging
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sanic import HTTPResponse, Request, Sanic
from sanic.exceptions import PayloadTooLarge, SanicException
from sanic.handlers import ErrorHandler
from sanic.response import BaseHTTPResponse
from sanic.response import json as json_response
from sanic.response import raw as raw_response
from sanic.response import text as text_response
from sanic.signals import SignalRouter

from bot.core.errors import BadPayload, BadSignature, Unstorable
from bot.core.messages import Event
from bot.core.waiting import within
from bot.gateway.metrics import GatewayMetrics
from bot.gateway.pieces import Pieces
from bot.gateway.ports import GatewayDeps, Item, Probe
from bot.gateway.reading import Reader
from bot.gateway.recall import Recall
from bot.gateway.room import SMALL, Room, Share, whose
from bot.gateway.slots import Slots
from bot.gateway.spool import EmergencyLane, Spool
from bot.gateway.telling import named, tell
from bot.meta.signature import HEADER, verify
from bot.store.faults import told

log = logging.getLogger(__name__)

WEBHOOK = "/webhooks/meta"
THREAD_FROM = SMALL  # bytes: a longer body is read in a thread, so that others are acknowledged meanwhile
_DRAIN_FACTOR = 4  # a body too large is read up to this many times the limit, so that its sender sees the 413
_PROBE_TIMEOUT = 1.0
_STOP_WAIT = 5.0  # for emergency replies that are leaving when the process is told to end
_REMEDIES = {
    "database": "La base de données ne répond pas\u00a0: vérifiez PLANTON_DATABASE_URL et que PostgreSQL est démarré.",
    "engine": "Le moteur ne répond pas\u00a0: voyez «\u00a0planton run engine\u00a0» et PLANTON_ENGINE_URL.",
    "meta": "Meta refuse les envois d’un compte\u00a0: «\u00a0planton doctor\u00a0» dit pourquoi et quoi faire.",
    "sender": "L’expéditeur ne répond pas\u00a0: voyez «\u00a0planton run sender\u00a0» et PLANTON_SENDER_PORT.",
}
_OTHER_REMEDY = "Ce service ne répond pas\u00a0: «\u00a0planton doctor\u00a0» en dit plus."

_numbers = itertools.count(1)


def create_gateway(deps: GatewayDeps) -> Sanic[Any, Any]:
    """The Sanic application. Several may live in one process."""
    app: Sanic[Any, Any] = Sanic(
        f"planton_gateway_{next(_numbers)}",
        configure_logging=False,
        error_handler=_ShortErrors(),
        signal_router=_Unheard(),
    )
    # Query strings hold tokens, so no access log. Every limit below is one that a client can run into.
    app.config.update(
        ACCESS_LOG=False,
        MOTD=False,
        TOUCHUP=False,  # it rewrites Sanic's own methods, and fails for the second application of a process
        REQUEST_MAX_SIZE=deps.max_body,
        REQUEST_TIMEOUT=20,
        RESPONSE_TIMEOUT=30,
        KEEP_ALIVE_TIMEOUT=75,
        GRACEFUL_SHUTDOWN_TIMEOUT=8.0,
    )
    app.register_middleware(_no_page, "response")
    gateway = Gateway(deps)
    app.ctx.gateway = gateway

    async def receive(request: Request) -> HTTPResponse:  # Sanic marks a streaming handler, and a method takes no mark
        return await gateway.receive(request)

    # Told, or else Sanic reads each handler's source for it (a hundredth of a second); `_ShortErrors` writes every error as text.
    told: dict[str, Any] = {"error_format": "text"}
    app.add_route(gateway.challenge, WEBHOOK, methods=["GET"], name="challenge", **told)
    app.add_route(receive, WEBHOOK, methods=["POST"], name="receive", stream=True, **told)
    app.add_route(gateway.healthz, "/healthz", name="healthz", **told)
    app.add_route(gateway.readyz, "/readyz", name="readyz", **told)
    app.add_route(gateway.show_metrics, "/metrics", name="metrics", **told)
    app.register_listener(gateway.start, "before_server_start")
    app.register_listener(gateway.stop, "before_server_stop")
    return app


class _Unheard(SignalRouter):
    """Sanic signals a dozen moments of each request, and searches each time for handlers that nobody has registered."""

    async def dispatch(self, event: Any, **more: Any) -> Any:
        """What concerns the server goes its way."""
        if isinstance(event, str) and event.startswith("http."):
            return None
        return await super().dispatch(event, **more)


async def _no_page(request: Request, response: BaseHTTPResponse) -> None:
    """What a browser gets here is nothing to render, run or frame."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"


class _ShortErrors(ErrorHandler):
    """Short answers, and logs that name an error without its text, which could hold what a citizen wrote."""

    def default(self, request: Request, exception: Exception) -> HTTPResponse:
        if isinstance(exception, SanicException):
            return text_response(f"{exception.status_code}", exception.status_code)
        log.error("%s %s failed: %s", request.method, request.path, type(exception).__name__)
        return text_response("error", 500)

    @staticmethod
    def log(request: Request, exception: Exception) -> None:
        return None


@dataclass(frozen=True)
class _Refused:
    """A body that is not taken."""

    outcome: str
    status: int


_TOO_LARGE, _TOO_SLOW, _BUSY = _Refused("too_large", 413), _Refused("too_slow", 408), _Refused("busy", 503)


class Gateway:
    """The handlers and what they share."""

    def __init__(self, deps: GatewayDeps) -> None:
        self._deps = deps
        self._spool = Spool(deps.spool_path)
        self._spool.load()  # here rather than in `start`: a server may listen a moment before its listeners run
        self._metrics = GatewayMetrics(deps.registry, lambda: len(self._spool))
        self._reader = Reader(deps.triage, deps.triage_budget, self._metrics)
        self._pieces = Pieces(deps.triage)
        self._lane = EmergencyLane(
            self._spool,
            deps.emergency_send,
            deps.clock,
            deps.emergency_retries,
            lambda outcome: self._metrics.emergencies.labels(outcome).inc(),
            deps.clock_read,
        )
        self._recall = Recall(self._spool, deps.recall, deps.clock, deps.recall_after, deps.store_timeout, deps.erased)
        self._slots = Slots(deps.store_slots)
        self.room = Room(deps.max_large)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._recalling: asyncio.Task[None] | None = None

    # Start and stop

    async def start(self, app: Sanic[Any, Any]) -> None:
        """Begin to look after what stays in the spool."""
        self._recalling = asyncio.create_task(self._recall.run(self._deps.recall_every))

    async def stop(self, app: Sanic[Any, Any]) -> None:
        """Let emergencies and transactions under way end."""
        if self._recalling is not None:
            self._recalling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._recalling
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=self._deps.store_timeout + self._deps.emergency_wait + 1)
        await self._lane.drain(_STOP_WAIT)

    # Webhook

    async def challenge(self, request: Request) -> HTTPResponse:
        """Meta's check that the address is ours."""
        challenge = request.args.get("hub.challenge")
        if request.args.get("hub.mode") != "subscribe" or not _same(
            self._deps.verify_token, request.args.get("hub.verify_token")
        ):
            return text_response("forbidden", 403)
        if challenge is None:
            return text_response("no challenge", 400)
        return text_response(challenge)

    async def receive(self, request: Request) -> HTTPResponse:
        """One webhook."""
        address = whose(request.ip, request.headers.getall("X-Forwarded-For", [""])[-1])
        share = Share(self.room, address)
        try:
            raw = await self._body(request, share)
        except BaseException:
            share.close()
            raise
        if isinstance(raw, _Refused):
            share.close()
            return self._answer(raw.outcome, raw.status)
        task = self._spawn(self._handle(raw, request.headers.get(HEADER), address))
        task.add_done_callback(lambda _: share.close())
        # A client that hangs up must neither undo a transaction nor stop an emergency reply.
        return await asyncio.shield(task)

    def _spawn(self, work: Coroutine[Any, Any, HTTPResponse]) -> asyncio.Task[HTTPResponse]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _body(self, request: Request, share: Share) -> bytes | _Refused:
        """The whole body, or why it is not taken."""
        stream: Any = request.stream
        # Too much is read on for a while: cut at once, the sender would see a reset instead of a 413. But not for
        # ever, as Sanic lets a streaming handler do.
        stream.request_max_size = self._deps.max_body * _DRAIN_FACTOR
        parts: list[bytes] = []
        size, room = 0, True
        late = asyncio.get_running_loop().time() + self._deps.large_within
        try:
            async with asyncio.timeout(None) as patience:
                async for part in stream:
                    size += len(part)
                    if room and size <= self._deps.max_body and share.grow(len(part)):
                        parts.append(part)
                        if share.large and patience.when() is None:
                            patience.reschedule(late)
                    else:  # read on, and not kept
                        room = False
                        parts.clear()
                        share.close()
        except PayloadTooLarge:
            return _TOO_LARGE
        except TimeoutError:
            return _TOO_SLOW
        if size > self._deps.max_body:
            return _TOO_LARGE
        return b"".join(parts) if room else _BUSY

    async def _handle(self, raw: bytes, signature: str | None, address: str) -> HTTPResponse:
        begun = time.time_ns()
        with self._metrics.seconds.time():
            try:
                place = verify(self._deps.app_secrets, raw, signature)
                self.room.signed(address)
                now = self._deps.clock.now()
                self._deps.signed(place, now)
                if len(raw) > THREAD_FROM:
                    items = await asyncio.to_thread(self._reader.read, raw, now)
                else:
                    items = self._reader.read(raw, now)
            except BadSignature as error:
                self.room.forged(address)
                log.warning("webhook refused: signature %s", error)
                return self._answer("bad_signature", 403)
            except BadPayload as error:
                log.warning("webhook refused: %s", error)
                return self._answer("bad_payload", 400)
            return await self._store(raw, items, begun)

    async def _store(self, raw: bytes, items: list[Item], begun: int) -> HTTPResponse:
        events, storing = [event for event, _ in items], time.time_ns()
        with self._metrics.storing.track_inprogress():
            stuck: frozenset[str] = frozenset()
            try:
                await self._in_turn(raw, items)
            except Unstorable as error:
                stuck = error.keys
                joined = await asyncio.to_thread(self._pieces.joined, items)
                await self._lane.answer([item for item in joined if item[0].key in stuck], self._deps.emergency_wait)
                kept = "kept" if error.kept else "not all kept"
                log.error("webhook stored but for %d events, %s as failed: %s", len(stuck), kept, error.why)
                # Meta sends it again then, and the sender is asked again.
                if not error.kept or self._lane.owes(joined, stuck):
                    return self._answer("unavailable", 503)
            except Exception as error:  # whatever stops the store, Meta keeps the message and sends it again
                # Who is in danger first: nothing that is only told about it comes before, as it could fail.
                joined = await asyncio.to_thread(self._pieces.joined, items)
                await self._lane.answer(joined, self._deps.emergency_wait)
                _tell(events, begun, storing, "unavailable")
                log.error(
                    "webhook not stored: %s, %d events",
                    told(error),
                    len(items),
                    extra={"traces": named(events)},
                )
                return self._answer("unavailable", 503)
        _tell(events, begun, storing, "accepted")
        stored = [
            event for event in events if event.key not in stuck
        ]  # of the rest, the recall tells who was in danger
        self._metrics.stored(stored, self._deps.clock.now())
        await self._spool.forget(stored)
        self._pieces.clear()
        return self._answer("accepted", 200)

    async def _in_turn(self, raw: bytes, items: list[Item]) -> None:
        """Store once a connection is free. Whoever waits for one too long is sent away before touching the database, and
        whoever has one keeps it for long enough: work that is always cut short just before its end never ends."""
        limit, loop = self._deps.store_timeout, asyncio.get_running_loop()
        start = loop.time()
        async with asyncio.timeout(limit / 2):
            await self._slots.take(first=any(detection is not None for _, detection in items))
        work = asyncio.ensure_future(self._take(raw, items))
        work.add_done_callback(lambda _: self._slots.free())  # when it has ended, however long it takes to cancel it
        try:
            await within(limit - (loop.time() - start), work)
        except TimeoutError:
            self._slots.too_late()
            raise
        self._slots.in_time()

    async def _take(self, raw: bytes, items: list[Item]) -> None:
        answered = self._spool.answered(event for event, _ in items)
        await self._deps.inbox.take(raw, items, self._deps.clock.now(), answered)

    def _answer(self, outcome: str, status: int) -> HTTPResponse:
        self._metrics.webhooks.labels(outcome).inc()
        return text_response("ok" if status == 200 else outcome, status)

    # For operators

    async def healthz(self, request: Request) -> HTTPResponse:
        """Alive: it answers, whatever else is down, because it can still receive."""
        return text_response("ok")

    async def readyz(self, request: Request) -> HTTPResponse:
        """Which of the other parts is reachable, and what to do about one that is not."""
        names = list(self._deps.probes)
        states = await asyncio.gather(*(_reachable(self._deps.probes[name]) for name in names))
        checks = {
            name: {"ok": True} if ok else {"ok": False, "remedy": _REMEDIES.get(name, _OTHER_REMEDY)}
            for name, ok in zip(names, states, strict=True)
        }
        missing = [name for name, ok in zip(names, states, strict=True) if not ok]
        body = {"ready": not missing, "not_ready": missing, "checks": checks}
        return json_response(body, 503 if missing else 200, ensure_ascii=False)

    async def show_metrics(self, request: Request) -> HTTPResponse:
        """Prometheus's text format, for whoever holds the token: in the Authorization header, as addresses end up in logs."""
        given = request.token
        if not any([_same(one, given) for one in (self._deps.metrics_token, self._deps.older_metrics_token)]):
            return text_response("forbidden", 403)
        if self._deps.refresh is not None:
            await self._deps.refresh()
        return raw_response(generate_latest(self._deps.registry), content_type=CONTENT_TYPE_LATEST)


def _tell(events: Sequence[Event], begun: int, storing: int, outcome: str) -> None:
    """Traces, where they are wanted. What fails in them changes no answer: the message is stored, or will come again."""
    try:
        tell(events, begun, storing, outcome)
    except Exception as error:
        log.error("webhook not traced: %s", type(error).__name__)


def _same(secret: str, given: str | None) -> bool:
    """Constant-time equality; an empty secret opens nothing."""
    return bool(secret) and hmac.compare_digest(secret.encode(), (given or "").encode("utf-8", "replace"))


async def _reachable(probe: Probe) -> bool:
    try:
        return await within(_PROBE_TIMEOUT, probe())
    except Exception as error:  # a probe may fail in any way: each of them means "not reachable"
        log.info("probe failed: %s", type(error).__name__)
        return False
