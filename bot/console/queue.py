"""The queue's page, what alerts, and the deadlines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from dataclasses import field as field_of
from datetime import timedelta
from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import html, redirect

from bot.console import done as just
from bot.console import queue_filters, queue_words
from bot.console.conversation import checked
from bot.console.door import LIVE_HEADER
from bot.console.forms import field
from bot.console.periodic import Periodic
from bot.console.queue_filters import Address
from bot.console.site import Site, Topic
from bot.console.together import Together
from bot.policy import closing
from bot.policy.intents import PRIORITY
from bot.policy.rights import Capability
from bot.store.accounts import User
from bot.store.deadlines import BadDeadline, Deadlines
from bot.store.desk.access import Conversation
from bot.store.desk.errors import DeskError
from bot.store.desk.queue import FILTERS, MINE, Queue, QueueStore

LOOK_EVERY = 5.0  # seconds between looks at what is snoozed and what is about to miss its deadline


def routes(site: Site) -> Blueprint:
    """The queue, with which the console begins."""
    views, terms, topic = QueueViews(site), DeadlineViews(site), Topic("queue")
    topic.page("/", views.home, Capability.SEE_QUEUE, "home")
    topic.page("/file", views.show, Capability.SEE_QUEUE, "show")
    topic.page("/file/alertes", views.alerts, Capability.WORK, "alerts")
    topic.page("/file/delais", terms.show, Capability.SET_DEADLINES, "deadlines")
    topic.form("/file/delais", terms.change, Capability.SET_DEADLINES, "set_deadlines")
    deadlines = Deadlines(site.deps.database)
    Periodic("deadlines", lambda: deadlines.look(site.deps.clock.now()), LOOK_EVERY).attach(topic.blueprint)
    return topic.blueprint


@dataclass
class _Look:
    """The queue as one look found it. `held`: agent → how many; `heads`: drawn already, by what differs in them."""

    queue: Queue
    held: Mapping[int, int]
    rows: str
    heads: dict[tuple[int, bool], str] = field_of(default_factory=dict)


class QueueViews:
    """Who needs a human."""

    def __init__(self, site: Site) -> None:
        self._deps = site.deps
        self._desk = site.desk
        self._store = QueueStore(site.desk)
        self._renderer = site.renderer
        self._together: Together[_Look] = Together()

    async def home(self, request: Request) -> HTTPResponse:
        """The console begins with the queue."""
        return redirect("/file", status=303)

    async def show(self, request: Request) -> HTTPResponse:
        """A page of the queue; only its live parts when the page refreshes itself."""
        user = request.ctx.user
        asked = Address(request.args, user, self._deps.zone)
        if LIVE_HEADER in request.headers:
            return html(await self._fragment(user, asked))
        done, now = just.done(request), self._deps.clock.now()
        queue = await self._store.page(user, asked.wanted, now, asked.after)
        await self._store.seen(user, queue, now, "file")
        page = self._renderer.page(
            "queue/page.html",
            done=done,
            closed=await self._closed(user, done),
            undo_for=closing.UNDO // timedelta(milliseconds=1),
            csrf=request.ctx.csrf,
            choices=await self._store.choices(),
            again="visite" in request.args,
            **self._values(user, asked, queue),
        )
        return just.told(html(page), self._deps.secure_cookies) if done else html(page)

    async def _closed(self, user: User, done: just.Done | None) -> Conversation | None:
        """The conversation that was just closed, while that can be taken back: the notice names the person."""
        if done is None or done.conversation is None:
            return None
        try:
            conversation = await self._desk.access_conversation(user, checked(done.conversation))
        except DeskError:  # a cookie of somebody else's session, or altered
            return None
        handoff = conversation.handoff
        if conversation.owner != "closed" or handoff is None or handoff.closed_at is None:
            return None
        return conversation if closing.undoable(handoff.closed_at, self._deps.clock.now()) else None

    def _values(self, user: User, asked: Address, queue: Queue) -> dict[str, Any]:
        return {
            "user": user,
            "queue": queue,
            "asked": asked,
            "which": asked.which,
            "filters": FILTERS,
            "says": queue_words,
            "options": queue_filters,
        }

    async def _fragment(self, user: User, asked: Address) -> str:
        """The live parts. They are the same for all who see the queue so: pages that hear of a change together share one
        look and what is drawn of it; only what one has in hand is one's own."""

        async def look() -> _Look:
            queue = await self._store.page(user, asked.wanted, self._deps.clock.now(), asked.after)
            held = await self._store.held(self._deps.clock.now())
            rows = self._renderer.page("queue/_list.html", **self._values(user, asked, queue))
            return _Look(queue, held, rows)

        own = user.id if asked.which == MINE else None
        key = asked.wanted, asked.after, tuple(asked.chosen.items()), user.may(Capability.READ), own
        seen = await self._together.ask(key, look)
        await self._store.seen(user, seen.queue, self._deps.clock.now(), "file")
        mine = seen.held.get(user.id, 0)
        drawn = mine, user.may(Capability.SET_DEADLINES)
        if drawn not in seen.heads:
            queue = replace(seen.queue, counts={**seen.queue.counts, MINE: mine})
            seen.heads[drawn] = self._renderer.page("queue/_head.html", **self._values(user, asked, queue))
        return seen.rows + seen.heads[drawn]

    async def alerts(self, request: Request) -> HTTPResponse:
        """What is late or about to be, for the person at hand: a fragment that any page shows above itself."""
        user, now = request.ctx.user, self._deps.clock.now()
        pressing = await self._store.pressing(user, now)
        await self._store.seen(user, pressing, now, "alertes")
        page = self._renderer.page(
            "queue/_alerts.html", user=user, csrf=request.ctx.csrf, pressing=pressing, says=queue_words
        )
        return html(page)


class DeadlineViews:
    """How soon a first human reply is expected, by priority."""

    def __init__(self, site: Site) -> None:
        self._deps = site.deps
        self._deadlines = Deadlines(site.deps.database)
        self._renderer = site.renderer

    async def show(self, request: Request) -> HTTPResponse:
        """The deadlines, to be changed."""
        return await self._page(request)

    async def change(self, request: Request) -> HTTPResponse:
        """Set all of them at once; what cannot be read is shown again as it was typed."""
        terms = [term for term in await self._deadlines.all() if term.priority != PRIORITY["thanks"]]
        given, wanted = {}, {}
        errors: dict[str, str] = {}
        for term in terms:
            names = f"delai_{term.priority}", f"alerte_{term.priority}"
            given[term.priority] = field(request, names[0]), field(request, names[1])
            within, before = (queue_words.span(text) for text in given[term.priority])
            for name, span in zip(names, (within, before), strict=True):
                if span is None:
                    errors[name] = "Donnez une durée avec son unité, par exemple 30 min, 2 h ou 1 j 12 h."
            if within is not None and before is not None:
                wanted[term.priority] = (within, before)
        if not errors:
            try:
                await self._deadlines.set(request.ctx.user, wanted, self._deps.clock.now())
                return redirect("/file/delais?fait=1", status=303)
            except BadDeadline as error:
                errors[f"{error.field}_{error.priority}"] = f"{error.what} {error.remedy}"
        return await self._page(request, given, errors, 422)

    async def _page(
        self,
        request: Request,
        given: Mapping[int, tuple[str, str]] | None = None,
        errors: Mapping[str, str] | None = None,
        status: int = 200,
    ) -> HTTPResponse:
        terms = [term for term in await self._deadlines.all() if term.priority != PRIORITY["thanks"]]
        shown = {t.priority: (queue_words.typed(t.within), queue_words.typed(t.alert_before)) for t in terms}
        page = self._renderer.page(
            "queue/deadlines.html",
            user=request.ctx.user,
            csrf=request.ctx.csrf,
            terms=terms,
            given={**shown, **(given or {})},
            errors=errors or {},
            done=request.args.get("fait") == "1" and not errors,
            says=queue_words,
        )
        return html(page, status)
