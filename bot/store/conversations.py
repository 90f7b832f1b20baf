"""Conversations: claimed with a lease by workers, finished with a fence."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.exc import DataError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.dialogue import HandoffRequest, Reply, Understanding
from bot.core.errors import LeaseLost
from bot.core.messages import Body, Platform, body_from_json
from bot.core.trace import Trace, trace_id
from bot.policy.crisis import Standing
from bot.policy.emergency import Detection
from bot.policy.lexicon import Kind
from bot.store import blocks, crisis, emergencies, handoffs, outbox, snoozes
from bot.store import understanding as understandings
from bot.store.codec import Codec
from bot.store.db import CONSOLE, Database, notify
from bot.store.satisfaction import answered
from bot.store.workbench import readings
from bot.store.workbench.readings import NewReading

log = logging.getLogger("planton.store")

# due_priority, who is looked at first: a trace of danger, somebody whom we never answered, others who write now, a night's bundles.
DANGER, NEW, LIVE, BUNDLE = 0, 2, 4, 7
PRIORITIES = f"CAST(ARRAY[{DANGER}, {NEW}, {LIVE}, {BUNDLE}] AS smallint[])"

STATE = "conversations.state"
BODY = "events.body"
PROFILE = "conversations.profile"


@dataclass(frozen=True)
class Pending:
    """An event without disposition."""

    id: int
    kind: str
    mid: str | None
    target: str | None
    at: datetime
    received_at: datetime
    standby: bool
    body: Body
    intent: str | None
    waiting: str | None


@dataclass(frozen=True)
class Conversation:
    """A conversation as it stands. `pending` is in order of Meta's timestamp."""

    id: int
    platform: Platform
    account: str
    person: str
    lease: int
    wake: int
    attempts: int
    owner: str
    owner_version: int
    category: str
    owner_until: datetime | None
    standby: bool
    last_person_at: datetime | None
    last_agent_at: datetime | None
    introduced_at: datetime | None
    night: date | None
    emergency_at: datetime | None
    emergency_kind: Kind | None
    emergency_short_at: datetime | None
    due_priority: int
    engine_away_since: datetime | None = None  # the first attempt in vain; None: the last attempt was none
    engine_told_at: datetime | None = None  # when the person was last told that the engine is away
    state: dict[str, Any] | None = None
    pending: tuple[Pending, ...] = ()
    blocked: bool = False  # nothing of this person's is answered, emergencies excepted
    attended: bool = False  # an agent has spoken for the open hand-off, whoever is to take it now

    def trace(self) -> Trace:
        """What logs and the reply call the turn by: its first message."""
        first = self.pending[0] if self.pending else None
        name = str(self.id) if first is None else first.mid or str(first.id)
        since = None if first is None or first.waiting == "night" else first.received_at
        return Trace(trace_id(self.platform.value, self.account, name), since, (("conversation", self.id),))


@dataclass(frozen=True)
class Settlement:
    """What becomes of some events. `reply`: index into `Finish.replies` of the message that answers them."""

    events: tuple[int, ...]
    disposition: str
    reason: str | None = None
    reply: int | None = None
    route: str | None = None
    understanding: Understanding | None = None


@dataclass(frozen=True)
class OutgoingReply:
    """A message of the bot, of the night or of the system. `bound`: cancelled when the owner changes before it leaves."""

    reply: Reply
    author: str = "bot"
    bound: bool = True
    priority: int = 4
    dedup: str | None = None


@dataclass(frozen=True)
class Emergency:
    """The engine, or the texts read together, found a danger: it takes the place of every other reply of the turn."""

    plan: emergencies.EmergencyPlan
    detection: Detection
    events: tuple[int, ...]
    understanding: Understanding | None = None
    slots: Mapping[str, str] = field(default_factory=dict)  # what its words tell agents


@dataclass(frozen=True)
class Finish:
    """Everything that a turn changes; written in one fenced transaction."""

    settlements: tuple[Settlement, ...] = ()
    waiting: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # why → event ids
    understood: Mapping[int, Understanding] = field(default_factory=dict)  # events that wait, understood already
    readings: tuple[NewReading, ...] = ()  # what the engine read in this turn, for trainers
    replies: tuple[OutgoingReply, ...] = ()
    notice: OutgoingReply | None = None  # the open crisis's message: said first, answers nothing by itself
    emergency: Emergency | None = None
    handoff: HandoffRequest | None = None
    handoff_intent: str | None = None
    handoff_slots: Mapping[str, str] = field(default_factory=dict)  # fill the open hand-off
    handoff_before: Mapping[str, str] = field(default_factory=dict)  # told earlier: goes with a hand-off that opens
    sets: Mapping[str, Any] = field(default_factory=dict)  # columns of the conversation
    state: dict[str, Any] | None = None
    thumbs: tuple[str, ...] = ()  # taps that answer the question after closing: up, down
    thanks: str | None = None  # said for the first of them
    next_due: datetime | None = None
    next_priority: int = LIVE
    attempts: int = 0


_FIELDS = f"""c.id, c.platform, c.account, c.person, c.lease, c.wake, c.attempts, c.owner, c.owner_version, c.category,
    c.owner_until, c.standby, c.last_person_at, c.last_agent_at, c.introduced_at, c.night, c.emergency_at, c.emergency_kind,
    c.emergency_short_at, c.due_priority, c.engine_away_since, c.engine_told_at, c.state,
    {blocks.STANDS} AS blocked,
    EXISTS (SELECT FROM handoffs h WHERE h.conversation_id = c.id AND h.closed_at IS NULL AND h.taken_at IS NOT NULL) AS attended"""

# One index range a priority, so that thousands which wait for the morning cost nothing.
_CLAIM = text(f"""
    WITH due AS (
        SELECT d.id FROM unnest({PRIORITIES}) WITH ORDINALITY AS p(priority, n)
        CROSS JOIN LATERAL (
            SELECT id FROM conversations
            WHERE due_priority = p.priority AND due_at <= :now
              AND (lease_until IS NULL OR lease_until < clock_timestamp())
            ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED) d
        ORDER BY p.n LIMIT :limit)
    UPDATE conversations c SET lease = c.lease + 1, lease_until = clock_timestamp() + :lease
    FROM due WHERE c.id = due.id RETURNING {_FIELDS}
""")  # noqa: S608

_PENDING = text("""
    SELECT id, conversation_id, kind, mid, target, at, received_at, channel, body, intent, waiting
    FROM events WHERE conversation_id = ANY(:ids) AND disposition IS NULL ORDER BY at, id
""")


class Conversations:
    """The worker's side of the store."""

    def __init__(self, database: Database, codec: Codec) -> None:
        self._db = database
        self._codec = codec

    async def claim(self, now: datetime, limit: int, lease: timedelta) -> list[Conversation]:
        """Lease at most `limit` conversations that are due, the most pressing first, with all that is unhandled."""
        async with self._db.begin(durable=False) as connection:
            rows = (await connection.execute(_CLAIM, {"now": now, "limit": limit, "lease": lease})).all()
            if not rows:
                return []
            pending: dict[int, list[Pending]] = {row.id: [] for row in rows}
            for event in await connection.execute(_PENDING, {"ids": list(pending)}):
                pending[event.conversation_id].append(self._pending(event))
        claimed = [replace(self._conversation(row), pending=tuple(pending[row.id])) for row in rows]
        return sorted(claimed, key=lambda c: c.due_priority)

    def _pending(self, row: Row[Any]) -> Pending:
        return Pending(
            id=row.id,
            kind=row.kind,
            mid=row.mid,
            target=row.target,
            at=row.at,
            received_at=row.received_at,
            standby=row.channel == "standby",
            body=body_from_json(self._codec.open_json(row.body, BODY)),
            intent=row.intent,
            waiting=row.waiting,
        )

    def _conversation(self, row: Row[Any]) -> Conversation:
        values = dict(row._mapping)
        values["platform"] = Platform(values["platform"])
        values["state"] = self._codec.open_json(values["state"], STATE)
        return Conversation(**values)

    async def next_due_in(self, now: datetime) -> float | None:
        """Seconds until the next conversation is due; None when none waits."""
        async with self._db.begin() as connection:
            at = await connection.scalar(
                text(f"""
                    SELECT min(d.due_at) FROM unnest({PRIORITIES}) AS p(priority)
                    CROSS JOIN LATERAL (
                        SELECT due_at FROM conversations
                        WHERE due_priority = p.priority AND due_at IS NOT NULL
                          AND (lease_until IS NULL OR lease_until < clock_timestamp())
                        ORDER BY due_at LIMIT 1) d
                """)  # noqa: S608
            )
        return None if at is None else max(0.0, (at - now).total_seconds())

    async def replies(self, conversation_id: int, since: datetime) -> tuple[int, bool]:
        """How many messages the bot has put into the outbox since a moment; whether any ever left, or still may."""
        async with self._db.begin() as connection:
            row = (
                await connection.execute(
                    text("""
                        SELECT count(*) FILTER (WHERE created_at > :since) AS recent,
                               coalesce(bool_or(status <> 'failed'), false) AS reached
                        FROM outbox WHERE conversation_id = :id AND author = 'bot' AND status <> 'cancelled'
                    """),
                    {"id": conversation_id, "since": since},
                )
            ).one()
        return int(row.recent), bool(row.reached)

    async def open_crisis(self, conversation_id: int) -> Standing | None:
        """The open crisis, and whether this person has had its message; None when none is open."""
        async with self._db.begin() as connection:
            return await crisis.standing(connection, conversation_id)

    async def stopped_for_loop(self, conversation_id: int) -> bool:
        """Whether the bot fell silent because it had said too much, and the hand-off of that is still open."""
        async with self._db.begin() as connection:
            return bool(
                await connection.scalar(
                    text("""
                        SELECT EXISTS (
                            SELECT FROM handoffs h JOIN events e ON e.conversation_id = h.conversation_id
                            WHERE h.conversation_id = :id AND h.closed_at IS NULL
                              AND e.reason = 'boucle' AND e.settled_at >= h.opened_at)
                    """),
                    {"id": conversation_id},
                )
            )

    async def send_in_flight(self, conversation_id: int) -> bool:
        """Whether a message to that person is being sent right now, or its answer was lost."""
        async with self._db.begin() as connection:
            return bool(
                await connection.scalar(
                    text("""
                        SELECT EXISTS (SELECT FROM outbox WHERE conversation_id = :id AND status = 'queued'
                            AND (lease_until IS NOT NULL OR maybe_sent))
                    """),
                    {"id": conversation_id},
                )
            )

    async def knows_mid(self, conversation_id: int, mid: str) -> bool:
        """Whether we sent a message with that id in that conversation."""
        async with self._db.begin() as connection:
            return bool(
                await connection.scalar(
                    text("SELECT EXISTS (SELECT FROM outbox WHERE conversation_id = :id AND :mid = ANY(mids))"),
                    {"id": conversation_id, "mid": mid},
                )
            )

    async def first_message_at(self, conversation_id: int, since: datetime) -> datetime | None:
        """When the person's first message since a moment was written."""
        async with self._db.begin() as connection:
            value = await connection.scalar(
                text("""
                    SELECT min(at) FROM events WHERE conversation_id = :id AND at >= :since
                      AND kind IN ('text', 'quick_reply', 'attachment', 'postback')
                """),
                {"id": conversation_id, "since": since},
            )
            return value if isinstance(value, datetime) else None

    async def handled_route(self, conversation_id: int, mid: str) -> str | None:
        """The route that the message `mid` took, None when it is unknown or unhandled."""
        async with self._db.begin() as connection:
            value = await connection.scalar(
                text("SELECT route FROM events WHERE conversation_id = :id AND mid = :mid AND disposition IS NOT NULL"),
                {"id": conversation_id, "mid": mid},
            )
            return None if value is None else str(value)

    async def median_wait(self, now: datetime) -> timedelta | None:
        """The last hour's median wait for a human."""
        async with self._db.begin() as connection:
            return await handoffs.median_wait(connection, now)

    async def renew(self, conversation: Conversation, lease: timedelta) -> None:
        """Lengthen the lease. Raises LeaseLost."""
        async with self._db.begin() as connection:
            done = await connection.execute(
                text(
                    "UPDATE conversations SET lease_until = clock_timestamp() + :for WHERE id = :id AND lease = :lease"
                ),
                {"id": conversation.id, "lease": conversation.lease, "for": lease},
            )
            if done.rowcount != 1:
                raise LeaseLost(f"conversation {conversation.id}")

    async def release(
        self,
        conversation: Conversation,
        due: datetime,
        attempts: int,
        why: str,
        engine_away_since: datetime | None = None,
    ) -> None:
        """Give the conversation back unhandled, due again at `due`; its events wait with reason `why`, the night's with theirs."""
        async with self._db.begin() as connection:
            done = await connection.execute(
                text("""
                    UPDATE conversations SET lease_until = NULL, due_at = :due, attempts = :attempts,
                        engine_away_since = coalesce(:away, engine_away_since)
                    WHERE id = :id AND lease = :lease
                """),
                {
                    "id": conversation.id,
                    "lease": conversation.lease,
                    "due": due,
                    "attempts": attempts,
                    "away": engine_away_since,
                },
            )
            if done.rowcount != 1:
                return  # somebody else has it
            await connection.execute(
                text("""
                    UPDATE events SET waiting = :why WHERE conversation_id = :id AND disposition IS NULL
                      AND waiting IS DISTINCT FROM 'night'
                """),
                {"id": conversation.id, "why": why},
            )

    async def finish(self, conversation: Conversation, finish: Finish, now: datetime) -> None:
        """Write the outcome of a turn: dispositions, replies, hand-off, dialogue state, next due; all or nothing.

        Raises LeaseLost when another worker has the conversation, or its owner changed meanwhile: nothing is kept.
        """
        async with self._db.begin() as connection:
            await self._fence(connection, conversation, finish)
            version = conversation.owner_version + (1 if "owner" in finish.sets else 0)
            for answer in finish.thumbs:
                await answered(connection, self._codec, conversation.id, answer, finish.thanks, now)
            if finish.emergency is not None:
                await self._emergency(connection, conversation, finish.emergency, finish.handoff_before, now)
            if finish.notice is not None:
                await self._queue(connection, conversation, finish.notice, version, now)
            ids = [await self._queue(connection, conversation, reply, version, now) for reply in finish.replies]
            if finish.handoff is not None:
                await self._hand_off(connection, conversation, finish, now)
            elif finish.handoff_slots:
                await handoffs.add_slots(connection, self._codec, conversation.id, finish.handoff_slots)
            for settlement in finish.settlements:
                await _settle(connection, settlement, ids, now)
                await understandings.keep(connection, self._codec, settlement.events, settlement.understanding)
            for why, events in finish.waiting.items():
                await connection.execute(
                    text("UPDATE events SET waiting = :why WHERE id = ANY(:ids) AND disposition IS NULL"),
                    {"why": why, "ids": list(events)},
                )
            for event, understanding in finish.understood.items():
                await connection.execute(
                    text("UPDATE events SET intent = :intent, confidence = :confidence WHERE id = :id"),
                    {"id": event, "intent": understanding.intent, "confidence": understanding.confidence},
                )
                await understandings.keep(connection, self._codec, (event,), understanding)
            try:
                async with connection.begin_nested():
                    await readings.keep(connection, self._codec, finish.readings, now)
            except DataError as error:  # what trainers look at must never cost a person's reply
                log.error("conversation %s: reading not kept: %s", conversation.id, type(error).__name__)
            await snoozes.look(connection, conversation.id, now)
            await notify(connection, CONSOLE, str(conversation.id))

    async def _fence(self, connection: AsyncConnection, conversation: Conversation, finish: Finish) -> None:
        sets: dict[str, Any] = {"engine_away_since": None, **finish.sets}  # the engine answered, unless it is said
        if finish.state is not None:
            sets["state"] = self._codec.seal_json(finish.state, STATE)
        if "owner" in sets:
            sets["owner_version"] = conversation.owner_version + 1
        columns = "".join(f"{name} = :{name}, " for name in sets)
        # What came in meanwhile (wake moved) keeps the due time that the gateway gave it, if that is earlier.
        done = await connection.execute(
            text(f"""
                UPDATE conversations SET {columns} lease = lease + 1, lease_until = NULL, attempts = :attempts,
                    debounce_resets = CASE WHEN wake = :wake THEN 0 ELSE debounce_resets END,
                    due_at = CASE WHEN wake = :wake THEN CAST(:next AS timestamptz)
                                  ELSE least(due_at, coalesce(CAST(:next AS timestamptz), due_at)) END,
                    due_priority = CASE WHEN wake = :wake THEN :priority ELSE least(due_priority, :priority) END
                WHERE id = :id AND lease = :lease AND owner_version = :version
            """),  # noqa: S608
            {
                **sets,
                "attempts": finish.attempts,
                "wake": conversation.wake,
                "next": finish.next_due,
                "priority": finish.next_priority,
                "id": conversation.id,
                "lease": conversation.lease,
                "version": conversation.owner_version,
            },
        )
        if done.rowcount != 1:
            raise LeaseLost(f"conversation {conversation.id}")

    async def _emergency(
        self,
        connection: AsyncConnection,
        conversation: Conversation,
        emergency: Emergency,
        before: Mapping[str, str],
        now: datetime,
    ) -> None:
        reply = await emergencies.carry_out(
            connection,
            self._codec,
            conversation.id,
            emergency.plan,
            emergency.detection,
            now,
            emergency.slots,
            before,
        )
        settlement = Settlement(
            emergency.events,
            "handed_off" if reply is None else "emergency",
            emergency.detection.by,
            None if reply is None else 0,
            "emergency",
            emergency.understanding,
        )
        await _settle(connection, settlement, [reply], now)
        await understandings.keep(connection, self._codec, settlement.events, settlement.understanding)

    async def _queue(
        self,
        connection: AsyncConnection,
        conversation: Conversation,
        outgoing: OutgoingReply,
        version: int,
        now: datetime,
    ) -> int | None:
        return await outbox.add(
            connection,
            self._codec,
            outbox.NewRow(
                conversation_id=conversation.id,
                lane="reply",
                author=outgoing.author,
                reply=outgoing.reply,
                created_at=now,
                priority=outgoing.priority,
                owner_version=version if outgoing.bound else None,
                dedup=outgoing.dedup,
            ),
        )

    async def _hand_off(
        self, connection: AsyncConnection, conversation: Conversation, finish: Finish, now: datetime
    ) -> None:
        request = finish.handoff
        assert request is not None
        await handoffs.open_(
            connection,
            self._codec,
            handoffs.NewHandoff(
                conversation.id,
                request.category,
                request.reason,
                finish.handoff_intent,
                slots={**request.slots, **finish.handoff_slots},
                before=finish.handoff_before,
            ),
            now,
        )


async def _settle(
    connection: AsyncConnection, settlement: Settlement, ids: Sequence[int | None], now: datetime
) -> None:
    understanding = settlement.understanding
    await connection.execute(
        text("""
            UPDATE events SET disposition = :disposition, reason = :reason, settled_at = :now, waiting = NULL,
                outbox_id = :outbox, route = coalesce(:route, route), intent = coalesce(:intent, intent),
                confidence = coalesce(:confidence, confidence)
            WHERE id = ANY(:ids) AND disposition IS NULL
        """),
        {
            "ids": list(settlement.events),
            "disposition": settlement.disposition,
            "reason": settlement.reason,
            "now": now,
            "outbox": None if settlement.reply is None else ids[settlement.reply],
            "route": settlement.route,
            "intent": None if understanding is None else understanding.intent,
            "confidence": None if understanding is None else understanding.confidence,
        },
    )
