"""Models: the one in service, the candidates with what the gate says, the versions that one can go back to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.exceptions import NotFound
from sanic.response import html, redirect

from bot.console import workbench_models_words as says
from bot.console.door import LIVE_HEADER
from bot.console.forms import field, whole
from bot.console.site import Site, Topic
from bot.console.workbench_pseudonyms import KINDS, Personal, confirmed, still_personal
from bot.core.errors import Explained
from bot.policy.rights import Capability
from bot.store.workbench.proposals import Proposal, Proposals
from bot.store.workbench.publications import (
    MESSAGE_AT_MOST,
    PUBLISH,
    REASON_AT_MOST,
    ROLLBACK,
    Asked,
    Publication,
    PublicationError,
    Publications,
)
from bot.store.workbench.runs import Runs
from bot.trainer import engines, grave, yardstick
from bot.trainer.candidates import Card, Model, candidates, current
from bot.trainer.comparison import Comparison
from bot.trainer.gate import Verdict
from bot.trainer.grave import Touch
from bot.trainer.project import Project
from bot.trainer.pseudonyms import Replacement
from bot.trainer.publishing import AGAIN, BASELINE, judged, shares, since

PATH = "/atelier/modeles"
SHOWN = 5  # candidates


def routes(site: Site) -> Blueprint:
    """The page and its buttons."""
    views, topic = ModelViews(site), Topic("workbench-models")
    topic.page(PATH, views.show, Capability.SEE_WORKBENCH, "show")
    topic.form(f"{PATH}/<name:str>/publier", views.publish, Capability.PUBLISH, "publish")
    topic.form(f"{PATH}/<name:str>/passer-outre", views.override, Capability.OVERRIDE_GATE, "override")
    topic.form(f"{PATH}/<name:str>/revenir", views.back, Capability.PUBLISH, "back")
    topic.form(f"{PATH}/relecture/approuver", views.approve, Capability.PUBLISH, "approve")
    topic.form(f"{PATH}/relecture/refuser", views.refuse, Capability.PUBLISH, "refuse")
    topic.form(f"{PATH}/relecture/retirer", views.withdraw, Capability.PUBLISH, "withdraw")
    return topic.blueprint


@dataclass(frozen=True)
class Candidate:
    """A candidate. `verdict`: None when it was not compared to the model in service; `training`: its run's number."""

    hash: str
    card: Card | None
    made_at: datetime
    verdict: Verdict | None
    figures: Mapping[str, Mapping[str, float | None]]

    @property
    def training(self) -> int:
        """The run that made it; 0 when no card says it."""
        return self.card.training if self.card else 0


@dataclass(frozen=True)
class Version:
    """A model that served or may serve. `publication`: the last that put it into service; `undoes`: what going back takes back."""

    hash: str
    card: Card | None
    made_at: datetime
    publication: Publication | None
    undoes: Sequence[Publication]
    serving: bool

    @property
    def figures(self) -> Mapping[str, Mapping[str, float | None]]:
        """Its shares by set."""
        if self.publication and self.publication.figures:
            return self.publication.figures
        return self.card.figures if self.card else {}


@dataclass(frozen=True)
class Second:
    """A publication that waits for a second person. `touches`: what it changes; `seen`: a name of that, as the page showed it;
    `readers`: how many others may agree; `stale`: another model serves by now."""

    proposal: Proposal
    touches: tuple[Touch, ...]
    seen: str
    readers: int
    stale: bool


@dataclass(frozen=True)
class Typed:
    """What somebody typed to publish a candidate, which stands there again when it is refused. `reason`: None where the gate is
    open; `left`: what of it looks personal; `said`: what they say is not."""

    hash: str
    message: str
    reason: str | None = None
    left: Sequence[Replacement] = ()
    said: frozenset[str] = frozenset()
    refuses: bool = False  # it is why somebody else's publication is refused


class ModelViews:
    """Shows and asks; the role `trainer` does."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._deps = site.deps
        self._store = Publications(site.deps.database)
        self._proposals = Proposals(site.deps.database)
        self._runs = Runs(site.deps.database)
        self._judged: dict[tuple[int, str, int, str], tuple[Verdict, Mapping[str, Mapping[str, float | None]]]] = {}

    async def show(self, request: Request) -> HTTPResponse:
        """The page, or what of it lives."""
        return await self._page(request)

    async def publish(self, request: Request, name: str) -> HTTPResponse:
        """Ask for a candidate to go into service."""
        return await self._publish(request, Typed(name, field(request, "message").strip(), None))

    async def override(self, request: Request, name: str) -> HTTPResponse:
        """The same although an intent fell, with the reason."""
        reason = " ".join(field(request, "motif").split())
        return await self._publish(request, Typed(name, field(request, "message").strip(), reason))

    async def back(self, request: Request, name: str) -> HTTPResponse:
        """Ask for a return to an earlier version, model and data."""
        project = self._project()
        serving = await asyncio.to_thread(current, project.root, self._deps.var)
        known = await asyncio.to_thread(_archive, project.root / "models", name)
        if known is None or serving is None:
            raise NotFound("no such model")
        if serving.hash == name:
            return await self._page(
                request, 409, error=_Wrong("Ce modèle est déjà en service.", "Il n’y a rien à faire.")
            )
        message = f"Retour au modèle {name}"
        return await self._ask(request, Asked(ROLLBACK, name, serving.hash, message))

    # -- asking --------------------------------------------------------------------------------------------------

    async def _publish(self, request: Request, typed: Typed) -> HTTPResponse:
        project = self._project()
        known = await asyncio.to_thread(_archive, project.root / "models" / "candidates", typed.hash)
        if known is None:
            raise NotFound("no such candidate")
        if wrong := _wrong(typed):
            return await self._page(request, 422, wrong, typed)
        # Git and the remote keep the message for ever, out of reach of what is erased here; the reason stands on the page.
        left = {}
        for words in (typed.message, typed.reason or ""):
            left.update({one.original.strip(): one for one in await still_personal(request, words)})
        if left:
            typed = replace(typed, left=list(left.values()), said=confirmed(request))
            return await self._page(request, 422, Personal(typed.left), typed)
        serving = await asyncio.to_thread(current, project.root, self._deps.var)
        now_serving = serving.hash if serving else ""
        found, figures = await self._judge(typed.hash, now_serving)
        if error := _shut(found, typed):
            return await self._page(request, 409, error, typed)
        assert found is not None
        reason = "" if found.open else typed.reason or ""
        asked = Asked(PUBLISH, typed.hash, now_serving, typed.message, reason, found.to_json(), figures)
        touched = await self._touched(now_serving, known) if self._deps.second else ()
        return await self._ask(request, asked, typed, touched)

    async def _ask(
        self, request: Request, asked: Asked, typed: Typed | None = None, touched: tuple[Touch, ...] = ()
    ) -> HTTPResponse:
        now, user = self._deps.clock.now(), request.ctx.user
        try:
            if touched:
                await self._proposals.propose(now, user, asked, [one.name for one in touched])
            else:
                await self._store.ask(now, user, asked)
        except PublicationError as error:
            return await self._page(request, 409, error, typed)
        return redirect(PATH, status=303)

    # -- a second person -------------------------------------------------------------------------------------------

    async def approve(self, request: Request) -> HTTPResponse:
        """Agree to what the page showed: the publication begins."""
        waits = await self._second()
        if waits is None or waits.proposal.id != whole(field(request, "demande"), 0):
            return await self._page(request, 409, _GONE)
        if waits.stale:
            return await self._page(request, 409, _STALE)
        if waits.seen != field(request, "vu"):
            return await self._page(
                request, 409, _Wrong("Ce qui change n’est plus ce que vous avez lu.", "Relisez-le, puis décidez.")
            )
        found, _ = await self._judge(waits.proposal.model, waits.proposal.previous)
        if error := _shut(found, Typed(waits.proposal.model, waits.proposal.message, waits.proposal.reason)):
            return await self._page(request, 409, error)
        return await self._decide(
            request, self._proposals.approve(self._deps.clock.now(), request.ctx.user, waits.proposal.id)
        )

    async def refuse(self, request: Request) -> HTTPResponse:
        """Say no, and why."""
        word, number = " ".join(field(request, "motif").split()), whole(field(request, "demande"), 0)
        waits = await self._proposals.open()
        if waits is None or waits.id != number:
            return await self._page(request, 409, _GONE)
        typed = Typed(waits.model, "", word, said=confirmed(request), refuses=True)
        if not word or len(word) > REASON_AT_MOST:
            what = "Ce motif est trop long." if word else "Le motif manque."
            remedy = f"Dites en {says.number(REASON_AT_MOST)} caractères au plus ce qu’il faut changer."
            return await self._page(request, 422, _Wrong(what, remedy), typed)
        if left := await still_personal(request, word):
            return await self._page(request, 422, Personal(left), replace(typed, left=left))
        return await self._decide(
            request, self._proposals.refuse(self._deps.clock.now(), request.ctx.user, number, word), typed
        )

    async def withdraw(self, request: Request) -> HTTPResponse:
        """Take one's own wish back."""
        number = whole(field(request, "demande"), 0)
        return await self._decide(request, self._proposals.withdraw(self._deps.clock.now(), request.ctx.user, number))

    async def _decide(self, request: Request, decision: Awaitable[object], typed: Typed | None = None) -> HTTPResponse:
        try:
            await decision
        except PublicationError as error:
            return await self._page(request, 409, error, typed)
        return redirect(PATH, status=303)

    async def _touched(self, serving: str, candidate: Path) -> tuple[Touch, ...]:
        project = self._project()
        return await asyncio.to_thread(grave.touches, project, project.root / "models", serving, candidate)

    async def _second(self) -> Second | None:
        """What waits, with what it changes; empty where its candidate has gone."""
        proposal = await self._proposals.open()
        if proposal is None:
            return None
        root = self._project().root
        serving = await asyncio.to_thread(current, root, self._deps.var)
        archive = await asyncio.to_thread(_archive, root / "models" / "candidates", proposal.model)
        stale = archive is None or serving is None or serving.hash != proposal.previous
        touched = () if archive is None or stale else await self._touched(proposal.previous, archive)
        readers = await self._proposals.readers(proposal.user_id)
        return Second(proposal, touched, grave.digest(touched), readers, stale)

    # -- showing -------------------------------------------------------------------------------------------------

    def _project(self) -> Project:
        if self._deps.project is None:
            raise NotFound("no project here")
        return self._deps.project

    async def _page(
        self, request: Request, status: int = 200, error: Explained | None = None, typed: Typed | None = None
    ) -> HTTPResponse:
        live = LIVE_HEADER in request.headers
        values: dict[str, Any] = {"error": error, "typed": typed, "kinds": KINDS, "again": AGAIN}
        if self._deps.project is None:
            return self._render(request, "models_absent.html", 503)
        root = self._deps.project.root
        serving = await asyncio.to_thread(current, root, self._deps.var)
        done = await self._store.done()
        values["open"] = await self._store.open()
        values["serving"] = _serves(serving.hash if serving else "", values["open"])
        values["versions"] = await asyncio.to_thread(_versions, root, values["serving"], done)
        values["next"] = await asyncio.to_thread(_next, root, serving) if values["open"] is None else ""
        values["candidates"] = await self._candidates(root, values["serving"])
        values["last"] = await self._store.last()
        values["second"], values["decided"] = await self._second(), await self._proposals.last()
        values["differing"] = says.differing
        values["reloads"] = await self._store.reloads()
        values["launcher"], values["held"] = await asyncio.to_thread(_engines, self._deps.var)
        values["message_at_most"], values["reason_at_most"] = MESSAGE_AT_MOST, REASON_AT_MOST
        return self._render(request, "_models_live.html" if live else "models.html", status, **values)

    async def _candidates(self, root: Path, serving: str) -> list[Candidate]:
        found = []
        for model in (await asyncio.to_thread(candidates, root))[:SHOWN]:
            judged, figures = await self._judge(model.hash, serving)
            card = await asyncio.to_thread(Card.read, model.card)
            made_at = await asyncio.to_thread(_made_at, model)
            found.append(Candidate(model.hash, card, made_at, judged, figures or (card.figures if card else {})))
        return found

    async def _judge(
        self, candidate: str, serving: str
    ) -> tuple[Verdict | None, Mapping[str, Mapping[str, float | None]]]:
        """What the gate says of a candidate beside the model in service, None when they were not compared; a comparison is read
        once, until the reference, the gold sets or the program change."""
        run = await self._runs.of_candidate(candidate)
        if run is None or run.current != serving:
            return None, {}
        project = self._project()
        changed = await asyncio.to_thread(_changed, project.path(BASELINE))
        key = (run.id, serving, changed, await asyncio.to_thread(yardstick.digest, project.root))
        if key not in self._judged:
            kept = await self._runs.result(run.id)
            if kept is None:
                return None, {}
            comparison = await asyncio.to_thread(Comparison.from_json, kept)
            self._judged[key] = (await asyncio.to_thread(judged, project, comparison), shares(comparison))
            while len(self._judged) > 20:
                del self._judged[next(iter(self._judged))]
        return self._judged[key]

    def _render(self, request: Request, template: str, status: int, **values: Any) -> HTTPResponse:
        user = request.ctx.user
        page = self._site.renderer.page(f"workbench/{template}", user=user, csrf=request.ctx.csrf, says=says, **values)
        return html(page, status)


class _Wrong(Explained):
    """What was typed cannot be used."""


_GONE = _Wrong("Cette demande n’attend plus : rien n’a changé.", "Regardez ci-dessous ce qu’il en est.")
_STALE = _Wrong(
    "Le modèle en service n’est plus celui auquel ce candidat a été comparé.",
    "Retirez la demande, puis lancez un nouvel essai.",
)


def _wrong(typed: Typed) -> Explained | None:
    """What of it lacks or is too long."""
    if typed.reason == "":
        return _Wrong("Le motif manque.", "Dites pourquoi vous passez outre.")
    if len(typed.reason or "") > REASON_AT_MOST:
        return _Wrong("Ce motif est trop long.", f"Dites-le en {says.number(REASON_AT_MOST)} caractères au plus.")
    if not typed.message:
        return _Wrong("Le message manque.", "Dites en une phrase ce qui change : il reste dans l’historique.")
    if len(typed.message) > MESSAGE_AT_MOST:
        return _Wrong("Ce message est trop long.", f"Dites-le en {MESSAGE_AT_MOST} caractères au plus.")
    return None


def _shut(found: Verdict | None, typed: Typed) -> Explained | None:
    """Why the gate does not let it pass."""
    if found is None:
        return _Wrong("Ce candidat n’a pas été comparé au modèle en service.", "Lancez un nouvel essai.")
    if found.stale:
        return _Wrong(found.reasons[0].what, AGAIN)
    if found.open or (found.overridable and typed.reason):
        return None
    return _Wrong("Le contrôle ne laisse pas passer ce candidat.", "Lisez ses raisons plus bas.")


def _engines(var: Path | None) -> tuple[engines.Status, bool]:
    """What the launcher of this machine says, and whether it runs."""
    if var is None or not engines.held(var):
        return engines.Status(), False
    return engines.status(var), True


def _serves(newest: str, going_on: Publication | None) -> str:
    """The model that answers: until the engines have changed, the one of before, although another is the newest by then."""
    if going_on is not None and going_on.step in ("engines", "undo") and going_on.previous:
        return going_on.previous
    return newest


def _next(root: Path, serving: Model | None) -> str:
    """The model that engines would take if they started now; empty when it is the one in service."""
    newest = current(root)
    return "" if newest is None or serving is None or newest.hash == serving.hash else newest.hash


def _versions(root: Path, serving: str, done: Sequence[Publication]) -> list[Version]:
    """Every model that is kept, the one in service first, then the newest."""
    found = []
    for archive in (root / "models").glob(f"*{engines.SUFFIX}"):
        model = Model(archive, root)
        last = next((one for one in done if one.model == model.hash), None)
        undoes = [] if model.hash == serving else since(done, model.hash)
        found.append(
            Version(model.hash, Card.read(model.card), _made_at(model), last, undoes, serving=model.hash == serving)
        )
    return sorted(found, key=lambda one: (not one.serving, -one.made_at.timestamp()))


def _archive(folder: Path, name: str) -> Path | None:
    """The archive of a hash; None for anything else."""
    if not name.isascii() or not name.isalnum() or len(name) > 64:
        return None
    found = folder / f"{name}{engines.SUFFIX}"
    return found if found.is_file() else None


def _made_at(model: Model) -> datetime:
    try:
        return datetime.fromtimestamp(model.archive.stat().st_mtime, UTC)
    except OSError:
        return datetime.fromtimestamp(0, UTC)


def _changed(path: Path) -> int:
    """When a file was changed last, in nanoseconds; 0 when it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
