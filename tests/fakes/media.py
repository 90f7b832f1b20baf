"""Where Meta would keep what people send: a small server on loopback, honest and otherwise."""

from __future__ import annotations

import asyncio
import socket
import struct
import wave
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO

from aiohttp import web


def png(width: int = 320, height: int = 200) -> bytes:
    """A picture: the colours run from blue to red."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(
        b"\x00" + bytes(c for x in range(width) for c in (x * 255 // width, 80, 160)) for _ in range(height)
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def wav(seconds: float = 1.0) -> bytes:
    """A quiet tone."""
    out = BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"".join(struct.pack("<h", (i % 40) * 100) for i in range(int(8000 * seconds))))
    return out.getvalue()


@dataclass
class Media:
    """The server: `asked` lists the paths that were asked for."""

    url: str
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Files by name; odd behaviours by name too."""
        self.asked.append(request.path)
        self.headers.append(dict(request.headers))
        name = request.match_info["name"]
        if name == "sans-fin":
            response = web.StreamResponse()
            await response.prepare(request)
            try:
                while True:
                    await response.write(b"x" * 65536)
            except (ConnectionError, asyncio.CancelledError):
                return response
        if name == "lent":
            await asyncio.sleep(30)
        if name == "ailleurs":
            return web.Response(status=302, headers={"Location": request.query["vers"]})
        if name == "boucle":
            return web.Response(status=302, headers={"Location": "/boucle"})
        if name.isdigit():
            return web.Response(status=int(name))
        if name == "comprime":
            return web.Response(body=png(), headers={"Content-Encoding": "gzip"})
        body, kind = FILES[name]
        return web.Response(body=body, content_type=kind)


# name → (bytes, what the server says that they are)
FILES = {
    "photo.png": (png(), "image/png"),
    "ment.png": (png(), "text/html"),
    "voix.wav": (wav(), "application/octet-stream"),
    "page.png": (b"<!doctype html><script>document.title='pris'</script>", "image/png"),
    "dessin.png": (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><circle r="9"/></svg>', "image/svg+xml"),
    "acte.pdf": (b"%PDF-1.7\n%rien", "application/pdf"),
    "vide": (b"", "image/png"),
}


@asynccontextmanager
async def media_server() -> AsyncIterator[Media]:
    """Serve them."""
    listening = socket.create_server(("127.0.0.1", 0))
    media = Media(f"http://127.0.0.1:{listening.getsockname()[1]}")
    app = web.Application()
    app.router.add_get("/{name}", media.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.SockSite(runner, listening).start()
    try:
        yield media
    finally:
        await runner.cleanup()
