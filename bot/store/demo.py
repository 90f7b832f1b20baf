"""What only the demo does with the store: the simulated hour, one-time log-in links, a person's story for the panel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.messages import Attachment, Platform, body_from_json
from bot.store import facts, links, places
from bot.store.accounts import insert
from bot.store.bearer import Bearer
from bot.store.codec import Codec
from bot.store.conversations import BODY
from bot.store.db import CONSOLE, DUE, EMERGENCY, OUTBOX, Database, notify

QUIET = ("echo", "read", "delivery")  # kinds that the panel only counts


async def clock_offset(database: Database) -> timedelta:
    """How far the demo's clocks are ahead of the machine's."""
    async with database.begin() as connection:
        return timedelta(seconds=float(await facts.get(connection, facts.CLOCK_OFFSET) or 0))


async def set_clock_offset(database: Database, offset: timedelta, back_to: datetime | None) -> None:
    """Move the demo's clocks and wake everybody. `back_to`: the new time, when it lies before the old one."""
    async with database.begin() as connection:
        await facts.put(connection, facts.CLOCK_OFFSET, offset.total_seconds())
        if back_to is not None:
            await _rewind(connection, back_to)
        await _wake(connection)


async def wake(database: Database) -> None:
    """Have everybody look again."""
    async with database.begin() as connection:
        await _wake(connection)


async def _wake(connection: AsyncConnection) -> None:
    for channel in (DUE, OUTBOX, EMERGENCY):
        await notify(connection, channel)


async def _rewind(connection: AsyncConnection, now: datetime) -> None:
    """Nothing may wait for a time that was only simulated: what is due later is looked at now, and put off anew."""
    for statement in (
        "UPDATE conversations SET due_at = :now WHERE due_at > :now",
        "UPDATE outbox SET due_at = :now WHERE status = 'queued' AND due_at > :now",
        "UPDATE accounts SET second = 0, used = 0, paused_until = NULL",
    ):
        await connection.execute(text(statement), {"now": now} if ":now" in statement else {})


async def login_link(database: Database, bearer: Bearer, name: str, role: str, now: datetime) -> str:
    """A token that logs `name` in once within ten minutes; the user is made if need be."""
    async with database.begin() as connection:
        user = await connection.scalar(text("SELECT id FROM users WHERE lower(name) = lower(:name)"), {"name": name})
        if user is None:
            user = (await insert(connection, now, name, role, None)).id
        # The simulated hour may lie on either side of the machine's.
        token = await links.make(connection, bearer, int(user), "login", max(now, database.clock.now()))
        await notify(connection, CONSOLE)
    return token


@dataclass(frozen=True)
class Incoming:
    """An event of the person, as the ledger has it."""

    id: int
    at: datetime
    kind: str
    words: str
    disposition: str | None
    reason: str | None
    waiting: str | None
    intent: str | None
    confidence: float | None
    route: str | None


@dataclass(frozen=True)
class Asked:
    """What the message behind a reply asked of the catalogue of questions, and what came of it."""

    nearest: str
    chance: float  # of the nearest
    question: str | None  # that was answered
    offers: tuple[str, ...]
    disposition: str | None
    route: str | None


@dataclass(frozen=True)
class Outgoing:
    """A message to the person, as the outbox has it. `mids`: Meta's ids of its parts."""

    id: int
    at: datetime
    author: str
    user: str | None
    status: str
    delivered: bool
    read: bool
    remedy: str | None
    mids: tuple[str, ...] = ()
    asked: Asked | None = None


@dataclass(frozen=True)
class Story:
    """Where a conversation stands. `quiet`: how many echoes, deliveries and reads the ledger holds besides."""

    id: int
    owner: str
    category: str
    agent: str | None
    standby: bool
    due_at: datetime | None
    incoming: tuple[Incoming, ...]
    outgoing: tuple[Outgoing, ...]
    quiet: int


async def story(database: Database, codec: Codec, platform: Platform, account: str, person: str) -> Story | None:
    """The last events of a person; None before the first."""
    async with database.begin() as connection:
        row = (
            await connection.execute(
                text("""
                    SELECT c.id, c.owner, c.category, c.standby, c.due_at, u.name AS agent,
                        (SELECT count(*) FROM events e WHERE e.conversation_id = c.id AND e.kind = ANY(:quiet)) AS quiet
                    FROM conversations c LEFT JOIN users u ON u.id = c.agent_id
                    WHERE c.platform = :platform AND c.account = :account AND c.person = :person
                """),
                {"platform": platform.value, "account": account, "person": person, "quiet": list(QUIET)},
            )
        ).one_or_none()
        if row is None:
            return None
        incoming = await _incoming(connection, codec, row.id)
        outgoing = await _outgoing(connection, row.id)
    return Story(
        row.id, row.owner, row.category, row.agent, row.standby, row.due_at, incoming, outgoing, int(row.quiet)
    )


async def _incoming(connection: AsyncConnection, codec: Codec, conversation: int) -> tuple[Incoming, ...]:
    rows = await connection.execute(
        text(f"""
            SELECT id, received_at, kind, body, {places.event("events")},
                disposition, reason, waiting, intent, confidence, route FROM events
            WHERE conversation_id = :id AND kind <> ALL(:quiet) ORDER BY id DESC LIMIT 12
        """),  # noqa: S608 (names of ours)
        {"id": conversation, "quiet": list(QUIET)},
    )
    return tuple(
        Incoming(
            row.id,
            row.received_at,
            row.kind,
            _words(codec.open_json(row.body, BODY, row.place)),
            row.disposition,
            row.reason,
            row.waiting,
            row.intent,
            row.confidence,
            row.route,
        )
        for row in rows
    )


def _words(stored: dict[str, Any]) -> str:
    body = body_from_json(stored)
    attachments: tuple[Attachment, ...] = getattr(body, "attachments", ())
    return str(getattr(body, "text", "") or getattr(body, "title", "") or ", ".join(map(_named, attachments)))


def _named(attachment: Attachment) -> str:
    return "sticker" if attachment.sticker_id else attachment.type  # Messenger's thumb comes as an image


async def _outgoing(connection: AsyncConnection, conversation: int) -> tuple[Outgoing, ...]:
    rows = await connection.execute(
        text("""
            SELECT o.id, o.created_at, o.author, u.name, o.status, o.delivered_at IS NOT NULL AS delivered,
                o.read_at IS NOT NULL AS read, o.error_remedy, o.mids,
                e.nearest, e.nearest_chance, e.question, e.offers, e.disposition, e.route
            FROM outbox o LEFT JOIN users u ON u.id = o.user_id
            LEFT JOIN LATERAL (
                SELECT * FROM events WHERE outbox_id = o.id AND nearest IS NOT NULL ORDER BY at DESC, id DESC LIMIT 1) e ON true
            WHERE o.conversation_id = :id ORDER BY o.id DESC LIMIT 12
        """),
        {"id": conversation},
    )
    return tuple(
        Outgoing(
            r.id,
            r.created_at,
            r.author,
            r.name,
            r.status,
            r.delivered,
            r.read,
            r.error_remedy,
            tuple(r.mids),
            _asked(r),
        )
        for r in rows
    )


def _asked(row: Row[Any]) -> Asked | None:
    if row.nearest is None:
        return None
    return Asked(row.nearest, row.nearest_chance, row.question, tuple(row.offers or ()), row.disposition, row.route)
