"""What an agent does to a conversation: take, reply, give back, close, reopen; the panels that hold the forms."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping
from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import redirect

from bot.console import alarm_words, unread, validation_words, work_words
from bot.console.answered import Answers
from bot.console.catalogue import CatalogueViews
from bot.console.conversation import PATH, ConversationPage, checked
from bot.console.done import leave
from bot.console.forms import field, whole
from bot.console.presence import PresenceViews
from bot.console.site import Panel, Showing, Site, Slot, Topic
from bot.console.work_moves import MoveViews, may_move
from bot.console.work_writing import WritingViews
from bot.policy.closing import second_look, untaken_emergency
from bot.policy.rights import Capability
from bot.policy.window import WindowClosed
from bot.store.alarms import Alarm
from bot.store.desk.access import Handoff
from bot.store.desk.alarms import AlarmStore
from bot.store.desk.drafts import DraftStore
from bot.store.desk.errors import BadChoice, BadReply, Conflict, DeskError, NeedsValidation
from bot.store.desk.validation import ValidationStore
from bot.store.desk.work import WorkStore

KEY_AT_MOST = 100
DANGERS = 3  # alarms that the second look at a closing names


def routes(site: Site) -> Blueprint:
    """The forms, and the panels that hold them."""
    answers = Answers(site.deps.database, site.deps.codec)
    views, topic = WorkViews(site, answers), Topic("work")
    topic.form(PATH + "/prendre", views.take, Capability.WORK, "take")
    topic.form(PATH + "/repondre", views.reply, Capability.WORK, "reply")
    topic.form(PATH + "/rendre", views.give_back, Capability.WORK, "give_back")
    topic.form(PATH + "/clore", views.close, Capability.WORK, "close")
    topic.form(PATH + "/annuler-cloture", views.undo_close, Capability.WORK, "undo_close")
    topic.form(PATH + "/rouvrir", views.reopen, Capability.WORK, "reopen")
    moves = MoveViews(site)
    topic.form(PATH + "/transferer", moves.transfer, Capability.WORK, "transfer")
    topic.form(PATH + "/attribuer", moves.assign, Capability.ASSIGN, "assign")
    topic.form(PATH + "/reporter", moves.snooze, Capability.WORK, "snooze")
    topic.form(PATH + "/indesirable", moves.spam, Capability.WORK, "spam")
    topic.form(PATH + "/bloquer", moves.block, Capability.BLOCK, "block")
    writing = WritingViews(site, answers)
    topic.form(PATH + "/brouillon", writing.draft, Capability.WORK, "draft")
    topic.form(PATH + "/note", writing.note, Capability.WORK, "note")
    topic.page(PATH + "/suggestion", writing.suggest, Capability.WORK, "suggest")
    topic.form(PATH + "/suggestion", writing.suggestion_used, Capability.WORK, "suggestion_used")
    topic.page(PATH + "/reponses-types", writing.canned, Capability.WORK, "canned")
    topic.form(PATH + "/reponses-types/<canned:int>", writing.canned_used, Capability.WORK, "canned_used")
    catalogue = CatalogueViews(site, answers)
    topic.page("/catalogue", catalogue.search, Capability.WORK, "catalogue")
    topic.form(PATH + "/catalogue", catalogue.used, Capability.WORK, "catalogue_used")
    presence = PresenceViews(site)
    topic.form(PATH + "/presence", presence.beat, Capability.WORK, "presence")
    site.panels.append(Panel(Slot.BANNER, "work/_presence.html", presence.panel, rank=10))
    site.panels.append(Panel(Slot.BANNER, "work/_state.html", moves.state, rank=20))
    site.panels.append(Panel(Slot.ACTS, "work/_acts.html", views.acts))
    site.panels.append(Panel(Slot.COMPOSER, "work/_composer.html", views.composer))
    site.panels.append(Panel(Slot.COMPOSER, "work/_more.html", moves.panel, rank=90))
    site.panels.append(Panel(Slot.SIDE, "work/_notes.html", writing.notes, rank=20))
    return topic.blueprint


class WorkViews:
    """Forms answer with a redirection, so that a reload repeats nothing."""

    def __init__(self, site: Site, answers: Answers) -> None:
        self._deps = site.deps
        self._answers = answers
        self._store = WorkStore(site.desk)
        self._drafts = DraftStore(site.desk)
        self._validation = ValidationStore(site.desk)
        self._alarms = AlarmStore(site.desk)
        self._conversation = ConversationPage(site)

    # -- panels --------------------------------------------------------------------------------------------------

    async def acts(self, showing: Showing) -> Mapping[str, Any] | None:
        """The buttons, for those who may press them."""
        user, conversation = showing.request.ctx.user, showing.conversation
        if not user.may(Capability.WORK):
            return None
        handoff, mine = conversation.handoff, conversation.held_by(user)
        is_open = handoff is not None and handoff.closed_at is None
        frees = user.may(Capability.FREE) and conversation.owner == "agent"
        answered = handoff is not None and handoff.replied_at is not None
        untaken = is_open and handoff is not None and untaken_emergency(handoff.category, conversation.owner)
        grave = is_open and handoff is not None and second_look(handoff.category, handoff.priority)
        return {
            **may_move(showing),
            "can_take": not mine,
            "can_reopen": not mine and handoff is not None and not is_open and conversation.owner != "agent",
            "can_give_back": mine or frees or conversation.owner == "inbox",
            "can_close": not untaken
            and (mine or frees or (is_open and conversation.owner != "agent") or conversation.owner == "inbox"),
            "grave": grave,
            "dangers": await self._dangers(handoff) if grave and handoff else [],
            "reasons": work_words.CLOSE,
            "reason": "repondu" if answered else "sans_suite",
            "seen_sent": _seen_sent(showing),
        }

    async def _dangers(self, handoff: Handoff) -> list[Alarm]:
        """What said that somebody may be in danger: closing names it once more."""
        shown = await self._alarms.shown(handoff)
        return alarm_words.shown(shown.alarms, shown.sure)[:DANGERS] if shown.standing else []

    async def composer(self, showing: Showing) -> Mapping[str, Any] | None:
        """The reply, or why there is none to write."""
        user = showing.request.ctx.user
        works = user.may(Capability.WORK)
        steps = await self._validation.rule(showing.conversation)
        kept = await self._drafts.of(user, showing.conversation.id) if works and not showing.draft else None
        begun = unread.begun(showing, kept.seen if kept else None)
        return {
            "works": works,
            "steps": steps,
            "steps_words": validation_words.steps(steps),
            "key": secrets.token_urlsafe(12),
            "note_key": secrets.token_urlsafe(12),
            "note": getattr(showing.request.ctx, "note", ""),
            "draft": showing.draft or (kept.words if kept else ""),
            "kept": bool(showing.draft),
            "begun": begun,
            "older": begun < showing.thread.seen,
            "unread": unread.question(showing),
            "questions": len(self._deps.catalogue().questions),
        }

    # -- forms ---------------------------------------------------------------------------------------------------

    async def take(self, request: Request, number: int) -> HTTPResponse:
        """Take the conversation."""
        number = checked(number)
        held_by = whole(field(request, "tenue_par"), 0) or None
        try:
            await self._store.take(request.ctx.user, number, held_by, self._deps.clock.now())
        except Conflict as error:
            return await self._conversation.page(request, number, error=error, status=409)
        return redirect(f"/conversations/{number}", status=303)

    async def reply(self, request: Request, number: int) -> HTTPResponse:
        """Send a message; refused with the draft kept when the person wrote since it was begun, or a colleague did."""
        number = checked(number)
        written = field(request, "message")
        seen, sent = unread.seen(request), field(request, "vu_envoi")
        seen_sent = whole(sent, 0) if sent else None
        key, now = field(request, "cle")[:KEY_AT_MOST], self._deps.clock.now()
        try:
            await self._store.reply(request.ctx.user, number, written, seen, key, now, seen_sent)
        except Conflict as error:
            return await self._refused(request, number, error, 409)
        except (BadReply, NeedsValidation) as error:
            return await self._refused(request, number, error, 422)
        except WindowClosed as closed:
            return await self._refused(request, number, DeskError(str(closed), "Votre brouillon est gardé."), 422)
        await self._answers.replied(request.ctx.user.id, number, written, now)
        return redirect(f"/conversations/{number}?envoye=1", status=303)

    async def _refused(self, request: Request, number: int, error: DeskError, status: int) -> HTTPResponse:
        """The page with the error and what was written, which the server keeps too."""
        written, seen = field(request, "message"), unread.seen(request)
        unread.refused(request, error, seen)
        with contextlib.suppress(BadReply):  # too long for a draft: it stands on the page
            await self._drafts.keep(request.ctx.user, number, written, seen, "", self._deps.clock.now())
        return await self._conversation.page(request, number, error=error, draft=written, status=status)

    async def give_back(self, request: Request, number: int) -> HTTPResponse:
        """The bot speaks again."""
        number = checked(number)
        seen = whole(field(request, "vu"), 0)
        try:
            await self._store.give_back(request.ctx.user, number, self._deps.clock.now(), seen)
        except Conflict as error:
            return await self._conversation.page(request, number, error=error, status=409)
        return leave("/file?etat=a-moi", "rendue", self._deps.secure_cookies)

    async def close(self, request: Request, number: int) -> HTTPResponse:
        """Nothing more is expected."""
        number = checked(number)
        seen, reason, looked = whole(field(request, "vu"), 0), field(request, "motif"), field(request, "confirme")
        try:
            await self._store.close(request.ctx.user, number, seen, self._deps.clock.now(), reason, looked)
        except (Conflict, BadChoice) as error:
            status = 409 if isinstance(error, Conflict) else 422
            return await self._conversation.page(
                request, number, error=error, draft=field(request, "message"), status=status
            )
        return leave("/file", "close", self._deps.secure_cookies, number)

    async def undo_close(self, request: Request, number: int) -> HTTPResponse:
        """What was just closed goes on as it stood."""
        number = checked(number)
        try:
            await self._store.undo_close(request.ctx.user, number, self._deps.clock.now())
        except Conflict as error:
            return await self._conversation.page(request, number, error=error, status=409)
        return redirect(f"/conversations/{number}", status=303)

    async def reopen(self, request: Request, number: int) -> HTTPResponse:
        """The last request goes on, with whoever reopens it."""
        number = checked(number)
        try:
            await self._store.reopen(request.ctx.user, number, self._deps.clock.now())
        except Conflict as error:
            return await self._conversation.page(request, number, error=error, status=409)
        return redirect(f"/conversations/{number}", status=303)


def _seen_sent(showing: Showing) -> int | None:
    """The last message of an agent that the page shows; None when it is too long ago to be on it."""
    shown = [int(entry.id[1:]) for entry in showing.thread.entries if entry.author == "agent"]
    return max(shown) if shown else None if showing.thread.more else 0
