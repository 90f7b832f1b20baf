"""Whether the crisis mode is open, as the present request found it: every page says so."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import datetime

SINCE: ContextVar[datetime | None] = ContextVar("crisis_since", default=None)


def since() -> datetime | None:
    """Since when it is open; None when it is not."""
    return SINCE.get()
