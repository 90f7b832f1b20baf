"""What the sender needs from the store (written in SQL by `bot/store/outbox.py`).

The row itself is `bot.core.outbox.OutboxRow`, so that the store, which may not import the sender, can build it.

Rules of a claim, all kept by the store in one statement:
- a row is claimable when it is due, not leased (or its lease ran out), and no earlier row of its conversation in the
  same lane family is still unsent; families are {emergency} and {reply, agent}: an emergency never waits for a reply;
- `reply` and `agent` rows of a stopped or paused account are left alone, unless the claim names that account;
  `emergency` rows are always claimable: each is tried, whatever befell the account;
- owner's version, window and age are checked again: a row that fails is cancelled there and not returned. Nothing is given up
  for the number of its attempts: a row is tried until the window of its author is over, an emergency for 24 hours;
- replies of the accounts in `full` are left alone: enough of them wait for the ceiling in this process already;
- order: priority, then due time, then id;
- a row whose id is in `held` is left alone: this very process is at it, even if its lease ran out meanwhile;
- `maybe_sent` is true when an earlier lease ran out without an outcome, or the last `retry` said `maybe_sent`.

Every outcome is fenced by `row.lease`; a method returns False when the lease was lost, and then has changed nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from bot.core.emergency import Answer
from bot.core.outbox import OutboxRow, Permits
from bot.policy.emergency import Leaving

Row = OutboxRow


class EmergencyWords(Protocol):
    """What emergency replies say, by the texts and the night of this moment."""

    async def leaving(self, said: str, answer: Answer | None, queued_at: datetime, now: datetime) -> Leaving:
        """What a reply of the outbox says when it leaves now (`bot.policy.emergency.leaving`)."""
        ...

    async def reply(self, answer: Answer, age: timedelta, now: datetime) -> str | None:
        """The reply to a message of this age; None when there is none: it is too old, or no texts can be read."""
        ...


class OutboxStore(Protocol):
    """The outbox. The emergency lane gets an instance of its own, on its own connections."""

    async def claim(
        self,
        now: datetime,
        limit: int,
        lanes: Sequence[str],
        lease: timedelta,
        account: str | None = None,
        held: Collection[int] = (),
        full: Collection[str] = (),
    ) -> Sequence[Row]:
        """Lease at most `limit` due rows of these lanes; with `account`, of that account only, stopped or not."""
        ...

    async def renew(self, row: Row, now: datetime, lease: timedelta) -> bool:
        """Lengthen the lease and check owner and window again; False: the row was lost or cancelled, do not send."""
        ...

    async def reworded(self, row: Row) -> bool:
        """An emergency reply leaves with the words (and `answer`) of `row`, which agents see from now on."""
        ...

    async def too_old(self, row: Row, now: datetime) -> bool:
        """An emergency reply comes a day late: it is marked as failed, and an agent has the danger, marked as old."""
        ...

    async def hold(self, rows: Collection[Row], lease: timedelta) -> None:
        """Lengthen the leases of rows that are being delivered; a row whose lease was lost is left alone."""
        ...

    async def part_sent(self, row: Row, index: int, mid: str) -> bool:
        """Part `index` (from 0) left as `mid`; a later claim starts at `index + 1`. `maybe_sent` is false again.

        Where the lease was lost, whoever has the row now finds the mid as if its echo had come; so with `sent`."""
        ...

    async def sent(self, row: Row, mid: str, at: datetime) -> bool:
        """The last part left as `mid`: the row is done."""
        ...

    async def retry(self, row: Row, at: datetime, error_slug: str, maybe_sent: bool = False) -> bool:
        """End the lease; due again at `at`, one attempt more."""
        ...

    async def release(self, row: Row, at: datetime) -> bool:
        """End the lease; due again at `at`, no attempt counted (budget, pause, stop or shutdown came first)."""
        ...

    async def failed(self, row: Row, slug: str, remedy: str) -> bool:
        """It never leaves. `remedy` is French, for agents; the row's events move to `to_agent` or `failed`."""
        ...

    async def stop_account(self, account: str, slug: str, remedy: str) -> None:
        """Meta refuses everything from this account until an operator acts; `remedy` is French."""
        ...

    async def resume_account(self, account: str) -> None:
        """The account works again: neither stopped nor paused."""
        ...

    async def stopped_accounts(self) -> dict[str, str]:
        """Account → slug of what stopped it, whichever sender found out."""
        ...

    async def pause_account(self, account: str, until: datetime) -> None:
        """Meta asks for fewer messages: no claim of this account before `until` (a longer pause stays)."""
        ...

    async def echo_seen(self, outbox_id: int, part: int) -> str | None:
        """The mid of an echo whose metadata (`bot.meta.metadata`) names this row and part, if one came."""
        ...

    async def take_budget(self, account: str, n: int, emergency: bool) -> Permits:
        """How many of `n` messages may leave in the present second of the store's own clock, over all senders of this account.

        Without `emergency` at most nine tenths of the ceiling, and of what `note_usage` slowed it down to; with it, the whole
        ceiling."""
        ...

    async def note_usage(self, account: str, percent: int | None, slowed_to: int | None, lasts: float) -> None:
        """Meta says that so many percent of our limits are used (None: it said nothing); all senders together send
        `slowed_to` replies a second for `lasts` seconds (None: as many as ever). What slows them down as much for longer stays."""
        ...

    async def note_trouble(self, account: str, slug: str, code: str) -> None:
        """Meta refused what an operator should look at; `code`: as Meta named it, e.g. « 98765 » or « 613/1996 »."""
        ...

    def dangers(self) -> AsyncIterator[int | None]:
        """Conversations in which an emergency reply is queued, as it happens; None: of any, nobody listened for a while."""
        ...

    def hears(self) -> bool:
        """Whether `dangers` would tell at this moment."""
        ...

    async def wait(self, lanes: Sequence[str], timeout: float) -> None:
        """Return when a row of these lanes may have become due, or after `timeout` seconds."""
        ...
