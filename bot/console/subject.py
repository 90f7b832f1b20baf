"""« Ce n’est pas le bon sujet »: a small form in the conversation's page, for those who work in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import redirect

from bot.console import labels
from bot.console.conversation import ConversationPage, checked
from bot.console.forms import field
from bot.console.site import Panel, Showing, Site, Slot, Topic
from bot.policy.intents import INTENTS, policy_of
from bot.policy.rights import Capability
from bot.store.desk.errors import BadChoice, Conflict
from bot.store.desk.subjects import SubjectStore


def routes(site: Site) -> Blueprint:
    """The form, and the panel that holds it."""
    views, topic = SubjectViews(site), Topic("subject")
    topic.form("/conversations/<number:int>/sujet", views.correct, Capability.WORK, "correct")
    site.panels.append(Panel(Slot.COMPOSER, "work/_subject.html", views.panel, rank=60))
    return topic.blueprint


class SubjectViews:
    """The form answers with a redirection."""

    def __init__(self, site: Site) -> None:
        self._deps = site.deps
        self._store = SubjectStore(site.desk)
        self._conversation = ConversationPage(site)

    async def panel(self, showing: Showing) -> Mapping[str, Any] | None:
        """For whoever has the conversation, while its request is open."""
        user, conversation, handoff = showing.request.ctx.user, showing.conversation, showing.conversation.handoff
        if handoff is None or handoff.closed_at is not None or not conversation.held_by(user):
            return None
        return {"subjects": _subjects()} if user.may(Capability.WORK) else None

    async def correct(self, request: Request, number: int) -> HTTPResponse:
        """The request gets the subject that the agent says."""
        number = checked(number)
        try:
            await self._store.correct(request.ctx.user, number, field(request, "sujet"), self._deps.clock.now())
        except (BadChoice, Conflict) as error:
            status = 409 if isinstance(error, Conflict) else 422
            return await self._conversation.page(request, number, error=error, status=status)
        return redirect(f"/conversations/{number}", status=303)


def _subjects() -> Mapping[str, list[tuple[str, str]]]:
    """Category, in words → (intent, words), as a list to choose from."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name in sorted(INTENTS, key=lambda one: (policy_of(one).priority, labels.intent(one) or "")):
        category = labels.CATEGORIES.get(policy_of(name).category, "Autre")
        found.setdefault(category, []).append((name, labels.intent(name) or name))
    return found
