"""What an action that leads away from its page has done: the queue says it, once."""

from __future__ import annotations

from sanic import HTTPResponse, Request
from sanic.response import redirect

COOKIE = "planton_fait"
DONE = {
    "transferee": "Conversation transférée.",
    "reportee": "Conversation reportée.",
    "rendue": "Conversation rendue à l’assistant.",
    "close": "Demande close.",
    "fausse_alerte": "Fausse alerte\u00a0: demande close. Pour remettre l’alerte, ouvrez la conversation.",
    "indesirable": "Demande marquée comme indésirable.",
}
_SECONDS = 20  # a page that never comes is not told of later


def leave(where: str, done: str, secure: bool) -> HTTPResponse:
    """To the queue at `where`, which says DONE[done]: by a cookie, so that its address stays one to pass on."""
    response = redirect(where, status=303)
    response.add_cookie(COOKIE, done, path="/file", max_age=_SECONDS, httponly=True, samesite="Strict", secure=secure)
    return response


def done(request: Request) -> str:
    """What was just done, in words; "" when there is nothing to say."""
    return DONE.get(request.cookies.get(COOKIE) or "", "")


def told(response: HTTPResponse, secure: bool) -> HTTPResponse:
    """It has been said."""
    response.add_cookie(COOKIE, "", path="/file", max_age=0, httponly=True, samesite="Strict", secure=secure)
    return response
