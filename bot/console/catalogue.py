"""The catalogue of questions beside the composer: all its answers behind a search, and that one was taken into a message."""

from __future__ import annotations

from typing import Any

from sanic import HTTPResponse, Request
from sanic.exceptions import NotFound
from sanic.response import empty, json

from bot.console import labels
from bot.console.answered import Answers
from bot.console.conversation import checked
from bot.console.forms import field
from bot.console.site import Site
from bot.core.catalogue import Question
from bot.policy import retention
from bot.policy.rights import Capability

OFFERED = 40
_QUERY_AT_MOST = 200
_ID_AT_MOST = 200


class CatalogueViews:
    """Answers to the composer's script are JSON. What is offered is ours alone, nothing of any person's."""

    def __init__(self, site: Site, answers: Answers) -> None:
        self._site = site
        self._answers = answers

    async def search(self, request: Request) -> HTTPResponse:
        """The questions that `q` finds, those of the subject `sujet` first where it is empty: {"count", "questions": [{"id",
        "question", "topic", "text"}]}, the first OFFERED."""
        query = str(request.args.get("q") or "")[:_QUERY_AT_MOST].strip()
        found = self._site.deps.catalogue().find(query)
        if not query:
            subject = str(request.args.get("sujet") or "")
            found = tuple(sorted(found, key=lambda one: one.intent != subject))
        return json({"count": len(found), "questions": [self._offered(one) for one in found[:OFFERED]]})

    async def used(self, request: Request, number: int) -> HTTPResponse:
        """Note that the answer to `question` was taken into a message, in place of what was suggested."""
        await self._site.desk.access_conversation(request.ctx.user, checked(number), Capability.WORK)
        found = self._site.deps.catalogue().questions.get(field(request, "question")[:_ID_AT_MOST])
        if found is None:
            raise NotFound("no such question")
        self._answers.instead(request.ctx.user.id, number, found.intent)
        return empty(204)

    def _offered(self, one: Question) -> dict[str, Any]:
        return {
            "id": one.id,
            "question": one.question,
            "topic": labels.intent(one.intent),
            "text": retention.told(one.answer.said, self._site.deps.retention),
        }
