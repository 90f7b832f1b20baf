"""Timestamps that the door gives out, each good for one request: nothing that was overheard opens it again.

They are signed with a key that this process makes at its start and count its own monotonic time: no clock that is wrong shuts
anybody out, and what another sender, or this one before its restart, gave out is worth nothing. Only those that a good request
used are remembered, for as long as they are good.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

LASTS = 60.0  # seconds


class Stamps:
    """Those of one process. `now`: seconds that never go back."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._key = now, secrets.token_bytes(32)
        self._used: dict[str, float] = {}  # oldest use first

    def make(self) -> str:
        """A new one."""
        bare = f"{self._now():.3f}-{secrets.token_hex(8)}"
        return f"{bare}-{self._mark(bare)}"

    def use(self, stamp: str) -> bool:
        """Whether it is one of ours, not too old, and used for the first time."""
        bare, _, mark = stamp.rpartition("-")
        if not hmac.compare_digest(mark.encode(), self._mark(bare).encode()):
            return False
        now = self._now()
        for old, at in list(self._used.items()):
            if now - at <= LASTS:
                break
            del self._used[old]
        if stamp in self._used or now - float(bare.partition("-")[0]) > LASTS:
            return False
        self._used[stamp] = now
        return True

    def _mark(self, bare: str) -> str:
        return hmac.new(self._key, bare.encode(), hashlib.sha256).hexdigest()[:32]
