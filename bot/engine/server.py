"""The engine over HTTP, on loopback: POST /understand, POST /turn, GET /healthz.

Alone (`--port`, or `--unix` for one that has no network) it opens its own socket and answers 503 until its model is loaded.
Under `planton run` (`--fd`) the socket is
the launcher's: another engine may answer there meanwhile, so that this one accepts only once its model is loaded and warm,
and says so on `--ready`: one line, `{"model": …}` or `{"failed": …}`. At SIGTERM it stops accepting, finishes, and leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import socket
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from aiohttp import web

from bot.core.errors import SetupError
from bot.engine import light

if TYPE_CHECKING:
    from bot.engine.runtime import Runtime

log = logging.getLogger("bot.engine")

HOST = "127.0.0.1"
BACKLOG = 1024  # connections that wait while one engine takes over from another
LINGER = 0.5  # seconds without a request before an engine that leaves closes the connections that are kept open
DRAIN, END = 10.0, 3.0  # seconds, at most: for what comes over open connections; for the turns under way
LARGEST_BODY = 2 * 1024 * 1024  # a long message, escaped, with its state
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Answers 503 until the model is loaded, which happens in a thread so that /healthz speaks from the start."""

    def __init__(self, model: Path) -> None:
        self._model = model
        self._runtime: Optional[Runtime] = None
        self._running = 0
        self._asked = 0.0  # when the last request came, by the loop's clock
        self._leaving = False

    def application(self) -> web.Application:
        """Routes and error handling."""
        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[self._counted, _errors_as_json])
        app.on_response_prepare.append(self._close)
        app.router.add_get("/healthz", self.healthz)
        app.router.add_post("/understand", self.understand)
        app.router.add_post("/turn", self.turn)
        app.router.add_post("/explain", self.explain)
        return app

    def load(self) -> None:
        """Import Rasa, read the model, run one throwaway turn."""
        light.lighten()
        from bot.engine.runtime import Runtime

        runtime = Runtime(self._model)
        # Half a million objects that stay: whoever looks for garbage among them stops all turns for a tenth of a second.
        gc.collect()
        gc.freeze()
        self._runtime = runtime

    @property
    def runtime(self) -> Runtime:
        """The loaded model, or 503."""
        if self._runtime is None:
            raise _error(503, "starting")
        return self._runtime

    async def healthz(self, request: web.Request) -> web.Response:
        """Which model answers, once it does."""
        ready = self._runtime is not None
        name = self._runtime.model.name if self._runtime else None
        body = {"model": name, "ready": ready, "pid": os.getpid()}
        return web.json_response(body, status=200 if ready else 503)

    async def understand(self, request: web.Request) -> web.Response:
        """What a text means."""
        body = await _body(request)
        return web.json_response(await self.runtime.understand(_text(body)))

    async def explain(self, request: web.Request) -> web.Response:
        """What a text means, and why."""
        body = await _body(request)
        return web.json_response(await self.runtime.explain(_text(body)))

    async def turn(self, request: web.Request) -> web.Response:
        """One turn of a conversation whose state comes along."""
        body = await _body(request)
        outcome = await self.runtime.turn(
            _text(body), body.get("state"), body.get("payload"), _moment(body), body.get("meant")
        )
        return web.json_response(outcome)

    async def drain(self) -> None:
        """Answer what still comes over connections that are open, each time for the last time, until it is quiet."""
        loop = asyncio.get_running_loop()
        self._leaving, started = True, loop.time()
        while loop.time() - started < DRAIN:
            if not self._running and loop.time() - max(started, self._asked) > LINGER:
                return
            await asyncio.sleep(0.02)

    @web.middleware
    async def _counted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._running += 1
        self._asked = asyncio.get_running_loop().time()
        try:
            return await handler(request)
        finally:
            self._running -= 1

    async def _close(self, request: web.Request, response: web.StreamResponse) -> None:
        if self._leaving:
            response.headers["Connection"] = "close"
            response.force_close()


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.content_type == "application/json":
            raise
        raise _error(error.status, error.reason.lower()) from None
    except Exception as error:
        status, what = _meaning(error)
        if status == 500:
            log.error("request failed: %s", request.path, exc_info=True)
        raise _error(status, what) from None


def _meaning(error: Exception) -> tuple[int, str]:
    from bot.engine.runtime import EmptyOutcome, EmptyText

    if isinstance(error, EmptyText):
        return 400, "empty text"
    if isinstance(error, EmptyOutcome):
        log.error("empty outcome for intent %s", error)
        return 502, "empty outcome"
    return 500, "internal error"


def _error(status: int, what: str) -> web.HTTPException:
    body = json.dumps({"error": what})
    kinds = {400: web.HTTPBadRequest, 502: web.HTTPBadGateway, 503: web.HTTPServiceUnavailable}
    if status in kinds:
        return kinds[status](text=body, content_type="application/json")
    error = web.HTTPInternalServerError(text=body, content_type="application/json")
    error.set_status(status)
    return error


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError):
        raise _error(400, "bad json") from None
    if not isinstance(body, dict):
        raise _error(400, "bad json")
    return body


def _text(body: dict[str, Any]) -> str:
    text = body.get("text")
    if not isinstance(text, str):
        raise _error(400, "no text")
    return text


def _moment(body: dict[str, Any]) -> Optional[float]:
    """When the turn is, by the clock of who asks; None: it does not say."""
    at = body.get("at")
    return float(at) if isinstance(at, (int, float)) and not isinstance(at, bool) and 0 <= at < 1e11 else None


async def serve(port: int, model: Path, unix: Optional[Path] = None) -> int:
    """Serve on a port of our own, or on a Unix socket, until SIGTERM or SIGINT; returns the exit code."""
    stopping = _stopping()
    server = Server(model)
    runner = await _runner(server)
    if unix is None:
        await _listen(runner, port)
    else:
        await web.UnixSite(runner, str(unix)).start()
    if await _loaded(server, stopping):
        log.info("ready: %s on %s", server.runtime.model.name, unix or f"port {port}")
        await stopping
    await _end(runner)
    return 0


async def take_over(fd: int, ready: int, model: Path) -> int:
    """Serve on the launcher's socket, once loaded, until SIGTERM or SIGINT; returns the exit code."""
    stopping = _stopping()
    server = Server(model)
    try:
        loaded = await _loaded(server, stopping)
    except SetupError as error:
        tell(ready, {"failed": error.what})
        raise
    except Exception as error:
        tell(ready, {"failed": f"erreur {type(error).__name__}"})
        raise
    if not loaded:
        return 0
    runner = await _runner(server)
    site = web.SockSite(runner, socket.socket(fileno=fd), backlog=BACKLOG)
    await site.start()
    tell(ready, {"model": server.runtime.model.name})
    await stopping
    await site.stop()  # what waits in the socket's queue is for whoever serves there now
    await server.drain()
    await _end(runner)
    return 0


def tell(ready: int, word: dict[str, str]) -> None:
    """One line to the launcher, which may be gone."""
    with contextlib.suppress(OSError):
        os.write(ready, json.dumps(word).encode() + b"\n")


def _stopping() -> asyncio.Future[bool]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return asyncio.ensure_future(stop.wait())


async def _runner(server: Server) -> web.AppRunner:
    runner = web.AppRunner(server.application(), access_log=None, handle_signals=False)
    await runner.setup()
    return runner


async def _loaded(server: Server, stopping: asyncio.Future[bool]) -> bool:
    """Load the model; False when we are asked to leave meanwhile."""
    loading = _in_background(server.load, asyncio.get_running_loop())
    await asyncio.wait({loading, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not loading.done():
        return False
    loading.result()
    return True


async def _end(runner: web.AppRunner) -> None:
    try:
        await asyncio.wait_for(runner.cleanup(), END)
    except asyncio.TimeoutError:
        log.warning("requests were still running at the end")


def _in_background(work: Callable[[], None], loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
    """A daemon thread, unlike asyncio's own, does not hold up the end of the process."""
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: Optional[BaseException]) -> None:
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def run() -> None:
        error: Optional[BaseException] = None
        try:
            work()
        except BaseException as raised:  # it belongs to whoever awaits
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, error)

    threading.Thread(target=run, name="load", daemon=True).start()
    return done


async def _listen(runner: web.AppRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, HOST, port).start()
    except OSError as error:
        raise SetupError(
            f"Le port {port} est déjà pris ({os.strerror(error.errno or 0)}).", "Choisissez-en un autre avec --port."
        ) from None
