"""What helps an agent to write: drafts kept by the server, private notes, canned and suggested replies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sanic import HTTPResponse, Request
from sanic.exceptions import NotFound
from sanic.response import empty, json, redirect

from bot.console import labels, work_words
from bot.console.answered import Answers
from bot.console.conversation import ConversationPage, checked
from bot.console.forms import field, whole
from bot.console.site import Showing, Site
from bot.console.suggestion import Suggestion, Suggestions, fill
from bot.core.clean import clean
from bot.meta.split import split
from bot.policy.rights import Capability
from bot.store import audit
from bot.store.canned import CannedStore
from bot.store.desk.drafts import DraftStore
from bot.store.desk.errors import BadReply
from bot.store.desk.notes import NoteStore
from bot.store.desk.replies import REPLY_AT_MOST
from bot.store.desk.suggestions import SuggestionStore

_OFFERED = 8
_QUERY_AT_MOST = 60
_KEY_AT_MOST = 100


class WritingViews:
    """Answers to the composer's script are JSON; a note is a form like any other."""

    def __init__(self, site: Site, answers: Answers) -> None:
        self._site = site
        self._deps = site.deps
        self._answers = answers
        self._drafts = DraftStore(site.desk)
        self._notes = NoteStore(site.desk)
        self._canned = CannedStore(site.deps.database)
        self._suggestions = Suggestions(
            site.deps.engine, self._canned, SuggestionStore(site.desk), site.deps.catalogue, site.deps.retention
        )
        self._conversation = ConversationPage(site)

    async def draft(self, request: Request, number: int) -> HTTPResponse:
        """Keep what is written so far: {"kept", "parts"}, how many messages it would leave as; 422 with {"what"}."""
        number = checked(number)
        written, key = field(request, "message"), field(request, "cle")[:_KEY_AT_MOST]
        user, now = request.ctx.user, self._deps.clock.now()
        conversation = await self._site.desk.access_conversation(user, number)
        try:
            kept = await self._drafts.keep(user, number, written, whole(field(request, "vu"), 0), key, now)
        except BadReply as error:
            return json({"what": error.what}, status=422)
        words = clean(written)
        return json(
            {"kept": kept, "parts": len(split(words, conversation.platform)) if len(words) <= REPLY_AT_MOST else 0}
        )

    async def note(self, request: Request, number: int) -> HTTPResponse:
        """A private note; refused with what was written."""
        number = checked(number)
        key = field(request, "cle")[:_KEY_AT_MOST]
        try:
            await self._notes.write(request.ctx.user, number, field(request, "note"), key, self._deps.clock.now())
        except BadReply as error:
            request.ctx.note = field(request, "note")
            return await self._conversation.page(request, number, error=error, status=422)
        return redirect(f"/conversations/{number}", status=303)

    async def notes(self, showing: Showing) -> Mapping[str, Any] | None:
        """The notes, for those who read the conversation."""
        notes = await self._notes.of(showing.conversation.id)
        return {"notes": notes} if notes else None

    async def canned(self, request: Request, number: int) -> HTTPResponse:
        """Canned replies that answer `q`, filled for this conversation: [{"id", "shortcut", "title", "text", "missing"}]."""
        number, user = checked(number), request.ctx.user
        conversation = await self._site.desk.access_conversation(user, number)
        query = str(request.args.get("q") or "")[:_QUERY_AT_MOST]
        category = conversation.handoff.category if conversation.handoff else None
        offered = []
        for one in await self._canned.offered(query, category, _OFFERED):
            text, missing = fill(one.body, conversation, user)
            offered.append(
                {"id": one.id, "shortcut": one.shortcut, "title": one.title, "text": text, "missing": missing}
            )
        await self._seen(request, number, "reponses-types")
        return json(offered)

    async def canned_used(self, request: Request, number: int, canned: int) -> HTTPResponse:
        """Count that a canned reply was taken into a message."""
        await self._site.desk.access_conversation(request.ctx.user, checked(number), Capability.WORK)
        canned = min(canned, 2**63 - 1)
        if not await self._canned.used(canned, self._deps.wall.now()):
            raise NotFound("no such canned reply")
        self._answers.instead(request.ctx.user.id, number, await self._canned.subject(canned))
        return empty(204)

    async def suggest(self, request: Request, number: int) -> HTTPResponse:
        """Suggested replies, the best first: [{"text", "source", "about", "name", "missing", "question"}]; 204 for none."""
        found = await self._suggestions.of(request.ctx.user, checked(number))
        if not found:
            return empty(204)
        await self._seen(request, number, "suggestion")
        self._answers.shown(request.ctx.user.id, number, found[0].text, self._deps.clock.now())
        return json([self._suggested(one) for one in found])

    def _suggested(self, one: Suggestion) -> dict[str, Any]:
        """`about`: what it answers, in words; `name`: what a button calls it; `question`: that of the catalogue, or ""."""
        asked = self._deps.catalogue().questions.get(one.question)
        return {
            "text": one.text,
            "source": work_words.source(one.source, one.chance),
            "about": asked.question if asked else labels.intent(one.intent),
            "name": asked.title if asked else work_words.name(one.source),
            "missing": one.missing,
            "question": one.question,
        }

    async def _seen(self, request: Request, number: int, page: str) -> None:
        """What is offered holds the person's name, or what they said."""
        now = self._deps.clock.now()
        await self._site.desk.sightings.record(request.ctx.user.id, "view", now, (number,), page=page)

    async def suggestion_used(self, request: Request, number: int) -> HTTPResponse:
        """Record that a suggestion was taken into the composer."""
        number, user = checked(number), request.ctx.user
        async with self._deps.database.begin() as connection:
            await self._site.desk.access(connection, user, number, Capability.WORK)
            await audit.record(connection, self._deps.clock.now(), user.id, "suggestion_used", number)
        self._answers.taken(user.id, number)
        return empty(204)
