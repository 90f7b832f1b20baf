"""Publications that wait for a second person, since they change what victims and people in danger are told.

One waits at a time; meanwhile anything else may be published, and a return to what was in service before needs nobody else.
Who asked may take it back; another person who may publish agrees, which begins the publication, or refuses with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.policy.rights import RIGHTS, Capability
from bot.store import audit, news
from bot.store.db import Database
from bot.store.user import User
from bot.store.workbench import publications
from bot.store.workbench.publications import NEWS, PUBLISH, REASON_AT_MOST, Asked, PublicationError

OPEN, APPROVED, REFUSED, WITHDRAWN = "open", "approved", "refused", "withdrawn"


@dataclass(frozen=True)
class Proposal:
    """One of them. `touches`: names of what it changes (replies, files); `word`: why it was refused, in French."""

    id: int
    model: str
    previous: str
    user_id: int
    author: str
    message: str
    reason: str
    verdict: Sequence[Mapping[str, Any]]
    figures: Mapping[str, Any]
    touches: Sequence[str]
    asked_at: datetime
    state: str
    decider: str
    decided_at: datetime | None
    word: str


_PROPOSALS = """
    SELECT p.id, p.model, p.previous, p.user_id, a.name AS author, p.message, p.reason, p.verdict, p.figures, p.touches, p.asked_at,
        p.state, coalesce(d.name, '') AS decider, p.decided_at, p.word
    FROM proposals p JOIN users a ON a.id = p.user_id LEFT JOIN users d ON d.id = p.decided_by
"""


class Proposals:
    """The proposals of this installation. Each action is one transaction, audited."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def propose(self, now: datetime, user: User, asked: Asked, touches: Sequence[str]) -> int:
        """Keep a wish until a second person decides; its number. Raises PublicationError."""
        publications.must_be_able(user, asked)
        try:
            async with self._db.begin() as connection:
                number = await connection.scalar(
                    text("""
                        INSERT INTO proposals (model, previous, user_id, message, reason, verdict, figures, touches, asked_at)
                        VALUES (:model, :previous, :user, :message, :reason, CAST(:verdict AS jsonb),
                            CAST(:figures AS jsonb), :touches, :now) RETURNING id
                    """),
                    {
                        **publications.kept(asked),
                        "user": user.id,
                        "touches": list(touches),
                        "now": now,
                    },
                )
                await _done(connection, now, user, "publication_proposed", asked.model)
        except IntegrityError:
            raise PublicationError(
                "Une publication attend déjà une seconde personne.", "Faites-la approuver, refuser ou retirer d’abord."
            ) from None
        return int(number or 0)

    async def open(self) -> Proposal | None:
        """The one that waits."""
        return await self._one("p.state = 'open'")

    async def last(self) -> Proposal | None:
        """The last one that somebody decided on or took back."""
        return await self._one("p.state <> 'open' ORDER BY p.decided_at DESC, p.id DESC LIMIT 1")

    async def readers(self, author_id: int) -> int:
        """How many others may agree: enabled accounts that may publish and can log in."""
        roles = [role.value for role, rights in RIGHTS.items() if Capability.PUBLISH in rights]
        async with self._db.begin() as connection:
            return int(
                await connection.scalar(
                    text("""
                        SELECT count(*) FROM users u WHERE u.id <> :author AND u.role = ANY(:roles) AND u.disabled_at IS NULL
                          AND (u.password_hash IS NOT NULL OR EXISTS (SELECT FROM oidc_identities i WHERE i.user_id = u.id))
                    """),
                    {"author": author_id, "roles": roles},
                )
                or 0
            )

    async def approve(self, now: datetime, user: User, number: int) -> int:
        """Agree, which begins the publication in its author's name; its number. Raises PublicationError."""
        try:
            async with self._db.begin() as connection:
                found = await _locked(connection, number)
                _must_be_another(user, found)
                await _decide(connection, now, user, found, APPROVED)
                asked = Asked(
                    PUBLISH, found.model, found.previous, found.message, found.reason, found.verdict, found.figures
                )
                return await publications.insert(connection, now, found.user_id, found.author, asked, found.id)
        except IntegrityError:
            raise publications.busy() from None

    async def refuse(self, now: datetime, user: User, number: int, word: str) -> None:
        """It is not published; `word` says why. Raises PublicationError."""
        async with self._db.begin() as connection:
            found = await _locked(connection, number)
            _must_be_another(user, found)
            await _decide(connection, now, user, found, REFUSED, word[:REASON_AT_MOST])

    async def withdraw(self, now: datetime, user: User, number: int) -> None:
        """Its author takes it back, or an administrator. Raises PublicationError."""
        async with self._db.begin() as connection:
            found = await _locked(connection, number)
            if user.id != found.user_id and not user.may(Capability.OVERRIDE_GATE):
                raise PublicationError("Seule la personne qui l’a demandée la retire.", "Vous pouvez la refuser.")
            await _decide(connection, now, user, found, WITHDRAWN)

    async def _one(self, where: str) -> Proposal | None:
        async with self._db.begin() as connection:
            row = (await connection.execute(text(f"{_PROPOSALS} WHERE {where}"))).first()
        return None if row is None else _proposal(row)


def _must_be_another(user: User, found: Proposal) -> None:
    if not user.may(Capability.PUBLISH):
        raise PublicationError(
            "Votre rôle ne permet pas de publier.", "Demandez à un formateur ou à un administrateur."
        )
    if user.id == found.user_id:
        raise PublicationError(
            "Vous avez demandé cette publication : une autre personne la relit.",
            "Demandez à un autre formateur ou à un administrateur.",
        )


async def _locked(connection: AsyncConnection, number: int) -> Proposal:
    row = (
        await connection.execute(
            text(f"{_PROPOSALS} WHERE p.id = :number AND p.state = 'open' FOR UPDATE OF p"),
            {"number": number},
        )
    ).first()
    if row is None:
        raise PublicationError("Cette demande n’attend plus : rien n’a changé.", "Regardez ci-dessous ce qu’il en est.")
    return _proposal(row)


async def _decide(
    connection: AsyncConnection, now: datetime, user: User, found: Proposal, state: str, word: str = ""
) -> None:
    await connection.execute(
        text("""
            UPDATE proposals SET state = :state, decided_by = :user, decided_at = :now, word = :word WHERE id = :id
        """),
        {"state": state, "user": user.id, "now": now, "word": word, "id": found.id},
    )
    await _done(connection, now, user, f"publication_{state}", found.model)


async def _done(connection: AsyncConnection, now: datetime, user: User, action: str, model: str) -> None:
    await audit.record(connection, now, user.id, action, model=model)
    await news.topic(connection, NEWS)


def _proposal(row: Row[Any]) -> Proposal:
    return Proposal(**dict(row._mapping))
