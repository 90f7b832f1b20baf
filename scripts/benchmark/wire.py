"""HTTP/1.1 as thin as it can be, for the two processes that measure: what they spend, the measured system cannot use."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import cast

import httptools


class Response:
    """Status and body of an answer; `status` 0 when the connection broke before one came."""

    __slots__ = ("body", "status")

    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.body = status, body


class _Connection(asyncio.Protocol):
    """One kept connection, one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiting: asyncio.Future[Response] | None = None
        self._body: list[bytes] = []
        self.usable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own are no subclass

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self.usable = self.usable and self._parser.should_keep_alive()
        status, body = self._parser.get_status_code(), b"".join(self._body)
        self._body = []
        self._parser = httptools.HttpResponseParser(self)
        self._settle(Response(status, body))

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        self._settle(Response(0, b""))

    def _settle(self, response: Response) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(response)

    def ask(self, raw: bytes) -> asyncio.Future[Response]:
        """Send a request; its answer."""
        self._waiting = asyncio.get_running_loop().create_future()
        if self.transport is None or self.transport.is_closing():
            self._settle_later()
        else:
            self.transport.write(raw)
        return self._waiting

    def _settle_later(self) -> None:
        asyncio.get_running_loop().call_soon(self._settle, Response(0, b""))

    def close(self) -> None:
        """Give it up."""
        self.usable = False
        if self.transport is not None:
            self.transport.close()


class Pool:
    """At most `size` connections to one server; who comes when all are busy waits."""

    def __init__(self, host: str, port: int, size: int) -> None:
        self._host, self._port = host, port
        self._room = asyncio.Semaphore(size)
        self._idle: deque[_Connection] = deque()

    async def ask(self, raw: bytes) -> Response:
        """One request. A kept connection that the server closed meanwhile is replaced; a refusal is status 0."""
        async with self._room:
            while self._idle:
                connection = self._idle.pop()
                if connection.usable and connection.transport is not None and not connection.transport.is_closing():
                    break
            else:
                try:
                    _, connection = await asyncio.get_running_loop().create_connection(
                        _Connection, self._host, self._port
                    )
                except OSError:
                    return Response(0, b"")
            response = await connection.ask(raw)
            if connection.usable:
                self._idle.append(connection)
            else:
                connection.close()
            return response

    def close(self) -> None:
        """Close what is kept."""
        while self._idle:
            self._idle.pop().close()


def post(host: str, path: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    """The bytes of a POST of JSON."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def follow(host: str, port: int, path: str, hear: Callable[[str], None]) -> None:
    """GET a stream of lines and hand over each, until cancelled or the other side closes."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        while line := await reader.readline():
            hear(line.decode().rstrip("\n"))
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
