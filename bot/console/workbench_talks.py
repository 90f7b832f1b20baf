"""Conversations of the workbench: found by what was made of them, read as the model saw them, turned into stories and tests.

The list shows no words; opening a conversation is recorded. What leaves for a file is shown first, pseudonymised, and written
only as the trainer has confirmed it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import html, redirect

from bot.console import workbench_talks_words as says
from bot.console.forms import field, whole
from bot.console.site import Site, Topic
from bot.console.workbench_pseudonyms import KINDS, Personal, confirmed, unconfirmed
from bot.core.clean import clean
from bot.core.errors import Explained
from bot.policy.intents import HANDOFF, INTENTS, policy_of
from bot.policy.rights import Capability
from bot.store import news
from bot.store.desk.errors import Conflict, DeskError
from bot.store.desk.thread import Part, mark, moment
from bot.store.workbench import talks
from bot.store.workbench.talks import Cursor, Filters, MadeStore, TalkStore, Turn
from bot.trainer import pseudonyms, stories
from bot.trainer.both import both
from bot.trainer.errors import TrainerError
from bot.trainer.project import Project
from bot.trainer.pseudonyms import Pseudonymised, Replacement
from bot.trainer.stories import STORY, TEST, Draft

PATH = "/atelier/conversations"
MOST_CHOSEN = 200  # boxes that one form may tick
_AFTER = re.compile(r"(\d{1,18})_(\d{1,18})", re.ASCII)


class BadChoice(DeskError):
    """What was ticked or written cannot be used."""


class NoProject(TrainerError):
    """The trainers' files are not on this machine."""

    def __init__(self) -> None:
        super().__init__(
            "Le dossier de Planton n’est pas sur cette machine\u00a0: rien ne peut y être écrit.",
            "Ouvrez l’atelier sur la machine qui le contient.",
        )


@dataclass(frozen=True)
class Preview:
    """What is about to be written, as the trainer sees it first. `words`: first event → what its words become;
    `left`: what is still personal in them and in the name; `said`: pieces of which the trainer says that they are not."""

    kind: str
    name: str
    turns: Sequence[Turn]
    words: Mapping[int, str]
    seen: Mapping[int, Pseudonymised]
    left: Sequence[Replacement] = ()
    said: Collection[str] = ()
    draft: Draft | None = None


def routes(site: Site) -> Blueprint:
    """The list, a conversation, and what is made of one."""
    views, topic = TalkViews(site), Topic("workbench_talks")
    topic.page(PATH, views.index, Capability.SEE_WORKBENCH, "index")
    topic.page(f"{PATH}/<number:int>", views.show, Capability.SEE_WORKBENCH, "show")
    topic.form(f"{PATH}/<number:int>/preparer", views.prepare, Capability.CORRECT, "prepare")
    topic.form(f"{PATH}/<number:int>/ajouter", views.add, Capability.CORRECT, "add")
    topic.form(f"{PATH}/<number:int>/annuler", views.undo, Capability.CORRECT, "undo")
    return topic.blueprint


class TalkViews:
    """Shows conversations to trainers."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._store = TalkStore(site.desk)
        self._made = MadeStore(site.desk)

    # -- reading -------------------------------------------------------------------------------------------------

    async def index(self, request: Request) -> HTTPResponse:
        """The list: no words, only what was made of each conversation."""
        show, intent = (str(request.args.get(name) or "") for name in ("voir", "sujet"))
        filters = Filters(show if show in talks.SHOWN else "", intent if intent in INTENTS else "")
        after = _cursor(request.args.get("apres"))
        page = await self._store.page(request.ctx.user, filters, after)
        return self._html(
            request,
            "workbench/talks.html",
            page=page,
            filters=filters,
            further=after is not None,
            following=f"{mark(page.following.at)}_{page.following.id}" if page.following else "",
            intents=sorted(INTENTS, key=says.intent),
        )

    async def show(self, request: Request, number: int) -> HTTPResponse:
        """A conversation as the model saw it."""
        return await self._page(request, number)

    async def _page(
        self, request: Request, number: int, error: Explained | None = None, name: str = "", status: int = 200
    ) -> HTTPResponse:
        user, now = request.ctx.user, self._site.deps.clock.now()
        reading = request.method == "GET"
        before = moment(whole(request.args.get("avant"), 0)) if reading else None
        event = whole(request.args.get("message"), 0) if reading else 0
        talk = await self._store.talk(user, number, now, Part(before=before) if before else None, event)
        async with self._site.desk.database.begin() as connection:
            made = await self._made.of(connection, number)
        ticked = None if reading else _ticked(request)
        return self._html(
            request,
            "workbench/talk.html",
            status=status,
            talk=talk,
            made=made,
            error=error,
            name=name,
            mark=mark,
            Turn=Turn,
            ticked={turn.events[0] for turn in talk.turns if turn.usable} if ticked is None else ticked,
            latest=not (before or event),
        )

    # -- writing -------------------------------------------------------------------------------------------------

    async def prepare(self, request: Request, number: int) -> HTTPResponse:
        """What would be written, for the trainer to confirm."""
        try:
            turns = await self._turns(request, number)
            preview = await asyncio.to_thread(
                _first_look, self._project(), turns, field(request, "sorte"), _name(request)
            )
        except TrainerError as error:
            return await self._page(request, number, error, _name(request), _status(error))
        return self._confirm(request, number, preview)

    async def add(self, request: Request, number: int) -> HTTPResponse:
        """Write what was confirmed."""
        user, now = request.ctx.user, self._site.deps.clock.now()
        try:
            project, turns = self._project(), await self._turns(request, number)
            given = {turn.events[0]: clean(field(request, f"mots_{turn.events[0]}")).strip() for turn in turns}
            looked = await asyncio.to_thread(
                _second_look, project, turns, field(request, "sorte"), _name(request), given
            )
        except TrainerError as refused:
            return await self._page(request, number, refused, _name(request), _status(refused))
        preview, error = looked
        preview = replace(preview, said=sorted(confirmed(request)))
        if error is None and unconfirmed(preview.left, preview.said):
            error = Personal(preview.left)
        if error is not None or preview.draft is None:
            return self._confirm(request, number, preview, error, 422)
        draft = preview.draft
        try:
            async with both(self._site.desk.database) as doing:
                await self._store.access(doing.connection, user, number)
                await self._made.record(doing.connection, user, now, number, _kept(draft))
                await news.topic(doing.connection, "workbench")
                await doing.files(
                    lambda: stories.add(project, draft, user.name),
                    lambda _: stories.remove(project, draft, user.name),
                )
        except TrainerError as refused:
            return self._confirm(request, number, preview, refused, 409)
        return redirect(f"{PATH}/{number}#faits", status=303)

    async def undo(self, request: Request, number: int) -> HTTPResponse:
        """Take back a story or a test, if nobody has edited it since."""
        user, now = request.ctx.user, self._site.deps.clock.now()
        try:
            project = self._project()
            async with both(self._site.desk.database) as doing:
                await self._store.access(doing.connection, user, number)
                made = await self._made.undoing(doing.connection, number, whole(field(request, "fait"), 0))
                await self._made.undone(doing.connection, user, now, made)
                await news.topic(doing.connection, "workbench")
                draft = Draft(made.kind, made.name, made.file, made.text)
                await doing.files(
                    lambda: stories.remove(project, draft, user.name),
                    lambda done: stories.put_back(project, draft, done, user.name),
                )
        except (TrainerError, Conflict) as error:
            return await self._page(request, number, error, status=409)
        return redirect(f"{PATH}/{number}", status=303)

    async def _turns(self, request: Request, number: int) -> list[Turn]:
        """The turns that were ticked. Raises BadChoice, NoSuchConversation."""
        now = self._site.deps.clock.now()
        turns = await self._store.chosen(request.ctx.user, number, now, _ticked(request))
        return [turn for turn in turns if turn.usable]

    def _project(self) -> Project:
        project = self._site.deps.project
        if project is None:
            raise NoProject
        return project

    def _confirm(
        self, request: Request, number: int, preview: Preview, error: Explained | None = None, status: int = 200
    ) -> HTTPResponse:
        return self._html(
            request,
            "workbench/talk_confirm.html",
            status=status,
            number=number,
            preview=preview,
            error=error,
            kinds=KINDS,
        )

    def _html(self, request: Request, template: str, status: int = 200, **values: Any) -> HTTPResponse:
        page = self._site.renderer.page(
            template, user=request.ctx.user, csrf=request.ctx.csrf, says=says, path=PATH, **values
        )
        return html(page, status)


def _cursor(given: str | None) -> Cursor | None:
    match = _AFTER.fullmatch(given or "")
    if match is None:
        return None
    at = moment(int(match[1]))
    return Cursor(at, int(match[2])) if at is not None else None


def _name(request: Request) -> str:
    return " ".join(clean(field(request, "nom")).split())[:200]


def _ticked(request: Request) -> set[int]:
    """The first events of the turns that were ticked."""
    form = request.form
    given = form.getlist("message") if form and "message" in form else []
    return {whole(str(one), 0) for one in given[:MOST_CHOSEN]} - {0}


def _status(error: TrainerError) -> int:
    return 503 if isinstance(error, NoProject) else 422


def _kept(draft: Draft) -> dict[str, str]:
    return {"kind": draft.kind, "name": draft.name, "file": draft.file, "text": draft.text}


# -- what is written (blocks: in a thread) -------------------------------------------------------------------------------


def _first_look(project: Project, turns: Sequence[Turn], kind: str, name: str) -> Preview:
    """The words with stand-ins, and the draft. Raises TrainerError."""
    written = [turn for turn in turns if turn.payload is None] if kind == TEST else []  # a story holds no words
    stories.must_be_short([turn.seen if kind == TEST and turn.payload is None else "" for turn in turns])
    seen = {turn.events[0]: pseudonyms.pseudonymiser().replace(turn.seen) for turn in written}
    words = {event: one.text for event, one in seen.items()}
    return _look(project, turns, kind, name, words, seen)


def _second_look(
    project: Project, turns: Sequence[Turn], kind: str, name: str, given: Mapping[int, str]
) -> tuple[Preview, Explained | None]:
    """The draft with the words that the trainer confirmed; why there is none, when there is none."""
    words = {turn.events[0]: given[turn.events[0]] for turn in turns if turn.payload is None}
    seen = {event: Pseudonymised(text, ()) for event, text in words.items()}
    try:
        return _look(project, turns, kind, name, words, seen), None
    except TrainerError as error:
        return Preview(kind, name, turns, words, seen), error


def _look(
    project: Project,
    turns: Sequence[Turn],
    kind: str,
    name: str,
    words: Mapping[int, str],
    seen: Mapping[int, Pseudonymised],
) -> Preview:
    if kind not in (STORY, TEST):
        raise stories.BadStory("Ni histoire ni test n’est choisi.", "Choisissez l’un des deux boutons.")
    stories.must_be_short([words.get(turn.events[0], "") for turn in turns])
    made = [_told(turn, words.get(turn.events[0], "")) for turn in turns]
    draft = (stories.played if kind == TEST else stories.story)(project, name, made)
    if kind == STORY:
        return Preview(kind, name, turns, words, seen, pseudonyms.leftovers(name), (), draft)
    found = pseudonyms.pseudonymiser()
    left = {one.original: one for text in (*words.values(), name) for one in found.leftovers(text)}
    return Preview(kind, name, turns, words, seen, list(left.values()), (), draft)


def _told(turn: Turn, words: str) -> stories.Turn:
    """A turn as stories take it."""
    policy = policy_of(turn.decided or turn.intent)
    return stories.Turn(
        words=words,
        intent=turn.decided or turn.intent,
        route=turn.route or "",
        payload=turn.payload,
        entities=turn.entities,
        lost=turn.lost,
        category=policy.category if policy.route == HANDOFF and not turn.lost else None,
        silent=turn.reason == "declared_silence",
        replies=turn.answers,
    )
