"""The examples: intents with their counts; one intent's examples searched, added, edited in place, moved, removed, undone."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from sanic import Blueprint, HTTPResponse, Request
from sanic.exceptions import NotFound
from sanic.response import html, redirect

from bot.console import workbench_examples_words as says
from bot.console.forms import field, whole
from bot.console.site import STARTED, Site, Topic
from bot.console.workbench_pseudonyms import KINDS, confirmed, must_be_public
from bot.console.workbench_search import seal_words, searched
from bot.core.errors import Explained
from bot.core.examples import NAME
from bot.policy.intents import INTENTS
from bot.policy.rights import Capability
from bot.store.codec import Codec
from bot.store.workbench.corrections import Corrections
from bot.trainer.checks import check_example
from bot.trainer.checks.context import Context
from bot.trainer.checks.finding import Finding
from bot.trainer.corpus import NLU, Corpus, Example, Operation, entity_names, short, tidy, without_marks
from bot.trainer.correcting import correct, undo
from bot.trainer.errors import BadFile, TrainerError
from bot.trainer.guide import definitions
from bot.trainer.intent_removal import removable
from bot.trainer.project import Project

PATH = "/atelier/exemples"
PAGE = 100  # examples
QUERY_AT_MOST = 200
AT_ONCE = 50  # examples that one form adds
TOLD = 20  # corrections that an address names
LAST = 8  # corrections shown beside the examples
PLACES = ("tous", "nlu", "fonds")


class NoProject(TrainerError):
    """The trainers' files are not on this machine."""


def routes(site: Site) -> Blueprint:
    """The intents, one intent, and what is done there."""
    views, topic = ExampleViews(site), Topic("workbench-examples")
    topic.page(PATH, views.index, Capability.SEE_WORKBENCH, "index")
    topic.form(PATH, views.seek, Capability.SEE_WORKBENCH, "seek")
    topic.form(f"{PATH}/verifier", views.check, Capability.CORRECT, "check")
    topic.form(f"{PATH}/annuler", views.undo, Capability.CORRECT, "undo")
    topic.page(f"{PATH}/<intent:str>", views.one, Capability.SEE_WORKBENCH, "one")
    topic.form(f"{PATH}/<intent:str>", views.act, Capability.CORRECT, "act")
    topic.blueprint.listener("before_server_start")(views.warm)
    topic.blueprint.listener("before_server_stop")(views.cool)
    return topic.blueprint


@dataclass(frozen=True)
class Row:
    """An intent in the list: examples of ours, of the background, what it is about."""

    intent: str
    own: int
    background: int
    definition: str


@dataclass(frozen=True)
class Asked:
    """Which examples of an intent to show. `edit`: the key of the one that is open to change.

    `query`: words to look for, often a citizen's; `sealed`: the same as addresses and forms carry them.
    """

    query: str = ""
    place: str = "tous"
    first: int = 0
    edit: str = ""
    sealed: str = ""

    @staticmethod
    def of(codec: Codec, given: Callable[[str], str], edit: str | None = None) -> Asked:
        """As an address or a form says it. `given`: a field's value; `edit`: which one is open, if that is known."""
        place = given("fichier") or "tous"
        query, sealed = searched(codec, given("r"))
        open_ = given("modifier")[:20] if edit is None else edit
        return Asked(query, place if place in PLACES else "tous", whole(given("de"), 0), open_, sealed)

    @property
    def back(self) -> dict[str, str]:
        """What an address says to come back to the same place."""
        place = "" if self.place == "tous" else self.place
        told = {"fichier": place, "r": self.sealed, "de": str(self.first or "")}
        return {name: value for name, value in told.items() if value}


@dataclass(frozen=True)
class Typed:
    """What a refused form gives back. `key`: of the example that it was about, "" for new ones."""

    text: str = ""
    intent: str = ""
    key: str = ""


class ExampleViews:
    """A form that is refused is shown again with what was typed."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._db = site.deps.database
        self._codec = site.desk.codec
        self._warming: asyncio.Task[None] | None = None

    async def warm(self, *_: Any) -> None:
        """Thirty thousand examples take two seconds to read: before the first page, not during it; and not while all
        else starts."""
        project = self._site.deps.project
        if project is None:
            return

        async def read() -> None:
            await asyncio.sleep(STARTED)
            with contextlib.suppress(TrainerError):  # the page that needs it will say what is wrong
                await asyncio.to_thread(Context.of, project)

        self._warming = asyncio.create_task(read())

    async def cool(self, *_: Any) -> None:
        """The console ends."""
        if self._warming is not None:
            self._warming.cancel()

    # -- pages -------------------------------------------------------------------------------------------------------

    async def index(self, request: Request) -> HTTPResponse:
        """All intents; with words to look for, the examples that say them, whatever their intent."""
        asked = self._asked(request)
        try:
            project, corpus = await self._corpus()
        except TrainerError as error:
            return self._broken(request, error)
        known = await asyncio.to_thread(definitions, project)
        found = await asyncio.to_thread(_saying, corpus.examples, asked.query) if asked.query else []
        first = _page_of(asked.first, len(found))
        return self._page(
            request, "workbench/examples.html", rows=_rows(corpus, known), asked=asked, n=len(found), first=first, page=PAGE,
            found=found[first : first + PAGE], total=len(corpus.examples), edited=len(corpus.edited.examples),
            removed=request.args.get("fait") == "retiree",
        )  # fmt: skip

    async def one(self, request: Request, intent: str) -> HTTPResponse:
        """The examples of an intent."""
        return await self._intent(request, intent, self._asked(request))

    async def seek(self, request: Request) -> HTTPResponse:
        """Read the words to look for, and lead to the address of what says them."""
        intent, query = field(request, "intention"), field(request, "q")[:QUERY_AT_MOST].strip()
        asked = replace(Asked.of(self._codec, functools.partial(field, request)), first=0, sealed="")
        if query:
            asked = replace(asked, sealed=seal_words(self._codec, query))
        path = f"{PATH}/{intent}" if NAME.fullmatch(intent) else PATH
        return redirect(_address(path, asked.back), status=303)

    # -- what is done ------------------------------------------------------------------------------------------------

    async def act(self, request: Request, intent: str) -> HTTPResponse:
        """Add, change, move or remove."""
        try:
            _, corpus = await self._corpus()
        except TrainerError as error:
            return self._broken(request, error)
        _must_exist(corpus, intent)
        typed = Typed(field(request, "texte"), field(request, "vers") or intent, field(request, "cle"))
        try:
            numbers = await self._done(request, intent, typed, corpus)
        except TrainerError as error:
            asked = Asked.of(self._codec, functools.partial(field, request), typed.key)
            return await self._intent(request, intent, asked, typed, error)
        back = Asked.of(self._codec, functools.partial(field, request)).back
        if numbers:
            back["fait"] = "-".join(str(number) for number in numbers[:TOLD])
        return redirect(_address(f"{PATH}/{intent}", back), status=303)

    async def undo(self, request: Request) -> HTTPResponse:
        """Take corrections back, the last first."""
        back = field(request, "retour")
        try:
            project, corpus = await self._corpus()
        except TrainerError as error:
            return self._broken(request, error)
        intent = back if back in corpus.intents else ""
        numbers = _numbers(field(request, "correction"))
        if not numbers:
            raise NotFound("no such correction")
        try:
            for number in reversed(numbers):
                await undo(project, self._db, request.ctx.user, self._site.deps.wall.now(), number)
        except TrainerError as error:
            if intent:
                return await self._intent(request, intent, Asked(), None, error, 409)
            return self._broken(request, error, 409)
        if back == "changements":
            return redirect("/atelier/changements?fait=annule", status=303)
        return redirect(f"{PATH}/{intent}?fait=annule" if intent else PATH, status=303)

    async def check(self, request: Request) -> HTTPResponse:
        """What is wrong with what is being typed: a fragment."""
        intent = field(request, "vers")
        lines = _lines(field(request, "texte"))[:AT_ONCE]
        try:
            project, corpus = await self._corpus()
        except TrainerError as error:
            return self._page(request, "workbench/_example_checks.html", findings=[], error=error, lines=[])
        if intent not in corpus.intents:
            return self._page(request, "workbench/_example_checks.html", findings=[], error=None, lines=[])
        instead = _of_key(corpus, field(request, "cle"))
        context = await asyncio.to_thread(Context.of, project)
        found = await asyncio.to_thread(_checked, context, intent, lines, instead)
        return self._page(request, "workbench/_example_checks.html", findings=found, error=None, lines=lines)

    async def _done(self, request: Request, intent: str, typed: Typed, corpus: Corpus) -> list[int]:
        project = self._site.deps.project
        assert project is not None
        act = field(request, "geste")
        if act == "ajouter":
            operations = await self._added(request, intent, typed)
        else:
            example = _of_key(corpus, typed.key)
            if example is None or example.intent != intent:
                raise TrainerError(
                    "Cet exemple n’est plus dans cette intention\u00a0: quelqu’un l’a changé ou retiré. Rien n’a été changé.",
                    "Voyez ci-dessous ce qu’elle contient maintenant.",
                )
            operations = await self._changed(request, act, example, typed, corpus)
        return await correct(project, self._db, request.ctx.user, self._site.deps.wall.now(), operations)

    async def _added(self, request: Request, intent: str, typed: Typed) -> list[Operation]:
        lines = _lines(typed.text)
        if not lines:
            raise TrainerError("L’exemple est vide.", "Écrivez un message, comme une personne l’écrirait.")
        if len(lines) > AT_ONCE:
            raise TrainerError(f"{len(lines)} exemples d’un coup.", f"Ajoutez-en au plus {AT_ONCE} à la fois.")
        await must_be_public(request, lines)
        return [Operation("add", intent, line) for line in lines]

    async def _changed(
        self, request: Request, act: str, example: Example, typed: Typed, corpus: Corpus
    ) -> list[Operation]:
        if act == "retirer":
            return [Operation("remove", example.intent, example.marked, file=example.file)]
        if act != "enregistrer":
            raise TrainerError("Ce bouton n’existe pas.", "Rechargez la page.")
        _must_exist(corpus, typed.intent)
        text = tidy(typed.text)
        await must_be_public(request, [text], example.marked)
        changed = text if text != example.marked else None
        if typed.intent != example.intent:
            return [Operation("move", example.intent, example.marked, typed.intent, changed)]
        return [Operation("edit", example.intent, example.marked, to_marked=changed)] if changed is not None else []

    def _asked(self, request: Request) -> Asked:
        return Asked.of(self._codec, lambda name: str(request.args.get(name) or ""))

    # -- showing -----------------------------------------------------------------------------------------------------

    async def _intent(
        self,
        request: Request,
        intent: str,
        asked: Asked,
        typed: Typed | None = None,
        error: Explained | None = None,
        status: int = 422,
    ) -> HTTPResponse:
        try:
            project, corpus = await self._corpus()
        except TrainerError as bad:
            return self._broken(request, bad)
        _must_exist(corpus, intent)
        examples = corpus.of(intent)
        counts = {
            "tous": len(examples),
            "nlu": sum(e.file == NLU for e in examples),
            "fonds": sum(e.file != NLU for e in examples),
        }
        found = [
            e
            for e in _saying(examples, asked.query)
            if asked.place == "tous" or (e.file == NLU) == (asked.place == "nlu")
        ]
        first = _first(found, asked)
        shown = found[first : first + PAGE]
        known = await asyncio.to_thread(definitions, project)
        names = sorted(await asyncio.to_thread(entity_names, project))
        fresh = "" if intent in INTENTS else await asyncio.to_thread(removable, project, intent)
        async with self._db.begin() as connection:
            told = [await Corrections.get(connection, n) for n in _numbers(str(request.args.get("fait") or ""))]
            last = await Corrections.last(connection, LAST, intent)
        return self._page(
            request, "workbench/intent.html", 200 if error is None else status, intent=intent, definition=known.get(intent, ""),
            intents=corpus.intents, entity_names=names, counts=counts, n=len(found), first=first, page=PAGE, shown=shown,
            asked=asked, typed=typed or Typed(intent=intent), error=error, last=last,
            told=[one for one in told if one is not None and one.undone_at is None],
            undone=request.args.get("fait") == "annule", created=request.args.get("fait") == "creee", fresh=fresh,
        )  # fmt: skip

    async def _corpus(self) -> tuple[Project, Corpus]:
        """Raises TrainerError when there is no project, or a file is damaged."""
        project = self._site.deps.project
        if project is None:
            raise NoProject(
                "Le dossier de Planton n’est pas sur cette machine.",
                "Les exemples se corrigent sur la console qui tourne à côté de data/nlu.yml.",
            )
        return project, await asyncio.to_thread(Corpus.read, project)

    def _broken(self, request: Request, error: Explained, status: int = 503) -> HTTPResponse:
        damaged = error if isinstance(error, BadFile) else None
        return self._page(
            request, "workbench/examples_broken.html", status, error=error, damaged=damaged, part="examples"
        )

    def _page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTTPResponse:
        page = self._site.renderer.page(
            template,
            user=request.ctx.user,
            csrf=request.ctx.csrf,
            says=says,
            path=PATH,
            NLU=NLU,
            kinds=KINDS,
            said=confirmed(request),
            **values,
        )
        return html(page, status)


def _address(path: str, told: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(told)}" if told else path


def _must_exist(corpus: Corpus, intent: str) -> None:
    if intent not in corpus.intents:
        raise NotFound("no such intent")


def _rows(corpus: Corpus, known: Any) -> list[Row]:
    own: dict[str, int] = {}
    background: dict[str, int] = {}
    for example in corpus.examples:
        counts = own if example.file == NLU else background
        counts[example.intent] = counts.get(example.intent, 0) + 1
    return [Row(i, own.get(i, 0), background.get(i, 0), known.get(i, "")) for i in corpus.intents]


def _saying(examples: Sequence[Example], query: str) -> list[Example]:
    """Those that have each word of the query in them; accents and case do not count."""
    words = _plain(query).split()
    return [e for e in examples if all(word in _plain(e.text) for word in words)] if words else list(examples)


@functools.lru_cache(maxsize=65_536)  # every example once: looking through thirty thousand takes some milliseconds then
def _plain(text: str) -> str:
    if text.isascii():
        return text.lower()
    return "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))


def _first(found: Sequence[Example], asked: Asked) -> int:
    """Where the page begins: at the one that is open, if it is there."""
    if asked.edit:
        for place, example in enumerate(found):
            if says.key(example) == asked.edit:
                return place // PAGE * PAGE
    return _page_of(asked.first, len(found))


def _page_of(first: int, count: int) -> int:
    return min(first, max(0, count - 1)) // PAGE * PAGE


def _of_key(corpus: Corpus, key: str) -> Example | None:
    if not key:
        return None
    return next((example for example in corpus.examples if says.key(example) == key), None)


def _lines(text: str) -> list[str]:
    """One example a line, tidied; a dash that was copied along is taken off."""
    told = (tidy(line) for line in text.replace("\r\n", "\n").split("\n"))
    return [line.removeprefix("- ") for line in told if line.strip(" -")]


def _numbers(given: str) -> list[int]:
    """Ids in an address or a form: « 12-13 »."""
    return [number for part in given.split("-")[:TOLD] if (number := whole(part, 0))]


def _checked(
    context: Context, intent: str, lines: Sequence[str], instead: Example | None
) -> list[tuple[str, list[Finding]]]:
    """(the beginning of the text, what is wrong with it) of each line that something is wrong with."""
    found = [(short(without_marks(line)), check_example(context, intent, line, instead)) for line in lines]
    return [(text, findings) for text, findings in found if findings]
