"""The crisis mode: its page, the groups of people who say the same, and the banner that all pages show meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.exceptions import NotFound
from sanic.response import html, redirect

from bot.console import crisis_words
from bot.console.conversation import checked
from bot.console.crisis_banner import SINCE
from bot.console.crisis_keeper import Keeper
from bot.console.door import LIVE_HEADER
from bot.console.forms import field, whole
from bot.console.site import Panel, Showing, Site, Slot, Topic
from bot.policy.rights import Capability
from bot.store.db import Database
from bot.store.desk import crisis as mode
from bot.store.desk.crisis import CrisisStore
from bot.store.desk.errors import BadReply, DeskError
from bot.store.desk.groups import GROUPS, GroupStore, NoSuchGroup

Action = Callable[[int], Awaitable[object]]

GROUP = "/crise/groupes/<number:int>"


def routes(site: Site) -> Blueprint:
    """The pages, and who keeps groups moving."""
    keeper = Keeper(site.deps.database, site.desk, site.deps.clock, site.deps.pace)
    views, topic = CrisisViews(site, keeper), Topic("crisis")
    topic.page("/crise", views.show, Capability.SEE_CRISIS, "show")
    topic.page("/crise/bandeau", views.banner, Capability.SEE_QUEUE, "banner")
    topic.form("/crise/message", views.write, Capability.ANSWER_GROUP, "write")
    topic.form("/crise/valider", views.validate, Capability.VALIDATE, "validate")
    topic.form("/crise/ouvrir", views.open_, Capability.RUN_CRISIS, "open")
    topic.form("/crise/fermer", views.close, Capability.RUN_CRISIS, "close")
    topic.page(GROUP, views.group, Capability.SEE_CRISIS, "group")
    topic.form(GROUP + "/repondre", views.write_reply, Capability.ANSWER_GROUP, "write_reply")
    topic.form(GROUP + "/valider", views.validate_reply, Capability.VALIDATE, "validate_reply")
    topic.form(GROUP + "/envoyer", views.start, Capability.RUN_CRISIS, "start")
    topic.form(GROUP + "/arreter", views.stop, Capability.RUN_CRISIS, "stop")
    topic.form(GROUP + "/retirer", views.remove, Capability.ANSWER_GROUP, "remove")
    topic.form(GROUP + "/admettre", views.admit, Capability.ANSWER_GROUP, "admit")
    site.panels.append(Panel(Slot.SIDE, "crisis/_side.html", views.side, rank=20))
    keeper.attach(topic.blueprint)
    return topic.blueprint


class Banner:
    """Reads the mode before each page, which says so: one look by an index."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def enter(self, request: Request) -> None:
        """A middleware; runs after the door. A page's live parts hold no banner."""
        SINCE.set(None)
        if getattr(request.ctx, "user", None) is not None and LIVE_HEADER not in request.headers:
            await self.read()

    async def read(self) -> None:
        """Look now."""
        async with self._db.begin() as connection:
            SINCE.set(await mode.banner(connection))


class CrisisViews:
    """Forms answer with a redirection, so that a reload repeats nothing."""

    def __init__(self, site: Site, keeper: Keeper) -> None:
        self._deps = site.deps
        self._renderer = site.renderer
        self._mode = CrisisStore(site.desk)
        self._groups = GroupStore(site.desk)
        self._keeper = keeper

    # -- the mode ------------------------------------------------------------------------------------------------

    async def show(self, request: Request) -> HTTPResponse:
        """The mode and its groups; only the live parts when the page refreshes itself."""
        return await self._page(request)

    async def _page(
        self, request: Request, error: DeskError | None = None, draft: str | None = None, status: int = 200
    ) -> HTTPResponse:
        user = request.ctx.user
        overview = await self._mode.overview(user, self._deps.clock.now())
        shown = overview.current or (overview.past[0] if overview.past else None)
        skip = whole(request.args.get("suite"), 0)
        groups, more = await self._groups.groups(user, shown.id, self._deps.clock.now(), skip) if shown else ([], False)
        page = self._renderer.page(
            "crisis/_live.html" if LIVE_HEADER in request.headers else "crisis/page.html",
            user=user,
            csrf=request.ctx.csrf,
            overview=overview,
            groups=groups,
            totals=await self._groups.totals(user, shown.id) if shown else None,
            skip=skip,
            following=skip + GROUPS if more else None,
            cw=crisis_words,
            error=error,
            draft=draft,
            most=mode.MESSAGE_BYTES,
            fits=mode.fits,
        )
        return html(page, status)

    async def banner(self, request: Request) -> HTTPResponse:
        """The banner alone, for pages that are open while the mode changes."""
        await Banner(self._deps.database).read()
        return html(self._renderer.page("crisis/_banner.html", user=request.ctx.user))

    async def write(self, request: Request) -> HTTPResponse:
        """Prepare a message."""
        written = field(request, "message")
        try:
            await self._mode.write(request.ctx.user, written, self._deps.clock.now())
        except BadReply as error:
            return await self._page(request, error, written, 422)
        return redirect("/crise", status=303)

    async def validate(self, request: Request) -> HTTPResponse:
        """Agree to the message."""
        try:
            await self._mode.validate(request.ctx.user, _crisis(request), self._deps.clock.now())
        except DeskError as error:
            return await self._page(request, error, status=409)
        return redirect("/crise", status=303)

    async def open_(self, request: Request) -> HTTPResponse:
        """Open the mode."""
        try:
            await self._mode.open_(request.ctx.user, _crisis(request), self._deps.clock.now())
        except DeskError as error:
            return await self._page(request, error, status=409)
        self._keeper.wake()
        return redirect("/crise", status=303)

    async def close(self, request: Request) -> HTTPResponse:
        """Close the mode."""
        await self._mode.close(request.ctx.user, _crisis(request), self._deps.clock.now())
        return redirect("/crise", status=303)

    async def side(self, showing: Showing) -> Mapping[str, Any] | None:
        """In a conversation's page: the group that this person is in."""
        found = await self._groups.of_conversation(showing.request.ctx.user, showing.conversation.id)
        if found is None:
            return None
        return {"group": found[0], "status": found[1], "why": found[2], "words": crisis_words}

    # -- a group -------------------------------------------------------------------------------------------------

    async def group(self, request: Request, number: int) -> HTTPResponse:
        """A group with a page of its members."""
        return await self._group_page(request, checked(number))

    async def _group_page(
        self, request: Request, number: int, error: DeskError | None = None, draft: str | None = None, status: int = 200
    ) -> HTTPResponse:
        user, live = request.ctx.user, LIVE_HEADER in request.headers
        which = request.args.get("etat")
        which = which if which in crisis_words.FILTERS else "tous"
        after = whole(request.args.get("apres"), 0)
        try:
            shown = await self._groups.page(user, number, self._deps.clock.now(), crisis_words.FILTERS[which][1], after)
        except NoSuchGroup as missing:
            raise NotFound(missing.what) from None
        page = self._renderer.page(
            "crisis/_group_live.html" if live else "crisis/group.html",
            user=user,
            csrf=request.ctx.csrf,
            page=shown,
            group=shown.group,
            counts=shown.group.counts,
            which=which,
            later=after > 0,
            cw=crisis_words,
            error=error,
            draft=draft,
        )
        return html(page, status)

    async def write_reply(self, request: Request, number: int) -> HTTPResponse:
        """Propose a reply to the group."""
        number, written = checked(number), field(request, "message")
        try:
            await self._groups.write(request.ctx.user, number, written, self._deps.clock.now())
        except NoSuchGroup as missing:
            raise NotFound(missing.what) from None
        except BadReply as error:
            return await self._group_page(request, number, error, written, 422)
        except DeskError as error:
            return await self._group_page(request, number, error, written, 409)
        return redirect(f"/crise/groupes/{number}", status=303)

    async def validate_reply(self, request: Request, number: int) -> HTTPResponse:
        """Agree to the reply."""
        return await self._act(
            request,
            number,
            lambda n: self._groups.validate(request.ctx.user, n, field(request, "ecrite"), self._deps.clock.now()),
        )

    async def start(self, request: Request, number: int) -> HTTPResponse:
        """Let the reply go to whom the page showed."""
        upto = crisis_words.moment(field(request, "jusqua"))
        return await self._act(
            request, number, lambda n: self._groups.start(request.ctx.user, n, upto, self._deps.clock.now())
        )

    async def stop(self, request: Request, number: int) -> HTTPResponse:
        """Stop at once."""
        return await self._act(
            request, number, lambda n: self._groups.stop(request.ctx.user, n, self._deps.clock.now())
        )

    async def remove(self, request: Request, number: int) -> HTTPResponse:
        """Leave somebody out."""
        return await self._act(
            request,
            number,
            lambda n: self._groups.remove(request.ctx.user, n, _conversation(request), self._deps.clock.now()),
        )

    async def admit(self, request: Request, number: int) -> HTTPResponse:
        """Let somebody in whose message was read."""
        return await self._act(
            request,
            number,
            lambda n: self._groups.admit(request.ctx.user, n, _conversation(request), self._deps.clock.now()),
        )

    async def _act(self, request: Request, number: int, action: Action) -> HTTPResponse:
        number = checked(number)
        try:
            await action(number)
        except NoSuchGroup as missing:
            raise NotFound(missing.what) from None
        except DeskError as error:
            return await self._group_page(request, number, error, status=409)
        self._keeper.wake()
        which = request.args.get("etat")
        return redirect(
            f"/crise/groupes/{number}" + (f"?etat={which}" if which in crisis_words.FILTERS else ""), status=303
        )


def _crisis(request: Request) -> int:
    return whole(field(request, "crise"), 0)


def _conversation(request: Request) -> int:
    return whole(field(request, "conversation"), 0)
