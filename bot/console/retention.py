"""Legal holds on a conversation's page, and the page of what is kept, for how long, and what went."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import html, redirect

from bot.console import retention_words
from bot.console.conversation import ConversationPage, checked
from bot.console.forms import field
from bot.console.site import Panel, Showing, Site, Slot, Topic
from bot.policy.rights import Capability
from bot.store.desk.errors import BadChoice, Conflict
from bot.store.desk.holds import LONGEST, HoldStore
from bot.store.purge import deletions, verify

HERE = "/conservation"
ONE = "/conversations/<number:int>/conservation"


def routes(site: Site) -> Blueprint:
    """The panels, their forms and the page."""
    views, topic = RetentionViews(site), Topic("retention")
    topic.page(HERE, views.show, Capability.SEE_RETENTION, "show")
    topic.form(ONE, views.hold, Capability.HOLD, "hold")
    site.panels.append(Panel(Slot.BANNER, "retention/_state.html", views.state, rank=30))
    site.panels.append(Panel(Slot.ACTS, "retention/_act.html", views.act, rank=80))
    site.panels.append(Panel(Slot.COMPOSER, "retention/_form.html", views.form, rank=95))
    return topic.blueprint


class RetentionViews:
    """Forms answer with a redirection, so that a reload repeats nothing."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._deps = site.deps
        self._store = HoldStore(site.desk)
        self._conversation = ConversationPage(site)

    # -- panels --------------------------------------------------------------------------------------------------

    async def state(self, showing: Showing) -> Mapping[str, Any] | None:
        """That a hold stands, or that what was said is gone."""
        hold = await self._store.standing(showing.conversation.id)
        erased = showing.conversation.erased_at
        if hold is None and erased is None:
            return None
        return {"hold": hold, "erased": erased, "lifts": showing.request.ctx.user.may(Capability.HOLD)}

    async def act(self, showing: Showing) -> Mapping[str, Any] | None:
        """The button, for those who may press it."""
        return {} if await self._may(showing) else None

    async def form(self, showing: Showing) -> Mapping[str, Any] | None:
        """The form behind the button: it is not refreshed, so that a reason that is being written stays."""
        if not await self._may(showing):
            return None
        return {"longest": LONGEST, "reason": field(showing.request, "raison")}

    async def _may(self, showing: Showing) -> bool:
        return (
            showing.request.ctx.user.may(Capability.HOLD)
            and showing.conversation.erased_at is None
            and not showing.thread.newer
            and await self._store.standing(showing.conversation.id) is None
        )

    # -- forms ---------------------------------------------------------------------------------------------------

    async def hold(self, request: Request, number: int) -> HTTPResponse:
        """Place a hold, or lift it (`annuler`)."""
        number, now, user = checked(number), self._deps.clock.now(), request.ctx.user
        if field(request, "annuler"):
            return await self._after(request, number, self._store.lift(user, number, now))
        return await self._after(request, number, self._store.place(user, number, field(request, "raison"), now))

    async def _after(self, request: Request, number: int, action: Awaitable[None]) -> HTTPResponse:
        try:
            await action
        except Conflict as error:
            return await self._conversation.page(request, number, error=error, status=409)
        except BadChoice as error:
            return await self._conversation.page(request, number, error=error, status=422)
        return redirect(f"/conversations/{number}", status=303)

    # -- the page ------------------------------------------------------------------------------------------------

    async def show(self, request: Request) -> HTTPResponse:
        """Holds, limits, and the register of what went."""
        page = self._site.renderer.page(
            "retention/page.html",
            user=request.ctx.user,
            csrf=request.ctx.csrf,
            holds=await self._store.all(),
            limits=self._deps.retention,
            gone=await deletions(self._deps.database),
            chain=await verify(self._deps.database),
            reads=request.ctx.user.may(Capability.READ),
            says=retention_words,
        )
        return html(page)
