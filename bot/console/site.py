"""What every topic of the console is built on, and how a topic adds its routes and its part of a conversation's page."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from sanic import Blueprint, HTTPResponse, Request

from bot.console.deps import ConsoleDeps
from bot.console.render import Renderer
from bot.console.words import Left
from bot.policy.rights import Capability
from bot.store.accounts import Accounts
from bot.store.desk.access import Conversation, Desk
from bot.store.desk.errors import DeskError
from bot.store.desk.thread import Thread

# Seconds after which this machine’s other roles answer too: what is read beforehand does not hold them up.
STARTED = 5.0

Handler = Callable[..., Coroutine[Any, Any, HTTPResponse | None]]


class Open(Enum):
    """What a route may declare instead of a capability."""

    NOBODY = "nobody"  # no session is needed: the log-in page, the identity provider's way back
    HALF = "half"  # a session whose second factor or new password is still to come will do


Needs = Capability | Open


class Topic:
    """The routes of one topic. Each declares what it needs; the door refuses a route that declares nothing."""

    def __init__(self, name: str) -> None:
        self.blueprint = Blueprint(name)

    def page(self, path: str, handler: Handler, needs: Needs, name: str) -> None:
        """A page, a fragment or a file: GET, changes nothing."""
        # The format is told: Sanic would parse the source of every view to guess it, half a second of each start.
        self.blueprint.add_route(handler, path, methods=["GET"], name=name, ctx_needs=needs, error_format="html")

    def form(self, path: str, handler: Handler, needs: Needs, name: str) -> None:
        """A form or a script's request that changes something: POST, with the session's CSRF token.

        It is finished even if the browser leaves: a file that was written must find its row in the database.
        """
        self.blueprint.add_route(
            _finished(handler), path, methods=["POST"], name=name, ctx_needs=needs, error_format="html"
        )


_under_way: set[asyncio.Task[HTTPResponse | None]] = set()


def _finished(handler: Handler) -> Handler:
    """The handler, which a browser that leaves does not cut short."""

    @functools.wraps(handler)
    async def whole(request: Request, **named: Any) -> HTTPResponse | None:
        task = asyncio.ensure_future(handler(request, **named))
        _under_way.add(task)
        task.add_done_callback(_ended)
        return await asyncio.shield(task)

    return whole


def _ended(task: asyncio.Task[HTTPResponse | None]) -> None:
    _under_way.discard(task)
    if not task.cancelled():
        task.exception()  # told to who still waits; nobody else is there to hear it


@dataclass(frozen=True)
class Showing:
    """A conversation's page that is about to be shown. `draft`, `error`: what a refused form gives back."""

    request: Request
    conversation: Conversation
    thread: Thread
    left: Left
    error: DeskError | None = None
    draft: str = ""


class Slot(str, Enum):
    """Where in a conversation's page a panel stands."""

    BANNER = "banner"  # above everything; refreshed live
    ACTS = "acts"  # the buttons beside the name; refreshed live
    COMPOSER = "composer"  # below the thread; not refreshed, so that a draft stays
    SIDE = "side"  # the column of cards; refreshed live


@dataclass(frozen=True)
class Panel:
    """A topic's part of a conversation's page. `values` gives what the template uses (as `panel`), None hides it."""

    slot: Slot
    template: str
    values: Callable[[Showing], Awaitable[Mapping[str, Any] | None]]
    rank: int = 50  # lower ones first


@dataclass(frozen=True)
class Site:
    """Handed to every topic's `routes`."""

    deps: ConsoleDeps
    renderer: Renderer
    accounts: Accounts
    desk: Desk
    panels: list[Panel] = field(default_factory=list)
