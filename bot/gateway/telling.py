"""What becomes of each message of a webhook, for traces and for logs at their finest."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence

from bot.core.messages import Event
from bot.core.trace import Trace, about, of_event
from bot.watch import spans

log = logging.getLogger("planton.gateway")
_NAMED = 10  # messages that one line names


def tell(events: Sequence[Event], begun: int, storing: int, outcome: str) -> None:
    """`begun`, `storing`: when the body was there, and when it was to be stored, in nanoseconds since the epoch."""
    recorded, fine = spans.active, log.isEnabledFor(logging.DEBUG)
    if recorded is None and not fine:
        return
    end = time.time_ns()
    for event in events:
        trace = of_event(event)
        if recorded is not None:
            told: dict[str, spans.Value] = {"platform": event.platform.value, "kind": event.kind, "outcome": outcome}
            if outcome == "accepted":
                recorded.root(trace, "webhook", begun, end, **told)
                recorded.past(trace, "store", storing, end)
            else:  # it comes again, and is the root then
                recorded.past(trace, "webhook", begun, end, **told)
        if fine:
            with about(Trace(trace)):
                log.debug("webhook %s: %s", outcome, event.kind)


def named(events: Iterable[Event]) -> list[str]:
    """The traces of the first messages."""
    return [of_event(event) for event, _ in zip(events, range(_NAMED), strict=False)]
