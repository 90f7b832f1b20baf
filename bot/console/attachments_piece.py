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


@dataclass(frozen=True)
class Piece:
    """An attachment in the thread. `shows`: image, audio, video, file, open, elsewhere (not from here), nothing.

    `path`: where it is shown from; `named`: the address it came with, for what is not opened.
    """

    shows: str
    path: str = ""
    named: str = ""


def piece(rules: AttachmentRules, conversation_id: int, entry: Entry, number: int) -> Piece:
    """How that attachment of an entry stands in the thread."""
    item = entry.said.attachments[number]
    if not item.url or not entry.id.startswith("e"):
        return Piece("nothing")
    shows = _SHOWS.get(item.type) or ("open" if item.type in _OPENS else None)
    if shows is None or not rules.allows(item.url):
        return Piece("elsewhere", named=_named(item.url))
    return Piece(shows, f"/conversations/{conversation_id}/pieces/{entry.id[1:]}/{number}")


def _named(url: str) -> str:
    """The address as text, short and on one line."""
    try:
        parts = urlsplit(url)
        return plain(f"{parts.netloc}{parts.path}")[:200]
    except ValueError:
        return ""
