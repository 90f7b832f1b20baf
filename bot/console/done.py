"""What an action that leads away from its page has done: the queue says it, once, and offers to take a closing back."""

from __future__ import annotations

from dataclasses import dataclass

from sanic import HTTPResponse, Request
from sanic.response import redirect

from bot.console.forms import whole

COOKIE = "planton_fait"
DONE = {
    "transferee": "Conversation transférée.",
    "reportee": "Conversation reportée.",
    "rendue": "Conversation rendue à l’assistant.",
    "close": "Demande close.",
    "fausse_alerte": "Fausse alerte\u00a0: demande close.",
    "indesirable": "Demande marquée comme indésirable.",
}
# Around the person's name, where it can be taken back.
NAMED = {"close": ("Demande de", "close."), "fausse_alerte": ("Fausse alerte\u00a0: demande de", "close.")}
# What takes it back, of a conversation; only what is closed has one.
UNDO = {"close": "annuler-cloture", "fausse_alerte": "alerte"}
_SECONDS = 20  # a page that never comes is not told of later


@dataclass(frozen=True)
class Done:
    """What was just done. `conversation`: its number, where it can be taken back; `undo`: the form that does so; `named`: what
    stands before and after the person's name."""

    text: str
    conversation: int | None = None
    undo: str = ""
    named: tuple[str, str] = ("", "")


def leave(where: str, done: str, secure: bool, conversation: int | None = None) -> HTTPResponse:
    """To the queue at `where`, which says DONE[done]: by a cookie, so that its address stays one to pass on."""
    response = redirect(where, status=303)
    told = done if conversation is None else f"{done}.{conversation}"
    response.add_cookie(COOKIE, told, path="/file", max_age=_SECONDS, httponly=True, samesite="Strict", secure=secure)
    return response


def done(request: Request) -> Done | None:
    """What was just done, in words; None when there is nothing to say."""
    name, _, number = (request.cookies.get(COOKIE) or "").partition(".")
    if name not in DONE:
        return None
    conversation = whole(number, 0) or None
    return Done(DONE[name], conversation, UNDO.get(name, "") if conversation else "", NAMED.get(name, ("", "")))


def told(response: HTTPResponse, secure: bool) -> HTTPResponse:
    """It has been said."""
    response.add_cookie(COOKIE, "", path="/file", max_age=0, httponly=True, samesite="Strict", secure=secure)
    return response
