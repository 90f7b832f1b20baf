"""Moments that lie further ahead than what they are for can last: a clock that was wrong wrote them, and they hold nothing back.

PostgreSQL's own clock may have been set back, and older releases wrote their machines' hours. Claims look past such leases and
pauses by themselves, and past the due time of an emergency (migration 0008); due times of all else are set right here, a minute
later at most, since a claim reads its index in their order. Such pauses are taken away too: once near, they would hold.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from bot.core.clock import Clock
from bot.store.db import DUE, OUTBOX, Database
from bot.store.faults import level, told

log = logging.getLogger("planton.stale")

EVERY = 60.0  # seconds
LEASE = timedelta(minutes=5)  # none is longer than seconds
RETRY = timedelta(
    minutes=10
)  # the longest wait of a conversation but a night's: for the engine, for an echo, for more words
PAUSE = timedelta(hours=2)  # the longest wait of a reply: an account's pause
NIGHT = timedelta(hours=25)  # the longest night, on the day it has an hour more

_SECONDS = f"interval '{LEASE.total_seconds():.0f} seconds'"
# Whether nobody holds a row.
FREE = f"(lease_until IS NULL OR lease_until < clock_timestamp() OR lease_until > clock_timestamp() + {_SECONDS})"

_REPLIES = """
    UPDATE outbox SET due_at = $1::timestamptz
    WHERE status = 'queued' AND lane <> 'emergency' AND due_at > $1::timestamptz + $2::interval RETURNING id
"""
# Each by the clock that writes it.
_PAUSES = """
    UPDATE accounts SET
        paused_until = CASE WHEN paused_until <= $1::timestamptz + $2::interval THEN paused_until END,
        slowed_to = CASE WHEN slowed_until <= clock_timestamp() + $2::interval THEN slowed_to END,
        slowed_until = CASE WHEN slowed_until <= clock_timestamp() + $2::interval THEN slowed_until END
    WHERE paused_until > $1::timestamptz + $2::interval OR slowed_until > clock_timestamp() + $2::interval RETURNING account
"""
# A snooze alone may be longer, and has nothing that waits.
_TURNS = """
    UPDATE conversations c SET due_at = $1::timestamptz
    WHERE c.due_at > $1::timestamptz + $2::interval AND EXISTS (
        SELECT FROM events e WHERE e.conversation_id = c.id AND e.disposition IS NULL
          AND (e.waiting IS DISTINCT FROM 'night' OR c.due_at > $1::timestamptz + $3::interval))
    RETURNING c.id
"""


async def replies(database: Database, clock: Clock) -> int:
    """Replies that would wait for longer than any reply waits are due now; how many. Pauses that long are over."""
    async with database.plain() as connection:
        found = await connection.rows(_REPLIES, (clock.now(), PAUSE))
        resumed = await connection.rows(_PAUSES, (clock.now(), PAUSE))
    if found:
        log.warning("%d replies were due implausibly late: due now", len(found))
    for one in resumed:
        log.warning("account %s was paused or slowed down implausibly long: no more", one.account)
    if found or resumed:
        database.tell([(OUTBOX, "")])
    return len(found)


async def turns(database: Database, clock: Clock) -> int:
    """The same of conversations in which something waits."""
    async with database.plain() as connection:
        found = await connection.rows(_TURNS, (clock.now(), RETRY, NIGHT))
    if found:
        log.warning("%d conversations were due implausibly late: due now", len(found))
        database.tell([(DUE, "")])
    return len(found)


async def keep_setting_right(
    mend: Callable[[Database, Clock], Awaitable[int]], database: Database, clock: Clock, every: float = EVERY
) -> None:
    """`mend` now and then, for ever; a database that is away is met again at the next look."""
    while True:
        try:
            await mend(database, clock)
        except Exception as error:  # the task must live
            log.log(level(error, logging.INFO), "due times not looked at: %s", told(error))
        await asyncio.sleep(every)
