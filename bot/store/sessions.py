"""Sessions of the console: how they begin, what is still asked of them, how they end.

A session's stage says what it lacks: `factor` (show the second one), `password` (choose one's own), `enrol` (set up a
second factor), or `open`. `restage` works it out from the account, whenever either changes. Only a keyed hash of the
cookie's token is stored, bound to the account, the beginning and the way in (`bearer`): a row that another hand wrote, pointed
at another account or prolonged opens nothing.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.policy.rights import SECOND_FACTOR
from bot.store import audit, news
from bot.store.bearer import Bearer
from bot.store.db import Database
from bot.store.user import USER, User, user_of

IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=12)
_TOUCH_EVERY = timedelta(minutes=1)

Method = Literal["password", "link", "oidc"]

# Without a seal: begun by a version before there were seals, and open to nobody.
_ALIVE = "s.seen_at > :idle AND s.created_at > :old AND s.ended_at IS NULL AND s.seal IS NOT NULL"
_RESTAGE = text("""
    UPDATE sessions s SET stage = CASE
        WHEN f.confirmed_at IS NOT NULL AND s.factor_at IS NULL THEN 'factor'
        WHEN u.password_temporary AND s.method = 'password' THEN 'password'
        WHEN s.factor_at IS NULL AND u.role = ANY(CAST(:owing AS text[])) THEN 'enrol'
        ELSE 'open' END
    FROM users u LEFT JOIN second_factors f ON f.user_id = u.id
    WHERE s.user_id = u.id AND u.id = :user AND s.ended_at IS NULL
""")


@dataclass(frozen=True)
class Session:
    """A session that is alive. `stage`: open, or what is still asked for (factor, enrol, password)."""

    user: User
    csrf: str
    id: int
    stage: str
    method: str = "password"


@dataclass(frozen=True)
class Seen:
    """A living session in a list. `device`: browser and system in words."""

    id: int
    method: str
    device: str | None
    stage: str
    created_at: datetime
    seen_at: datetime


class Sessions:
    """All sessions."""

    def __init__(self, database: Database, bearer: Bearer) -> None:
        self._db = database
        self._bearer = bearer

    async def begin(
        self, user: User, now: datetime, method: Method = "password", device: str = "", factor: bool = False
    ) -> str:
        """A new session; the token for the cookie. `factor`: the way in counts as the second factor as well."""
        token = secrets.token_urlsafe(32)
        mark = self._bearer.mark("session", token)
        async with self._db.begin() as connection:
            await connection.execute(
                text("DELETE FROM sessions WHERE seen_at < :idle OR created_at < :old"), _ages(now)
            )
            await connection.execute(
                text("""
                    INSERT INTO sessions (token_hash, user_id, csrf, created_at, seen_at, method, device, factor_at, stage, seal)
                    VALUES (:hash, :user, :csrf, :now, :now, :method, :device, :factor, 'factor', :seal)
                """),
                {"hash": mark, "user": user.id, "csrf": secrets.token_urlsafe(32), "now": now,
                 "method": method, "device": device or None, "factor": now if factor else None,
                 "seal": self._bearer.seal(mark, user.id, now, method)},
            )  # fmt: skip
            await _restage(connection, user.id)
            await connection.execute(
                text("UPDATE users SET last_login_at = :now WHERE id = :user"), {"now": now, "user": user.id}
            )
            await audit.record(connection, now, user.id, "login", method=method)
        return token

    async def of_token(self, token: str, now: datetime, touch: bool = True) -> Session | None:
        """The living session of a token. `touch`: the person did something, so the idle time counts from now."""
        async with self._db.begin() as connection:
            row = (
                await connection.execute(
                    text(f"""
                        SELECT s.csrf, s.seen_at, s.id AS session, s.stage, s.method, s.token_hash, s.seal, s.created_at, {USER}
                        FROM sessions s JOIN users u ON u.id = s.user_id
                        WHERE s.token_hash = ANY(:marks) AND {_ALIVE} AND u.disabled_at IS NULL
                    """),  # noqa: S608
                    {"marks": self._bearer.marks("session", token), **_ages(now)},
                )
            ).one_or_none()
            if row is None or not self._bearer.fits(row.seal, row.token_hash, row.id, row.created_at, row.method):
                return None
            if touch and now - row.seen_at >= _TOUCH_EVERY:
                await connection.execute(
                    text("UPDATE sessions SET seen_at = :now WHERE id = :id"), {"now": now, "id": row.session}
                )
        return Session(user_of(row), row.csrf, row.session, row.stage, row.method)

    async def renew(self, session_id: int) -> str:
        """A new token for a session that has just been opened: one seen before opens nothing."""
        token = secrets.token_urlsafe(32)
        mark = self._bearer.mark("session", token)
        async with self._db.begin() as connection:
            row = (
                await connection.execute(
                    text("""
                        SELECT token_hash, seal, user_id, created_at, method FROM sessions
                        WHERE id = :id AND seal IS NOT NULL FOR UPDATE
                    """),
                    {"id": session_id},
                )
            ).one_or_none()
            if row is None or not self._bearer.fits(row.seal, row.token_hash, row.user_id, row.created_at, row.method):
                return token  # it has gone meanwhile: this opens nothing
            await connection.execute(
                text("UPDATE sessions SET token_hash = :hash, csrf = :csrf, seal = :seal WHERE id = :id"),
                {"hash": mark, "csrf": secrets.token_urlsafe(32), "id": session_id,
                 "seal": self._bearer.seal(mark, row.user_id, row.created_at, row.method)},
            )  # fmt: skip
        return token

    async def close(self, token: str, now: datetime) -> None:
        """Log out."""
        async with self._db.begin() as connection:
            user = await connection.scalar(
                text("DELETE FROM sessions WHERE token_hash = ANY(:marks) RETURNING user_id"),
                {"marks": self._bearer.marks("session", token)},
            )
            if user is not None:
                await audit.record(connection, now, int(user), "logout")

    async def alive(self, user_id: int, now: datetime) -> list[Seen]:
        """An account's living sessions, the last used first."""
        async with self._db.begin() as connection:
            rows = await connection.execute(
                text(f"""
                    SELECT s.id, s.method, s.device, s.stage, s.created_at, s.seen_at FROM sessions s
                    WHERE s.user_id = :user AND {_ALIVE} ORDER BY s.seen_at DESC, s.id DESC
                """),  # noqa: S608
                {"user": user_id, **_ages(now)},
            )
            return [Seen(r.id, r.method, r.device, r.stage, r.created_at, r.seen_at) for r in rows]

    async def end_one(self, by: User, user_id: int, session_id: int, now: datetime) -> bool:
        """End one session of that account; False when it had ended."""
        async with self._db.begin() as connection:
            return bool(await end(connection, by.id, user_id, now, only=session_id))

    async def end_all(self, by: User, user_id: int, now: datetime, but: int = 0) -> int:
        """End every session of that account, save one; how many that were."""
        async with self._db.begin() as connection:
            return await end(connection, by.id, user_id, now, but=but)


async def restage(connection: AsyncConnection, user_id: int) -> None:
    """Work out again what each session of that account lacks; for after anything that decides it has changed."""
    await _restage(connection, user_id)
    await news.topic(connection, "sessions")


async def _restage(connection: AsyncConnection, user_id: int) -> None:
    await connection.execute(_RESTAGE, {"user": user_id, "owing": sorted(role.value for role in SECOND_FACTOR)})


async def end(
    connection: AsyncConnection, by: int | None, user_id: int, now: datetime, only: int = 0, but: int = 0
) -> int:
    """End sessions of an account: one, or all save one; how many that were. Their open pages notice at once."""
    ended = (
        await connection.execute(
            text("""
                UPDATE sessions SET ended_at = :now, ended_by = :by
                WHERE user_id = :user AND ended_at IS NULL AND id <> :but AND (:only = 0 OR id = :only) RETURNING id
            """),
            {"now": now, "by": by, "user": user_id, "but": but, "only": only},
        )
    ).all()
    if ended:
        await connection.execute(
            text("""
                UPDATE second_factors SET pending = NULL, pending_at = NULL, pending_session = NULL
                WHERE user_id = :user AND pending_session = ANY(:ended)
            """),
            {"user": user_id, "ended": [row.id for row in ended]},
        )
        await audit.record(connection, now, by, "sessions_ended", subject_id=user_id, count=len(ended))
        await news.topic(connection, "sessions")
    return len(ended)


def _ages(now: datetime) -> dict[str, datetime]:
    return {"idle": now - IDLE, "old": now - ABSOLUTE}
