"""What a reply does not answer yet: the person wrote it after the text was begun, and the agent may not have read it.

A page refreshes itself, so the newest message that it shows says nothing about a text that was begun before. The composer's
form therefore carries both (`vu`, `vu_debut`), and the older one counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sanic import Request

from bot.console.forms import field, whole
from bot.console.site import Showing
from bot.store.desk.errors import DeskError, Stale
from bot.store.desk.thread import Entry

SHOWN = 3  # messages that the question repeats; the thread above has all of them
_INCOMING = ("person", "inbox")


def seen(request: Request) -> int:
    """The newest thing of the person that the agent had before them when the text of this form was begun.

    A form without `vu_debut` (a page of before) is held against what it showed when it was sent.
    """
    shown, begun = whole(field(request, "vu"), 0), field(request, "vu_debut")
    return min(shown, whole(begun, 0)) if begun else shown


def refused(request: Request, error: DeskError, begun: int) -> None:
    """Remember for the page that this form was refused: it asks whether to send all the same if `error` says that the person
    wrote; after any other error the text is as old as before. `begun`: as `seen` gives it."""
    request.ctx.begun = begun
    request.ctx.asks = isinstance(error, Stale)


def begun(showing: Showing, kept: int | None) -> int:
    """What the composer's text answers at most. `kept`: the same of a draft that was kept, None without one.

    Where the page asks, it shows what was written meanwhile: the text sent from there is held against that.
    """
    newest, ctx = showing.thread.seen, showing.request.ctx
    if getattr(ctx, "asks", False):
        return newest
    given = getattr(ctx, "begun", kept)
    return newest if given is None else min(given, newest)


def question(showing: Showing) -> Mapping[str, Any] | None:
    """{"new": the newest entries, at most SHOWN, "more": how many stand above}; None when nothing is to be asked.

    `new` is empty where an earlier message was edited or withdrawn.
    """
    ctx = showing.request.ctx
    if not getattr(ctx, "asks", False):
        return None
    since = ctx.begun
    new = [entry for entry in showing.thread.entries if entry.author in _INCOMING and _number(entry) > since]
    return {"new": new[-SHOWN:], "more": max(0, len(new) - SHOWN)}


def _number(entry: Entry) -> int:
    """The event that an entry of the person's is."""
    return int(entry.id[1:])
