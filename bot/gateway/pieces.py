"""A danger told in several messages (« il a un » / « couteau ») while the database, which would join them, is down."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.clean import for_understanding
from bot.core.messages import Event, Message
from bot.gateway.ports import Item, Triage
from bot.policy import emergency_taps
from bot.policy.emergency import Detection, joined

TOGETHER = timedelta(minutes=3)
_LAST = 4
_PEOPLE = 5000  # far more than write in three minutes; beyond it the oldest are let go


@dataclass(frozen=True)
class _Piece:
    key: str
    at: datetime
    text: str


class Pieces:
    """What people wrote in the last minutes and could not be stored. In memory only, and only for those minutes."""

    def __init__(self, triage: Triage) -> None:
        self._triage = triage
        self._people: dict[tuple[str, str], deque[_Piece]] = {}
        self._guard = threading.Lock()  # several bodies may be read at once, each in a thread

    def joined(self, items: Sequence[Item]) -> list[Item]:
        """The items, where a message that tells of a danger only together with earlier ones carries that detection."""
        with self._guard:
            return [
                (event, detection or self._look(event))
                for event, detection in sorted(items, key=lambda item: item[0].at)
            ]

    def clear(self) -> None:
        """The database is back."""
        if self._people:
            with self._guard:
                self._people.clear()

    def _look(self, event: Event) -> Detection | None:
        if event.person is None or not isinstance(event.body, Message) or not event.body.text:
            return None
        if emergency_taps.tap(event.body.quick_reply):
            return None  # the title is ours
        whom = (event.account, event.person)
        earlier = self._people.pop(whom, deque())
        pieces = deque((p for p in earlier if p.key != event.key and abs(event.at - p.at) <= TOGETHER), maxlen=_LAST)
        pieces.append(_Piece(event.key, event.at, for_understanding(event.body.text)))
        self._people[whom] = pieces  # last in the dictionary: the newest
        while len(self._people) > _PEOPLE:
            del self._people[next(iter(self._people))]
        return self._together(pieces) if len(pieces) > 1 else None

    def _together(self, pieces: deque[_Piece]) -> Detection | None:
        try:
            said = [piece.text for piece in sorted(pieces, key=lambda piece: piece.at)]
            return next(filter(None, map(self._triage, joined(said))), None)
        except Exception:  # as for a single text: what breaks the triage costs nobody else theirs
            return None
