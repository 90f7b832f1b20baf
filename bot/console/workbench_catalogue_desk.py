"""What the catalogue's pages share: the catalogue as it stands with what is wrong with it, saving and undoing, showing a page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from sanic import HTTPResponse, Request
from sanic.exceptions import NotFound
from sanic.response import html

from bot.console import workbench_catalogue_words as says
from bot.console.question_counts import QuestionCount
from bot.console.site import Site
from bot.console.workbench_catalogue_form import NEIGHBOURS
from bot.console.workbench_pseudonyms import KINDS, confirmed
from bot.core.catalogue import Question
from bot.core.examples import QUESTION
from bot.meta.limits import QUICK_REPLY_TITLE
from bot.policy.rights import Capability
from bot.store.workbench import reply_changes
from bot.trainer import question_checks, questions
from bot.trainer.both import both
from bot.trainer.checks.answers import LONGEST, LONGEST_QUESTION
from bot.trainer.checks.finding import Finding
from bot.trainer.corpus import tidy, without_marks
from bot.trainer.errors import BadFile, TrainerError
from bot.trainer.project import Project
from bot.trainer.questions import Book, Wanted
from bot.trainer.replies import Move
from bot.trainer.reply_facts import AIM_BYTES, MAX_BYTES

PATH = "/atelier/catalogue"
AT_ONCE = 50  # examples that one form adds
LIMITS = {
    "bytes": MAX_BYTES, "aim": AIM_BYTES, "title": QUICK_REPLY_TITLE, "question": LONGEST_QUESTION, "text": LONGEST,
    "neighbours": NEIGHBOURS,
}  # fmt: skip
COUNTED = timedelta(days=90)  # how far back questions are counted


class NoProject(TrainerError):
    """The trainers' files are not on this machine."""


@dataclass(frozen=True)
class Known:
    """The catalogue as it stands; what is wrong with its answers, by question; the topics there are."""

    book: Book
    findings: Mapping[str, tuple[Finding, ...]]
    intents: Collection[str]
    today: date
    questions: Mapping[str, Question] = field(default_factory=dict)

    def errors(self, id_: str) -> int:
        """How many errors an answer has, the day of its review apart, which has its own mark."""
        return sum(one.is_error and one.code != "answer-review" for one in self.findings.get(id_, ()))


@dataclass(frozen=True)
class Row:
    """One question in the list."""

    question: Question
    count: QuestionCount
    errors: int
    overdue: bool
    unchecked: bool


def row_of(one: Question, known: Known, counts: Mapping[str, QuestionCount]) -> Row:
    """A question as it is listed."""
    count = counts.get(one.id, QuestionCount())
    return Row(one, count, known.errors(one.id), one.overdue(known.today), one.checked is None)


class CatalogueDesk:
    """One a topic; it keeps what it has read as long as the files and the day are the same."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._known: Known | None = None

    @property
    def project(self) -> Project:
        """Raises NoProject."""
        project = self.site.deps.project
        if project is None:
            raise NoProject(
                "Le dossier de Planton n’est pas sur cette machine.",
                "Le catalogue se corrige sur la console qui tourne à côté de data/answers.",
            )
        return project

    async def known(self) -> Known:
        """Raises NoProject, BadFile."""
        return await asyncio.to_thread(self._read, self.project)

    def today(self) -> date:
        """In the service's zone."""
        return self.site.deps.clock.now().astimezone(self.site.deps.zone).date()

    def _read(self, project: Project) -> Known:
        book, today, known = Book.read(project), self.today(), self._known
        if known is not None and known.today == today and _is(known.book, book):
            return known
        found: dict[str, list[Finding]] = {}
        for one in question_checks.of_answers(project, book, today):
            found.setdefault(one.what.partition(" : ")[0], []).append(one)
        findings = {id_: tuple(ones) for id_, ones in found.items()}
        self._known = Known(book, findings, question_checks.intents(project), today, book.questions)
        return self._known

    async def counts(self) -> Mapping[str, QuestionCount]:
        """How often each question came lately."""
        return await self.site.deps.question_counts(self.site.deps.clock.now() - COUNTED)

    # -- what is done ------------------------------------------------------------------------------------------------

    async def save(self, request: Request, ids: Collection[str], make: Callable[[Book], Wanted]) -> bool:
        """Write and record a change of these questions; whether anything changed. Raises TrainerError: nothing is then changed.

        What makes an error that was not there is refused (BadReply).
        """
        project, deps = self.project, self.site.deps
        gate = question_checks.gate(project, ids, self.today())
        async with both(deps.database) as doing:
            moves = await doing.files(
                lambda: questions.change(project, make, gate), lambda done: questions.undo(project, done)
            )
            if moves:
                await reply_changes.record(doing.connection, deps.wall.now(), request.ctx.user, moves)
        return bool(moves)

    async def try_out(self, ids: Collection[str], make: Callable[[Book], Wanted]) -> None:
        """Raise what `save` would refuse; nothing is written."""
        project = self.project
        gate = question_checks.gate(project, ids, self.today())
        await asyncio.to_thread(questions.try_out, project, make, gate)

    async def undo(self, request: Request, id_: str, number: int) -> None:
        """Take back one saving, once. Raises NotFound, TrainerError: nothing is then changed."""
        project, deps = self.project, self.site.deps
        async with both(deps.database) as doing:
            change = await reply_changes.get(doing.connection, number, lock=True)
            if change is None or id_ not in [move[0] for move in change.moves]:
                raise NotFound("no such change")
            if change.undone_at is not None:
                return
            moves = [Move(*move) for move in change.moves]
            await doing.files(lambda: questions.undo(project, moves), lambda done: questions.undo(project, done))
            await reply_changes.undone(doing.connection, deps.wall.now(), request.ctx.user, number)

    # -- showing -----------------------------------------------------------------------------------------------------

    def broken(self, request: Request, error: TrainerError) -> HTTPResponse:
        """Where nothing can be read."""
        return self.page(request, "catalogue_broken", 503, error=error, damaged=isinstance(error, BadFile))

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTTPResponse:
        """A page of the workbench."""
        page = self.site.renderer.page(
            f"workbench/{template}.html",
            user=request.ctx.user,
            csrf=request.ctx.csrf,
            says=says,
            path=PATH,
            kinds=KINDS,
            said=confirmed(request),
            may=request.ctx.user.may(Capability.CORRECT),
            **values,
        )
        return html(page, status)


def id_of(intent: str, name: str) -> str:
    """The question that an address names. Raises NotFound for what is none."""
    id_ = f"{intent}/{name}"
    if not QUESTION.fullmatch(id_):
        raise NotFound("no such question")
    return id_


def must_be_there(known: Known, id_: str) -> Question:
    """The question. Raises NotFound."""
    found = known.questions.get(id_)
    if found is None:
        raise NotFound("no such question")
    return found


def lines_of(given: str) -> list[str]:
    """One example a line, tidied; a dash that was copied along is taken off, and so are marks, which the catalogue has none of."""
    told = (tidy(line) for line in given.replace("\r\n", "\n").split("\n"))
    return list(dict.fromkeys(without_marks(line.removeprefix("- ")) for line in told if line.strip(" -")))


def _is(one: Book, other: Book) -> bool:
    """Whether two books were read from the same texts."""
    return list(one.files) == list(other.files) and all(one.files[name] is other.files[name] for name in one.files)
