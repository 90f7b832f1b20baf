"""The gateway's port under bytes that no browser sends: drips, floods, heads without end, half of a request in another."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.app.connections import BoundedProtocol
from bot.gateway.app import WEBHOOK, create_gateway
from bot.gateway.ports import GatewayDeps
from bot.meta.signature import HEADER, sign
from tests.contract.test_gateway import METRICS, SECRET, VERIFY, FakeInbox, FakeSender, item, page, triage

MOST = 12
SLOW = 0.8  # seconds that a request may take to come; twenty in service


@dataclass
class Port:
    """A gateway's port."""

    number: int
    inbox: FakeInbox
    app: Any
    server: Any

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection."""
        return await asyncio.open_connection("127.0.0.1", self.number)

    async def say(self, raw: bytes) -> bytes:
        """All that comes back for these bytes, until the other side hangs up."""
        reader, writer = await self.open()
        writer.write(raw)
        try:
            return await asyncio.wait_for(reader.read(), 20)
        except ConnectionError:
            return b""
        finally:
            writer.close()

    async def serves(self, mid: str) -> bool:
        """Whether Meta's webhook is taken meanwhile."""
        answer = await self.say(webhook(mid))
        stored = any(event.mid == mid for event in self.inbox.events)
        return answer.startswith(b"HTTP/1.1 200") and stored


def webhook(mid: str) -> bytes:
    """A signed webhook as it goes over the wire."""
    body = json.dumps(page(item(mid, "bonjour"))).encode()
    head = f"POST {WEBHOOK} HTTP/1.1\r\nHost: x\r\n{HEADER}: {sign(SECRET, body)}\r\nConnection: close\r\n"
    return head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.fixture
async def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frozen_clock: Any) -> AsyncIterator[Port]:
    """The gateway as it is served, with little patience and few connections."""
    inbox = FakeInbox()
    app = create_gateway(
        GatewayDeps(
            inbox=inbox,
            triage=triage,
            emergency_send=FakeSender(),
            clock=frozen_clock,
            app_secrets=(SECRET,),
            verify_token=VERIFY,
            metrics_token=METRICS,
            spool_path=tmp_path / "emergency.log",
            recall=inbox.recall,
        )
    )
    assert app.config.REQUEST_TIMEOUT == 20
    assert app.config.RESPONSE_TIMEOUT == 30
    app.config.update(REQUEST_TIMEOUT=SLOW, RESPONSE_TIMEOUT=SLOW, KEEP_ALIVE_TIMEOUT=2 * SLOW)
    monkeypatch.setattr(BoundedProtocol, "at_most", MOST)
    listening = socket.create_server(("127.0.0.1", 0))
    server = await app.create_server(
        sock=listening, return_asyncio_server=True, access_log=False, protocol=BoundedProtocol
    )
    assert server is not None
    await server.startup()
    await server.before_start()
    await server.start_serving()
    yield Port(listening.getsockname()[1], inbox, app, server)
    await server.before_stop()
    server.close()
    await server.after_stop()


async def drip(port: Port, first: bytes, one: bytes) -> bytes:
    """A few bytes at a time, far more often than the patience lasts, until the server has had enough."""
    reader, writer = await port.open()
    writer.write(first)
    ended = asyncio.ensure_future(reader.read())
    for _ in range(400):
        if ended.done():
            break
        writer.write(one)
        await asyncio.sleep(SLOW / 6)
    try:
        return await asyncio.wait_for(ended, 20)
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("first", "one"),
    [
        (f"POST {WEBHOOK} HTTP/1.1\r\nHost: x\r\n".encode(), b"X: y\r\n"),
        (f"POST {WEBHOOK} HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n".encode(), b" "),
        (f"POST {WEBHOOK} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode(), b"1\r\n \r\n"),
        (f"POST {WEBHOOK} HTTP/1.1\r\nUpgrade: websocket\r\nContent-Length: 4000000\r\n\r\n".encode(), b" "),
    ],
    ids=["head", "body", "chunks", "no websocket"],
)
async def test_a_request_that_drips_is_ended_and_others_are_served(port: Port, first: bytes, one: bytes) -> None:
    dripping = [asyncio.ensure_future(drip(port, first, one)) for _ in range(5)]
    await asyncio.sleep(SLOW / 2)
    assert await port.serves("m_meanwhile")
    answers = await asyncio.gather(*dripping)  # each of them was ended: a drip that lives on fails its wait
    assert all(answer == b"" or answer.split()[1] in (b"408", b"503") for answer in answers)
    assert len(port.inbox.taken) == 1


async def test_silent_connections_make_room(port: Port) -> None:
    port.app.config.KEEP_ALIVE_TIMEOUT = 60
    silent = [await port.open() for _ in range(MOST * 3)]
    assert await port.serves("m_room")
    assert len(port.server.connections) <= MOST
    assert (await asyncio.wait_for(silent[0][0].read(), 20)) == b""  # the one that waited longest
    for _, writer in silent:
        writer.close()


async def test_a_head_without_end_is_refused_and_kept_small(port: Port) -> None:
    reader, writer = await port.open()
    writer.write(f"GET {WEBHOOK} HTTP/1.1\r\n".encode())
    held = sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < 300 and not reader.at_eof():
            writer.write(b"X-Filler: " + b"a" * 100_000 + b"\r\n")
            await writer.drain()
            held, sent = max([held, *(len(one.recv_buffer) for one in port.server.connections)]), sent + 1
            await asyncio.sleep(0)
    writer.close()
    assert sent < 300, "it read thirty megabytes of head"
    assert held < 1_000_000
    assert await port.serves("m_after")


MALFORMED = {
    "no protocol": b"GET /healthz\r\n\r\n",
    "another protocol": b"GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n",
    "binary": bytes(range(128, 256)) + b"\r\n\r\n",
    "nul": b"GET /health\x00z HTTP/1.1\r\nHost: x\r\n\r\n",
    "address not ascii": "GET /héalthz HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    "header without colon": b"GET /healthz HTTP/1.1\r\nHost: x\r\nbroken\r\n\r\n",
    "two lengths": b"POST /webhooks/meta HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "length and chunks": b"POST /webhooks/meta HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "negative length": b"POST /webhooks/meta HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "length with a sign": b"POST /webhooks/meta HTTP/1.1\r\nHost: x\r\nContent-Length: +4\r\n\r\nabcd",
    "chunk of nonsense": b"POST /webhooks/meta HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n",
    "method of nonsense": b"\x1b[31mGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "websocket": b"GET /healthz HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nContent-Length: x\r\n\r\n",
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED)
async def test_what_is_no_request_is_refused_alone(port: Port, raw: bytes) -> None:
    answer = await port.say(raw)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer
    assert answer.count(b"HTTP/1.1") <= 1  # nothing hidden in it was taken for a request of its own
    assert b"Traceback" not in answer
    assert port.inbox.taken == []
    assert await port.serves("m_after")


async def test_the_role_serves_with_these_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """`planton run` itself uses them."""
    from bot.app import wiring

    asked: dict[str, Any] = {}

    class App:
        async def create_server(self, **named: Any) -> None:
            asked.update(named)

    with pytest.raises(Exception, match="ne s’ouvre pas"):
        await wiring.serve(App(), "127.0.0.1", 1)  # type: ignore[arg-type]
    assert asked["protocol"] is BoundedProtocol
