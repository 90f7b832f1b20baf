"""Taking webhooks in: raw body, events, conversations and emergencies in one transaction.

What concerns no dialogue (reads, deliveries, reactions …) is settled here at once; messages, postbacks, edits and
echoes that we do not recognise are left to the workers, with the conversation's due time set.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

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
    body_to_json,
)
from bot.core.trace import Trace, about, of_event
from bot.policy.emergency import TOO_OLD, Detection
from bot.policy.fields import fields
from bot.policy.told import known
from bot.store import caught, emergencies, erased, handoffs, meta_flow, raw_bodies, search, snoozes
from bot.store.batches import Batches
from bot.store.codec import Codec
from bot.store.conversations import BODY, BUNDLE, DANGER, LIVE, NEW, STATE
from bot.store.db import CONSOLE, DUE, Database, notify
from bot.store.withdrawal import withdraw

log = logging.getLogger(__name__)

RAW = "deliveries.raw"
JOIN_WITHIN = timedelta(minutes=3)  # a danger told in several messages is read together
_JOIN_LAST = 4
BATCH = 50  # webhooks a transaction, at most
_DEBOUNCE_RESETS = 4
_NOTED_EVERY = timedelta(seconds=10)  # that webhooks come
_LATE = timedelta(minutes=10)  # what was caught up with after so long comes after people who write now

Item = tuple[Event, Detection | None]


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


@dataclass
class _Taken:
    """An event that was stored now (not a duplicate)."""

    id: int
    event: Event
    detection: Detection | None
    conversation: Row[Any] | None


@dataclass(frozen=True)
class _Delivered:
    """A webhook to store."""

    raw: bytes
    items: tuple[Item, ...]
    received_at: datetime
    answered: frozenset[str]


# Column of events → its PostgreSQL type, in the order of insertion.
_COLUMNS = {
    "delivery_id": "bigint",
    "conversation_id": "bigint",
    "platform": "text",
    "account": "text",
    "key": "text",
    "kind": "text",
    "channel": "text",
    "mid": "text",
    "target": "text",
    "at": "timestamptz",
    "received_at": "timestamptz",
    "body": "bytea",
}
_INSERT_EVENTS = text(f"""
    INSERT INTO events ({", ".join(_COLUMNS)})
    SELECT * FROM unnest({", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _COLUMNS.items())})
    ON CONFLICT (platform, account, key) DO NOTHING
    RETURNING id, platform, account, key
""")  # noqa: S608


# A webhook that comes again after its author withdrew it.
_WITHDRAWN_RAW = text("""
    DELETE FROM deliveries WHERE id IN (
        SELECT i.delivery
        FROM unnest(CAST(:platforms AS text[]), CAST(:accounts AS text[]), CAST(:keys AS text[]),
                    CAST(:deliveries AS bigint[])) AS i(platform, account, key, delivery)
        JOIN events e ON e.platform = i.platform AND e.account = i.account AND e.key = i.key AND e.kind <> 'unsend'
        JOIN events u ON u.conversation_id = e.conversation_id AND u.kind = 'unsend' AND u.target IN (e.mid, e.target))
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
        self._batches: Batches[_Delivered] = Batches(self._take, BATCH)
        self._noted: dict[str, datetime] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(
        self, raw: bytes, items: Sequence[Item], received_at: datetime, answered: Set[str] = frozenset()
    ) -> None:
        """Store a verified webhook. `answered`: keys whose emergency reply left already, while the database was away.

        Webhooks that come at once are stored together: the busier it is, the more share one transaction.
        Duplicates (same platform, account and key) change nothing. Raises what the database raises.
        """
        await self._batches.add(_Delivered(raw, tuple(items), received_at, frozenset(answered)))
        self._note(items, received_at)

    async def catch_up(
        self, raw: bytes, items: Sequence[Item], listed: Sequence[str], now: datetime, simulate: bool = False
    ) -> list[Item]:
        """Take in what the Conversations API tells and no webhook brought; returns what was new.

        `raw`: the body that a webhook would have had; `listed`: every message id that Meta named, these or others.
        `simulate`: say what would be new, and keep nothing. What the page answered without the database knowing of it
        becomes history: it is read by agents, and answered by nobody.
        """
        events = [event for event, _ in items]
        async with self._db.begin() as connection:
            conversations = await self._conversations(connection, events)
            gone = await self._erased(connection, events, conversations, now, late=True)
            if gone:
                await connection.rollback()
            else:
                unseen = await caught.unseen(connection, self._codec, items, conversations, listed, self._rules.ours)
                fresh = unseen.items
                if simulate or not fresh:
                    await connection.rollback()
                    return fresh
                one = _Delivered(raw, tuple(fresh), now, frozenset())
                ids = await self._deliveries(connection, [one])
                taken = await self._store(connection, [(ids[0], one)], conversations)
                rows = [(t.id, t.conversation.id, t.event.at) for t in taken if t.conversation is not None]
                await caught.remember(connection, rows)
                await self._settle(connection, taken, now, frozenset(), unseen)
                return fresh
        less = _without(_Delivered(raw, tuple(items), now, frozenset()), gone)
        return await self.catch_up(less.raw, less.items, listed, now, simulate) if less.items else []

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
        now = max(one.received_at for one in delivered)
        events = [event for one in delivered for event, _ in one.items]
        async with self._db.begin() as connection:
            ids = await self._deliveries(connection, delivered)
            conversations = await self._conversations(connection, events)
            gone = await self._erased(connection, events, conversations, now)
            if gone:
                await connection.rollback()
            else:
                taken = await self._store(connection, list(zip(ids, delivered, strict=True)), conversations)
                answered = frozenset(key for one in delivered for key in one.answered)
                await self._settle(connection, taken, now, answered)
                return
        await self._take([_without(one, gone) for one in delivered])

    async def _erased(
        self,
        connection: AsyncConnection,
        events: Sequence[Event],
        conversations: Mapping[tuple[str, str, str], Row[Any]],
        now: datetime,
        late: bool = False,
    ) -> set[erased.Key]:
        """Those of these events that were erased on a person's request, asked for under the conversations' locks.

        The caller then begins anew without them: not even their person's id is to stay.
        """
        strangers = {where for where, row in conversations.items() if row.fresh}
        return await erased.among(connection, self._codec, events, now, strangers, late)

    async def _deliveries(self, connection: AsyncConnection, delivered: Sequence[_Delivered]) -> list[int]:
        rows = await connection.execute(
            text("""
                INSERT INTO deliveries (received_at, raw)
                SELECT i.at, i.raw
                FROM unnest(CAST(:ats AS timestamptz[]), CAST(:raws AS bytea[])) WITH ORDINALITY AS i(at, raw, n)
                ORDER BY i.n RETURNING id
            """),
            {
                "ats": [one.received_at for one in delivered],
                "raws": [self._codec.seal(one.raw, RAW) for one in delivered],
            },
        )
        return sorted(row.id for row in rows)

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
                before = {} if row.owner == "closed" else self._told(row.state, now)
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

    async def _conversations(
        self, connection: AsyncConnection, events: Sequence[Event]
    ) -> dict[tuple[str, str, str], Row[Any]]:
        """Create or lock the conversations of these events, in one order so that two gateways never wait in a circle."""
        keys = sorted({(e.platform.value, e.account, e.person) for e in events if e.person and self._talks(e)})
        if not keys:
            return {}
        rows = await connection.execute(
            text("""
                INSERT INTO conversations AS c (platform, account, person)
                SELECT * FROM unnest(CAST(:platforms AS text[]), CAST(:accounts AS text[]), CAST(:persons AS text[]))
                ON CONFLICT (platform, account, person) DO UPDATE SET wake = c.wake
                RETURNING id, platform, account, person, emergency_at, emergency_short_at, last_agent_at, standby,
                    owner, debounce_resets, due_at, lease_until, c.xmax = 0 AS fresh
            """),
            {
                "platforms": [k[0] for k in keys],
                "accounts": [k[1] for k in keys],
                "persons": [k[2] for k in keys],
            },
        )
        return {(row.platform, row.account, row.person): row for row in rows}

    def _talks(self, event: Event) -> bool:
        """Whether an event belongs to a conversation of ours (the dashboard's Test button does not)."""
        return self._ours(event) and event.channel is not Channel.CHANGES

    def _ours(self, event: Event) -> bool:
        return not self._rules.accounts or event.account in self._rules.accounts

    async def _store(
        self,
        connection: AsyncConnection,
        delivered: Sequence[tuple[int, _Delivered]],
        conversations: Mapping[tuple[str, str, str], Row[Any]],
    ) -> list[_Taken]:
        unique: dict[tuple[str, str, str], tuple[Event, Detection | None, int, datetime]] = {}
        for delivery, one in delivered:
            for event, detection in one.items:
                key = (event.platform.value, event.account, event.key)
                unique.setdefault(key, (event, detection, delivery, one.received_at))
        if not unique:
            return []
        columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
        for event, _, delivery, received_at in unique.values():
            conversation = conversations.get((event.platform.value, event.account, event.person or ""))
            values = (
                delivery,
                None if conversation is None else conversation.id,
                event.platform.value,
                event.account,
                event.key,
                event.kind,
                event.channel.value,
                event.mid,
                getattr(event.body, "target", None),
                event.at,
                received_at,
                self._codec.seal_json(body_to_json(event.body), BODY),
            )
            for name, value in zip(_COLUMNS, values, strict=True):
                columns[name].append(value)
        rows = (await connection.execute(_INSERT_EVENTS, columns)).all()
        await self._came_again(connection, delivered, {(row.platform, row.account, row.key): row.id for row in rows})
        taken = []
        for row in rows:
            event, detection, _, _ = unique[(row.platform, row.account, row.key)]
            person = (row.platform, row.account, event.person or "")
            taken.append(_Taken(row.id, event, detection, conversations.get(person)))
        return sorted(taken, key=lambda t: (t.event.at, t.id))

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
        answered: Set[str],
        late: caught.Unseen | None = None,
    ) -> None:
        """`late`: these were caught up with."""
        ignored: dict[str, list[int]] = {}
        idle = await self._idle(connection, taken, now, late is not None)
        withdrawn = await self._withdrawn(connection, taken)
        for one in taken:
            await self._read_anew(connection, one)
            reason = idle.get(one.id) or await self._aside(connection, one, withdrawn, now)
            if reason is not None:
                ignored.setdefault(reason, []).append(one.id)
        for reason, ids in ignored.items():
            await connection.execute(
                text("""
                    UPDATE events SET disposition = 'ignored', reason = :reason, settled_at = :now
                    WHERE id = ANY(:ids) AND disposition IS NULL
                """),
                {"ids": ids, "reason": reason, "now": now},
            )
        aside = {i for ids in ignored.values() for i in ids}
        rest = [one for one in taken if one.id not in aside and one.conversation is not None]
        if rest:
            await self._returned(connection, rest)
            by_us = {} if late is None else late.answered
            past = {one.id: by_us[one.event.key] for one in rest if one.event.key in by_us}
            await self._emergencies(connection, rest, now, answered, past)
            if late is not None and past:
                await self._history(connection, [one for one in rest if one.id in past], late.waiting, now)
            await self._due(connection, [one for one in rest if one.id not in past], now, late is not None)
            await self._findable(connection, rest)

    async def _idle(
        self, connection: AsyncConnection, taken: Sequence[_Taken], now: datetime, late: bool
    ) -> dict[int, str]:
        """Why an event changes nothing: `twin`, it came by the Conversations API before; `history`, caught up too late."""
        known = [(t.id, t.conversation.id, t.event) for t in taken if t.conversation is not None]
        if late:
            return dict.fromkeys(await caught.old_echoes(connection, known, now), caught.HISTORY)
        return dict.fromkeys(await caught.twins(connection, self._codec, known), caught.TWIN)

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
        await _seen_at(connection, list(newest.items()))
        for number, at in newest.items():
            if number in waiting:
                old = waiting[number] == "emergency" and now - at > TOO_OLD
                request = handoffs.NewHandoff(number, waiting[number], caught.UNTRACED, old=old, slots=slots[number])
                await handoffs.open_(connection, self._codec, request, now)
            await notify(connection, CONSOLE, str(number))

    async def _findable(self, connection: AsyncConnection, rest: Sequence[_Taken]) -> None:
        await search.index(
            connection,
            self._codec,
            (search.of_event(t.id, t.conversation.id, t.event.at, t.event.body) for t in rest if t.conversation),
        )

    # -- what concerns no dialogue -------------------------------------------------------------------------------

    async def _aside(
        self, connection: AsyncConnection, one: _Taken, withdrawn: Set[tuple[int, str]], now: datetime
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
            return await self._own_echo(connection, body, event.mid)
        if isinstance(body, Unsend):
            await withdraw(connection, self._codec, conversation, body.target, now)
            return "unsend"
        if isinstance(body, ThreadControl):
            await self._thread(connection, conversation, body)
            return "thread_control"
        if isinstance(body, (Read, Delivery)):
            await _mark(connection, conversation, body, event.at)
            return event.kind
        if isinstance(body, (Message, Postback, Edit)):
            mid = _message_id(event)
            if mid is None or (conversation, mid) not in withdrawn:
                return None
            await withdraw(connection, self._codec, conversation, mid, now)
            return "unsent"
        if isinstance(body, Reaction):
            await _seen_at(connection, [(conversation, event.at)])
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

    async def _own_echo(self, connection: AsyncConnection, body: Echo, mid: str | None) -> str | None:
        named = self._rules.echo_of(body.metadata) if body.metadata else None
        if named is not None:
            row, part = named
            await connection.execute(
                text("""
                    UPDATE outbox SET echoes = echoes || jsonb_build_object(CAST(:part AS text), CAST(:mid AS text))
                    WHERE id = :id
                """),
                {"id": row, "part": str(part), "mid": mid or ""},
            )
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

    async def _withdrawn(self, connection: AsyncConnection, taken: Sequence[_Taken]) -> set[tuple[int, str]]:
        """(conversation, mid) of the messages among these whose withdrawal came before them: webhooks are not in order."""
        wanted = [
            (one.conversation.id, mid)
            for one in taken
            if one.conversation is not None and (mid := _message_id(one.event)) is not None
        ]
        if not wanted:
            return set()
        rows = await connection.execute(
            text("""
                SELECT e.conversation_id, e.target
                FROM unnest(CAST(:ids AS bigint[]), CAST(:mids AS text[])) AS w(id, mid)
                JOIN events e ON e.target = w.mid AND e.conversation_id = w.id AND e.kind = 'unsend'
            """),
            {"ids": [w[0] for w in wanted], "mids": [w[1] for w in wanted]},
        )
        return {(row.conversation_id, row.target) for row in rows}

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
    ) -> None:
        """`past`: ids of what was answered long since → whether a danger in it was: it waits for an agent, and no more."""
        words = [one for one in rest if isinstance(one.event.body, (Message, Edit, Postback))]
        recent = await self._recent(connection, words)
        for one in words:
            await self._emergency(connection, one, recent, now, one.event.key in answered, past.get(one.id))

    async def _recent(
        self, connection: AsyncConnection, words: Sequence[_Taken]
    ) -> dict[int, list[tuple[int, datetime, str]]]:
        """The last texts of these conversations, oldest first, what was taken in now included."""
        ids = {one.conversation.id for one in words if one.conversation is not None}
        found: dict[int, list[tuple[int, datetime, str]]] = {}
        if not ids:
            return found
        rows = await connection.execute(
            text("""
                SELECT id, conversation_id, at, body FROM events
                WHERE conversation_id = ANY(:ids) AND kind IN ('text', 'edit', 'quick_reply') AND at > :since
                  AND (disposition IS NULL OR disposition NOT IN ('emergency', 'ignored') OR reason = 'blocked')
                ORDER BY at, id
            """),
            # By Meta's time: what an outage held back comes late, and together.
            {"ids": list(ids), "since": min(one.event.at for one in words) - JOIN_WITHIN},
        )
        for row in rows:
            body = body_from_json(self._codec.open_json(row.body, BODY))
            found.setdefault(row.conversation_id, []).append((row.id, row.at, getattr(body, "text", "")))
        return found

    async def _emergency(
        self,
        connection: AsyncConnection,
        one: _Taken,
        recent: Mapping[int, list[tuple[int, datetime, str]]],
        now: datetime,
        already_answered: bool,
        past: bool | None,
    ) -> None:
        assert one.conversation is not None
        words = getattr(one.event.body, "text", "")
        detection = one.detection
        if detection is None and words:
            at = one.event.at
            lines = [line for line in recent.get(one.conversation.id, []) if at - JOIN_WITHIN < line[1] <= at]
            lines = lines[-_JOIN_LAST:]
            if len(lines) > 1:
                words = " ".join(line[2] for line in lines)
                detection = self._rules.triage(words)
        if past is not None and detection is None:
            return
        if past and detection is not None:
            await self._past_danger(connection, one, detection, words, now)
            lines = recent.get(one.conversation.id, [])  # what follows is not read together with it
            lines[:] = [line for line in lines if line[0] != one.id]
            return
        row = (
            (
                await connection.execute(
                    text("""
                    SELECT emergency_at, emergency_kind, emergency_short_at, last_agent_at, standby, state
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
                before={} if one.conversation.owner == "closed" else self._told(row.state, now),
                already_answered=already_answered,
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

    async def _past_danger(
        self, connection: AsyncConnection, one: _Taken, detection: Detection, words: str, now: datetime
    ) -> None:
        assert one.conversation is not None
        old = now - one.event.at > TOO_OLD
        request = handoffs.NewHandoff(
            one.conversation.id, "emergency", caught.UNTRACED, detection.intent, old, slots=fields(words)
        )
        await handoffs.open_(connection, self._codec, request, now)
        await connection.execute(
            text("""
                UPDATE events SET disposition = 'handed_off', reason = :by, settled_at = :now, route = 'emergency'
                WHERE id = :id
            """),
            {"id": one.id, "by": detection.by, "now": now},
        )

    def _told(self, state: Any, now: datetime) -> dict[str, str]:
        """What the person told before: a cry for help seldom says again where it is."""
        return known(self._codec.open_json(state, STATE), now.timestamp())

    # -- due times -----------------------------------------------------------------------------------------------

    async def _due(self, connection: AsyncConnection, rest: Sequence[_Taken], now: datetime, late: bool) -> None:
        """Open the window, and say when each conversation is to be looked at: after the debounce, at most four resets."""
        if not rest:
            return
        speaks: dict[int, datetime] = {}
        echoes: set[int] = set()
        for one in rest:
            assert one.conversation is not None
            if isinstance(one.event.body, Echo):
                echoes.add(one.conversation.id)
            else:
                at = speaks.get(one.conversation.id)
                speaks[one.conversation.id] = one.event.at if at is None else max(at, one.event.at)
        if speaks:
            await _seen_at(connection, list(speaks.items()))
            await snoozes.wake(connection, list(speaks), now)
            await connection.execute(
                text(f"""
                    UPDATE conversations SET wake = wake + 1,
                        due_at = CASE WHEN due_at IS NULL OR due_at > :now AND debounce_resets < {_DEBOUNCE_RESETS}
                                      OR due_priority > {LIVE} THEN :due ELSE due_at END,
                        due_priority = least(due_priority, CASE WHEN id = ANY(:suspects) THEN {DANGER}
                                                                WHEN introduced_at IS NULL THEN {NEW} ELSE {LIVE} END),
                        debounce_resets = debounce_resets + 1
                    WHERE id = ANY(:ids)
                """),  # noqa: S608
                {
                    "ids": list(speaks),
                    "suspects": self._suspects(rest),
                    "now": now,
                    "due": now + self._rules.debounce,
                },
            )
        if late:  # after people who write now, oldest first, as what waited for the morning
            waited = {
                one.conversation.id
                for one in rest
                if one.conversation is not None and one.conversation.due_at is None
                if now - speaks.get(one.conversation.id, now) > _LATE
            }
            await connection.execute(
                text(
                    f"UPDATE conversations SET due_priority = {BUNDLE} WHERE id = ANY(:ids) AND due_priority <> {DANGER}"  # noqa: S608
                ),
                {"ids": list(waited)},
            )
        if echoes:
            await connection.execute(
                text(
                    "UPDATE conversations SET wake = wake + 1, due_at = least(coalesce(due_at, :now), :now) WHERE id = ANY(:ids)"
                ),
                {"ids": list(echoes), "now": now},
            )
        await notify(connection, DUE)
        for conversation in (speaks.keys() | echoes) if len(speaks.keys() | echoes) <= 20 else ():
            await notify(connection, CONSOLE, str(conversation))

    def _suspects(self, rest: Sequence[_Taken]) -> list[int]:
        """The conversations in which something shows a trace of danger."""
        return [
            one.conversation.id
            for one in rest
            if one.conversation is not None
            if isinstance(one.event.body, (Message, Edit)) and self._rules.suspect(one.event.body.text or "")
        ]


def _without(one: _Delivered, gone: Set[erased.Key]) -> _Delivered:
    """A webhook less what was erased, in its raw body as well."""
    kept = [item for item in one.items if (item[0].platform.value, item[0].account, item[0].key) not in gone]
    if len(kept) == len(one.items):
        return one
    cut = [event for event, _ in one.items if (event.platform.value, event.account, event.key) in gone]
    raw = raw_bodies.without(one.raw, {event.person for event in cut if event.person})
    return replace(one, raw=raw or b"{}", items=tuple(kept))


def _message_id(event: Event) -> str | None:
    """The id of the message that an event brings or changes."""
    return event.body.target if isinstance(event.body, Edit) else event.mid


async def _seen_at(connection: AsyncConnection, pairs: Sequence[tuple[int, datetime]]) -> None:
    """The person did something: the messaging window counts from there (Meta's time)."""
    await connection.execute(
        text("""
            UPDATE conversations c SET last_person_at = greatest(c.last_person_at, i.at)
            FROM unnest(CAST(:ids AS bigint[]), CAST(:ats AS timestamptz[])) AS i(id, at) WHERE c.id = i.id
        """),
        {"ids": [p[0] for p in pairs], "ats": [p[1] for p in pairs]},
    )


async def _mark(connection: AsyncConnection, conversation: int, body: Read | Delivery, at: datetime) -> None:
    """Note on our messages that they were delivered or read."""
    column = "read_at" if isinstance(body, Read) else "delivered_at"
    mids = list(body.mids) if isinstance(body, Delivery) else [body.target] if body.target else []
    await connection.execute(
        text(f"""
            UPDATE outbox SET {column} = coalesce({column}, :at)
            WHERE conversation_id = :id AND status = 'sent'
              AND (mids && CAST(:mids AS text[]) OR sent_at <= CAST(:watermark AS timestamptz))
        """),  # noqa: S608
        {"id": conversation, "at": at, "mids": mids, "watermark": body.watermark},
    )
    await notify(connection, CONSOLE, str(conversation))
