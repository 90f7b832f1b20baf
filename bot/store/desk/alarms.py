"""What agents say of an alarm, sure or likely: it was false, it was none the less one, it is confirmed.

A false alarm that is taken back leaves nothing behind that could quiet a later one: the conversation is as if no emergency reply
had gone out, and the next danger alarms as ever. Each action is one transaction that locks the conversation's row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.policy.alarms import Place, ordinary
from bot.policy.closing import untaken_emergency
from bot.policy.degree import REASONS, pressing
from bot.policy.emergency import Detection
from bot.policy.rights import Capability
from bot.store import alarms, handoffs
from bot.store.accounts import User
from bot.store.alarms import CONFIRMED, DETECTORS, LIKELY, OTHER, SURE, TAKEN_BACK, Alarm
from bot.store.codec import Codec
from bot.store.desk.access import Conversation, Desk, Handoff
from bot.store.desk.errors import Conflict, UntakenEmergency
from bot.store.desk.holding import end, must_have_read, must_hold
from bot.store.workbench import readings

EMERGENCY = "emergency"
FALSE_ALARM = "fausse_alerte"  # why a request is closed
REASON = "false_alarm"  # of the hand-off that stays
LIKELY_REASONS = frozenset(REASONS.values())
SHOWN = 20  # alarms of a request, at most

COLUMNS = """a.id, a.conversation_id, a.at, a.kind, a.degree, a.detector, a.entry, a.evidence, a.verdict, a.verdict_at,
    (SELECT name FROM users WHERE id = a.verdict_by) AS by"""
_OF = text(f"SELECT {COLUMNS} FROM alarms a WHERE a.handoff_id = :handoff ORDER BY a.id DESC LIMIT {SHOWN}")  # noqa: S608
_ALL = text("""
    SELECT id, kind, degree, detector, events, verdict, verdict_at, stood FROM alarms WHERE handoff_id = :handoff ORDER BY id
""")
_JUDGE = text("""
    UPDATE alarms SET verdict = :verdict, verdict_at = :at, verdict_by = :user WHERE id = ANY(CAST(:ids AS bigint[]))
""")
_BY_HAND = text("""
    INSERT INTO alarms (conversation_id, handoff_id, platform, at, kind, detector)
    SELECT h.conversation_id, h.id, h.platform, h.raised_at, :kind, :detector FROM handoffs h WHERE h.id = :handoff
    RETURNING id
""")
_READ = text("""
    SELECT coalesce(agent_intent, intent) FROM readings
    WHERE conversation_id = :id AND coalesce(agent_intent, intent) IS NOT NULL
      AND (event_id = ANY(:events) OR also && CAST(:events AS bigint[]))
    ORDER BY event_id DESC
""")
_MOVE = text("""
    UPDATE handoffs SET category = :category, priority = :priority, intent = :intent, reason = :reason, old = false,
        alerted_at = NULL, due_at = opened_at + (SELECT within FROM deadlines WHERE priority = :priority)
    WHERE id = :id
""")
# Of a likely danger: no emergency reply went out for it.
_CATEGORY = text("UPDATE conversations SET category = :category WHERE id = :id")
# Without a trace of the emergency reply: the next danger gets its own, in full.
_QUIET = text("""
    UPDATE conversations SET category = :category, emergency_at = NULL, emergency_kind = NULL, emergency_script = NULL,
        emergency_short_at = NULL
    WHERE id = :id
""")
_REOPEN = text("""
    UPDATE handoffs SET closed_at = NULL, outcome = NULL, close_reason = NULL, reopened_at = :now
    WHERE id = :id AND closed_at IS NOT NULL
""")


@dataclass(frozen=True)
class Shown:
    """The alarms of a request as its page shows them. `alarms`: the newest first; `standing`: it is open, and an emergency (`sure`)
    or a likely danger; `upto`: the newest alarm, 0 without any."""

    alarms: tuple[Alarm, ...]
    standing: bool
    sure: bool = True

    @property
    def upto(self) -> int:
        return self.alarms[0].id if self.alarms else 0

    @property
    def taken_back(self) -> Alarm | None:
        """The one that was taken back last, unless another alarm stands."""
        if self.standing:
            return None
        found = [one for one in self.alarms if one.verdict == TAKEN_BACK and one.verdict_at is not None]
        return max(found, key=lambda one: (one.verdict_at or one.at, one.id), default=None)

    @property
    def confirmed(self) -> Alarm | None:
        """One that an agent confirmed, when there is none without a word about it."""
        open_ = [one for one in self.alarms if one.verdict != TAKEN_BACK]
        return open_[0] if self.standing and open_ and all(one.verdict == CONFIRMED for one in open_) else None


def alarm_of(codec: Codec, row: Row[Any]) -> Alarm:
    """From a row with the columns COLUMNS."""
    return Alarm(
        row.id,
        row.at,
        row.kind,
        row.detector,
        row.entry,
        alarms.evidence(codec, row.conversation_id, row.id, row.evidence),
        row.verdict,
        row.verdict_at,
        row.by,
        row.degree,
    )


def stands(handoff: Handoff, alarms_: Iterable[Any]) -> bool:
    """Whether a request is an emergency, or a likely danger that was not taken back; `alarms_`: its own, or rows of them."""
    if handoff.closed_at is not None:
        return False
    return handoff.category == EMERGENCY or any(one.degree == LIKELY and one.verdict != TAKEN_BACK for one in alarms_)


class AlarmStore:
    """Alarms of the request of a conversation."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def shown(self, handoff: Handoff) -> Shown:
        """For whoever has come through the door of the conversation (`Desk.access`)."""
        async with self._desk.database.begin() as connection:
            rows = (await connection.execute(_OF, {"handoff": handoff.id})).all()
        found = tuple(alarm_of(self._desk.codec, row) for row in rows)
        return Shown(found, stands(handoff, found), handoff.category == EMERGENCY)

    async def take_back(
        self, user: User, conversation_id: int, seen: int, upto: int, now: datetime, close: bool = False
    ) -> None:
        """The alarm was false: the request goes to its ordinary place, or (`close`) is closed; trainers look at the message.

        `seen`: the last thing of the person that the page showed; `upto`: the newest alarm that it showed. Raises Conflict,
        Stale when the person wrote, or another alarm was raised, since.
        """
        desk = self._desk
        async with desk.database.begin() as connection:
            conversation, handoff = await self._standing(connection, user, conversation_id, "retirer l’alerte")
            if close and untaken_emergency(handoff.category, conversation.owner):
                raise UntakenEmergency("elle n’a pas été close")
            await must_have_read(connection, conversation_id, seen, "l’alerte n’a pas été retirée.")
            rows = (await connection.execute(_ALL, {"handoff": handoff.id})).all()
            if any(row.id > upto for row in rows):
                raise Conflict(
                    "Une autre alerte vient d’arriver\u00a0: rien n’a été retiré.",
                    "Lisez ce qui vient d’être écrit, puis décidez.",
                )
            false = await self._standing_alarms(connection, handoff)
            events = sorted({event for row in false for event in row.events})
            await _judge(connection, user, [row.id for row in false], TAKEN_BACK, now)
            place, reason = await _ordinary(connection, conversation_id, handoff, false, events)
            values = {
                "category": place.category,
                "priority": pressing(place.category, reason),
                "intent": place.intent,
                "reason": reason,
            }
            await connection.execute(_MOVE, {**values, "id": handoff.id})
            quieted = _QUIET if handoff.category == EMERGENCY else _CATEGORY
            await connection.execute(quieted, {"category": place.category, "id": conversation_id})
            await readings.alarm_judged(connection, conversation_id, events, false=True)
            if close:
                await end(connection, conversation_id, user, "closed", FALSE_ALARM, now)
            await desk.done(
                connection,
                now,
                user,
                "alarm_taken_back",
                conversation_id,
                handoff=handoff.id,
                alarms=len(false),
                closed=close,
            )

    async def put_back(self, user: User, conversation_id: int, now: datetime) -> None:
        """The alarm that was taken back last was one after all: it rings again, also where the request was closed with it. A likely
        danger is a likely one again.

        Raises Conflict.
        """
        desk = self._desk
        async with desk.database.begin() as connection:
            conversation = await desk.access(connection, user, conversation_id, Capability.WORK)
            handoff = conversation.handoff
            rows = [] if handoff is None else (await connection.execute(_ALL, {"handoff": handoff.id})).all()
            back = [row for row in rows if row.verdict == TAKEN_BACK]
            if handoff is None or not back or stands(handoff, rows):
                raise Conflict("Il n’y a pas d’alerte à remettre.", "La conversation montre où elle en est.")
            last = max(row.verdict_at for row in back)
            again = [row for row in back if row.verdict_at == last]
            await connection.execute(_REOPEN, {"now": now, "id": handoff.id})
            await handoffs.open_(connection, desk.codec, _raised(conversation_id, handoff, again), now)
            await _judge(connection, user, [row.id for row in again], None, now)
            events = sorted({event for row in again for event in row.events})
            await readings.alarm_judged(connection, conversation_id, events, false=False)
            await desk.done(
                connection, now, user, "alarm_put_back", conversation_id, handoff=handoff.id, alarms=len(again)
            )

    async def confirm(self, user: User, conversation_id: int, now: datetime) -> None:
        """Somebody is in danger indeed. Raises Conflict."""
        async with self._desk.database.begin() as connection:
            _, handoff = await self._standing(connection, user, conversation_id, "confirmer le danger")
            rows = [row for row in await self._standing_alarms(connection, handoff) if row.verdict is None]
            await _judge(connection, user, [row.id for row in rows], CONFIRMED, now)
            if rows:
                await self._desk.done(
                    connection, now, user, "alarm_confirmed", conversation_id, handoff=handoff.id, alarms=len(rows)
                )

    async def _standing(
        self, connection: AsyncConnection, user: User, conversation_id: int, verb: str
    ) -> tuple[Conversation, Handoff]:
        """The conversation and its request, an emergency or a likely danger that this user may judge."""
        conversation = await self._desk.access(connection, user, conversation_id, Capability.WORK)
        if conversation.owner == "agent":
            must_hold(conversation, user, verb, or_free=True)
        handoff = conversation.handoff
        rows = [] if handoff is None else (await connection.execute(_ALL, {"handoff": handoff.id})).all()
        if handoff is None or not stands(handoff, rows):
            raise Conflict("Cette conversation n’a plus d’alerte.", "La page montre où elle en est.")
        return conversation, handoff

    async def _standing_alarms(self, connection: AsyncConnection, handoff: Handoff) -> list[Row[Any]]:
        """Those of the request that were not taken back; one that no detector raised (an outage, an agent) gets its line now."""
        rows = (await connection.execute(_ALL, {"handoff": handoff.id})).all()
        found = [row for row in rows if row.verdict != TAKEN_BACK]
        if handoff.category != EMERGENCY or any(row.degree == SURE for row in found):
            return found
        named = handoff.reason.removeprefix("emergency_")
        values = {
            "handoff": handoff.id,
            "kind": "distress" if handoff.intent == "detresse_suicide" else "danger",
            "detector": named if named in DETECTORS else OTHER,
        }
        number = await connection.scalar(_BY_HAND, values)
        return [*found, *(row for row in await connection.execute(_ALL, {"handoff": handoff.id}) if row.id == number)]


def _raised(conversation_id: int, handoff: Handoff, again: Sequence[Row[Any]]) -> handoffs.NewHandoff:
    """The hand-off of alarms that are put back: an emergency if one of them is sure, else a likely danger of the same subject."""
    sure = [row for row in again if row.degree == SURE]
    if not sure:
        return handoffs.NewHandoff(conversation_id, "sensitive", REASONS[again[-1].kind], handoff.intent)
    newest = sure[-1]
    intent = Detection(newest.kind, newest.detector).intent
    return handoffs.NewHandoff(conversation_id, EMERGENCY, f"emergency_{newest.detector}", intent)


async def confirm_closed(connection: AsyncConnection, user: User, handoff: Handoff, now: datetime) -> int:
    """An emergency that is closed as passed on to a service was one; how many alarms were without a word until now."""
    rows = (await connection.execute(_ALL, {"handoff": handoff.id})).all()
    ids = [row.id for row in rows if row.verdict is None]
    await _judge(connection, user, ids, CONFIRMED, now)
    return len(ids)


async def unconfirm(connection: AsyncConnection, user: User, handoff: Handoff, at: datetime) -> None:
    """The closing of that moment is taken back, and so is what `confirm_closed` made of it."""
    rows = (await connection.execute(_ALL, {"handoff": handoff.id})).all()
    ids = [row.id for row in rows if row.verdict == CONFIRMED and row.verdict_at == at]
    await _judge(connection, user, ids, None, at)


async def _judge(
    connection: AsyncConnection, user: User, ids: Sequence[int], verdict: str | None, now: datetime
) -> None:
    told = {"verdict": verdict, "at": None if verdict is None else now, "user": None if verdict is None else user.id}
    await connection.execute(_JUDGE, {**told, "ids": list(ids)})


async def _ordinary(
    connection: AsyncConnection,
    conversation_id: int,
    handoff: Handoff,
    false: Sequence[Row[Any]],
    events: Sequence[int],
) -> tuple[Place, str]:
    """Where the request belongs, and the reason that it then has."""
    if handoff.category != EMERGENCY and handoff.reason not in LIKELY_REASONS:
        return Place(handoff.category, handoff.intent), handoff.reason  # no alarm put it there
    # Where a likely danger of before had put it is no ordinary place: that one was false, too.
    stood = next(
        (row.stood for row in reversed(false) if row.stood and row.stood["reason"] not in LIKELY_REASONS), None
    )
    before = None if stood is None else Place(stood["category"], stood["intent"])
    read = (await connection.execute(_READ, {"id": conversation_id, "events": list(events)})).scalars().all()
    place = ordinary(before, read)
    return place, stood["reason"] if stood is not None and place == before else REASON
