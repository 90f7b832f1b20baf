"""What tells open pages that something changed: server-sent events that carry conversation numbers, never words.

A page then asks for its own fragment through the usual door. One LISTEN connection serves the whole process.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from sanic import HTTPResponse, Request, Sanic

from bot.console.deps import ConsoleDeps
from bot.console.door import Door
from bot.store.db import CONSOLE

BEAT = 15.0  # seconds: a silent line is closed by proxies, and a lost one is noticed
GATHER = 0.25  # at most four news a second and page, however much happens


class Live:
    """The stream of news."""

    def __init__(self, deps: ConsoleDeps, door: Door) -> None:
        self._deps = deps
        self._door = door
        self._closing: asyncio.Event | None = None

    async def start(self, app: Sanic[Any, Any]) -> None:
        """Begin to listen to the database."""
        self._closing = asyncio.Event()
        self._deps.listener.start()

    async def stop(self, app: Sanic[Any, Any]) -> None:
        """Let the streams end, so that the server can stop."""
        if self._closing is not None:
            self._closing.set()

    async def stream(self, request: Request) -> HTTPResponse | None:
        """`change` with conversation numbers; `fin` when the session has ended."""
        response = await request.respond(
            content_type="text/event-stream; charset=utf-8", headers={"X-Accel-Buffering": "no"}
        )
        assert response is not None
        assert self._closing is not None
        with self._deps.listener.subscribe() as queue:
            await response.send("retry: 1000\nevent: pret\ndata: 1\n\n")
            checked = time.monotonic()
            while not self._closing.is_set():
                changed = await self._gather(queue)
                if time.monotonic() - checked >= BEAT:
                    checked = time.monotonic()
                    if await self._door.session(request, touch=False) is None:
                        await response.send("event: fin\ndata: 1\n\n")
                        break
                if changed:
                    await response.send(f"event: change\ndata: {','.join(sorted(changed))}\n\n")
                    await asyncio.sleep(GATHER)
                else:
                    await response.send(": \n\n")
        await response.eof()
        return None

    async def _gather(self, queue: asyncio.Queue[tuple[str, str]]) -> set[str]:
        """The numbers of what changed (`*`: anything may have); empty after BEAT seconds, or when the server stops."""
        assert self._closing is not None
        changed: set[str] = set()
        end = time.monotonic() + BEAT
        while not changed and (left := end - time.monotonic()) > 0 and not self._closing.is_set():
            news, closing = asyncio.ensure_future(queue.get()), asyncio.ensure_future(self._closing.wait())
            try:
                await asyncio.wait({news, closing}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                found = [news.result()] if news.done() else []
            finally:
                news.cancel()
                closing.cancel()
                await asyncio.gather(news, closing, return_exceptions=True)
            while not queue.empty():
                found.append(queue.get_nowait())
            changed.update(payload or "*" for channel, payload in found if channel == CONSOLE and _number(payload))
        return changed


def _number(payload: str) -> bool:
    return not payload or (payload.isascii() and payload.isdigit())
