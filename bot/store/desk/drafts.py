"""Drafts: what an agent has begun to write, kept on the server (encrypted), one a conversation and author."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.clean import clean
from bot.core.errors import SettingsError
from bot.policy.rights import Capability
from bot.store.accounts import User
from bot.store.desk import replies
from bot.store.desk.access import Desk
from bot.store.desk.errors import BadReply

COLUMN = "drafts.body"
DRAFT_AT_MOST = 50_000  # characters: more than may be sent, so that what is too long is still kept


@dataclass(frozen=True)
class Draft:
    """What was begun. `seen`: the last thing of the person that its author had before them."""

    words: str
    seen: int
    updated_at: datetime


class DraftStore:
    """Drafts of the desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def of(self, user: User, conversation_id: int) -> Draft | None:
        """This user's draft there, None when there is none, or none that can be read."""
        async with self._desk.database.begin() as connection:
            row = (
                await connection.execute(
                    text("""
                        SELECT body, seen, updated_at FROM drafts WHERE conversation_id = :id AND user_id = :user
                    """),
                    {"id": conversation_id, "user": user.id},
                )
            ).one_or_none()
        if row is None:
            return None
        try:
            words = self._desk.codec.open(row.body, COLUMN, conversation_id, user.id).decode()
        except SettingsError:  # not theirs, or altered: told elsewhere, and the conversation is there all the same
            return None
        return Draft(words, row.seen, row.updated_at)

    async def keep(self, user: User, conversation_id: int, written: str, seen: int, key: str, now: datetime) -> bool:
        """Keep what is written so far; nothing written removes the draft. Returns whether it is kept.

        `key`: the form's own name; what was sent under it already is no draft any more (a save that comes late).
        Raises BadReply beyond DRAFT_AT_MOST.
        """
        if len(written) > DRAFT_AT_MOST:
            raise BadReply(
                f"Votre brouillon dépasse {DRAFT_AT_MOST} caractères\u00a0: il n’est plus enregistré.",
                "Raccourcissez-le.",
            )
        words = written.replace("\r\n", "\n").replace("\0", "").encode("utf-8", "replace").decode()
        async with self._desk.database.begin() as connection:
            await self._desk.access(connection, user, conversation_id, Capability.WORK)
            sent = clean(written) and await replies.stands(
                connection, conversation_id, replies.form_name(user.id, key, clean(written))
            )
            if sent or not words.strip():
                await forget(connection, conversation_id, user.id)
                return False
            await connection.execute(
                text("""
                    INSERT INTO drafts (conversation_id, user_id, body, seen, updated_at)
                    VALUES (:id, :user, :body, :seen, :now)
                    ON CONFLICT (conversation_id, user_id)
                    DO UPDATE SET body = :body, seen = :seen, updated_at = :now
                """),
                {
                    "id": conversation_id,
                    "user": user.id,
                    "body": self._desk.codec.seal(words.encode(), COLUMN, conversation_id, user.id),
                    "seen": seen,
                    "now": now,
                },
            )
            return True


async def forget(connection: AsyncConnection, conversation_id: int, user_id: int) -> None:
    """The draft is done with: it was sent, or submitted."""
    await connection.execute(
        text("DELETE FROM drafts WHERE conversation_id = :id AND user_id = :user"),
        {"id": conversation_id, "user": user_id},
    )
