"""What tells open pages that something changed: server-sent events that carry tokens (`bot.store.news`), never words.

A page then asks for its own fragment through the usual door. One LISTEN connection serves the whole process.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from sanic import Blueprint, HTTPResponse, Request, Sanic

from bot.console.deps import ConsoleDeps
from bot.console.door import Door
from bot.console.site import Site, Topic
from bot.policy.rights import Capability
from bot.store import news
from bot.store.db import CONSOLE

BEAT = 15.0  # seconds: a silent line is closed by proxies, and a lost one is noticed
GATHER = 0.25  # at most four news a second and page, however much happens


def routes(live: Live) -> Blueprint:
    """The stream."""
    topic = Topic("live")
    topic.page("/flux", live.stream, Capability.SEE_QUEUE, "stream")
    return topic.blueprint


class Live:
    """The stream of news."""

    def __init__(self, site: Site, door: Door) -> None:
        self._deps: ConsoleDeps = site.deps
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
        """`change` with tokens; `fin` when the session has ended."""
        response = await request.respond(
            content_type="text/event-stream; charset=utf-8", headers={"X-Accel-Buffering": "no"}
        )
        assert response is not None
        assert self._closing is not None
        reads = request.ctx.user.may(Capability.READ)
        with self._deps.listener.subscribe() as queue:
            await response.send("retry: 1000\nevent: pret\ndata: 1\n\n")
            checked = time.monotonic()
            while not self._closing.is_set():
                changed = await self._gather(queue)
                if "sessions" in changed or time.monotonic() - checked >= BEAT:
                    checked = time.monotonic()
                    session = await self._door.session(request, touch=False)
                    if session is None or session.stage != "open":
                        await response.send("event: fin\ndata: 1\n\n")
                        break
                    reads = session.user.may(Capability.READ)
                if changed:
                    changed = changed if reads else _without_ids(changed)
                    await response.send(f"event: change\ndata: {','.join(sorted(changed))}\n\n")
                    await asyncio.sleep(GATHER)
                else:
                    await response.send(": \n\n")
        await response.eof()
        return None

    async def _gather(self, queue: asyncio.Queue[tuple[str, str]]) -> set[str]:
        """The tokens of what changed (`*`: anything may have); empty after BEAT seconds, or when the server stops."""
        assert self._closing is not None
        changed: set[str] = set()
        end = time.monotonic() + BEAT
        while not changed and (left := end - time.monotonic()) > 0 and not self._closing.is_set():
            coming, closing = asyncio.ensure_future(queue.get()), asyncio.ensure_future(self._closing.wait())
            try:
                await asyncio.wait({coming, closing}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                found = [coming.result()] if coming.done() else []
            finally:
                coming.cancel()
                closing.cancel()
                await asyncio.gather(coming, closing, return_exceptions=True)
            while not queue.empty():
                found.append(queue.get_nowait())
            tokens = (payload for channel, payload in found if channel == CONSOLE)
            changed.update(token or "*" for token in tokens if not token or news.TOKEN.fullmatch(token))
        return changed


def _without_ids(tokens: set[str]) -> set[str]:
    """For a role that may not open conversations: that something changed, not in which (`handoff:` names a priority)."""
    plain = {token if token.startswith("handoff:") else token.partition(":")[0] for token in tokens}
    return {"queue" if token.isdigit() else token for token in plain}
