"""Whether an agent answered otherwise than was suggested: then a trainer looks at the message.

What was suggested is remembered by this process alone, as a keyed sketch, for an hour, and only for those who saw it. Short
words (« Bonjour, je regarde ») and a suggestion that was taken up, however changed, say nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.core.clean import clean
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.workbench import readings

ANSWERED = "answered"
KEPT = 2_000  # suggestions
WITHIN = timedelta(hours=1)
ENOUGH = 60  # characters of a reply that answers something


@dataclass(frozen=True)
class Shown:
    """A suggestion on somebody's page. `instead`: the subject of the canned reply that was taken in its place."""

    at: datetime
    sketch: tuple[int, ...]
    instead: str | None = None


class Answers:
    """One for a console."""

    def __init__(self, database: Database, codec: Codec) -> None:
        self._db = database
        self._codec = codec
        self._shown: OrderedDict[tuple[int, int], Shown] = OrderedDict()

    def shown(self, user_id: int, conversation_id: int, text: str, now: datetime) -> None:
        """A suggestion stands on that person's page."""
        key = (user_id, conversation_id)
        self._shown[key] = Shown(now, readings.sketch_of(self._codec, text))
        self._shown.move_to_end(key)
        while len(self._shown) > KEPT:
            self._shown.popitem(last=False)

    def taken(self, user_id: int, conversation_id: int) -> None:
        """It was taken into the reply."""
        self._shown.pop((user_id, conversation_id), None)

    def instead(self, user_id: int, conversation_id: int, intent: str | None) -> None:
        """A canned reply was taken, which answers `intent`."""
        found = self._shown.get((user_id, conversation_id))
        if found is not None:
            self._shown[(user_id, conversation_id)] = replace(found, instead=intent)

    async def replied(self, user_id: int, conversation_id: int, written: str, now: datetime) -> None:
        """A reply left: when it is none of what was suggested, the person's message becomes worth a look."""
        found = self._shown.get((user_id, conversation_id))
        if found is None or len(clean(written).strip()) < ENOUGH:
            return
        del self._shown[(user_id, conversation_id)]
        if now - found.at > WITHIN or self._alike(found, written):
            return
        async with self._db.begin() as connection:
            await readings.mark(connection, self._codec, conversation_id, ANSWERED, found.instead, now)

    def _alike(self, found: Shown, written: str) -> bool:
        shared = set(found.sketch) & set(readings.sketch_of(self._codec, written))
        return len(shared) >= readings.needed(found.sketch)
