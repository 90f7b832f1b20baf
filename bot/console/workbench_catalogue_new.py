"""A new question of the catalogue: from nothing, or from a misread message, which may also join a question that stands.

A message's words come here pseudonymised. The question and the decision about its message are two savings: a message that
somebody else has decided meanwhile costs no work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from sanic import Blueprint, HTTPResponse, Request
from sanic.exceptions import NotFound
from sanic.response import redirect

from bot.console import workbench_catalogue_form as forms
from bot.console import workbench_catalogue_refusals as refusals
from bot.console import workbench_catalogue_words as says
from bot.console.forms import field as sent
from bot.console.forms import whole
from bot.console.site import Site, Topic
from bot.console.workbench_catalogue_desk import AT_ONCE, LIMITS, PATH, CatalogueDesk, Known, lines_of
from bot.console.workbench_catalogue_refusals import Unreadable, raised_by, together
from bot.console.workbench_inbox_example import Bench
from bot.console.workbench_pseudonyms import must_be_public
from bot.core.catalogue import Question, Variant, of_variants
from bot.core.errors import Explained
from bot.core.examples import QUESTION
from bot.policy.intents import ANSWER, EMERGENCY, policy_of
from bot.policy.rights import Capability
from bot.store.desk.errors import Conflict
from bot.store.workbench.review import Kind, NoSuchReading, Opened, ReviewStore
from bot.trainer import question_moves
from bot.trainer.checks.answer_examples import FEWEST, nearest
from bot.trainer.errors import TrainerError
from bot.trainer.pseudonyms import Pseudonymised
from bot.trainer.questions import Book, Wanted

NEAREST = 5  # questions that a message may join
NAME_AT_MOST = 60
NAMELESS = "sans_nom"


def routes(site: Site) -> Blueprint:
    """The form, and what it does."""
    views, topic = NewViews(site), Topic("workbench-catalogue-new")
    topic.page(f"{PATH}/nouvelle", views.blank, Capability.CORRECT, "blank")
    topic.form(f"{PATH}/nouvelle", views.add, Capability.CORRECT, "add")
    return topic.blueprint


@dataclass(frozen=True)
class Message:
    """The message that a question comes from. `read`: what it was taken for; `shown`, `upto`: as `ReviewStore.decide` has them."""

    event: int = 0
    read: str = ""
    shown: str = ""
    upto: int = 0
    size: int = 1

    @staticmethod
    def of(request: Request) -> Message:
        """As the form says it; event 0: no message."""
        event, upto, size = (whole(sent(request, name), 0) for name in ("message", "jusqua", "semblables"))
        return Message(event, sent(request, "lu")[:80], sent(request, "vus")[:64], upto, max(1, size))


@dataclass(frozen=True)
class Typed:
    """What stands in the form. `lines`: the examples; `seen`: what was replaced in the message, where it is shown."""

    topic: str = ""
    name: str = ""
    question: Question = field(default_factory=lambda: of_variants("x/x", (), (Variant("", (), {"checked": None}),)))
    lines: tuple[str, ...] = ()
    message: Message = Message()
    seen: Pseudonymised | None = None

    @property
    def id(self) -> str:
        """The question's; one with a wrong name is looked at under another, so that all that is wrong with it is told at once."""
        named = f"{self.topic}/{self.name}"
        return named if QUESTION.fullmatch(named) else f"{self.topic}/{NAMELESS}"


class NewViews:
    """A form that is refused is shown again with what was typed."""

    def __init__(self, site: Site) -> None:
        self._desk = CatalogueDesk(site)
        self._deps = site.deps
        self._store = ReviewStore(site.deps.database, site.deps.codec)

    async def blank(self, request: Request) -> HTTPResponse:
        """An empty form, or one that begins with a message."""
        typed = Typed(topic=str(request.args.get("theme") or ""))
        try:
            known = await self._desk.known()
            if event := whole(request.args.get("message"), 0):
                typed = await self._from_message(request, event)
        except TrainerError as error:
            return self._desk.broken(request, error)
        return await self._form(request, known, typed)

    async def add(self, request: Request) -> HTTPResponse:
        """Create it; or give its examples to a question that stands."""
        typed, existing = _typed(request), sent(request, "existante")
        try:
            known = await self._desk.known()
        except TrainerError as error:
            return self._desk.broken(request, error)
        try:
            id_ = await self._added(request, typed, existing)
        except (TrainerError, Conflict, NoSuchReading) as error:
            status = 422 if isinstance(error, TrainerError) else 409
            return await self._form(request, known, typed, error, status)
        told = "ajoute" if existing else "cree"
        if typed.message.event and not await self._decided(request, typed.message, id_.partition("/")[0]):
            told += "-deja"
        return redirect(f"{PATH}/{id_}?fait={told}", status=303)

    async def _added(self, request: Request, typed: Typed, existing: str) -> str:
        """The question's id. Raises TrainerError, and Conflict or NoSuchReading for a message that does not wait any more."""
        if typed.message.event:
            await self._store.must_wait(typed.message.event)
        if not typed.lines or len(typed.lines) > AT_ONCE:
            raise TrainerError(
                "Les exemples manquent." if not typed.lines else f"Plus de {AT_ONCE} exemples d’un coup.",
                f"Écrivez-en un par ligne, {FEWEST} au moins pour une nouvelle question.",
            )
        if existing:
            await must_be_public(request, typed.lines)
            await self._desk.save(request, [existing], lambda book: question_moves.taught(book, existing, typed.lines))
            return existing

        def make(book: Book) -> Wanted:
            return question_moves.created(book, _wanted(typed))

        if wrong := await _wrong(request, typed):
            if QUESTION.fullmatch(typed.id):  # the rules have to know where it belongs
                wrong += await raised_by(self._desk.try_out([typed.id], make))
            raise together(wrong)
        await self._desk.save(request, [typed.id], make)
        return typed.id

    async def _decided(self, request: Request, message: Message, intent: str) -> bool:
        """Take the message off the list: it meant that topic. False when somebody else had decided it, or it is gone."""
        kind: Kind = "confirmed" if intent == message.read else "chosen"
        user, now = request.ctx.user, self._deps.clock.now()
        try:
            await self._store.decide(user, message.event, kind, intent, now, message.shown, message.upto)
        except (Conflict, NoSuchReading):
            return False
        return True

    async def _from_message(self, request: Request, event: int) -> Typed:
        """A form that begins with a message's words, pseudonymised. That they were shown is recorded."""
        try:
            opened: Opened = await self._store.open_(request.ctx.user, event, self._deps.clock.now())
        except NoSuchReading:
            raise NotFound("no such reading") from None
        reading = opened.reading
        draft = await asyncio.to_thread(Bench(self._desk.project).draft, reading.words, ())
        intent = reading.intent or ""
        message = Message(event, intent, opened.shown_all, opened.upto, opened.size)
        topic = intent if intent and policy_of(intent).route == ANSWER else ""
        return Typed(topic=topic, lines=tuple(lines_of(draft.text)), message=message, seen=draft.pseudonymised)

    async def _form(
        self, request: Request, known: Known, typed: Typed, error: Explained | None = None, status: int = 200
    ) -> HTTPResponse:
        near = await asyncio.to_thread(nearest, list(known.questions.values()), " ".join(typed.lines[:1]), NEAREST)
        topics = sorted((one for one in known.intents if policy_of(one).route != EMERGENCY), key=says.order)
        return self._desk.page(
            request, "question_new", status, typed=typed, one=typed.question, error=error, near=near if typed.lines else (),
            topics=topics, limits=LIMITS, fewest=FEWEST, forms=forms, today=known.today, options=known.questions.values(),
            name_at_most=NAME_AT_MOST, carried=_carried(typed), refusals=refusals,
        )  # fmt: skip


def _carried(typed: Typed) -> Mapping[str, str]:
    """Hidden fields that carry the message along."""
    message = typed.message
    if not message.event:
        return {}
    return {
        "message": str(message.event),
        "lu": message.read,
        "vus": message.shown,
        "jusqua": str(message.upto),
        "semblables": str(message.size),
    }


def _typed(request: Request) -> Typed:
    """What was sent; never raises."""
    metadata = forms.told(request, {"checked": None})
    variants = (Variant(forms.words(sent(request, "texte-0")), (), metadata),)
    return Typed(
        sent(request, "theme")[:NAME_AT_MOST],
        sent(request, "nom")[:NAME_AT_MOST].strip(),
        of_variants("x/x", (), variants),
        tuple(lines_of(sent(request, "exemples"))),
        Message.of(request),
    )


async def _wrong(request: Request, typed: Typed) -> list[TrainerError]:
    """What is wrong with the form, the rules of the catalogue aside."""
    wrong: list[TrainerError] = []
    if not typed.topic:
        wrong.append(TrainerError("Le thème manque.", "Choisissez celui dont parle la question."))
    elif typed.id != f"{typed.topic}/{typed.name}":
        wrong.append(question_moves.misnamed(typed.name))
    wrong += map(Unreadable, forms.faults(typed.question.answer.metadata))
    lines = [*typed.lines, typed.question.question, typed.question.title]
    return wrong + await raised_by(must_be_public(request, lines))


def _wanted(typed: Typed) -> Question:
    """The question as it would be written. Raises TrainerError."""
    answer = typed.question.answer
    return question_moves.blank(typed.id, typed.lines, answer.text, answer.metadata)
