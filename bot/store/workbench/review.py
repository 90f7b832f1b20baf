"""The inbox of understanding: which readings wait for a trainer, grouped, and what trainers decide about them.

A group is all that waits and says the same (`readings.group_id`). Nobody is asked to look at what a blocked person wrote, nor at
what an agent put aside as spam. A decision is about one message or a whole group, stands once, and can be taken back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.errors import SettingsError
from bot.policy.rights import Capability
from bot.store import audit, news
from bot.store.alarms import Alarm
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.desk.alarms import COLUMNS, alarm_of
from bot.store.desk.errors import Conflict, DeskError, NotAllowed
from bot.store.sightings import Sightings
from bot.store.user import User
from bot.store.workbench.readings import TOPIC, WORDS

PAGE = 25  # groups of a page
MEMBERS = 50  # messages of a group that are shown beside the first
UNDO_WITHIN = timedelta(days=7)
_HIGHEST = 2**63 - 1

Kind = Literal["confirmed", "chosen", "outside", "nothing", "skipped"]
State = Literal["waiting", "skipped"]


@dataclass(frozen=True)
class Filters:
    """What the list shows. `state`: waiting, or skipped (left for later); `since`, `until`: days of the message, both included."""

    reason: str = ""
    intent: str = ""
    platform: str = ""
    since: date | None = None
    until: date | None = None
    state: State = "waiting"


@dataclass(frozen=True)
class Reading:
    """What the engine made of one message. `words`: the citizen's own; `ranking`: (intent, chance), the best first."""

    event: int
    conversation: int
    platform: str
    at: datetime
    words: str
    ranking: Sequence[tuple[str, float]]
    intent: str | None
    confidence: float
    danger: float
    route: str | None
    clarified: bool
    model: str
    unknown: int
    reasons: Sequence[str]
    agent_intent: str | None
    group: int


@dataclass(frozen=True)
class Decision:
    """What a trainer decided. `by`: the name; `messages`: about how many; `correction`: the example that came with it."""

    id: int
    at: datetime
    user_id: int
    by: str
    kind: Kind
    intent: str | None
    messages: int
    correction: int | None
    undone: bool = False


@dataclass(frozen=True)
class Group:
    """Messages that say the same, told by the first of them. `reasons`: of all of them."""

    lead: Reading
    size: int
    reasons: Sequence[str]


@dataclass(frozen=True)
class Counts:
    """How much waits, by what; `decided`: how many messages were dealt with since midnight."""

    messages: int
    groups: int
    skipped: int
    decided: int
    by_reason: Mapping[str, int] = field(default_factory=dict)
    by_intent: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Opened:
    """One message with all that waits beside it. `others`: at most MEMBERS; `size`: all of the group, this one included;
    `shown`, `shown_all`: what this message, and the whole group, were when they were read (`decide` compares); `upto`: the
    highest event of the group: what comes later waits for another look; `reply`: what the assistant said; `alarm`: the
    alarm that the message raised, with the words that say so and what an agent said of it; None: none."""

    reading: Reading
    others: Sequence[Reading]
    size: int
    upto: int
    shown: str
    shown_all: str
    decision: Decision | None
    reply: str
    author: str
    alarm: Alarm | None


@dataclass(frozen=True)
class _Members:
    """What a decision is about. `shown`: changes with each of them, and with each reading of them."""

    events: list[int]
    shown: str


class NoSuchReading(DeskError):
    """The message is not, or no longer, there."""

    def __init__(self) -> None:
        super().__init__(
            "Ce message n’est plus là\u00a0: il a été modifié, retiré ou mis à l’écart.", "Revenez à la liste."
        )


class AlreadyDecided(Conflict):
    """Somebody was quicker; `decision` says who and what."""

    def __init__(self, decision: Decision, what: str) -> None:
        super().__init__(what, "Rien n’a été changé. Passez au message suivant.")
        self.decision = decision


class Meanwhile(Conflict):
    """What would be decided is not what was shown."""

    def __init__(self, group: bool) -> None:
        what = (
            "Le groupe a changé depuis que la page est ouverte\u00a0: un message s’y est ajouté, en est sorti, ou a été modifié."
            if group
            else "Ce message a été modifié, ou relu par Planton, depuis que la page est ouverte."
        )
        super().__init__(what, "Rien n’a été décidé. Voici ce qu’il en est maintenant\u00a0: décidez de nouveau.")


_COLUMNS = """r.event_id, r.conversation_id, r.platform, r.at, r.words, r.ranking, r.intent, r.confidence, r.danger, r.route,
    r.clarified, r.model, r.unknown, r.reasons, r.agent_intent, r.group_id"""
# Whose messages are not looked at: blocked people, and what agents put aside as spam.
SHOWN = """
    NOT EXISTS (SELECT FROM blocks b WHERE b.conversation_id = r.conversation_id AND b.lifted_at IS NULL)
    AND NOT EXISTS (SELECT FROM handoffs h WHERE h.conversation_id = r.conversation_id AND h.closed_at IS NOT NULL
        AND h.outcome = 'spam' AND r.at BETWEEN h.opened_at - interval '1 hour' AND h.closed_at)"""
_STATES = {
    "waiting": "r.weight > 0 AND r.decision_id IS NULL",
    "skipped": "r.decision_id IN (SELECT id FROM reading_decisions WHERE kind = 'skipped' AND undone_at IS NULL)",
}
_ORDER = "max(r.weight) DESC, count(*) DESC, max(r.at) DESC, r.group_id"
_DECISION = """d.id, d.at, d.user_id, (SELECT name FROM users WHERE id = d.user_id) AS by, d.kind, d.intent, d.messages,
    d.correction_id, d.undone_at"""

# What is read again has another `read_at`; what an agent marked, or a block that was lifted, adds a message to the group.
_SHOWN_AS = """encode(sha256(convert_to(
    string_agg(event_id || ':' || extract(epoch FROM read_at), ' ' ORDER BY event_id), 'UTF8')), 'hex')"""

_ALARM = text(f"""
    SELECT {COLUMNS} FROM alarms a
    WHERE a.conversation_id = :conversation AND a.events @> ARRAY[CAST(:event AS bigint)] ORDER BY a.id DESC LIMIT 1
""")  # noqa: S608

# Of a version that kept no alarms.
_OLD_ALARM = text("""
    SELECT at, reason FROM events WHERE id = :event AND route = 'emergency' AND reason IN ('lexicon', 'score')
""")

Add = Callable[[AsyncConnection, Sequence[int]], Awaitable[int | None]]


def _where(filters: Filters) -> tuple[str, dict[str, Any]]:
    parts = [_STATES[filters.state], SHOWN]
    values: dict[str, Any] = {}
    for column, value in (("intent", filters.intent), ("platform", filters.platform)):
        if value:
            parts.append(f"r.{column} = :{column}")
            values[column] = value
    if filters.reason:
        parts.append(":reason = ANY(r.reasons)")
        values["reason"] = filters.reason
    if filters.since:
        parts.append("r.at >= CAST(:since AS date)")
        values["since"] = filters.since
    if filters.until:
        parts.append("r.at < CAST(:until AS date) + 1")
        values["until"] = filters.until
    return " AND ".join(parts), values


class ReviewStore:
    """Reads for SEE_WORKBENCH, decides for CORRECT; each action is one transaction."""

    def __init__(self, database: Database, codec: Codec) -> None:
        self._db = database
        self._codec = codec
        self._sightings = Sightings(database)

    # -- looking ---------------------------------------------------------------------------------------------------

    async def page(self, user: User, filters: Filters, page: int, now: datetime) -> list[Group]:
        """One page of groups, what is worth most first; one more than PAGE when another page follows.

        That citizens' words were shown is recorded.
        """
        _must(user, Capability.SEE_WORKBENCH)
        where, values = _where(filters)
        async with self._db.begin() as connection:
            found = (
                await connection.execute(
                    text(f"""
                        SELECT r.group_id, count(*) AS size, min(r.event_id) FILTER (WHERE r.event_id = r.group_id) AS leader,
                            max(r.event_id) AS newest
                        FROM readings r WHERE {where} GROUP BY r.group_id ORDER BY {_ORDER} LIMIT :limit OFFSET :offset
                    """),  # noqa: S608
                    {**values, "limit": PAGE + 1, "offset": max(0, page - 1) * PAGE},
                )
            ).all()
            leads = await self._leads(connection, [row.leader or row.newest for row in found])
            reasons = await self._reasons(connection, [row.group_id for row in found], where, values)
        await self._sightings.record(user.id, "reading_viewed", now, (one.conversation for one in leads.values()))
        return [
            Group(leads[row.leader or row.newest], row.size, reasons.get(row.group_id, ()))
            for row in found
            if (row.leader or row.newest) in leads
        ]

    async def _leads(self, connection: AsyncConnection, ids: Sequence[int]) -> dict[int, Reading]:
        rows = await connection.execute(
            text(f"SELECT {_COLUMNS} FROM readings r WHERE r.event_id = ANY(:ids)"),  # noqa: S608
            {"ids": list(ids)},
        )
        return {one.event: one for one in self._readable(rows)}

    async def _reasons(
        self, connection: AsyncConnection, groups: Sequence[int], where: str, values: Mapping[str, Any]
    ) -> dict[int, list[str]]:
        rows = await connection.execute(
            text(f"""
                SELECT r.group_id, array_agg(DISTINCT reason) AS reasons FROM readings r CROSS JOIN unnest(r.reasons) AS reason
                WHERE {where} AND r.group_id = ANY(:groups) GROUP BY r.group_id
            """),  # noqa: S608
            {**values, "groups": list(groups)},
        )
        return {row.group_id: list(row.reasons) for row in rows}

    async def counts(self, midnight: datetime) -> Counts:
        """What is left to do, whatever the filters."""
        where, _ = _where(Filters())
        async with self._db.begin() as connection:
            rows = await connection.execute(
                text(f"""
                    WITH shown AS MATERIALIZED (SELECT r.group_id, r.intent, r.reasons FROM readings r WHERE {where})
                    SELECT 'messages' AS what, '' AS value, count(*) AS n FROM shown
                    UNION ALL SELECT 'groups', '', count(DISTINCT group_id) FROM shown
                    UNION ALL SELECT 'reason', reason, count(*) FROM shown CROSS JOIN unnest(reasons) AS reason GROUP BY reason
                    UNION ALL SELECT 'intent', intent, count(*) FROM shown WHERE intent IS NOT NULL GROUP BY intent
                """)  # noqa: S608
            )
            found: dict[str, dict[str, int]] = {"messages": {}, "groups": {}, "reason": {}, "intent": {}}
            for row in rows:
                found[row.what][row.value] = row.n
            skipped, decided = (
                await connection.execute(
                    text("""
                        SELECT coalesce(sum(messages) FILTER (WHERE kind = 'skipped'), 0),
                            coalesce(sum(messages) FILTER (WHERE kind <> 'skipped' AND at >= :midnight), 0)
                        FROM reading_decisions WHERE undone_at IS NULL
                    """),
                    {"midnight": midnight},
                )
            ).one()
        by_intent = dict(sorted(found["intent"].items(), key=lambda item: (-item[1], item[0])))
        messages, groups = found["messages"][""], found["groups"][""]
        return Counts(messages, groups, int(skipped), int(decided), found["reason"], by_intent)

    async def following(self, filters: Filters, after: int | None = None) -> int | None:
        """The message that comes first in the list, or first after the group that `after` stands in; None: nothing waits."""
        where, values = _where(filters)
        async with self._db.begin() as connection:
            found = await connection.scalar(
                text(f"""
                    WITH groups AS (
                        SELECT r.group_id, row_number() OVER (ORDER BY {_ORDER}) AS n,
                            coalesce(min(r.event_id) FILTER (WHERE r.event_id = r.group_id), max(r.event_id)) AS lead
                        FROM readings r WHERE {where} GROUP BY r.group_id),
                    here AS (SELECT n FROM groups WHERE group_id = (SELECT group_id FROM readings WHERE event_id = :after))
                    SELECT lead FROM groups WHERE n IS DISTINCT FROM (SELECT n FROM here)
                    ORDER BY n > coalesce((SELECT n FROM here), 0) DESC, n LIMIT 1
                """),  # noqa: S608
                {**values, "after": after or 0},
            )
        return None if found is None else int(found)

    async def open_(self, user: User, event: int, now: datetime) -> Opened:
        """One message and its group. Raises NoSuchReading. That they were shown is recorded."""
        _must(user, Capability.SEE_WORKBENCH)
        async with self._db.begin() as connection:
            # All of it as it was at one moment: `shown` must not tell of more than the page does.
            await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            row = (
                await connection.execute(
                    text(f"SELECT {_COLUMNS}, r.decision_id FROM readings r WHERE r.event_id = :id AND {SHOWN}"),  # noqa: S608
                    {"id": event},
                )
            ).one_or_none()
            if row is None:
                raise NoSuchReading
            where = f"{_STATES['waiting']} AND {SHOWN} AND r.group_id = :group AND r.event_id <> :event"
            values = {"group": row.group_id, "event": event}
            others = await connection.execute(
                text(f"""
                    SELECT {_COLUMNS} FROM readings r WHERE {where} ORDER BY r.weight DESC, r.at DESC, r.event_id LIMIT {MEMBERS}
                """),  # noqa: S608
                values,
            )
            alone = await self._members(connection, row.group_id, event)
            whole = await self._members(connection, row.group_id, event, _HIGHEST)
            reply, author = await self._reply(connection, event)
            alarm = await self._alarm(connection, row.conversation_id, event)
            decision = await _decision(connection, row.decision_id) if row.decision_id else None
            reading = next(self._readable([row]), None)
            if reading is None:
                raise NoSuchReading
            opened = Opened(
                reading,
                list(self._readable(others)),
                len(whole.events),
                max(whole.events, default=event),
                alone.shown,
                whole.shown,
                decision,
                reply,
                author,
                alarm,
            )
        shown = (one.conversation for one in (opened.reading, *opened.others))
        await self._sightings.record(user.id, "reading_viewed", now, shown, event=event)
        return opened

    async def _alarm(self, connection: AsyncConnection, conversation: int, event: int) -> Alarm | None:
        """The last one that the message raised, alone or with others."""
        row = (await connection.execute(_ALARM, {"conversation": conversation, "event": event})).one_or_none()
        if row is not None:
            return alarm_of(self._codec, row)
        row = (await connection.execute(_OLD_ALARM, {"event": event})).one_or_none()
        return None if row is None else Alarm(0, row.at, "danger", row.reason, None, (), None, None, None)

    async def _reply(self, connection: AsyncConnection, event: int) -> tuple[str, str]:
        """What left in answer, and who said it (bot, night, emergency); "" when nothing did."""
        row = (
            await connection.execute(
                text("""
                    SELECT o.id, o.conversation_id, o.message, o.author
                    FROM events e LEFT JOIN outbox o ON o.id = e.outbox_id AND o.author <> 'agent' WHERE e.id = :id
                """),
                {"id": event},
            )
        ).one()
        if row.message is None:
            return "", ""
        message = self._codec.readable_json(row.message, "outbox.message", row.conversation_id, row.id) or {}
        return str(message.get("text", "")), row.author

    # -- deciding --------------------------------------------------------------------------------------------------

    async def decide(
        self,
        user: User,
        event: int,
        kind: Kind,
        intent: str | None,
        now: datetime,
        shown: str,
        upto: int | None = None,
        add: Add | None = None,
    ) -> Decision:
        """Decide about a message, or (`upto`) about all of its group that the page showed. `shown`: of `Opened`, what it was.

        `add` puts the example in, as the last thing of the transaction: when it fails, nothing is decided. It is given the
        events and returns the correction's number, None when none was needed; the worker may be waiting for these messages,
        so it must be quick. Raises NoSuchReading, AlreadyDecided, Meanwhile, and whatever `add` raises.
        """
        _must(user, Capability.CORRECT)
        async with self._db.begin() as connection:
            row = (
                await connection.execute(
                    text(f"SELECT r.conversation_id, r.group_id FROM readings r WHERE r.event_id = :id AND {SHOWN}"),  # noqa: S608
                    {"id": event},
                )
            ).one_or_none()
            if row is None:
                raise NoSuchReading
            members = await self._members(connection, row.group_id, event, upto or 0, lock=True)
            if event not in members.events:
                raise NoSuchReading
            earlier = await _decision_of(connection, event)
            _must_wait(earlier)
            if members.shown != shown:
                raise Meanwhile(upto is not None)
            events = members.events
            number = await connection.scalar(
                text("""
                    INSERT INTO reading_decisions (at, user_id, kind, intent, messages)
                    VALUES (:at, :user, :kind, :intent, :messages) RETURNING id
                """),
                {"at": now, "user": user.id, "kind": kind, "intent": intent, "messages": len(events)},
            )
            await connection.execute(
                text("UPDATE readings SET decision_id = :decision WHERE event_id = ANY(:ids)"),
                {"decision": number, "ids": events},
            )
            if earlier is not None:  # left for later, and taken up now
                await _shrink(connection, earlier.id)
            await audit.record(
                connection,
                now,
                user.id,
                "reading_decided",
                row.conversation_id,
                decision=number,
                kind=kind,
                intent=intent,
                messages=len(events),
            )
            correction = await add(connection, events) if add is not None else None
            if correction is not None:
                await connection.execute(
                    text("UPDATE reading_decisions SET correction_id = :correction WHERE id = :id"),
                    {"correction": correction, "id": number},
                )
            await news.topic(connection, TOPIC)
            decision = await _decision(connection, int(number or 0))
        assert decision is not None
        return decision

    async def _members(
        self, connection: AsyncConnection, group: int, event: int, upto: int = 0, lock: bool = False
    ) -> _Members:
        """A message and all of its group that waits, until `upto`; with `lock`, until the transaction ends."""
        row = (
            await connection.execute(
                text(f"""
                    WITH members AS (
                        SELECT r.event_id, r.read_at FROM readings r
                        WHERE r.event_id = :event
                            OR r.group_id = :group AND r.event_id <= :upto AND {_STATES["waiting"]} AND {SHOWN}
                        ORDER BY r.event_id {"FOR UPDATE OF r" if lock else ""})
                    SELECT array_agg(event_id ORDER BY event_id) AS events, {_SHOWN_AS} AS shown FROM members
                """),  # noqa: S608
                {"group": group, "upto": upto, "event": event},
            )
        ).one()
        return _Members(list(row.events or ()), row.shown or "")

    async def undo(
        self, user: User, number: int, now: datetime, take_back: Callable[[AsyncConnection, int], Awaitable[None]]
    ) -> int | None:
        """Take a decision back, with its example (`take_back`, given the correction's number); returns one of its messages.

        None when all of them are gone. Raises NoSuchReading, Conflict, and whatever `take_back` raises.
        """
        _must(user, Capability.CORRECT)
        async with self._db.begin() as connection:
            await connection.execute(text("SELECT 1 FROM reading_decisions WHERE id = :id FOR UPDATE"), {"id": number})
            decision = await _decision(connection, number)
            if decision is None:
                raise NoSuchReading
            if decision.undone:
                raise Conflict("Cette décision est déjà annulée.", "Rien n’a été changé.")
            if decision.at < now - UNDO_WITHIN:
                raise Conflict(
                    "Cette décision date de plus d’une semaine.", "Corrigez l’exemple dans la page « Exemples »."
                )
            rows = await connection.execute(
                text(
                    "UPDATE readings SET decision_id = NULL WHERE decision_id = :id RETURNING event_id, conversation_id"
                ),
                {"id": number},
            )
            freed = sorted((row.event_id, row.conversation_id) for row in rows)
            await connection.execute(
                text("UPDATE reading_decisions SET undone_at = :now WHERE id = :id"), {"now": now, "id": number}
            )
            await audit.record(
                connection,
                now,
                user.id,
                "reading_undone",
                freed[0][1] if freed else None,
                decision=number,
                kind=decision.kind,
                messages=len(freed),
            )
            if decision.correction is not None:
                await take_back(connection, decision.correction)
            await news.topic(connection, TOPIC)
        return freed[0][0] if freed else None

    async def last(self, user: User) -> Decision | None:
        """This person's newest decision that stands: what « annuler » takes back."""
        async with self._db.begin() as connection:
            number = await connection.scalar(
                text("SELECT max(id) FROM reading_decisions WHERE user_id = :user AND undone_at IS NULL"),
                {"user": user.id},
            )
            return await _decision(connection, number) if number else None

    async def decision_of(self, event: int) -> Decision | None:
        """What stands about a message; None while nobody has decided."""
        async with self._db.begin() as connection:
            return await _decision_of(connection, event)

    async def must_wait(self, event: int) -> None:
        """Raise AlreadyDecided when somebody has decided about a message; having left it for later is no decision."""
        _must_wait(await self.decision_of(event))

    async def decision(self, number: int) -> Decision | None:
        """One decision; None when there is none of that number."""
        async with self._db.begin() as connection:
            return await _decision(connection, number)

    def _readable(self, rows: Iterable[Row[Any]]) -> Iterator[Reading]:
        """Without those whose words cannot be read: they hide no other."""
        for row in rows:
            with contextlib.suppress(SettingsError):
                yield self._reading(row)

    def _reading(self, row: Row[Any]) -> Reading:
        return Reading(
            event=row.event_id,
            conversation=row.conversation_id,
            platform=row.platform,
            at=row.at,
            words=self._codec.open(row.words, WORDS, row.event_id).decode(),
            ranking=[(str(name), float(chance)) for name, chance in row.ranking],
            intent=row.intent,
            confidence=row.confidence,
            danger=row.danger,
            route=row.route,
            clarified=row.clarified,
            model=row.model,
            unknown=row.unknown,
            reasons=list(row.reasons),
            agent_intent=row.agent_intent,
            group=row.group_id,
        )


def _must_wait(earlier: Decision | None) -> None:
    if earlier is not None and earlier.kind != "skipped":
        raise AlreadyDecided(earlier, f"{earlier.by} a déjà décidé de ce message.")


def _must(user: User, needs: Capability) -> None:
    if not user.may(needs):
        raise NotAllowed()


async def _decision_of(connection: AsyncConnection, event: int) -> Decision | None:
    number = await connection.scalar(text("SELECT decision_id FROM readings WHERE event_id = :id"), {"id": event})
    return await _decision(connection, number) if number else None


async def _decision(connection: AsyncConnection, number: int) -> Decision | None:
    row = (
        await connection.execute(
            text(f"SELECT {_DECISION} FROM reading_decisions d WHERE d.id = :id"),  # noqa: S608
            {"id": number},
        )
    ).one_or_none()
    if row is None:
        return None
    return Decision(
        row.id,
        row.at,
        row.user_id,
        row.by,
        row.kind,
        row.intent,
        row.messages,
        row.correction_id,
        row.undone_at is not None,
    )


async def _shrink(connection: AsyncConnection, number: int) -> None:
    """A message that was left for later is decided now: the skipping counts one less, and ends with the last."""
    await connection.execute(
        text("""
            UPDATE reading_decisions d SET messages = left_.n, undone_at = CASE WHEN left_.n = 0 THEN d.at END
            FROM (SELECT count(*) AS n FROM readings WHERE decision_id = :id) left_ WHERE d.id = :id
        """),
        {"id": number},
    )


__all__ = [
    "AlreadyDecided",
    "Decision",
    "Filters",
    "Group",
    "Meanwhile",
    "NoSuchReading",
    "Opened",
    "Reading",
    "ReviewStore",
]
