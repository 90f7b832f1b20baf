"""The search page: what was said by whom, found by words.

What somebody looks for is often a person's name or story. It travels in the body of a form, then in a sealed address that
nobody reads without the key: neither history nor logs know it, and « Précédent » works.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import html, redirect

from bot.console import labels, sealed, search_words
from bot.console.forms import field
from bot.console.site import Site, Topic
from bot.core.clean import clean
from bot.policy import search as words
from bot.policy.rights import Capability
from bot.store.codec import Codec
from bot.store.desk.errors import DeskError
from bot.store.desk.search import AUTHORS, STATES, Cursor, Filters, Results, SearchStore
from bot.store.desk.thread import mark
from bot.store.reindex import progress

PATH = "/recherche"
FIELDS = ("mots", "auteur", "plateforme", "categorie", "etat", "du", "au", "tri")
_SEALED = "search.query"
_AFTER = re.compile(r"(\d{1,18})_(event|outbox|note|name|skip|at)_(\d{1,18})", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class BadSearch(DeskError):
    """What was typed cannot be looked for."""


@dataclass(frozen=True)
class Asked:
    """What was typed, field by field, and what it means."""

    typed: Mapping[str, str]
    query: words.Query
    filters: Filters


def routes(site: Site) -> Blueprint:
    """The page and its form."""
    views, topic = SearchViews(site), Topic("search")
    topic.page(PATH, views.show, Capability.READ, "show")
    topic.form(PATH, views.ask, Capability.READ, "ask")
    return topic.blueprint


class SearchViews:
    """Finds what was said."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._store = SearchStore(site.desk, site.deps.zone)
        self._complete = False  # nothing is older than the search any more

    async def ask(self, request: Request) -> HTTPResponse:
        """Read the form, and lead to the address of its results."""
        typed = {name: clean(field(request, name)).strip()[:1_000] for name in FIELDS}
        try:
            read(typed)
        except BadSearch as error:
            return await self._page(request, typed, error=error, status=422)
        return redirect(f"{PATH}?r={seal(self._site.desk.codec, typed)}", status=303)

    async def show(self, request: Request) -> HTTPResponse:
        """The form, with what was found when the address says what was looked for."""
        given = request.args.get("r")
        if given is None:
            return await self._page(request, dict.fromkeys(FIELDS, ""))
        try:
            typed = unseal(self._site.desk.codec, given)
            asked = read(typed)
        except BadSearch as error:
            return await self._page(request, dict.fromkeys(FIELDS, ""), error=error, status=422)
        after = _cursor(request.args.get("apres"), asked.filters)
        now = self._site.deps.clock.now()
        results = await self._store.find(request.ctx.user, asked.query, asked.filters, now, after)
        return await self._page(request, typed, asked, results, address=given, further=after is not None)

    async def _page(
        self,
        request: Request,
        typed: Mapping[str, str],
        asked: Asked | None = None,
        results: Results | None = None,
        address: str = "",
        further: bool = False,
        error: DeskError | None = None,
        status: int = 200,
    ) -> HTTPResponse:
        indexing = None if self._complete else await progress(self._site.desk.database)
        if indexing is not None and indexing.over:
            self._complete, indexing = True, None
        page = self._site.renderer.page(
            "search/page.html",
            user=request.ctx.user,
            csrf=request.ctx.csrf,
            typed=typed,
            narrowed=any(typed[name] for name in FIELDS if name != "mots"),
            asked=asked,
            results=results,
            address=address,
            further=further,
            following=_written(results.following) if results and results.following else None,
            error=error,
            says=search_words,
            authors=AUTHORS,
            states=STATES,
            mark=mark,
            indexing=indexing,
        )
        return html(page, status)


def read(typed: Mapping[str, str]) -> Asked:
    """What the fields mean. Raises BadSearch with what to correct."""
    query = words.parse(typed["mots"])
    if len(typed["mots"]) > words.LONGEST_QUERY:
        raise BadSearch(
            f"Votre recherche compte {len(typed['mots'])} caractères.", f"Gardez-en {words.LONGEST_QUERY} au plus."
        )
    if not query.terms:
        raise _nothing_to_look_for(query)
    since, until = _day(typed["du"]), _day(typed["au"])
    if since and until and since > until:
        raise BadSearch("La période finit avant de commencer.", "Corrigez les dates.")
    filters = Filters(
        author=_one_of(typed["auteur"], AUTHORS),
        platform=_one_of(typed["plateforme"], labels.PLATFORMS),
        category=_one_of(typed["categorie"], labels.CATEGORIES),
        state=_one_of(typed["etat"], STATES),
        since=since,
        until=until,
        near=typed["tri"] == "proche",
    )
    return Asked(typed, query, filters)


def _nothing_to_look_for(query: words.Query) -> BadSearch:
    if query.ignored:
        return BadSearch(
            "Ces mots sont dans presque tous les messages\u00a0: ils ne permettent pas de chercher.",
            "Ajoutez un mot plus précis, un nom ou un lieu.",
        )
    if query.without or query.without_phrases:
        return BadSearch("Il n’y a que des mots à exclure.", "Ajoutez au moins un mot à trouver.")
    return BadSearch("Il manque les mots à chercher.", "Tapez un nom ou quelques mots.")


def _one_of(given: str, known: Any) -> str:
    """The value, or none: what the lists do not offer narrows nothing."""
    return given if given in known else ""


def _day(given: str) -> date | None:
    if not given:
        return None
    try:
        day = date.fromisoformat(given)
    except ValueError:
        raise BadSearch(
            "Une date n’est pas comprise.", "Écrivez-la comme 2026-03-01, ou choisissez-la dans le calendrier."
        ) from None
    if not 2000 <= day.year <= 2200:
        raise BadSearch("Une date est hors du calendrier.", "Corrigez l’année.")
    return day


# -- the sealed address ---------------------------------------------------------------------------------------------


def seal(codec: Codec, typed: Mapping[str, str]) -> str:
    """The fields as they stand in the address: nobody reads them without the key."""
    return sealed.seal(codec, typed, _SEALED)


def unseal(codec: Codec, given: str) -> dict[str, str]:
    """The fields of an address. Raises BadSearch when it is not one of ours."""
    try:
        held = sealed.unseal(codec, given, _SEALED)
    except ValueError:
        raise BadSearch("Cette adresse de recherche n’est plus lisible.", "Tapez vos mots de nouveau.") from None
    return {name: held.get(name, "") for name in FIELDS}


def _written(cursor: Cursor) -> str:
    kind, number = (cursor.kind or "at", cursor.ref) if not cursor.skip else ("skip", cursor.skip)
    return f"{mark(cursor.at)}_{kind}_{number}"


def _cursor(given: str | None, filters: Filters) -> Cursor | None:
    match = _AFTER.fullmatch(given or "")
    if match is None:
        return None
    try:
        at = _EPOCH + timedelta(microseconds=int(match[1]))
    except OverflowError:
        return None
    number = int(match[3])
    if filters.near:
        return Cursor(at, skip=min(number, 10_000)) if match[2] == "skip" else None
    if match[2] in ("at", "skip"):
        return Cursor(at)
    return Cursor(at, match[2], number)
