"""Which of two secrets is in use during a rotation, for `planton doctor`: places and times, nothing of the secrets."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import text

from bot.store.db import Database

_KEEP_SECRETS = text("""
    INSERT INTO secret_uses (name, place, print, since) SELECT :name, o.place, o.print, :now
    FROM unnest(CAST(:prints AS text[])) WITH ORDINALITY AS o(print, place)
    ON CONFLICT (name, place) DO UPDATE SET print = excluded.print,
        since = CASE WHEN secret_uses.print = excluded.print THEN secret_uses.since ELSE excluded.since END,
        last_at = (SELECT max(u.last_at) FROM secret_uses u WHERE u.name = excluded.name AND u.print = excluded.print)
""")
_USED = text("""
    UPDATE secret_uses SET last_at = greatest(last_at, :at) WHERE name = :name AND place = :place
""")
_TOKEN = text("""
    INSERT INTO page_tokens (page_id, place, tokens, refused, at) VALUES (:page, :place, :tokens, :refused, :now)
    ON CONFLICT (page_id) DO UPDATE
        SET place = excluded.place, tokens = excluded.tokens, refused = excluded.refused, at = excluded.at
""")


def _print(secret: str) -> str:
    """Tells two secrets apart; 32 bits, from which a long secret is not found."""
    return hashlib.sha256(b"planton use\x00" + secret.encode()).hexdigest()[:8]


class SecretUses:
    """Notes when each secret of a name was last seen in use. `used` costs nothing; `keep` writes what is new."""

    def __init__(self, database: Database, name: str, secrets: Sequence[str]) -> None:
        self._db = database
        self._name = name
        self._secrets = tuple(secrets)
        self._begun = False
        self._new: dict[int, datetime] = {}

    def used(self, place: int, now: datetime) -> None:
        """The secret at `place` (from 1 on) was used."""
        self._new[place] = now

    async def keep(self, now: datetime) -> None:
        """Write it down."""
        new, self._new = self._new, {}
        if self._begun and not new:
            return
        try:
            await self._write(new, now)
        except BaseException:
            self._new = {**new, **self._new}
            raise
        self._begun = True

    async def _write(self, new: Mapping[int, datetime], now: datetime) -> None:
        async with self._db.begin(durable=False) as connection:
            if not self._begun:
                prints = [_print(secret) for secret in self._secrets]
                await connection.execute(_KEEP_SECRETS, {"name": self._name, "prints": prints, "now": now})
                await connection.execute(
                    text("DELETE FROM secret_uses WHERE name = :name AND place > :last"),
                    {"name": self._name, "last": len(prints)},
                )
            for place, at in sorted(new.items()):
                await connection.execute(_USED, {"name": self._name, "place": place, "at": at})


async def keep_token(
    database: Database, page_id: str, place: int, tokens: int, refused: Sequence[int], now: datetime
) -> None:
    """Which token a page is served with: `place` of `tokens`; `refused`: places that Meta no longer takes."""
    values = {"page": page_id, "place": place, "tokens": tokens, "refused": sorted(refused), "now": now}
    async with database.begin(durable=False) as connection:
        await connection.execute(_TOKEN, values)
