"""Help, and what each person chooses for their own screens: theme, shortcuts, sound, notifications, the tour."""

from __future__ import annotations

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import empty, html, redirect

from bot.console import queue_words, shortcuts
from bot.console.door import CSRF_HEADER
from bot.console.forms import field
from bot.console.site import Site, Topic
from bot.policy.rights import Capability
from bot.store.deadlines import Deadlines
from bot.store.preferences import KNOWN, Preferences

HERE = "/mon-compte/preferences"
# field of the form → preference; a box that is not ticked is absent from what a browser sends
BOXES = {"raccourcis": "keys", "son": "sound", "notifications": "notifications"}
CHOICES = {"theme": "theme", "sonnerie": "ring"}


def routes(site: Site) -> Blueprint:
    """Help and preferences."""
    views, topic = ComfortViews(site), Topic("comfort")
    topic.page("/aide", views.help, Capability.OWN_ACCOUNT, "help")
    topic.page(HERE, views.show, Capability.OWN_ACCOUNT, "preferences")
    topic.form(HERE, views.change, Capability.OWN_ACCOUNT, "set_preferences")
    return topic.blueprint


class ComfortViews:
    """Everybody's own."""

    def __init__(self, site: Site) -> None:
        self._renderer = site.renderer
        self._preferences = Preferences(site.deps.database)
        self._deadlines = Deadlines(site.deps.database)

    async def help(self, request: Request) -> HTTPResponse:
        """Shortcuts, what the colours mean, the deadlines as they stand."""
        page = self._renderer.page(
            "comfort/help.html",
            user=request.ctx.user,
            csrf=request.ctx.csrf,
            table=shortcuts.by_place(),
            terms=await self._deadlines.all(),
            says=queue_words,
        )
        return html(page)

    async def show(self, request: Request) -> HTTPResponse:
        """The form."""
        return self._page(request)

    async def change(self, request: Request) -> HTTPResponse:
        """Keep what the form says. `complet` marks the whole form, in which an absent box is an unticked one."""
        changes: dict[str, str | bool] = {}
        if field(request, "complet"):
            changes |= {name: bool(field(request, box)) for box, name in BOXES.items()}
        changes |= {name: field(request, given) for given, name in CHOICES.items() if field(request, given)}
        if field(request, "visite"):
            changes["tour"] = field(request, "visite") == "vue"
        if any(value not in KNOWN[name] for name, value in changes.items()):
            return self._page(request, "Ce choix n’existe pas\u00a0: rien n’a été enregistré.", 422)
        await self._preferences.change(request.ctx.user, changes)
        if CSRF_HEADER in request.headers:
            return empty()
        return redirect(HERE + "?fait=1" if field(request, "complet") else "/file", status=303)

    def _page(self, request: Request, error: str = "", status: int = 200) -> HTTPResponse:
        page = self._renderer.page(
            "comfort/preferences.html",
            user=request.ctx.user,
            csrf=request.ctx.csrf,
            error=error,
            done=request.args.get("fait") == "1" and not error,
        )
        return html(page, status)
