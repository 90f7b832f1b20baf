"""A question of the catalogue: its phones, its answer, what is told of it, its examples, what was done to it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import redirect

from bot.console import workbench_catalogue_form as forms
from bot.console import workbench_catalogue_refusals as refusals
from bot.console import workbench_catalogue_words as says
from bot.console.forms import field, whole
from bot.console.site import Site, Topic
from bot.console.workbench_catalogue_desk import (
    AT_ONCE,
    LIMITS,
    PATH,
    CatalogueDesk,
    Known,
    id_of,
    lines_of,
    must_be_there,
    row_of,
)
from bot.console.workbench_catalogue_form import Written
from bot.console.workbench_catalogue_refusals import Unreadable, raised_by, together
from bot.console.workbench_pseudonyms import must_be_public
from bot.core import catalogue
from bot.core.catalogue import Question
from bot.policy.intents import ANSWER, policy_of
from bot.policy.rights import Capability
from bot.store.workbench import reply_changes
from bot.trainer import question_checks, question_moves
from bot.trainer.checks.finding import Finding
from bot.trainer.errors import Changed, TrainerError
from bot.trainer.questions import Book, Wanted


def routes(site: Site) -> Blueprint:
    """The page, and what is done there."""
    views, topic = QuestionViews(site), Topic("workbench-catalogue-question")
    one = f"{PATH}/<intent:str>/<name:str>"
    topic.page(one, views.one, Capability.SEE_WORKBENCH, "one")
    topic.form(one, views.save, Capability.CORRECT, "save")
    topic.form(f"{one}/apercu", views.preview, Capability.CORRECT, "preview")
    topic.form(f"{one}/verifiee", views.checked, Capability.CORRECT, "checked")
    topic.form(f"{one}/exemples", views.examples, Capability.CORRECT, "examples")
    topic.form(f"{one}/annuler", views.undo, Capability.CORRECT, "undo")
    return topic.blueprint


@dataclass(frozen=True)
class Typed:
    """The example that a refused form gives back. `key`: of the one that it was about, "" for new ones."""

    text: str = ""
    key: str = ""
    to: str = ""


class QuestionViews:
    """A form that is refused is shown again with what was typed."""

    def __init__(self, site: Site) -> None:
        self._desk = CatalogueDesk(site)
        self._db = site.deps.database

    async def one(self, request: Request, intent: str, name: str) -> HTTPResponse:
        """A question's page."""
        id_ = id_of(intent, name)
        try:
            known = await self._desk.known()
        except TrainerError as error:
            return self._desk.broken(request, error)
        present = must_be_there(known, id_)
        told = says.TOLD.get(str(request.args.get("fait") or ""), "")
        open_ = Typed(key=str(request.args.get("modifier") or "")[:20])
        return await self._page(request, known, Written(present, known.book.seen(id_)), told=told, typed=open_)

    async def save(self, request: Request, intent: str, name: str) -> HTTPResponse:
        """The answer and what is told of it."""
        id_ = id_of(intent, name)
        try:
            known = await self._desk.known()
        except TrainerError as error:
            return self._desk.broken(request, error)
        present = must_be_there(known, id_)
        given = forms.written(request, present)
        if field(request, "geste") == "espaces":
            return await self._page(request, known, _typeset(given))
        if field(request, "geste") != "enregistrer":
            return await self._page(request, known, given)

        def make(book: Book) -> Wanted:
            return question_moves.reworded(book, id_, given.seen, given.question.variants)

        try:
            wrong: list[TrainerError] = [*map(Unreadable, given.faults)]
            wrong += await raised_by(_must_be_nobodys(request, given.question, present))
            if wrong:
                raise together([*wrong, *await raised_by(self._desk.try_out([id_], make))])
            saved = await self._desk.save(request, [id_], make)
        except Changed as error:
            return await self._conflict(request, id_, given, error)
        except TrainerError as error:
            return await self._page(request, known, given, 422, error)
        return _back(id_, "enregistre" if saved else "pareil")

    async def preview(self, request: Request, intent: str, name: str) -> HTTPResponse:
        """Phones and findings for what is typed."""
        id_ = id_of(intent, name)
        try:
            known = await self._desk.known()
        except TrainerError as error:
            return self._desk.broken(request, error)
        given = forms.written(request, must_be_there(known, id_))
        return self._desk.page(request, "_question_preview", **await self._looked(known, given))

    async def checked(self, request: Request, intent: str, name: str) -> HTTPResponse:
        """The official page was opened today: one click."""
        id_ = id_of(intent, name)
        seen, today, by = field(request, "vu"), self._desk.today(), request.ctx.user.name

        def make(book: Book) -> Wanted:
            present = book.get(id_)
            variants = forms.checked_today(present, today, by) if present else ()
            return question_moves.reworded(book, id_, seen, variants)

        return await self._done(request, id_, [id_], make, "verifiee")

    async def examples(self, request: Request, intent: str, name: str) -> HTTPResponse:
        """Add, correct, move or remove."""
        id_ = id_of(intent, name)
        try:
            known = await self._desk.known()
        except TrainerError as error:
            return self._desk.broken(request, error)
        present = must_be_there(known, id_)
        typed = Typed(field(request, "texte"), field(request, "cle"), field(request, "vers"))
        try:
            ids, make, told = await self._meant(request, present, typed)
        except TrainerError as error:
            return await self._page(request, known, Written(present, known.book.seen(id_)), 422, error, typed=typed)
        return await self._done(request, id_, ids, make, told, typed)

    async def undo(self, request: Request, intent: str, name: str) -> HTTPResponse:
        """Take a saving back, as long as nobody has changed the same since."""
        id_ = id_of(intent, name)
        try:
            await self._desk.undo(request, id_, whole(field(request, "changement"), 0))
            known = await self._desk.known()
        except TrainerError as error:
            return await self._refused(request, id_, error, 409)
        return _back(id_, "annule") if id_ in known.questions else redirect(f"{PATH}?theme={intent}", status=303)

    async def _meant(
        self, request: Request, present: Question, typed: Typed
    ) -> tuple[list[str], question_moves.Make, str]:
        """(the questions that change, how, what is said of it) of a form about examples. Raises TrainerError."""
        act, id_ = field(request, "geste"), present.id
        if act == "ajouter":
            lines = lines_of(typed.text)
            if not lines or len(lines) > AT_ONCE:
                raise TrainerError(
                    f"{len(lines)} exemples d’un coup." if lines else "L’exemple est vide.",
                    f"Écrivez-en un par ligne, {AT_ONCE} au plus à la fois.",
                )
            await must_be_public(request, lines)
            return [id_], lambda book: question_moves.taught(book, id_, lines), "ajoute"
        text = next((one for one in present.examples if says.key(id_, one) == typed.key), None)
        if text is None:
            raise Changed(
                "Cet exemple n’est plus dans cette question\u00a0: quelqu’un l’a changé ou retiré. Rien n’a été changé.",
                "Voyez ci-dessous ce qu’elle contient maintenant.",
            )
        if act == "retirer":
            return [id_], lambda book: question_moves.unlearned(book, id_, text), "retire"
        lines = lines_of(typed.text)
        if act != "enregistrer" or len(lines) != 1:
            raise TrainerError("L’exemple est vide, ou tient sur plusieurs lignes.", "Écrivez-le sur une ligne.")
        await must_be_public(request, lines, text)
        if typed.to not in ("", id_):
            to = typed.to
            return [id_, to], lambda book: question_moves.moved(book, id_, text, to, lines[0]), "deplace"
        return [id_], lambda book: question_moves.corrected(book, id_, text, lines[0]), "corrige"

    async def _done(
        self,
        request: Request,
        id_: str,
        ids: Collection[str],
        make: question_moves.Make,
        told: str,
        typed: Typed | None = None,
    ) -> HTTPResponse:
        try:
            saved = await self._desk.save(request, ids, make)
        except TrainerError as error:
            status = 409 if isinstance(error, Changed) else 422
            return await self._refused(request, id_, error, status, typed)
        return _back(id_, told if saved else "pareil")

    async def _refused(
        self, request: Request, id_: str, error: TrainerError, status: int, typed: Typed | None = None
    ) -> HTTPResponse:
        try:
            known = await self._desk.known()
        except TrainerError as bad:
            return self._desk.broken(request, bad)
        present = must_be_there(known, id_)
        return await self._page(request, known, Written(present, known.book.seen(id_)), status, error, typed=typed)

    async def _conflict(self, request: Request, id_: str, given: Written, error: Changed) -> HTTPResponse:
        """Somebody was faster: both are shown, and who saves once more has seen both."""
        known = await self._desk.known()
        theirs = must_be_there(known, id_)
        return await self._page(request, known, replace(given, seen=known.book.seen(id_)), 409, error, theirs=theirs)

    # -- showing -----------------------------------------------------------------------------------------------------

    async def _page(
        self,
        request: Request,
        known: Known,
        written: Written,
        status: int = 200,
        error: TrainerError | None = None,
        theirs: Question | None = None,
        told: str = "",
        typed: Typed | None = None,
    ) -> HTTPResponse:
        id_ = written.question.id
        async with self._db.begin() as connection:
            changes = await reply_changes.of(connection, id_)
        counts = await self._desk.counts()
        present = known.questions[id_]
        return self._desk.page(
            request, "question", status, present=present, error=error, theirs=theirs, told=told, typed=typed or Typed(),
            refusals=refusals, row=row_of(present, known, counts), changes=changes, others=_grouped(known.questions.values()),
            counted=bool(counts), today=known.today, agent=policy_of(present.intent).route != ANSWER,
            options=[one for one in known.questions.values() if one.intent == present.intent],
            **await self._looked(known, written),
        )  # fmt: skip

    async def _looked(self, known: Known, written: Written) -> Mapping[str, Any]:
        """What the preview shows."""
        findings = await asyncio.to_thread(self._findings, known, written.question)
        titles = [known.questions[id_].title for id_ in written.question.related if id_ in known.questions]
        return {"written": written, "findings": findings, "titles": titles, "forms": forms, "limits": LIMITS}

    def _findings(self, known: Known, typed: Question) -> list[Finding]:
        """What is wrong with an answer as it is typed, among the others as they stand."""
        if known.questions.get(typed.id) == typed:
            return question_checks.about(known.findings.get(typed.id, ()), typed.id)
        return question_checks.of_typed(self._desk.project, known.book, typed, known.today)


def _back(id_: str, told: str) -> HTTPResponse:
    return redirect(f"{PATH}/{id_}?fait={told}", status=303)


async def _must_be_nobodys(request: Request, given: Question, present: Question) -> None:
    """The words of the question, which may have come from a message; an answer names numbers and places on purpose."""
    lines = [new for new, old in ((given.question, present.question), (given.title, present.title)) if new != old]
    await must_be_public(request, lines)


def _typeset(given: Written) -> Written:
    variants = tuple(
        replace(v, text=says.typeset(v.text), metadata={k: _spaced(k, x) for k, x in v.metadata.items()})
        for v in given.question.variants
    )
    question = catalogue.of_variants(given.question.id, given.question.examples, variants)
    return replace(given, question=replace(question, file=given.question.file))


def _spaced(key: str, value: catalogue.Value) -> catalogue.Value:
    return says.typeset(value) if isinstance(value, str) and key in ("title", "question", "link_title") else value


def _grouped(questions: Iterable[Question]) -> list[tuple[str, list[Question]]]:
    """By topic, to choose from."""
    found: dict[str, list[Question]] = {}
    for one in questions:
        found.setdefault(one.intent, []).append(one)
    return [(intent, found[intent]) for intent in sorted(found, key=says.order)]
