"""Taking webhooks in: raw body, events, conversations and emergencies in one transaction.

What concerns no dialogue (reads, deliveries, reactions …) is settled here at once; messages, postbacks, edits and
echoes that we do not recognise are left to the workers, with the conversation's due time set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.messages import (
    Channel,
    Delivery,
    Echo,
    Edit,
    Event,
    Message,
    Platform,
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
from bot.policy.emergency import Detection
from bot.store import emergencies, handoffs
from bot.store.codec import Codec
from bot.store.conversations import BODY, LIVE
from bot.store.db import CONSOLE, DUE, Database, notify

RAW = "deliveries.raw"
JOIN_WITHIN = timedelta(minutes=3)  # a danger told in several messages is read together
_JOIN_LAST = 4
_DEBOUNCE_RESETS = 4

Item = tuple[Event, Detection | None]


class Answered(Protocol):
    """An emergency that was answered while the database was away (`bot.gateway.ports.Mark`)."""

    @property
    def platform(self) -> Platform: ...
    @property
    def account(self) -> str: ...
    @property
    def person(self) -> str: ...
    @property
    def answered(self) -> datetime: ...


@dataclass(frozen=True)
class InboxRules:
    """What taking in depends on. `accounts`: the ids that are ours (empty: all). `app_id`: our own, for echoes."""

    accounts: frozenset[str]
    app_id: str | None
    debounce: timedelta
    triage: Callable[[str], Detection | None]
    plan: emergencies.EmergencyPlanner
    echo_of: Callable[[str], tuple[int, int] | None]  # signed metadata → (outbox id, part)


@dataclass
class _Taken:
    """An event that was stored now (not a duplicate)."""

    id: int
    event: Event
    detection: Detection | None
    conversation: Row[Any] | None


class Inbox:
    """The gateway's side of the store."""

    def __init__(self, database: Database, codec: Codec, rules: InboxRules) -> None:
        self._db = database
        self._codec = codec
        self._rules = rules

    async def take(
        self, raw: bytes, items: Sequence[Item], received_at: datetime, answered: Set[str] = frozenset()
    ) -> None:
        """Store a verified webhook. `answered`: keys whose emergency reply left already, while the database was away.

        Duplicates (same platform, account and key) change nothing. Raises what the database raises.
        """
        async with self._db.begin() as connection:
            delivery = await connection.scalar(
                text("INSERT INTO deliveries (received_at, raw) VALUES (:at, :raw) RETURNING id"),
                {"at": received_at, "raw": self._codec.seal(raw, RAW)},
            )
            conversations = await self._conversations(connection, [event for event, _ in items])
            taken = await self._store(connection, delivery, items, conversations, received_at)
            await self._settle(connection, taken, received_at, answered)

    async def tell(self, marks: Sequence[Answered], now: datetime) -> None:
        """Open the hand-offs of emergencies that were answered without the database and that never came again.

        May be called twice with the same marks: an open hand-off is only raised.
        """
        async with self._db.begin() as connection:
            for mark in sorted(marks, key=lambda m: (m.platform.value, m.account, m.person)):
                conversation = await connection.scalar(
                    text("""
                        INSERT INTO conversations AS c (platform, account, person, last_person_at)
                        VALUES (:platform, :account, :person, :at)
                        ON CONFLICT (platform, account, person)
                        DO UPDATE SET last_person_at = greatest(c.last_person_at, :at) RETURNING id
                    """),
                    {
                        "platform": mark.platform.value,
                        "account": mark.account,
                        "person": mark.person,
                        "at": mark.answered,
                    },
                )
                await handoffs.open_(
                    connection,
                    self._codec,
                    handoffs.NewHandoff(conversation, "emergency", "emergency_unseen", "danger_immediat"),
                    now,
                )
                await connection.execute(
                    text("UPDATE conversations SET emergency_at = greatest(emergency_at, :at) WHERE id = :id"),
                    {"id": conversation, "at": mark.answered},
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
                    owner, debounce_resets, due_at, lease_until
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
        delivery: int,
        items: Sequence[Item],
        conversations: Mapping[tuple[str, str, str], Row[Any]],
        received_at: datetime,
    ) -> list[_Taken]:
        unique: dict[tuple[str, str, str], Item] = {}
        for event, detection in items:
            unique.setdefault((event.platform.value, event.account, event.key), (event, detection))
        columns: dict[str, list[Any]] = {
            name: []
            for name in (
                "conversations",
                "platforms",
                "accounts",
                "keys",
                "kinds",
                "channels",
                "mids",
                "targets",
                "ats",
                "bodies",
            )
        }
        for event, _ in unique.values():
            conversation = conversations.get((event.platform.value, event.account, event.person or ""))
            columns["conversations"].append(None if conversation is None else conversation.id)
            columns["platforms"].append(event.platform.value)
            columns["accounts"].append(event.account)
            columns["keys"].append(event.key)
            columns["kinds"].append(event.kind)
            columns["channels"].append(event.channel.value)
            columns["mids"].append(event.mid)
            columns["targets"].append(getattr(event.body, "target", None))
            columns["ats"].append(event.at)
            columns["bodies"].append(self._codec.seal_json(body_to_json(event.body), BODY))
        if not unique:
            return []
        rows = await connection.execute(
            text("""
                INSERT INTO events (delivery_id, conversation_id, platform, account, key, kind, channel, mid, target, at,
                    received_at, body)
                SELECT :delivery, i.conversation, i.platform, i.account, i.key, i.kind, i.channel, i.mid, i.target, i.at,
                    :received, i.body
                FROM unnest(CAST(:conversations AS bigint[]), CAST(:platforms AS text[]), CAST(:accounts AS text[]),
                    CAST(:keys AS text[]), CAST(:kinds AS text[]), CAST(:channels AS text[]), CAST(:mids AS text[]),
                    CAST(:targets AS text[]), CAST(:ats AS timestamptz[]), CAST(:bodies AS bytea[]))
                    AS i(conversation, platform, account, key, kind, channel, mid, target, at, body)
                ON CONFLICT (platform, account, key) DO NOTHING
                RETURNING id, platform, account, key
            """),
            {"delivery": delivery, "received": received_at, **columns},
        )
        taken = []
        for row in rows:
            event, detection = unique[(row.platform, row.account, row.key)]
            person = (row.platform, row.account, event.person or "")
            taken.append(_Taken(row.id, event, detection, conversations.get(person)))
        return sorted(taken, key=lambda t: (t.event.at, t.id))

    async def _settle(
        self, connection: AsyncConnection, taken: Sequence[_Taken], now: datetime, answered: Set[str]
    ) -> None:
        ignored: dict[str, list[int]] = {}
        for one in taken:
            reason = await self._aside(connection, one, now)
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
            await self._emergencies(connection, rest, now, answered)
            await self._due(connection, rest, now)

    # -- what concerns no dialogue -------------------------------------------------------------------------------

    async def _aside(self, connection: AsyncConnection, one: _Taken, now: datetime) -> str | None:
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
            await self._unsend(connection, conversation, body.target, now)
            return "unsend"
        if isinstance(body, ThreadControl):
            await self._thread(connection, conversation, body)
            return "thread_control"
        if isinstance(body, (Read, Delivery)):
            await _mark(connection, conversation, body, event.at)
            return event.kind
        if isinstance(body, (Message, Postback, Edit)):
            return await self._withdrawn(connection, conversation, event)
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

    async def _unsend(self, connection: AsyncConnection, conversation: int, target: str, now: datetime) -> None:
        """Erase what the person withdrew, at once; what still waited is no longer answered."""
        await connection.execute(
            text("""
                UPDATE events SET body = :empty, disposition = coalesce(disposition, 'ignored'),
                    reason = coalesce(reason, 'unsent'), settled_at = coalesce(settled_at, :now), waiting = NULL
                WHERE conversation_id = :conversation AND kind <> 'unsend' AND (mid = :target OR target = :target)
            """),
            {
                "empty": self._codec.seal_json(body_to_json(Unknown("unsent")), BODY),
                "conversation": conversation,
                "target": target,
                "now": now,
            },
        )
        await notify(connection, CONSOLE, str(conversation))

    async def _withdrawn(self, connection: AsyncConnection, conversation: int, event: Event) -> str | None:
        """A message whose withdrawal came before it (webhooks are not in order)."""
        mid = event.body.target if isinstance(event.body, Edit) else event.mid
        if mid is None:
            return None
        gone = await connection.scalar(
            text(
                "SELECT EXISTS (SELECT FROM events WHERE target = :mid AND conversation_id = :id AND kind = 'unsend')"
            ),
            {"mid": mid, "id": conversation},
        )
        if not gone:
            return None
        await self._unsend(connection, conversation, mid, event.at)
        return "unsent"

    async def _thread(self, connection: AsyncConnection, conversation: int, body: ThreadControl) -> None:
        """The thread came to us, or went to another app."""
        if body.action not in ("pass", "take"):
            return
        ours = self._rules.app_id is not None and body.new_owner == self._rules.app_id
        if self._rules.app_id is None:
            ours = body.action == "pass"  # Meta tells the app that receives the thread
        await connection.execute(
            text("""
                UPDATE conversations SET standby = NOT CAST(:ours AS boolean), owner_version = owner_version + 1,
                    owner = CASE WHEN :ours AND owner = 'inbox' THEN 'bot' ELSE owner END
                WHERE id = :id
            """),
            {"id": conversation, "ours": ours},
        )

    # -- emergencies ---------------------------------------------------------------------------------------------

    async def _emergencies(
        self, connection: AsyncConnection, rest: Sequence[_Taken], now: datetime, answered: Set[str]
    ) -> None:
        words = [one for one in rest if isinstance(one.event.body, (Message, Edit, Postback))]
        recent = await self._recent(connection, words, now)
        for one in words:
            await self._emergency(connection, one, recent, now, one.event.key in answered)

    async def _recent(
        self, connection: AsyncConnection, words: Sequence[_Taken], now: datetime
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
                  AND (disposition IS NULL OR disposition NOT IN ('emergency', 'ignored'))
                ORDER BY at, id
            """),
            {"ids": list(ids), "since": now - JOIN_WITHIN},
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
    ) -> None:
        assert one.conversation is not None
        words = getattr(one.event.body, "text", "")
        detection = one.detection
        if detection is None and words:
            lines = [line for line in recent.get(one.conversation.id, []) if line[1] <= one.event.at][-_JOIN_LAST:]
            if len(lines) > 1:
                words = " ".join(line[2] for line in lines)
                detection = self._rules.triage(words)
        row = (
            (
                await connection.execute(
                    text("""
                    SELECT emergency_at, emergency_kind, emergency_short_at, last_agent_at, standby FROM conversations WHERE id = :id
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
        reply = await emergencies.carry_out(
            connection, self._codec, one.conversation.id, plan, detection, now, already_answered=already_answered
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

    # -- due times -----------------------------------------------------------------------------------------------

    async def _due(self, connection: AsyncConnection, rest: Sequence[_Taken], now: datetime) -> None:
        """Open the window, and say when each conversation is to be looked at: after the debounce, at most four resets."""
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
            await connection.execute(
                text(f"""
                    UPDATE conversations SET wake = wake + 1,
                        due_at = CASE WHEN due_at IS NULL OR due_at > :now AND debounce_resets < {_DEBOUNCE_RESETS}
                                      OR due_priority > {LIVE} THEN :due ELSE due_at END,
                        due_priority = least(due_priority, {LIVE}),
                        debounce_resets = debounce_resets + 1
                    WHERE id = ANY(:ids)
                """),  # noqa: S608
                {"ids": list(speaks), "now": now, "due": now + self._rules.debounce},
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
