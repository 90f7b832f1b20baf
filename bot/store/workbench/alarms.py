"""Alarms that the gateway raised by itself, by the words or by the score: no engine has read them yet, so nobody could see a
false one among the readings.

They are read afterwards, beside everything else: the emergency lane knows nothing of it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from bot.core.clean import clean, for_understanding
from bot.core.dialogue import Understanding
from bot.core.messages import body_from_json
from bot.policy.intents import EMERGENCY
from bot.store import places
from bot.store.codec import Codec
from bot.store.conversations import BODY
from bot.store.db import Database
from bot.store.workbench.readings import NewReading, alarm_judged, keep

log = logging.getLogger("planton.worker")

WITHIN = timedelta(days=2)  # of Meta's time; what is older is left alone
_LOCK = 7_109_319  # advisory: one process keeps at a time

_UNREAD = """
    e.route = 'emergency' AND e.reason IN ('lexicon', 'score') AND e.kind IN ('text', 'edit') AND e.conversation_id IS NOT NULL
    AND NOT EXISTS (SELECT FROM readings r WHERE r.conversation_id = e.conversation_id
        AND (r.event_id = e.id OR e.id = ANY(r.also)))
    AND NOT EXISTS (SELECT FROM events n WHERE n.target = coalesce(e.target, e.mid) AND n.conversation_id = e.conversation_id
        AND n.kind IN ('edit', 'unsend') AND n.id <> e.id AND (e.kind <> 'edit' OR n.kind = 'unsend' OR n.id > e.id))"""
_TAKEN_BACK = """EXISTS (SELECT FROM alarms a WHERE a.conversation_id = e.conversation_id AND a.events @> ARRAY[e.id]
        AND a.verdict = 'taken_back')"""
_NEXT = text(f"""
    SELECT e.id, e.conversation_id, e.at, e.body, {places.event("e")}, t.taken_back
    FROM events e CROSS JOIN LATERAL (SELECT {_TAKEN_BACK}) t(taken_back)
    WHERE {_UNREAD} AND e.at > :since
      AND e.id <> ALL(CASE WHEN t.taken_back THEN CAST(:passed_back AS bigint[]) ELSE CAST(:passed AS bigint[]) END)
    ORDER BY e.at DESC, e.id DESC LIMIT :limit
""")  # noqa: S608
# Locked: a message that is withdrawn meanwhile must not come back through here.
_STILL = text(f"""
    SELECT {_TAKEN_BACK} AS taken_back FROM events e WHERE e.id = :id AND e.body = :body AND {_UNREAD} FOR SHARE OF e
""")  # noqa: S608


@dataclass(frozen=True)
class Alarm:
    """A message that raised an alarm at the gateway. `words`: a citizen's, as the engine reads them; `body`: as it is stored;
    `taken_back`: an agent says that it was none."""

    event: int
    conversation: int
    at: datetime
    words: str
    body: bytes
    taken_back: bool = False


class Alarms:
    """Finds them, and keeps what the engine makes of them."""

    def __init__(self, database: Database, codec: Codec) -> None:
        self._db = database
        self._codec = codec

    async def unread(
        self, now: datetime, passed: Collection[int], limit: int, passed_back: Collection[int] = ()
    ) -> list[Alarm]:
        """The newest ones without a reading; `passed`, `passed_back`: events to pass over, and those although they were taken
        back."""
        async with self._db.begin() as connection:
            values = {"since": now - WITHIN, "passed": list(passed), "passed_back": list(passed_back), "limit": limit}
            rows = (await connection.execute(_NEXT, values)).all()
        return [
            Alarm(
                row.id,
                row.conversation_id,
                row.at,
                self._words(row.id, row.body, row.place),
                bytes(row.body),
                row.taken_back,
            )
            for row in rows
        ]

    def _words(self, event: int, body: bytes, place: str) -> str:
        """No words where no key opens them, or they are cut: one such message must not hide the others."""
        try:
            return self._opened(body, place)
        except Exception as error:
            log.warning("event %d not readable: %s", event, type(error).__name__)
            return ""

    def _opened(self, body: bytes, place: str) -> str:
        said = body_from_json(self._codec.open_json(body, BODY, place))
        return for_understanding(clean(getattr(said, "text", "") or ""))

    async def keep(self, alarm: Alarm, understanding: Understanding, now: datetime) -> bool:
        """Keep a reading, unless the message was withdrawn, edited or read meanwhile."""
        async with self._db.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            still = (await connection.execute(_STILL, {"id": alarm.event, "body": alarm.body})).one_or_none()
            if still is None:
                return False
            reading = NewReading((alarm.event,), alarm.at, alarm.words, understanding, EMERGENCY)
            await keep(connection, self._codec, [reading], now)
            if still.taken_back:
                await alarm_judged(connection, alarm.conversation, [alarm.event], false=True)
        return True
