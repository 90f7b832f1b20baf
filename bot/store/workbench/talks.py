"""Conversations as the model saw them: found by what was made of them, read turn by turn, and what trainers made of them.

`TalkStore.access` is the workbench's own door to a conversation: it opens to SEE_WORKBENCH, to read what was said and what was
understood. Who the person is, notes and attachments stay behind the desk's door (`desk.access`). Each reading is recorded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.clean import clean, for_understanding
from bot.core.errors import SettingsError
from bot.core.messages import Message, Postback, body_from_json
from bot.policy.intents import ANSWER, CLARIFY, EMERGENCY, HANDOFF
from bot.policy.rights import Capability
from bot.store import audit, places
from bot.store.codec import Codec
from bot.store.conversations import BODY, STATE
from bot.store.desk.access import Desk
from bot.store.desk.errors import Conflict, NoSuchConversation, NotAllowed
from bot.store.desk.thread import Entry, Part, ThreadStore
from bot.store.user import User
from bot.store.workbench.readings import WORDS

PAGE = 30  # conversations of a list
PATH = 8  # turns of a conversation that the list names
TWICE = "twice"  # asked twice to say it otherwise
SHOWN = ("", ANSWER, CLARIFY, TWICE, HANDOFF, EMERGENCY)
LOST = "incompris"  # reason of the hand-off after two misunderstandings


@dataclass(frozen=True)
class Filters:
    """`show`: one of SHOWN; `intent`: one of ours, or ""."""

    show: str = ""
    intent: str = ""

    @property
    def any(self) -> bool:
        """Whether the list is narrowed."""
        return bool(self.show or self.intent)


@dataclass(frozen=True)
class Cursor:
    """Where the next page begins: after this moment, and this number (of an event, or of a conversation)."""

    at: datetime
    id: int


_NEWEST = Cursor(datetime(9999, 12, 31, tzinfo=timezone.utc), 0)


@dataclass(frozen=True)
class Step:
    """What one message was read as. `event`: its number."""

    event: int
    intent: str | None
    route: str | None


@dataclass(frozen=True)
class Found:
    """A conversation of the list, without its words. `steps`: the last ones, oldest first; `more`: there are earlier ones."""

    id: int
    platform: str
    at: datetime
    messages: int
    steps: tuple[Step, ...]
    more: bool


@dataclass(frozen=True)
class Page:
    """A page of the list, newest first."""

    found: tuple[Found, ...]
    following: Cursor | None


@dataclass(frozen=True)
class Turn:
    """What a person wrote and the model read as one. `events`: their numbers, in order; `entries`: as they were written.

    `seen`: the text that the model got; `payload`: of a tap. `kept`: whether ranking, danger and model are known (they are
    kept since the workbench exists); `decided`: the intent that a trainer told; `answers`: texts of ours that answered it.
    `usable`: the assistant dealt with it by itself, so that it may stand in a story or a test.
    """

    events: tuple[int, ...]
    entries: tuple[Entry, ...]
    at: datetime
    seen: str
    payload: str | None
    intent: str | None
    confidence: float | None
    entities: Mapping[str, str]
    route: str | None
    disposition: str | None
    reason: str | None
    outbox: int | None
    answers: tuple[str, ...] = ()
    kept: bool = False
    ranking: tuple[tuple[str, float], ...] = ()
    danger: float | None = None
    model: str = ""
    unknown: int = 0
    decided: str | None = None

    @property
    def lost(self) -> bool:
        """Whether the assistant had to ask again, or gave up."""
        return self.route == CLARIFY or self.reason == LOST

    @property
    def usable(self) -> bool:
        """Whether a story or a test may hold it."""
        dealt = self.disposition in ("answered", "handed_off") or self.reason == "declared_silence"
        read = self.intent is not None and bool(self.seen or self.payload)
        return dealt and read and self.route in (ANSWER, HANDOFF, CLARIFY) and not self.withdrawn

    @property
    def withdrawn(self) -> bool:
        """Whether the person took some of it back."""
        return any(entry.said.withdrawn for entry in self.entries)


@dataclass(frozen=True)
class Talk:
    """A part of a conversation. `items`: turns of the person and what was said to her, in order."""

    id: int
    platform: str
    owner: str
    since: datetime
    items: tuple[Turn | Entry, ...]
    older: datetime | None
    newer: bool
    state: Mapping[str, Any] = field(default_factory=dict)

    @property
    def turns(self) -> list[Turn]:
        """What the person wrote."""
        return [item for item in self.items if isinstance(item, Turn)]


# -- the list ------------------------------------------------------------------------------------------------------------

_RECENT = text("""
    SELECT c.id AS ref, c.id, c.platform, c.last_person_at AS at FROM conversations c
    WHERE c.last_person_at IS NOT NULL AND (c.last_person_at, c.id) < (CAST(:at AS timestamptz), CAST(:ref AS bigint))
    ORDER BY c.last_person_at DESC, c.id DESC LIMIT :limit
""")
# Two messages of one conversation that the assistant did not understand; what is read together is one.
_TWICE = """AND 2 <= (SELECT count(DISTINCT coalesce(t.outbox_id, -t.id)) FROM events t
    WHERE t.conversation_id = e.conversation_id AND (t.route = 'clarify' OR t.reason = 'incompris'))"""


def _by_events(route: bool, intent: bool, twice: bool) -> Any:
    """The newest fitting message of each conversation, newest first: an index gives them in order, so that the first page of
    a hundred thousand costs what the first of a hundred does."""
    fits = ("AND {0}.route = :route " if route else "") + ("AND {0}.intent = :intent" if intent else "")
    return text(f"""
        SELECT e.id AS ref, e.conversation_id AS id, e.platform, e.at FROM events e
        WHERE e.conversation_id IS NOT NULL {fits.format("e")}
          AND (e.at, e.id) < (CAST(:at AS timestamptz), CAST(:ref AS bigint))
          AND NOT EXISTS (SELECT FROM events n WHERE n.conversation_id = e.conversation_id AND (n.at, n.id) > (e.at, e.id)
                          {fits.format("n")})
          {_TWICE if twice else ""}
        ORDER BY e.at DESC, e.id DESC LIMIT :limit
    """)  # noqa: S608


_LISTS = {
    (route, intent, twice): _by_events(route, intent, twice)
    for route, intent, twice in (
        (True, False, False),
        (False, True, False),
        (True, True, False),
        (True, False, True),
        (True, True, True),
    )
}
_STEPS = text("""
    SELECT c.id, s.event, s.intent, s.route, m.n AS messages FROM unnest(CAST(:ids AS bigint[])) AS c(id)
    CROSS JOIN LATERAL (SELECT count(*) AS n FROM (
        SELECT FROM events WHERE conversation_id = c.id AND intent IS NOT NULL LIMIT 1000) few) m
    LEFT JOIN LATERAL (
        SELECT id AS event, intent, route, at FROM events
        WHERE conversation_id = c.id AND intent IS NOT NULL ORDER BY at DESC, id DESC LIMIT :most) s ON true
    ORDER BY c.id, s.at, s.event
""")

# -- a conversation --------------------------------------------------------------------------------------------------------

_DOOR = text("SELECT id, platform, owner, created_at, state FROM conversations WHERE id = :id")
_MOMENT = text("SELECT min(at) FROM events WHERE conversation_id = :id AND id = ANY(:events)")
_MORE = text(f"""
    SELECT id, kind, body, route, disposition, reason, outbox_id, {places.event("events")} FROM events
    WHERE conversation_id = :id AND id = ANY(:events)
""")  # noqa: S608 (names of ours)
_READINGS = text("""
    SELECT r.event_id, r.also, r.words, r.ranking, r.intent, r.confidence, r.danger, r.route, r.model, r.unknown,
        d.intent AS decided
    FROM readings r LEFT JOIN reading_decisions d ON d.id = r.decision_id AND d.undone_at IS NULL
    WHERE r.conversation_id = :id AND r.event_id = ANY(:events)
""")


class TalkStore:
    """Finds and reads conversations for trainers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._threads = ThreadStore(desk)

    async def access(self, connection: AsyncConnection, user: User, conversation_id: int) -> Row[Any]:
        """The workbench's door to a conversation: what it is, without who the person is.

        Raises NotAllowed before it says whether there is such a conversation, else NoSuchConversation.
        """
        if not user.may(Capability.SEE_WORKBENCH):
            raise NotAllowed()
        row = (await connection.execute(_DOOR, {"id": conversation_id})).one_or_none()
        if row is None:
            raise NoSuchConversation
        return row

    async def page(self, user: User, filters: Filters, after: Cursor | None = None) -> Page:
        """Conversations that fit, newest first. Raises NotAllowed."""
        if not user.may(Capability.SEE_WORKBENCH):
            raise NotAllowed()
        start = after or _NEWEST
        values: dict[str, Any] = {"at": start.at, "ref": start.id, "limit": PAGE + 1}
        query = _RECENT
        if filters.any:
            route = CLARIFY if filters.show == TWICE else filters.show
            query = _LISTS[bool(route), bool(filters.intent), filters.show == TWICE]
            values |= {name: value for name, value in (("route", route), ("intent", filters.intent)) if value}
        async with self._desk.database.begin() as connection:
            rows = (await connection.execute(query, values)).all()
            shown = rows[:PAGE]
            steps = await self._steps(connection, [row.id for row in shown])
        found = tuple(_found(row, *steps.get(row.id, ((), 0))) for row in shown)
        return Page(found, Cursor(shown[-1].at, shown[-1].ref) if len(rows) > PAGE else None)

    async def _steps(self, connection: AsyncConnection, ids: Sequence[int]) -> dict[int, tuple[tuple[Step, ...], int]]:
        if not ids:
            return {}
        found: dict[int, tuple[tuple[Step, ...], int]] = {}
        for row in await connection.execute(_STEPS, {"ids": list(ids), "most": PATH}):
            before = found.get(row.id, ((), 0))[0]
            own = (Step(row.event, row.intent, row.route),) if row.event is not None else ()
            found[row.id] = ((*before, *own), int(row.messages))
        return found

    async def talk(
        self, user: User, conversation_id: int, now: datetime, part: Part | None = None, event: int = 0
    ) -> Talk:
        """A part of a conversation (`event`: the one that begins with this message); that this trainer read it is recorded,
        once in a while."""
        async with self._desk.database.begin() as connection:
            row = await self.access(connection, user, conversation_id)
            at = await connection.scalar(_MOMENT, {"id": conversation_id, "events": [event]}) if event else None
            part = Part(start=at) if at is not None else part
            await audit.record_once(connection, now, user.id, "talk_read", conversation_id)
            entries, older, newer = await self._threads.part(connection, conversation_id, part or Part())
            items = await self._items(connection, conversation_id, entries)
        state = self._desk.codec.readable_json(row.state, STATE, row.id)
        told = state if isinstance(state, dict) else {}
        return Talk(row.id, row.platform, row.owner, row.created_at, tuple(items), older, newer, told)

    async def chosen(self, user: User, conversation_id: int, now: datetime, events: Iterable[int]) -> list[Turn]:
        """The turns of these messages, in order; what is no turn of that conversation is left out."""
        wanted = set(events)
        async with self._desk.database.begin() as connection:
            await self.access(connection, user, conversation_id)
            await audit.record_once(connection, now, user.id, "talk_read", conversation_id)
            since = await connection.scalar(_MOMENT, {"id": conversation_id, "events": sorted(wanted)})
            if since is None:
                return []
            entries, _, _ = await self._threads.part(connection, conversation_id, Part(since=since))
            items = await self._items(connection, conversation_id, entries)
        return [item for item in items if isinstance(item, Turn) and wanted & set(item.events)]

    async def _items(
        self, connection: AsyncConnection, conversation_id: int, entries: Sequence[Entry]
    ) -> list[Turn | Entry]:
        numbers = [_number(entry) for entry in entries if entry.author == "person"]
        values = {"id": conversation_id, "events": numbers}
        more = {row.id: row for row in await connection.execute(_MORE, values)}
        readings = {row.event_id: row for row in await connection.execute(_READINGS, values)}
        items: list[Turn | Entry] = []
        for entry in entries:
            if entry.author != "person" or _number(entry) not in more:
                items.append(entry)
                continue
            row = more[_number(entry)]
            last = items[-1] if items else None
            if isinstance(last, Turn) and _together(last, row, readings.get(last.events[0])):
                items[-1] = _grown(last, entry)
            else:
                items.append(_turn(self._desk.codec, entry, row, readings.get(row.id)))
        said = {entry.id: entry.said.text for entry in entries}
        return [
            replace(item, answers=(said[f"o{item.outbox}"],))
            if isinstance(item, Turn) and f"o{item.outbox}" in said
            else item
            for item in items
        ]


def _number(entry: Entry) -> int:
    return int(entry.id[1:])


def _found(row: Row[Any], steps: tuple[Step, ...], messages: int) -> Found:
    return Found(row.id, row.platform, row.at, messages, steps, messages > len(steps))


def _together(before: Turn, row: Row[Any], reading: Row[Any] | None) -> bool:
    """Whether a message was read together with the one before."""
    if reading is not None:
        return row.id in reading.also
    return row.outbox_id is not None and row.outbox_id == before.outbox and before.payload is None


def _turn(codec: Codec, entry: Entry, row: Row[Any], reading: Row[Any] | None) -> Turn:
    turn = Turn(
        events=(row.id,),
        entries=(entry,),
        at=entry.at,
        seen=for_understanding(clean(entry.said.text)),
        payload=_payload(codec, row),
        intent=entry.intent,
        confidence=entry.confidence,
        entities=entry.found,
        route=row.route,
        disposition=row.disposition,
        reason=row.reason,
        outbox=row.outbox_id,
    )
    return turn if reading is None else _read(codec, turn, reading)


def _read(codec: Codec, turn: Turn, reading: Row[Any]) -> Turn:
    """With what was kept of its reading."""
    seen = turn.seen
    with contextlib.suppress(SettingsError):  # what cannot be read hides no other
        seen = codec.open(reading.words, WORDS, reading.event_id).decode()
    return replace(
        turn,
        seen=seen,
        intent=reading.intent or turn.intent,
        confidence=reading.confidence,
        route=turn.route or reading.route,
        kept=True,
        ranking=tuple((str(name), float(chance)) for name, chance in reading.ranking),
        danger=reading.danger,
        model=reading.model,
        unknown=reading.unknown,
        decided=reading.decided,
    )


def _grown(turn: Turn, entry: Entry) -> Turn:
    """With a message that was read together with it."""
    own = turn.seen if turn.kept else "\n".join(t for t in (turn.seen, for_understanding(clean(entry.said.text))) if t)
    return replace(
        turn,
        events=(*turn.events, _number(entry)),
        entries=(*turn.entries, entry),
        seen=own,
        entities={**turn.entities, **entry.found},
    )


def _payload(codec: Codec, row: Row[Any]) -> str | None:
    """What a tap said to us; None for written words."""
    if row.kind not in ("quick_reply", "postback"):
        return None
    stored = codec.readable_json(row.body, BODY, row.place)
    body = None if stored is None else body_from_json(stored)
    if isinstance(body, Postback):
        return body.payload or None
    return (body.quick_reply or None) if isinstance(body, Message) else None


# -- what trainers made of conversations ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Made:
    """A story or a test that was made of a conversation. `text`: what was written, public; `user`: who did it."""

    id: int
    conversation: int | None
    at: datetime
    user_id: int
    user: str
    kind: str
    name: str
    file: str
    text: str
    undone_at: datetime | None


_MADE = """SELECT m.id, m.conversation_id AS conversation, m.at, m.user_id, u.name AS user, m.kind, m.name, m.file, m.text,
    m.undone_at FROM stories_made m JOIN users u ON u.id = m.user_id"""


class MadeStore:
    """Who made which story or test of which conversation, and who took it back."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def record(
        self, connection: AsyncConnection, user: User, now: datetime, conversation_id: int, made: Mapping[str, str]
    ) -> int:
        """Keep it, and say so in the audit. `made`: kind, name, file, text."""
        number = await connection.scalar(
            text("""
                INSERT INTO stories_made (conversation_id, at, user_id, kind, name, file, text)
                VALUES (:id, :at, :user, :kind, :name, :file, :text) RETURNING id
            """),
            {"id": conversation_id, "at": now, "user": user.id, **made},
        )
        await audit.record(connection, now, user.id, "story_added", conversation_id, story=int(number or 0))
        return int(number or 0)

    async def of(self, connection: AsyncConnection, conversation_id: int) -> list[Made]:
        """What was made of that conversation and stands, the newest first."""
        rows = await connection.execute(
            text(f"{_MADE} WHERE m.conversation_id = :id AND m.undone_at IS NULL ORDER BY m.id DESC LIMIT 20"),
            {"id": conversation_id},
        )
        return [Made(**row._mapping) for row in rows]

    async def undoing(self, connection: AsyncConnection, conversation_id: int, number: int) -> Made:
        """What is to be taken back, locked. Raises Conflict when it was already, or never was."""
        row = (
            await connection.execute(
                text(
                    f"{_MADE} WHERE m.id = :number AND m.conversation_id = :id AND m.undone_at IS NULL FOR UPDATE OF m"
                ),
                {"number": number, "id": conversation_id},
            )
        ).one_or_none()
        if row is None:
            raise Conflict("C’est déjà annulé.", "Rechargez la page.")
        return Made(**row._mapping)

    async def undone(self, connection: AsyncConnection, user: User, now: datetime, made: Made) -> None:
        """Keep that it was taken back."""
        await connection.execute(
            text("UPDATE stories_made SET undone_at = :at, undone_by = :user WHERE id = :id"),
            {"at": now, "user": user.id, "id": made.id},
        )
        await audit.record(connection, now, user.id, "story_undone", made.conversation, story=made.id)

    @staticmethod
    async def standing(connection: AsyncConnection, file: str) -> list[Made]:
        """What was made into a file and stands, the newest first."""
        rows = await connection.execute(
            text(f"{_MADE} WHERE m.file = :file AND m.undone_at IS NULL ORDER BY m.id DESC"), {"file": file}
        )
        return [Made(**row._mapping) for row in rows]

    @staticmethod
    async def discarded(connection: AsyncConnection, user: User, now: datetime, numbers: Sequence[int]) -> None:
        """Their file went back to its last commit: these are taken back with it."""
        await connection.execute(
            text("""
                UPDATE stories_made SET undone_at = :at, undone_by = :user
                WHERE id = ANY(CAST(:ids AS bigint[])) AND undone_at IS NULL
            """),
            {"at": now, "user": user.id, "ids": list(numbers)},
        )
