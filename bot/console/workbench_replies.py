"""The replies of the bot: the list, and each one with its phones, its rules, its source and its history."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from urllib.parse import urlencode

from sanic import Blueprint, HTTPResponse, Request
from sanic.exceptions import NotFound
from sanic.response import html, redirect

from bot.console import workbench_replies_form as forms
from bot.console import workbench_replies_words as says
from bot.console.forms import field, whole
from bot.console.site import Site, Topic
from bot.console.workbench_replies_form import Touched, Written
from bot.console.workbench_search import seal_words, searched
from bot.meta.limits import QUICK_REPLIES, QUICK_REPLY_TITLE
from bot.policy.intents import EMERGENCY, INTENTS
from bot.policy.rights import Capability
from bot.store.workbench import reply_changes
from bot.trainer import replies as files
from bot.trainer import reply_checks, reply_rules
from bot.trainer.both import both
from bot.trainer.checks.finding import Finding
from bot.trainer.errors import BadFile, Changed, TrainerError
from bot.trainer.project import Project
from bot.trainer.replies import NAME, OWN_SOURCE, TWINS, Replies, Response
from bot.trainer.reply_facts import AIM_BYTES, MAX_BYTES, SYSTEM
from bot.trainer.reply_uses import Use, uses

PAGE = 40  # rows
QUERY_AT_MOST = 100


def routes(site: Site) -> Blueprint:
    """The list, the editor, and what is done there."""
    views, topic = ReplyViews(site), Topic("workbench-replies")
    topic.page("/atelier/reponses", views.list_, Capability.SEE_WORKBENCH, "list")
    topic.form("/atelier/reponses", views.seek, Capability.SEE_WORKBENCH, "seek")
    topic.page("/atelier/reponses/<name:str>", views.one, Capability.SEE_WORKBENCH, "one")
    topic.form("/atelier/reponses/<name:str>", views.act, Capability.CORRECT, "act")
    topic.form("/atelier/reponses/<name:str>/apercu", views.preview, Capability.CORRECT, "preview")
    topic.form("/atelier/reponses/<name:str>/verifiee", views.checked, Capability.CORRECT, "checked")
    topic.form("/atelier/reponses/<name:str>/annuler", views.undo, Capability.CORRECT, "undo")
    return topic.blueprint


@dataclass(frozen=True)
class Known:
    """The replies as they stand, what uses each, and what is wrong with each."""

    replies: Replies
    uses: Mapping[str, tuple[Use, ...]]
    findings: Mapping[str, tuple[Finding, ...]]
    today: date


@dataclass(frozen=True)
class Row:
    """One line of the list."""

    response: Response
    uses: tuple[Use, ...]
    findings: tuple[Finding, ...]
    unchecked: bool
    stale: date | None  # the oldest day on which a source was seen, when that is too long ago
    checked: date | None

    @property
    def size(self) -> int:
        return max(v.size for v in self.response.variations)

    @property
    def errors(self) -> int:
        return sum(one.severity == "error" for one in self.findings)

    @property
    def sourced(self) -> bool:
        return any(v.source != OWN_SOURCE for v in self.response.variations)


class ReplyViews:
    """A form that is refused is shown again with what was typed, and why."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._db = site.deps.database
        self._known: Known | None = None

    # -- pages ---------------------------------------------------------------------------------------------------

    async def list_(self, request: Request) -> HTTPResponse:
        """All replies, those of a filter, those with some words."""
        project = self._site.deps.project
        if project is None:
            return self._absent(request)
        query, sealed = searched(self._site.desk.codec, str(request.args.get("r") or ""))
        chosen = str(request.args.get("filtre") or "toutes")
        chosen = chosen if chosen in says.FILTERS else "toutes"
        try:
            known = await asyncio.to_thread(self._read, project)
        except BadFile as bad:
            return self._page(request, "workbench/replies_broken.html", 503, bad=bad)
        rows = [_row(one, known) for one in known.replies.responses.values()]
        counts = {name: sum(_fits(row, name) for row in rows) for name in says.FILTERS}
        found = [row for row in rows if _fits(row, chosen) and _says(row, query)]
        first = min(whole(str(request.args.get("de") or ""), 0), max(0, len(found) - 1)) // PAGE * PAGE
        return self._page(
            request, "workbench/replies.html", rows=found[first : first + PAGE], n=len(found), first=first, page=PAGE,
            counts=counts, query=query, sealed=sealed, chosen=chosen, done=str(request.args.get("fait") or ""),
        )  # fmt: skip

    async def seek(self, request: Request) -> HTTPResponse:
        """Read the words to look for, and lead to the address of what says them."""
        query = field(request, "q")[:QUERY_AT_MOST].strip()
        told = {"filtre": _filter(field(request, "filtre"))}
        if query:
            told["r"] = seal_words(self._site.desk.codec, query)
        return redirect(f"/atelier/reponses?{urlencode(told)}", status=303)

    async def one(self, request: Request, name: str) -> HTTPResponse:
        """The editor."""
        project, known = await self._open(name)
        if known is None or project is None:
            return self._absent(request)
        told = {
            "enregistre": "Réponse enregistrée.",
            "annule": "Modification annulée.",
            "pareil": "Rien n’avait changé.",
        }
        said = told.get(str(request.args.get("fait") or ""), "")
        return await self._editor(request, known, forms.of(known.replies.responses[name]), told=said)

    # -- what is done --------------------------------------------------------------------------------------------

    async def act(self, request: Request, name: str) -> HTTPResponse:
        """Save, or one of the form's small buttons, which save nothing."""
        project, known = await self._open(name)
        if known is None or project is None:
            return self._absent(request)
        given, act = forms.written(request, name), field(request, "geste")
        if act == "espaces":
            set_ = replace(given, response=reply_rules.typeset_reply(given.response))
            return await self._editor(
                request, known, set_, touched=await asyncio.to_thread(forms.touched, given.response, set_.response)
            )
        if act != "enregistrer":
            return await self._editor(request, known, forms.acted(given, act, known.today))
        if given.faults or not field(request, "variantes"):
            error = TrainerError(
                given.faults[0] if given.faults else "Le formulaire est vide.", "Rien n’a été enregistré."
            )
            return await self._editor(request, known, given, 422, error=error)
        wanted = given.response
        try:
            saved = await self._save(request, project, known, {name: wanted}, {name: given.seen})
        except Changed as changed:
            known = await asyncio.to_thread(self._read, project)
            present = known.replies.responses.get(name)
            if present is None:
                raise NotFound("no such reply") from None
            anew = replace(given, seen=present.seen)  # who saves once more has seen both
            return await self._editor(request, known, anew, 409, error=changed, theirs=present)
        except reply_checks.BadReply as bad:
            return await self._editor(request, known, given, 422, error=bad)
        except TrainerError as error:
            return await self._editor(request, known, given, 422, error=error)
        return redirect(f"/atelier/reponses/{name}?fait={'enregistre' if saved else 'pareil'}", status=303)

    async def preview(self, request: Request, name: str) -> HTTPResponse:
        """Phones and findings for what is typed."""
        project, known = await self._open(name)
        if known is None or project is None:
            return self._absent(request)
        given = forms.written(request, name)
        findings = await asyncio.to_thread(_findings, known, given.response)
        return self._page(
            request,
            "workbench/_reply_preview.html",
            says=says,
            written=given,
            findings=findings,
            forms=forms,
            limits=_LIMITS,
        )

    async def checked(self, request: Request, name: str) -> HTTPResponse:
        """The official page was opened today: one click."""
        project, known = await self._open(name)
        if known is None or project is None:
            return self._absent(request)
        present = known.replies.responses[name]
        wanted = forms.checked_today(present, known.today)
        try:
            await self._save(request, project, known, {name: wanted}, {name: field(request, "vu")})
        except TrainerError as error:
            known = await asyncio.to_thread(self._read, project)
            return await self._editor(request, known, forms.of(known.replies.responses[name]), 409, error=error)
        if field(request, "retour") == "liste":
            _, sealed = searched(self._site.desk.codec, field(request, "r"))
            told = {
                "filtre": _filter(field(request, "filtre")),
                "r": sealed,
                "de": str(whole(field(request, "de"), 0) or ""),
            }
            kept = urlencode({key: value for key, value in (told | {"fait": name}).items() if value})
            return redirect(f"/atelier/reponses?{kept}", status=303)
        return redirect(f"/atelier/reponses/{name}?fait=enregistre", status=303)

    async def undo(self, request: Request, name: str) -> HTTPResponse:
        """Take back a saving of this reply, as long as nobody has changed it since."""
        project, known = await self._open(name)
        if known is None or project is None:
            return self._absent(request)
        number = whole(field(request, "changement"), 0)
        try:
            await self._taken_back(request, project, known, name, number)
        except TrainerError as error:
            known = await asyncio.to_thread(self._read, project)
            return await self._editor(request, known, forms.of(known.replies.responses[name]), 409, error=error)
        return redirect(f"/atelier/reponses/{name}?fait=annule", status=303)

    # -- together ------------------------------------------------------------------------------------------------

    async def _save(
        self, request: Request, project: Project, known: Known, wanted: dict[str, Response], seen: dict[str, str]
    ) -> bool:
        """Write and record; whether anything changed. Raises TrainerError: nothing is then changed."""
        for name, one in list(wanted.items()):
            twin = known.replies.responses.get(TWINS.get(name, ""))
            if twin is not None and len(twin.variations) == len(one.variations) == 1:
                # One text by two doors: the other keeps its own source and date.
                own = replace(twin.variations[0], text=one.variations[0].text)
                wanted[twin.name], seen[twin.name] = replace(twin, variations=(own,)), twin.seen
        gate = reply_checks.gate(tuple(wanted), known.today, reply_checks.facts_of(known.uses))
        async with both(self._db) as doing:
            moves = await doing.files(
                lambda: files.change(project, seen, wanted, gate), lambda done: files.undo(project, done)
            )
            if moves:
                await reply_changes.record(doing.connection, self._site.deps.wall.now(), request.ctx.user, moves)
        return bool(moves)

    async def _taken_back(self, request: Request, project: Project, known: Known, name: str, number: int) -> None:
        """Undo one saving, once. Raises NotFound, TrainerError: nothing is then changed."""
        async with both(self._db) as doing:
            change = await reply_changes.get(doing.connection, number, lock=True)
            if change is None or name not in [move[0] for move in change.moves]:
                raise NotFound("no such change")
            if change.undone_at is not None:
                return
            moves = [files.Move(*move) for move in change.moves]
            await doing.files(
                lambda: files.undo(project, moves, _new_errors(known)), lambda done: files.undo(project, done)
            )
            await reply_changes.undone(doing.connection, self._site.deps.wall.now(), request.ctx.user, number)

    async def _open(self, name: str) -> tuple[Project | None, Known | None]:
        """The project and what is in it. Raises NotFound for a reply that is not there."""
        if not NAME.fullmatch(name):
            raise NotFound("no such reply")
        project = self._site.deps.project
        if project is None:
            return None, None
        known = await asyncio.to_thread(self._read, project)
        if name not in known.replies.responses:
            raise NotFound("no such reply")
        return project, known

    def _read(self, project: Project) -> Known:
        """Kept as long as the file and the day are the same. Blocks."""
        replies, today = Replies.read(project), self._site.deps.clock.now().astimezone(self._site.deps.zone).date()
        known = self._known
        if known is not None and known.replies is replies and known.today == today:
            return known
        found: dict[str, list[Finding]] = {}
        for name, one in replies.responses.items():
            found[name] = reply_rules.of_reply(one, replies, today)
        made = Known(replies, uses(project), {name: tuple(ones) for name, ones in found.items()}, today)
        self._known = made
        return made

    async def _editor(
        self,
        request: Request,
        known: Known,
        written: Written,
        status: int = 200,
        error: TrainerError | None = None,
        theirs: Response | None = None,
        touched: Sequence[Touched] | None = None,
        told: str = "",
    ) -> HTTPResponse:
        name = written.response.name
        findings = await asyncio.to_thread(_findings, known, written.response)
        async with self._db.begin() as connection:
            changes = await reply_changes.of(connection, name)
        present = known.replies.responses[name]
        return self._page(
            request, "workbench/reply.html", status, name=name, written=written, present=present, says=says, forms=forms,
            findings=findings, uses=known.uses.get(name, ()), changes=changes, error=error, theirs=theirs, touched=touched,
            told=told, limits=_LIMITS, payloads=_payloads(known.replies), system=name in SYSTEM, twin=TWINS.get(name, ""),
            french=reply_rules.french(name), today=known.today, may=request.ctx.user.may(Capability.CORRECT),
            stands={move[0]: move[2] for change in changes[:1] for move in change.moves}.get(name) == present.block,
        )  # fmt: skip

    def _absent(self, request: Request) -> HTTPResponse:
        return self._page(request, "workbench/replies_broken.html", 503, bad=None)

    def _page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTTPResponse:
        values.setdefault("says", says)
        page = self._site.renderer.page(template, user=request.ctx.user, csrf=request.ctx.csrf, **values)
        return html(page, status)


_LIMITS = {
    "bytes": MAX_BYTES, "aim": AIM_BYTES, "buttons": QUICK_REPLIES, "title": QUICK_REPLY_TITLE, "variations": forms.VARIATIONS,
}  # fmt: skip


def _findings(known: Known, response: Response) -> list[Finding]:
    """What is wrong with a reply as it is typed, among the others as they stand."""
    others = dict(known.replies.responses)
    others[response.name] = response
    twin = others.get(TWINS.get(response.name, ""))
    if twin is not None:  # saved together
        text = response.variations[0].text
        others[twin.name] = replace(twin, variations=tuple(replace(v, text=text) for v in twin.variations))
    return reply_rules.of_reply(response, replace(known.replies, responses=others), known.today)


def _new_errors(known: Known) -> files.Allow:
    """Undoing goes back to what stood before: refused only where it would spoil the messages of others."""

    def allow(before: Replies, after: Replies) -> None:
        facts = reply_checks.facts_of(known.uses)
        errors = reply_checks.of_change(before, after, (), known.today, facts)
        if errors:
            raise reply_checks.BadReply(errors)

    return allow


def _row(one: Response, known: Known) -> Row:
    sourced = [v for v in one.variations if v.source != OWN_SOURCE]
    dates = [v.checked for v in sourced if v.checked is not None]
    oldest = min(dates, default=None)
    stale = oldest if oldest is not None and (known.today - oldest).days > reply_rules.STALE else None
    unchecked = any(v.checked is None for v in sourced)
    return Row(one, known.uses.get(one.name, ()), known.findings.get(one.name, ()), unchecked, stale, oldest)


def _fits(row: Row, chosen: str) -> bool:
    return {
        "toutes": True,
        "a-verifier": row.unchecked,
        "anciennes": row.stale is not None,
        "longues": row.size > AIM_BYTES,
        "sans-source": not row.sourced,
        "erreurs": row.errors > 0,
    }[chosen]


def _filter(given: str) -> str:
    return given if given in says.FILTERS else "toutes"


def _says(row: Row, query: str) -> bool:
    """Whether every word stands in the name, the texts, the titles, the source or what uses it; accents do not matter."""
    if not query:
        return True
    parts = [row.response.name, row.response.name.replace("_", " "), *(says.use(one) for one in row.uses)]
    for v in row.response.variations:
        parts += [v.text, v.source, *(b.title for b in v.buttons)]
    text = _plain(" ".join(parts))
    return all(word in text for word in _plain(query).split())


def _plain(text: str) -> str:
    """Without accents and capitals."""
    bare = unicodedata.normalize("NFKD", text.replace("’", "'"))
    return "".join(c for c in bare if not unicodedata.combining(c)).casefold()


def _payloads(replies: Replies) -> list[str]:
    """What quick replies may lead to: what they lead to today, and every subject."""
    known = {b.payload for one in replies.responses.values() for v in one.variations for b in v.buttons}
    return sorted(known | {f"/{intent}" for intent, policy in INTENTS.items() if policy.route != EMERGENCY})
