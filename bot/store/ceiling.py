"""How many messages may leave from an account in this second, over all senders, and what Meta says of its use."""

from __future__ import annotations

from datetime import timedelta
from typing import LiteralString

from sqlalchemy import text

from bot.core.outbox import NO_PERMIT, Permits
from bot.store.db import OUTBOX, Database, notify

# $1 account, $2 how many are asked for, $3 the limit, $4 whether it is an emergency, which nothing slows down. The second is this
# database's own. A stored one that lies ahead by more than who waited for the row's lock can be late was written by a clock
# that was wrong: it is stale. What a crash forgets of a second's count is harmless.
_COUNTS: LiteralString = "a.second BETWEEN t.second AND t.second + 1"
_LIMIT: LiteralString = (
    "CASE WHEN NOT $4::boolean AND a.slowed_until > t.at THEN least($3::integer, a.slowed_to) ELSE $3::integer END"
)
_TAKE_BUDGET: LiteralString = f"""
    UPDATE accounts a SET
        granted = least($2::integer, {_LIMIT} - CASE WHEN {_COUNTS} THEN a.used ELSE 0 END),
        used = least($2::integer + CASE WHEN {_COUNTS} THEN a.used ELSE 0 END, {_LIMIT}),
        second = CASE WHEN {_COUNTS} THEN a.second ELSE t.second END
    FROM (
        SELECT c.at, floor(extract(epoch FROM c.at))::bigint AS second,
            set_config('synchronous_commit', 'off', true) AS durable
        FROM (SELECT clock_timestamp() AS at) c) t
    WHERE a.account = $1 AND (NOT {_COUNTS} OR a.used < {_LIMIT})
    RETURNING a.granted, a.second, (a.second + 1 - extract(epoch FROM t.at))::float8 AS lasts, t.durable
"""  # noqa: S608
# What slows an account down for longer than what is told now, and at least as much, stays: another sender that hears of no such
# thing must not end it. An end that lies further ahead than any can was written by a clock that was wrong.
_STAYS: LiteralString = """
    a.slowed_until > clock_timestamp() + :lasts AND a.slowed_until <= clock_timestamp() + interval '2 hours'
    AND a.slowed_to <= coalesce(excluded.slowed_to, a.slowed_to)
"""
_NEW_ACCOUNT: LiteralString = "INSERT INTO accounts (account) VALUES ($1) ON CONFLICT DO NOTHING RETURNING account"


async def resume(database: Database, account: str | None) -> list[str]:
    """Let a stopped account send again, or all that are stopped; which ones that were."""
    async with database.begin() as connection:
        rows = await connection.execute(
            text("""
                UPDATE accounts SET stopped_slug = NULL, stopped_remedy = NULL, stopped_at = NULL, paused_until = NULL
                WHERE stopped_at IS NOT NULL AND account = coalesce(CAST(:account AS text), account) RETURNING account
            """),
            {"account": account},
        )
        resumed = sorted(rows.scalars())
        await notify(connection, OUTBOX)
        return resumed


class Ceiling:
    """The part of the sender's store that is about accounts. `ceiling`: messages a second and account."""

    def __init__(self, database: Database, ceiling: int) -> None:
        self._db = database
        self._ceiling = ceiling

    async def take_budget(self, account: str, n: int, emergency: bool) -> Permits:
        """How many of `n` messages may leave in the present second of the database's clock, over all senders."""
        limit = self._ceiling if emergency else max(1, self._ceiling * 9 // 10)
        asked = [account, n, limit, emergency]
        async with self._db.plain() as connection:
            found = await connection.rows(_TAKE_BUDGET, asked)
            if not found and await connection.rows(_NEW_ACCOUNT, [account]):
                found = await connection.rows(_TAKE_BUDGET, asked)
        return Permits(max(0, found[0].granted), found[0].second, found[0].lasts) if found else NO_PERMIT

    async def note_usage(self, account: str, percent: int | None, slowed_to: int | None, lasts: float) -> None:
        """What Meta said of our use (None: nothing), and how many replies a second all senders together still send in the
        next `lasts` seconds (None: as many as ever, but for what slows them down for longer)."""
        async with self._db.begin(durable=False) as connection:
            await connection.execute(
                text(f"""
                    INSERT INTO accounts AS a (account, usage_percent, usage_at, slowed_to, slowed_until)
                    VALUES (:account, CAST(:percent AS integer),
                        CASE WHEN CAST(:percent AS integer) IS NULL THEN NULL ELSE clock_timestamp() END,
                        CAST(:slowed AS integer),
                        CASE WHEN CAST(:slowed AS integer) IS NULL THEN NULL ELSE clock_timestamp() + :lasts END)
                    ON CONFLICT (account) DO UPDATE SET usage_percent = coalesce(excluded.usage_percent, a.usage_percent),
                        usage_at = coalesce(excluded.usage_at, a.usage_at),
                        slowed_to = CASE WHEN {_STAYS} THEN a.slowed_to ELSE excluded.slowed_to END,
                        slowed_until = CASE WHEN {_STAYS} THEN a.slowed_until ELSE excluded.slowed_until END
                """),  # noqa: S608
                {"account": account, "percent": percent, "slowed": slowed_to, "lasts": timedelta(seconds=lasts)},
            )

    async def note_trouble(self, account: str, slug: str, code: str) -> None:
        """Meta refused what an operator should look at."""
        async with self._db.begin(durable=False) as connection:
            await connection.execute(
                text("""
                    INSERT INTO accounts (account, trouble_slug, trouble_code, trouble_at)
                    VALUES (:account, :slug, :code, clock_timestamp())
                    ON CONFLICT (account) DO UPDATE SET trouble_slug = :slug, trouble_code = :code,
                        trouble_at = clock_timestamp()
                """),
                {"account": account, "slug": slug, "code": code},
            )
