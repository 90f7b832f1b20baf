"""One id from the webhook to the Send API: that of the message which is being handled, in logs and in spans.

It is made from what every part knows of a message (platform, account, Meta's id of it), so that gateway and worker find the
same one without telling each other; the sender finds it inside the stored reply. It is a hash: it names nobody.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Optional

from bot.core.messages import Event


@dataclass(frozen=True)
class Trace:
    """What is being handled. `id`: 32 hexadecimal digits, as W3C trace ids. `since`: when the message came, unless it waited
    for the morning. `ids`: other numbers of ours, for logs (conversation, row)."""

    id: str
    since: Optional[datetime] = None
    ids: tuple[tuple[str, int], ...] = ()


_CURRENT: ContextVar[Optional[Trace]] = ContextVar("planton_trace", default=None)


def trace_id(platform: str, account: str, name: str) -> str:
    """The id of a message. `name`: Meta's id of it, else the event's key."""
    named = f"{platform}\0{account}\0{name}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(named, digest_size=16, person=b"planton trace").hexdigest()


def of_event(event: Event) -> str:
    """The id of an event that came in."""
    return trace_id(event.platform.value, event.account, event.mid or event.key)


def current() -> Optional[Trace]:
    """What this task handles, if anything is known of it."""
    return _CURRENT.get()


def begin(trace: Trace) -> None:
    """From here to the end of this task, logs name this message, and replies that are stored carry its id."""
    _CURRENT.set(trace)


@contextlib.contextmanager
def about(trace: Optional[Trace]) -> Iterator[None]:
    """As `begin`, to the end of the block."""
    token = _CURRENT.set(trace)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def stored() -> dict[str, Any]:
    """What a stored reply carries of it, for `of_stored`."""
    trace = _CURRENT.get()
    if trace is None:
        return {}
    return {"trace": trace.id, **({} if trace.since is None else {"since": trace.since.timestamp()})}
