"""The candidate model in a chat beside the one in service.

Nothing that is typed here is kept: the exchange and both dialogue states travel in the page, sealed, and are gone with it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import html, redirect

from bot.console import workbench_talks_words as says
from bot.console.door import LIVE_HEADER
from bot.console.forms import field
from bot.console.site import Site, Topic
from bot.core.clean import clean, for_understanding
from bot.core.dialogue import Reply, Turn
from bot.core.errors import EngineDown, EngineError, Explained, SettingsError
from bot.core.messages import Platform
from bot.meta.template import Shape, shape
from bot.policy.rights import Capability
from bot.store.codec import Codec
from bot.store.outbox import links_of
from bot.trainer import candidates
from bot.trainer.candidates import Card, Model
from bot.trainer.errors import TrainerError
from bot.trainer.trial import READY, STARTING, State, Taken, Trial, TrialError

PATH = "/atelier/essayer"
TOKEN = "trial"  # noqa: S105 (news, no secret)
MOST_TURNS = 12  # exchanges that a page carries; the dialogue's states go on
LONGEST = 2_000  # characters of a message
_SEALED = "trial.thread"
_BIGGEST = 250_000  # characters of a sealed exchange


@dataclass(frozen=True)
class Column:
    """What one model made of a message. `fault`: why it said nothing, in French."""

    intent: str | None = None
    confidence: float = 0.0
    ranking: Sequence[Sequence[Any]] = ()
    entities: Mapping[str, str] | None = None
    route: str = ""
    category: str = "none"
    danger: float = 0.0
    by: str | None = None
    replies: Sequence[Mapping[str, Any]] = ()  # text, quick: [[title, payload]], links: [[title, url]]
    fault: str = ""


@dataclass(frozen=True)
class Exchange:
    """One message and what both models made of it. `tap`: a quick reply was touched."""

    said: str
    tap: bool
    now: Column
    new: Column

    @property
    def differs(self) -> tuple[str, ...]:
        """In what the two differ: intent, route, reply."""
        if self.now.fault or self.new.fault:
            return ()
        pairs = {
            "intent": (self.now.intent, self.new.intent),
            "route": ((self.now.route, self.now.category), (self.new.route, self.new.category)),
            "reply": ([r["text"] for r in self.now.replies], [r["text"] for r in self.new.replies]),
        }
        return tuple(name for name, (one, other) in pairs.items() if one != other)


@dataclass(frozen=True)
class Thread:
    """The exchange so far. `candidate`: with which model; `states`: of the dialogue, of the model in service first; `said`:
    whether each has spoken yet, `handed`: whether it has asked for an agent."""

    candidate: str = ""
    exchanges: tuple[Exchange, ...] = ()
    states: tuple[dict[str, Any] | None, dict[str, Any] | None] = (None, None)
    begun: tuple[bool, bool] = (False, False)
    handed: tuple[bool, bool] = (False, False)


def routes(site: Site) -> Blueprint:
    """The page, its messages, the candidate's engine."""
    views, topic = TrialViews(site), Topic("workbench_trial")
    topic.page(PATH, views.show, Capability.TRAIN, "show")
    topic.form(f"{PATH}/demarrer", views.start, Capability.TRAIN, "start")
    topic.form(f"{PATH}/arreter", views.stop, Capability.TRAIN, "stop")
    topic.form(f"{PATH}/dire", views.say, Capability.TRAIN, "say")
    return topic.blueprint


class TrialViews:
    """Shows the trial."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def show(self, request: Request) -> HTTPResponse:
        """The page before anything was said; its live part alone when it asks by itself."""
        return await self._page(request, Thread())

    async def start(self, request: Request) -> HTTPResponse:
        """Start the candidate that was chosen."""
        trial = self._site.deps.trial
        known = await asyncio.to_thread(self._candidates)
        chosen = next((model for model in known if model.hash == field(request, "candidat")), None)
        try:
            if trial is None:
                raise _nothing_here()
            if chosen is None:
                raise TrialError("Ce candidat n’existe pas, ou plus.", "Choisissez-en un dans la liste.")
            await trial.candidate.start(chosen, request.ctx.user.name, bool(field(request, "remplacer")))
        except TrainerError as error:
            taken = chosen.hash if isinstance(error, Taken) and chosen else ""
            return await self._page(request, Thread(), error, 409 if chosen else 422, taken)
        return redirect(PATH, status=303)

    async def stop(self, request: Request) -> HTTPResponse:
        """End the candidate's engine."""
        if self._site.deps.trial is not None:
            await self._site.deps.trial.candidate.stop()
        return redirect(PATH, status=303)

    async def say(self, request: Request) -> HTTPResponse:
        """One message to both models."""
        thread = opened(self._site.desk.codec, field(request, "fil"))
        words, payload = for_understanding(clean(field(request, "message")))[:LONGEST], None
        tap = _tap(field(request, "touche"), thread)
        if tap is not None:
            words, payload = tap
        if not words:
            error = TrialError("Le message est vide.", "Écrivez ce qu’une personne écrirait.")
            return await self._page(request, thread, error, 422)
        trial = self._site.deps.trial
        if trial is None:
            return await self._page(request, thread, _nothing_here(), 409)
        return await self._page(request, await self._said(trial, thread, words, payload))

    # -- one message -----------------------------------------------------------------------------------------------

    async def _said(self, trial: Trial, thread: Thread, words: str, payload: str | None) -> Thread:
        """The exchange after one more message."""
        model = trial.candidate.state.model
        name = model.hash if model and trial.candidate.state.phase == READY else thread.candidate
        if name != thread.candidate:  # another candidate knows nothing of what was said to the first
            thread = replace(thread, candidate=name, states=(thread.states[0], None), begun=(thread.begun[0], False))
        text = "" if payload else words
        sides = [
            self._now(trial, thread, text or words, payload),
            self._new(trial, thread, text or words, payload),
        ]
        (now, first), (new, second) = await asyncio.gather(*sides)
        return replace(
            thread,
            exchanges=(*thread.exchanges, Exchange(words, payload is not None, now, new))[-MOST_TURNS:],
            states=(first, second),
            begun=(thread.begun[0] or bool(now.replies), thread.begun[1] or bool(new.replies)),
            handed=(thread.handed[0] or now.route == "handoff", thread.handed[1] or new.route == "handoff"),
        )

    async def _now(
        self, trial: Trial, thread: Thread, words: str, payload: str | None
    ) -> tuple[Column, dict[str, Any] | None]:
        engine = self._site.deps.engine
        before = thread.states[0]
        if engine is None:
            return Column(fault="Le moteur en service n’est pas joignable d’ici."), before
        try:
            turn = await engine.turn("essai", words, before, payload)
        except EngineError as error:
            return Column(fault=_fault(error)), before
        return await self._judged(trial, words, turn, None, thread, 0)

    async def _new(
        self, trial: Trial, thread: Thread, words: str, payload: str | None
    ) -> tuple[Column, dict[str, Any] | None]:
        state, before = trial.candidate.state, thread.states[1]
        if state.phase != READY:
            fault = "Le candidat démarre encore." if state.phase == STARTING else "Aucun candidat n’est à l’essai."
            return Column(fault=fault), before
        try:
            turn = await trial.candidate.turn(words, before, payload)
        except TrialError as error:
            return Column(fault=error.what), before
        except EngineError as error:
            return Column(fault=_fault(error)), before
        return await self._judged(trial, words, turn, state.model, thread, 1)

    async def _judged(
        self, trial: Trial, words: str, turn: Turn, model: Model | None, thread: Thread, side: int
    ) -> tuple[Column, dict[str, Any] | None]:
        begun, handed = thread.begun[side], thread.handed[side]
        try:
            found = await asyncio.to_thread(trial.judge, words, turn, model, begun=begun, handed=handed)
        except Explained as error:  # a file of the project that cannot be read at this moment
            return Column(fault=f"{error.what} {error.remedy}".strip()), thread.states[side]
        column = Column(
            found.intent,
            found.confidence,
            [list(row) for row in found.ranking[:4]],
            dict(found.entities),
            found.route,
            found.category,
            found.danger,
            found.by,
            [_plain(reply) for reply in found.replies],
        )
        # An emergency reply stands in the place of the dialogue: the worker does not keep its state either.
        return column, thread.states[side] if found.by else turn.state

    # -- the page --------------------------------------------------------------------------------------------------

    def _candidates(self) -> list[Model]:
        project = self._site.deps.project
        return candidates.candidates(project.root) if project is not None else []

    def _read(self) -> tuple[list[tuple[Model, Card | None]], Model | None]:
        """The candidates with their cards, and the model in service."""
        project = self._site.deps.project
        present = candidates.current(project.root, self._site.deps.var) if project is not None else None
        return [(model, Card.read(model.card)) for model in self._candidates()], present

    async def _page(
        self, request: Request, thread: Thread, error: Explained | None = None, status: int = 200, taken: str = ""
    ) -> HTTPResponse:
        trial = self._site.deps.trial
        state = trial.candidate.state if trial is not None else State()
        known, present = await asyncio.to_thread(self._read)
        chosen = taken or str(request.args.get("candidat") or "") or (state.model.hash if state.model else "")
        template = "workbench/_trial_state.html" if LIVE_HEADER in request.headers else "workbench/trial.html"
        page = self._site.renderer.page(
            template,
            user=request.ctx.user,
            csrf=request.ctx.csrf,
            says=says,
            path=PATH,
            thread=thread,
            sealed=sealed(self._site.desk.codec, thread) if thread.exchanges else "",
            known=known,
            present=present,
            state=state,
            chosen=chosen,
            taken=taken,
            error=error,
            works=trial is not None,
            most=LONGEST,
            on_screen=on_screen,
        )
        return html(page, status)


def _plain(reply: Reply) -> dict[str, Any]:
    quick = [[q.title, q.payload] for q in reply.quick_replies]
    return {"text": reply.text, "quick": quick, "links": [[link.title, link.url] for link in reply.links]}


def on_screen(reply: Mapping[str, Any]) -> Shape:
    """A reply as Messenger shows it; a page that was open before has no links."""
    return shape(reply["text"], links_of(reply), Platform.MESSENGER)


def _nothing_here() -> TrialError:
    return TrialError("Cette console n’a pas de moteur à essayer.", "Ouvrez l’atelier sur la machine de Planton.")


def _fault(error: EngineError) -> str:
    if isinstance(error, EngineDown):
        return "Le moteur ne répond pas. Réessayez dans un instant."
    return "Le moteur n’a rien su répondre à ce message."


def _tap(given: str, thread: Thread) -> tuple[str, str] | None:
    """(title, payload) of a quick reply that stands in the last exchange; anything else is no tap."""
    last = thread.exchanges[-1] if thread.exchanges else None
    for column in (last.now, last.new) if last else ():
        for reply in column.replies:
            for title, payload in reply["quick"]:
                if payload == given:
                    return str(title), str(payload)
    return None


# -- the exchange, sealed in the page ---------------------------------------------------------------------------------


def sealed(codec: Codec, thread: Thread) -> str:
    """The exchange as a field of the page: nobody reads or changes it without the key."""
    while True:
        raw = codec.seal_json(asdict(thread), _SEALED)
        text = base64.urlsafe_b64encode(raw).decode()
        if len(text) <= _BIGGEST or not thread.exchanges:
            return text
        thread = replace(thread, exchanges=thread.exchanges[1:])


def opened(codec: Codec, given: str) -> Thread:
    """The exchange of a field; a new one for what is none of ours."""
    if not given or len(given) > _BIGGEST:
        return Thread()
    try:
        kept = codec.open_json(base64.urlsafe_b64decode(given.encode("ascii")), _SEALED)
        exchanges = [
            Exchange(one["said"], one["tap"], Column(**one["now"]), Column(**one["new"])) for one in kept["exchanges"]
        ]
        return Thread(
            kept["candidate"], tuple(exchanges), tuple(kept["states"]), tuple(kept["begun"]), tuple(kept["handed"])
        )
    except (ValueError, binascii.Error, SettingsError, KeyError, TypeError):
        return Thread()
