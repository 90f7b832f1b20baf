"""The sandbox on free loopback ports, with a gateway that verifies each webhook as the real one does."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
from aiohttp import web
from sqlalchemy import text

from bot.core.clock import SystemClock
from bot.core.dialogue import QuickReply, Reply
from bot.core.messages import Event, Platform
from bot.meta.payloads import parse
from bot.meta.send_api import Outgoing, SendApi
from bot.meta.signature import HEADER, verify
from bot.policy.night import Night
from bot.sandbox.app import Sandbox, SandboxDeps, create_sandbox
from bot.sandbox.graph import Graph, GraphAccount, GraphServer
from bot.store import outbox
from bot.store.bearer import Bearer
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.inbox import Inbox, InboxRules
from tests.conftest import of_part
from tests.fakes import asked

PAGE, IG = "104090000000001", "17841400000000001"
BEARER = Bearer("the sandbox's key")
SECRET, TOKEN = "secret-of-the-demo", "EAAtoken-of-the-demo"


@dataclass
class FakeGateway:
    """Keeps what was signed well; `status` is what it answers."""

    status: int = 200
    bodies: list[bytes] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    url: str = ""

    async def receive(self, request: web.Request) -> web.Response:
        raw = await request.read()
        verify([SECRET], raw, request.headers.get(HEADER))
        if self.status == 200:
            self.bodies.append(raw)
            self.events.extend(parse(raw))
        return web.Response(status=self.status)

    def of(self, *kinds: str) -> list[Event]:
        """The events of these kinds."""
        return [event for event in self.events if event.kind in kinds]


@dataclass
class RunningSandbox:
    """A sandbox that serves `url`."""

    url: str
    gateway: FakeGateway
    clock: SystemClock
    sandbox: Sandbox
    client: aiohttp.ClientSession
    api: SendApi

    def phone(self, platform: str = "messenger") -> Any:
        return self.sandbox.citizen.phones[Platform(platform)]

    async def do(self, gesture: str, platform: str = "messenger", **more: Any) -> int:
        """A gesture as the page posts it."""
        body = {"platform": platform, "geste": gesture, **more}
        async with self.client.post(f"{self.url}/gestes", json=body) as response:
            return response.status

    async def answer(self, text: str, platform: str = "messenger", *replies: tuple[str, str]) -> str:
        """The page answers through the Graph API."""
        person = self.phone(platform).person
        quick = tuple(QuickReply(*reply) for reply in replies)
        return (await self.api.send(Platform(platform), person, Outgoing(text, quick, metadata="mark"))).message_id

    async def until(self, condition: Callable[[], object], timeout: float = 180.0) -> None:
        """Wait for something to become true."""
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, f"not in time; the gateway has {[e.kind for e in self.gateway.events]}"
            await asyncio.sleep(0.02)


@asynccontextmanager
async def running_sandbox(
    database: Database, codec: Codec, console_url: str = "http://127.0.0.1:9"
) -> AsyncIterator[RunningSandbox]:
    """Start it on free ports, stop it at the end."""
    gateway = FakeGateway()
    app = web.Application()
    app.router.add_post("/webhooks/meta", gateway.receive)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    gateway.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    clock = SystemClock()
    graph = Graph([GraphAccount(PAGE, TOKEN, SECRET, IG)], clock)
    graph_server = GraphServer(graph)
    deps = SandboxDeps(
        database=database,
        codec=codec,
        clock=clock,
        night=Night(ZoneInfo("Europe/Paris")),
        graph_server=graph_server,
        gateway_url=gateway.url,
        console_url=console_url,
        sandbox_url="http://127.0.0.1:8070",
        app_secret=SECRET,
        bearer=BEARER,
        page_id=PAGE,
        ig_id=IG,
        catalogue=asked.small,
    )
    sanic = create_sandbox(deps)
    listening = socket.create_server(("127.0.0.1", 0))
    server = await sanic.create_server(sock=listening, return_asyncio_server=True, access_log=False)
    assert server is not None
    await server.startup()
    await server.before_start()
    await server.after_start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        async with aiohttp.ClientSession() as client:
            api = SendApi(client, graph_server.url, PAGE, TOKEN, SECRET)
            yield RunningSandbox(url, gateway, clock, sanic.ctx.sandbox, client, api)
    finally:
        await server.before_stop()
        server.close()
        for connection in list(server.connections):
            connection.close_if_idle()
        await server.after_stop()
        await runner.cleanup()


async def answered(box: RunningSandbox, database: Database, codec: Codec, **sets: Any) -> None:
    """The person writes, and the page answers; `sets`: what is kept of the message."""
    rules = InboxRules(frozenset({PAGE}), None, timedelta(0), lambda _: None, lambda *_: None, lambda _: None)
    await box.do("texte", text="Comment porter plainte ?")
    await box.until(lambda: box.gateway.bodies)
    now = box.clock.now()
    inbox = Inbox(of_part(database, "gateway"), codec, rules)
    await inbox.take(box.gateway.bodies[0], [(event, None) for event in box.gateway.of("text")], now)
    mid = await box.answer("Voici la réponse.")
    values = {"disposition": "answered", "route": "answer", **sets}
    async with database.begin() as connection:
        conversation = await connection.scalar(text("SELECT id FROM conversations"))
        new = outbox.NewRow(conversation, "reply", "bot", Reply("Voici la réponse."), now)
        row = await outbox.add(connection, codec, new)
        await connection.execute(
            text("UPDATE outbox SET status = 'sent', mids = ARRAY[:mid] WHERE id = :id"), {"mid": mid, "id": row}
        )
        columns = ", ".join(f"{name} = :{name}" for name in values)
        await connection.execute(text(f"UPDATE events SET outbox_id = :row, {columns}"), {"row": row, **values})
