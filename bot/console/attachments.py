"""What people attached, shown safely: the agent's browser asks us, never the address that the person's message names.

A file comes from a known host within time and size (`attachments_fetch`), is what its bytes say (`attachments_kind`), and
reaches the browser in a sandbox: images, sounds and films are shown, everything else is only downloaded. Who saw what
is recorded.
"""

from __future__ import annotations

import re

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import html, raw, text

from bot.console.attachments_fetch import AttachmentError, Fetcher, Missing
from bot.console.attachments_kind import Kind, sniff
from bot.console.conversation import checked
from bot.console.site import Site, Topic
from bot.policy.rights import Capability
from bot.store.desk.thread import ThreadStore

PATH = "/conversations/<number:int>/pieces/<event:int>/<n:int>"
_BIGGEST = 2**63 - 1
# The file is alone in its page: no script, no form, no plug-in, nothing loaded, no way to our cookies.
SANDBOX = (
    "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"
)
# What a browser asks for, and what it may get: frames and players unfold what they are given, whatever type it is called.
_FITS = {"image": ("image",), "audio": ("audio", "video"), "video": ("audio", "video")}
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def routes(site: Site) -> Blueprint:
    """The proxy."""
    views, topic = AttachmentViews(site), Topic("attachments")
    topic.page(PATH, views.show, Capability.READ, "show")
    topic.blueprint.listener("before_server_stop")(views.close)
    return topic.blueprint


class AttachmentViews:
    """Files of a conversation."""

    def __init__(self, site: Site, fetcher: Fetcher | None = None) -> None:
        self._site = site
        self._store = ThreadStore(site.desk)
        self._fetcher = fetcher or Fetcher(site.deps.attachments)

    async def close(self, *_: object) -> None:
        """Let go of what is kept."""
        await self._fetcher.close()

    async def show(self, request: Request, number: int, event: int, n: int) -> HTTPResponse:
        """The file, or one clear sentence why not."""
        number = checked(number)
        item = await self._store.attachment(request.ctx.user, number, min(event, _BIGGEST), n)
        try:
            if item is None or not item.url:
                raise Missing
            data = await self._fetcher.get((number, event, n), item.url)
        except AttachmentError as error:
            return self._refused(request, error)
        kind = sniff(data, item.type)
        if kind.family not in _FITS.get(request.headers.get("sec-fetch-dest", ""), (kind.family,)):
            return text("Cette pièce ne se montre pas dans la page. Téléchargez-la.", 415)
        download = "telecharger" in request.args or not kind.inline
        now = self._site.deps.clock.now()
        await self._store.attachment_seen(
            request.ctx.user, number, event, n, now, kind=kind.extension, download=download
        )
        return _answer(request, data, kind, f"piece-{number}-{event}-{n}", download)

    def _refused(self, request: Request, error: AttachmentError) -> HTTPResponse:
        """For a page of its own, a page; for a picture or a player, the sentence that the script shows."""
        if "text/html" not in request.headers.get("accept", ""):
            return text(f"{error.what} {error.remedy}", error.status)
        page = self._site.renderer.page(
            "error.html",
            user=request.ctx.user,
            csrf=request.ctx.csrf,
            title="Pièce jointe indisponible",
            what=error.what,
            remedy=error.remedy,
            status=error.status,
        )
        return html(page, error.status)


def _answer(request: Request, data: bytes, kind: Kind, name: str, download: bool) -> HTTPResponse:
    headers = {
        "Content-Security-Policy": SANDBOX,
        "Content-Disposition": f'{"attachment" if download else "inline"}; filename="{name}.{kind.extension}"',
        "Accept-Ranges": "bytes",
    }
    part = _part(request.headers.get("range"), len(data))
    if part is None:
        return raw(data, 200, headers, kind.mime)
    start, end = part
    if start >= len(data):
        return raw(b"", 416, {**headers, "Content-Range": f"bytes */{len(data)}"}, kind.mime)
    headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
    return raw(data[start : end + 1], 206, headers, kind.mime)


def _part(asked: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte that a player asks for; None for the whole file."""
    found = _RANGE.fullmatch(asked or "")
    if found is None or found[1] == found[2] == "":
        return None
    if not found[1]:
        return max(0, size - int(found[2])), size - 1
    start, end = int(found[1]), int(found[2] or size - 1)
    if found[2] and end < start:
        return None
    return start, min(end, size - 1)
