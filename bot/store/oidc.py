"""Log-ins through the identity provider: those on their way, and which identity opens which account.

An identity is (issuer, subject). It is bound at its first log-in, to the account whose invitation was followed or whose
e-mail the provider has verified; afterwards neither name nor e-mail matters.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store import audit, links
from bot.store.accounts import by_id, gone, insert
from bot.store.bearer import Bearer
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.passwords import AccountError
from bot.store.user import USER, User, user_of

_COLUMN = "oidc_logins.value"
ON_THE_WAY = timedelta(minutes=10)


@dataclass(frozen=True)
class Journey:
    """What is remembered of a log-in that is on its way. `browser` ties it to where it began; `invitation`: a link's token."""

    nonce: str
    verifier: str
    browser: str
    suite: str
    invitation: str = ""


@dataclass(frozen=True)
class Claim:
    """Whom the provider vouches for; `email` is verified or None."""

    issuer: str
    subject: str
    name: str
    email: str | None


class Identities:
    """Identities at the provider."""

    def __init__(self, database: Database, codec: Codec, bearer: Bearer) -> None:
        self._db = database
        self._codec = codec
        self._bearer = bearer

    async def depart(self, state: str, journey: Journey, now: datetime) -> None:
        """Remember a log-in until it is back."""
        mark = self._bearer.mark("provider", state)
        async with self._db.begin() as connection:
            await connection.execute(text("DELETE FROM oidc_logins WHERE expires_at < :now"), {"now": now})
            await connection.execute(
                text("INSERT INTO oidc_logins (state_hash, value, expires_at) VALUES (:hash, :value, :until)"),
                {
                    "hash": mark,
                    "value": self._codec.seal_json(asdict(journey), _COLUMN, mark.hex()),
                    "until": now + ON_THE_WAY,
                },
            )

    async def arrive(self, state: str, now: datetime) -> Journey | None:
        """The log-in of that state, once; None when it is unknown, used or too old."""
        async with self._db.begin() as connection:
            row = (
                await connection.execute(
                    text(
                        "DELETE FROM oidc_logins WHERE state_hash = ANY(:marks) RETURNING value, expires_at, state_hash"
                    ),
                    {"marks": self._bearer.marks("provider", state)},
                )
            ).one_or_none()
        if row is None or row.expires_at <= now:
            return None
        return Journey(**self._codec.open_json(row.value, _COLUMN, bytes(row.state_hash).hex()))

    async def account(self, claim: Claim, invitation: str, new_role: str | None, now: datetime) -> User:
        """The account that this identity opens; bound or made now if it may be. Raises AccountError."""
        try:
            return await self._account(claim, invitation, new_role, now)
        except AccountError:
            async with self._db.begin() as connection:
                await audit.record(connection, now, None, "login_refused", why="identity", issuer=claim.issuer)
            raise

    async def _account(self, claim: Claim, invitation: str, new_role: str | None, now: datetime) -> User:
        async with self._db.begin() as connection:
            await connection.execute(
                text("SELECT pg_advisory_xact_lock(hashtextextended(:who, 7))"),
                {"who": f"identity {claim.issuer} {claim.subject}"},
            )
            user = await self._known(connection, claim, now)
            if user is None:
                user = await self._find(connection, claim, invitation, new_role, now)
                await _bind(connection, claim, user, now)
            elif invitation and await links.holder(connection, self._bearer, invitation, "password", now) not in (
                None,
                user.id,
            ):
                raise AccountError(
                    "Votre identité ouvre déjà un autre compte.",
                    "Demandez à un administrateur de la détacher de ce compte, puis suivez de nouveau le lien.",
                )
        return user

    @staticmethod
    async def _known(connection: AsyncConnection, claim: Claim, now: datetime) -> User | None:
        row = (
            await connection.execute(
                text(f"""
                    SELECT {USER}, u.disabled_at FROM oidc_identities i JOIN users u ON u.id = i.user_id
                    WHERE i.issuer = :issuer AND i.subject = :subject
                """),  # noqa: S608
                {"issuer": claim.issuer, "subject": claim.subject},
            )
        ).one_or_none()
        if row is None:
            return None
        if row.disabled_at is not None:
            raise disabled()
        await connection.execute(
            text("UPDATE oidc_identities SET used_at = :now WHERE issuer = :issuer AND subject = :subject"),
            {"now": now, "issuer": claim.issuer, "subject": claim.subject},
        )
        return user_of(row)

    async def _find(
        self, connection: AsyncConnection, claim: Claim, invitation: str, new_role: str | None, now: datetime
    ) -> User:
        if invitation:
            invited = await links.spend(connection, self._bearer, invitation, "password", now)
            user = None if invited is None else await by_id(connection, invited)
            if user is None:
                raise gone()
            return user
        user = await self._by_email(connection, claim)
        if user is not None:
            return user
        if new_role is not None:
            return await insert(connection, now, claim.name, new_role, None, email=claim.email)
        raise AccountError(
            "Aucun compte ne correspond à votre identité.",
            "Demandez à un administrateur de vous créer un compte, ou de vous envoyer un lien d’invitation.",
        )

    @staticmethod
    async def _by_email(connection: AsyncConnection, claim: Claim) -> User | None:
        """The account with that e-mail, if no other identity of this issuer opens it."""
        if claim.email is None:
            return None
        row = (
            await connection.execute(
                text(f"""
                    SELECT {USER}, u.disabled_at,
                        EXISTS (SELECT 1 FROM oidc_identities i WHERE i.user_id = u.id AND i.issuer = :issuer) AS bound
                    FROM users u WHERE lower(u.email) = lower(:email)
                """),  # noqa: S608
                {"issuer": claim.issuer, "email": claim.email},
            )
        ).one_or_none()
        if row is None:
            return None
        if row.disabled_at is not None:
            raise disabled()
        if row.bound:
            raise AccountError(
                "Ce compte est déjà rattaché à une autre identité.", "Adressez-vous à un administrateur."
            )
        return user_of(row)


async def _bind(connection: AsyncConnection, claim: Claim, user: User, now: datetime) -> None:
    await connection.execute(
        text("""
            INSERT INTO oidc_identities (issuer, subject, user_id, created_at, used_at)
            VALUES (:issuer, :subject, :user, :now, :now)
        """),
        {"issuer": claim.issuer, "subject": claim.subject, "user": user.id, "now": now},
    )
    await audit.record(connection, now, user.id, "identity_linked", subject_id=user.id, issuer=claim.issuer)


def disabled() -> AccountError:
    """The account exists and opens nothing."""
    return AccountError("Votre compte est désactivé.", "Adressez-vous à un administrateur.")
