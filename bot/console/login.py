"""Log-in and log-out: password, invitations, one-time links of the sandbox."""

from __future__ import annotations

from datetime import timedelta

from sanic import Blueprint, HTTPResponse, Request
from sanic.exceptions import NotFound
from sanic.response import html, redirect

from bot.console.entry import Entry, wanted
from bot.console.forms import field
from bot.console.provider import Provider
from bot.console.site import Open, Site, Topic
from bot.console.words import duration
from bot.core.clean import clean
from bot.store.accounts import AccountError

WRONG = "Nom ou mot de passe incorrect."
EXPIRED = "La page avait expiré. Saisissez de nouveau vos identifiants."
USED = "Ce lien a déjà servi ou n’est plus valable. Demandez-en un nouveau depuis le bac à sable."
DIFFERENT = "Les deux mots de passe ne sont pas les mêmes. Saisissez-les de nouveau."


def routes(site: Site, entry: Entry, provider: Provider | None) -> Blueprint:
    """The log-in pages."""
    views, topic = LoginViews(site, entry, provider), Topic("login")
    topic.page("/connexion", views.show, Open.NOBODY, "show")
    topic.form("/connexion", views.log_in, Open.NOBODY, "log_in")
    topic.page("/connexion/invitation", views.invitation, Open.NOBODY, "invitation")
    topic.form("/connexion/invitation", views.accept, Open.NOBODY, "accept")
    topic.form("/deconnexion", views.log_out, Open.HALF, "log_out")
    topic.page("/entrer", views.one_time, Open.NOBODY, "one_time")
    return topic.blueprint


class LoginViews:
    """How a session begins and ends."""

    def __init__(self, site: Site, entry: Entry, provider: Provider | None) -> None:
        self._deps = site.deps
        self._accounts = site.accounts
        self._renderer = site.renderer
        self._entry = entry
        self._provider = provider

    # -- the form ------------------------------------------------------------------------------------------------

    async def show(self, request: Request) -> HTTPResponse:
        """The log-in page."""
        suite = wanted(request)
        if request.ctx.user is not None:
            return redirect(suite, status=303)
        elsewhere = None
        if request.args.get("sorti") and self._provider is not None:
            elsewhere = await self._provider.log_out_address(self._entry.base(request) + "/connexion")
        return self.page(request, suite, elsewhere=elsewhere)

    def page(
        self,
        request: Request,
        suite: str,
        error: str = "",
        name: str = "",
        status: int = 200,
        elsewhere: str | None = None,
    ) -> HTTPResponse:
        """The form. `elsewhere`: where the session at the provider is ended as well."""
        stub = self._entry.stub(request)
        page = self._renderer.page(
            "login/page.html",
            user=None,
            csrf=self._entry.seal(stub),
            suite=suite,
            error=error,
            name=name,
            demo=self._deps.demo,
            provider=self._provider.config.name if self._provider else None,
            elsewhere=elsewhere,
        )
        response = html(page, status)
        self._entry.set(response, self._entry.before, stub, None)
        return response

    async def log_in(self, request: Request) -> HTTPResponse:
        """Check name and password; begin a session."""
        suite, name = wanted(request), clean(field(request, "nom"))[:200]
        if not self._entry.fits(request):
            return self.page(request, suite, EXPIRED, name, 403)
        address = request.remote_addr or request.ip or ""
        device = self._entry.device(request, name)
        now = self._deps.wall.now()
        try:
            found = await self._accounts.check_password(name, field(request, "mot_de_passe"), address, now, device)
            if isinstance(found, timedelta) and device is not None:
                # This browser's own count is full: it is treated as any other.
                found = await self._accounts.check_password(name, field(request, "mot_de_passe"), address, now)
        except AccountError as error:
            return self.page(request, suite, str(error), name, 401)
        if isinstance(found, timedelta):
            return self.shut(request, suite, found, name)
        if found is None:
            return self.page(request, suite, WRONG, name, 401)
        return await self._entry.let_in(request, found, suite)

    def shut(self, request: Request, suite: str, wait: timedelta, name: str = "") -> HTTPResponse:
        """The form, and for how long nothing typed there counts."""
        told = duration(wait) if wait >= timedelta(minutes=1) else "quelques secondes"
        response = self.page(request, suite, f"Trop d’essais manqués. Réessayez dans {told}.", name, 429)
        response.headers["Retry-After"] = str(int(wait.total_seconds()) + 1)
        return response

    async def log_out(self, request: Request) -> HTTPResponse:
        """End the session here and in the browser."""
        session = request.ctx.session
        token = request.cookies.get(self._entry.door.cookie)
        if token:
            await self._accounts.sessions.close(token, self._deps.wall.now())
        through = session is not None and session.method == "oidc" and self._provider is not None
        response = redirect("/connexion?sorti=1" if through else "/connexion", status=303)
        self._entry.set(response, self._entry.door.cookie, "", 0)
        # Drafts that the browser kept go with the session, and so do the pages that « Précédent » would show.
        response.headers["Clear-Site-Data"] = '"cache", "storage"'
        return response

    # -- an invitation: whoever has it chooses the password ---------------------------------------------------------

    async def invitation(self, request: Request) -> HTTPResponse:
        """Opening the link spends nothing: programs that look at links in messages do so too."""
        return await self._invited(request, str(request.args.get("jeton") or ""))

    async def _invited(self, request: Request, token: str, error: str = "", status: int = 200) -> HTTPResponse:
        user = await self._accounts.invited(token, self._deps.wall.now())
        stub = self._entry.stub(request)
        page = self._renderer.page(
            "login/invitation.html",
            user=None,
            csrf=self._entry.seal(stub),
            token=token,
            invited=user,
            error=error,
            provider=self._provider.config.name if self._provider else None,
        )
        response = html(page, status if user is not None else 403)
        self._entry.set(response, self._entry.before, stub, None)
        return response

    async def accept(self, request: Request) -> HTTPResponse:
        """Set the password, spend the link, begin a session."""
        token, chosen = field(request, "jeton"), field(request, "nouveau")
        if not self._entry.fits(request):
            return await self._invited(request, token, EXPIRED, 403)
        if chosen != field(request, "confirmation"):
            return await self._invited(request, token, DIFFERENT, 422)
        try:
            user = await self._accounts.accept(token, chosen, self._deps.wall.now())
        except AccountError as error:
            return await self._invited(request, token, str(error), 422)
        return await self._entry.let_in(request, user, "/file")

    # -- the sandbox -----------------------------------------------------------------------------------------------

    async def one_time(self, request: Request) -> HTTPResponse:
        """The sandbox's link. It is there in the demo alone, on this machine, and counts as both factors."""
        if not self._deps.demo:
            raise NotFound("no such page")
        user = await self._accounts.use_login_link(str(request.args.get("jeton") or ""), self._deps.clock.now())
        if user is None:
            return self.page(request, "/file", USED, status=403)
        return await self._entry.let_in(request, user, wanted(request), "link", factor=True)
