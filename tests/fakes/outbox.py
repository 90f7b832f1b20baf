"""The sender's port to the store, in memory, with the rules of a claim."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.core.clock import Clock
from bot.core.dialogue import Link, QuickReply
from bot.core.emergency import Answer
from bot.core.messages import Platform
from bot.core.outbox import EMERGENCY, REPLY, OutboxRow, Permits
from bot.policy import window


@dataclass
class Kept:
    """A row and what became of it."""

    row: OutboxRow
    due: datetime
    status: str = "queued"
    leased_until: datetime | None = None
    mids: list[str] = field(default_factory=list)
    slug: str | None = None
    remedy: str | None = None
    owner_ok: bool = True
    retries: list[tuple[datetime, str]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)  # seconds, as each retry asked for


class FakeOutbox:
    """All methods of `bot.sender.ports.OutboxStore`; `broken` makes each raise."""

    def __init__(self, clock: Clock, ceiling: int = 1000) -> None:
        self.clock, self.ceiling = clock, ceiling
        self.rows: dict[int, Kept] = {}
        self.stopped: dict[str, tuple[str, str]] = {}
        self.paused: dict[str, datetime] = {}
        self.stops: list[tuple[str, str]] = []
        self.echoes: dict[tuple[int, int], str] = {}
        self.used: dict[tuple[str, int], int] = {}
        self.renewed: list[int] = []
        self.broken = False
        self.hangs = False  # what is asked before a row leaves gets no answer
        self.usage: dict[str, tuple[int | None, int | None]] = {}
        self.troubles: list[tuple[str, str, str]] = []
        self._ids, self._leases = itertools.count(1), itertools.count(1)
        self._changed = asyncio.Event()

    def add(
        self,
        text: str,
        person: str = "42",
        account: str = "1000",
        lane: str = REPLY,
        platform: Platform = Platform.MESSENGER,
        quick_replies: tuple[QuickReply, ...] = (),
        tag: str | None = None,
        priority: int = 9,
        parts_sent: int = 0,
        maybe_sent: bool = False,
        attempts: int = 0,
        created: datetime | None = None,
        author: str = "bot",
        answer: Answer | None = None,
        links: tuple[Link, ...] = (),
    ) -> Kept:
        """Queue a message; a person is a conversation."""
        now = self.clock.now()
        row = OutboxRow(
            id=next(self._ids),
            lease="",
            lane=lane,
            platform=platform,
            account=account,
            person=person,
            conversation_id=abs(hash(person)),
            text=text,
            created_at=created or now,
            quick_replies=quick_replies,
            author=author,
            tag=tag,
            priority=priority,
            parts_sent=parts_sent,
            maybe_sent=maybe_sent,
            attempts=attempts,
            answer=answer,
            links=links,
        )
        kept = self.rows[row.id] = Kept(row, now)
        self._changed.set()
        return kept

    async def claim(
        self,
        now: datetime,
        limit: int,
        lanes: Sequence[str],
        lease: timedelta,
        account: str | None = None,
        held: Collection[int] = (),
        full: Collection[str] = (),
    ) -> list[OutboxRow]:
        self._check()
        busy: set[tuple[int, bool]] = set()
        due = []
        for kept in self.rows.values():  # in order of id
            family = (kept.row.conversation_id, kept.row.lane == EMERGENCY)
            if kept.status != "queued" or family in busy:
                continue
            busy.add(family)
            if kept.row.id in held:
                continue
            passed_over = kept.row.lane != EMERGENCY and kept.row.account in full
            if kept.row.lane in lanes and kept.due <= now and self._claimable(kept, now, account) and not passed_over:
                due.append(kept)
        due.sort(key=lambda kept: (kept.row.priority, kept.due, kept.row.id))
        taken = []
        for kept in due[:limit]:
            old = window.outlived(kept.row.author, kept.row.created_at, now)
            if old or not kept.owner_ok:
                late = "emergency_old" if kept.row.lane == EMERGENCY else "too_old"
                kept.status, kept.slug = ("failed", late) if old else ("cancelled", kept.slug)
                continue
            maybe = kept.row.maybe_sent or kept.leased_until is not None
            kept.leased_until = now + lease
            kept.row = replace(kept.row, lease=str(next(self._leases)), maybe_sent=maybe)
            taken.append(kept.row)
        return taken

    def _claimable(self, kept: Kept, now: datetime, account: str | None) -> bool:
        if kept.leased_until is not None and kept.leased_until > now:
            return False
        own = kept.row.account
        if account is not None:
            return own == account
        free = own not in self.stopped and self.paused.get(own, now) <= now
        return kept.row.lane == EMERGENCY or free

    async def _answers(self) -> None:
        self._check()
        if self.hangs:
            await asyncio.Event().wait()

    def _check(self) -> None:
        if self.broken:
            raise ConnectionError("the database is down")

    def _held(self, row: OutboxRow) -> Kept | None:
        self._check()
        kept = self.rows[row.id]
        return kept if kept.status == "queued" and kept.row.lease == row.lease and kept.leased_until else None

    async def renew(self, row: OutboxRow, now: datetime, lease: timedelta) -> bool:
        await self._answers()
        kept = self._held(row)
        self.renewed.append(row.id)
        if kept is None or not kept.owner_ok:
            if kept is not None:
                kept.status = "cancelled"
            return False
        kept.leased_until = now + lease
        return True

    async def reworded(self, row: OutboxRow) -> bool:
        kept = self._held(row)
        if kept is not None:
            kept.row = replace(kept.row, text=row.text, answer=row.answer)
        return kept is not None

    async def too_old(self, row: OutboxRow, now: datetime) -> bool:
        kept = self._held(row)
        if kept is not None:
            kept.status, kept.slug = "failed", "emergency_old"
        return kept is not None

    async def hold(self, rows: Collection[OutboxRow], lease: timedelta) -> None:
        for kept in [kept for row in rows if (kept := self._held(row))]:
            kept.leased_until = self.clock.now() + lease

    async def part_sent(self, row: OutboxRow, index: int, mid: str) -> bool:
        kept = self._held(row)
        if kept is None:
            self.echoes[(row.id, index)] = mid
            return False
        kept.row = replace(kept.row, parts_sent=index + 1, maybe_sent=False)
        kept.mids.append(mid)
        return True

    async def sent(self, row: OutboxRow, mid: str, at: datetime) -> bool:
        kept = self._held(row)
        if kept is None:
            self.echoes[(row.id, self.rows[row.id].row.parts_sent)] = mid
            return False
        kept.status, kept.leased_until = "sent", None
        kept.mids.append(mid)
        self._changed.set()
        return True

    async def retry(self, row: OutboxRow, at: datetime, error_slug: str, maybe_sent: bool = False) -> bool:
        kept = self._held(row)
        if kept is None:
            return False
        kept.due, kept.leased_until, kept.slug = at, None, error_slug
        kept.retries.append((at, error_slug))
        kept.waits.append((at - self.clock.now()).total_seconds())
        kept.row = replace(
            kept.row,
            attempts=row.attempts + 1,
            last_error=error_slug,
            maybe_sent=kept.row.maybe_sent or maybe_sent,
        )
        return True

    async def release(self, row: OutboxRow, at: datetime) -> bool:
        kept = self._held(row)
        if kept is None:
            return False
        kept.due, kept.leased_until = at, None
        return True

    async def failed(self, row: OutboxRow, slug: str, remedy: str) -> bool:
        kept = self._held(row)
        if kept is None:
            return False
        kept.status, kept.leased_until, kept.slug, kept.remedy = "failed", None, slug, remedy
        self._changed.set()
        return True

    async def stop_account(self, account: str, slug: str, remedy: str) -> None:
        self._check()
        self.stopped[account] = (slug, remedy)
        self.stops.append((account, slug))

    async def resume_account(self, account: str) -> None:
        self._check()
        self.stopped.pop(account, None)
        self.paused.pop(account, None)
        self._changed.set()

    async def stopped_accounts(self) -> dict[str, str]:
        self._check()
        return {account: slug for account, (slug, _) in self.stopped.items()}

    async def pause_account(self, account: str, until: datetime) -> None:
        self._check()
        self.paused[account] = max(until, self.paused.get(account, until))

    async def echo_seen(self, outbox_id: int, part: int) -> str | None:
        await self._answers()
        return self.echoes.get((outbox_id, part))

    async def take_budget(self, account: str, n: int, emergency: bool) -> Permits:
        await self._answers()
        now = self.clock.now().timestamp()
        key = (account, int(now))
        limit = self.ceiling if emergency else max(1, self.ceiling * 9 // 10)
        granted = max(0, min(n, limit - self.used.get(key, 0)))
        self.used[key] = self.used.get(key, 0) + granted
        return Permits(granted, int(now), int(now) + 1 - now)

    async def note_usage(self, account: str, percent: int | None, slowed_to: int | None, lasts: float) -> None:
        self._check()
        self.usage[account] = (percent, slowed_to)

    async def note_trouble(self, account: str, slug: str, code: str) -> None:
        self._check()
        self.troubles.append((account, slug, code))

    async def dangers(self) -> AsyncIterator[int | None]:
        yield None
        await asyncio.Event().wait()

    def hears(self) -> bool:
        return True

    async def wait(self, lanes: Sequence[str], timeout: float) -> None:
        self._check()
        self._changed.clear()
        try:
            await asyncio.wait_for(self._changed.wait(), timeout)
        except TimeoutError:
            return
