"""What Meta says of our use of its limits, and how fast replies still leave then. Emergencies never wait for it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from bot.meta.send_api import Usage

log = logging.getLogger("planton.sender")
CALM, BUSY, FULL = 70, 75, 100  # percent of what Meta allows
FORGOTTEN = 300.0  # seconds after which what Meta told counts no more
HALVED = 3600.0  # seconds that the pace stays halved after Meta found the change of volume odd
AGAIN = 30.0  # seconds after which the store hears the same once more
_TRIED = 1.0  # messages a second after a limit, until one has left


@dataclass
class _Account:
    percent: int | None = None
    told_at: float = 0.0
    pace: float | None = None  # messages a second that the percentage leaves; None: as many as ever
    halved_until: float = 0.0
    limited: bool = False
    kept: tuple[int | None, int | None] | None = None  # what the store was told: percent, replies a second
    kept_at: float = 0.0


class Use:
    """By account, as this process hears of it. `ceiling`: messages a second and account."""

    def __init__(self, ceiling: int) -> None:
        self._ceiling = ceiling
        self._accounts: dict[str, _Account] = {}

    def told(self, account: str, usage: Usage) -> None:
        """What Meta's headers say: so much of what it allows is used. From 75 % on, replies leave ever more slowly: at the
        ceiling at 75 %, one a second at 100 % (each percent takes the same part away)."""
        if not usage.told:
            return
        of, now = self._of(account), time.monotonic()
        before = self._pace(of, now)
        of.percent, of.told_at = usage.percent, now
        if usage.percent >= BUSY:
            if before is None:
                log.warning("account %s: Meta counts %d %% of its limit, replies slow down", account, usage.percent)
            spare = max(0.0, (FULL - usage.percent) / (FULL - BUSY))
            of.pace = float(self._ceiling**spare)
        elif before is not None and usage.percent >= CALM:
            of.pace = float(self._ceiling)
        else:
            of.pace = None
            if before is not None:
                log.warning(
                    "account %s: Meta counts %d %% of its limit, replies as fast as ever", account, usage.percent
                )

    def halve(self, account: str) -> None:
        """Half the ceiling at most, for an hour: Meta finds that our volume changes oddly."""
        self._of(account).halved_until = time.monotonic() + HALVED

    def limited(self, account: str) -> None:
        """Meta refuses for now: what is tried next is tried alone."""
        self._of(account).limited = True

    def works(self, account: str) -> None:
        """A message left."""
        if (of := self._accounts.get(account)) is not None:
            of.limited = False

    def percent(self, account: str) -> int | None:
        """What Meta told last, if it did within the last minutes."""
        of = self._accounts.get(account)
        if of is None or of.percent is None or time.monotonic() - of.told_at > FORGOTTEN:
            return None
        return of.percent

    def pace(self, account: str) -> float | None:
        """Messages a second at most; None: as many as the ceiling lets through."""
        if (of := self._accounts.get(account)) is None:
            return None
        now = time.monotonic()
        paces = [pace for pace in (self._shared(of, now), _TRIED if of.limited else None) if pace is not None]
        return min(paces, default=None)

    def gap(self, account: str) -> float:
        """Seconds from one reply to the next; 0: as fast as the ceiling."""
        pace = self.pace(account)
        return 0.0 if pace is None else 1 / pace

    def news(self, account: str) -> tuple[int | None, int | None, float] | None:
        """(percent, replies a second of all senders, for so many seconds) where the store does not know it yet. None replies a
        second: as many as ever, but for what another sender slowed down for longer than so many seconds."""
        if (of := self._accounts.get(account)) is None:
            return None
        now = time.monotonic()
        shared = self._shared(of, now)
        slowed = None if shared is None else max(1, int(shared))
        kept = (self.percent(account), slowed)
        if of.kept is None and kept == (None, None):
            return None
        # A percent more or less is worth a line twice a minute; how fast all may send is worth it at once.
        if of.kept is not None and kept[1] == of.kept[1] and now - of.kept_at < AGAIN:
            return None
        of.kept, of.kept_at = kept, now
        halved = shared == self._ceiling / 2  # a percentage slows down for minutes, the half for its hour
        return (*kept, max(FORGOTTEN, of.halved_until - now) if halved else FORGOTTEN)

    def _of(self, account: str) -> _Account:
        return self._accounts.setdefault(account, _Account())

    def _pace(self, of: _Account, now: float) -> float | None:
        return of.pace if now - of.told_at <= FORGOTTEN else None

    def _shared(self, of: _Account, now: float) -> float | None:
        halved = self._ceiling / 2 if now < of.halved_until else None
        return min((pace for pace in (self._pace(of, now), halved) if pace is not None), default=None)
