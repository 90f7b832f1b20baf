"""What goes to the engine or the sender holds a citizen's words: an answer that points elsewhere sends it nowhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.core.errors import EngineError
from bot.core.messages import Platform
from bot.dialogue.client import EngineClient
from bot.meta import direct


@pytest.mark.parametrize("status", [302, 307, 308])
async def test_a_redirection_is_not_followed(status: int) -> None:
    elsewhere: list[str] = []

    async def trap(request: web.Request) -> web.Response:
        elsewhere.append(await request.text())
        return web.json_response({"sent": True, "mid": "m", "ready": True})

    async def pointing(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": "/trap"})

    async def stamp(_request: web.Request) -> web.Response:
        return web.json_response({"stamp": "s"})

    app = web.Application()
    app.router.add_route("*", "/trap", trap)
    app.router.add_get("/sender/stamp", stamp)
    app.router.add_route("*", "/{any:.*}", pointing)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        url = str(server.make_url("")).rstrip("/")
        engine = EngineClient([url], timeout=5)
        try:
            with pytest.raises(EngineError):
                await engine.understand("on me suit")
            assert not await engine.ready()
        finally:
            await engine.close()
        danger = direct.Asked(
            Platform.MESSENGER, "1", "2", "key", "danger", datetime(2026, 1, 1, tzinfo=UTC), timedelta()
        )
        for door in (url, f"{url}/sender"):
            assert await direct.send_emergency(session, door, [b"k"], danger, text="17") is None
    assert elsewhere == []
