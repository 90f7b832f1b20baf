"""A conversation's page: the thread, and the panels that other topics put beside it."""

from __future__ import annotations

import functools
from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import html

from bot.console import conversation_words
from bot.console.attachments_piece import piece
from bot.console.door import LIVE_HEADER
from bot.console.forms import whole
from bot.console.site import Showing, Site, Slot, Topic
from bot.console.words import window_left
from bot.policy.rights import Capability
from bot.store.desk.errors import DeskError, NoSuchConversation
from bot.store.desk.thread import Part, ThreadStore, mark, moment

_BIGGEST = 2**63 - 1

PATH = "/conversations/<number:int>"


def routes(site: Site) -> Blueprint:
    """The page."""
    topic = Topic("conversation")
    topic.page(PATH, ConversationPage(site).show, Capability.READ, "show")
    return topic.blueprint


class ConversationPage:
    """Shows a conversation; topics whose form was refused show it again with the error and the draft.

    In the address: `avant` (a moment: what came before it), `le` (what came from then on); a page that refreshes itself
    asks for what it shows already and what is new (`depuis`).
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._store = ThreadStore(site.desk)

    async def show(self, request: Request, number: int) -> HTTPResponse:
        """The page, its live parts when it refreshes itself, or older entries when it asks for them."""
        template = "conversation/page.html"
        if LIVE_HEADER in request.headers:
            template = "conversation/_older.html" if "avant" in request.args else "conversation/_live.html"
        return await self.page(request, checked(number), template=template)

    async def page(
        self,
        request: Request,
        number: int,
        error: DeskError | None = None,
        draft: str = "",
        status: int = 200,
        template: str = "conversation/page.html",
    ) -> HTTPResponse:
        """The page with what a refused form gives back."""
        now = self._site.deps.clock.now()
        conversation, thread = await self._store.thread(request.ctx.user, number, now, _part(request, error))
        handoff = conversation.handoff
        left = window_left(conversation.last_person_at, now)
        showing = Showing(request, conversation, thread, left, error, draft)
        page = self._site.renderer.page(
            template,
            user=request.ctx.user,
            csrf=request.ctx.csrf,
            conversation=conversation,
            thread=thread,
            handoff=handoff,
            is_open=handoff is not None and handoff.closed_at is None,
            left=left,
            mine=conversation.held_by(request.ctx.user),
            panels={} if template == "conversation/_older.html" else await self._panels(showing),
            error=error,
            sent="envoye" in request.args,
            mark=mark,
            piece=functools.partial(piece, self._site.deps.attachments, conversation.id),
            said=conversation_words,
        )
        return html(page, status)

    async def _panels(self, showing: Showing) -> dict[str, list[dict[str, Any]]]:
        """Slot → what stands there: {"template", "panel"} each."""
        shown: dict[str, list[dict[str, Any]]] = {slot.value: [] for slot in Slot}
        # Where the words are gone, nothing is to be done any more.
        hidden = (Slot.ACTS, Slot.COMPOSER) if showing.conversation.erased_at else ()
        for panel in sorted((p for p in self._site.panels if p.slot not in hidden), key=lambda p: p.rank):
            values = await panel.values(showing)
            if values is not None:
                shown[panel.slot.value].append({"template": panel.template, "panel": values})
        return shown


def _part(request: Request, error: DeskError | None) -> Part:
    """Which part of the thread the address asks for; after a refused form always the newest."""
    if error is not None:
        return Part()
    since, before, start = (moment(whole(request.args.get(name), 0)) for name in ("depuis", "avant", "le"))
    return Part(since, before, start)


def checked(number: int) -> int:
    """A conversation's number as the address gives it. Raises NoSuchConversation when none can have it."""
    if not 0 < number <= _BIGGEST:
        raise NoSuchConversation
    return number
