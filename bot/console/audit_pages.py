"""The audit's page: who saw, took, wrote, validated, exported or changed what and when; with a file of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import html

from bot.console import audit_words as says
from bot.console import csv_safe, labels
from bot.console.forms import whole
from bot.console.site import Site, Topic
from bot.console.steering_periods import midnight
from bot.policy.rights import Capability
from bot.store.audit_log import Actor, AuditLog, Cursor, Wanted
from bot.store.desk.thread import mark, moment

SYSTEM = "planton"  # in the filter of people
_BIGGEST = 2**63 - 1
_FIELDS = ("personne", "action", "conversation", "du", "au")
HEADER = (
    "Numéro",
    "Date et heure",
    "Personne",
    "Rôle",
    "Action",
    "Code",
    "Conversations",
    "Compte concerné",
    "Détail",
    "Vaut jusqu’à",
)


def routes(site: Site) -> Blueprint:
    """The page and its file."""
    views, topic = AuditViews(site), Topic("audit")
    topic.page("/journal", views.show, Capability.READ_AUDIT, "show")
    topic.page("/journal.csv", views.file, Capability.READ_AUDIT, "file")
    return topic.blueprint


@dataclass(frozen=True)
class Asked:
    """The filters as they were given, what they mean, and what is wrong with them in French."""

    given: dict[str, str]
    wanted: Wanted
    errors: dict[str, str]

    @property
    def query(self) -> str:
        """The filters as an address holds them."""
        return urlencode({name: value for name, value in self.given.items() if value})


class AuditViews:
    """The audit, for auditors and administrators."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._log = AuditLog(site.deps.database)

    async def show(self, request: Request) -> HTTPResponse:
        """A page of it. What is wrong in a filter is said; the other filters hold."""
        actors = await self._log.actors()
        asked = _asked(request, actors, self._site.deps.zone)
        page = await self._log.page(request.ctx.user, asked.wanted, self._now(), _after(request))
        following = ""
        if page.following is not None:
            at = f"{mark(page.following.at)}-{page.following.id}"
            following = f"/journal?{urlencode({**_held(asked), 'apres': at})}"
        shown = self._site.renderer.page(
            "audit/page.html",
            user=request.ctx.user,
            csrf=request.ctx.csrf,
            page=page,
            asked=asked,
            actors=actors,
            following=following,
            further="apres" in request.args,
            says=says,
            system=SYSTEM,
            today=self._now().astimezone(self._site.deps.zone).date().isoformat(),
        )
        return html(shown, 422 if asked.errors else 200)

    async def file(self, request: Request) -> HTTPResponse | None:
        """Everything that the filters let through, for a spreadsheet."""
        asked = _asked(request, await self._log.actors(), self._site.deps.zone)
        if asked.errors:
            return await self.show(request)
        now = self._now()
        day = now.astimezone(self._site.deps.zone).date()
        batches = self._rows(request, asked.wanted, now)
        await csv_safe.stream(request, f"journal-{day}", HEADER, batches)
        return None

    async def _rows(
        self, request: Request, wanted: Wanted, now: datetime
    ) -> AsyncIterator[Iterable[Sequence[csv_safe.Cell]]]:
        zone = self._site.deps.zone
        async for lines in self._log.file(request.ctx.user, wanted, now):
            yield [
                (
                    line.id,
                    line.at.astimezone(zone),
                    says.who(line),
                    labels.ROLES.get(line.role or "", ""),
                    says.action(line.action),
                    line.action,
                    says.conversations(line),
                    line.about,
                    says.detail(line, zone),
                    end.astimezone(zone) if (end := says.until(line)) else None,
                )
                for line in lines
            ]

    def _now(self) -> datetime:
        return self._site.deps.wall.now()


def _held(asked: Asked) -> dict[str, str]:
    return {name: value for name, value in asked.given.items() if value}


def _after(request: Request) -> Cursor | None:
    at, _, number = str(request.args.get("apres") or "").partition("-")
    when, line = moment(whole(at, 0)), whole(number, 0)
    return Cursor(when, line) if when is not None and line else None


def _asked(request: Request, actors: Sequence[Actor], zone: ZoneInfo) -> Asked:
    given = {name: str(request.args.get(name) or "").strip()[:60] for name in _FIELDS}
    errors: dict[str, str] = {}
    person = whole(given["personne"], 0) or None
    if given["personne"] not in ("", SYSTEM) and person not in {actor.id for actor in actors}:
        errors["personne"], person = "Cette personne n’a pas de compte. Choisissez-en une dans la liste.", None
    actions = _actions(given["action"])
    if actions is None:
        errors["action"] = "Cette action n’existe pas. Choisissez-en une dans la liste."
    conversation = whole(given["conversation"], 0) or None
    if given["conversation"] and (conversation is None or conversation > _BIGGEST):
        errors["conversation"] = "Donnez le numéro de la conversation, en chiffres, par exemple 1204."
    first, last = (_day(given, name, errors) for name in ("du", "au"))
    if first and last and first > last:
        errors["au"], last = "La fin de la période est avant son début.", None
    wanted = Wanted(
        person=person,
        system=given["personne"] == SYSTEM,
        actions=actions or (),
        conversation=conversation,
        since=midnight(first, zone) if first else None,
        until=midnight(last + timedelta(days=1), zone) if last else None,
    )
    return Asked(given, wanted, errors)


def _actions(given: str) -> tuple[str, ...] | None:
    """The actions that a choice stands for; None when there is no such choice."""
    if not given:
        return ()
    if given in says.FAMILIES:
        return says.FAMILIES[given][1]
    return (given,) if given in says.ACTIONS else None


def _day(given: dict[str, str], name: str, errors: dict[str, str]) -> date | None:
    if not given[name]:
        return None
    try:
        day = date.fromisoformat(given[name])
        if not 2000 <= day.year <= 9000:
            raise ValueError
    except ValueError:
        errors[name] = "Cette date n’existe pas. Écrivez-la sous la forme 2026-01-31."
        return None
    return day
