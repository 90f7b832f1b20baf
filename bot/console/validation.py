"""Validation: the list of drafts that wait, a draft with its decision, and the author's part in a conversation's page."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import html, json, redirect

from bot.console import unread
from bot.console import validation_words as terms
from bot.console.conversation import PATH, ConversationPage, checked
from bot.console.door import LIVE_HEADER
from bot.console.forms import field, whole
from bot.console.periodic import Periodic
from bot.console.site import Panel, Showing, Site, Slot, Topic
from bot.console.words import window_left
from bot.policy.rights import Capability
from bot.policy.validation import decidable, pressure
from bot.policy.window import WindowClosed
from bot.store.desk.drafts import DraftStore
from bot.store.desk.errors import BadReply, Conflict, DeskError
from bot.store.desk.submissions import ALL, DECIDE, FILTERS, WRITTEN, NoSuchSubmission, Submission, Submissions
from bot.store.desk.thread import ThreadStore
from bot.store.desk.validation import NotYours, ValidationStore

_ONE = "/validation/<number:int>"
_KEY_AT_MOST = 100
_CONTEXT = 20  # entries of the thread beside a draft
_PAGES_AT_MOST = 1000
WATCH_EVERY = (
    15.0  # seconds between looks; an approval asks for the window itself, so nothing leaves for want of a look
)


def routes(site: Site) -> Blueprint:
    """The list, a draft, its forms, the rules; the panels of a conversation's page."""
    views, topic = ValidationViews(site), Topic("validation")
    topic.page("/validation", views.listing, Capability.SEE_VALIDATION, "list")
    topic.page("/validation/alertes", views.alerts, Capability.SEE_VALIDATION, "alerts")
    topic.page(_ONE, views.show, Capability.SEE_VALIDATION, "show")
    topic.form(_ONE + "/approuver", views.approve, Capability.VALIDATE, "approve")
    topic.form(_ONE + "/amender", views.amend, Capability.VALIDATE, "amend")
    topic.form(_ONE + "/refuser", views.refuse, Capability.VALIDATE, "refuse")
    topic.form(_ONE + "/retirer", views.withdraw, Capability.WORK, "withdraw")
    topic.form(_ONE + "/confirmer", views.confirm, Capability.WORK, "confirm")
    topic.form(_ONE + "/reprendre", views.take_back, Capability.WORK, "take_back")
    topic.form(PATH + "/soumettre", views.submit, Capability.WORK, "submit")
    topic.page("/validation/regles", views.rules, Capability.SET_VALIDATION, "rules")
    topic.form("/validation/regles", views.set_rules, Capability.SET_VALIDATION, "set_rules")
    site.panels.append(Panel(Slot.BANNER, "validation/_banner.html", views.banner, rank=40))
    site.panels.append(Panel(Slot.SIDE, "validation/_state.html", views.state, rank=10))
    Periodic("drafts", lambda: views.store.watch(site.deps.clock.now()), WATCH_EVERY).attach(topic.blueprint)
    return topic.blueprint


class ValidationViews:
    """Forms answer with a redirection, so that a reload repeats nothing."""

    def __init__(self, site: Site) -> None:
        self.store = ValidationStore(site.desk)
        self._site = site
        self._drafts = Submissions(site.desk)
        self._kept = DraftStore(site.desk)
        self._threads = ThreadStore(site.desk)
        self._conversation = ConversationPage(site)

    def _now(self) -> Any:
        return self._site.deps.clock.now()

    def _page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTTPResponse:
        page = self._site.renderer.page(
            template, user=request.ctx.user, csrf=request.ctx.csrf, terms=terms, pressure=pressure, **values
        )
        return html(page, status)

    # -- the list ------------------------------------------------------------------------------------------------

    async def listing(self, request: Request) -> HTTPResponse:
        """What waits: to be decided by this user, written by them, all of it."""
        user = request.ctx.user
        decides = bool(decidable(user.role, user.level))
        first = DECIDE if decides else WRITTEN if user.may(Capability.WORK) else ALL
        shown = [f for f in FILTERS if (f != DECIDE or decides) and (f != WRITTEN or user.may(Capability.WORK))]
        given = request.args.get("voir")
        which = given if given in shown else first
        number = min(_PAGES_AT_MOST, max(1, whole(request.args.get("page"), 1)))
        listing = await self._drafts.listing(user, which, self._now(), number)
        live = LIVE_HEADER in request.headers
        return self._page(
            request,
            "validation/_list.html" if live else "validation/page.html",
            listing=listing,
            which=which,
            filters=shown,
            number=number,
            done=terms.DONE.get(request.args.get("fait") or "", ""),
            counted={DECIDE: listing.counts.decide, WRITTEN: listing.counts.written, ALL: listing.counts.waiting},
        )

    async def alerts(self, request: Request) -> HTTPResponse:
        """For the navigation of every page: what waits for this user, what presses, what came back to them."""
        counts = await self._drafts.counts(request.ctx.user, self._now())
        return json({"decide": counts.decide, "pressing": counts.pressing, "review": counts.review})

    # -- one draft -----------------------------------------------------------------------------------------------

    async def show(self, request: Request, number: int) -> HTTPResponse:
        """A draft beside the thread that it answers; the decision's forms for who may decide."""
        live = LIVE_HEADER in request.headers
        try:
            draft = await self._drafts.one(request.ctx.user, number)
        except NoSuchSubmission as error:
            return self._unknown(request, error)
        return await self._show(request, draft, "validation/_one.html" if live else "validation/one.html")

    async def _show(
        self,
        request: Request,
        draft: Submission,
        template: str = "validation/one.html",
        error: DeskError | None = None,
        written: str | None = None,
        word: str = "",
        form: str = "",
        status: int = 200,
    ) -> HTTPResponse:
        """`written`, `word`, `form`: what a refused form gives back, and which of the three it was."""
        user, conversation = request.ctx.user, draft.conversation
        _, thread = await self._threads.thread(user, conversation.id, self._now(), page="validation")
        return self._page(
            request,
            template,
            status,
            draft=draft,
            live=LIVE_HEADER in request.headers,
            conversation=conversation,
            entries=thread.entries[-_CONTEXT:],
            left=window_left(conversation.last_person_at, self._now()),
            bar=draft.bar(user),
            decides=user.may(Capability.VALIDATE),
            concerned=user.may(Capability.WORK) and (draft.author_id == user.id or conversation.held_by(user)),
            error=error,
            written=draft.text if written is None else written,
            word=word,
            form=form,
        )

    def _unknown(self, request: Request, error: NoSuchSubmission) -> HTTPResponse:
        page = self._site.renderer.page(
            "error.html",
            user=request.ctx.user,
            csrf=request.ctx.csrf,
            title="Réponse introuvable",
            what=error.what,
            remedy=error.remedy,
            status=404,
        )
        return html(page, 404)

    async def _refused(
        self, request: Request, number: int, error: DeskError, form: str, written: str | None = None, word: str = ""
    ) -> HTTPResponse:
        if isinstance(error, NoSuchSubmission):
            return self._unknown(request, error)
        draft = await self._drafts.one(request.ctx.user, number)
        status = 403 if isinstance(error, NotYours) else 409 if isinstance(error, Conflict) else 422
        return await self._show(request, draft, error=error, written=written, word=word, form=form, status=status)

    async def approve(self, request: Request, number: int) -> HTTPResponse:
        """The text leaves as it stands, or goes on to the next step."""
        step, read = whole(field(request, "etape"), -1), whole(field(request, "lu"), 0)
        try:
            await self.store.approve(request.ctx.user, number, step, read, self._now())
        except (NotYours, Conflict, NoSuchSubmission) as error:
            return await self._refused(request, number, error, "approuver")
        return redirect("/validation?fait=approuve", status=303)

    async def amend(self, request: Request, number: int) -> HTTPResponse:
        """Another text leaves, or goes on to the next step."""
        step, read = whole(field(request, "etape"), -1), whole(field(request, "lu"), 0)
        written, word = field(request, "message"), field(request, "mot")
        try:
            await self.store.amend(request.ctx.user, number, step, read, written, word, self._now())
        except (NotYours, Conflict, NoSuchSubmission, BadReply) as error:
            return await self._refused(request, number, error, "amender", written, word)
        return redirect("/validation?fait=amende", status=303)

    async def refuse(self, request: Request, number: int) -> HTTPResponse:
        """The draft goes back to its author, with a word."""
        word = field(request, "mot")
        try:
            step = whole(field(request, "etape"), -1)
            await self.store.refuse(request.ctx.user, number, step, word, self._now())
        except (NotYours, Conflict, NoSuchSubmission, BadReply) as error:
            return await self._refused(request, number, error, "refuser", word=word)
        return redirect("/validation?fait=refuse", status=303)

    # -- the author ----------------------------------------------------------------------------------------------

    async def submit(self, request: Request, number: int) -> HTTPResponse:
        """What the composer's button does where the rule asks for validation."""
        number = checked(number)
        written, key = field(request, "message"), field(request, "cle")[:_KEY_AT_MOST]
        seen, sent = unread.seen(request), whole(field(request, "vu_envoi"), -1)
        try:
            await self.store.submit(
                request.ctx.user, number, written, seen, key, self._now(), None if sent < 0 else sent
            )
        except (Conflict, BadReply) as error:
            return await self._not_submitted(request, number, error)
        except WindowClosed as closed:
            return await self._not_submitted(request, number, DeskError(str(closed), "Votre brouillon est gardé."))
        return redirect(f"/conversations/{number}?envoye=1", status=303)

    async def _not_submitted(self, request: Request, number: int, error: DeskError) -> HTTPResponse:
        """The page with the error and what was written, which the server keeps too."""
        written, seen = field(request, "message"), unread.seen(request)
        unread.refused(request, error, seen)
        with contextlib.suppress(BadReply):  # too long for a draft: it stands on the page
            await self._kept.keep(request.ctx.user, number, written, seen, "", self._now())
        status = 409 if isinstance(error, Conflict) else 422
        return await self._conversation.page(request, number, error=error, draft=written, status=status)

    async def withdraw(self, request: Request, number: int) -> HTTPResponse:
        """The draft stands in the composer again."""
        try:
            conversation = await self.store.withdraw(request.ctx.user, number, self._now())
        except (Conflict, NoSuchSubmission) as error:
            return await self._refused(request, number, error, "")
        return redirect(f"/conversations/{conversation}", status=303)

    async def confirm(self, request: Request, number: int) -> HTTPResponse:
        """The draft holds in spite of what the person wrote since."""
        try:
            conversation = await self.store.confirm(
                request.ctx.user, number, whole(field(request, "lu"), 0), self._now()
            )
        except (Conflict, NoSuchSubmission) as error:
            return await self._refused(request, number, error, "")
        return redirect(f"/conversations/{conversation}", status=303)

    async def take_back(self, request: Request, number: int) -> HTTPResponse:
        """The text of a draft that did not leave goes into the composer."""
        try:
            conversation = await self.store.take_back(request.ctx.user, number, self._now())
        except (Conflict, NoSuchSubmission) as error:
            return await self._refused(request, number, error, "")
        return redirect(f"/conversations/{conversation}", status=303)

    # -- a conversation's page -----------------------------------------------------------------------------------

    async def _panel(self, showing: Showing) -> dict[str, Any] | None:
        held = showing.request.ctx
        if not hasattr(held, "validation_draft"):  # both panels show the same one
            held.validation_draft = await self._drafts.of_conversation(showing.conversation.id)
        draft: Submission | None = held.validation_draft
        if draft is None:
            return None
        user, conversation = showing.request.ctx.user, showing.conversation
        concerned = user.may(Capability.WORK) and (draft.author_id == user.id or conversation.held_by(user))
        return {
            "draft": draft,
            "terms": terms,
            "pressure": pressure(conversation.last_person_at, self._now()),
            "concerned": concerned,
            "decides": draft.waits and draft.bar(user) is None,
            "takes_back": concerned and draft.status == "withdrawn" and conversation.held_by(user),
        }

    async def state(self, showing: Showing) -> Mapping[str, Any] | None:
        """Where the newest draft stands, and who decided what."""
        return await self._panel(showing)

    async def banner(self, showing: Showing) -> Mapping[str, Any] | None:
        """A draft that waits, and what asks something of its author."""
        panel = await self._panel(showing)
        if panel is None:
            return None
        draft = panel["draft"]
        return panel if draft.waits or (draft.to_review and panel["concerned"]) else None

    # -- rules ---------------------------------------------------------------------------------------------------

    async def rules(self, request: Request) -> HTTPResponse:
        """By category, who has to agree."""
        return await self._rules(request)

    async def _rules(self, request: Request, error: DeskError | None = None, status: int = 200) -> HTTPResponse:
        rules, levels = await self.store.rules(), await self.store.levels()
        asked = {step for steps in rules.values() for step in steps}
        return self._page(
            request,
            "validation/rules.html",
            status,
            rules=rules,
            missing=sorted(asked - levels),
            error=error,
            done=terms.DONE.get(request.args.get("fait") or "", ""),
        )

    async def set_rules(self, request: Request) -> HTTPResponse:
        """Set them; refused when somebody else changed one meanwhile."""
        changes = {}
        for category in await self.store.rules():
            old, new = field(request, f"avant_{category}"), field(request, f"regle_{category}")
            if old in terms.RULE_NAMES and new in terms.RULE_NAMES:
                changes[category] = (terms.RULE_NAMES[old], terms.RULE_NAMES[new])
        if not changes:
            error = DeskError("Ce formulaire est incomplet\u00a0: rien n’a été enregistré.", "Rechargez la page.")
            return await self._rules(request, error, 422)
        try:
            changed = await self.store.set_rules(request.ctx.user, changes, self._now())
        except Conflict as error:
            return await self._rules(request, error, 409)
        return redirect(f"/validation/regles?fait={'regles' if changed else 'inchange'}", status=303)
