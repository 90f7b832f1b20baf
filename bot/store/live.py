"""What `planton top` asks the database beside the site's counts: rates, accounts, who is connected, open alerts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.store.emergencies import UNREAD
from bot.store.site import SITE, SiteLook, site
from bot.watch.site import Site

SHORT, LONG = 10, 60  # seconds that a rate is taken over

# What left may have been waiting for a while: ten minutes are looked through.
RATES = """
SELECT 'in' AS what, count(*) FILTER (WHERE received_at > %(now)s - interval '10 seconds') AS short, count(*) AS long
FROM events WHERE received_at > %(now)s - interval '60 seconds'
UNION ALL
SELECT 'out', count(*) FILTER (WHERE sent_at > %(now)s - interval '10 seconds'), count(*)
FROM outbox WHERE created_at > %(now)s - interval '600 seconds' AND sent_at > %(now)s - interval '60 seconds'
"""
ACCOUNTS = """
SELECT a.account, coalesce((SELECT c.platform FROM conversations c WHERE c.account = a.account LIMIT 1), '') AS platform,
    CASE WHEN a.stopped_at IS NOT NULL THEN 'stopped' WHEN a.paused_until > %(now)s THEN 'paused' ELSE 'ok' END AS state,
    CASE WHEN a.second - floor(extract(epoch FROM clock_timestamp())) BETWEEN -1 AND 1 THEN a.used ELSE 0 END AS used,
    CASE WHEN a.usage_at > clock_timestamp() - interval '5 minutes' THEN a.usage_percent END AS usage,
    CASE WHEN a.slowed_until > clock_timestamp() THEN a.slowed_to END AS slowed
FROM accounts a ORDER BY used DESC, a.account LIMIT 20
"""
CONNECTED = """
SELECT 'worker' AS role, count(*) AS connections, count(DISTINCT address) AS machines FROM connected('worker') HAVING count(*) > 0
"""
ALERTS = """
SELECT grade, what FROM alerts WHERE opened_at IS NOT NULL AND closed_at IS NULL ORDER BY grade, since LIMIT 20
"""


@dataclass(frozen=True)
class AccountUse:
    """An account and what left from it in the present second, over all senders.

    `usage`: percent of what Meta allows, as it said within five minutes; `slowed`: replies a second that this leaves, where it
    takes away from the ceiling."""

    account: str
    platform: str
    state: str
    used: int
    usage: int | None = None
    slowed: int | None = None


@dataclass(frozen=True)
class Live:
    """What the database tells at a moment. Rates: messages a second over SHORT and LONG seconds."""

    site: Site
    received: tuple[float, float]
    sent: tuple[float, float]
    accounts: tuple[AccountUse, ...]
    workers: tuple[int, int]  # connections, machines
    alerts: tuple[tuple[str, str], ...]  # grade, text


async def live(look: SiteLook, now: datetime) -> Live:
    """Everything in one go. Raises what the database raises."""
    counts, unread, rates, accounts, connected, alerts = await look.rows(
        now, SITE, UNREAD, RATES, ACCOUNTS, CONNECTED, ALERTS
    )
    by_what = {row["what"]: (row["short"] / SHORT, row["long"] / LONG) for row in rates}
    worker: dict[str, Any] = connected[0] if connected else {"connections": 0, "machines": 0}
    return Live(
        site(counts, unread[0] if unread else None, now),
        by_what["in"],
        by_what["out"],
        tuple(
            AccountUse(row["account"], row["platform"], row["state"], row["used"], row["usage"], row["slowed"])
            for row in accounts
        ),
        (worker["connections"], worker["machines"]),
        tuple((row["grade"], row["what"]) for row in alerts),
    )
