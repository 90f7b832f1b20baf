"""What an agent does to a conversation: take, reply, give back, close."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import redirect

from bot.console.conversation import PATH, ConversationPage, checked
from bot.console.forms import field, whole
from bot.console.site import Panel, Showing, Site, Slot, Topic
from bot.policy.rights import Capability
from bot.policy.window import WindowClosed
from bot.store.desk.errors import BadReply, Conflict, DeskError, NeedsValidation
from bot.store.desk.work import WorkStore

_KEY_AT_MOST = 100


def routes(site: Site) -> Blueprint:
    """The forms, and the panels that hold them."""
    views, topic = WorkViews(site), Topic("work")
    topic.form(PATH + "/prendre", views.take, Capability.WORK, "take")
    topic.form(PATH + "/repondre", views.reply, Capability.WORK, "reply")
    topic.form(PATH + "/rendre", views.give_back, Capability.WORK, "give_back")
    topic.form(PATH + "/clore", views.close, Capability.WORK, "close")
    site.panels.append(Panel(Slot.ACTS, "work/_acts.html", views.acts))
    site.panels.append(Panel(Slot.COMPOSER, "work/_composer.html", views.composer))
    return topic.blueprint


class WorkViews:
    """Forms answer with a redirection, so that a reload repeats nothing."""

    def __init__(self, site: Site) -> None:
        self._deps = site.deps
        self._store = WorkStore(site.desk)
        self._conversation = ConversationPage(site)

    # -- panels --------------------------------------------------------------------------------------------------

    async def acts(self, showing: Showing) -> Mapping[str, Any] | None:
        """The buttons, for those who may press them."""
        user, conversation = showing.request.ctx.user, showing.conversation
        if not user.may(Capability.WORK):
            return None
        handoff, mine = conversation.handoff, conversation.held_by(user)
        is_open = handoff is not None and handoff.closed_at is None
        frees = user.may(Capability.FREE) and conversation.owner == "agent"
        return {
            "can_take": not mine,
            "can_give_back": mine or frees or conversation.owner == "inbox",
            "can_close": mine or frees or (is_open and conversation.owner != "agent") or conversation.owner == "inbox",
        }

    async def composer(self, showing: Showing) -> Mapping[str, Any] | None:
        """The reply, or why there is none to write."""
        user = showing.request.ctx.user
        return {
            "works": user.may(Capability.WORK),
            "key": secrets.token_urlsafe(12),
            "draft": showing.draft,
            "kept": showing.error is not None,
        }

    # -- forms ---------------------------------------------------------------------------------------------------

    async def take(self, request: Request, number: int) -> HTTPResponse:
        """Take the conversation."""
        number = checked(number)
        held_by = whole(field(request, "tenue_par"), 0) or None
        try:
            await self._store.take(request.ctx.user, number, held_by, self._deps.clock.now())
        except Conflict as error:
            return await self._conversation.page(request, number, error=error, status=409)
        return redirect(f"/conversations/{number}", status=303)

    async def reply(self, request: Request, number: int) -> HTTPResponse:
        """Send a message; refused with the draft kept when the person wrote meanwhile."""
        number = checked(number)
        written = field(request, "message")
        seen = whole(field(request, "vu"), 0)
        key = field(request, "cle")[:_KEY_AT_MOST]
        try:
            await self._store.reply(request.ctx.user, number, written, seen, key, self._deps.clock.now())
        except Conflict as error:
            return await self._conversation.page(request, number, error=error, draft=written, status=409)
        except (BadReply, NeedsValidation) as error:
            return await self._conversation.page(request, number, error=error, draft=written, status=422)
        except WindowClosed as closed:
            refused = DeskError(str(closed), "Votre brouillon est gardé.")
            return await self._conversation.page(request, number, error=refused, draft=written, status=422)
        return redirect(f"/conversations/{number}?envoye=1", status=303)

    async def give_back(self, request: Request, number: int) -> HTTPResponse:
        """The bot speaks again."""
        number = checked(number)
        try:
            await self._store.give_back(request.ctx.user, number, self._deps.clock.now())
        except Conflict as error:
            return await self._conversation.page(request, number, error=error, status=409)
        return redirect("/file?etat=a-moi", status=303)

    async def close(self, request: Request, number: int) -> HTTPResponse:
        """Nothing more is expected."""
        number = checked(number)
        try:
            await self._store.close(request.ctx.user, number, whole(field(request, "vu"), 0), self._deps.clock.now())
        except Conflict as error:
            return await self._conversation.page(
                request, number, error=error, draft=field(request, "message"), status=409
            )
        return redirect("/file", status=303)
