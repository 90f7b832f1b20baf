"""What administrators do to accounts. Each act asks again, in its transaction, whether its author still may.

There is always an administrator who can log in: whatever would take the last one away is refused. Nobody does to their
own account what is meant for others (disabling, resetting, another role).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.policy.rights import LEVELS, Capability, may
from bot.store import audit, links, news, passwords
from bot.store.accounts import Accounts, insert, set_password, taken
from bot.store.db import Database
from bot.store.passwords import AccountError
from bot.store.second_factor import forget
from bot.store.sessions import ABSOLUTE, IDLE, end, restage
from bot.store.user import USER, User, checked_name, checked_role, user_of

EMAIL_AT_MOST = 254
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")

Way = Literal["link", "password"]

# An administrator who can log in without anyone's help.
ABLE = """
    u.role = 'administrator' AND u.disabled_at IS NULL AND (
        u.password_hash IS NOT NULL OR EXISTS (SELECT 1 FROM oidc_identities i WHERE i.user_id = u.id))
"""


@dataclass(frozen=True)
class Account:
    """An account as administrators see it."""

    user: User
    email: str | None
    created_at: datetime
    disabled_at: datetime | None
    last_login_at: datetime | None
    has_password: bool
    temporary: bool
    factor: bool
    codes: int
    sessions: int
    teams: tuple[str, ...]
    identities: tuple[str, ...]

    @property
    def ready(self) -> bool:
        """Whether its owner can log in without anyone's help."""
        return self.has_password or bool(self.identities)


@dataclass(frozen=True)
class Entry:
    """What an administrator hands over once: a link's token, or a temporary password."""

    user: User
    way: Way
    secret: str


@dataclass(frozen=True)
class Wish:
    """What an account is to be."""

    name: str
    role: str
    level: str | None = None
    email: str | None = None


class Administration:
    """Accounts, for administrators."""

    def __init__(self, database: Database, accounts: Accounts) -> None:
        self._db = database
        self._hashing = accounts.hashing
        self._bearer = accounts.bearer

    # -- looking -------------------------------------------------------------------------------------------------

    async def all(self, now: datetime) -> list[Account]:
        """Every account by name, disabled ones last."""
        return await self._accounts(now, None)

    async def get(self, user_id: int, now: datetime) -> Account | None:
        """One account."""
        found = await self._accounts(now, user_id)
        return found[0] if found else None

    async def _accounts(self, now: datetime, only: int | None) -> list[Account]:
        async with self._db.begin() as connection:
            rows = await connection.execute(
                text(f"""
                    SELECT {USER}, u.email, u.created_at, u.disabled_at, u.last_login_at, u.password_temporary,
                        u.password_hash IS NOT NULL AS has_password,
                        EXISTS (SELECT 1 FROM second_factors f WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL) AS factor,
                        (SELECT count(*) FROM recovery_codes r WHERE r.user_id = u.id AND r.used_at IS NULL) AS codes,
                        (SELECT count(*) FROM sessions s WHERE s.user_id = u.id AND s.ended_at IS NULL AND s.seal IS NOT NULL
                            AND s.seen_at > :idle AND s.created_at > :old) AS sessions,
                        ARRAY(SELECT t.name FROM team_members m JOIN teams t ON t.id = m.team_id
                            WHERE m.user_id = u.id AND t.archived_at IS NULL ORDER BY t.name) AS teams,
                        ARRAY(SELECT i.issuer FROM oidc_identities i WHERE i.user_id = u.id ORDER BY i.issuer) AS identities
                    FROM users u WHERE CAST(:only AS bigint) IS NULL OR u.id = :only
                    ORDER BY u.disabled_at IS NOT NULL, lower(u.name)
                """),  # noqa: S608
                {"idle": now - IDLE, "old": now - ABSOLUTE, "only": only},
            )
            return [_account(row) for row in rows]

    # -- making and changing -------------------------------------------------------------------------------------

    async def create(self, by: User, wish: Wish, teams: Collection[int], way: Way, now: datetime) -> Entry:
        """A new account, and what its owner first logs in with. Raises AccountError."""
        level, email = _level(wish.role, wish.level), checked_email(wish.email)
        given = passwords.temporary() if way == "password" else None
        hashed = await self._hashing.hash(given) if given else None
        async with self._db.begin() as connection:
            await _must_manage(connection, by)
            user = await insert(
                connection, now, wish.name, wish.role, hashed, by.id, level, email, temporary=given is not None
            )
            await _put_into(connection, user.id, teams)
            secret = given or await links.make(connection, self._bearer, user.id, "password", now)
        return Entry(user, way, secret)

    async def change(self, by: User, user_id: int, wish: Wish, teams: Collection[int], now: datetime) -> None:
        """Name, role, level, e-mail and teams as given; open sessions are asked for what the new role asks. Raises AccountError."""
        name, role, email = checked_name(wish.name), checked_role(wish.role), checked_email(wish.email)
        level = _level(role, wish.level)
        try:
            async with self._db.begin() as connection:
                old = await self._locked(connection, by, user_id)
                if role != old.role:
                    _not_oneself(by, user_id, "Vous ne pouvez pas changer votre propre rôle.")
                await connection.execute(
                    text("""
                        UPDATE users SET name = :name, role = :role, validation_level = :level, email = :email WHERE id = :id
                    """),
                    {"name": name, "role": role, "level": level, "email": email, "id": user_id},
                )
                await _must_leave_one(connection, old)
                if not may(role, Capability.WORK):
                    await _release(connection, user_id)
                await _put_into(connection, user_id, teams)
                await restage(connection, user_id)
                await audit.record(
                    connection, now, by.id, "user_changed", subject_id=user_id, role=role, level=level,
                    was={"role": old.role, "level": old.validation_level}, teams=sorted(teams),
                )  # fmt: skip
        except IntegrityError as error:
            raise taken(error, name) from None

    async def disable(self, by: User, user_id: int, now: datetime) -> None:
        """The account opens nothing any more, its sessions end, what it held waits for anyone. What it did stays.

        Raises AccountError.
        """
        async with self._db.begin() as connection:
            old = await self._locked(connection, by, user_id)
            _not_oneself(by, user_id, "Vous ne pouvez pas désactiver votre propre compte.")
            if old.disabled_at is not None:
                return
            await connection.execute(
                text("UPDATE users SET disabled_at = :now WHERE id = :id"), {"now": now, "id": user_id}
            )
            await _must_leave_one(connection, old)
            await connection.execute(text("DELETE FROM login_links WHERE user_id = :id"), {"id": user_id})
            released = await _release(connection, user_id)
            await audit.record(connection, now, by.id, "user_disabled", subject_id=user_id, released=released)
            await end(connection, by.id, user_id, now)

    async def enable(self, by: User, user_id: int, now: datetime) -> None:
        """The account opens again. Raises AccountError."""
        async with self._db.begin() as connection:
            old = await self._locked(connection, by, user_id)
            if old.disabled_at is None:
                return
            await connection.execute(text("UPDATE users SET disabled_at = NULL WHERE id = :id"), {"id": user_id})
            await audit.record(connection, now, by.id, "user_enabled", subject_id=user_id)

    # -- access --------------------------------------------------------------------------------------------------

    async def reset_password(self, by: User, user_id: int, way: Way, now: datetime) -> Entry:
        """The password opens nothing any more, sessions end; what the owner logs in with instead. Raises AccountError."""
        given = passwords.temporary() if way == "password" else None
        hashed = await self._hashing.hash(given) if given else None
        async with self._db.begin() as connection:
            old = await self._locked(connection, by, user_id)
            _not_oneself(by, user_id, "Votre propre mot de passe se change dans «\u00a0Mon compte\u00a0».")
            if old.disabled_at is not None:
                raise AccountError("Ce compte est désactivé.", "Réactivez-le d’abord.")
            await set_password(connection, user_id, hashed, now, temporary=given is not None)
            await connection.execute(
                text("DELETE FROM login_links WHERE user_id = :id AND purpose = 'password'"), {"id": user_id}
            )
            await _must_leave_one(connection, old)
            secret = given or await links.make(connection, self._bearer, user_id, "password", now)
            await audit.record(connection, now, by.id, "user_reset", subject_id=user_id, what="password", way=way)
            await end(connection, by.id, user_id, now)
        return Entry(user_of(old), way, secret)

    async def reset_factor(self, by: User, user_id: int, now: datetime) -> None:
        """The second factor is gone (a lost phone); sessions end, and the next log-in asks for a new one. Raises AccountError."""
        async with self._db.begin() as connection:
            await self._locked(connection, by, user_id)
            _not_oneself(by, user_id, "Votre propre application se remplace dans «\u00a0Mon compte\u00a0».")
            if not await forget(connection, user_id):
                raise AccountError("Ce compte n’a pas de code à usage unique.", "Il n’y a rien à retirer.")
            await audit.record(connection, now, by.id, "second_factor_removed", subject_id=user_id)
            await end(connection, by.id, user_id, now)

    async def unlink(self, by: User, user_id: int, issuer: str, now: datetime) -> None:
        """The identity at the provider no longer opens this account. Raises AccountError."""
        async with self._db.begin() as connection:
            old = await self._locked(connection, by, user_id)
            await connection.execute(
                text("DELETE FROM oidc_identities WHERE user_id = :id AND issuer = :issuer"),
                {"id": user_id, "issuer": issuer},
            )
            await _must_leave_one(connection, old)
            await audit.record(connection, now, by.id, "identity_unlinked", subject_id=user_id, issuer=issuer)
            await end(connection, by.id, user_id, now)

    async def end_sessions(self, by: User, user_id: int, now: datetime, only: int = 0) -> int:
        """End one or all of an account's sessions; how many that were. Raises AccountError."""
        async with self._db.begin() as connection:
            await self._locked(connection, by, user_id)
            return await end(connection, by.id, user_id, now, only=only)

    async def _locked(self, connection: AsyncConnection, by: User, user_id: int) -> Any:
        await _must_manage(connection, by)
        await _held(connection, user_id)  # before the account, as whoever answers there: no circle of waiting
        row = (
            await connection.execute(
                text(f"SELECT {USER}, u.disabled_at, {ABLE} AS able FROM users u WHERE u.id = :id FOR UPDATE"),  # noqa: S608
                {"id": user_id},
            )
        ).one_or_none()
        if row is None:
            raise AccountError("Ce compte n’existe pas.", "Revenez à la liste des comptes.")
        return row


async def _must_manage(connection: AsyncConnection, by: User) -> None:
    """One change of accounts at a time, by someone who may still make it: two administrators cannot remove each other."""
    await connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('planton accounts', 7))"))
    row = (
        await connection.execute(
            text(f"SELECT {USER}, u.disabled_at FROM users u WHERE u.id = :id"),  # noqa: S608
            {"id": by.id},
        )
    ).one_or_none()
    if row is None or row.disabled_at is not None or not user_of(row).may(Capability.MANAGE_ACCOUNTS):
        raise AccountError("Vous n’êtes plus administrateur.", "Adressez-vous à un autre administrateur.")


async def _must_leave_one(connection: AsyncConnection, old: Any) -> None:
    if old.able and not await connection.scalar(text(f"SELECT EXISTS (SELECT 1 FROM users u WHERE {ABLE})")):  # noqa: S608
        raise AccountError(
            "C’est le dernier administrateur qui peut se connecter.",
            "Nommez d’abord un autre administrateur, et attendez qu’il se soit connecté.",
        )


def _not_oneself(by: User, user_id: int, what: str) -> None:
    if by.id == user_id:
        raise AccountError(what, "Un autre administrateur peut le faire.")


async def _held(connection: AsyncConnection, user_id: int) -> list[int]:
    """The conversations that this person has, locked in the gateway's order."""
    rows = await connection.scalars(
        text("""
            SELECT id FROM conversations WHERE owner = 'agent' AND agent_id = :id
            ORDER BY platform COLLATE "C", account COLLATE "C", person COLLATE "C" FOR UPDATE
        """),
        {"id": user_id},
    )
    return list(rows)


async def _release(connection: AsyncConnection, user_id: int) -> int:
    """Whatever this person held or should have taken waits for anyone again; how many conversations that were."""
    held = await _held(connection, user_id)
    await connection.execute(
        text("""
            UPDATE conversations c SET agent_id = NULL, owner_version = owner_version + 1,
                owner = CASE WHEN EXISTS (SELECT 1 FROM handoffs h WHERE h.conversation_id = c.id AND h.closed_at IS NULL)
                    THEN 'waiting' ELSE 'bot' END
            WHERE id = ANY(:held)
        """),
        {"held": held},
    )
    assigned = await connection.scalars(
        text(
            "UPDATE handoffs SET assignee_id = NULL WHERE assignee_id = :id AND closed_at IS NULL RETURNING conversation_id"
        ),
        {"id": user_id},
    )
    changed = sorted({*held, *assigned.all()})
    for number in changed:
        await news.conversation(connection, number)
    return len(changed)


async def _put_into(connection: AsyncConnection, user_id: int, teams: Collection[int]) -> None:
    """Exactly these teams, among those that are not archived."""
    values = {"user": user_id, "teams": sorted(teams)}
    await connection.execute(
        text("""
            DELETE FROM team_members m USING teams t WHERE t.id = m.team_id AND t.archived_at IS NULL
              AND m.user_id = :user AND m.team_id <> ALL(CAST(:teams AS bigint[]))
        """),
        values,
    )
    await connection.execute(
        text("""
            INSERT INTO team_members (team_id, user_id) SELECT id, :user FROM teams
            WHERE id = ANY(CAST(:teams AS bigint[])) AND archived_at IS NULL ON CONFLICT DO NOTHING
        """),
        values,
    )


def _level(role: str, level: str | None) -> str | None:
    """A level belongs to those who may validate."""
    if not level:
        return None
    if level not in LEVELS:
        raise AccountError("Ce niveau de validation n’existe pas.", "Choisissez-en un dans la liste.")
    return level if role in ("validator", "administrator") else None


def checked_email(given: str | None) -> str | None:
    """An address, or None for an empty one. Raises AccountError."""
    email = (given or "").strip()
    if email and (len(email) > EMAIL_AT_MOST or not _EMAIL.fullmatch(email)):
        raise AccountError("Cette adresse électronique ne convient pas.", "Exemple\u00a0: prenom.nom@exemple.fr")
    return email or None


def _account(row: Any) -> Account:
    return Account(
        user_of(row), row.email, row.created_at, row.disabled_at, row.last_login_at,
        row.has_password, row.password_temporary, row.factor, int(row.codes) if row.factor else 0,
        int(row.sessions), tuple(row.teams), tuple(row.identities),
    )  # fmt: skip
