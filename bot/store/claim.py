"""The sender's claim: one statement that finds what may leave and leases it, however much waits.

Replies are read account by account, each from the head of its own index range, so that the rows of an account that is
stopped, paused or at its ceiling cost nothing to the others. Whether a row is the first unsent one of its conversation is
asked row by row (a subquery with LIMIT, which the planner cannot turn into a walk over all that waits).

Parameters: $1 now, $2 lanes, $3 ids that this process holds, $4 how many, $5 the lease; for replies $6 the accounts that
are left alone, or the one account that is asked for.
"""

from __future__ import annotations

from typing import LiteralString

_FREE: LiteralString = """
    o.status = 'queued' AND o.due_at <= $1::timestamptz AND o.lane = ANY($2::text[])
    AND (o.lease_until IS NULL OR o.lease_until < clock_timestamp()) AND o.id <> ALL($3::bigint[])
"""
_FOUND: LiteralString = """
    SELECT o.id, o.conversation_id, o.priority, o.due_at, o.maybe_sent OR o.lease_until IS NOT NULL AS maybe_sent
    FROM outbox o
"""
_LEASE: LiteralString = """
    UPDATE outbox o SET lease = o.lease + 1, lease_until = clock_timestamp() + $5::interval
    FROM picked p JOIN conversations c ON c.id = p.conversation_id
    WHERE o.id = p.id
    RETURNING o.id, o.lane, o.author, o.message, o.created_at, o.due_at, o.attempts, o.parts_sent, o.priority, o.error_slug,
        p.maybe_sent, o.lease, o.owner_version, c.id AS conversation_id, c.platform, c.account, c.person, c.last_person_at,
        c.owner_version AS current_version
"""
_REPLIES: LiteralString = f"""
    , picked AS MATERIALIZED (
        SELECT found.* FROM open CROSS JOIN LATERAL (
            {_FOUND}
            WHERE o.account = open.account AND o.lane <> 'emergency' AND {_FREE} AND o.id = (
                SELECT e.id FROM outbox e
                WHERE e.conversation_id = o.conversation_id AND e.status = 'queued' AND e.lane <> 'emergency'
                ORDER BY e.id LIMIT 1)
            ORDER BY o.priority, o.due_at, o.id LIMIT $4::bigint FOR UPDATE OF o SKIP LOCKED
        ) found ORDER BY found.priority, found.due_at, found.id LIMIT $4::bigint
    )
    {_LEASE}
"""  # noqa: S608

REPLIES: LiteralString = f"""
    WITH RECURSIVE named AS (
        (SELECT o.account FROM outbox o WHERE o.status = 'queued' AND o.lane <> 'emergency' ORDER BY o.account LIMIT 1)
        UNION ALL
        SELECT (
            SELECT o.account FROM outbox o
            WHERE o.status = 'queued' AND o.lane <> 'emergency' AND o.account > n.account ORDER BY o.account LIMIT 1)
        FROM named n WHERE n.account IS NOT NULL
    ), open AS (
        SELECT n.account FROM named n
        WHERE n.account IS NOT NULL AND n.account <> ALL($6::text[]) AND NOT EXISTS (
            SELECT FROM accounts a
            WHERE a.account = n.account AND (a.stopped_at IS NOT NULL OR a.paused_until > $1::timestamptz))
    ) {_REPLIES}
"""  # noqa: S608
"""What is due of every account that may send; the accounts are found by skipping through the index."""

REPLIES_OF: LiteralString = f"""
    WITH open AS (SELECT $6::text AS account) {_REPLIES}
"""
"""What is due of one account, stopped or not."""

EMERGENCIES: LiteralString = f"""
    WITH picked AS MATERIALIZED (
        {_FOUND}
        WHERE o.lane = 'emergency' AND {_FREE} AND o.id = (
            SELECT e.id FROM outbox e
            WHERE e.conversation_id = o.conversation_id AND e.status = 'queued' AND e.lane = 'emergency'
            ORDER BY e.id LIMIT 1)
        ORDER BY o.priority, o.due_at, o.id LIMIT $4::bigint FOR UPDATE OF o SKIP LOCKED
    )
    {_LEASE}
"""  # noqa: S608
"""Every emergency that is due, whatever befell its account."""
