"""What is known of each account's webhooks: when the last one came, whether Meta still sends them, how far one caught up.

`read` is what the heartbeat, `doctor` and the commands ask; it needs no token and asks Meta nothing. The sender writes
the subscription and the walk, the gateway the arrivals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.clock import plausible

OK, PARTIAL, LOST = "ok", "partial", "lost"
MARGIN = timedelta(minutes=10)  # what was under way, and clocks that differ
DEPTH = timedelta(days=7)  # older messages can be answered by nobody: Meta's longest window
_LOCK = 0x504C4E43  # "PLNC", the first half of an account's advisory lock


@dataclass(frozen=True)
class Walk:
    """A walk that has not ended: it reads what is newer than `since`, and its end proves all until `started`.

    `passed`: the present pass reads conversations updated since then; `cursor`: where it stands, Meta's own word.
    """

    since: datetime
    started: datetime
    passed: datetime
    pass_started: datetime
    cursor: str | None = None


@dataclass(frozen=True)
class Flow:
    """One account, a page or an Instagram account. Times are aware; None: not known yet.

    `subscription` is the last answer of Meta: OK, PARTIAL (`missing` names the fields) or LOST (since `lost_since`);
    `subscription_error` says why the newest question had no answer (a slug of `bot.meta.limits`, e.g. `token`).
    `complete_until`: every message until then is known to be in. `walk_error` says why the newest walk did not end.
    """

    account: str
    platform: str
    webhook_at: datetime | None = None
    subscription: str | None = None
    missing: tuple[str, ...] = ()
    subscription_at: datetime | None = None
    subscription_error: str | None = None
    lost_since: datetime | None = None
    complete_until: datetime | None = None
    walk: Walk | None = None
    walked_at: datetime | None = None
    walk_error: str | None = None
    walk_found: int = 0
    walk_wanted: bool = False  # a subscription was restored: a walk is due at once


async def read(connection: AsyncConnection, accounts: Iterable[str] | None = None) -> list[Flow]:
    """These accounts (all by default) that anything is known of, by id."""
    rows = await connection.execute(
        text("""
            SELECT * FROM meta_flow
            WHERE CAST(:accounts AS text[]) IS NULL OR account = ANY(:accounts) ORDER BY account
        """),
        {"accounts": None if accounts is None else list(accounts)},
    )
    return [_flow(row) for row in rows]


def _flow(row: Any) -> Flow:
    walk = None
    if row.walk_since is not None:
        walk = Walk(row.walk_since, row.walk_started, row.walk_passed, row.walk_pass_started, row.walk_cursor)
    return Flow(
        row.account,
        row.platform,
        row.webhook_at,
        row.subscription,
        tuple(row.missing),
        row.subscription_at,
        row.subscription_error,
        row.lost_since,
        row.complete_until,
        walk,
        row.walked_at,
        row.walk_error,
        row.walk_found,
        row.walk_wanted,
    )


async def arrived(connection: AsyncConnection, platforms: Mapping[str, str], now: datetime) -> None:
    """Verified webhooks of these accounts (→ platform) came. Whoever is writing the same row just now is not waited for:
    the next webhook notes it."""
    for account, platform in sorted(platforms.items()):
        await connection.execute(
            text("""
                INSERT INTO meta_flow (account, platform, webhook_at) VALUES (:account, :platform, :now)
                ON CONFLICT (account) DO UPDATE SET webhook_at = greatest(meta_flow.webhook_at, :now)
            """),
            {"account": account, "platform": platform, "now": now},
        )


async def subscribed(
    connection: AsyncConnection, account: str, platform: str, now: datetime, state: str, missing: Sequence[str] = ()
) -> bool:
    """Note Meta's answer; True when this restored a lost or partial subscription: then a walk is wanted."""
    before = await connection.scalar(
        text("SELECT subscription FROM meta_flow WHERE account = :account FOR UPDATE"), {"account": account}
    )
    await connection.execute(
        text("""
            INSERT INTO meta_flow AS f
                (account, platform, subscription, missing, subscription_at, lost_since)
            VALUES (:account, :platform, :state, :missing, :now, CASE WHEN :state = 'lost' THEN :now END)
            ON CONFLICT (account) DO UPDATE SET subscription = :state, missing = :missing, subscription_at = :now,
                subscription_error = NULL,
                lost_since = CASE WHEN :state = 'lost' THEN coalesce(f.lost_since, :now) END,
                walk_wanted = f.walk_wanted OR (:state = 'ok' AND coalesce(f.subscription, '') IN ('lost', 'partial'))
        """),
        {"account": account, "platform": platform, "state": state, "missing": list(missing), "now": now},
    )
    return state == OK and before in (LOST, PARTIAL)


async def not_answered(connection: AsyncConnection, account: str, platform: str, slug: str) -> None:
    """Meta did not say; what it said last stays."""
    await connection.execute(
        text("""
            INSERT INTO meta_flow (account, platform, subscription_error) VALUES (:account, :platform, :slug)
            ON CONFLICT (account) DO UPDATE SET subscription_error = :slug
        """),
        {"account": account, "platform": platform, "slug": slug},
    )


async def lock(connection: AsyncConnection, account: str) -> bool:
    """Become the one walker of an account, for as long as this connection lives or until `unlock`; False: another is."""
    found = await connection.scalar(
        text("SELECT pg_try_advisory_lock(:lock, hashtext(:account))"), {"lock": _LOCK, "account": account}
    )
    return bool(found)


async def unlock(connection: AsyncConnection, account: str) -> None:
    """The contrary of `lock`."""
    await connection.execute(
        text("SELECT pg_advisory_unlock(:lock, hashtext(:account))"), {"lock": _LOCK, "account": account}
    )


async def begin(
    connection: AsyncConnection, account: str, platform: str, now: datetime, since: datetime | None = None
) -> Walk:
    """The walk to do: the one that was broken off, else a new one from `since`, from what is complete, or from the last
    message known, less a margin. Without any message there was nothing to miss: from now.

    A walk that begins earlier than the broken one takes its place."""
    row = (
        await connection.execute(
            text("""
                INSERT INTO meta_flow AS f (account, platform) VALUES (:account, :platform)
                ON CONFLICT (account) DO UPDATE SET platform = :platform RETURNING *
            """),
            {"account": account, "platform": platform},
        )
    ).one()
    flow = _flow(row)
    complete = flow.complete_until
    if complete is not None and plausible(complete, now) is None:
        complete = now - DEPTH  # a clock that was wrong noted it: what is really complete nobody knows
    if complete is None:
        complete = await _last(connection, account) or now
        await connection.execute(
            text("UPDATE meta_flow SET complete_until = :complete WHERE account = :account"),
            {"account": account, "complete": complete},
        )
    start = since or max(complete - MARGIN, now - DEPTH)
    if flow.walk is not None and flow.walk.since <= start:
        return flow.walk
    walk = Walk(start, now, start, now)
    await keep(connection, account, walk)
    return walk


async def _last(connection: AsyncConnection, account: str) -> datetime | None:
    """When the account's newest message came: an installation older than this page of the store."""
    found: datetime | None = await connection.scalar(
        text("""
            SELECT received_at FROM events WHERE account = :account
            ORDER BY id DESC LIMIT 1
        """),
        {"account": account},
    )
    return found


async def keep(connection: AsyncConnection, account: str, walk: Walk) -> None:
    """Note how far the walk is, so that it goes on from there after a kill."""
    await connection.execute(
        text("""
            UPDATE meta_flow SET walk_since = :since, walk_started = :started, walk_passed = :passed,
                walk_pass_started = :pass_started, walk_cursor = :cursor
            WHERE account = :account
        """),
        {
            "account": account,
            "since": walk.since,
            "started": walk.started,
            "passed": walk.passed,
            "pass_started": walk.pass_started,
            "cursor": walk.cursor,
        },
    )


async def ended(
    connection: AsyncConnection, account: str, walk: Walk, until: datetime, now: datetime, found: int
) -> None:
    """All is in until `until`, unless the walk began later than where one was complete before (and could have begun there)."""
    await connection.execute(
        text("""
            UPDATE meta_flow SET walk_since = NULL, walk_started = NULL, walk_passed = NULL, walk_pass_started = NULL,
                walk_cursor = NULL, walked_at = :now, walk_error = NULL, walk_found = :found, walk_wanted = false,
                complete_until = CASE WHEN complete_until >= :since OR :deep
                    THEN greatest(complete_until, :until) ELSE complete_until END
            WHERE account = :account
        """),
        {
            "account": account,
            "since": walk.since,
            "until": until,
            "now": now,
            "found": found,
            "deep": walk.started - walk.since >= DEPTH,
        },
    )


async def broke_off(connection: AsyncConnection, account: str, slug: str, now: datetime) -> None:
    """The walk stopped; the next one goes on where it stands."""
    await connection.execute(
        text("UPDATE meta_flow SET walked_at = :now, walk_error = :slug WHERE account = :account"),
        {"account": account, "slug": slug, "now": now},
    )
