"""What a person said, as it can be shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bot.core.clean import clean
from bot.core.messages import Attachment, Echo, Edit, Message, Postback, Reaction, Unknown, body_from_json
from bot.store.codec import Codec
from bot.store.conversations import BODY

UNREADABLE = "unreadable"  # kind: no key opens it, or it is not where it belongs


@dataclass(frozen=True)
class Said:
    """Something a person said, as it can be shown. `earlier`: (when it was written, text), the first one first."""

    text: str = ""
    attachments: tuple[Attachment, ...] = ()
    kind: str = "text"
    withdrawn: bool = False
    edited: bool = False
    earlier: tuple[tuple[datetime, str], ...] = ()
    reply_to: str | None = None  # message | story


def said_of(codec: Codec, kind: str, sealed: bytes, place: str) -> Said:
    """What an event of that kind says, from its sealed body. `place`: as `places.event` gives it."""
    stored = codec.readable_json(sealed, BODY, place)
    if stored is None:
        return Said(kind=UNREADABLE)
    body = body_from_json(stored)
    if isinstance(body, Message):
        kind = "unsupported" if body.unsupported else kind
        to = "story" if body.reply_to_story else "message" if body.reply_to_mid else None
        return Said(clean(body.text), body.attachments, kind, reply_to=to)
    if isinstance(body, Postback):
        return Said(clean(body.title), kind="postback")
    if isinstance(body, Edit):
        return Said(clean(body.text), kind="edit", edited=True)
    if isinstance(body, Echo):
        return Said(clean(body.text), body.attachments, "echo")
    if isinstance(body, Reaction):
        emoji = clean(body.emoji or body.name or "")
        return Said(emoji if body.action == "react" else "", kind="reaction")
    return Said(kind=kind, withdrawn=isinstance(body, Unknown) and body.why == "unsent")


def together(said: Sequence[Said]) -> Said | None:
    """What was said in several messages as one; None of nothing. What cannot be shown stands only where nothing else does."""
    shown = [one for one in said if one.text or one.attachments]
    if not shown:
        return said[-1] if said else None
    words = " ".join(one.text for one in shown if one.text)
    return replace(shown[0], text=words, attachments=tuple(file for one in shown for file in one.attachments))
