"""The crisis mode: a message written by one, validated by another, opened and closed by an administrator."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.policy.crisis import TOLD
from bot.policy.rights import LEVELS, Capability
from bot.policy.validation import highest
from bot.store import audit, crisis, news
from bot.store.desk import groups
from bot.store.desk.access import SPOKEN, Desk
from bot.store.desk.errors import BadReply, Conflict, NotAllowed
from bot.store.desk.replies import checked
from bot.store.user import User

MESSAGE_BYTES = 1_000  # of UTF-8: one message on every platform
TOPIC = "crisis"  # the news of the mode itself
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Crisis:
    """A crisis's message and what became of it; names are those of users."""

    id: int
    message: str
    written_by: str
    written_by_id: int
    written_at: datetime
    validated_by: str | None
    validated_at: datetime | None
    validated_level: str | None
    opened_by: str | None
    opened_at: datetime | None
    closed_by: str | None
    closed_at: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether the mode is open with this message."""
        return self.opened_at is not None and self.closed_at is None


@dataclass(frozen=True)
class Told:
    """How many people the crisis's message has reached, and how many it is on its way to, or could not reach."""

    sent: int = 0
    queued: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Overview:
    """The page of the mode. `current`: the open crisis; `draft`: the message that is prepared; `past`: closed ones."""

    current: Crisis | None
    draft: Crisis | None
    past: tuple[Crisis, ...]
    told: Told
    last_hour: int  # messages of people
    waiting: int  # hand-offs that are open
    needs: str | None = None  # the level whose word the message needs, by the rules of validation


_CRISES = """
    SELECT c.id, c.message, c.written_at, c.validated_at, c.validated_level, c.opened_at, c.closed_at,
        c.written_by AS written_by_id, w.name AS written_by, v.name AS validated_by, o.name AS opened_by, x.name AS closed_by
    FROM crises c JOIN users w ON w.id = c.written_by LEFT JOIN users v ON v.id = c.validated_by
    LEFT JOIN users o ON o.id = c.opened_by LEFT JOIN users x ON x.id = c.closed_by
"""
_OPEN = "c.opened_at IS NOT NULL AND c.closed_at IS NULL"
_DRAFT = "c.opened_at IS NULL AND c.dropped_at IS NULL"


class CrisisStore:
    """Each action is one transaction, audited."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def overview(self, user: User, now: datetime) -> Overview:
        """What the page of the mode shows. Raises NotAllowed."""
        _must(user, Capability.SEE_CRISIS)
        async with self._desk.database.begin() as connection:
            current = await _one(connection, _OPEN)
            draft = await _one(connection, _DRAFT)
            rows = await connection.execute(
                text(f"{_CRISES} WHERE c.closed_at IS NOT NULL ORDER BY c.closed_at DESC LIMIT 10")
            )
            return Overview(
                current,
                draft,
                tuple(_crisis(row) for row in rows),
                Told() if current is None else await _told(connection, current.id),
                await _count(connection, _LAST_HOUR, since=now - HOUR, kinds=list(SPOKEN)),
                await _count(connection, "SELECT count(*) FROM handoffs WHERE closed_at IS NULL"),
                await _needs(connection),
            )

    async def write(self, user: User, written: str, now: datetime) -> int:
        """Prepare a message; it takes the place of one that was prepared and not opened. Returns its id.

        Raises NotAllowed, BadReply.
        """
        _must(user, Capability.ANSWER_GROUP)
        words = message(written)
        async with self._desk.database.begin() as connection:
            await _lock(connection)
            draft = await _one(connection, _DRAFT)
            if draft is not None and draft.message == words and draft.written_by_id == user.id:
                return draft.id  # a double click
            await connection.execute(
                text("UPDATE crises SET dropped_at = :now WHERE opened_at IS NULL AND dropped_at IS NULL"),
                {"now": now},
            )
            number = await connection.scalar(
                text("INSERT INTO crises (message, written_by, written_at) VALUES (:words, :user, :now) RETURNING id"),
                {"words": words, "user": user.id, "now": now},
            )
            await _done(connection, now, user, "crisis_written", int(number), characters=len(words))
            return int(number)

    async def validate(self, user: User, crisis_id: int, now: datetime) -> None:
        """Agree to a message that somebody else wrote. Raises NotAllowed (one's own message, or a level that the rules of
        validation ask for is missing), Conflict."""
        _must(user, Capability.VALIDATE)
        async with self._desk.database.begin() as connection:
            await _lock(connection)
            draft = await self._draft(connection, crisis_id)
            if draft.written_by_id == user.id:
                raise NotAllowed("Vous avez écrit ce message\u00a0: une autre personne le valide.")
            needs = await _needs(connection)
            if not fits(user.level, needs):
                raise NotAllowed(
                    "Ce message s’adresse à tous, et une règle de validation demande l’accord "
                    + ("du cabinet." if needs == "cabinet" else "d’un chef de service.")
                )
            if draft.validated_at is not None and fits(draft.validated_level, needs):
                return
            await connection.execute(
                text(
                    "UPDATE crises SET validated_by = :user, validated_at = :now, validated_level = :level WHERE id = :id"
                ),
                {"user": user.id, "now": now, "level": user.level, "id": crisis_id},
            )
            await _done(connection, now, user, "crisis_validated", crisis_id)

    async def open_(self, user: User, crisis_id: int, now: datetime) -> None:
        """Open the mode with a validated message; one that is open gives way, and its groups go on under this one.

        Raises NotAllowed, Conflict.
        """
        _must(user, Capability.RUN_CRISIS)
        async with self._desk.database.begin() as connection:
            await _lock(connection)
            current = await _one(connection, _OPEN)
            if current is not None and current.id == crisis_id:
                return
            draft = await self._draft(connection, crisis_id)
            if draft.validated_at is None:
                raise Conflict(
                    "Ce message n’est pas encore validé\u00a0: le mode crise n’a pas été ouvert.",
                    "Demandez à une autre personne que son auteur de le valider.",
                )
            if not fits(draft.validated_level, await _needs(connection)):
                raise Conflict(
                    "Une règle de validation demande maintenant un accord plus élevé\u00a0: le mode crise n’a pas été ouvert.",
                    "Faites valider ce message de nouveau.",
                )
            if current is not None:
                await self._close(connection, user, current.id, now)
            await connection.execute(
                text("UPDATE crises SET opened_by = :user, opened_at = :now WHERE id = :id"),
                {"user": user.id, "now": now, "id": crisis_id},
            )
            if current is not None:
                await connection.execute(
                    text("UPDATE message_groups SET crisis_id = :new WHERE crisis_id = :old"),
                    {"new": crisis_id, "old": current.id},
                )
            replaced = None if current is None else current.id
            await _done(connection, now, user, "crisis_opened", crisis_id, replaces=replaced)

    async def close(self, user: User, crisis_id: int, now: datetime) -> None:
        """Close the mode: the message goes to nobody more; replies to groups stop. Raises NotAllowed."""
        _must(user, Capability.RUN_CRISIS)
        async with self._desk.database.begin() as connection:
            await _lock(connection)
            current = await _one(connection, _OPEN)
            if current is not None and current.id == crisis_id:
                # The crisis before its groups, as whoever puts people into them.
                await connection.execute(text("SELECT 1 FROM crises WHERE id = :id FOR UPDATE"), {"id": crisis_id})
                await groups.close_all(connection, user, crisis_id, now)
                await self._close(connection, user, crisis_id, now)

    async def _close(self, connection: AsyncConnection, user: User, crisis_id: int, now: datetime) -> None:
        await connection.execute(
            text("UPDATE crises SET closed_by = :user, closed_at = :now WHERE id = :id"),
            {"user": user.id, "now": now, "id": crisis_id},
        )
        withdrawn = await crisis.withdraw(connection, crisis_id)
        await _done(connection, now, user, "crisis_closed", crisis_id, taken_back=withdrawn)

    @staticmethod
    async def _draft(connection: AsyncConnection, crisis_id: int) -> Crisis:
        draft = await _one(connection, _DRAFT)
        if draft is None or draft.id != crisis_id:
            raise Conflict(
                "Ce message n’est plus celui qui est préparé\u00a0: rien n’a changé.",
                "Relisez le message affiché, puis décidez.",
            )
        return draft


_LAST_HOUR = """
    SELECT count(*) FROM events WHERE received_at > :since AND kind = ANY(:kinds) AND kind NOT IN ('edit', 'unsend')
"""


async def banner(connection: AsyncConnection) -> datetime | None:
    """Since when the crisis mode is open; None when it is not."""
    since = await connection.scalar(text(f"SELECT opened_at FROM crises c WHERE {_OPEN}"))  # noqa: S608
    return since if isinstance(since, datetime) else None


def message(written: str) -> str:
    """The cleaned message. Raises BadReply when it is empty, or more than one message on some platform."""
    words = checked(written)
    size = len(words.encode())
    if size > MESSAGE_BYTES:
        raise BadReply(
            f"Votre message est trop long\u00a0: {size} octets, pour {MESSAGE_BYTES} au plus "
            "(une lettre accentuée en compte deux).",
            "Raccourcissez-le\u00a0: il doit tenir en un seul message, sur Messenger comme sur Instagram.",
        )
    return words


def _must(user: User, capability: Capability) -> None:
    if not user.may(capability):
        raise NotAllowed()


def fits(level: str | None, needs: str | None) -> bool:
    """Whether the word of somebody of that level is enough where `needs` is asked for."""
    return needs is None or (level in LEVELS and LEVELS.index(level) >= LEVELS.index(needs))


async def _needs(connection: AsyncConnection) -> str | None:
    """The highest level that the rules ask for, over all whom the message reaches."""
    rows = await connection.execute(
        text("SELECT steps FROM validation_rules WHERE category = ANY(:told)"), {"told": sorted(TOLD)}
    )
    return highest(row.steps for row in rows)


async def _lock(connection: AsyncConnection) -> None:
    """One action on the mode at a time."""
    await connection.execute(text("LOCK TABLE crises IN SHARE ROW EXCLUSIVE MODE"))


async def _one(connection: AsyncConnection, where: str) -> Crisis | None:
    row = (await connection.execute(text(f"{_CRISES} WHERE {where}"))).one_or_none()
    return None if row is None else _crisis(row)


def _crisis(row: Row[Any]) -> Crisis:
    return Crisis(**dict(row._mapping))


async def _told(connection: AsyncConnection, crisis_id: int) -> Told:
    row = (
        await connection.execute(
            text("""
                SELECT count(*) FILTER (WHERE status = 'sent') AS sent, count(*) FILTER (WHERE status = 'queued') AS queued,
                    count(*) FILTER (WHERE status = 'failed') AS failed
                FROM outbox WHERE dedup LIKE 'crise:%' AND dedup = :name
            """),
            {"name": crisis.name(crisis_id)},
        )
    ).one()
    return Told(row.sent, row.queued, row.failed)


async def _count(connection: AsyncConnection, query: str, **values: Any) -> int:
    return int(await connection.scalar(text(query), values) or 0)


async def _done(
    connection: AsyncConnection, now: datetime, user: User, action: str, crisis_id: int, **detail: Any
) -> None:
    await audit.record(connection, now, user.id, action, crisis=crisis_id, **detail)
    await news.topic(connection, TOPIC)
