"""People of the console: their accounts, and the door that asks for name and password.

Sessions are in `sessions`, second factors in `second_factor`, what administrators do in `administration`.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store import audit, links, passwords
from bot.store.bearer import Bearer
from bot.store.db import Database
from bot.store.passwords import AccountError as AccountError
from bot.store.passwords import Hashing
from bot.store.sessions import Sessions, end, restage
from bot.store.throttle import Throttle, place
from bot.store.user import NAME_AT_MOST as NAME_AT_MOST
from bot.store.user import USER, checked_name, checked_role, user_of
from bot.store.user import User as User

TEMPORARY_FOR = timedelta(hours=72)  # how long a password that an administrator gave opens the door


class Accounts:
    """Accounts and their passwords. `secret_key` keys tokens, what is counted by name and the proof of a known browser.

    `older_key`: the one before, during its rotation.
    """

    def __init__(self, database: Database, secret_key: str, older_key: str = "") -> None:
        self._db = database
        self._keys = [key.encode() for key in (secret_key, older_key) if key]
        self.hashing = Hashing()
        self.throttle = Throttle(database, secret_key)
        self.bearer = Bearer(secret_key, older_key)
        self.sessions = Sessions(database, self.bearer)

    # -- accounts ------------------------------------------------------------------------------------------------

    async def add(self, name: str, role: str, password: str | None, now: datetime | None = None) -> User:
        """Create an account, as the command line does; without password only a one-time link opens it.

        Raises AccountError.
        """
        hashed = None
        if password is not None:
            hashed = await self.hashing.hash(passwords.checked(password, name, advise_only=True))
        async with self._db.begin() as connection:
            return await insert(connection, now or self._db.clock.now(), name, role, hashed)

    async def find(self, name: str) -> User | None:
        """The enabled account of that name, however it is capitalised."""
        async with self._db.begin() as connection:
            row = (
                await connection.execute(
                    text(f"SELECT {USER} FROM users u WHERE lower(name) = lower(:name) AND disabled_at IS NULL"),  # noqa: S608
                    {"name": name.strip()},
                )
            ).one_or_none()
        return None if row is None else user_of(row)

    # -- the door ------------------------------------------------------------------------------------------------

    async def check_password(
        self, name: str, password: str, address: str, now: datetime, device: str | None = None
    ) -> User | timedelta | None:
        """The user; None when name or password is wrong; a duration when the door is shut for that long.

        `device`: the id of a browser in which this account logged in before. It has a count of its own, so that
        whoever hammers at an account from elsewhere does not lock its owner out. Raises AccountError when the
        password is right but was given for a time that has passed.
        """
        name = name.strip()
        subjects = self._subjects(name, address, device)
        shut = await self.throttle.reserve(subjects, now)
        if shut is not None:
            return shut
        row = await self._row(name)
        usable = row is not None and row.disabled_at is None
        if not await self.hashing.right(row.password_hash if usable else None, password):
            # Written for a name that does not exist as well: both answers take as long.
            why = "unknown" if row is None else "disabled" if row.disabled_at else "password"
            await self._refused(None if row is None else row.id, now, why)
            return None
        await self.throttle.forgive(subjects, now)
        if row.password_temporary and row.password_at is not None and now - row.password_at > TEMPORARY_FOR:
            await self._refused(row.id, now, "temporary")
            raise AccountError(
                "Ce mot de passe provisoire n’est plus valable.", "Demandez-en un autre à un administrateur."
            )
        await self._rehash(row, password)
        return user_of(row)

    async def _row(self, name: str) -> Any:
        async with self._db.begin() as connection:
            return (
                await connection.execute(
                    text(f"""
                        SELECT {USER}, u.password_hash, u.password_temporary, u.password_at, u.disabled_at
                        FROM users u WHERE lower(u.name) = lower(:name)
                    """),  # noqa: S608
                    {"name": name},
                )
            ).one_or_none()

    async def _refused(self, user_id: int | None, now: datetime, why: str) -> None:
        async with self._db.begin() as connection:
            await audit.record(connection, now, None, "login_refused", subject_id=user_id, why=why)

    async def _rehash(self, row: Any, password: str) -> None:
        """Keep the password with current parameters, unless it was changed meanwhile."""
        if not self.hashing.is_old(row.password_hash):
            return
        renewed = await self.hashing.hash(password)
        async with self._db.begin() as connection:
            await connection.execute(
                text("UPDATE users SET password_hash = :new WHERE id = :id AND password_hash = :old"),
                {"new": renewed, "id": row.id, "old": row.password_hash},
            )

    def _subjects(self, name: str, address: str, device: str | None) -> dict[str, str]:
        name, address, subject = name.lower(), place(address), self.throttle.subject
        if device is not None:
            return {"device": subject("device", name, device)}
        return {
            "pair": subject("pair", name, address),
            "address": subject("address", address),
            "account": subject("account", name),
        }

    # -- one's own password --------------------------------------------------------------------------------------

    async def change_password(
        self, user: User, new: str, now: datetime, session_id: int, current: str | None = None
    ) -> None:
        """Choose a password; other sessions end. `current`: asked for again, unless it is a temporary one.

        Raises AccountError.
        """
        passwords.checked(new, user.name)
        row = await self._row(user.name)
        if row is None or (current is None and not row.password_temporary):
            raise AccountError("Votre mot de passe ne peut pas être changé ici.", "Adressez-vous à un administrateur.")
        if current is not None:
            await self._ask_again(user, row.password_hash, current, now)
        if await self.hashing.right(row.password_hash, new):
            raise AccountError("C’est le mot de passe que vous avez déjà.", "Choisissez-en un autre.")
        hashed = await self.hashing.hash(new)
        async with self._db.begin() as connection:
            await set_password(connection, user.id, hashed, now)
            await audit.record(connection, now, user.id, "password_changed", subject_id=user.id)
            await end(connection, user.id, user.id, now, but=session_id)
            await restage(connection, user.id)

    async def _ask_again(self, user: User, hashed: str | None, current: str, now: datetime) -> None:
        """Whoever finds an open session must not guess the password there either."""
        subjects = {"pair": self.throttle.subject("pair", "again", str(user.id))}
        if await self.throttle.reserve(subjects, now) is not None:
            raise AccountError("Trop d’essais manqués.", "Réessayez dans un quart d’heure.")
        if not await self.hashing.right(hashed, current):
            await self._refused(user.id, now, "current")
            raise AccountError("Le mot de passe actuel n’est pas le bon.", "Saisissez-le de nouveau.")
        await self.throttle.forgive(subjects, now)

    # -- one-time links ------------------------------------------------------------------------------------------

    async def login_link(self, user_id: int, now: datetime) -> str:
        """A token that logs this user in once (the demo alone offers it)."""
        async with self._db.begin() as connection:
            return await links.make(connection, self.bearer, user_id, "login", now)

    async def use_login_link(self, token: str, now: datetime) -> User | None:
        """The user of a log-in link, which is spent by this; None when it was spent, is too old or never was."""
        async with self._db.begin() as connection:
            found = await links.spend(connection, self.bearer, token, "login", now)
            return None if found is None else await by_id(connection, found)

    async def invited(self, token: str, now: datetime) -> User | None:
        """Whose password the link would set; it stays as it is."""
        async with self._db.begin() as connection:
            found = await links.holder(connection, self.bearer, token, "password", now)
            return None if found is None else await by_id(connection, found)

    async def accept(self, token: str, password: str, now: datetime) -> User:
        """Spend an invitation: the password is set. Raises AccountError, and the link stays when the password is bad."""
        user = await self.invited(token, now)
        if user is None:
            raise gone()
        hashed = await self.hashing.hash(passwords.checked(password, user.name))
        async with self._db.begin() as connection:
            if await links.spend(connection, self.bearer, token, "password", now) is None:
                raise gone()
            await set_password(connection, user.id, hashed, now)
            await audit.record(connection, now, user.id, "password_changed", subject_id=user.id, by_link=True)
            await end(connection, user.id, user.id, now)
        return user

    # -- browsers that an account used before --------------------------------------------------------------------

    def device_cookie(self, user: User) -> str:
        """A value that proves, later, that this account logged in in this browser."""
        device = secrets.token_urlsafe(12)
        return f"{device}.{self._device_seal(self._keys[0], user.name, device)}"

    def device_of(self, name: str, cookie: str | None) -> str | None:
        """The browser's id when the cookie is one of ours for that account."""
        device, _, seal = (cookie or "").partition(".")
        seals = [self._device_seal(key, name.strip(), device) for key in self._keys]
        right = any([hmac.compare_digest(seal.encode(errors="replace"), one.encode()) for one in seals])
        return device if device and right else None

    @staticmethod
    def _device_seal(key: bytes, name: str, device: str) -> str:
        message = f"device\x00{name.lower()}\x00{device}".encode(errors="replace")
        return hmac.new(key, message, hashlib.sha256).hexdigest()


def gone() -> AccountError:
    """The link opens nothing."""
    return AccountError("Ce lien a déjà servi ou n’est plus valable.", "Demandez-en un autre à un administrateur.")


async def insert(
    connection: AsyncConnection,
    now: datetime,
    name: str,
    role: str,
    hashed: str | None,
    by: int | None = None,
    level: str | None = None,
    email: str | None = None,
    temporary: bool = False,
) -> User:
    """The one way an account comes to be. Raises AccountError; the transaction is then undone."""
    name, role = checked_name(name), checked_role(role)
    try:
        row = (
            await connection.execute(
                text(f"""
                    INSERT INTO users AS u (name, role, password_hash, validation_level, email, created_at, password_at,
                        password_temporary)
                    VALUES (:name, :role, :hash, :level, :email, :now, CASE WHEN :has THEN CAST(:now AS timestamptz) END,
                        :temporary) RETURNING {USER}
                """),  # noqa: S608
                {"name": name, "role": role, "hash": hashed, "level": level, "email": email, "now": now,
                 "has": hashed is not None, "temporary": temporary},
            )
        ).one()  # fmt: skip
    except IntegrityError as error:
        raise taken(error, name) from None
    await audit.record(connection, now, by, "user_added", subject_id=row.id, role=role, level=level)
    return user_of(row)


def taken(error: IntegrityError, name: str) -> AccountError:
    """What is unique and exists already, in French."""
    if "users_email" in str(error.orig):
        return AccountError("Un autre compte a déjà cette adresse.", "Donnez-en une autre, ou laissez-la vide.")
    return AccountError(
        f"Le compte «\u00a0{name}\u00a0» existe déjà.", "Choisissez un autre nom, ou ouvrez ce compte dans la liste."
    )


async def by_id(connection: AsyncConnection, user_id: int) -> User | None:
    """The account of that number, enabled or not."""
    row = (
        await connection.execute(text(f"SELECT {USER} FROM users u WHERE u.id = :id"), {"id": user_id})  # noqa: S608
    ).one_or_none()
    return None if row is None else user_of(row)


async def set_password(
    connection: AsyncConnection, user_id: int, hashed: str | None, now: datetime, temporary: bool = False
) -> None:
    """Keep a password's hash, or None: none opens the door. A second factor that is being set up begins anew."""
    await connection.execute(
        text("""
            UPDATE users SET password_hash = :hash, password_at = :now, password_temporary = :temporary WHERE id = :id
        """),
        {"hash": hashed, "now": now, "temporary": temporary, "id": user_id},
    )
    await connection.execute(
        text("UPDATE second_factors SET pending = NULL, pending_at = NULL, pending_session = NULL WHERE user_id = :id"),
        {"id": user_id},
    )
