"""What the sender is given."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from bot.core.clock import Clock
from bot.meta.access import Access
from bot.sender.ports import EmergencyWords, OutboxStore
from bot.watch.sender import SenderMetrics


@dataclass(frozen=True)
class SenderAccount:
    """A page or an Instagram account, and the page whose token opens it. The same page may stand behind two."""

    id: str
    page_id: str
    token: str = field(repr=False)
    app_secret: str = field(default="", repr=False)
    access: Access | None = None  # shared by all clients of the page; goes before `token` and `app_secret`


@dataclass(frozen=True)
class Timing:
    """Delays in seconds."""

    first_retry: float = 1.0  # the longest first step; then doubled each time
    longest_retry: float = 60.0
    longest_odd_retry: float = (
        900.0  # what hardly passes by itself: a code that nobody knows, a permission, our own fault
    )
    longest_emergency_retry: float = 5.0
    # While Meta blocks the page for its conduct: each call may prolong that. A claim believes two minutes.
    blocked_emergency_retry: float = 110.0
    longest_pause: float = 3600.0  # what is believed of Meta's own headers
    longest_unasked_pause: float = 300.0  # where they say nothing
    control_retry: float = 60.0  # while another app owns the thread
    echo_wait: float = 5.0  # after a lost answer
    echo_step: float = 0.2
    probe_every: float = 10.0  # of a stopped account
    poll: float = 0.5  # how late a row that became due by time alone may be seen
    emergency_poll: float = 0.2
    lease: float = 8.0  # lengthened while an attempt lasts, so that a killed sender lets go of its rows soon
    emergency_lease: float = 4.0
    renew_after: float = 1.0  # a row claimed longer ago is judged again before it leaves
    claim_gap: float = 0.06  # from one claim of replies to the next, so that what comes at once is claimed together
    budget_step: float = 0.05
    budget_wait: float = 20.0  # then the row is handed back
    emergency_budget_wait: float = 1.8  # then it is sent all the same
    emergency_store_wait: float = 1.0  # for anything else that the store is asked before; once unanswered, no more is
    send_timeout: float = 15.0
    emergency_send_timeout: float = 8.0
    grace: float = 5.0  # for what is under way when the sender ends


async def _at_once() -> None:
    """Nothing is waited for."""


@dataclass(frozen=True)
class SenderDeps:
    """Everything the sender needs; it reads no settings itself. `emergency_store` has connections of its own."""

    accounts: tuple[SenderAccount, ...]
    graph_url: str
    store: OutboxStore
    emergency_store: OutboxStore
    secret_key: bytes = field(repr=False)  # opens the inner door
    metadata_key: bytes = field(repr=False)  # signs our messages' marks
    clock: Clock
    words: EmergencyWords
    host: str = "127.0.0.1"
    port: int = 8060  # 0: any free one
    ceiling: int = 40  # messages a second and account; the store shares it among senders
    concurrency: int = 64  # conversations at once
    emergency_concurrency: int = 32
    timing: Timing = field(default_factory=Timing)
    rng: random.Random = field(default_factory=random.Random)
    metrics: SenderMetrics = field(default_factory=SenderMetrics)
    sure: Callable[[], Awaitable[None]] = _at_once  # before the first claim: until `clock` is known to be right
    older_keys: tuple[bytes, ...] = field(default=(), repr=False)  # also open the door, during a rotation of SENDER_KEY
    answered: Path | None = None  # file of what the door has answered; None: it forgets that when it ends
