"""Taking webhooks in: raw body, events, conversations and emergencies in one transaction.

What concerns no dialogue (reads, deliveries, reactions …) is settled here at once; messages, postbacks, edits and
echoes that we do not recognise are left to the workers, with the conversation's due time set.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.clean import for_understanding
from bot.core.errors import Unstorable
from bot.core.messages import (
    Channel,
    Delivery,
    Echo,
    Edit,
    Event,
    Message,
    PolicyEnforcement,
    Postback,
    Reaction,
    Read,
    ThreadControl,
    Unknown,
    Unsend,
    body_from_json,
)
from bot.core.trace import Trace, about, of_event
from bot.policy import emergency_taps
from bot.policy.emergency import TOO_OLD, Detection, joined
from bot.policy.fields import fields
from bot.policy.route import shows_something
from bot.policy.told import known
from bot.store import (
    alarms,
    caught,
    emergencies,
    erased,
    handoffs,
    intake,
    meta_flow,
    places,
    raw_bodies,
    search,
    snoozes,
    unstorable,
)
from bot.store.batches import Batches
from bot.store.codec import Codec
from bot.store.conversations import BODY, STATE
from bot.store.db import CONSOLE, DUE, Database, notify
from bot.store.faults import Fault, fault_of, given_twice, sqlstate, told
from bot.store.together import Sent, Together, named, rows, together
from bot.store.withdrawal import withdraw

log = logging.getLogger(__name__)

RAW = "deliveries.raw"
JOIN_WITHIN = timedelta(minutes=3)  # a danger told in several messages is read together
_JOIN_LAST = 4
BATCH = 50  # webhooks a transaction, at most
TRIES = 6  # of one transaction whose numbers others have, or that met a message that came before
_NOTED_EVERY = timedelta(seconds=10)  # that webhooks come
_LATE = timedelta(minutes=10)  # what was caught up with after so long comes after people who write now

_OURS = "42"  # class of SQL states: a statement that is wrong in itself, whatever is stored with it

Item = tuple[Event, Detection | None]
_Left = tuple[Item, Exception]  # what was not stored, and why


@dataclass(frozen=True)
class InboxRules:
    """What taking in depends on. `accounts`: the ids that are ours (empty: all). `app_id`: our own, for echoes."""

    accounts: frozenset[str]
    app_id: str | None
    debounce: timedelta
    triage: Callable[[str], Detection | None]
    plan: emergencies.EmergencyPlanner
    echo_of: Callable[[str], tuple[int, int] | None]  # signed metadata → (outbox id, part)
    ours: caught.Ours = lambda words: None  # asked while catching up only
    suspect: Callable[[str], bool] = lambda words: False  # a trace of danger: the engine is to look at it before others
    # (a tap under an emergency reply, its time, now, the conversation as it stands, whether it was caught up with) → what is said
    tapped: Callable[[str, datetime, datetime, emergencies.Seen, bool], emergencies.EmergencyPlan | None] = lambda *_: (
        None
    )
    gather: timedelta = timedelta(0)  # how long a webhook waits for others to be stored with, while many come


@dataclass
class _Taken:
    """An event that was stored now (not a duplicate)."""

    id: int
    event: Event
    detection: Detection | None
    conversation: Any  # a row of CONVERSATIONS, or None


@dataclass(frozen=True)
class _Delivered:
    """A webhook to store."""

    raw: bytes
    items: tuple[Item, ...]
    received_at: datetime
    answered: frozenset[str]


Conversations = Mapping[intake.Where, Any]


@dataclass(frozen=True)
class _Locked:
    """The conversations of a batch, under lock until the transaction ends; the rows of its webhooks, if they were to be
    written; what of it was erased on a person's request. `set_`: new conversations whose due time stands already; `more`: numbers
    for webhooks to come, ours once the transaction is committed."""

    conversations: Conversations
    deliveries: list[int]
    gone: set[erased.Key]
    set_: frozenset[int]
    more: list[int]


@dataclass(frozen=True)
class _Before:
    """What these conversations held that concerns a batch. `words`: conversation → (event, time, text), oldest first, the
    batch's own included."""

    twins: Sequence[caught.Twin] = ()
    withdrawn: Set[tuple[int, str]] = frozenset()
    snoozed: Set[int] = frozenset()
    words: Mapping[int, list[tuple[int, datetime, str]]] = field(default_factory=dict)


@dataclass
class _Writing:
    """What is left to write at the end, all at once."""

    ignored: dict[int, str] = field(default_factory=dict)
    marks: list[tuple[int, Read | Delivery, datetime]] = field(default_factory=list)
    seen: dict[int, datetime] = field(default_factory=dict)
    speaks: dict[int, datetime] = field(default_factory=dict)
    own: list[tuple[int, int, str]] = field(default_factory=list)  # echoes of ours: (outbox id, part, mid)
    echoes: set[int] = field(default_factory=set)
    suspects: set[int] = field(default_factory=set)
    late: set[int] = field(default_factory=set)
    documents: list[search.Document | None] = field(default_factory=list)
    written: set[int] = field(default_factory=set)  # of those ignored


# A webhook that comes again after its author withdrew it.
_WITHDRAWN_RAW = text("""
    DELETE FROM deliveries WHERE id IN (
        SELECT i.delivery
        FROM unnest(CAST(:platforms AS text[]), CAST(:accounts AS text[]), CAST(:keys AS text[]),
                    CAST(:deliveries AS bigint[])) AS i(platform, account, key, delivery)
        JOIN events e ON e.platform = i.platform AND e.account = i.account AND e.key = i.key AND e.kind <> 'unsend'
        JOIN events u ON u.conversation_id = e.conversation_id AND u.kind = 'unsend' AND u.target IN (e.mid, e.target))
""")
# After a failover to a server that knew less, the sequence stands before what is stored.
_PASS = text("""
    SELECT count(nextval('deliveries_id_seq')) FROM generate_series(1, least(100000,
        (SELECT coalesce(max(id), 0) FROM deliveries) - coalesce(pg_sequence_last_value('deliveries_id_seq'), 0)))
""")
_AGAIN_COLUMNS = ("platforms", "accounts", "keys", "deliveries")
_AGAIN = text("""
    UPDATE events e SET again = coalesce(e.again, '{}') || i.deliveries
    FROM (SELECT platform, account, key, array_agg(delivery) AS deliveries
          FROM unnest(CAST(:platforms AS text[]), CAST(:accounts AS text[]), CAST(:keys AS text[]),
                      CAST(:deliveries AS bigint[])) AS u(platform, account, key, delivery) GROUP BY 1, 2, 3) i
    WHERE e.platform = i.platform AND e.account = i.account AND e.key = i.key
""")


class Inbox:
    """The gateway's side of the store."""

    def __init__(self, database: Database, codec: Codec, rules: InboxRules) -> None:
        self._db = database
        self._codec = codec
        self._rules = rules
        self._batches: Batches[_Delivered] = Batches(self._take, BATCH, rules.gather.total_seconds(), _people)
        self._noted: dict[str, datetime] = {}
        self._numbers: deque[int] = deque()  # for webhooks to come
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(
        self, raw: bytes, items: Sequence[Item], received_at: datetime, answered: Set[str] = frozenset()
    ) -> None:
        """Store a verified webhook. `answered`: keys whose emergency reply left already, while the database was away.

        Webhooks that come at once are stored together: the busier it is, the more share one transaction. Those that tell of a
        danger wait for nobody. Duplicates (same platform, account and key) change nothing. Raises what the database raises, with
        nothing kept; Unstorable where others were stored, or where it refuses single events for good: those are kept as failed,
        if they can be, all others as usual.
        """
        stuck = await self._apart(_Delivered(raw, tuple(items), received_at, frozenset(answered)))
        if stuck and len(stuck) == len(items):
            _no_events_own(stuck)
        self._note(items, received_at)
        if stuck:
            kept = [await self._failed(item, error, received_at) for item, error in self._read_together(stuck)]
            raise Unstorable([event.key for (event, _), _ in stuck], told(stuck[0][1]), all(kept))

    async def _apart(self, one: _Delivered, whole: bool = True) -> list[_Left]:
        """Store a webhook, in halves where it can never be stored as a whole; what is left over, and why. Once it is in halves
        (`whole` False), another may be stored already: whatever stops this one is told so, and not raised."""
        try:
            await self._batches.add(one, urgent=any(detection is not None for _, detection in one.items))
        except Exception as error:
            if whole and (not _refused(error) or not one.items):
                raise
            if len(one.items) == 1 or not _refused(error):
                return [(item, error) for item in one.items]
        else:
            return []
        return [left for half in _halves(one) for left in await self._apart(half, whole=False)]

    def _read_together(self, stuck: Sequence[_Left]) -> list[_Left]:
        """A danger that is told only by several of them together stands on each of that person's."""
        said: dict[intake.Where, list[str]] = {}
        for (event, _), _ in sorted(stuck, key=lambda left: left[0][0].at):
            if isinstance(event.body, Message) and event.body.text:
                said.setdefault(intake.where_of(event), []).append(for_understanding(event.body.text))
        found = {where: self._rules.triage(" ".join(words)) for where, words in said.items() if len(words) > 1}
        return [((event, detection or found.get(intake.where_of(event))), error) for (event, detection), error in stuck]

    async def _failed(self, item: Item, error: Exception, now: datetime) -> bool:
        """Keep an event as failed; False where that did not succeed, or waiting may yet help."""
        if not _refused(error):
            return False
        event, detection = item
        try:
            await unstorable.keep(
                self._db, self._codec, event, self._talks(event), sqlstate(error), now, detection=detection
            )
        except Exception as again:
            # The neighbours are stored: whoever is told that nothing was would answer them again.
            log.error("an event that cannot be stored is not kept as failed either: %s", told(again))
            return False
        return True

    async def catch_up(
        self, raw: bytes, items: Sequence[Item], listed: Sequence[str], now: datetime, simulate: bool = False
    ) -> list[Item]:
        """Take in what the Conversations API tells and no webhook brought; returns what was new.

        `raw`: the body that a webhook would have had; `listed`: every message id that Meta named, these or others.
        `simulate`: say what would be new, and keep nothing. What the page answered without the database knowing of it
        becomes history: it is read by agents, and answered by nobody. What the database refuses for good is kept as failed, as of
        webhooks: the walk goes on.
        """
        try:
            try:
                return await self._catch_up(raw, items, listed, now, simulate)
            except IntegrityError as error:
                if not given_twice(error):
                    raise
                await self._other_numbers()
                return await self._catch_up(raw, items, listed, now, simulate)
        except DBAPIError as error:
            if not _refused(error) or simulate or not items:
                raise
            if len(items) > 1:
                return [new for one in items for new in await self.catch_up(raw, [one], listed, now)]
            log.error("a message that was caught up with is kept as failed: %s", told(error))
            event, detection = items[0]
            await unstorable.keep(
                self._db, self._codec, event, self._talks(event), sqlstate(error), now, detection=detection
            )
            return []

    async def _catch_up(
        self, raw: bytes, items: Sequence[Item], listed: Sequence[str], now: datetime, simulate: bool
    ) -> list[Item]:
        events = [event for event, _ in items]
        async with self._db.begin() as connection:
            locked = await self._lock(connection, events, now, late=True)
            if locked.gone:
                await connection.rollback()
            else:
                where = locked.conversations
                unseen = await caught.unseen(connection, self._codec, items, where, listed, self._rules.ours)
                fresh = unseen.items
                if simulate or not fresh:
                    await connection.rollback()
                    return fresh
                one = _Delivered(raw, tuple(fresh), now, frozenset())
                numbers = await self._taken_numbers(connection, 1)
                async with together(connection) as sending:
                    sent = await self._send_deliveries(sending, [one], numbers)
                ids = [row.id for row in await rows(sent)]
                taken, before = await self._store(connection, [(ids[0], one)], where, late=True)
                known_ = [(t.id, t.conversation.id, t.event.at) for t in taken if t.conversation is not None]
                await caught.remember(connection, known_)
                writing = await self._settle(connection, taken, now, before, late=unseen)
                await self._write(connection, writing, now)
                return fresh
        less = _without(_Delivered(raw, tuple(items), now, frozenset()), locked.gone)
        return await self._catch_up(less.raw, less.items, listed, now, simulate) if less.items else []

    def _note(self, items: Sequence[Item], now: datetime) -> None:
        """That webhooks of these accounts come: now and then, and without an answer to Meta waiting for it."""
        platforms = {event.account: event.platform.value for event, _ in items if self._ours(event) and event.person}
        due = {a: p for a, p in platforms.items() if (last := self._noted.get(a)) is None or now - last > _NOTED_EVERY}
        if due:
            self._noted.update(dict.fromkeys(due, now))
            task = asyncio.create_task(self._arrived(due, now))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _arrived(self, platforms: Mapping[str, str], now: datetime) -> None:
        try:
            async with self._db.begin() as connection:
                await meta_flow.arrived(connection, platforms, now)
        except Exception as error:  # whatever ails the database: the next note comes in ten seconds
            log.warning("arrival not noted: %s", type(error).__name__)

    async def _take(self, delivered: Sequence[_Delivered]) -> None:
        short = True
        for tried in range(1, TRIES + 1):
            try:
                await self._take_in(delivered, short)
                return
            except IntegrityError as error:
                if tried == TRIES:
                    raise
                if given_twice(error):
                    await self._other_numbers()
                elif short:  # it met a message that came in another's name before, and kept nothing
                    short = False
                else:
                    raise

    async def _other_numbers(self) -> None:
        """A crash of PostgreSQL, or a failover, may hand out again what stands in stock here."""
        self._numbers.clear()
        async with self._db.begin() as connection:
            await connection.execute(_PASS)

    async def _take_in(self, delivered: Sequence[_Delivered], short: bool = True) -> None:
        now = max(one.received_at for one in delivered)
        events = [event for one in delivered for event, _ in one.items]
        async with self._db.begin() as connection:
            locked = await self._lock(connection, events, now, delivered)
            if locked.gone:
                await connection.rollback()
            else:
                stored = list(zip(locked.deliveries, delivered, strict=True))
                if short and self._plain(delivered, locked.conversations):
                    await self._store_plain(connection, stored, locked.conversations)
                else:
                    taken, before = await self._store(connection, stored, locked.conversations)
                    answered = frozenset(key for one in delivered for key in one.answered)
                    writing = await self._settle(connection, taken, now, before, answered)
                    for number in locked.set_:
                        writing.speaks.pop(number, None)
                    await self._write(connection, writing, now, commit=True)
        if locked.gone:
            await self._take_in([_without(one, locked.gone) for one in delivered], short)
        else:
            self._numbers.extend(locked.more)

    async def _lock(
        self,
        connection: AsyncConnection,
        events: Sequence[Event],
        now: datetime,
        delivered: Sequence[_Delivered] = (),
        late: bool = False,
    ) -> _Locked:
        """Create or lock the conversations of these events, in one order so that two gateways never wait in a circle; then
        ask, under these locks, what was erased. The caller begins anew without that: not even a person's id is to stay.

        `delivered`: webhooks to write with it. `late`: caught up with.
        """
        talks = (event for event in events if event.person and self._talks(event))
        opened = intake.openings(talks, now + self._rules.debounce, self._rules.suspect)
        if late:  # when it is due depends on what was answered already
            opened = dict.fromkeys(opened, intake.LATER)
        question = await erased.ask(connection, self._codec, events, late)
        deliveries = conversations = standing = more = None
        numbers = await self._taken_numbers(connection, len(delivered))
        async with together(connection) as sending:
            if delivered and len(self._numbers) < BATCH:
                more = await sending.send(intake.NUMBERS, {"count": 2 * BATCH})
            if delivered:
                deliveries = await self._send_deliveries(sending, delivered, numbers)
            if opened:
                conversations = await sending.send(intake.CONVERSATIONS, intake.conversation_values(opened))
            if question.wanted:
                standing = await sending.send(erased.STANDING, {"prints": question.wanted, "now": now})
        found = {(row.platform, row.account, row.person): row for row in await rows(conversations)}
        strangers = {where for where, row in found.items() if row.fresh}
        return _Locked(
            found,
            sorted(row.id for row in await rows(deliveries)),
            question.gone({row.print: row.at for row in await rows(standing)}, strangers),
            frozenset(found[where].id for where in strangers if opened[where].due is not None),
            [row.id for row in await rows(more)],
        )

    async def _taken_numbers(self, connection: AsyncConnection, count: int) -> list[int]:
        """For the rows of so many webhooks, in order: they are sealed for their rows. There are some in stock, fetched along with
        what was written before, so that no webhook waits for them."""
        if len(self._numbers) < count:
            return await places.numbers(connection, "deliveries", count)
        return sorted(self._numbers.popleft() for _ in range(count))

    async def _send_deliveries(
        self, sending: Together, delivered: Sequence[_Delivered], numbers: Sequence[int]
    ) -> Sent:
        raws = [self._codec.seal(one.raw, RAW, number) for number, one in zip(numbers, delivered, strict=True)]
        ats = [one.received_at for one in delivered]
        return await sending.send(intake.DELIVERIES, {"ids": list(numbers), "ats": ats, "raws": raws})

    async def tell(self, marks: Sequence[erased.Answered], now: datetime) -> None:
        """Open the hand-offs of emergencies that were answered without the database and that never came again.

        May be called twice with the same marks: an open hand-off is only raised.
        """
        async with self._db.begin() as connection:
            for mark in sorted(marks, key=lambda m: (m.platform.value, m.account, m.person)):
                row = (
                    await connection.execute(
                        text("""
                            INSERT INTO conversations AS c (platform, account, person, last_person_at)
                            VALUES (:platform, :account, :person, :at)
                            ON CONFLICT (platform, account, person)
                            DO UPDATE SET last_person_at = greatest(c.last_person_at, :at) RETURNING id, owner, state
                        """),
                        {
                            "platform": mark.platform.value,
                            "account": mark.account,
                            "person": mark.person,
                            "at": mark.answered,
                        },
                    )
                ).one()
                before = {} if row.owner == "closed" else self._told(row.id, row.state, now)
                await handoffs.open_(
                    connection,
                    self._codec,
                    handoffs.NewHandoff(row.id, "emergency", "emergency_unseen", "danger_immediat", before=before),
                    now,
                )
                await connection.execute(
                    text("UPDATE conversations SET emergency_at = greatest(emergency_at, :at) WHERE id = :id"),
                    {"id": row.id, "at": mark.answered},
                )

    def _talks(self, event: Event) -> bool:
        """Whether an event belongs to a conversation of ours (the dashboard's Test button does not)."""
        return self._ours(event) and event.channel is not Channel.CHANGES

    def _ours(self, event: Event) -> bool:
        return not self._rules.accounts or event.account in self._rules.accounts

    def _plain(self, delivered: Sequence[_Delivered], conversations: Conversations) -> bool:
        """Ordinary messages of people who write for the first time, as most are in a crisis: nothing of before concerns them."""
        return (
            bool(conversations)
            and all(row.fresh for row in conversations.values())
            and all(detection is None for one in delivered for _, detection in one.items)
            and all(intake.where_of(event) in conversations for one in delivered for event, _ in one.items)
            and intake.plain(event for one in delivered for event, _ in one.items)
            and not any(one.answered for one in delivered)
            and len(self._codec.parts) == 1
        )

    async def _store_plain(
        self, connection: AsyncConnection, delivered: Sequence[tuple[int, _Delivered]], conversations: Conversations
    ) -> None:
        """Their conversations are due already; what is left is their words, and the end. Raises IntegrityError, with nothing
        kept, where one of them was stored before: a raw body that comes again is noted in the same transaction, or not at all.
        """
        news = self._unique(delivered, conversations)
        values: dict[str, Any] = intake.event_values((new for new, _ in news.values()), self._codec)
        documents = (search.of_event(0, 0, new.event.at, new.event.body) for new, _ in news.values())
        found = [None if one is None else search.tokens((self._codec,), one) for one in documents]
        values["tokens"] = [search.literal(some) if some else None for some in found]
        async with together(connection) as sending:
            await sending.send(intake.EVENTS_FOUND, values)
            await sending.commit()
        await self._tell_of(connection, [row.id for row in conversations.values()])

    def _unique(
        self, delivered: Sequence[tuple[int, _Delivered]], conversations: Conversations
    ) -> dict[intake.Key, tuple[intake.New, Detection | None]]:
        """The events of webhooks, each once."""
        found: dict[intake.Key, tuple[intake.New, Detection | None]] = {}
        for delivery, one in delivered:
            for event, detection in one.items:
                conversation = conversations.get(intake.where_of(event))
                number = None if conversation is None else conversation.id
                new = intake.New(event, delivery, number, one.received_at)
                found.setdefault(intake.key_of(event), (new, detection))
        return found

    async def _store(
        self,
        connection: AsyncConnection,
        delivered: Sequence[tuple[int, _Delivered]],
        conversations: Conversations,
        late: bool = False,
    ) -> tuple[list[_Taken], _Before]:
        """Store the events, and find out what of before concerns them."""
        unique = self._unique(delivered, conversations)
        if not unique:
            return [], _Before()
        news = [new for new, _ in unique.values()]
        values = intake.event_values(news, self._codec)
        fresh = {row.id for row in conversations.values() if row.fresh}
        mids = {key: mid for key, (new, _) in unique.items() if (mid := _message_id(new.event)) is not None}
        asked = intake.earlier(news, fresh, mids, JOIN_WITHIN)
        twins = withdrawn = snoozed = words = None
        async with together(connection) as sending:
            stored = await sending.send(intake.EVENTS, values)
            if asked is not None:
                there = {"ids": asked.ids, "first": asked.first, "last": asked.last}
                twins = None if late else await sending.send(caught.TWINS, there)
                wanted = {"ids": [w[0] for w in asked.wanted], "mids": [w[1] for w in asked.wanted]}
                withdrawn = await sending.send(intake.WITHDRAWN, wanted) if asked.wanted else None
                snoozed = await sending.send(intake.SNOOZED, {"ids": asked.ids})
                if asked.since is not None:
                    words = await sending.send(intake.RECENT, {"ids": asked.ids, "since": asked.since})
        new_rows = await rows(stored)
        await self._came_again(
            connection, delivered, {(row.platform, row.account, row.key): row.id for row in new_rows}
        )
        taken = []
        for row in new_rows:
            new, detection = unique[(row.platform, row.account, row.key)]
            taken.append(_Taken(row.id, new.event, detection, conversations.get(intake.where_of(new.event))))
        before = _Before(
            [one for row in await rows(twins) if (one := caught.twin(self._codec, row)) is not None],
            {(row.conversation_id, row.target) for row in await rows(withdrawn)},
            {row.conversation_id for row in await rows(snoozed)},
            self._words(await rows(words)),
        )
        return sorted(taken, key=lambda t: (t.event.at, t.id)), before

    def _words(self, found: Sequence[Any]) -> dict[int, list[tuple[int, datetime, str]]]:
        """Of the rows of RECENT."""
        words: dict[int, list[tuple[int, datetime, str]]] = {}
        for row in found:
            said = self._codec.readable_json(row.body, BODY, row.place)
            if said is None:  # what cannot be read holds nothing up, least of all a danger
                continue
            body = body_from_json(said)
            if _tap(body) is not None:
                continue  # its title is ours
            words.setdefault(row.conversation_id, []).append((row.id, row.at, getattr(body, "text", "")))
        return words

    async def _came_again(
        self,
        connection: AsyncConnection,
        delivered: Sequence[tuple[int, _Delivered]],
        new: Mapping[tuple[str, str, str], int],
    ) -> None:
        """Note on events which further webhooks brought them: those hold the words as well, when they are to be erased."""
        seen, again = set(), []
        for delivery, one in delivered:
            for event, _ in one.items:
                key = (event.platform.value, event.account, event.key)
                if key not in new or key in seen:
                    again.append((*key, delivery))
                seen.add(key)
        if again:
            values = dict(zip(_AGAIN_COLUMNS, map(list, zip(*again, strict=True)), strict=True))
            await connection.execute(_AGAIN, values)
            await connection.execute(_WITHDRAWN_RAW, values)

    async def _settle(
        self,
        connection: AsyncConnection,
        taken: Sequence[_Taken],
        now: datetime,
        before: _Before,
        answered: Set[str] = frozenset(),
        late: caught.Unseen | None = None,
    ) -> _Writing:
        """Carry out what cannot wait for a worker; returns what is left to write. `late`: these were caught up with."""
        writing = _Writing()
        idle = await self._idle(connection, taken, now, before, late is not None)
        for one in taken:
            await self._read_anew(connection, one)
            reason = idle.get(one.id) or await self._aside(connection, one, before.withdrawn, now, writing)
            if reason is not None:
                writing.ignored[one.id] = reason
        rest = [one for one in taken if one.id not in writing.ignored and one.conversation is not None]
        if not rest:
            return writing
        before = await self._after_ignoring(connection, rest, writing, before, now)
        await self._returned(connection, rest)
        by_us = {} if late is None else late.answered
        past = {one.id: by_us[one.event.key] for one in rest if one.event.key in by_us}
        await self._emergencies(connection, rest, now, answered, past, before.words)
        if late is not None and past:
            await self._history(connection, [one for one in rest if one.id in past], late.waiting, now)
        await self._due(connection, [one for one in rest if one.id not in past], now, before, writing, late is not None)
        writing.documents = [search.of_event(t.id, t.conversation.id, t.event.at, t.event.body) for t in rest]
        return writing

    async def _after_ignoring(
        self, connection: AsyncConnection, rest: Sequence[_Taken], writing: _Writing, before: _Before, now: datetime
    ) -> _Before:
        """What was just set aside is no word that is read together with others, nor waits for anybody."""
        if not writing.ignored:
            return before
        words = None
        spoken = [one.event.at for one in rest if isinstance(one.event.body, (Message, Edit, Postback))]
        async with together(connection) as sending:
            await _send_ignored(sending, writing, now)
            if before.words and spoken:
                ids, since = list({one.conversation.id for one in rest}), min(spoken) - JOIN_WITHIN
                words = await sending.send(intake.RECENT, {"ids": ids, "since": since})
        return replace(before, words=self._words(await rows(words)))

    async def _write(self, connection: AsyncConnection, writing: _Writing, now: datetime, commit: bool = False) -> None:
        """Write what is left. `commit`: the transaction ends with it."""
        documents = search.columns(await search.writers(connection, self._codec), writing.documents)
        async with together(connection) as sending:
            await _send_ignored(sending, writing, now)
            for row, part, mid in sorted(writing.own):  # as `bot.store.receipts` locks them
                await sending.send(_OWN_ECHO, {"id": row, "part": str(part), "mid": mid})
            for conversation, body, at in writing.marks:
                await _send_mark(sending, conversation, body, at)
            if writing.seen:
                await sending.send(intake.SEEN, _pairs(writing.seen))
            if writing.speaks:
                due = {"now": now, "due": now + self._rules.debounce, "suspects": list(writing.suspects)}
                await sending.send(intake.DUE, _pairs(writing.speaks) | due)
            if writing.late:
                await sending.send(intake.AFTER_OTHERS, {"ids": list(writing.late)})
            if writing.echoes:
                await sending.send(intake.DUE_NOW, {"ids": list(writing.echoes), "now": now})
            if documents["refs"]:
                await sending.send(search.INDEX, documents)
            if commit:
                await sending.commit()

    async def _tell_of(self, connection: AsyncConnection, conversations: Collection[int]) -> None:
        """Wake the workers, and the pages that show these conversations."""
        await notify(connection, DUE)
        for number in conversations if len(conversations) <= 20 else ():
            await notify(connection, CONSOLE, str(number))

    async def _idle(
        self, connection: AsyncConnection, taken: Sequence[_Taken], now: datetime, before: _Before, late: bool
    ) -> dict[int, str]:
        """Why an event changes nothing: `twin`, it came by the Conversations API before; `history`, caught up too late."""
        known_ = [(t.id, t.conversation.id, t.event) for t in taken if t.conversation is not None]
        if late:
            return dict.fromkeys(await caught.old_echoes(connection, known_, now), caught.HISTORY)
        return dict.fromkeys(await caught.twins(connection, self._codec, known_, before.twins), caught.TWIN)

    async def _history(
        self, connection: AsyncConnection, past: Sequence[_Taken], waiting: Mapping[int, str], now: datetime
    ) -> None:
        """The page answered these, and the database does not know how (it was restored, or a human did it elsewhere):
        agents read them, nobody is answered twice. What our answers promised an agent for waits for one again."""
        newest: dict[int, datetime] = {}
        slots: dict[int, dict[str, str]] = {}
        for one in past:
            assert one.conversation is not None
            newest[one.conversation.id] = one.event.at  # in order of time
            slots.setdefault(one.conversation.id, {}).update(fields(getattr(one.event.body, "text", "")))
        await connection.execute(
            text("""
                UPDATE events SET disposition = 'ignored', reason = :reason, settled_at = :now
                WHERE id = ANY(:ids) AND disposition IS NULL
            """),
            {"ids": [one.id for one in past], "reason": caught.HISTORY, "now": now},
        )
        await connection.execute(_SEEN, _pairs(newest))
        for number, at in newest.items():
            if number in waiting:
                old = waiting[number] == "emergency" and now - at > TOO_OLD
                request = handoffs.NewHandoff(number, waiting[number], caught.UNTRACED, old=old, slots=slots[number])
                await handoffs.open_(connection, self._codec, request, now)
            await notify(connection, CONSOLE, str(number))

    # -- what concerns no dialogue -------------------------------------------------------------------------------

    async def _aside(
        self,
        connection: AsyncConnection,
        one: _Taken,
        withdrawn: Set[tuple[int, str]],
        now: datetime,
        writing: _Writing,
    ) -> str | None:
        """Carry out what needs no worker; returns the reason for which the event is ignored, or None: it is pending."""
        event, body = one.event, one.event.body
        if isinstance(body, PolicyEnforcement):
            await self._notice(connection, event.account, body)
            return "policy_enforcement"
        if event.channel is Channel.CHANGES:
            return "test_button" if not isinstance(body, Unknown) else f"unknown: {body.why}"[:200]
        if not self._ours(event):
            return "unknown_account"
        if one.conversation is None:
            return f"unknown: {body.why}"[:200] if isinstance(body, Unknown) else "no_person"
        conversation = one.conversation.id
        if isinstance(body, Echo):
            return self._own_echo(body, event.mid, writing)
        if isinstance(body, Unsend):
            await withdraw(connection, self._codec, conversation, body.target, now)
            return "unsend"
        if isinstance(body, ThreadControl):
            await self._thread(connection, conversation, body)
            return "thread_control"
        if isinstance(body, (Read, Delivery)):
            writing.marks.append((conversation, body, event.at))
            await notify(connection, CONSOLE, str(conversation))
            return event.kind
        if isinstance(body, (Message, Postback, Edit)):
            mid = _message_id(event)
            if mid is None or (conversation, mid) not in withdrawn:
                return None
            await withdraw(connection, self._codec, conversation, mid, now)
            return "unsent"
        if isinstance(body, Reaction):
            writing.seen[conversation] = event.at  # in order of time: the newest stays
        return f"unknown: {body.why}"[:200] if isinstance(body, Unknown) else event.kind

    async def _notice(self, connection: AsyncConnection, account: str, body: PolicyEnforcement) -> None:
        await connection.execute(
            text("""
                INSERT INTO accounts (account, notice) VALUES (:account, :notice)
                ON CONFLICT (account) DO UPDATE SET notice = :notice
            """),
            {
                "account": account,
                "notice": None if body.action == "unblock" else f"{body.action}: {body.reason}"[:500],
            },
        )

    def _own_echo(self, body: Echo, mid: str | None, writing: _Writing) -> str | None:
        named = self._rules.echo_of(body.metadata) if body.metadata else None
        if named is not None:
            writing.own.append((*named, mid or ""))
            return "own_echo"
        if body.app_id is not None and body.app_id == self._rules.app_id:
            return "own_echo"
        return None

    async def _read_anew(self, connection: AsyncConnection, one: _Taken) -> None:
        """A worker may be answering the very words that change now: it loses the conversation, which stays due."""
        body = one.event.body
        if one.conversation is None or not isinstance(body, (Unsend, Edit)):
            return
        await connection.execute(
            text("""
                UPDATE conversations SET lease = lease + 1, lease_until = NULL
                WHERE id = :id AND lease_until > clock_timestamp() AND EXISTS (
                    SELECT FROM events WHERE conversation_id = :id AND mid = :target AND disposition IS NULL)
            """),
            {"id": one.conversation.id, "target": body.target},
        )
        await notify(connection, DUE)

    async def _thread(self, connection: AsyncConnection, conversation: int, body: ThreadControl) -> None:
        """The thread came to us, or went to another app."""
        if body.action not in ("pass", "take"):
            return
        ours = self._rules.app_id is not None and body.new_owner == self._rules.app_id
        if self._rules.app_id is None:
            ours = body.action == "pass"  # Meta tells the app that receives the thread
        await connection.execute(
            text("""
                UPDATE conversations SET standby = NOT CAST(:ours AS boolean),
                    owner_version = owner_version
                        + CASE WHEN standby = CAST(:ours AS boolean) OR :ours AND owner = 'inbox' THEN 1 ELSE 0 END,
                    owner = CASE WHEN NOT (:ours AND owner = 'inbox') THEN owner
                                 WHEN category = 'none' THEN 'bot' ELSE 'waiting' END
                WHERE id = :id
            """),
            {"id": conversation, "ours": ours},
        )

    async def _returned(self, connection: AsyncConnection, rest: Sequence[_Taken]) -> None:
        """Words that reach us on our own channel after the last thread control: the thread is ours again.

        Meta says so when an app passes the thread, not when the other app's claim runs out after a day.
        """
        back: dict[int, datetime] = {}
        for one in rest:
            if one.conversation is None or not one.conversation.standby or one.event.standby:
                continue
            if isinstance(one.event.body, (Message, Postback)):
                back[one.conversation.id] = one.event.at  # in order of time: the newest stays
        if back:
            await connection.execute(
                text("""
                    UPDATE conversations c SET standby = false, owner_version = owner_version + 1
                    FROM unnest(CAST(:ids AS bigint[]), CAST(:ats AS timestamptz[])) AS i(id, at)
                    WHERE c.id = i.id AND c.standby AND NOT EXISTS (
                        SELECT FROM events e WHERE e.conversation_id = c.id AND e.kind = 'thread_control' AND e.at >= i.at)
                """),
                {"ids": list(back), "ats": list(back.values())},
            )

    async def answered_to_nobody(self, marks: Sequence[erased.M], now: datetime) -> set[erased.M]:
        """Those of these emergencies whose person was erased since: nothing of them is to be kept."""
        async with self._db.begin() as connection:
            return await erased.answered(connection, self._codec, marks, now)

    # -- emergencies ---------------------------------------------------------------------------------------------

    async def _emergencies(
        self,
        connection: AsyncConnection,
        rest: Sequence[_Taken],
        now: datetime,
        answered: Set[str],
        past: Mapping[int, bool],
        recent: Mapping[int, list[tuple[int, datetime, str]]],
    ) -> None:
        """`past`: ids of what was answered long since → whether a danger in it was: it waits for an agent, and no more;
        `recent`: the last texts of these conversations, oldest first, what was taken in now included."""
        own = {one.id for one in rest}
        for one in rest:
            if (tap := _tap(one.event.body)) is not None:
                await self._tapped(connection, one, tap, now, one.id in past)
            elif isinstance(one.event.body, (Message, Edit, Postback)):
                await self._emergency(connection, one, own, recent, now, one.event.key in answered, past.get(one.id))

    async def _emergency(
        self,
        connection: AsyncConnection,
        one: _Taken,
        own: Set[int],
        recent: Mapping[int, list[tuple[int, datetime, str]]],
        now: datetime,
        already_answered: bool,
        past: bool | None,
    ) -> None:
        assert one.conversation is not None
        words = getattr(one.event.body, "text", "")
        detection, read = one.detection, [one.id]
        if detection is None and words:
            detection, words, read = self._joined(one, recent.get(one.conversation.id, []), own, words)
        if past is not None and detection is None:
            return
        if past and detection is not None:
            await self._past_danger(connection, one, detection, words, read, now)
            lines = recent.get(one.conversation.id, [])  # what follows is not read together with it
            lines[:] = [line for line in lines if line[0] != one.id]
            return
        row = (
            (
                await connection.execute(
                    text("""
                    SELECT emergency_at, emergency_kind, emergency_script, emergency_short_at, last_agent_at, standby, state,
                        nextval('outbox_id_seq') AS number, nextval('handoffs_id_seq') AS handoff
                    FROM conversations WHERE id = :id
                """),
                    {"id": one.conversation.id},
                )
            ).one()
            if detection is not None or one.conversation.emergency_at is not None
            else None
        )
        if row is None:
            return
        plan = self._rules.plan(detection, words, one.event.at, now, emergencies.seen(row, one.event.standby))
        if plan is None:
            return
        with about(Trace(of_event(one.event), now)):
            reply = await emergencies.carry_out(
                connection,
                self._codec,
                one.conversation.id,
                plan,
                detection,
                now,
                slots=fields(words),
                before={} if one.conversation.owner == "closed" else self._told(one.conversation.id, row.state, now),
                already_answered=already_answered,
                numbers=(row.number, row.handoff),
                events=read,
                shows=shows_something(getattr(one.event.body, "attachments", ())),
            )
        if detection is None and reply is None:
            return  # a further message without a reply of its own: the worker passes it on
        replied = reply is not None or already_answered
        await connection.execute(
            text("""
                UPDATE events SET disposition = :disposition, reason = :reason, settled_at = :now, outbox_id = :outbox,
                    route = 'emergency'
                WHERE id = :id
            """),
            {
                "id": one.id,
                "disposition": "emergency" if replied else "handed_off",
                "reason": detection.by if detection else "follow_up",
                "now": now,
                "outbox": reply,
            },
        )

    async def _tapped(self, connection: AsyncConnection, one: _Taken, tap: str, now: datetime, late: bool) -> None:
        """Say what a tap under an emergency reply asks for, and no more, or open the hand-off where another app owns the thread;
        `late`: it was caught up with."""
        assert one.conversation is not None
        found = await connection.execute(
            text("""
                SELECT emergency_at, emergency_kind, emergency_script, emergency_short_at, last_agent_at, standby
                FROM conversations WHERE id = :id
            """),
            {"id": one.conversation.id},
        )
        plan = self._rules.tapped(tap, one.event.at, now, emergencies.seen(found.one(), one.event.standby), late)
        reply = None
        if plan is not None:
            with about(Trace(of_event(one.event), now)):
                reply = await emergencies.say(connection, self._codec, one.conversation.id, plan, now)
        await connection.execute(
            text("""
                UPDATE events SET disposition = :disposition, reason = :reason, settled_at = :now, outbox_id = :outbox
                WHERE id = :id
            """),
            {
                "id": one.id,
                "disposition": _tapped_as(plan, reply),
                "reason": emergency_taps.SETTLED,
                "now": now,
                "outbox": reply,
            },
        )

    def _joined(
        self, one: _Taken, lines: Sequence[tuple[int, datetime, str]], own: Set[int], words: str
    ) -> tuple[Detection | None, str, list[int]]:
        """What a text tells together with those before it; and, where what was said after it came first, with those as well: the
        danger, the words, and the events that they are of. `own`: what is taken in now, each of which is looked at for itself."""
        at = one.event.at
        later = [line[1] for line in lines if at < line[1] < at + JOIN_WITHIN and line[0] not in own]
        for end in (at, *later[: _JOIN_LAST - 1]):
            said = [line for line in lines if end - JOIN_WITHIN < line[1] <= end][-_JOIN_LAST:]
            if len(said) > 1 and (end == at or any(line[0] == one.id for line in said)):
                for together in joined([line[2] for line in said]):
                    detection = self._rules.triage(together)
                    if detection is not None:
                        return detection, together, [line[0] for line in said]
        return None, words, [one.id]

    async def _past_danger(
        self,
        connection: AsyncConnection,
        one: _Taken,
        detection: Detection,
        words: str,
        read: Sequence[int],
        now: datetime,
    ) -> None:
        assert one.conversation is not None
        old = now - one.event.at > TOO_OLD
        request = handoffs.NewHandoff(
            one.conversation.id, "emergency", caught.UNTRACED, detection.intent, old, slots=fields(words)
        )
        number = one.conversation.id
        before = await alarms.ahead(connection, number)
        handoff, _ = await handoffs.open_(connection, self._codec, request, now)
        await alarms.keep(connection, self._codec, number, detection, before, handoff, read, now)
        await connection.execute(
            text("""
                UPDATE events SET disposition = 'handed_off', reason = :by, settled_at = :now, route = 'emergency'
                WHERE id = :id
            """),
            {"id": one.id, "by": detection.by, "now": now},
        )

    def _told(self, conversation: int, state: Any, now: datetime) -> dict[str, str]:
        """What the person told before: a cry for help seldom says again where it is."""
        return known(self._codec.readable_json(state, STATE, conversation), now.timestamp())

    # -- due times -----------------------------------------------------------------------------------------------

    async def _due(
        self,
        connection: AsyncConnection,
        rest: Sequence[_Taken],
        now: datetime,
        before: _Before,
        writing: _Writing,
        late: bool,
    ) -> None:
        """Open the window, and say when each conversation is to be looked at: after the debounce, at most four resets."""
        if not rest:
            return
        speaks = writing.speaks
        for one in rest:
            if isinstance(one.event.body, Echo):
                writing.echoes.add(one.conversation.id)
            else:
                speaks[one.conversation.id] = max(one.event.at, speaks.get(one.conversation.id, one.event.at))
            if isinstance(one.event.body, (Message, Edit)) and self._rules.suspect(one.event.body.text):
                writing.suspects.add(one.conversation.id)
        snoozed = [number for number in speaks if number in before.snoozed]
        if snoozed:
            await snoozes.wake(connection, snoozed, now)
        if late:  # after people who write now, oldest first, as what waited for the morning
            writing.late = {
                one.conversation.id
                for one in rest
                if one.conversation.due_at is None and now - speaks.get(one.conversation.id, now) > _LATE
            }
        await self._tell_of(connection, speaks.keys() | writing.echoes)


def _tap(body: Any) -> str | None:
    """The tap under an emergency reply that it is, or None."""
    return emergency_taps.tap(body.quick_reply) if isinstance(body, Message) else None


def _tapped_as(plan: emergencies.EmergencyPlan | None, reply: int | None) -> str:
    """The disposition of such a tap."""
    if reply is not None:
        return "answered"
    return "handed_off" if plan is not None and plan.handoff else "ignored"


def _refused(error: Exception) -> bool:
    """Whether what was asked can never succeed."""
    return isinstance(error, DBAPIError) and fault_of(error) is Fault.DEFECT


def _no_events_own(stuck: Sequence[_Left]) -> None:
    """Of a webhook of which nothing was stored: raise the error where no event of its own is to blame. That the database was away
    meanwhile; that a statement is wrong; that it refuses several people for the same reason."""
    errors = [error for _, error in stuck]
    people = {intake.where_of(event) for (event, _), _ in stuck}
    for error in errors:
        if not _refused(error) or sqlstate(error).startswith(_OURS):
            raise error
    if len(people) > 1 and len({sqlstate(error) for error in errors}) == 1:
        raise errors[0]


def _without(one: _Delivered, gone: Set[erased.Key]) -> _Delivered:
    """A webhook less what was erased, in its raw body as well."""
    kept = [item for item in one.items if (item[0].platform.value, item[0].account, item[0].key) not in gone]
    if len(kept) == len(one.items):
        return one
    cut = [event for event, _ in one.items if (event.platform.value, event.account, event.key) in gone]
    raw = raw_bodies.without(one.raw, {event.person for event in cut if event.person})
    return replace(one, raw=raw or b"{}", items=tuple(kept))


def _halves(one: _Delivered) -> tuple[_Delivered, _Delivered]:
    """Between two people where there are several: what is kept raw of one says nothing of the others."""
    whose = [intake.where_of(event) for event, _ in one.items]
    people = list(dict.fromkeys(whose))
    if len(people) > 1:
        first = set(people[: len(people) // 2])
        keys = [intake.key_of(event) for event, _ in one.items]
        theirs = {key for key, where in zip(keys, whose, strict=True) if where in first}
        return _without(one, set(keys) - theirs), _without(one, theirs)
    middle = len(one.items) // 2
    return replace(one, items=one.items[:middle]), replace(one, items=one.items[middle:])


def _people(one: _Delivered) -> set[intake.Where]:
    """Whom a webhook is about: what is theirs is stored in the order in which it came."""
    return {intake.where_of(event) for event, _ in one.items if event.person}


def _message_id(event: Event) -> str | None:
    """The id of the message that an event brings or changes."""
    return event.body.target if isinstance(event.body, Edit) else event.mid


_SEEN = named(intake.SEEN)


def _pairs(moments: Mapping[int, datetime]) -> dict[str, Any]:
    """Conversations and times as the statements take them."""
    return {"ids": list(moments), "ats": list(moments.values())}


async def _send_ignored(sending: Together, writing: _Writing, now: datetime) -> None:
    """Once."""
    left = {number: reason for number, reason in writing.ignored.items() if number not in writing.written}
    writing.written.update(left)
    if left:
        await sending.send(intake.IGNORED, {"ids": list(left), "reasons": list(left.values()), "now": now})


_OWN_ECHO = """
    UPDATE outbox SET echoes = echoes || jsonb_build_object(CAST(%(part)s AS text), CAST(%(mid)s AS text)) WHERE id = %(id)s
"""
_MARKS = {
    column: f"""
        UPDATE outbox SET {column} = coalesce({column}, %(at)s)
        WHERE conversation_id = %(id)s AND status = 'sent'
          AND (mids && CAST(%(mids)s AS text[]) OR sent_at <= CAST(%(watermark)s AS timestamptz))
    """  # noqa: S608 (names of ours)
    for column in ("read_at", "delivered_at")
}


async def _send_mark(sending: Together, conversation: int, body: Read | Delivery, at: datetime) -> None:
    """Note on our messages that they were delivered or read."""
    mids = list(body.mids) if isinstance(body, Delivery) else [body.target] if body.target else []
    await sending.send(
        _MARKS["read_at" if isinstance(body, Read) else "delivered_at"],
        {"id": conversation, "at": at, "mids": mids, "watermark": body.watermark},
    )
