"""The scripted Graph API of the measurements, in a process of its own: `python -m scripts.benchmark.graph`.

It answers as bot/sandbox/graph.py does where this measures (messages, sender actions, what the sender asks at its start),
for a tenth of the CPU, so that Meta's side does not use up the two cores. It prints its port.
Under /bench: POST latency?seconds=…, GET sent?from=N, GET stream (a line for each message that a person got),
POST receipts?port=…&path=…&page=…&secret=… (each message that a person got comes back as echo, delivery and read).
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import hmac
import json
import os
import random
import signal
import time
from collections import Counter, defaultdict
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import httptools
import uvloop

from bot.meta.subscription import FIELDS
from scripts.benchmark import wire

HOST = "127.0.0.1"
TOKEN = "bench-token"
OWN_APP = "424242"
DELIVERED, READ = (0.05, 0.3), (1.0, 5.0)  # seconds after the echo, evenly
AGAIN = 1.0  # seconds until what was not taken is posted again
REFUSED = "receipt refused"  # in `Book.calls`: 503, or no answer
PR_SET_PDEATHSIG = 1


class Receipts:
    """Posts to a gateway what became of each message: its echo at once, then that it was delivered, then that it was read.
    Counts in `calls` what it has to post again."""

    def __init__(self, port: int, path: str, page: str, secret: str, calls: Counter[str]) -> None:
        self._calls = calls
        self._where, self._path = f"{HOST}:{port}", path
        self._page, self._secret = page, secret.encode()
        self._pool = wire.Pool(HOST, port, 256)
        self._tasks: set[asyncio.Task[None]] = set()

    def tell(self, person: str, mid: str, message: dict[str, Any]) -> None:
        """Of a message that reached its person."""
        task = asyncio.create_task(self._tell(person, mid, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self, person: str, mid: str, message: dict[str, Any]) -> None:
        # What Meta puts in an echo, and nothing else of what was sent: no buttons with their payloads.
        echo = {"mid": mid, "text": _said(message), "is_echo": True, "app_id": int(OWN_APP)}
        if mark := _metadata(message):
            echo["metadata"] = mark
        at = int(time.time() * 1000)
        await self._post(self._page, person, {"message": echo})
        await asyncio.sleep(random.uniform(*DELIVERED))
        await self._post(person, self._page, {"delivery": {"mids": [mid], "watermark": at}})
        await asyncio.sleep(random.uniform(*READ))
        await self._post(person, self._page, {"read": {"watermark": at}})

    async def _post(self, sender: str, recipient: str, what: dict[str, Any]) -> None:
        now = int(time.time() * 1000)
        item = {"sender": {"id": sender}, "recipient": {"id": recipient}, "timestamp": now, **what}
        entry = {"id": self._page, "time": now, "messaging": [item]}
        raw = json.dumps({"object": "page", "entry": [entry]}).encode()
        signature = f"sha256={hmac.new(self._secret, raw, 'sha256').hexdigest()}"
        request = wire.post(self._where, self._path, raw, {"X-Hub-Signature-256": signature})
        while True:
            response = await self._pool.ask(request)
            if response.status == 200:
                return
            self._calls[REFUSED] += 1
            await asyncio.sleep(AGAIN)


class Book:
    """What reached people, and how long an answer takes."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        # Person, metadata, text, monotonic seconds, the metadata of those that were under way to the person when it began.
        self.sent: list[tuple[str, str, str, float, list[str]]] = []
        self.calls: Counter[str] = Counter()
        self.busy: dict[str, list[str]] = defaultdict(list)
        self.followers: set[asyncio.Transport] = set()
        self.receipts: Receipts | None = None

    def begin(self, person: str, message: dict[str, Any]) -> list[str]:
        """A message is on its way; the metadata of those that are already."""
        before = list(self.busy[person])
        self.busy[person].append(_metadata(message))
        return before

    def accept(self, person: str, message: dict[str, Any], under_way: list[str]) -> str:
        """A message reached its person; its mid. `under_way`: what `begin` said."""
        self.busy[person].remove(_metadata(message))
        if not self.busy[person]:
            del self.busy[person]
        self.sent.append((person, _metadata(message), _said(message), time.monotonic(), under_way))
        for follower in self.followers:
            follower.write(f"{person}\n".encode())
        mid = f"m_bench_graph_{len(self.sent)}"
        if self.receipts is not None:
            self.receipts.tell(person, mid, message)
        return mid


def _metadata(message: dict[str, Any]) -> str:
    """The mark of whoever sent it; empty where there is none."""
    return str(message.get("metadata") or "")


def _said(message: dict[str, Any]) -> str:
    """The text, also of a template with buttons."""
    if text := message.get("text"):
        return str(text)
    attachment = message.get("attachment")
    payload = attachment.get("payload") if isinstance(attachment, dict) else None
    return str(payload.get("text") or "") if isinstance(payload, dict) else ""


class Door(asyncio.Protocol):
    """One connection."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._parser = httptools.HttpRequestParser(self)
        self._url, self._token = b"", False
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own are no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        self._book.followers.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_message_begin(self) -> None:
        self._url, self._token = b"", False
        self._body = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"authorization":
            self._token = value.decode("latin-1").rpartition(" ")[2] == TOKEN

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        url = urlsplit(self._url.decode("latin-1"))
        query = {name: values[-1] for name, values in parse_qs(url.query).items()} if url.query else {}
        path = [part for part in url.path.split("/") if part]
        if path and path[0] == "bench":
            self._control(path[1], query)
            return
        if path and path[0][:1] == "v" and path[0][1:2].isdigit():
            path = path[1:]
        body = json.loads(b"".join(self._body)) if self._body else {}
        if not (self._token or query.get("access_token") == TOKEN or body.get("access_token") == TOKEN):
            self._later(0.0, 401, _error(190, "Invalid OAuth access token"))
        elif self._parser.get_method() == b"POST" and path[-1:] == ["messages"]:
            self._message(body)
        else:
            self._book.calls["other"] += 1
            self._later(self._book.latency, 200, _other(path, query))

    def _message(self, body: dict[str, Any]) -> None:
        book, person = self._book, str((body.get("recipient") or {}).get("id") or "")
        message = body.get("message")
        if "sender_action" in body:
            book.calls["action"] += 1
            self._later(book.latency, 200, {"recipient_id": person})
        elif not person or not isinstance(message, dict) or not (message.get("text") or "attachment" in message):
            # What Rasa's channel makes of our marks for the worker (hand-offs): at once, for it should not pay for them.
            book.calls["refused"] += 1
            self._later(0.0, 400, _error(100, "The message must hold text or an attachment"))
        else:
            book.calls["message"] += 1
            under_way = book.begin(person, message)
            asyncio.get_running_loop().call_later(book.latency, self._deliver, person, message, under_way)

    def _deliver(self, person: str, message: dict[str, Any], under_way: list[str]) -> None:
        mid = self._book.accept(person, message, under_way)
        self._answer(200, {"recipient_id": person, "message_id": mid})

    def _control(self, what: str, query: dict[str, str]) -> None:
        book = self._book
        if what == "stream":
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
            book.followers.add(self._transport)
        elif what == "latency":
            book.latency = float(query["seconds"])
            self._answer(200, {"seconds": book.latency})
        elif what == "receipts":
            book.receipts = Receipts(int(query["port"]), query["path"], query["page"], query["secret"], book.calls)
            self._answer(200, {})
        else:
            start = int(query.get("from", "0"))
            self._answer(200, {"sent": book.sent[start:], "count": len(book.sent), "calls": book.calls})

    def _later(self, seconds: float, status: int, answer: dict[str, Any]) -> None:
        if seconds > 0:
            asyncio.get_running_loop().call_later(seconds, self._answer, status, answer)
        else:
            self._answer(status, answer)

    def _answer(self, status: int, answer: dict[str, Any]) -> None:
        if self._transport.is_closing():
            return
        body = json.dumps(answer).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)


def _error(code: int, text: str) -> dict[str, Any]:
    return {"error": {"message": text, "type": "OAuthException", "code": code, "fbtrace_id": "AsimulatedTrace"}}


def _other(path: list[str], query: dict[str, str]) -> dict[str, Any]:
    if path[:1] == ["debug_token"]:
        scopes = ["pages_messaging", "instagram_manage_messages"]
        return {"data": {"app_id": OWN_APP, "type": "PAGE", "is_valid": True, "expires_at": 0, "scopes": scopes}}
    if path[-1:] == ["subscribed_apps"]:
        return {"data": [{"id": OWN_APP, "name": "Planton", "subscribed_fields": list(FIELDS)}], "success": True}
    if path[-1:] == ["conversations"] or path[0].startswith("t_"):
        return {"data": []}
    return {"id": path[-1] if path else "me"}


async def serve(latency: float) -> None:
    """Serve until the end, on a free loopback port, which is printed."""
    book = Book(latency)
    server = await asyncio.get_running_loop().create_server(lambda: Door(book), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


def end_with_parent() -> None:
    """The kernel ends this process with the one that started it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() == 1:
        os._exit(0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The scripted Graph API of the measurements; prints its port.")
    parser.add_argument("--latency", type=float, default=0.1, help="seconds that an answer takes")
    end_with_parent()
    uvloop.run(serve(parser.parse_args().latency))
