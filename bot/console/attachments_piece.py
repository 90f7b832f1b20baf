"""How an attachment stands in a thread, before anybody opens it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from bot.console.attachments_fetch import AttachmentRules
from bot.console.words import plain
from bot.store.desk.thread import Entry

_SHOWS = {"image": "image", "sticker": "image", "audio": "audio", "video": "video", "file": "file"}
# Their address may lead to the picture or to a page: what it is shows when it is opened.
_OPENS = frozenset({"share", "ig_post", "reel", "ig_reel", "story_mention", "ephemeral", "unknown"})


_MEDIA = frozenset({"image", "sticker", "audio", "video", "file"})
_NO_ADDRESS = {
    "ephemeral": "Elle ne se voit qu’une fois, dans l’application de Meta.",
    "story_mention": "Une story appartient à son auteur\u00a0: Planton ne la garde pas.",
}


@dataclass(frozen=True)
class Piece:
    """An attachment in the thread. `shows`: image, audio, video, file, map, open, elsewhere (not from here), nothing.

    `path`: where it is shown from, of a position its address on the public map; `named`: the address it came with, for what is
    not opened; `why` it is not, in French.
    """

    shows: str
    path: str = ""
    named: str = ""
    why: str = ""


def piece(rules: AttachmentRules, conversation_id: int, entry: Entry, number: int) -> Piece:
    """How that attachment of an entry stands in the thread."""
    item = entry.said.attachments[number]
    if item.lat is not None and item.long is not None:
        return Piece("map", map_of(item.lat, item.long))
    if not item.url or not entry.id.startswith("e"):
        lost = "Meta n’a pas donné de lien vers elle." if item.type in _MEDIA else ""
        return Piece("nothing", why=_NO_ADDRESS.get(item.type, lost))
    shows = _SHOWS.get(item.type)
    if shows is None and item.type not in _OPENS:
        return Piece("elsewhere", named=_named(item.url, whole=True), why="Planton n’ouvre pas les liens partagés.")
    if not rules.allows(item.url):
        why = "Cette adresse n’est pas de celles que Planton ouvre."
        return Piece("elsewhere", named=_named(item.url, whole=shows is None), why=why)
    return Piece(shows or "open", f"/conversations/{conversation_id}/pieces/{entry.id[1:]}/{number}")


def map_of(lat: float, long: float) -> str:
    """The address of a place, in degrees, on the public map; it is asked for nothing before an agent opens it."""
    return f"https://www.openstreetmap.org/?mlat={lat:.5f}&mlon={long:.5f}#map=17/{lat:.5f}/{long:.5f}"


def _named(url: str, whole: bool) -> str:
    """The address as text, on one line. What follows the `?` of a file's address opens the file: it is left out."""
    try:
        parts = urlsplit(url)
        return plain(f"{parts.netloc}{parts.path}" + (f"?{parts.query}" if whole and parts.query else ""))[:300]
    except ValueError:
        return ""
