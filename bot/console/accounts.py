"""Accounts, for administrators: create, change, disable, reset, end sessions."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.exceptions import NotFound
from sanic.response import html, redirect

from bot.console import accounts_words
from bot.console.entry import Entry
from bot.console.forms import field, whole
from bot.console.site import Site, Topic
from bot.policy.rights import Capability
from bot.store.accounts import AccountError
from bot.store.administration import Account, Administration, Way, Wish
from bot.store.administration import Entry as Handed
from bot.store.sessions import Sessions
from bot.store.teams import Teams
from bot.store.user import ROLES, User

HERE = "/comptes"
ONE = HERE + "/<number:int>"
_BIGGEST = 2**63 - 1

Act = Callable[[User, int], Coroutine[Any, Any, object]]


def routes(site: Site, entry: Entry) -> Blueprint:
    """The pages."""
    views, topic = AccountViews(site, entry), Topic("accounts")
    manage = Capability.MANAGE_ACCOUNTS
    topic.page(HERE, views.all, manage, "all")
    topic.page(HERE + "/nouveau", views.new, manage, "new")
    topic.form(HERE + "/nouveau", views.create, manage, "create")
    topic.page(ONE, views.show, manage, "show")
    topic.form(ONE + "/modifier", views.change, manage, "change")
    topic.form(ONE + "/desactiver", views.disable, manage, "disable")
    topic.form(ONE + "/reactiver", views.enable, manage, "enable")
    topic.form(ONE + "/mot-de-passe", views.reset_password, manage, "reset_password")
    topic.form(ONE + "/second-facteur", views.reset_factor, manage, "reset_factor")
    topic.form(ONE + "/sessions", views.end_sessions, manage, "end_sessions")
    topic.form(ONE + "/identite", views.unlink, manage, "unlink")
    return topic.blueprint


class AccountViews:
    """Forms answer with a redirection; a link or a provisional password is shown once, as the answer itself."""

    def __init__(self, site: Site, entry: Entry) -> None:
        self._deps = site.deps
        self._store = Administration(site.deps.database, site.accounts)
        self._sessions: Sessions = site.accounts.sessions
        self._teams = Teams(site.deps.database)
        self._renderer = site.renderer
        self._entry = entry

    def _page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTTPResponse:
        page = self._renderer.page(
            template,
            user=request.ctx.user,
            csrf=request.ctx.csrf,
            said=accounts_words,
            wall=self._deps.wall.now(),
            provider=self._deps.provider,
            **values,
        )
        return html(page, status)

    # -- the list --------------------------------------------------------------------------------------------------

    async def all(self, request: Request) -> HTTPResponse:
        """Every account, filtered by name, role and state."""
        accounts = await self._store.all(self._deps.wall.now())
        wanted = {name: str(request.args.get(name) or "").strip() for name in ("nom", "role", "etat")}
        state = wanted["etat"] if wanted["etat"] in accounts_words.STATES else "actifs"
        shown = [account for account in accounts if _fits(account, wanted["nom"], wanted["role"], state)]
        return self._page(
            request,
            "accounts/list.html",
            accounts=shown,
            total=len(accounts),
            sought=wanted["nom"],
            role=wanted["role"],
            state=state,
            told=accounts_words.told(request.args.get("fait")),
        )

    # -- a new one -------------------------------------------------------------------------------------------------

    async def new(self, request: Request) -> HTTPResponse:
        """The form."""
        return await self._new(request, Wish("", "agent"), ())

    async def _new(
        self,
        request: Request,
        wish: Wish,
        chosen: tuple[int, ...],
        error: AccountError | None = None,
        status: int = 200,
    ) -> HTTPResponse:
        return self._page(
            request,
            "accounts/new.html",
            status,
            wish=wish,
            chosen=chosen,
            teams=await self._teams.all(),
            way=_way(request),
            error=error,
        )

    async def create(self, request: Request) -> HTTPResponse:
        """Make it, and show what to hand over."""
        wish, teams = _wish(request), _teams(request)
        try:
            made = await self._store.create(request.ctx.user, wish, teams, _way(request), self._deps.wall.now())
        except AccountError as error:
            return await self._new(request, wish, teams, error, 422)
        return self._hand_over(request, made, new=True)

    def _hand_over(self, request: Request, made: Handed, new: bool) -> HTTPResponse:
        link = f"{self._entry.base(request)}/connexion/invitation?jeton={made.secret}" if made.way == "link" else ""
        return self._page(
            request, "accounts/handed.html", who=made.user, link=link, password="" if link else made.secret, new=new
        )

    # -- one -------------------------------------------------------------------------------------------------------

    async def show(self, request: Request, number: int) -> HTTPResponse:
        """Everything about an account."""
        return await self._show(request, await self._account(number))

    async def _account(self, number: int) -> Account:
        account = await self._store.get(number, self._deps.wall.now()) if 0 < number <= _BIGGEST else None
        if account is None:
            raise NotFound("no such account")
        return account

    async def _show(
        self,
        request: Request,
        account: Account,
        error: AccountError | None = None,
        wish: Wish | None = None,
        chosen: tuple[int, ...] | None = None,
        status: int = 200,
    ) -> HTTPResponse:
        teams, user = await self._teams.all(), account.user
        if chosen is None:
            chosen = tuple(team.id for team in teams if user.id in team.members or team.name in account.teams)
        return self._page(
            request,
            "accounts/page.html",
            status,
            account=account,
            wish=wish or Wish(user.name, user.role, user.level, account.email),
            teams=teams,
            chosen=chosen,
            sessions=await self._sessions.alive(user.id, self._deps.wall.now()),
            oneself=user.id == request.ctx.user.id,
            error=error,
            told=accounts_words.told(request.args.get("fait")),
        )

    async def change(self, request: Request, number: int) -> HTTPResponse:
        """Name, role, level, e-mail, teams."""
        account, wish, teams = await self._account(number), _wish(request), _teams(request)
        try:
            await self._store.change(request.ctx.user, number, wish, teams, self._deps.wall.now())
        except AccountError as error:
            return await self._show(request, account, error, wish, teams, 422)
        return redirect(f"{HERE}/{number}?fait=modifie", status=303)

    async def disable(self, request: Request, number: int) -> HTTPResponse:
        """Shut the account."""
        return await self._act(request, number, "desactive", self._store.disable)

    async def enable(self, request: Request, number: int) -> HTTPResponse:
        """Open it again."""
        return await self._act(request, number, "reactive", self._store.enable)

    async def reset_factor(self, request: Request, number: int) -> HTTPResponse:
        """Take the second factor away."""
        return await self._act(request, number, "facteur", self._store.reset_factor)

    async def end_sessions(self, request: Request, number: int) -> HTTPResponse:
        """End one session, or all."""
        only = whole(field(request, "session"), 0)
        return await self._act(request, number, "sessions", self._store.end_sessions, only=only)

    async def unlink(self, request: Request, number: int) -> HTTPResponse:
        """Take an identity of the provider off the account."""
        issuer = field(request, "fournisseur")

        async def act(by: User, user_id: int, now: Any) -> None:
            await self._store.unlink(by, user_id, issuer, now)

        return await self._act(request, number, "identite", act)

    async def _act(
        self, request: Request, number: int, done: str, act: Callable[..., Coroutine[Any, Any, object]], **more: int
    ) -> HTTPResponse:
        account = await self._account(number)
        try:
            await act(request.ctx.user, number, self._deps.wall.now(), **more)
        except AccountError as error:
            return await self._show(request, account, error, status=409)
        return redirect(f"{HERE}/{number}?fait={done}", status=303)

    async def reset_password(self, request: Request, number: int) -> HTTPResponse:
        """A new way in, shown once."""
        account = await self._account(number)
        try:
            made = await self._store.reset_password(request.ctx.user, number, _way(request), self._deps.wall.now())
        except AccountError as error:
            return await self._show(request, account, error, status=409)
        return self._hand_over(request, made, new=False)


def _fits(account: Account, sought: str, role: str, state: str) -> bool:
    disabled = account.disabled_at is not None
    if (state == "actifs" and disabled) or (state == "desactives" and not disabled):
        return False
    if role in ROLES and account.user.role != role:
        return False
    return sought.lower() in f"{account.user.name} {account.email or ''}".lower()


def _wish(request: Request) -> Wish:
    return Wish(
        field(request, "nom"), field(request, "role"), field(request, "niveau") or None, field(request, "adresse")
    )


def _way(request: Request) -> Way:
    return "password" if field(request, "acces") == "mot-de-passe" else "link"


def _teams(request: Request) -> tuple[int, ...]:
    given = request.form.getlist("equipes", []) if request.form else []
    return tuple(number for number in (whole(str(one), 0) for one in given) if number)
