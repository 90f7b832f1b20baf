"""What the gateway is given: the store's inbox, the danger triage, the sender's emergency door, and plain values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from prometheus_client import CollectorRegistry

from bot.core.clock import Clock
from bot.core.messages import Event, Platform
from bot.policy.emergency import Detection


@dataclass(frozen=True)
class Mark:
    """An emergency that the gateway had answered while the database was down: ids and times, never words."""

    platform: Platform
    account: str
    person: str
    key: str  # the event's
    danger: str  # the detection's kind
    at: datetime  # Meta's timestamp
    answered: datetime


Item = tuple[Event, Detection | None]


class Inbox(Protocol):
    """The store's side of a webhook."""

    async def take(self, raw: bytes, items: Sequence[Item], received_at: datetime, answered: Set[str]) -> None:
        """Store the body and its events, and mark the emergencies, in one transaction; an exception keeps nothing,
        but Unstorable: all is kept then, less the events that it names, which the database refuses for good, or where not
        `kept`, could not be stored this time.

        `items` may hold the same key twice. `answered`: the keys of those events whose emergency reply left while the
        database was down; their hand-off opens, no second reply is sent.
        """
        ...


Triage = Callable[[str], Detection | None]
EmergencySend = Callable[[Event, Detection], Coroutine[Any, Any, bool]]  # True: the reply left
Probe = Callable[[], Coroutine[Any, Any, bool]]

# Opens the hand-off of emergencies that were answered while the database was down and that Meta did not send again
# within a minute: their words are unknown, an agent reads them in Meta's inbox. May be called again with the same
# marks, and `take` may still bring the message.
Tell = Callable[[Sequence[Mark]], Coroutine[Any, Any, None]]
# Those of these marks whose person was erased on request since.
Erased = Callable[[Sequence[Mark]], Coroutine[Any, Any, Collection[Mark]]]


@dataclass(frozen=True)
class GatewayDeps:
    """Everything the gateway needs; it reads no settings itself."""

    inbox: Inbox
    triage: Triage
    emergency_send: EmergencySend
    clock: Clock
    app_secrets: Sequence[str]  # two during a rotation
    verify_token: str
    metrics_token: str
    spool_path: Path  # VAR_DIR/emergency.log
    probes: Mapping[str, Probe] = field(default_factory=dict)  # database, engine, sender
    recall: Tell | None = None
    erased: Erased | None = None
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    refresh: Callable[[], Coroutine[Any, Any, None]] | None = None  # before the registry is told
    max_body: int = 5_000_000
    max_large: int = 200_000_000  # bytes of bodies over `bot.gateway.room.SMALL` in memory at once
    large_within: float = 10.0  # seconds for such a body to come: meanwhile it holds its part of that memory
    older_metrics_token: str = ""  # during a rotation
    signed: Callable[[int, datetime], None] = lambda place, at: None  # which of the secrets signed a webhook
    store_slots: int = 64  # webhooks stored at once, at most; fewer while they take too long
    store_timeout: float = 2.0  # half of it for a slot; what takes longer is sent again by Meta
    triage_budget: float = 2.0  # seconds a body; what is left over is triaged by the worker
    emergency_wait: float = 2.0  # how long a 503 waits for the emergency replies it caused
    emergency_retries: Sequence[float] = (0, 1, 3)  # seconds before each attempt
    recall_after: float = 60.0  # Meta sends again well before that
    recall_every: float = 10.0
    clock_read: Callable[[], bool] = lambda: True  # PostgreSQL's clock was read: until then no age of a message counts
