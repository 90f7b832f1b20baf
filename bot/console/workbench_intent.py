"""A new intent: one form that asks for all that training, replies and the guide need of it; another one takes it all back."""

from __future__ import annotations

from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import html, redirect

from bot.console import workbench_examples_words as says
from bot.console.forms import field
from bot.console.site import Site, Topic
from bot.console.workbench_pseudonyms import KINDS, confirmed, must_be_public
from bot.policy.rights import Capability
from bot.trainer.corpus import tidy
from bot.trainer.correcting import add_intent, remove_intent
from bot.trainer.errors import Changed, TrainerError
from bot.trainer.intents import FEWEST_NEW, LONGEST_NAME, PARENTS, Wanted

PATH = "/atelier/intentions/nouvelle"
DEFINITION_AT_MOST = 200
EXAMPLES_AT_MOST = 300


def routes(site: Site) -> Blueprint:
    """The form, and what it does."""
    views, topic = IntentViews(site), Topic("workbench-intent")
    topic.page(PATH, views.blank, Capability.SEE_WORKBENCH, "blank")
    topic.form(PATH, views.add, Capability.CORRECT, "add")
    topic.form("/atelier/intentions/<intent:str>/retirer", views.remove, Capability.CORRECT, "remove")
    return topic.blueprint


class IntentViews:
    """A form that is refused is shown again with what was typed."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def blank(self, request: Request) -> HTTPResponse:
        """An empty form."""
        return self._form(request, Wanted(str(request.args.get("parente") or ""), "", "", ()), "")

    async def add(self, request: Request) -> HTTPResponse:
        """Create it in all files."""
        parent, suffix = field(request, "parente"), field(request, "suite").strip()
        text = field(request, "exemples").replace("\r\n", "\n")
        wanted = Wanted(
            parent,
            f"{parent}_{suffix}",
            field(request, "definition")[:DEFINITION_AT_MOST],
            [line.strip().removeprefix("- ") for line in text.split("\n")],
            field(request, "frontieres")[: 2 * DEFINITION_AT_MOST],
        )
        project = self._site.deps.project
        if project is None:
            return self._form(
                request, wanted, suffix, TrainerError("Le dossier de Planton n’est pas sur cette machine.")
            )
        try:
            told = [wanted.definition, wanted.borders]  # they stand in the guide, which is recorded too
            await must_be_public(request, [*told, *map(tidy, wanted.examples[:EXAMPLES_AT_MOST])])
            if len(wanted.examples) > EXAMPLES_AT_MOST:
                raise TrainerError(f"Plus de {EXAMPLES_AT_MOST} lignes d’un coup.", "Ajoutez les autres ensuite.")
            await add_intent(project, self._site.deps.database, request.ctx.user, self._site.deps.wall.now(), wanted)
        except TrainerError as error:
            return self._form(request, wanted, suffix, error)
        return redirect(f"/atelier/exemples/{wanted.name}?fait=creee", status=303)

    async def remove(self, request: Request, intent: str) -> HTTPResponse:
        """Take a new intent out of all files, after a confirmation."""
        project = self._site.deps.project
        try:
            if project is None:
                raise TrainerError("Le dossier de Planton n’est pas sur cette machine.")
            if field(request, "confirme") != "oui":
                raise TrainerError(
                    "Rien n’a été retiré\u00a0: la case n’est pas cochée.",
                    "Cochez-la si vous êtes sûr, puis recommencez.",
                )
            user, now = request.ctx.user, self._site.deps.wall.now()
            await remove_intent(project, self._site.deps.database, user, now, intent, field(request, "vu"))
        except TrainerError as error:
            page = self._site.renderer.page(
                "workbench/examples_broken.html", user=request.ctx.user, csrf=request.ctx.csrf, says=says,
                path="/atelier/exemples", error=error, damaged=None, part="examples",
            )  # fmt: skip
            return html(page, 409 if isinstance(error, Changed) else 422)
        return redirect("/atelier/exemples?fait=retiree", status=303)

    def _form(self, request: Request, wanted: Wanted, suffix: str, error: TrainerError | None = None) -> HTTPResponse:
        values: dict[str, Any] = {
            "says": says, "wanted": wanted, "suffix": suffix, "error": error, "parents": PARENTS, "fewest": FEWEST_NEW,
            "longest": LONGEST_NAME, "kinds": KINDS, "said": confirmed(request),
            "form_path": PATH, "definition_at_most": DEFINITION_AT_MOST,
        }  # fmt: skip
        page = self._site.renderer.page(
            "workbench/intent_new.html", user=request.ctx.user, csrf=request.ctx.csrf, **values
        )
        return html(page, 422 if error else 200)
