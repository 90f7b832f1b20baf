"""Private notes: what agents tell each other about a conversation; never sent, encrypted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.clean import clean
from bot.core.errors import SettingsError
from bot.policy.rights import Capability
from bot.store import places, search
from bot.store.accounts import User
from bot.store.codec import Codec
from bot.store.desk.access import Desk
from bot.store.desk.errors import BadReply
from bot.store.desk.replies import form_name

_COLUMN = "notes.body"
NOTE_AT_MOST = 5_000
SHOWN = 200
CLOSED = "Cette note ne s’ouvre pas\u00a0: prévenez l’exploitant."


@dataclass(frozen=True)
class Note:
    """A note and its author's name."""

    id: int
    author: str
    at: datetime
    words: str


class NoteStore:
    """Notes of the desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def of(self, conversation_id: int) -> Sequence[Note]:
        """The last notes of a conversation that the caller has access to, oldest first."""
        async with self._desk.database.begin() as connection:
            rows = (
                await connection.execute(
                    text("""
                        SELECT n.id, u.name, n.at, n.body FROM notes n JOIN users u ON u.id = n.user_id
                        WHERE n.conversation_id = :id ORDER BY n.at DESC, n.id DESC LIMIT :limit
                    """),
                    {"id": conversation_id, "limit": SHOWN},
                )
            ).all()
        return [Note(row.id, row.name, row.at, self._read(row.body, conversation_id, row.id)) for row in reversed(rows)]

    def _read(self, sealed: bytes, conversation_id: int, number: int) -> str:
        try:
            return self._desk.codec.open(sealed, _COLUMN, conversation_id, number).decode()
        except SettingsError:
            return CLOSED

    async def write(self, user: User, conversation_id: int, written: str, key: str, now: datetime) -> None:
        """Add a note; the same form twice adds one. Raises BadReply."""
        async with self._desk.database.begin() as connection:
            await self._desk.access(connection, user, conversation_id, Capability.WORK)
            if await add(connection, self._desk.codec, user, conversation_id, written, key, now) is not None:
                await self._desk.done(connection, now, user, "note", conversation_id)


async def add(
    connection: AsyncConnection, codec: Codec, user: User, conversation_id: int, written: str, key: str, now: datetime
) -> int | None:
    """Put a note down in the caller's transaction; its id, None when it stands there already. Raises BadReply."""
    words = clean(written).strip()
    if not any(c.isprintable() and not c.isspace() for c in words):
        raise BadReply("Votre note est vide.", "Écrivez quelques mots, puis ajoutez-la.")
    if len(words) > NOTE_AT_MOST:
        raise BadReply(f"Votre note compte {len(words)} caractères.", f"Gardez-en {NOTE_AT_MOST} au plus.")
    (number,) = await places.numbers(connection, "notes")
    added = await connection.scalar(
        text("""
            INSERT INTO notes (id, conversation_id, user_id, at, body, dedup) OVERRIDING SYSTEM VALUE
            VALUES (:number, :id, :user, :now, :body, :dedup)
            ON CONFLICT (conversation_id, dedup) DO NOTHING RETURNING id
        """),
        {
            "number": number,
            "id": conversation_id,
            "user": user.id,
            "now": now,
            "body": codec.seal(words.encode(), _COLUMN, conversation_id, number),
            "dedup": form_name(user.id, key, words),
        },
    )
    if added is None:
        return None
    await search.index(connection, codec, [search.of_note(int(added), conversation_id, now, words)])
    return int(added)
