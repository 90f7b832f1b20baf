"""Who else has a conversation's page open, and who writes there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sanic import HTTPResponse, Request
from sanic.response import empty, html

from bot.console.conversation import checked
from bot.console.forms import field
from bot.console.site import Showing, Site
from bot.policy.rights import Capability
from bot.store.desk.presence import PresenceStore


class PresenceViews:
    """A page's signs of life, each answered with who else is there."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._store = PresenceStore(site.desk)

    async def panel(self, showing: Showing) -> Mapping[str, Any] | None:
        """The line above the conversation."""
        return await self._others(showing.request, showing.conversation.id)

    async def beat(self, request: Request, number: int) -> HTTPResponse:
        """`ecrit`: 1 while the person writes; `part`: the page was closed. Answers with the line."""
        number, user = checked(number), request.ctx.user
        if field(request, "part"):
            await self._site.desk.access_conversation(user, number, Capability.READ)
            await self._store.leave(user, number)
            return empty(204)
        await self._store.beat(user, number, field(request, "ecrit") == "1", self._site.deps.wall.now())
        page = self._site.renderer.page(
            "work/_presence.html", user=user, csrf=request.ctx.csrf, panel=await self._others(request, number)
        )
        return html(page)

    async def _others(self, request: Request, number: int) -> Mapping[str, Any]:
        others = await self._store.others(request.ctx.user, number, self._site.deps.wall.now())
        return {
            "writing": [one.name for one in others if one.writes],
            "here": [one.name for one in others if not one.writes],
        }
