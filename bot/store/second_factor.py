"""The second factor: time-based one-time passwords (RFC 6238) and recovery codes.

The secret is encrypted; recovery codes are kept as keyed hashes. No code opens twice, and guessing is braked. A secret that is
being set up is one session's, for ten minutes: who saw the page elsewhere does not come to know the one that will count.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyotp
from pyotp.utils import strings_equal
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store import audit
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.passwords import AccountError
from bot.store.sessions import restage
from bot.store.throttle import Throttle
from bot.store.user import User

ISSUER = "Planton"
CODES = 10
PENDING_FOR = timedelta(minutes=10)  # how long a secret that is shown waits for its first code
_COLUMN = "second_factors.secret"
_STEP = 30  # seconds
_AROUND = (0, -1, 1)  # a clock may be half a minute off
# No letters and digits that look alike.
_ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"

WRONG = "Ce code n’est pas le bon, ou a déjà servi."
LATE = (
    "Ce code à scanner n’est plus valable\u00a0: il l’est dix minutes, dans cette session seulement.",
    "Scannez celui qui s’affiche maintenant, puis saisissez le code de l’application.",
)
_WAITS = "f.pending IS NOT NULL AND f.pending_at > :early AND f.pending_at < :late AND f.pending_session = :session"


class WrongCode(AccountError):
    """The code does not open, or not any more."""


class TooManyTries(AccountError):
    """The door is shut for `wait`."""

    def __init__(self, wait: timedelta) -> None:
        minutes = math.ceil(wait.total_seconds() / 60)
        super().__init__("Trop de codes faux.", f"Réessayez dans {minutes}\u00a0min.")
        self.wait = wait


@dataclass(frozen=True)
class Factor:
    """An account's second factor. `set_at` None: there is none. `codes`: recovery codes that are left."""

    set_at: datetime | None
    codes: int


class SecondFactors:
    """Second factors of all accounts. `secret_key` keys the hashes of recovery codes; `older_key` the one before."""

    def __init__(
        self, database: Database, codec: Codec, throttle: Throttle, secret_key: str, older_key: str = ""
    ) -> None:
        self._db = database
        self._codec = codec
        self._throttle = throttle
        self._keys = [key.encode() for key in (secret_key, older_key) if key]

    async def of(self, user_id: int) -> Factor:
        """What an account has."""
        async with self._db.begin() as connection:
            row = (
                await connection.execute(
                    text("""
                        SELECT (SELECT confirmed_at FROM second_factors WHERE user_id = :user) AS set_at,
                            (SELECT count(*) FROM recovery_codes WHERE user_id = :user AND used_at IS NULL) AS codes
                    """),
                    {"user": user_id},
                )
            ).one()
        return Factor(row.set_at, int(row.codes) if row.set_at else 0)

    # -- setting up ----------------------------------------------------------------------------------------------

    async def pending(self, user: User, session_id: int, now: datetime) -> str:
        """The secret (base32) that is shown in this session until a code confirms it; made if none is valid."""
        fresh = self._codec.seal(pyotp.random_base32().encode(), _COLUMN, user.id)
        async with self._db.begin() as connection:
            kept = await connection.scalar(
                text(f"""
                    INSERT INTO second_factors AS f (user_id, pending, pending_at, pending_session, created_at)
                    VALUES (:user, :fresh, :now, :session, :now)
                    ON CONFLICT (user_id) DO UPDATE SET
                        pending = CASE WHEN {_WAITS} THEN f.pending ELSE excluded.pending END,
                        pending_at = CASE WHEN {_WAITS} THEN f.pending_at ELSE excluded.pending_at END,
                        pending_session = excluded.pending_session
                    RETURNING pending
                """),  # noqa: S608
                {"user": user.id, "fresh": fresh, "now": now, **_waiting(session_id, now)},
            )
        return self._open(user, kept)

    async def _shown_here(self, user: User, session_id: int, now: datetime) -> bytes:
        """The sealed secret that waits for its first code in this session. Raises WrongCode when none does any more."""
        async with self._db.begin() as connection:
            kept = await connection.scalar(
                text(f"SELECT f.pending FROM second_factors f WHERE f.user_id = :user AND {_WAITS}"),  # noqa: S608
                {"user": user.id, **_waiting(session_id, now)},
            )
        if kept is None:
            raise WrongCode(*LATE)
        return bytes(kept)

    @staticmethod
    def address(user: User, secret: str) -> str:
        """The otpauth address, which an authenticator reads from the QR code."""
        return pyotp.TOTP(secret).provisioning_uri(name=user.name, issuer_name=ISSUER)

    async def confirm(self, user: User, session_id: int, code: str, now: datetime, current: str = "") -> list[str]:
        """Set up the pending secret with a code of it; returns new recovery codes, to be shown once.

        Whoever has a second factor already shows a code of it first (`current`). The session counts as having shown
        it; others are asked. Raises WrongCode, TooManyTries.
        """
        if (await self.of(user.id)).set_at is not None:
            await self._check(user, current, now)
        pending = await self._shown_here(user, session_id, now)
        subjects = self._subjects(user)
        await self._brake(subjects, now)
        step = _step_of(self._open(user, pending), code, now)
        if step is None:
            raise WrongCode(
                "Ce code ne correspond pas.",
                "Vérifiez que l’heure de votre téléphone est réglée automatiquement, puis saisissez le code affiché.",
            )
        await self._throttle.forgive(subjects, now)
        async with self._db.begin() as connection:
            done = await connection.execute(
                text("""
                    UPDATE second_factors SET secret = pending, pending = NULL, pending_at = NULL, pending_session = NULL,
                        confirmed_at = :now, last_step = :step
                    WHERE user_id = :user AND pending = :pending AND pending_session = :session
                """),
                {"user": user.id, "now": now, "step": step, "pending": pending, "session": session_id},
            )
            if done.rowcount != 1:  # ended meanwhile: a new password, an administrator's reset
                raise WrongCode(*LATE)
            codes = await self._new_codes(connection, user)
            await audit.record(connection, now, user.id, "second_factor_set", subject_id=user.id)
            await _shown(connection, session_id, now)
            await restage(connection, user.id)
        return codes

    async def renew_codes(self, user: User, code: str, now: datetime) -> list[str]:
        """Ten new recovery codes instead of the old ones. Raises WrongCode, TooManyTries."""
        await self._check(user, code, now)
        async with self._db.begin() as connection:
            codes = await self._new_codes(connection, user)
            await audit.record(connection, now, user.id, "second_factor_set", subject_id=user.id, recovery_codes=True)
        return codes

    async def remove(self, user: User, code: str, now: datetime) -> None:
        """Go without, where the role lets one. Raises WrongCode, TooManyTries, AccountError."""
        if user.owes_factor:
            raise AccountError(
                "Votre rôle demande un code à usage unique.", "Vous pouvez le remplacer, pas le retirer."
            )
        await self._check(user, code, now)
        async with self._db.begin() as connection:
            await forget(connection, user.id)
            await audit.record(connection, now, user.id, "second_factor_removed", subject_id=user.id)
            await restage(connection, user.id)

    # -- showing -------------------------------------------------------------------------------------------------

    async def show(self, user: User, session_id: int, code: str, now: datetime, device: str | None = None) -> None:
        """A code opens the session, whether of the authenticator or a recovery code. Raises WrongCode, TooManyTries.

        `device`: a browser in which this account was in before. It has a count of its own, so that whoever has found the
        password out and guesses codes elsewhere does not lock the account's owner out.
        """
        await self._check(user, code, now, device)
        async with self._db.begin() as connection:
            await _shown(connection, session_id, now)
            await restage(connection, user.id)

    async def _check(self, user: User, code: str, now: datetime, device: str | None = None) -> None:
        subjects = self._subjects(user, device)
        if device is not None and await self._throttle.reserve(subjects, now) is not None:
            device, subjects = None, self._subjects(user)  # this browser's own count is full: it is any other
        if device is None:
            await self._brake(subjects, now)
        typed = "".join(code.split())
        async with self._db.begin() as connection:
            if typed.isascii() and typed.isdigit():
                right = await self._by_authenticator(connection, user, typed, now)
            else:
                right = await self._by_recovery(connection, user, typed, now)
        if not right:
            async with self._db.begin() as connection:
                await audit.record(connection, now, None, "login_refused", subject_id=user.id, why="code")
            raise WrongCode(WRONG, "Attendez le code suivant, ou prenez un code de secours.")
        await self._throttle.forgive(subjects, now)

    async def _by_authenticator(self, connection: AsyncConnection, user: User, code: str, now: datetime) -> bool:
        row = await self._locked(connection, user)
        if row is None:
            return False
        step = _step_of(self._open(user, row.secret), code, now)
        # A last code of the future was told by a clock that was wrong: it must not shut the door until then.
        if step is None or step <= row.last_step <= int(now.timestamp()) // _STEP + max(_AROUND):
            return False
        await connection.execute(
            text("UPDATE second_factors SET last_step = :step WHERE user_id = :user"), {"step": step, "user": user.id}
        )
        return True

    @staticmethod
    async def _locked(connection: AsyncConnection, user: User) -> Any:
        return (
            await connection.execute(
                text("""
                    SELECT secret, last_step FROM second_factors WHERE user_id = :user AND confirmed_at IS NOT NULL
                    FOR UPDATE
                """),
                {"user": user.id},
            )
        ).one_or_none()

    async def _by_recovery(self, connection: AsyncConnection, user: User, code: str, now: datetime) -> bool:
        used = await connection.execute(
            text("""
                UPDATE recovery_codes r SET used_at = :now FROM second_factors f
                WHERE r.user_id = :user AND r.code_hash = ANY(:hashes) AND r.used_at IS NULL
                  AND f.user_id = r.user_id AND f.confirmed_at IS NOT NULL
            """),
            {"now": now, "user": user.id, "hashes": self._hashes(user, code)},
        )
        if used.rowcount == 1:
            await audit.record(connection, now, user.id, "recovery_code_used", subject_id=user.id)
        return used.rowcount == 1

    # -- the parts -----------------------------------------------------------------------------------------------

    def _subjects(self, user: User, device: str | None = None) -> dict[str, str]:
        return {"code": self._throttle.subject("code", str(user.id), *([device] if device else []))}

    async def _brake(self, subjects: dict[str, str], now: datetime) -> None:
        wait = await self._throttle.reserve(subjects, now)
        if wait is not None:
            raise TooManyTries(wait)

    async def _new_codes(self, connection: AsyncConnection, user: User) -> list[str]:
        codes = ["-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(2)) for _ in range(CODES)]
        await connection.execute(text("DELETE FROM recovery_codes WHERE user_id = :user"), {"user": user.id})
        await connection.execute(
            text("""
                INSERT INTO recovery_codes (user_id, code_hash) SELECT :user, unnest(CAST(:hashes AS bytea[]))
            """),
            {"user": user.id, "hashes": [self._hashes(user, code)[0] for code in codes]},
        )
        return codes

    def _hashes(self, user: User, code: str) -> list[bytes]:
        """By each key, the present one first."""
        typed = "".join(c for c in code.upper() if c.isascii() and c.isalnum())
        message = f"recovery\x00{user.id}\x00{typed}".encode()
        return [hmac.new(key, message, hashlib.sha256).digest() for key in self._keys]

    def _open(self, user: User, sealed: bytes) -> str:
        return self._codec.open(sealed, _COLUMN, user.id).decode()


def _waiting(session_id: int, now: datetime) -> dict[str, Any]:
    return {"early": now - PENDING_FOR, "late": now + PENDING_FOR, "session": session_id}


async def forget(connection: AsyncConnection, user_id: int) -> bool:
    """Remove the second factor of an account with its recovery codes, and one that is being set up; whether there was one."""
    await connection.execute(text("DELETE FROM recovery_codes WHERE user_id = :user"), {"user": user_id})
    removed = await connection.execute(
        text("DELETE FROM second_factors WHERE user_id = :user AND coalesce(secret, pending) IS NOT NULL"),
        {"user": user_id},
    )
    return removed.rowcount > 0


async def _shown(connection: AsyncConnection, session_id: int, now: datetime) -> None:
    await connection.execute(
        text("UPDATE sessions SET factor_at = :now WHERE id = :id"), {"now": now, "id": session_id}
    )


def _step_of(secret: str, code: str, now: datetime) -> int | None:
    """The step of the code, where it is one of the secret's around that time."""
    totp, typed = pyotp.TOTP(secret), "".join(code.split())
    step = int(now.timestamp()) // _STEP
    for offset in _AROUND:
        if strings_equal(totp.generate_otp(step + offset), typed):
            return step + offset
    return None
