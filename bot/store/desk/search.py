"""Searching: names, words and notes over the keyed index, newest first or nearest first.

Most words are rare: one look at the index finds all. A frequent one stands in hundreds of thousands of messages; the search
then walks back through time: it asks the index for one span of hours, days, months at a time (`bot.store.search.span`),
makes the next span longer while it finds little and shorter when there is too much, and stops with a full page, at the
beginning of time, or when it has gathered `EFFORT` candidates; then it says how far it came, and the next page goes on.
What the index cannot tell (words in a row, the excerpt) is read from the texts themselves.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.clean import clean
from bot.core.errors import SettingsError
from bot.policy import search as words
from bot.policy.rights import Capability
from bot.policy.search import Part, Query
from bot.store import audit, places, search
from bot.store.accounts import User
from bot.store.codec import Codec
from bot.store.conversations import PROFILE
from bot.store.desk.access import CONVERSATION, HANDOFF, Conversation, Desk
from bot.store.desk.errors import NotAllowed
from bot.store.desk.said import said_of

PAGE = 20
NAMES = 4  # people shown above what was said
NEAREST_OF = 300  # the nearest are looked for among so many of the newest
READ_AT_ONCE = 200  # texts that are read together when the index alone cannot tell
SPAN_AT_MOST = 1_000  # candidates of one span: a longer one is cut
EFFORT = 20_000  # candidates of one page
READ_AT_MOST = 1_500  # texts read for one page
_HOUR_AT_MOST = 200_000
MOST_FREQUENT = 10_000  # searches whose words are remembered to be frequent

# Whose words: all that people wrote (the bot's own replies say every word there is), or one kind.
AUTHORS: Mapping[str, tuple[str, ...]] = {
    "": ("person", "inbox", "agent", "note"),
    "citoyen": ("person",),
    "agent": ("agent", "inbox"),
    "note": ("note",),
    "nom": ("name",),
    "assistant": ("automatic",),
}
STATES = ("open", "snoozed", "closed", "spam", "none")


@dataclass(frozen=True)
class Filters:
    """What narrows a search. `author`: a key of AUTHORS; `state`: of the last hand-off (STATES); days are local."""

    author: str = ""
    platform: str = ""
    category: str = ""
    state: str = ""
    since: date | None = None
    until: date | None = None
    near: bool = False  # the nearest first, instead of the newest


@dataclass(frozen=True)
class Cursor:
    """Where a page goes on: after that document, or (nearest first) after so many of those before `at`."""

    at: datetime
    kind: str = ""
    ref: int = 0
    skip: int = 0


@dataclass(frozen=True)
class Found:
    """Something found. `entry`: the id that its message has in the conversation's page; `start`: where its part begins."""

    kind: str
    ref: int
    conversation: Conversation
    at: datetime
    author: str  # person, inbox, agent, note, name, bot, night, emergency, system
    agent: str | None
    excerpt: tuple[Part, ...]
    entry: str
    start: datetime
    edited: bool = False


@dataclass(frozen=True)
class Results:
    """A page. `names`: people of that name; `reached`: how far back the search came, when it stopped before the end."""

    found: tuple[Found, ...]
    names: tuple[Found, ...] = ()
    following: Cursor | None = None
    reached: datetime | None = None


def _sql(conditions: str, joined: str, purposes: int, spanned: bool) -> TextClause:
    """`purposes`: in how many ways the words are hashed. Each is looked for in the index by itself, span included."""
    span = "AND tokens && CAST(:span AS bigint[])" if spanned else ""
    found = " OR ".join(
        f"tokens @> CAST(:terms{i} AS bigint[]) {span} AND tokens && CAST(:authors{i} AS bigint[])"
        for i in range(purposes)
    )
    return text(f"""
        WITH m AS MATERIALIZED (
            SELECT kind, ref, conversation_id, at FROM search_documents
            WHERE ({found}) AND NOT tokens && CAST(:without AS bigint[])
            LIMIT :most)
        SELECT (SELECT count(*) FROM m) AS candidates, f.*
        FROM (SELECT 1) AS one LEFT JOIN LATERAL (
            SELECT m.kind, m.ref, m.conversation_id, m.at FROM m {joined}
            WHERE m.at >= :since AND m.at < :until
              AND (m.at, m.kind, m.ref) < (CAST(:at AS timestamptz), CAST(:kind AS text), CAST(:ref AS bigint)) {conditions}
            ORDER BY m.at DESC, m.kind DESC, m.ref DESC LIMIT :limit) f ON true
    """)  # noqa: S608


_JOINED = """
    JOIN conversations c ON c.id = m.conversation_id
    LEFT JOIN LATERAL (
        SELECT category, state FROM handoffs WHERE conversation_id = c.id
        ORDER BY closed_at IS NULL DESC, id DESC LIMIT 1) h ON true
"""
# The index alone finds; the planner must not think that a frequent word is better read from the table.
_BEGIN = text("""
    SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true),
           set_config('max_parallel_workers_per_gather', '0', true),
           (SELECT min(at) FROM search_documents) AS oldest, (SELECT max(at) FROM search_documents) AS newest
""")

_EVENTS = text(f"""
    SELECT e.id, e.kind, e.body, {places.event("e")}, e.reason, e.at, o.id AS original, o.at AS original_at
    FROM events e LEFT JOIN LATERAL (
        SELECT id, at FROM events WHERE e.kind = 'edit' AND conversation_id = e.conversation_id AND mid = e.target
           AND kind NOT IN ('edit', 'unsend', 'reaction') LIMIT 1) o ON true
    WHERE e.id = ANY(:ids)
""")  # noqa: S608 (names of ours)
_OUTBOX = text("""
    SELECT o.id, o.conversation_id, o.author, o.message, u.name AS agent FROM outbox o LEFT JOIN users u ON u.id = o.user_id
    WHERE o.id = ANY(:ids)
""")
_NOTES = text(
    "SELECT n.id, n.conversation_id, n.body, u.name AS agent FROM notes n JOIN users u ON u.id = n.user_id"
    " WHERE n.id = ANY(:ids)"
)
_NAMES = text("SELECT id, profile FROM conversations WHERE id = ANY(:ids)")
_CONVERSATIONS = text(f"""
    SELECT {CONVERSATION}, {HANDOFF}
    FROM conversations c LEFT JOIN users u ON u.id = c.agent_id
    LEFT JOIN LATERAL (
        SELECT * FROM handoffs WHERE conversation_id = c.id ORDER BY closed_at IS NULL DESC, id DESC LIMIT 1) h ON true
    WHERE c.id = ANY(:ids)
""")  # noqa: S608

CONTEXT = timedelta(minutes=10)  # shown before the message that a result leads to


@dataclass(frozen=True)
class _Text:
    """The text of a document, and how the conversation's page calls its message."""

    text: str
    author: str
    entry: str
    at: datetime
    agent: str | None = None
    edited: bool = False


class SearchStore:
    """Finds what was said. `zone`: of the days in filters."""

    def __init__(self, desk: Desk, zone: ZoneInfo) -> None:
        self._desk = desk
        self._zone = zone
        self._frequent: set[tuple[int, ...]] = set()  # what proved to be everywhere: hashes, no words

    async def find(
        self, user: User, query: Query, filters: Filters, now: datetime, after: Cursor | None = None
    ) -> Results:
        """A page of what was found; the search is recorded, without its words. Raises NotAllowed."""
        if not user.may(Capability.READ):
            raise NotAllowed
        async with self._desk.database.begin() as connection:
            begin = (await connection.execute(_BEGIN)).one()
            bounds = begin.oldest or now, begin.newest or now
            codec = await search.asked(connection, self._desk.codec)
            walk = self._walk(connection, codec, query, filters, bounds, after)
            nearest = filters.near and filters.author != "nom"
            results = await (self._nearest if nearest else self._newest)(connection, walk, query, now, after)
            if filters.author == "" and after is None:
                people = self._walk(connection, codec, query, Filters(author="nom"), bounds, None)
                found = await people.next(NAMES)
                results = Results(
                    results.found, await self._shown(connection, query, found), results.following, results.reached
                )
            await audit.record(
                connection, now, user.id, "search", results=len(results.found), names=len(results.names),
                author=filters.author or "tous", further=after is not None,
                seen=[one.conversation.id for one in (*results.found, *results.names)],
            )  # fmt: skip
        return results

    def _walk(
        self,
        connection: AsyncConnection,
        codec: Codec,
        query: Query,
        filters: Filters,
        bounds: tuple[datetime, datetime],
        after: Cursor | None,
    ) -> _Walk:
        oldest, newest = bounds
        since = self._midnight(filters.since) if filters.since else oldest
        until = newest + timedelta(microseconds=1)
        if filters.until:
            until = min(until, self._midnight(filters.until + timedelta(days=1)))
        purposes = search.sought(AUTHORS[filters.author])
        without = [search.fingerprint(codec, term, purpose) for term in query.without for purpose in purposes]
        conditions = ""
        if filters.platform:
            conditions += " AND c.platform = :platform"
        if filters.category:
            conditions += " AND h.category = :category"
        if filters.state:
            conditions += " AND h.state IS NULL" if filters.state == "none" else " AND h.state = :state"
        values: dict[str, Any] = {
            "without": without,
            "since": max(since, oldest),
            "until": until,
        }
        for i, (purpose, authors) in enumerate(purposes.items()):
            values[f"terms{i}"] = [search.fingerprint(codec, term, purpose) for term in query.terms]
            values[f"authors{i}"] = authors
        for name in ("platform", "category", "state"):
            if f":{name}" in conditions:
                values[name] = getattr(filters, name)
        start = after if after is not None and not filters.near else Cursor(until)
        if after is not None and filters.near:
            start = Cursor(after.at)
        joined = _JOINED if conditions else ""
        queries = tuple(_sql(conditions, joined, len(purposes), spanned) for spanned in (False, True))
        if len(self._frequent) > MOST_FREQUENT:
            self._frequent.clear()
        return _Walk(connection, queries, values, start, self._frequent)

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self._zone)

    async def _newest(
        self, connection: AsyncConnection, walk: _Walk, query: Query, now: datetime, after: Cursor | None
    ) -> Results:
        found: list[Found] = []
        read = 0
        while len(found) <= PAGE and read < READ_AT_MOST:
            rows = await walk.next(READ_AT_ONCE if query.reads else PAGE + 1)
            if not rows:
                break
            read += len(rows)
            found += await self._shown(connection, query, rows)
        if len(found) > PAGE:
            last = found[PAGE - 1]
            return Results(tuple(found[:PAGE]), following=Cursor(last.at, last.kind, last.ref))
        if walk.over:
            return Results(tuple(found))
        return Results(tuple(found), following=walk.cursor, reached=walk.cursor.at)

    async def _nearest(
        self, connection: AsyncConnection, walk: _Walk, query: Query, now: datetime, after: Cursor | None
    ) -> Results:
        rows: list[Row[Any]] = []
        while len(rows) < NEAREST_OF and (more := await walk.next(NEAREST_OF - len(rows))):
            rows += more
        texts = await self._texts(connection, rows)
        held = [row for row in rows if (row.kind, row.ref) in texts]
        if query.reads:
            held = [row for row in held if words.says(query, texts[(row.kind, row.ref)].text)]
        # Sorting keeps the newest first among equals.
        held.sort(key=lambda row: -words.nearness(query, texts[(row.kind, row.ref)].text))
        skip = after.skip if after else 0
        shown = await self._shown(connection, query, held[skip : skip + PAGE])
        following = None
        if len(held) > skip + PAGE:
            following = Cursor(after.at if after else now + timedelta(seconds=1), skip=skip + PAGE)
        return Results(shown, following=following)

    # -- from documents to what is shown ---------------------------------------------------------------------------

    async def _shown(self, connection: AsyncConnection, query: Query, rows: Sequence[Row[Any]]) -> tuple[Found, ...]:
        """Those whose text is there and says what was looked for, in the same order."""
        texts = await self._texts(connection, rows)
        held = [
            (row, said)
            for row in rows
            if (said := texts.get((row.kind, row.ref))) is not None
            and (not query.reads or words.says(query, said.text))
        ]
        ids = list({row.conversation_id for row, _ in held})
        opened = (await connection.execute(_CONVERSATIONS, {"ids": ids})).all() if ids else []
        conversations = {row.id: self._desk.conversation(row) for row in opened}
        return tuple(
            Found(
                kind=row.kind,
                ref=row.ref,
                conversation=conversations[row.conversation_id],
                at=row.at,
                author=said.author,
                agent=said.agent,
                excerpt=words.excerpt(query, said.text),
                entry=said.entry,
                start=said.at - CONTEXT,
                edited=said.edited,
            )
            for row, said in held
        )

    async def _texts(self, connection: AsyncConnection, rows: Sequence[Row[Any]]) -> dict[tuple[str, int], _Text]:
        """(kind, ref) → its text, of what can still be shown."""
        ids: dict[str, dict[int, datetime]] = {}
        for row in rows:
            ids.setdefault(row.kind, {})[row.ref] = row.at
        codec, texts = self._desk.codec, {}
        for kind, query in (
            (search.EVENT, _EVENTS),
            (search.OUTBOX, _OUTBOX),
            (search.NOTE, _NOTES),
            (search.NAME, _NAMES),
        ):
            if kind not in ids:
                continue
            for row in await connection.execute(query, {"ids": list(ids[kind])}):
                at = ids[kind][row.id]
                if kind == search.EVENT:
                    said = self._event(row)
                elif kind == search.OUTBOX:
                    message = codec.readable_json(row.message, "outbox.message", row.conversation_id, row.id) or {
                        "text": ""
                    }
                    words_ = clean(message["text"])
                    said = _Text(words_, row.author, f"o{row.id}", at, row.agent)
                elif kind == search.NOTE:
                    note = ""
                    with contextlib.suppress(SettingsError):
                        note = codec.open(row.body, "notes.body", row.conversation_id, row.id).decode()
                    said = _Text(note, "note", f"note-{row.id}", at, row.agent)
                else:
                    profile = codec.readable_json(row.profile, PROFILE, row.id) or {}
                    said = _Text(clean(str(profile.get("name") or profile.get("username") or "")), "name", "", at)
                if said is not None and said.text:
                    texts[(kind, row.id)] = said
        return texts

    def _event(self, row: Row[Any]) -> _Text | None:
        """What a person wrote, or a human in Meta's inbox; an edit stands at the message that it changed."""
        if row.kind == "echo" and row.reason not in ("inbox_reply", "inbox_automation"):
            return None
        said = said_of(self._desk.codec, row.kind, row.body, row.place)
        if said.withdrawn or (row.kind == "edit" and row.original is None):
            return None
        author = "inbox" if row.kind == "echo" else "person"
        at = row.original_at or row.at
        return _Text(said.text, author, f"e{row.original or row.id}", at, edited=row.kind == "edit")


class _Walk:
    """Goes back through time; `next` gives the next documents, newest first.

    `queries`: over everything, over a span. Everything is asked for unless that is known (`frequent`), or proves, to be
    too much.
    """

    def __init__(
        self,
        connection: AsyncConnection,
        queries: tuple[TextClause, ...],
        values: dict[str, Any],
        start: Cursor,
        frequent: set[tuple[int, ...]],
    ) -> None:
        self._connection = connection
        self._queries = queries
        self._values = values
        self.cursor = start
        self._hour = search.hours(min(start.at, values["until"]))
        self._first = search.hours(values["since"])
        self._frequent = frequent
        self._key = (*values["terms0"], *values["authors0"])
        self._rare = self._key not in frequent
        self._width = 6  # hours
        self._effort = 0

    @property
    def over(self) -> bool:
        """Whether there is nothing further back."""
        return self._hour < self._first

    async def next(self, limit: int) -> Sequence[Row[Any]]:
        """At most `limit` documents; none when all were given, or it took too much effort."""
        while not self.over and self._effort < EFFORT:
            first = self._first if self._rare else self._begin()
            can_be_cut = self._rare or first < self._hour
            candidates, rows = await self._ask(first, limit, SPAN_AT_MOST if can_be_cut else _HOUR_AT_MOST)
            self._effort += candidates
            if can_be_cut and candidates >= SPAN_AT_MOST:
                if self._rare:
                    self._frequent.add(self._key)
                else:
                    self._width = max(1, (self._hour - first + 1) // 8)
                self._rare = False
                continue
            if len(rows) == limit:
                last = rows[-1]
                self.cursor = Cursor(last.at, last.kind, last.ref)
                self._hour = search.hours(last.at)
                return rows
            self._hour = first - 1
            self._width *= 8 if candidates < SPAN_AT_MOST // 20 else 2 if candidates < SPAN_AT_MOST // 3 else 1
            self.cursor = Cursor(search.begin_of(first))
            if rows:
                return rows
        return ()

    def _begin(self) -> int:
        """The first hour of the next span; long ones begin with a day or a month, which takes fewer tokens."""
        first = self._hour - self._width + 1
        unit = 24 * search.DAYS_A_MONTH if self._width >= 24 * search.DAYS_A_MONTH else 24 if self._width >= 24 else 1
        return max(self._first, first - first % unit)

    async def _ask(self, first: int, limit: int, most: int) -> tuple[int, Sequence[Row[Any]]]:
        values = {
            **self._values,
            "at": self.cursor.at,
            "kind": self.cursor.kind,
            "ref": self.cursor.ref,
            "limit": limit,
            "most": most,
        }
        if not self._rare:
            values["span"] = search.span(first, self._hour)
        query = self._queries[0 if self._rare else 1]
        rows = (await self._connection.execute(query, values)).all()
        return rows[0].candidates, [row for row in rows if row.kind is not None]
