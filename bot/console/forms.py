"""Reading what a form or an address holds; nothing from outside is trusted to be there, or to be what it should."""

from __future__ import annotations

from sanic import Request


def field(request: Request, name: str) -> str:
    """A field of the posted form, "" when it is absent."""
    form = request.form
    return str(form.get(name) or "") if form else ""


def whole(given: str | None, default: int) -> int:
    """A whole number within what the database holds, else `default`."""
    if given and given.isascii() and given.isdigit() and len(given) <= 18:
        return int(given)
    return default
