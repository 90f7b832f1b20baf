"""The inbox of understanding: what was doubtful, why, and one key to say what it means.

A message that is confirmed becomes an example, pseudonymised, in the common draft (`data/nlu.yml`), and its decision is kept for
comparing models. Two trainers never decide twice, a decision can be taken back with its example, and whatever shows citizens'
words is recorded.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.exceptions import NotFound
from sanic.response import html, redirect
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.console import workbench_inbox_words as says
from bot.console import workbench_pseudonyms
from bot.console.forms import field, whole
from bot.console.site import Site, Topic
from bot.console.workbench_inbox_address import Address
from bot.console.workbench_inbox_example import Bench, Draft, Intent
from bot.core.dialogue import Explanation
from bot.core.errors import EngineDown, EngineRefused, Explained
from bot.policy.rights import Capability
from bot.store.desk.errors import Conflict
from bot.store.workbench.corrections import Correction, Corrections
from bot.store.workbench.review import PAGE, Decision, Kind, Meanwhile, NoSuchReading, Reading, ReviewStore
from bot.trainer import corpus
from bot.trainer.corpus import Applied, Operation, Prepared
from bot.trainer.correcting import inverse
from bot.trainer.errors import BadFile, TrainerError
from bot.trainer.project import Project

log = logging.getLogger("planton.console")

PATH = "/atelier"
WITHIN = 2.0  # seconds: the engine's reasons are not waited for longer
PATIENCE = 0.5  # seconds that a decision waits for another writer of the files
OFFERED = 5  # intents with a digit of their own


def routes(site: Site) -> Blueprint:
    """The list, one message, deciding and taking back."""
    views, topic = InboxViews(site), Topic("workbench-inbox")
    topic.page(PATH, views.list_, Capability.SEE_WORKBENCH, "list")
    topic.page(PATH + "/messages/<event:int>", views.one, Capability.SEE_WORKBENCH, "one")
    topic.form(PATH + "/messages/<event:int>/decider", views.decide, Capability.CORRECT, "decide")
    topic.form(PATH + "/decisions/<number:int>/annuler", views.undo, Capability.CORRECT, "undo")
    return topic.blueprint


@dataclass(frozen=True)
class Asked:
    """What a form wants. `intent`: what it means; `example`: as the trainer wrote it, None when none is to be added;
    `shown`, `upto`: of what the page had shown (`ReviewStore.decide`); `typed`: the example, if the trainer changed it."""

    kind: Kind
    intent: str | None
    example: str | None
    allowed: frozenset[str]
    shown: str
    upto: int | None
    known: frozenset[str]
    typed: str


@dataclass(frozen=True)
class Told:
    """What a refused form gives back."""

    error: Explained
    asked: Asked


class InboxViews:
    """Forms answer with a redirection to the next message, so that a reload repeats nothing."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._deps = site.deps
        self._store = ReviewStore(site.deps.database, site.deps.codec)
        self._bench = Bench(site.deps.project) if site.deps.project else None
        self._warming: asyncio.Task[None] | None = None
        self._deciding = asyncio.Lock()  # colleagues on this console wait for each other, instead of being refused

    # -- the list ------------------------------------------------------------------------------------------------

    async def list_(self, request: Request) -> HTTPResponse:
        """What waits, what is worth most first; a refresh is answered with the list alone."""
        if self._bench is None:
            return self._nowhere(request)
        self._warm()
        asked, user, now = Address(request.args), request.ctx.user, self._deps.clock.now()
        midnight = now.astimezone(self._deps.zone).replace(hour=0, minute=0, second=0, microsecond=0)
        found, counts = await asyncio.gather(
            self._store.page(user, asked.filters, asked.page, now), self._store.counts(midnight)
        )
        template = "workbench/_inbox.html" if request.headers.get("X-Planton-Live") else "workbench/inbox.html"
        page = self._site.renderer.page(
            template,
            user=user,
            csrf=request.ctx.csrf,
            says=says,
            asked=asked,
            groups=found[:PAGE],
            more=len(found) > PAGE,
            counts=counts,
            told=await self._notice(request),
        )
        return html(page)

    def _nowhere(self, request: Request) -> HTTPResponse:
        page = self._site.renderer.page(
            "workbench/inbox_nowhere.html", user=request.ctx.user, csrf=request.ctx.csrf, bad=None
        )
        return html(page, 503)

    def _warm(self) -> None:
        """Whoever sees the list opens a message next: the index and spaCy are loaded meanwhile, once a process."""
        if self._warming is None and self._bench is not None:
            self._warming = asyncio.create_task(self._load(self._bench))

    async def _load(self, bench: Bench) -> None:
        try:
            await asyncio.to_thread(bench.warm)
        except TrainerError as error:  # the page of the message says it, with its remedy
            log.warning("workbench: %s", type(error).__name__)

    async def _notice(self, request: Request) -> Mapping[str, Any] | None:
        """What the form before this page did, as the address names it: said to who did it, as long as it stands."""
        number = whole(request.args.get("fait"), 0)
        decision = await self._store.decision(number) if number else None
        if decision is None or decision.user_id != request.ctx.user.id:
            return None
        return {"decision": decision, "double": request.args.get("note") == "doublon"}

    # -- one message -----------------------------------------------------------------------------------------------

    async def one(self, request: Request, event: int) -> HTTPResponse:
        """One message: what it was taken for and why, what it would become. A refresh tells only who decided meanwhile."""
        event = _checked(event)
        if request.headers.get("X-Planton-Live"):
            return await self._state(request, event)
        return await self._page(request, event)

    async def _state(self, request: Request, event: int) -> HTTPResponse:
        decision = await self._store.decision_of(event)
        page = self._site.renderer.page(
            "workbench/_message_state.html",
            user=request.ctx.user,
            csrf=request.ctx.csrf,
            says=says,
            decision=decision,
            asked=Address(request.args),
        )
        return html(page)

    async def _page(self, request: Request, event: int, told: Told | None = None, status: int = 200) -> HTTPResponse:
        if self._bench is None:
            return self._nowhere(request)
        user, address = request.ctx.user, Address(request.args)
        try:
            opened = await self._store.open_(user, event, self._deps.clock.now())
        except NoSuchReading:
            if told is None:
                raise NotFound("no such reading") from None
            raise
        offered = _offered(opened.reading, told.asked.intent if told else None)
        bad: BadFile | None = None
        draft, intents = Draft(opened.reading.words), list[Intent]()
        explaining = asyncio.create_task(self._explanation(opened.reading.words))
        try:
            draft = await self._draft(self._bench, opened.reading, offered, told)
            intents = await asyncio.to_thread(self._bench.intents)
        except BadFile as error:
            bad = error
        page = self._site.renderer.page(
            "workbench/message.html",
            user=user,
            csrf=request.ctx.csrf,
            says=says,
            asked=address,
            opened=opened,
            reading=opened.reading,
            decision=opened.decision,
            offered=offered,
            chances=dict(opened.reading.ranking),
            why=await explaining,
            draft=draft,
            kept=told.asked if told else None,
            kinds=workbench_pseudonyms.KINDS,
            error=told.error if told else bad,
            bad=bad,
            intents=intents,
            definitions={one.name: one.definition for one in intents},
            may_correct=user.may(Capability.CORRECT),
            told=await self._notice(request),
            last=await self._store.last(user),
        )
        if told is not None and request.headers.get("X-Planton-Flow"):
            return html(page)  # the script shows it; browsers would report a refusal as a fault of the page
        return html(page, 503 if bad and status == 200 else status)

    async def _draft(self, bench: Bench, reading: Reading, offered: Sequence[str], told: Told | None) -> Draft:
        written = None if told is None else told.asked.typed or told.asked.example
        if told is not None and isinstance(told.error, Meanwhile):
            written = told.asked.typed  # what was proposed came from words that have changed
        if not written:
            return await asyncio.to_thread(bench.draft, reading.words, offered)
        return await asyncio.to_thread(bench.redraft, written, offered)

    async def _explanation(self, words: str) -> Explanation | None:
        """Why the present model reads it so; None while no engine tells."""
        if self._deps.engine is None:
            return None
        try:
            async with asyncio.timeout(WITHIN):
                return await self._deps.engine.explain(words)
        except (EngineDown, EngineRefused, TimeoutError):
            return None

    # -- deciding ----------------------------------------------------------------------------------------------------

    async def decide(self, request: Request, event: int) -> HTTPResponse:
        """Confirm, choose, set aside or skip; then the next message."""
        event = _checked(event)
        if self._bench is None:
            return self._nowhere(request)
        asked = _asked(request)
        if asked is None:
            raise NotFound("no such decision")
        address = Address(request.args)
        ahead = await self._store.following(address.filters, event)
        try:
            decision, double = await self._decided(request, self._bench, event, asked)
        except TrainerError as error:
            try:  # a colleague's example may be what stands in the way of this one
                await self._store.must_wait(event)
            except Conflict as decided:
                return await self._refused(request, event, Told(decided, asked), 409)
            return await self._refused(request, event, Told(error, asked), 422)
        except (Conflict, NoSuchReading) as error:
            return await self._refused(request, event, Told(error, asked), 409)
        return redirect(self._next(address, ahead, decision.id, double), status=303)

    async def _refused(self, request: Request, event: int, told: Told, status: int) -> HTTPResponse:
        """The message as it is now, with what the trainer wrote; if it is gone, at least that."""
        try:
            return await self._page(request, event, told, status)
        except NoSuchReading as gone:
            page = self._site.renderer.page(
                "workbench/message_gone.html",
                user=request.ctx.user,
                csrf=request.ctx.csrf,
                asked=Address(request.args),
                error=gone,
                typed=told.asked.typed,
            )
            return html(page, 200 if request.headers.get("X-Planton-Flow") else status)

    def _next(self, address: Address, ahead: int | None, decision: int, double: bool) -> str:
        more = {"fait": str(decision), **({"note": "doublon"} if double else {})}
        where = PATH if ahead is None else f"{PATH}/messages/{ahead}"
        query = address.query(**more)
        return where + query

    async def _decided(self, request: Request, bench: Bench, event: int, asked: Asked) -> tuple[Decision, bool]:
        """What was decided, and whether an example that says the same stood there already."""
        user, now, project = request.ctx.user, self._deps.clock.now(), self._deps.project
        kind, intent, example, double = asked.kind, asked.intent, asked.example, ""
        await self._store.must_wait(event)
        if intent is not None and intent not in {one.name for one in await asyncio.to_thread(bench.intents)}:
            raise TrainerError("Cette intention n’existe pas.", "Choisissez-en une dans la liste.")
        if example is not None and intent is not None:
            example, double = await asyncio.to_thread(
                bench.ready, example, intent, asked.allowed, intent in asked.known
            )

        if example is None or intent is None or double:
            return await self._store.decide(user, event, kind, intent, now, asked.shown, asked.upto), bool(double)
        assert project is not None
        async with self._changing(project, Operation("add", intent, example)) as change:

            async def add(connection: AsyncConnection, events: Sequence[int]) -> int:
                done = await change.write()
                return await Corrections.record(connection, now, user, done.operations[0], events)

            decision = await self._store.decide(user, event, kind, intent, now, asked.shown, asked.upto, add)
        return decision, False

    @contextlib.asynccontextmanager
    async def _changing(self, project: Project, operation: Operation) -> AsyncIterator[_Change]:
        """A change that fits, of files that stay locked; what was written is taken back when the rest fails.

        The files are waited for before any message is locked, and not for long: the worker, which may be reading these very
        messages anew, waits for the writing alone. Raises TrainerError.
        """
        async with self._deciding:
            held = corpus.prepared(project, [operation], PATIENCE)
            change = _Change(await asyncio.to_thread(held.__enter__))
            try:
                yield change
            except BaseException:
                await asyncio.to_thread(held.__exit__, None, None, None)
                await change.back(project)
                raise
            await asyncio.to_thread(held.__exit__, None, None, None)

    async def undo(self, request: Request, number: int) -> HTTPResponse:
        """Take a decision back, with its example; its message is shown again."""
        number = _checked(number)
        user, now, address = request.ctx.user, self._deps.clock.now(), Address(request.args)
        project = self._deps.project
        async with contextlib.AsyncExitStack() as stack:
            done = await self._standing(number)
            change: _Change | None = None
            try:
                if done is not None and project is not None:
                    change = await stack.enter_async_context(self._changing(project, inverse(done)))
            except TrainerError as error:  # its line has changed since
                raise Conflict(error.what, f"La décision n’est pas annulée. {error.remedy}") from None

            async def take_back(connection: AsyncConnection, correction: int) -> None:
                still = await Corrections.get(connection, correction, lock=True)
                if still is None or still.undone_at is not None or change is None:
                    return  # taken back on the page of examples already
                await change.write()
                await Corrections.undone(connection, now, user, correction)

            event = await self._store.undo(user, number, now, take_back)
        where = PATH if event is None else f"{PATH}/messages/{event}"
        return redirect(where + address.query(), status=303)

    async def _standing(self, number: int) -> Correction | None:
        """The example that came with a decision, unless it was taken back already."""
        decision = await self._store.decision(number)
        if decision is None or decision.undone or decision.correction is None:
            return None
        async with self._deps.database.begin() as connection:
            found = await Corrections.get(connection, decision.correction)
        return None if found is None or found.undone_at is not None else found


class _Change:
    """One change of the files, written at most once."""

    def __init__(self, ready: Prepared) -> None:
        self._ready = ready
        self._written = False

    async def write(self) -> Applied:
        self._written = True
        return await asyncio.to_thread(self._ready.write)

    async def back(self, project: Project) -> None:
        """As far as the file still allows it: what somebody else changed meanwhile is theirs."""
        if self._written:
            with contextlib.suppress(TrainerError):
                await asyncio.to_thread(corpus.apply, project, self._ready.applied.undoing)


def _checked(number: int) -> int:
    """A number that the database can hold. Raises NotFound."""
    if not 0 < number < 2**63:
        raise NotFound("no such number")
    return number


def _offered(reading: Reading, chosen: str | None) -> list[str]:
    """The intents with a digit: what a refused form had chosen, what an agent said, then the ranking."""
    names = [name for name, _ in reading.ranking[:OFFERED]]
    if reading.agent_intent is not None and reading.agent_intent not in names:
        names = [*names[: OFFERED - 1], reading.agent_intent]
    if chosen is not None and chosen not in names:
        names = [*names[: OFFERED - 1], chosen]
    return names


def _asked(request: Request) -> Asked | None:
    """What the form says; None when it says nothing that can be decided."""
    meant = field(request, "sens")
    kinds: Mapping[str, tuple[Kind, str | None]] = {
        "hors": ("outside", says.OUTSIDE),
        "rien": ("nothing", None),
        "passer": ("skipped", None),
    }
    if meant.startswith("intention:"):
        intent: str | None = meant.removeprefix("intention:")
        kind: Kind = "confirmed" if intent == field(request, "lu") else "chosen"
    elif meant in kinds:
        kind, intent = kinds[meant]
    else:
        return None
    adds = intent is not None and field(request, "ajouter") == "1"
    whole_group = field(request, "groupe") == "1"
    return Asked(
        kind,
        intent,
        field(request, "exemple") if adds else None,
        workbench_pseudonyms.confirmed(request),
        field(request, "vus" if whole_group else "vu"),
        whole(field(request, "jusqua"), 0) if whole_group else None,
        frozenset(field(request, "montrees").split() if _unchanged(request) else ()),
        "" if _unchanged(request) else field(request, "exemple"),
    )


def _unchanged(request: Request) -> bool:
    """Whether the example is the one that the page had checked. (A browser sends its lines as CR LF.)"""
    return corpus.tidy(field(request, "exemple")) == corpus.tidy(field(request, "montre"))
