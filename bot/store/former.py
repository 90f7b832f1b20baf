"""Accounts that were closed long ago: who it was goes once the audit no longer names them; their number stays, for counts.

An account stays whole as long as the audit holds a line of theirs, and while a legal hold stands that they
placed, or on a conversation in which they wrote or decided something.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.retention import Counts

# What only tells who somebody was, or let them in. Not the identity at the provider, a number without a name: by it alone
# the account of somebody whom the provider still knows is found to be closed, instead of a new one being opened.
_OWN = ("second_factors", "recovery_codes", "sessions", "login_links", "team_members", "drafts")
_NAME = "'Ancien compte n°\u00a0' || u.id"
_DUE = f"""
    u.disabled_at < :before AND u.name <> {_NAME}
    AND NOT EXISTS (SELECT FROM audit a WHERE u.id IN (a.user_id, a.subject_id) AND a.at >= :before)
    AND NOT EXISTS (SELECT FROM legal_holds l WHERE l.lifted_at IS NULL AND (l.placed_by = u.id
        OR EXISTS (SELECT FROM outbox o WHERE o.conversation_id = l.conversation_id AND o.user_id = u.id)
        OR EXISTS (SELECT FROM notes n WHERE n.conversation_id = l.conversation_id AND n.user_id = u.id)
        OR EXISTS (SELECT FROM submissions s LEFT JOIN validations v ON v.submission_id = s.id
            WHERE s.conversation_id = l.conversation_id AND u.id IN (s.user_id, v.user_id))))
    AND NOT EXISTS (SELECT FROM users o WHERE lower(o.name) = lower({_NAME}))
"""  # noqa: S608 (text of ours)


async def due(connection: AsyncConnection, before: datetime) -> int:
    """How many accounts closed before that time would be pseudonymised."""
    return int(await connection.scalar(text(f"SELECT count(*) FROM users u WHERE {_DUE}"), {"before": before}) or 0)  # noqa: S608


async def pseudonymise(connection: AsyncConnection, before: datetime, most: int) -> Counts:
    """Take who they were out of at most so many of them; table → rows that went or were emptied."""
    chosen = text(f"SELECT u.id FROM users u WHERE {_DUE} ORDER BY u.id LIMIT :most FOR UPDATE OF u SKIP LOCKED")  # noqa: S608
    ids = list((await connection.execute(chosen, {"before": before, "most": most})).scalars())
    counts: Counts = Counter()
    if not ids:
        return counts
    for table in _OWN:
        done = await connection.execute(text(f"DELETE FROM {table} WHERE user_id = ANY(:ids)"), {"ids": ids})  # noqa: S608
        counts[table] = done.rowcount
    await connection.execute(
        text(f"""
            UPDATE users u SET name = {_NAME}, email = NULL, password_hash = NULL, password_at = NULL,
                password_temporary = false, preferences = '{{}}', validation_level = NULL, last_login_at = NULL
            WHERE u.id = ANY(:ids)
        """),  # noqa: S608
        {"ids": ids},
    )
    counts["users"] = len(ids)
    return +counts
