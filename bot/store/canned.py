"""Canned replies: what agents say often, ours and therefore in clear; variables are `bot.policy.canned`'s."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.clean import clean
from bot.core.errors import Explained
from bot.policy import canned as policy
from bot.policy.intents import INTENTS, PRIORITY
from bot.store import audit, news
from bot.store.accounts import User
from bot.store.db import Database

TITLE_AT_MOST = 80
BODY_AT_MOST = 2_000  # one message on Messenger


@dataclass(frozen=True)
class Written:
    """A canned reply as somebody writes it. `category`, `intent`: where it is offered first, "" for nowhere."""

    shortcut: str
    title: str
    body: str
    category: str = ""
    intent: str = ""


@dataclass(frozen=True)
class Canned:
    """A canned reply as it stands. `by`: who changed it last, None for the set that came with the console."""

    id: int
    shortcut: str
    title: str
    body: str
    category: str | None
    intent: str | None
    uses: int
    used_at: datetime | None
    updated_at: datetime
    by: str | None
    archived_at: datetime | None


class CannedError(Explained):
    """A canned reply cannot be kept as it is written; `what` and `remedy` are French."""


_SELECT = """
    SELECT r.id, r.shortcut, r.title, r.body, r.category, r.intent, r.uses, r.used_at, r.updated_at, u.name AS by,
        r.archived_at
    FROM canned_replies r LEFT JOIN users u ON u.id = r.updated_by
"""


class CannedStore:
    """The canned replies."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def all(self, query: str = "", archived: bool = False) -> list[Canned]:
        """Those that are offered (or archived), the best match of `query` first, else by title."""
        async with self._db.begin() as connection:
            rows = await connection.execute(
                text(f"{_SELECT} WHERE (r.archived_at IS NOT NULL) = :archived ORDER BY lower(r.title), r.id"),
                {"archived": archived},
            )
            found = [_canned(row) for row in rows]
        ranks = {one.id: policy.rank(query, one.shortcut, one.title, one.body) for one in found}
        return sorted((one for one in found if ranks[one.id] is not None), key=lambda one: ranks[one.id] or 0)

    async def offered(self, query: str, category: str | None, limit: int) -> list[Canned]:
        """What a composer proposes: the best matches, those of the request's category and the most used first."""
        found = await self.all(query)
        ranks = {one.id: policy.rank(query, one.shortcut, one.title, one.body) if query else 0 for one in found}
        found.sort(key=lambda one: (ranks[one.id] or 0, one.category != category, -one.uses))
        return found[:limit]

    async def get(self, canned_id: int) -> Canned | None:
        """One of them, archived or not."""
        async with self._db.begin() as connection:
            row = (await connection.execute(text(f"{_SELECT} WHERE r.id = :id"), {"id": canned_id})).one_or_none()
        return None if row is None else _canned(row)

    async def for_intent(self, intent: str) -> Canned | None:
        """The one that answers an intent, the most used of several."""
        async with self._db.begin() as connection:
            row = (
                await connection.execute(
                    text(
                        f"{_SELECT} WHERE r.intent = :intent AND r.archived_at IS NULL ORDER BY r.uses DESC, r.id LIMIT 1"
                    ),
                    {"intent": intent},
                )
            ).first()
        return None if row is None else _canned(row)

    async def add(self, by: User, written: Written, now: datetime) -> int:
        """Create one; its id. Raises CannedError."""
        values = _checked(written)
        try:
            async with self._db.begin() as connection:
                added = await connection.scalar(
                    text("""
                        INSERT INTO canned_replies (shortcut, title, body, category, intent, updated_at, updated_by)
                        VALUES (:shortcut, :title, :body, :category, :intent, :now, :by) RETURNING id
                    """),
                    {**values, "now": now, "by": by.id},
                )
                await _done(connection, now, by, "canned_added", int(added or 0), written.shortcut)
        except IntegrityError:
            raise _taken(written.shortcut) from None
        assert added is not None
        return int(added)

    async def change(self, by: User, canned_id: int, written: Written, seen: str, now: datetime) -> None:
        """Write it anew. `seen`: when it had been changed last on the page (ISO). Raises CannedError."""
        values = _checked(written)
        try:
            async with self._db.begin() as connection:
                row = (
                    await connection.execute(
                        text("SELECT updated_at, archived_at FROM canned_replies WHERE id = :id FOR UPDATE"),
                        {"id": canned_id},
                    )
                ).one_or_none()
                if row is None or row.archived_at is not None:
                    raise CannedError("Cette réponse type n’est plus proposée.", "Créez-en une autre.")
                if seen and row.updated_at.isoformat() != seen:
                    raise CannedError(
                        "Quelqu’un vient de modifier cette réponse type\u00a0: rien n’a été changé.",
                        "Votre texte est ci-dessous\u202f; comparez-le au nouveau, puis enregistrez-le s’il le faut encore.",
                    )
                await connection.execute(
                    text("""
                        UPDATE canned_replies SET shortcut = :shortcut, title = :title, body = :body, category = :category,
                            intent = :intent, updated_at = :now, updated_by = :by WHERE id = :id
                    """),
                    {**values, "now": now, "by": by.id, "id": canned_id},
                )
                await _done(connection, now, by, "canned_changed", canned_id, written.shortcut)
        except IntegrityError:
            raise _taken(written.shortcut) from None

    async def archive(self, by: User, canned_id: int, now: datetime) -> bool:
        """It is no longer offered; its shortcut is free. False when there is none of that id to archive."""
        async with self._db.begin() as connection:
            shortcut = await connection.scalar(
                text("""
                    UPDATE canned_replies SET archived_at = :now, updated_at = :now, updated_by = :by
                    WHERE id = :id AND archived_at IS NULL RETURNING shortcut
                """),
                {"id": canned_id, "now": now, "by": by.id},
            )
            if shortcut is not None:
                await _done(connection, now, by, "canned_archived", canned_id, shortcut)
        return shortcut is not None

    async def used(self, canned_id: int, now: datetime) -> bool:
        """An agent took it into a message. False when it is not offered."""
        async with self._db.begin() as connection:
            done = await connection.execute(
                text("""
                    UPDATE canned_replies SET uses = uses + 1, used_at = :now WHERE id = :id AND archived_at IS NULL
                """),
                {"id": canned_id, "now": now},
            )
        return done.rowcount == 1

    async def subject(self, canned_id: int) -> str | None:
        """The intent that it answers; None when it answers none in particular."""
        async with self._db.begin() as connection:
            found = await connection.scalar(text("SELECT intent FROM canned_replies WHERE id = :id"), {"id": canned_id})
        return None if found is None else str(found)


def _canned(row: Row[Any]) -> Canned:
    return Canned(**row._mapping)


def _checked(written: Written) -> dict[str, str | None]:
    """The columns. Raises CannedError, naming the field that does not do."""
    title, body = " ".join(clean(written.title).split()), clean(written.body).strip()
    if not policy.SHORTCUT.fullmatch(written.shortcut):
        raise CannedError(
            "Le raccourci ne convient pas.",
            "Écrivez de 1 à 30 lettres minuscules sans accent, chiffres ou tirets, par exemple igpn.",
        )
    if not 0 < len(title) <= TITLE_AT_MOST:
        raise CannedError("Le titre ne convient pas.", f"Écrivez de 1 à {TITLE_AT_MOST} caractères.")
    if not 0 < len(body) <= BODY_AT_MOST:
        raise CannedError(
            f"Le texte compte {len(body)} caractères." if body else "Le texte est vide.",
            f"Écrivez de 1 à {BODY_AT_MOST} caractères\u00a0: il doit tenir en un message.",
        )
    wrong = policy.unknown(body)
    if wrong:
        names = ", ".join("{{" + name + "}}" for name in policy.VARIABLES)
        raise CannedError(f"La variable {wrong[0]} n’existe pas.", f"Variables connues\u00a0: {names}.")
    if (written.category and written.category not in PRIORITY) or (written.intent and written.intent not in INTENTS):
        raise CannedError("Cette catégorie ou ce sujet n’existe pas.", "Choisissez dans la liste.")
    return {
        "shortcut": written.shortcut,
        "title": title,
        "body": body,
        "category": written.category or None,
        "intent": written.intent or None,
    }


def _taken(shortcut: str) -> CannedError:
    return CannedError(f"Le raccourci /{shortcut} est déjà pris.", "Choisissez-en un autre.")


async def _done(
    connection: AsyncConnection, now: datetime, by: User, action: str, canned_id: int, shortcut: str
) -> None:
    await audit.record(connection, now, by.id, action, canned=canned_id, shortcut=shortcut)
    await news.topic(connection, "canned")
