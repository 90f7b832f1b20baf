"""A conversation's page and what an agent does there."""

from __future__ import annotations

import secrets

from sanic import HTTPResponse, Request
from sanic.response import html, redirect

from bot.console.deps import ConsoleDeps
from bot.console.door import LIVE_HEADER
from bot.console.forms import field, whole
from bot.console.render import Renderer
from bot.console.words import window_left
from bot.policy.window import WindowClosed
from bot.store.desk import THREAD, BadReply, Conflict, Desk, DeskError, NoSuchConversation

_BIGGEST = 2**63 - 1
_KEY_AT_MOST = 100


class ConversationViews:
    """Thread, take, reply, give back, close. Forms answer with a redirection, so that a reload repeats nothing."""

    def __init__(self, deps: ConsoleDeps, desk: Desk, renderer: Renderer) -> None:
        self._deps = deps
        self._desk = desk
        self._renderer = renderer

    async def show(self, request: Request, number: int) -> HTTPResponse:
        """The page, or its live parts when it refreshes itself."""
        number = _number(number)
        live = LIVE_HEADER in request.headers
        if not live:
            await self._desk.access_conversation(request.ctx.user, number, write=False)
            await self._desk.seen_page(request.ctx.user, number, self._deps.clock.now())
        return await self._page(request, number, "_live.html" if live else "conversation.html")

    async def _page(
        self,
        request: Request,
        number: int,
        template: str = "conversation.html",
        error: DeskError | None = None,
        draft: str = "",
        status: int = 200,
    ) -> HTTPResponse:
        user = request.ctx.user
        limit = whole(request.args.get("messages"), THREAD)
        conversation, thread = await self._desk.thread(user, number, limit)
        handoff = conversation.handoff
        is_open = handoff is not None and handoff.closed_at is None
        mine = conversation.held_by(user)
        administrator = user.role == "administrator" and conversation.owner == "agent"
        page = self._renderer.page(
            template,
            user=user,
            csrf=request.ctx.csrf,
            conversation=conversation,
            thread=thread,
            handoff=handoff,
            is_open=is_open,
            left=window_left(conversation.last_person_at, self._deps.clock.now()),
            mine=mine,
            can_take=user.works and not mine,
            can_give_back=user.works and (mine or administrator or conversation.owner == "inbox"),
            can_close=user.works
            and (mine or administrator or (is_open and conversation.owner != "agent") or conversation.owner == "inbox"),
            key=secrets.token_urlsafe(12),
            error=error,
            draft=draft,
            limit=limit,
            sent="envoye" in request.args,
        )
        return html(page, status)

    async def take(self, request: Request, number: int) -> HTTPResponse:
        """Take the conversation."""
        number = _number(number)
        held_by = whole(field(request, "tenue_par"), 0) or None
        try:
            await self._desk.take(request.ctx.user, number, held_by, self._deps.clock.now())
        except Conflict as error:
            return await self._page(request, number, error=error, status=409)
        return redirect(f"/conversations/{number}", status=303)

    async def reply(self, request: Request, number: int) -> HTTPResponse:
        """Send a message; refused with the draft kept when the person wrote meanwhile."""
        number = _number(number)
        written = field(request, "message")
        seen = whole(field(request, "vu"), 0)
        key = field(request, "cle")[:_KEY_AT_MOST]
        try:
            await self._desk.reply(request.ctx.user, number, written, seen, key, self._deps.clock.now())
        except Conflict as error:
            return await self._page(request, number, error=error, draft=written, status=409)
        except BadReply as error:
            return await self._page(request, number, error=error, draft=written, status=422)
        except WindowClosed as closed:
            refused = DeskError(str(closed), "Votre brouillon est gardé.")
            return await self._page(request, number, error=refused, draft=written, status=422)
        return redirect(f"/conversations/{number}?envoye=1", status=303)

    async def give_back(self, request: Request, number: int) -> HTTPResponse:
        """The bot speaks again."""
        number = _number(number)
        try:
            await self._desk.give_back(request.ctx.user, number, self._deps.clock.now())
        except Conflict as error:
            return await self._page(request, number, error=error, status=409)
        return redirect("/file?etat=a-moi", status=303)

    async def close(self, request: Request, number: int) -> HTTPResponse:
        """Nothing more is expected."""
        number = _number(number)
        try:
            await self._desk.close(request.ctx.user, number, whole(field(request, "vu"), 0), self._deps.clock.now())
        except Conflict as error:
            return await self._page(request, number, error=error, draft=field(request, "message"), status=409)
        return redirect("/file", status=303)


def _number(number: int) -> int:
    if not 0 < number <= _BIGGEST:
        raise NoSuchConversation
    return number
