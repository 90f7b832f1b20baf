"""Conversations: claimed with a lease by workers, finished with a fence."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.dialogue import HandoffRequest, Reply, Understanding
from bot.core.errors import Explained, LeaseLost, SealedElsewhere
from bot.core.messages import Body, Platform, Unknown, body_from_json
from bot.core.trace import Trace, trace_id
from bot.policy.crisis import Standing
from bot.policy.degree import pressing
from bot.policy.emergency import Detection
from bot.policy.intents import PRIORITY
from bot.policy.owner import LOOP_WITHIN
from bot.policy.waiting_time import Waits
from bot.store import alarms, blocks, emergencies, handoffs, news, places, search, snoozes
from bot.store import understanding as understandings
from bot.store.codec import Codec
from bot.store.db import CONSOLE, OUTBOX, Database, Note
from bot.store.faults import Fault, fault_of, told
from bot.store.outcome import Outcome
from bot.store.satisfaction import answered
from bot.store.stale import FREE
from bot.store.workbench import readings
from bot.store.workbench.readings import TOPIC, NewReading

log = logging.getLogger("planton.store")

# due_priority, who is looked at first: a trace of danger, somebody whom we never answered, others who write now, a night's bundles.
DANGER, NEW, LIVE, BUNDLE = 0, 2, 4, 7
PRIORITIES = f"CAST(ARRAY[{DANGER}, {NEW}, {LIVE}, {BUNDLE}] AS smallint[])"

STATE = "conversations.state"
BODY = "events.body"
PROFILE = "conversations.profile"

# Of a hand-off: no key opens a message, or it is not where it belongs; its words are in Meta's inbox.
UNREADABLE = "unreadable"
HELD = timedelta(minutes=5)  # an event that needs another key: so long may a rotation take to bring it


@dataclass(frozen=True)
class Pending:
    """An event without disposition. `body`: Unknown(UNREADABLE) where it cannot be read."""

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
    emergency_kind: str | None
    emergency_script: str | None
    emergency_short_at: datetime | None
    due_priority: int
    engine_away_since: datetime | None = None  # the first attempt in vain; None: the last attempt was none
    engine_told_at: datetime | None = None  # when the person was last told that the engine is away, or that many write
    state: dict[str, Any] | None = None
    pending: tuple[Pending, ...] = ()
    blocked: bool = False  # nothing of this person's is answered, emergencies excepted
    handed: bool = False  # a hand-off is open
    reason: str = ""  # why it is
    attended: bool = False  # an agent has spoken for the open hand-off, whoever is to take it now
    said: int = 0  # messages that the bot has put into the outbox within LOOP_WITHIN
    reached: bool = False  # a message of the bot ever left, or still may
    crisis: Standing | None = None  # the open crisis, and whether this person has had its message
    numbers: tuple[int, ...] = ()  # for rows of the outbox that the turn may write, which are sealed for them
    handoff_number: int | None = None  # for a hand-off that it may open
    dangers: list[Detection] = field(default_factory=list, compare=False)  # that its turn found: known where that fails

    def trace(self) -> Trace:
        """What logs and the reply call the turn by: its first message."""
        first = self.pending[0] if self.pending else None
        name = str(self.id) if first is None else first.mid or str(first.id)
        since = None if first is None or first.waiting == "night" else first.received_at
        return Trace(trace_id(self.platform.value, self.account, name), since, (("conversation", self.id),))


@dataclass(frozen=True)
class Settlement:
    """What becomes of some events. `reply`: index into `Finish.replies` of the message that answers them. `question`: that of the
    catalogue that is answered, `offers`: those that are offered."""

    events: tuple[int, ...]
    disposition: str
    reason: str | None = None
    reply: int | None = None
    route: str | None = None
    understanding: Understanding | None = None
    question: str | None = None
    offers: tuple[str, ...] = ()


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
class Likely:
    """A danger that is likely: the turn's hand-off is of it. `events`: whose words were read."""

    detection: Detection
    events: tuple[int, ...]


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
    likely: tuple[Likely, ...] = ()  # alarms that are kept with the hand-off
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


_FIELDS = """c.id, c.platform, c.account, c.person, c.lease, c.wake, c.attempts, c.owner, c.owner_version, c.category,
    c.owner_until, c.standby, c.last_person_at, c.last_agent_at, c.introduced_at, c.night, c.emergency_at, c.emergency_kind,
    c.emergency_script, c.emergency_short_at, c.due_priority, c.engine_away_since, c.engine_told_at, c.state"""
_WAITS_READ = 2000  # of each kind; where more wait, nobody is told how long
NUMBERS = 3  # replies of a turn, at most, for which no further question is asked
_BY_PRIORITY = f"unnest({PRIORITIES}) WITH ORDINALITY AS p(priority, n)"
_LEASABLE = f"due_priority = p.priority AND {FREE}"

# One index range a priority, so that thousands which wait for the morning cost nothing. A crash of the server may forget
# a lease, so that the commit need not wait for the disk. Without anything due, one row that says when something will be.
_CLAIM = f"""
    WITH due AS (
        SELECT d.id FROM {_BY_PRIORITY}
        CROSS JOIN LATERAL (
            SELECT id FROM conversations WHERE {_LEASABLE} AND due_at <= $1::timestamptz
            ORDER BY due_at LIMIT $2::bigint FOR UPDATE SKIP LOCKED) d
        ORDER BY p.n LIMIT $2::bigint),
    claimed AS (
        UPDATE conversations c SET lease = c.lease + 1, lease_until = clock_timestamp() + $3::interval
        FROM due, (SELECT set_config('synchronous_commit', 'off', true)) AS relaxed
        WHERE c.id = due.id RETURNING {_FIELDS},
            ARRAY[{", ".join(["nextval('outbox_id_seq')"] * NUMBERS)}] AS numbers, nextval('handoffs_id_seq') AS handoff_number),
    later AS (
        SELECT min(d.due_at) AS next_due FROM {_BY_PRIORITY}
        CROSS JOIN LATERAL (
            SELECT due_at FROM conversations c WHERE {_LEASABLE} AND due_at IS NOT NULL
              AND NOT EXISTS (SELECT FROM due WHERE due.id = c.id)
            ORDER BY due_at LIMIT 1) d)
    SELECT * FROM later LEFT JOIN claimed ON true
"""  # noqa: S608


_RENEW = """
    WITH free AS MATERIALIZED (
        SELECT c.id FROM conversations c
        WHERE c.id = ANY($1::bigint[]) AND c.lease_until IS NOT NULL
          AND EXISTS (SELECT FROM unnest($1::bigint[], $2::bigint[]) AS i(id, lease) WHERE i.id = c.id AND i.lease = c.lease)
        FOR UPDATE SKIP LOCKED)
    UPDATE conversations c SET lease_until = clock_timestamp() + $3::interval FROM free WHERE c.id = free.id RETURNING c.id
"""
_NUMBERS = "SELECT ARRAY(SELECT nextval($1::text::regclass) FROM generate_series(1, $2::bigint))"
_LET_GO = _RENEW.replace("clock_timestamp() + $3::interval", "NULL")


@cache
def _read(number: int) -> str:
    """What belongs to so many conversations. Asked after the claim: what came in until a conversation was leased is seen, and
    what comes later moves its wake. Written out one by one they get a plan that is kept; an array would be planned each time.
    """
    listed = ", ".join(f"(${place}::bigint)" for place in range(2, number + 2))
    return f"""
        SELECT c.*, e.id AS event, e.kind, e.mid, e.target, e.at, e.received_at, e.channel, e.body, e.intent, e.waiting,
            {places.event("e")}
        FROM (
            SELECT c.id AS conversation, {blocks.STANDS} AS blocked, h.id IS NOT NULL AS handed, h.reason,
                h.taken_at IS NOT NULL AS attended,
                (SELECT count(*) FROM outbox o WHERE o.conversation_id = c.id AND o.created_at > $1::timestamptz
                    AND o.author = 'bot' AND o.status <> 'cancelled') AS said,
                EXISTS (SELECT FROM outbox o WHERE o.conversation_id = c.id
                    AND o.author = 'bot' AND o.status NOT IN ('cancelled', 'failed')) AS reached,
                k.id AS crisis, k.message,
                EXISTS (SELECT FROM outbox o WHERE o.conversation_id = c.id AND o.dedup = 'crise:' || k.id) AS told
            FROM (VALUES {listed}) AS c(id)
            LEFT JOIN handoffs h ON h.conversation_id = c.id AND h.closed_at IS NULL
            LEFT JOIN crises k ON k.opened_at IS NOT NULL AND k.closed_at IS NULL
            OFFSET 0) c
        LEFT JOIN events e ON e.conversation_id = c.conversation AND e.disposition IS NULL
        ORDER BY e.at, e.id
    """  # noqa: S608


_SAID_BEFORE = f"""
    SELECT e.body, {places.event("e")} FROM events e
    WHERE e.conversation_id = $1::bigint AND e.at < $2::timestamptz AND e.at >= $3::timestamptz AND e.kind = 'text'
      AND e.body IS NOT NULL
    ORDER BY e.at DESC, e.id DESC LIMIT $4::int
"""  # noqa: S608


class Conversations:
    """The worker's side of the store."""

    def __init__(self, database: Database, codec: Codec) -> None:
        self._db = database
        self._codec = codec
        # When the next conversation is due, as far as claims and ends of turns tell.
        self.next_due: datetime | None = None

    async def claim(self, now: datetime, limit: int, lease: timedelta) -> list[Conversation]:
        """Lease at most `limit` conversations that are due, the most pressing first, with all that is unhandled."""
        rows: dict[int, Any] = {}
        try:
            async with self._db.plain() as connection:
                self.next_due = None
                found = await connection.rows(_CLAIM, (now, limit, lease))
                self._due_again(found[0].next_due)
                rows = {row.id: row for row in found if row.id is not None}
                if not rows:
                    return []
                read: dict[int, list[Any]] = {number: [] for number in rows}
                for row in await connection.rows(_read(len(rows)), (now - LOOP_WITHIN, *rows)):
                    read[row.conversation].append(row)
            claimed = [
                one for number, row in rows.items() if (one := self._readable(row, read[number], now)) is not None
            ]
            return sorted(claimed, key=lambda c: c.due_priority)
        except BaseException:
            if rows:
                await self._let_go(rows.values())
            raise

    async def _let_go(self, leased: Collection[Any]) -> None:
        """Nobody came to know of these leases: others need not wait for their end. With the database away they must."""
        with contextlib.suppress(DBAPIError, OSError, TimeoutError):
            async with self._db.plain() as connection:
                await connection.rows(_LET_GO, ([row.id for row in leased], [row.lease for row in leased]))

    def _pending(self, row: Any, now: datetime) -> Pending:
        return Pending(
            id=row.event,
            kind=row.kind,
            mid=row.mid,
            target=row.target,
            at=row.at,
            received_at=row.received_at,
            standby=row.channel == "standby",
            body=self._body(row, now),
            intent=row.intent,
            waiting=row.waiting,
        )

    def _body(self, row: Any, now: datetime) -> Body:
        """Unknown where it cannot be read: an agent gets it. Raises SettingsError while its key may still be on its way."""
        try:
            return body_from_json(self._codec.open_json(row.body, BODY, row.place))
        except (Explained, ValueError, LookupError, TypeError) as error:
            if isinstance(error, Explained) and not isinstance(error, SealedElsewhere) and now - row.received_at < HELD:
                raise
            log.error("event %d cannot be read: %s", row.event, type(error).__name__)
            return Unknown(UNREADABLE)

    def _state(self, row: Any) -> Any:
        """None where it cannot be read: the dialogue begins anew, at once, since nobody in danger may wait for a key."""
        try:
            return self._codec.open_json(row.state, STATE, row.id)
        except (Explained, ValueError) as error:
            log.error("state of conversation %d cannot be read: %s", row.id, type(error).__name__)
            return None

    def _readable(self, row: Any, read: Sequence[Any], now: datetime) -> Conversation | None:
        """None where it cannot be read: that holds back this conversation, and no other."""
        try:
            return self._conversation(row, read, now)
        except (Explained, ValueError, LookupError, TypeError) as error:
            log.error("conversation %d cannot be read: %s", row.id, type(error).__name__)
            return None

    def _conversation(self, row: Any, read: Sequence[Any], now: datetime) -> Conversation:
        """`read`: what else is known of it, a row for each of its events that are unhandled, or one without an event."""
        values = row._asdict()
        del values["next_due"]
        values["platform"] = Platform(values["platform"])
        values["numbers"] = tuple(row.numbers)
        values["state"] = self._state(row)
        one = read[0]
        return Conversation(
            **values,
            pending=tuple(self._pending(event, now) for event in read if event.event is not None),
            blocked=one.blocked,
            handed=one.handed,
            reason=one.reason or "",
            attended=one.attended,
            said=one.said,
            reached=one.reached,
            crisis=None if one.crisis is None else Standing(one.crisis, one.message, one.told),
        )

    def _due_again(self, at: datetime | None) -> None:
        """A conversation was given back."""
        if at is not None and (self.next_due is None or at < self.next_due):
            self.next_due = at

    async def _first(self, query: str, *parameters: Any) -> Any:
        """The one value of a query's one row."""
        async with self._db.plain() as connection:
            return (await connection.rows(query, parameters))[0][0]

    async def stopped_for_loop(self, conversation_id: int) -> bool:
        """Whether the bot fell silent because it had said too much, and the hand-off of that is still open."""
        return bool(
            await self._first(
                """
                SELECT EXISTS (
                    SELECT FROM handoffs h JOIN events e ON e.conversation_id = h.conversation_id
                    WHERE h.conversation_id = $1::bigint AND h.closed_at IS NULL
                      AND e.reason = 'boucle' AND e.settled_at >= h.opened_at)
                """,
                conversation_id,
            )
        )

    async def replied_since(self, conversation_id: int, since: datetime) -> set[str]:
        """Why what was handled since a moment took its way, where a reply to it went out or still may: of a hand-off its reason."""
        async with self._db.plain() as connection:
            rows = await connection.rows(
                """
                SELECT DISTINCT e.reason FROM events e JOIN outbox o ON o.id = e.outbox_id
                WHERE e.conversation_id = $1::bigint AND e.settled_at >= $2::timestamptz AND e.reason IS NOT NULL
                  AND o.status NOT IN ('cancelled', 'failed')
                """,
                (conversation_id, since),
            )
        return {str(row.reason) for row in rows}

    async def send_in_flight(self, conversation_id: int) -> bool:
        """Whether a message to that person is being sent right now, or its answer was lost."""
        return bool(
            await self._first(
                """
                SELECT EXISTS (SELECT FROM outbox WHERE conversation_id = $1::bigint AND status = 'queued'
                    AND (lease_until IS NOT NULL OR maybe_sent))
                """,
                conversation_id,
            )
        )

    async def knows_mid(self, conversation_id: int, mid: str) -> bool:
        """Whether we sent a message with that id in that conversation."""
        return bool(
            await self._first(
                "SELECT EXISTS (SELECT FROM outbox WHERE conversation_id = $1::bigint AND $2::text = ANY(mids))",
                conversation_id,
                mid,
            )
        )

    async def first_message_at(self, conversation_id: int, since: datetime) -> datetime | None:
        """When the person's first message since a moment was written."""
        value = await self._first(
            """
            SELECT min(at) FROM events WHERE conversation_id = $1::bigint AND at >= $2::timestamptz
              AND kind IN ('text', 'quick_reply', 'attachment', 'postback')
            """,
            conversation_id,
            since,
        )
        return value if isinstance(value, datetime) else None

    async def said_before(self, conversation_id: int, at: datetime, since: datetime, most: int) -> list[str]:
        """The person's last texts of before `at` (Meta's time), not older than `since`, oldest first; what cannot be read is left
        out."""
        async with self._db.plain() as connection:
            rows = await connection.rows(_SAID_BEFORE, (conversation_id, at, since, most))
        said = []
        for row in reversed(rows):
            with contextlib.suppress(Explained, ValueError, LookupError, TypeError):
                said.append(getattr(body_from_json(self._codec.open_json(row.body, BODY, row.place)), "text", ""))
        return [words for words in said if words]

    async def handled_route(self, conversation_id: int, mid: str) -> str | None:
        """The route that the message `mid` took, None when it is unknown or unhandled."""
        value = await self._first(
            """
            SELECT (SELECT route FROM events
                    WHERE conversation_id = $1::bigint AND mid = $2::text AND disposition IS NOT NULL LIMIT 1)
            """,
            conversation_id,
            mid,
        )
        return None if value is None else str(value)

    async def waits(self, now: datetime) -> Waits:
        """How long people waited for a human in the last hour, and who waits still."""
        values = (now - timedelta(hours=1), now, _WAITS_READ, PRIORITY["thanks"], PRIORITY["emergency"])
        async with self._db.plain() as connection:
            (row,) = await connection.rows(handoffs.WAITS, values)
        whole = max(len(row.answered), len(row.waiting), len(row.ended)) < _WAITS_READ
        return Waits(row.answered, (*row.waiting, *row.ended), row.late, whole)

    async def renew(self, held: Collection[Conversation], lease: timedelta) -> set[int]:
        """Lengthen these leases; returns the ids of those that last on. The others were lost, or somebody is writing to them
        at this moment: nobody's lease runs out while another's row is waited for."""
        async with self._db.plain() as connection:
            done = await connection.rows(_RENEW, ([one.id for one in held], [one.lease for one in held], lease))
        return {row.id for row in done}

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
                    UPDATE conversations SET lease_until = NULL, due_at = :due, attempts = least(:attempts, 32000),
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
            self._due_again(due)
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
        less = _less(finish)
        while True:
            try:
                return await self._finish(conversation, finish, now)
            except DBAPIError as error:
                if not less or fault_of(error) not in (Fault.DEFECT, Fault.SETUP):
                    raise
                what, finish = less.pop(0)
                log.error("conversation %s: %s not kept: %s", conversation.id, what, told(error))

    async def _finish(self, conversation: Conversation, finish: Finish, now: datetime) -> None:
        outcome = Outcome(conversation, finish, now, self._codec)
        notes: list[Note] = [(CONSOLE, str(conversation.id))]
        conversation = await self._numbered(conversation, outcome)
        if outcome.alone and len(self._codec.parts) == 1 and await self._alone(conversation, outcome):
            if outcome.handoff is not None:
                notes.append(
                    (CONSOLE, news.token("handoff", pressing(outcome.handoff.category, outcome.handoff.reason)))
                )  # open pages may ring
        else:
            await self._with_the_rest(conversation, finish, outcome, now)
        if outcome.says:
            notes.append((OUTBOX, ""))
        if outcome.for_trainers:
            notes.append((CONSOLE, TOPIC))
        self._db.tell(notes)

    async def _numbered(self, conversation: Conversation, outcome: Outcome) -> Conversation:
        """With a number for every row that the turn writes; asked for where the claim brought too few."""
        numbers, handoff = conversation.numbers, conversation.handoff_number
        if len(numbers) < outcome.says:
            numbers = tuple(await self._first(_NUMBERS, "outbox_id_seq", outcome.says))
        if handoff is None and outcome.handoff is not None:
            (handoff,) = await self._first(_NUMBERS, "handoffs_id_seq", 1)
        return replace(conversation, numbers=numbers, handoff_number=handoff)

    async def _alone(self, conversation: Conversation, outcome: Outcome) -> bool:
        """Write what most turns are in one statement; False: nothing was written, a hand-off is open or the lease was lost."""
        statement = outcome.statement(alone=True)
        values = outcome.values((self._codec,), conversation.numbers, conversation.handoff_number)
        try:
            async with self._db.plain() as connection:
                done = await connection.rows(statement.plain, [values[name] for name in statement.names])
        except IntegrityError:  # a hand-off was opened at the same moment
            return False
        if done:
            self._due_again(done[0].due_at)
        return bool(done)

    async def _with_the_rest(self, conversation: Conversation, finish: Finish, outcome: Outcome, now: datetime) -> None:
        """The same statement, and what a hand-off, a danger, a tap or a snooze asks for, in one transaction."""
        async with self._db.begin() as connection:
            if finish.thumbs:
                await self._hold(connection, conversation)
                for answer in finish.thumbs:
                    await answered(connection, self._codec, conversation.id, answer, finish.thanks, now)
                # The thanks leave first: what the claim brought are earlier numbers.
                numbers = tuple(await places.numbers(connection, "outbox", outcome.says))
                conversation = replace(conversation, numbers=numbers)
            codecs = await search.writers(connection, self._codec)
            values = outcome.values(codecs, conversation.numbers, conversation.handoff_number)
            done = (await connection.execute(outcome.statement(alone=False).text, values)).first()
            if done is None:
                raise LeaseLost(f"conversation {conversation.id}")
            self._due_again(done.due_at)
            if finish.emergency is not None:
                spare = conversation.numbers[outcome.says :]
                await self._emergency(connection, conversation, finish.emergency, finish.handoff_before, now, spare)
            if outcome.handoff is not None:
                new = replace(outcome.handoff, number=conversation.handoff_number)
                before = [await alarms.ahead(connection, conversation.id) for _ in finish.likely]
                number, _ = await handoffs.open_(connection, self._codec, new, now)
                for one, was in zip(finish.likely, before, strict=True):
                    await alarms.keep(
                        connection, self._codec, conversation.id, one.detection, was, number, one.events, now
                    )
            elif finish.handoff_slots:
                await handoffs.add_slots(connection, self._codec, conversation.id, finish.handoff_slots)
            if not outcome.reads:
                await readings.keep(connection, self._codec, finish.readings, now)
            if finish.handoff is None:  # which wakes what was put off
                await snoozes.look(connection, conversation.id, now)

    async def _hold(self, connection: AsyncConnection, conversation: Conversation) -> None:
        """Lock the conversation before anything of it changes. Raises LeaseLost."""
        held = await connection.scalar(
            text("""
                SELECT 1 FROM conversations WHERE id = :id AND lease = :lease AND owner_version = :version FOR UPDATE
            """),
            {"id": conversation.id, "lease": conversation.lease, "version": conversation.owner_version},
        )
        if not held:
            raise LeaseLost(f"conversation {conversation.id}")

    async def _emergency(
        self,
        connection: AsyncConnection,
        conversation: Conversation,
        emergency: Emergency,
        before: Mapping[str, str],
        now: datetime,
        spare: Sequence[int],
    ) -> None:
        """`spare`: numbers of the outbox that nothing of the turn uses."""
        handoff = conversation.handoff_number
        reply = await emergencies.carry_out(
            connection,
            self._codec,
            conversation.id,
            emergency.plan,
            emergency.detection,
            now,
            emergency.slots,
            before,
            numbers=(spare[0], handoff) if spare and handoff is not None else None,
            events=emergency.events,
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


def _less(finish: Finish) -> list[tuple[str, Finish]]:
    """What to write instead where the database refuses it, or a part of it is not set up, and what is left out then: what trainers
    look at must never cost a person's reply, nor what else happened in a turn the reply to a danger."""
    less = [("reading", replace(finish, readings=()))] if finish.readings else []
    if finish.likely:
        less.append(("alarm", replace(finish, readings=(), likely=())))
    if finish.emergency is not None:
        bare = replace(finish.emergency, understanding=None, slots={})
        settled = tuple(replace(one, understanding=None, reply=None) for one in finish.settlements)
        rest = Finish(
            settled, finish.waiting, emergency=bare, next_due=finish.next_due, next_priority=finish.next_priority
        )
        less.append(("all but the emergency", rest))
    return less


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
