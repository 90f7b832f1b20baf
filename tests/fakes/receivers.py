"""Whoever is told of alerts, on loopback: a mail server, a Matrix homeserver, a webhook. Each can be told to fail."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any, cast


class Receiver:
    """What came, in order: an e-mail, or (path, JSON body). `broken`: it refuses everything."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.broken = False
        self.port = 0

    @property
    def told(self) -> list[str]:
        """The texts that a Matrix room or a webhook got."""
        bodies = [body for path, body in self.calls if "/send/" in path or path == "/hook"]
        return [str(body.get("message") or body.get("body") or "") for body in bodies]


class _Mail(StreamRequestHandler):
    def handle(self) -> None:
        receiver = cast(Any, self.server).receiver
        self._say("220 loopback")
        while line := self.rfile.readline().decode("ascii", "replace").strip():
            verb = line.upper()
            if verb.startswith("DATA"):
                self._say("354 go on")
                raw = b""
                while (part := self.rfile.readline()) not in (b".\r\n", b""):
                    raw += part
                if not receiver.broken:
                    receiver.mails.append(message_from_bytes(raw, policy=policy.default))
                self._say("451 later" if receiver.broken else "250 taken")
            elif verb.startswith("EHLO"):
                self._say("250-loopback")
                self._say("250 AUTH PLAIN")
            elif verb.startswith("AUTH"):
                self._say("235 known")
            elif verb.startswith("QUIT"):
                self._say("221 bye")
                return
            else:
                self._say("250 loopback")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class _Http(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        receiver = cast(Any, self.server).receiver
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(raw) if raw else {}
        path = self.path.partition("?")[0]
        if not receiver.broken:
            receiver.calls.append((path, body))
        said = json.dumps(_matrix(path)).encode()
        self.send_response(503 if receiver.broken else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = do_PUT = _answer

    def log_message(self, *_: object) -> None:
        """Nothing."""


def _matrix(path: str) -> dict[str, Any]:
    """What a homeserver answers: log in, find the room, join it, take a message."""
    room = "!astreinte:127.0.0.1"
    if path.endswith("/login"):
        return {"access_token": "t0k", "user_id": "@planton:127.0.0.1", "device_id": "D", "home_server": "127.0.0.1"}
    if path.endswith("/joined_rooms"):
        return {"joined_rooms": []}
    if "/join/" in path or "/directory/room/" in path:
        return {"room_id": room}
    return {"event_id": "$1", "versions": ["v1.11"]}


@contextmanager
def receiving(mail: bool = False) -> Iterator[Receiver]:
    """A receiver on a free port, of e-mail or of HTTP."""
    receiver = Receiver()
    ThreadingTCPServer.allow_reuse_address = True
    server: Any = ThreadingTCPServer(("127.0.0.1", 0), _Mail) if mail else ThreadingHTTPServer(("127.0.0.1", 0), _Http)
    server.daemon_threads = True
    server.receiver = receiver
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
