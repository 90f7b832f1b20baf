"""A person by their platform id: everything that stands of them, and its erasure (docs/rgpd.md, « Répondre à une demande »).

What goes with a conversation is told by `bot.store.retention`, and erased there. Beside it stand raw webhook bodies that
belong to no conversation, or that somebody else's legal hold keeps: those are read through and cut.
"""

# ruff: noqa: S608
# (Statements are put together from our own parts; values are bound.)

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.errors import Explained, SettingsError
from bot.policy.retention import DEFAULT, Class, class_of
from bot.store import audit, erased, facts, places, raw_bodies, retention
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.inbox import RAW
from bot.store.purge import AGAIN, ERASED, ROWS, TRIMMED, Origin, register
from bot.store.retention import Counts

PAGE = 500  # raw bodies read in one statement
ORIGIN = Origin("person")
UNREADABLE = "illisible : aucune clé ne l’ouvre"
_PAUSE = 0.5  # seconds between two looks at a message that is being handled

_FIND = text("""
    SELECT id, platform, account, person FROM conversations
    WHERE person = :person AND (CAST(:platform AS text) IS NULL OR platform = :platform)
        AND (CAST(:account AS text) IS NULL OR account = :account) ORDER BY id
""")
_RAW = text("SELECT id, raw FROM deliveries WHERE id > :after ORDER BY id LIMIT :page")
_BODY = text("SELECT raw FROM deliveries WHERE id = :id FOR UPDATE")
_LOCK = text("SELECT id FROM conversations WHERE id = :id FOR UPDATE")
# A worker or the sender has something of it in hand this very moment: that never lasts.
_IN_HAND = text("""
    SELECT EXISTS (SELECT FROM conversations WHERE id = :id AND lease_until > clock_timestamp())
        OR EXISTS (SELECT FROM outbox WHERE conversation_id = :id AND status = 'queued' AND lease_until > clock_timestamp())
""")
_EXAMPLES = text("""
    SELECT c.kind, c.file, coalesce(c.to_intent, c.intent) AS intent FROM corrections c
    WHERE c.undone_at IS NULL
        AND c.events && ARRAY(SELECT id FROM events WHERE conversation_id = ANY(:ids))::bigint[] ORDER BY c.id
""")
_STORIES = text("SELECT kind, file, name FROM stories_made WHERE conversation_id = ANY(:ids) AND undone_at IS NULL")
# Events that belong to no conversation, whose webhook named the person all the same.
_NOBODYS = "conversation_id IS NULL AND delivery_id = ANY(:deliveries) AND mid = ANY(:mids)"

# What was done to a conversation, and the lists that showed it among others: two indexes.
_LINES = """t.id IN (SELECT id FROM audit WHERE conversation_id = ANY(:ids)
    UNION ALL SELECT id FROM audit WHERE conversations && CAST(:ids AS bigint[]))"""
# How the rows of a table belong to conversations `:ids`; by default by their column `conversation_id`.
_BY: Mapping[str, str] = {
    "conversations": "t.id = ANY(:ids)",
    "deliveries": "false",  # they are read through
    "caught": "t.conversation_id = ANY(:ids)",
    "message_groups": "t.sample_id IN (SELECT id FROM events WHERE conversation_id = ANY(:ids))",
    "validations": "t.submission_id IN (SELECT id FROM submissions WHERE conversation_id = ANY(:ids))",
    "corrections": "t.events && ARRAY(SELECT id FROM events WHERE conversation_id = ANY(:ids))::bigint[]",
    "audit": _LINES,
}


class Unknown(Explained):
    """Nobody of that id or number."""

    def __init__(self) -> None:
        super().__init__(
            "Rien n’est enregistré sous cet identifiant ou ce numéro.",
            "Vérifiez-le, ou donnez --conversation et le numéro que montre la console. Une personne a un identifiant par page "
            "et par plateforme.",
        )


class Standing(Explained):
    """Somebody is at one of these conversations. `why`: the slugs of `bot.store.purge.PROTECTED`."""

    def __init__(self, why: str) -> None:
        what, remedy = _WHY[why]
        super().__init__(what, remedy)
        self.why = why


_ANYWAY = "ou relancez avec --malgre pour effacer tout de même."
_WHY = {
    "emergency": (
        "Une urgence est ouverte pour cette personne : rien n’a été effacé.",
        f"Traitez-la et clôturez-la dans la console, {_ANYWAY}",
    ),
    "open": (
        "Une demande de cette personne est ouverte : rien n’a été effacé.",
        f"Clôturez-la dans la console, {_ANYWAY}",
    ),
    "agent": (
        "Un agent suit cette conversation, ou l’attend : rien n’a été effacé.",
        f"Rendez-la à l’assistant dans la console, {_ANYWAY}",
    ),
    "validation": (
        "Une réponse à cette personne attend une validation : rien n’a été effacé.",
        f"Faites-la valider ou retirer dans la console, {_ANYWAY}",
    ),
    "in_flight": (
        "Un message de cette personne attend sa réponse (la nuit, jusqu’au matin) : l’effacement n’est pas allé à son terme.",
        f"Relancez plus tard, {_ANYWAY}",
    ),
    "in_hand": (
        "Un message de cette personne est en cours de traitement depuis trop longtemps : l’effacement n’est pas allé à son terme.",
        "Relancez dans une minute.",
    ),
}


@dataclass(frozen=True)
class Found:
    """Who is meant: their conversations, and the raw bodies that name them."""

    person: str
    conversations: Sequence[Row[Any]]
    deliveries: Sequence[int]
    texts: frozenset[str]  # of the person's items there, message ids among them
    unreadable: int = 0  # raw bodies that no key of ours opens, whomever they name

    @property
    def ids(self) -> list[int]:
        """Of the conversations."""
        return [row.id for row in self.conversations]


@dataclass
class Erasure:
    """What went, or would. `examples`: (kind, file, intent); `stories`: (kind, file, name): public, pseudonymised."""

    counts: Counts = field(default_factory=Counter)
    conversations: int = 0
    rewritten: int = 0  # raw bodies of others that lost what was this person's
    audit: int = 0  # lines of the audit whose number leads nowhere now
    unreadable: int = 0  # raw bodies that stay because no key of ours opens them: nothing leads from the person to them
    examples: list[tuple[str, str, str]] = field(default_factory=list)
    stories: list[tuple[str, str, str]] = field(default_factory=list)
    blocked: str | None = None  # preview: why it would be refused


class Persons:
    """What is done for one person."""

    def __init__(self, database: Database, codec: Codec) -> None:
        self._db = database
        self.now = database.now
        self._codec = codec

    async def find(self, person: str, platform: str | None = None, account: str | None = None) -> Found:
        """Raises Unknown when nothing stands under that id, SettingsError with another key than that of the data."""
        asked = {"person": person, "platform": platform, "account": account}
        async with self._db.begin() as connection:
            await facts.check_canary(connection, self._codec)
            await connection.rollback()  # asking notes no key
        async with self._db.begin() as connection:
            rows = (await connection.execute(_FIND, asked)).all()
        deliveries, texts, unreadable = list[int](), set[str](), list[int]()
        async for id_, raw in self._raw(person, unreadable):
            deliveries.append(id_)
            texts |= raw_bodies.ids(raw, person)
        found = Found(person, rows, deliveries, frozenset(texts), len(unreadable))
        if not rows and not deliveries:
            raise Unknown
        return found

    async def behind(self, conversation: int) -> str:
        """The id of the person of a conversation. Raises Unknown, also where it was pseudonymised."""
        query = text("SELECT person FROM conversations WHERE id = :id AND erased_at IS NULL")
        async with self._db.begin() as connection:
            person = await connection.scalar(query, {"id": conversation})
        if person is None:
            raise Unknown
        return str(person)

    async def _raw(self, person: str, unreadable: list[int]) -> AsyncIterator[tuple[int, bytes]]:
        """(id, body) of every webhook that names the person. `unreadable` gets the ids of those that no key opens."""
        after = 0
        while True:
            async with self._db.begin() as connection:
                rows = (await connection.execute(_RAW, {"after": after, "page": PAGE})).all()
            if not rows:
                return
            after = rows[-1].id
            for row in rows:
                try:
                    raw = self._codec.open(row.raw, RAW, row.id)
                except SettingsError:
                    unreadable.append(row.id)
                    continue
                if raw_bodies.mentions(raw, person):
                    yield row.id, raw

    # -- export --------------------------------------------------------------------------------------------------

    async def export(self, found: Found, who: str, now: datetime) -> dict[str, list[dict[str, Any]]]:
        """Table → its rows about this person, opened; written into the audit. `who`: at the operating system.

        Keyed prints are left out: they say nothing that the words do not. Accounts of agents are numbers here.
        """
        tables: dict[str, list[dict[str, Any]]] = {}
        async with self._db.begin() as connection:
            for table in (*retention.TABLES, "audit"):
                rows = await self._rows(connection, table, found)
                if rows:
                    tables[table] = rows
            bodies = await self._bodies(connection, found)
            if bodies:
                tables["deliveries"] = bodies
            counts = {table: len(rows) for table, rows in tables.items()}
            numbers: list[int | None] = [*found.ids] or [None]
            for one in numbers:
                await audit.record(
                    connection, now, None, "person_exported", one, operator=who, rows=sum(counts.values())
                )
        return tables

    async def _rows(self, connection: AsyncConnection, table: str, found: Found) -> list[dict[str, Any]]:
        which = _BY.get(table, "t.conversation_id = ANY(:ids)")
        if table == "events":
            which = f"({which} OR {_NOBODYS})"
        rows = await connection.execute(
            text(f"SELECT t.* FROM {table} t WHERE {which} ORDER BY 1"),
            {"ids": found.ids, "deliveries": list(found.deliveries), "mids": sorted(found.texts)},
        )
        return [self._opened(table, row._mapping) for row in rows]

    def _opened(self, table: str, row: Mapping[Any, Any]) -> dict[str, Any]:
        return {
            str(name): self._open(value, f"{table}.{name}", row) if isinstance(value, (bytes, memoryview)) else value
            for name, value in row.items()
            if name not in ("tokens", "bands")
        }

    def _open(self, value: bytes | memoryview, column: str, row: Mapping[Any, Any]) -> Any:
        try:
            words = self._codec.open(bytes(value), column, *places.BY_NAME[column].of(row)).decode()
        except SettingsError:
            return UNREADABLE
        try:
            return json.loads(words)
        except ValueError:
            return words

    async def _bodies(self, connection: AsyncConnection, found: Found) -> list[dict[str, Any]]:
        """Raw bodies: of a webhook that others share, what is this person's."""
        rows = await connection.execute(
            text("SELECT id, received_at, raw FROM deliveries WHERE id = ANY(:ids) ORDER BY id"),
            {"ids": list(found.deliveries)},
        )
        return [
            {
                "id": row.id,
                "received_at": row.received_at,
                "raw": raw_bodies.only(self._codec.open(row.raw, RAW, row.id), found.person),
            }
            for row in rows
        ]

    # -- erasure -------------------------------------------------------------------------------------------------

    async def preview(self, found: Found, now: datetime, anyway: bool = False) -> Erasure:
        """What would go; nothing does."""
        would = Erasure(conversations=len(found.conversations))
        async with self._db.begin() as connection:
            await self._traces(connection, found, would)
            for table in retention.TABLES:
                which = _BY.get(table, "t.conversation_id = ANY(:ids)")
                n = await connection.scalar(text(f"SELECT count(*) FROM {table} t WHERE {which}"), {"ids": found.ids})
                would.counts[table] += int(n or 0)
            would.counts["deliveries"] = len(found.deliveries)
            for one in found.ids:
                try:
                    await self._may(connection, one, now, anyway)
                except Explained as error:
                    # Without what it says of an erasure that was tried.
                    why = error.what.replace("\u00a0", " ").partition(" : ")[0].rstrip(".")
                    would.blocked = would.blocked or f"{why}. {error.remedy}"
        would.counts = +would.counts
        return would

    async def _traces(self, connection: AsyncConnection, found: Found, into: Erasure) -> None:
        """What stays, cut off from the person: examples and stories that are public, lines of the audit."""
        ids = {"ids": found.ids}
        into.examples = [(row.kind, row.file, row.intent) for row in await connection.execute(_EXAMPLES, ids)]
        into.stories = [(row.kind, row.file, row.name) for row in await connection.execute(_STORIES, ids)]
        into.audit = int(await connection.scalar(text(f"SELECT count(*) FROM audit t WHERE {_LINES}"), ids) or 0)

    async def erase(
        self,
        found: Found,
        who: str,
        now: datetime,
        anyway: bool = False,
        patience: float = 30.0,
        into: Erasure | None = None,
    ) -> Erasure:
        """Erase everything; each transaction writes its line of the register. `patience`: seconds for what is in hand.

        `anyway`: although a request is open, an agent is at it, or a message waits. A legal hold always refuses.
        Raises retention.Held, Standing. What went before it raised is gone; the next call goes on. `into` tells what went
        also when it raises; transactions that were not committed do not count.
        """
        done = Erasure() if into is None else into
        async with self._db.begin() as connection:
            await self._traces(connection, found, done)
            for one in found.ids:  # before anything goes; what is being handled is waited for
                try:
                    await self._may(connection, one, now, anyway)
                except Standing as error:
                    if error.why != "in_flight":
                        raise
        for row in found.conversations:
            await self._conversation(row, who, now, anyway, patience, done)
        await self._bodies_away(found, who, now, done)
        done.counts = +done.counts
        return done

    async def _may(self, connection: AsyncConnection, id_: int, now: datetime, anyway: bool) -> Row[Any]:
        """The conversation's state. Raises Held, Standing, Unknown when it went meanwhile."""
        row = (await connection.execute(AGAIN, {"ids": [id_], "now": now})).one_or_none()
        if row is None:
            raise Unknown
        if row.protected is None:
            return row
        if row.protected == "held":
            raise retention.Held
        if not anyway:
            urgent = row.protected == "open" and await connection.scalar(
                text(
                    """SELECT EXISTS (SELECT FROM handoffs WHERE conversation_id = :id AND closed_at IS NULL
                        AND category = 'emergency')"""
                ),
                {"id": id_},
            )
            raise Standing("emergency" if urgent else row.protected)
        return row

    async def _conversation(
        self, row: Row[Any], who: str, now: datetime, anyway: bool, patience: float, done: Erasure
    ) -> None:
        """One conversation, in slices; the last takes the rest and the conversation itself."""
        where: erased.Where = (row.platform, row.account, row.person)
        waited = 0.0
        while True:
            part: Erasure | None = None
            async with self._db.begin() as connection:
                if (await connection.execute(_LOCK, {"id": row.id})).first() is None:
                    return
                hand = await connection.scalar(_IN_HAND, {"id": row.id})
                try:
                    state = await self._may(connection, row.id, now, anyway)
                    if not hand:
                        part = await self._slice(connection, state, where, who, now)
                except Standing as error:
                    if error.why != "in_flight" or waited >= patience:
                        raise
            if part is not None:
                done.counts.update(part.counts)
                done.conversations += part.conversations
                if part.conversations:
                    return
                continue
            if waited >= patience:
                raise Standing("in_hand")
            await asyncio.sleep(_PAUSE)
            waited += _PAUSE

    async def _slice(
        self, connection: AsyncConnection, state: Row[Any], where: erased.Where, who: str, now: datetime
    ) -> Erasure:
        """Some messages, or the rest and the conversation. Prints of what goes stay, so that it does not come back."""
        await erased.remember(connection, self._codec, state.id, where, now)
        last = bool(state.rows <= ROWS)
        if last:
            counts = await retention.erase(connection, [state.id])
            await audit.record(
                connection, now, None, "person_erased", state.id, operator=who, rows=sum(counts.values())
            )
        else:
            counts = await retention.thin(connection, [state.id], ROWS // 2)
        of = class_of(state.categories, state.danger, DEFAULT)
        await register(connection, now, ORIGIN, of, ERASED if last else TRIMMED, None, int(last), counts)
        return Erasure(counts, int(last))

    async def _bodies_away(self, found: Found, who: str, now: datetime, done: Erasure) -> None:
        """Webhooks that name the person still: others share them under a legal hold, or they led to no conversation.

        One that no key opens went with the conversation whose message it brought; what is left of those is told."""
        unreadable: list[int] = []
        async for id_, _ in self._raw(found.person, unreadable):
            async with self._db.begin() as connection:
                now_there = await connection.scalar(_BODY, {"id": id_})  # another erasure may have cut it meanwhile
                if now_there is None:
                    continue
                raw = self._codec.open(now_there, RAW, id_)
                left = raw_bodies.without(raw, {found.person})
                counts: Counts = Counter()
                counts["events"] = (
                    await connection.execute(
                        text(f"DELETE FROM events WHERE {_NOBODYS}"),
                        {"deliveries": [id_], "mids": sorted(raw_bodies.ids(raw, found.person))},
                    )
                ).rowcount
                if left is None:
                    await connection.execute(text("DELETE FROM deliveries WHERE id = :id"), {"id": id_})
                else:
                    sealed = self._codec.seal(left, RAW, id_)
                    await connection.execute(
                        text("UPDATE deliveries SET raw = :raw WHERE id = :id"), {"raw": sealed, "id": id_}
                    )
                counts["deliveries"] = 1
                await register(connection, now, ORIGIN, Class.RAW, ERASED, None, 0, +counts)
            done.rewritten += int(left is not None)
            done.counts.update(counts)
        done.unreadable = len(unreadable)
