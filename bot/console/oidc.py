"""Log-in through the identity provider: out and back."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets

from sanic import Blueprint, HTTPResponse, Request
from sanic.exceptions import NotFound
from sanic.response import redirect

from bot.console.entry import Entry, wanted
from bot.console.login import LoginViews
from bot.console.provider import Provider, ProviderAway, ProviderError
from bot.console.site import Open, Site, Topic
from bot.store.accounts import AccountError
from bot.store.oidc import ON_THE_WAY, Claim, Identities, Journey
from bot.store.throttle import place

log = logging.getLogger("planton.console")

OUT = "/connexion/fournisseur"
BACK = OUT + "/retour"

LOST = "Cette connexion a expiré, ou a commencé dans un autre navigateur. Recommencez."


def routes(site: Site, entry: Entry, provider: Provider | None) -> Blueprint:
    """Out and back."""
    views, topic = ProviderViews(site, entry, provider), Topic("oidc")
    topic.page(OUT, views.depart, Open.NOBODY, "depart")
    topic.page(BACK, views.arrive, Open.NOBODY, "arrive")
    return topic.blueprint


class ProviderViews:
    """A log-in is tied to the browser in which it began, and each answer of the provider counts once."""

    def __init__(self, site: Site, entry: Entry, provider: Provider | None) -> None:
        self._deps = site.deps
        self._provider = provider
        self._throttle = site.accounts.throttle
        self._identities = Identities(site.deps.database, site.deps.codec, site.accounts.bearer)
        self._login = LoginViews(site, entry, provider)
        self._entry = entry
        self._cookie = ("__Host-" if site.deps.secure_cookies else "") + "planton_trajet"

    def _present(self) -> Provider:
        if self._provider is None:
            raise NotFound("no provider")
        return self._provider

    async def depart(self, request: Request) -> HTTPResponse:
        """To the provider."""
        provider, browser = self._present(), secrets.token_urlsafe(24)
        if (shut := await self._brake(request)) is not None:
            return shut
        try:
            departure = await provider.depart(self._entry.base(request) + BACK)
        except ProviderError as error:
            return await self._refused(request, error)
        journey = Journey(
            departure.nonce,
            departure.verifier,
            _digest(browser),
            wanted(request),
            str(request.args.get("jeton") or "")[:100],
        )
        await self._identities.depart(departure.state, journey, self._deps.wall.now())
        response = redirect(departure.address, status=303)
        self._entry.set(response, self._cookie, browser, int(ON_THE_WAY.total_seconds()))
        return response

    async def arrive(self, request: Request) -> HTTPResponse:
        """Back from the provider."""
        provider, now = self._present(), self._deps.wall.now()
        if (shut := await self._brake(request)) is not None:
            return shut
        given = {name: str(values[0]) for name, values in request.args.items() if values}
        journey = await self._identities.arrive(given.get("state", ""), now)
        browser = _digest(request.cookies.get(self._cookie) or "")
        if journey is None or not hmac.compare_digest(journey.browser, browser):
            return self._login.page(request, wanted(request), LOST, status=403)
        try:
            back = self._entry.base(request) + BACK
            identity = await provider.arrive(given, journey.nonce, journey.verifier, back)
            claim = Claim(identity.issuer, identity.subject, identity.name, identity.email)
            user = await self._identities.account(claim, journey.invitation, provider.config.new_role, now)
        except (ProviderError, AccountError) as error:
            return await self._refused(request, error)
        await self._throttle.take_back(self._subject(request), 2)  # the way out and the way back
        response = await self._entry.let_in(request, user, journey.suite, "oidc", identity.factor)
        self._entry.set(response, self._cookie, "", 0)
        return response

    # -- the brake ---------------------------------------------------------------------------------------------------

    def _subject(self, request: Request) -> str:
        return self._throttle.subject("journey", place(request.remote_addr or request.ip or ""))

    async def _brake(self, request: Request) -> HTTPResponse | None:
        """Each way counts until somebody is let in: nobody fills the database here, or guesses at the provider's answers."""
        wait = await self._throttle.reserve({"journey": self._subject(request)}, self._deps.wall.now())
        return None if wait is None else self._login.shut(request, wanted(request), wait)

    async def _refused(self, request: Request, error: ProviderError | AccountError) -> HTTPResponse:
        away = isinstance(error, ProviderAway)
        if isinstance(error, ProviderAway):
            log.warning("identity provider: %s", error.detail)
            await self._throttle.take_back(self._subject(request))  # not theirs
        return self._login.page(request, wanted(request), str(error), status=502 if away else 403)


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode(errors="replace")).hexdigest()
