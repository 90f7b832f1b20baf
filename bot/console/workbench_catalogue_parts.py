"""One question split in two, two questions joined."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import redirect

from bot.console import workbench_catalogue_form as forms
from bot.console import workbench_catalogue_words as says
from bot.console.forms import field
from bot.console.site import Site, Topic
from bot.console.workbench_catalogue_desk import LIMITS, PATH, CatalogueDesk, Known, id_of, lines_of, must_be_there
from bot.console.workbench_catalogue_new import NAME_AT_MOST
from bot.console.workbench_pseudonyms import must_be_public
from bot.core.catalogue import Question, Value
from bot.policy.rights import Capability
from bot.trainer import question_moves
from bot.trainer.checks.answer_examples import FEWEST, nearest
from bot.trainer.errors import Changed, TrainerError
from bot.trainer.questions import Book, Wanted

FIELDS = ("nom", "titre", "question", "texte", "plus-ici", "plus-la")
NEAREST = 6  # questions that are proposed for joining


def routes(site: Site) -> Blueprint:
    """Both forms, and what they do."""
    views, topic = PartViews(site), Topic("workbench-catalogue-parts")
    one = f"{PATH}/<intent:str>/<name:str>"
    topic.page(f"{one}/separer", views.splitting, Capability.CORRECT, "splitting")
    topic.form(f"{one}/separer", views.split, Capability.CORRECT, "split")
    topic.page(f"{one}/reunir", views.joining, Capability.CORRECT, "joining")
    topic.form(f"{one}/reunir", views.join, Capability.CORRECT, "join")
    return topic.blueprint


class PartViews:
    """A form that is refused is shown again with what was typed."""

    def __init__(self, site: Site) -> None:
        self._desk = CatalogueDesk(site)

    # -- one becomes two ---------------------------------------------------------------------------------------------

    async def splitting(self, request: Request, intent: str, name: str) -> HTTPResponse:
        """Which examples leave, and what the second question says."""
        return await self._split_form(request, id_of(intent, name), None)

    async def split(self, request: Request, intent: str, name: str) -> HTTPResponse:
        """Write both."""
        id_ = id_of(intent, name)
        typed = {one: field(request, one) for one in FIELDS}
        ticked = [str(key) for key in (request.form.getlist("part") or ())] if request.form else []
        try:
            await self._written(request, id_, typed, ticked)
        except TrainerError as error:
            return await self._split_form(request, id_, typed, ticked, error)
        return redirect(f"{PATH}/{intent}/{typed['nom'].strip()}?fait=separe", status=303)

    async def _written(self, request: Request, id_: str, typed: dict[str, str], ticked: Sequence[str]) -> None:
        known = await self._desk.known()
        present = must_be_there(known, id_)
        gone = [text for text in present.examples if says.key(id_, text) in ticked]
        here, there = lines_of(typed["plus-ici"]), lines_of(typed["plus-la"])
        title, question = forms.line(typed["titre"]), forms.line(typed["question"])
        await must_be_public(request, [*here, *there, *filter(None, (title, question))])
        metadata = _copied(present, title, question)
        new = question_moves.blank(
            f"{present.intent}/{typed['nom'].strip()}", [*gone, *there], forms.words(typed["texte"]), metadata
        )
        seen = field(request, "vu")

        def make(book: Book) -> Wanted:
            return question_moves.split(book, id_, seen, new, gone, here)

        await self._desk.save(request, [id_, new.id], make)

    async def _split_form(
        self,
        request: Request,
        id_: str,
        typed: dict[str, str] | None,
        ticked: Sequence[str] = (),
        error: TrainerError | None = None,
    ) -> HTTPResponse:
        try:
            known = await self._desk.known()
        except TrainerError as bad:
            return self._desk.broken(request, bad)
        present = must_be_there(known, id_)
        if typed is None:
            typed = dict.fromkeys(FIELDS, "") | {"texte": present.answer.text}
        return self._desk.page(
            request, "question_split", _status(error), present=present, seen=known.book.seen(id_), typed=typed, ticked=ticked,
            error=error, limits=LIMITS, fewest=FEWEST, name_at_most=NAME_AT_MOST,
        )  # fmt: skip

    # -- two become one ----------------------------------------------------------------------------------------------

    async def joining(self, request: Request, intent: str, name: str) -> HTTPResponse:
        """Which question answers for both."""
        return await self._join_form(request, id_of(intent, name))

    async def join(self, request: Request, intent: str, name: str) -> HTTPResponse:
        """Move its examples, and take it away."""
        id_, seen = id_of(intent, name), field(request, "vu")
        into = (
            next((str(one) for one in reversed(request.form.getlist("avec") or ()) if one), "") if request.form else ""
        )
        try:
            known = await self._desk.known()
            must_be_there(known, id_)
            ids = [id_, into, *(one.id for one in known.questions.values() if id_ in one.related)]
            await self._desk.save(request, ids, lambda book: question_moves.joined(book, id_, seen, into))
        except TrainerError as error:
            return await self._join_form(request, id_, error, into)
        return redirect(f"{PATH}/{into}?fait=reuni", status=303)

    async def _join_form(
        self, request: Request, id_: str, error: TrainerError | None = None, into: str = ""
    ) -> HTTPResponse:
        try:
            known = await self._desk.known()
        except TrainerError as bad:
            return self._desk.broken(request, bad)
        present = must_be_there(known, id_)
        near = await asyncio.to_thread(_nearest, known, present)
        return self._desk.page(
            request, "question_join", _status(error), present=present, seen=known.book.seen(id_), near=near, into=into,
            others=[one for one in known.questions.values() if one.id != id_], error=error,
        )  # fmt: skip


def _copied(present: Question, title: str, question: str) -> dict[str, Value]:
    """What is told of the new answer: as of the one that it was copied from, but nobody has checked it."""
    kept = {key: value for key, value in present.answer.metadata.items() if key not in ("checked_by", "apart")}
    return {**kept, "title": title, "question": question, "checked": None}


def _nearest(known: Known, present: Question) -> list[Question]:
    found = nearest(list(known.questions.values()), " ".join(present.examples), NEAREST + 1)
    return [one for one in found if one.id != present.id][:NEAREST]


def _status(error: TrainerError | None) -> int:
    if error is None:
        return 200
    return 409 if isinstance(error, Changed) else 422
