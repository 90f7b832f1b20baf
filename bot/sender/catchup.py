"""Catching up: walk what Meta remembers, newest first, and take in what never came as a webhook.

A walk reads the threads updated since `since` and, of each, the messages that are newer. A thread that somebody writes
in meanwhile moves to the front of Meta's list, past the walk: so a further pass reads what was updated during the last
one, until a pass is a single call or finds nothing. Where a walk stands is kept after every call; a killed one goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.core.clock import Clock
from bot.core.errors import SendError
from bot.core.messages import Echo, Event, Platform
from bot.meta import conversations
from bot.meta.conversations import Reader, Said, Thread
from bot.meta.limits import UNKNOWN, Verdict
from bot.meta.payloads import parse
from bot.meta.send_api import GraphError, SendApi
from bot.sender.deps import SenderAccount
from bot.sender.pace import Pace
from bot.store.catchup import Shelf
from bot.store.meta_flow import Walk

log = logging.getLogger("planton.catchup")

_PASSES = 10
_SKEW = timedelta(seconds=30)  # between Meta's clock and ours
_STEP = timedelta(milliseconds=1)
_END_OF_SECOND = timedelta(milliseconds=999)  # our own side of a second, after the person's
_STRAY = timedelta(seconds=5)  # a known time further from Meta's own than this says nothing about order


Take = Callable[[bytes, Sequence[Event], Sequence[str], bool], Awaitable[list[Event]]]
"""(body, its events, every id that Meta listed, simulate) → those that were new."""


@dataclass
class Outcome:
    """What a walk found. `error`: the slug of what stopped it; `remedy`: French."""

    account: str
    platform: Platform
    since: datetime | None = None
    threads: int = 0
    messages: int = 0
    taken: int = 0  # of people
    told: int = 0  # by a human in Meta's inbox
    unreadable: int = 0  # Meta gave no details
    people: set[str] = field(default_factory=set)
    busy: bool = False  # somebody else walks this account
    error: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class CatchUpDeps:
    """`take` looks for danger as the gateway does, then stores."""

    shelf: Shelf
    take: Take
    clock: Clock
    pace: Pace


class CatchUp:
    """Walks one account at a time."""

    def __init__(self, deps: CatchUpDeps) -> None:
        self._deps = deps

    async def walk(
        self, account: SenderAccount, api: SendApi, since: datetime | None = None, simulate: bool = False
    ) -> Outcome:
        """Walk one account; never raises for what Meta answers, always for what the store does."""
        platform = Platform.MESSENGER if account.id == account.page_id else Platform.INSTAGRAM
        outcome = Outcome(account.id, platform)
        async with self._deps.shelf.walker(account.id) as alone:
            if not alone:
                outcome.busy = True
                return outcome
            one = _OneWalk(self._deps, account, api, outcome, simulate)
            try:
                await one.run(since)
            except SendError as error:
                outcome.error, outcome.remedy = slug_of(error), getattr(getattr(error, "row", None), "remedy", "")
                log.warning("catch-up of account %s broke off: %s", account.id, error)
                if not simulate:
                    await self._deps.shelf.broke_off(account.id, outcome.error, self._deps.clock.now())
        return outcome


def slug_of(error: SendError) -> str:
    """A word for what went wrong."""
    return error.row.slug if isinstance(error, GraphError) else "graph_down"


class _OneWalk:
    def __init__(
        self, deps: CatchUpDeps, account: SenderAccount, api: SendApi, outcome: Outcome, simulate: bool
    ) -> None:
        self._deps = deps
        self._account = account.id
        self._outcome = outcome
        self._simulate = simulate
        self._own = {account.page_id, account.id}
        self._platform = outcome.platform
        self._reader = Reader(lambda path, params: deps.pace.ask(api, path, params), account.page_id, outcome.platform)

    async def run(self, since: datetime | None) -> None:
        shelf, now = self._deps.shelf, self._deps.clock.now
        walk = await shelf.begin(self._account, self._platform, now(), since, self._simulate)
        self._outcome.since, until = walk.since, walk.pass_started
        for number in range(_PASSES):
            before = self._found
            resumed = walk.cursor is not None
            until = started = walk.pass_started
            walk, pages = await self._pass(walk)
            if (pages == 1 and not resumed) or (number and self._found == before):
                break
            walk = replace(walk, passed=started - _SKEW, pass_started=now(), cursor=None)
            await self._keep(walk)
        if not self._simulate:
            await shelf.ended(self._account, walk, until, now(), self._found)

    @property
    def _found(self) -> int:
        return self._outcome.taken + self._outcome.told

    async def _keep(self, walk: Walk) -> None:
        if not self._simulate:
            await self._deps.shelf.keep(self._account, walk)

    async def _pass(self, walk: Walk) -> tuple[Walk, int]:
        """Every thread updated since `walk.passed`; the walk and how many calls listed them."""
        pages, again = 0, False
        while True:
            try:
                threads, after = await self._reader.threads(walk.cursor)
            except GraphError as error:
                if walk.cursor is None or error.row.slug != "bad_message" or again:
                    raise
                # Meta forgot the cursor: once more from the front, which costs time only. Once: it may refuse every one.
                walk, again = replace(walk, cursor=None), True
                continue
            pages += 1
            recent = [t for t in threads if t.updated is None or t.updated >= walk.passed]
            known = await self._known([one.id for thread in recent for one in thread.said or ()])
            for thread in recent:
                await self._one(thread, walk.since, known)
            if after is None or len(recent) < len(threads) or not threads:
                return walk, pages
            walk = replace(walk, cursor=after)
            await self._keep(walk)

    # One thread

    async def _known(self, ids: Sequence[str]) -> dict[str, datetime | None]:
        """Id → when it came, None where it did not: of a whole page at once, since nearly all of it came."""
        found = await self._deps.shelf.known(self._account, self._platform, ids) if ids else {}
        return {one: found.get(one) for one in ids}

    async def _one(self, thread: Thread, since: datetime, asked: Mapping[str, datetime | None]) -> None:
        """A thread that Meta does not let us read must not keep us from the others."""
        try:
            await self._thread(thread, since, asked)
        except GraphError as error:
            if error.row.verdict is not Verdict.FINAL and error.row.slug != UNKNOWN.slug:
                raise
            log.warning("a thread of account %s is not readable: %s", self._account, error)
            self._outcome.unreadable += 1

    async def _thread(self, thread: Thread, since: datetime, asked: Mapping[str, datetime | None]) -> None:
        self._outcome.threads += 1
        thread = await self._reader.open(thread)
        said = await self._recent(thread, since)
        asked = {**asked, **await self._known([one.id for one in said if one.id not in asked])}
        known = {one.id: at for one in said if (at := asked[one.id]) is not None}
        said = [one for found in said if (one := await self._whole(found, known)) is not None]
        self._outcome.messages += len(said)
        fresh = [one for one in said if one.id not in known and one.at is not None and one.at >= since]
        if not fresh:
            return
        person = conversations.person_of(replace(thread, said=tuple(said)), self._own)
        if person is None:
            self._outcome.unreadable += len(fresh)
            return
        await self._take(person, _in_time(said, known, self._own), {one.id for one in fresh}, [one.id for one in said])

    async def _take(
        self, person: str, timed: Sequence[tuple[Said, datetime]], fresh: Collection[str], listed: Sequence[str]
    ) -> None:
        news = [(one, at) for one, at in timed if one.id in fresh]
        body = conversations.webhook(self._account, self._platform, person, news, self._own)
        events = parse(body, self._deps.clock.now())
        for event in await self._deps.take(body, events, listed, self._simulate):
            if isinstance(event.body, Echo):
                self._outcome.told += 1
            else:
                self._outcome.taken += 1
                self._outcome.people.add(person)

    async def _recent(self, thread: Thread, since: datetime) -> list[Said]:
        """The messages since then, newest first; only ids where Meta gave no more."""
        found, more = list(thread.said or ()), thread.more
        while more is not None and all(one.at is None or one.at >= since for one in found):
            if self._platform is Platform.INSTAGRAM and len(found) >= conversations.INSTAGRAM_MESSAGES:
                break
            older, more = await self._reader.older(thread, more)
            if not older:
                break
            found += older
        return found

    async def _whole(self, said: Said, known: Collection[str]) -> Said | None:
        """With its details, if it is unknown; None when Meta has none."""
        if said.id in known or (said.sender is not None and said.at is not None):
            return said
        found = await self._reader.message(said)
        if found is None or found.sender is None or found.at is None:
            self._outcome.unreadable += 1
            return None
        return found


def _in_time(said: Iterable[Said], known: dict[str, datetime], own: Collection[str]) -> list[tuple[Said, datetime]]:
    """Oldest first, each with a time: Meta tells whole seconds here, so its order tells the rest."""
    timed: list[tuple[Said, datetime]] = []
    last: datetime | None = None
    for one in reversed(list(said)):
        exact = known.get(one.id)
        at = exact or one.at
        if at is None:
            continue
        if exact is None:
            at += _END_OF_SECOND if one.sender in own else timedelta(0)
            if last is not None and at <= last <= at + _STRAY:
                at = last + _STEP
        timed.append((one, at))
        last = at
    return timed
