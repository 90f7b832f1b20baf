"""The alarm of a conversation: what said so, and the one gesture by which an agent takes it back, or confirms it."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import redirect

from bot.console import alarm_words
from bot.console.conversation import PATH, ConversationPage, checked
from bot.console.done import leave
from bot.console.forms import field, whole
from bot.console.site import Panel, Showing, Site, Slot, Topic
from bot.policy.closing import untaken_emergency
from bot.policy.rights import Capability
from bot.store.desk.alarms import AlarmStore
from bot.store.desk.errors import Conflict

LISTED = 3  # alarms that are told apart


def routes(site: Site) -> Blueprint:
    """The forms, and the banner that holds them."""
    views, topic = AlarmViews(site), Topic("alarm")
    topic.form(PATH + "/fausse-alerte", views.take_back, Capability.WORK, "take_back")
    topic.form(PATH + "/alerte", views.put_back, Capability.WORK, "put_back")
    topic.form(PATH + "/danger-confirme", views.confirm, Capability.WORK, "confirm")
    site.panels.append(Panel(Slot.BANNER, "work/_alarm.html", views.panel, rank=5))
    return topic.blueprint


class AlarmViews:
    """Forms answer with a redirection, so that a reload repeats nothing."""

    def __init__(self, site: Site) -> None:
        self._deps = site.deps
        self._store = AlarmStore(site.desk)
        self._conversation = ConversationPage(site)

    async def panel(self, showing: Showing) -> Mapping[str, Any] | None:
        """For whoever reads the conversation; the buttons for those who may press them."""
        user, conversation, handoff = showing.request.ctx.user, showing.conversation, showing.conversation.handoff
        if handoff is None or conversation.erased_at is not None:
            return None
        shown = await self._store.shown(handoff)
        if not shown.standing and shown.taken_back is None:
            return None
        works = user.may(Capability.WORK)
        free = conversation.owner != "agent" or conversation.held_by(user) or user.may(Capability.FREE)
        return {
            "shown": shown,
            "alarms": alarm_words.shown(shown.alarms, shown.sure)[:LISTED],
            "judges": works and free,
            "closes": works and free and not untaken_emergency(handoff.category, conversation.owner),
            "works": works,
        }

    async def take_back(self, request: Request, number: int) -> HTTPResponse:
        """It was false: the request stays at its ordinary place, or is closed (`clore`)."""
        number = checked(number)
        close = bool(field(request, "clore"))
        seen, upto = whole(field(request, "vu"), 0), whole(field(request, "alerte"), 0)
        taking = self._store.take_back(request.ctx.user, number, seen, upto, self._deps.clock.now(), close)
        return await self._after(request, number, taking, "fausse_alerte" if close else "")

    async def put_back(self, request: Request, number: int) -> HTTPResponse:
        """It was one after all."""
        number = checked(number)
        return await self._after(
            request, number, self._store.put_back(request.ctx.user, number, self._deps.clock.now())
        )

    async def confirm(self, request: Request, number: int) -> HTTPResponse:
        """Somebody is in danger."""
        number = checked(number)
        return await self._after(request, number, self._store.confirm(request.ctx.user, number, self._deps.clock.now()))

    async def _after(self, request: Request, number: int, action: Awaitable[None], done: str = "") -> HTTPResponse:
        try:
            await action
        except Conflict as error:
            return await self._conversation.page(request, number, error=error, status=409)
        if done:
            return leave("/file", done, self._deps.secure_cookies, number)
        return redirect(f"/conversations/{number}", status=303)
