"""The catalogue of questions: the list by topic, and a question's page with its phones, answer, examples and history."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import redirect

from bot.console import workbench_catalogue_form as forms
from bot.console import workbench_catalogue_words as says
from bot.console.forms import field, whole
from bot.console.question_counts import QuestionCount
from bot.console.site import Site, Topic
from bot.console.workbench_catalogue_desk import PATH, CatalogueDesk, Known, id_of, lines_of, must_be_there
from bot.console.workbench_catalogue_form import Written
from bot.console.workbench_pseudonyms import must_be_public
from bot.console.workbench_search import seal_words, searched
from bot.core import catalogue
from bot.core.catalogue import Question
from bot.meta.limits import QUICK_REPLY_TITLE
from bot.policy.intents import ANSWER, policy_of
from bot.policy.rights import Capability
from bot.store.workbench import reply_changes
from bot.trainer import question_checks, question_moves
from bot.trainer.checks.answers import LONGEST, LONGEST_QUESTION
from bot.trainer.checks.finding import Finding
from bot.trainer.errors import Changed, TrainerError
from bot.trainer.questions import Book, Wanted
from bot.trainer.reply_facts import AIM_BYTES, MAX_BYTES

PAGE = 40  # questions
QUERY_AT_MOST = 100
AT_ONCE = 50  # examples that one form adds
LIMITS = {
    "bytes": MAX_BYTES, "aim": AIM_BYTES, "title": QUICK_REPLY_TITLE, "question": LONGEST_QUESTION, "text": LONGEST,
    "neighbours": forms.NEIGHBOURS,
}  # fmt: skip


def routes(site: Site) -> Blueprint:
    """The list, a question's page, and what is done there."""
    views, topic = CatalogueViews(site), Topic("workbench-catalogue")
    one = f"{PATH}/<intent:str>/<name:str>"
    topic.page(PATH, views.list_, Capability.SEE_WORKBENCH, "list")
    topic.form(PATH, views.seek, Capability.SEE_WORKBENCH, "seek")
    topic.page(one, views.one, Capability.SEE_WORKBENCH, "one")
    topic.form(one, views.save, Capability.CORRECT, "save")
    topic.form(f"{one}/apercu", views.preview, Capability.CORRECT, "preview")
    topic.form(f"{one}/verifiee", views.checked, Capability.CORRECT, "checked")
    topic.form(f"{one}/exemples", views.examples, Capability.CORRECT, "examples")
    topic.form(f"{one}/annuler", views.undo, Capability.CORRECT, "undo")
    topic.blueprint.listener("before_server_start")(views.warm)
    topic.blueprint.listener("before_server_stop")(views.cool)
    return topic.blueprint


@dataclass(frozen=True)
class Row:
    """One question in the list."""

    question: Question
    count: QuestionCount
    errors: int
    overdue: bool
    unchecked: bool


@dataclass(frozen=True)
class Subject:
    """One topic in the list: how many questions, how many are overdue or never checked, how often they came."""

    intent: str
    rows: tuple[Row, ...]

    @property
    def overdue(self) -> int:
        return sum(row.overdue for row in self.rows)

    @property
    def unchecked(self) -> int:
        return sum(row.unchecked for row in self.rows)

    @property
    def count(self) -> QuestionCount:
        counts = [row.count for row in self.rows]
        return QuestionCount(sum(c.asked for c in counts), sum(c.up for c in counts), sum(c.down for c in counts))


@dataclass(frozen=True)
class Asked:
    """Which questions to show. `sealed`: the words as addresses and forms carry them."""

    chosen: str = "toutes"
    topic: str = ""
    query: str = ""
    sealed: str = ""
    first: int = 0

    @property
    def narrowed(self) -> bool:
        """Whether questions are shown, and not topics."""
        return bool(self.topic or self.query or self.chosen != "toutes")

    def link(self, **other: str) -> str:
        """The address of this list, or of another one beside it."""
        told = {"filtre": "" if self.chosen == "toutes" else self.chosen, "theme": self.topic, "r": self.sealed} | other
        kept = {name: value for name, value in told.items() if value}
        return f"{PATH}?{urlencode(kept)}" if kept else PATH


@dataclass(frozen=True)
class Typed:
    """The example that a refused form gives back. `key`: of the one that it was about, "" for new ones."""

    text: str = ""
    key: str = ""
    to: str = ""


class CatalogueViews:
    """A form that is refused is shown again with what was typed."""

    def __init__(self, site: Site) -> None:
        self._desk = CatalogueDesk(site)
        self._db = site.deps.database
        self._codec = site.desk.codec
        self._warming: asyncio.Task[None] | None = None

    async def warm(self, *_: Any) -> None:
        """A thousand questions take three seconds to read: before the first page, not during it."""

        async def read() -> None:
            with contextlib.suppress(TrainerError):  # the page that needs it will say what is wrong
                await self._desk.known()

        self._warming = asyncio.create_task(read())

    async def cool(self, *_: Any) -> None:
        """The console ends."""
        if self._warming is not None:
            self._warming.cancel()

    # -- the list ----------------------------------------------------------------------------------------------------

    async def list_(self, request: Request) -> HTTPResponse:
        """The topics; or the questions of a topic, of a filter, with some words."""
        asked = self._asked({name: str(request.args.get(name) or "") for name in ("filtre", "theme", "r", "de")})
        try:
            known = await self._desk.known()
        except TrainerError as error:
            return self._desk.broken(request, error)
        counts = await self._desk.counts()
        rows = [_row(one, known, counts) for one in known.questions.values()]
        told = {name: sum(_fits(row, name) for row in rows) for name in says.FILTERS}
        found = await asyncio.to_thread(_found, rows, asked)
        first = min(asked.first, max(0, len(found) - 1)) // PAGE * PAGE
        return self._desk.page(
            request, "catalogue", asked=asked, subjects=_subjects(rows), rows=found[first : first + PAGE], n=len(found),
            first=first, page=PAGE, counts=told, total=len(rows), counted=bool(counts),
        )  # fmt: skip

    async def seek(self, request: Request) -> HTTPResponse:
        """Read the words to look for, and lead to the address of what says them."""
        query = field(request, "q")[:QUERY_AT_MOST].strip()
        asked = self._asked({"filtre": field(request, "filtre"), "theme": field(request, "theme")})
        return redirect(asked.link(r=seal_words(self._codec, query) if query else ""), status=303)

    def _asked(self, given: Mapping[str, str]) -> Asked:
        chosen, topic = given.get("filtre", ""), given.get("theme", "")
        query, sealed = searched(self._codec, given.get("r", ""))
        return Asked(
            chosen if chosen in says.FILTERS else "toutes",
            topic if topic.isidentifier() else "",
            query,
            sealed,
            whole(given.get("de"), 0),
        )

    # -- a question --------------------------------------------------------------------------------------------------

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
        try:
            if given.faults:
                raise TrainerError(given.faults[0], "Rien n’a été enregistré.")
            await _must_be_nobodys(request, given.question, present)
            saved = await self._desk.save(
                request,
                [id_],
                lambda book: question_moves.reworded(book, id_, given.seen, given.question.variants),
            )
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
            row=_row(present, known, counts), changes=changes, others=_grouped(known.questions.values()),
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


def _row(one: Question, known: Known, counts: Mapping[str, QuestionCount]) -> Row:
    count = counts.get(one.id, QuestionCount())
    return Row(one, count, known.errors(one.id), one.overdue(known.today), one.checked is None)


def _subjects(rows: Sequence[Row]) -> list[Subject]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.question.intent, []).append(row)
    return [Subject(intent, tuple(found[intent])) for intent in sorted(found, key=says.order)]


def _grouped(questions: Iterable[Question]) -> list[tuple[str, list[Question]]]:
    """By topic, to choose from."""
    found: dict[str, list[Question]] = {}
    for one in questions:
        found.setdefault(one.intent, []).append(one)
    return [(intent, found[intent]) for intent in sorted(found, key=says.order)]


def _found(rows: Sequence[Row], asked: Asked) -> list[Row]:
    words = _plain(asked.query).split()
    found = [row for row in rows if _fits(row, asked.chosen) and asked.topic in ("", row.question.intent)]
    found = [row for row in found if all(word in _words(row.question) for word in words)]
    return sorted(found, key=lambda row: says.order(row.question.intent))


def _fits(row: Row, chosen: str) -> bool:
    return {"a-relire": row.overdue, "a-verifier": row.unchecked, "erreurs": row.errors > 0}.get(chosen, True)


def _words(one: Question) -> str:
    """All that a question says, to look for words in."""
    parts = (one.id.replace("_", " "), one.title, one.question, *(v.text for v in one.variants), *one.examples)
    return _plain("\n".join((*parts, one.link, *one.source)))


@functools.lru_cache(maxsize=4_096)
def _plain(text: str) -> str:
    """Without accents and capitals."""
    bare = unicodedata.normalize("NFKD", text.replace("’", "'"))
    return "".join(c for c in bare if not unicodedata.combining(c)).casefold()
