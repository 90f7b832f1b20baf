"""Where a conversation goes: to a colleague or a team, to later, out of the way; and people who are blocked."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Mapping
from typing import Any

from sanic import HTTPResponse, Request
from sanic.response import redirect

from bot.console import work_words
from bot.console.conversation import ConversationPage, checked
from bot.console.done import leave
from bot.console.forms import field, whole
from bot.console.site import Showing, Site
from bot.policy.rights import Capability
from bot.store import blocks
from bot.store.desk.colleagues import colleagues
from bot.store.desk.errors import BadChoice, BadReply, Conflict
from bot.store.desk.moves import MoveStore, Target
from bot.store.teams import Teams

_KEY_AT_MOST = 100


def may_move(showing: Showing) -> dict[str, bool]:
    """What this person may do with the conversation as it stands; the store asks again."""
    user, conversation = showing.request.ctx.user, showing.conversation
    handoff, mine = conversation.handoff, conversation.held_by(user)
    is_open = handoff is not None and handoff.closed_at is None
    frees = user.may(Capability.FREE) or conversation.owner != "agent"
    spam = handoff is not None and handoff.state == "spam"
    return {
        "can_transfer": mine and is_open,
        "can_assign": not mine and is_open and user.may(Capability.ASSIGN),
        "can_snooze": is_open and (mine or frees) and handoff is not None and handoff.category != "emergency",
        "can_put_aside": (mine or frees) and not spam,
        "can_block": (mine or frees) and user.may(Capability.BLOCK),
    }


class MoveViews:
    """Forms answer with a redirection, so that a reload repeats nothing."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._deps = site.deps
        self._store = MoveStore(site.desk)
        self._teams = Teams(site.deps.database)
        self._conversation = ConversationPage(site)

    # -- panels --------------------------------------------------------------------------------------------------

    async def state(self, showing: Showing) -> Mapping[str, Any] | None:
        """What is out of the ordinary: put off, given to somebody, spam, blocked."""
        user, handoff = showing.request.ctx.user, showing.conversation.handoff
        async with self._deps.database.begin() as connection:
            block = await blocks.standing(connection, showing.conversation.id)
        is_open = handoff is not None and handoff.closed_at is None
        other = is_open and handoff is not None and handoff.assignee_id not in (None, showing.conversation.agent_id)
        return {
            "block": block,
            "why": work_words.BLOCK.get(block.reason, block.reason) if block else "",
            "snoozed": is_open and handoff is not None and handoff.snoozed_until,
            "assignee": handoff.assignee if other and handoff else None,
            "to_me": bool(other and handoff and handoff.assignee_id == user.id),
            "team": handoff.team if is_open and handoff and showing.conversation.owner != "agent" else None,
            "spam": handoff is not None and handoff.state == "spam",
            "works": user.may(Capability.WORK),
            "blocks": user.may(Capability.BLOCK),
        }

    async def panel(self, showing: Showing) -> Mapping[str, Any] | None:
        """The forms behind the buttons: they are not refreshed, so that a choice stays."""
        user = showing.request.ctx.user
        if not user.may(Capability.WORK):
            return None
        may = may_move(showing)
        gives = may["can_transfer"] or may["can_assign"]
        async with self._deps.database.begin() as connection:
            people = await colleagues(connection) if gives else []
        return {
            **may,
            "people": [one for one in people if one.id != showing.conversation.agent_id],
            "teams": await self._teams.all() if gives else [],
            "snooze": work_words.SNOOZE,
            "snooze_at": field(showing.request, "le")[:16],  # of a form that was refused
            "reasons": work_words.BLOCK,
            "key": secrets.token_urlsafe(12),
        }

    # -- forms ---------------------------------------------------------------------------------------------------

    async def transfer(self, request: Request, number: int) -> HTTPResponse:
        """What I have goes to a colleague or a team."""
        number = checked(number)
        to = _target(request)
        done = self._store.transfer(request.ctx.user, number, to, *_word(request), self._deps.clock.now())
        return await self._after(request, number, done, "/file?etat=a-moi", "transferee")

    async def assign(self, request: Request, number: int) -> HTTPResponse:
        """Somebody, or a team, is to have it."""
        number = checked(number)
        held_by = whole(field(request, "tenue_par"), 0) or None
        to = _target(request)
        done = self._store.assign(request.ctx.user, number, to, held_by, *_word(request), self._deps.clock.now())
        return await self._after(request, number, done, f"/conversations/{number}")

    async def snooze(self, request: Request, number: int) -> HTTPResponse:
        """Later, or now again."""
        number, now, user = checked(number), self._deps.clock.now(), request.ctx.user
        choice = field(request, "pour")
        if choice == "maintenant":
            return await self._after(request, number, self._store.wake(user, number, now), f"/conversations/{number}")
        until = work_words.snoozed_until(choice, field(request, "le"), now, self._deps.zone)
        if until is None:
            await self._site.desk.access_conversation(user, number)
            error = BadChoice("Choisissez jusqu’à quand reporter la conversation.", "Donnez une date et une heure.")
            return await self._conversation.page(request, number, error=error, status=422)
        snoozing = self._store.snooze(user, number, until, now, _seen(request))
        return await self._after(request, number, snoozing, "/file", "reportee")

    async def spam(self, request: Request, number: int) -> HTTPResponse:
        """Undesirable, or not after all (`annuler`)."""
        number, now, user = checked(number), self._deps.clock.now(), request.ctx.user
        if field(request, "annuler"):
            return await self._after(
                request, number, self._store.not_spam(user, number, now), f"/conversations/{number}"
            )
        spam = self._store.spam(user, number, now, _seen(request))
        return await self._after(request, number, spam, "/file", "indesirable")

    async def block(self, request: Request, number: int) -> HTTPResponse:
        """Block the person for a reason, or lift it (`annuler`)."""
        number, now, user = checked(number), self._deps.clock.now(), request.ctx.user
        here = f"/conversations/{number}"
        if field(request, "annuler"):
            return await self._after(request, number, self._store.unblock(user, number, now), here)
        blocking = self._store.block(user, number, field(request, "motif"), now, _seen(request))
        return await self._after(request, number, blocking, here)

    async def _after(
        self, request: Request, number: int, action: Awaitable[None], where: str, done: str = ""
    ) -> HTTPResponse:
        """Do it, then go there; the page again with what was refused. The draft is on the server already."""
        try:
            await action
        except Conflict as error:
            return await self._conversation.page(request, number, error=error, status=409)
        except (BadChoice, BadReply) as error:
            return await self._conversation.page(request, number, error=error, status=422)
        return leave(where, done, self._deps.secure_cookies) if done else redirect(where, status=303)


def _seen(request: Request) -> int:
    """The last thing of the person that the page showed."""
    return whole(field(request, "vu"), 0)


def _target(request: Request) -> Target:
    """Whom the form names; nobody (id 0) when it names none, which the store refuses."""
    return work_words.target(field(request, "a")) or Target("user", 0)


def _word(request: Request) -> tuple[str, str]:
    return field(request, "mot"), field(request, "cle")[:_KEY_AT_MOST]
