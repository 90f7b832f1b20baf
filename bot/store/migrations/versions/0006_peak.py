"""The peak: what a claim reads stays the same size, however much waits. One section a part."""

from alembic import op

revision = "0006"
down_revision = "0005"
SERVES_SINCE = "0004"  # code made for this schema, and newer, may run with the tables as they are here

# What happens with every message is planned once a connection. Made while the tables were all but empty, such a plan walks
# through whatever comes later: a claim among 20,000 rows took five minutes. Functions can forbid that for their own plans. What is
# left to choose is written so that only the look-up in the right index remains: `= ANY(ARRAY[…])` joins in no other way, `|| ''` and
# `= false` hide partial indexes of others, which would be walked whole, `+ 0` keeps an order from being read out of the primary key.
_PLANS = """LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
    SET enable_material = off SET plan_cache_mode = force_generic_plan AS"""

SENDER = f"""
-- A claim reads the first rows of one index range for each account that has any, so that rows behind a ceiling, a pause or
-- a stop are never walked over. The account is the conversation's own; it never changes.
ALTER TABLE outbox ADD COLUMN account text;
UPDATE outbox o SET account = c.account FROM conversations c WHERE c.id = o.conversation_id AND o.status = 'queued';
CREATE FUNCTION outbox_account() RETURNS trigger {_PLANS} $$
BEGIN
    SELECT c.account INTO NEW.account FROM conversations c WHERE c.id = NEW.conversation_id;
    RETURN NEW;
END $$;
CREATE TRIGGER outbox_account BEFORE INSERT ON outbox FOR EACH ROW WHEN (NEW.account IS NULL)
    EXECUTE FUNCTION outbox_account();
CREATE INDEX outbox_replies ON outbox (account, priority, due_at, id) WHERE status || '' = 'queued' AND lane <> 'emergency';
CREATE INDEX outbox_emergencies ON outbox (priority, due_at, id) WHERE status || '' = 'queued' AND lane = 'emergency';
DROP INDEX outbox_queued;
ALTER TABLE accounts ADD COLUMN granted integer NOT NULL DEFAULT 0;  -- of what was asked last, how much the ceiling let through
"""

_FREE = """o.status || '' = 'queued' AND o.due_at <= at AND o.lane = ANY(lanes)
        AND (o.lease_until IS NULL OR o.lease_until < clock_timestamp()) AND o.id <> ALL(held)"""
_FOUND = "SELECT o.id, o.conversation_id, o.priority, o.due_at, o.maybe_sent OR o.lease_until IS NOT NULL AS maybe_sent FROM outbox o"
_CLAIMED = """RETURNS TABLE (id bigint, lane text, author text, message bytea, created_at timestamptz, due_at timestamptz,
    attempts smallint, parts_sent smallint, priority smallint, error_slug text, maybe_sent boolean, lease bigint,
    owner_version integer, conversation_id bigint, platform text, account text, person text, last_person_at timestamptz,
    current_version integer)"""
_LEASE = """UPDATE outbox o SET lease = o.lease + 1, lease_until = clock_timestamp() + lasts
    FROM picked p JOIN conversations c ON c.id = ANY(ARRAY[p.conversation_id])
    WHERE o.id = ANY(ARRAY[p.id])
    RETURNING o.id, o.lane, o.author, o.message, o.created_at, o.due_at, o.attempts, o.parts_sent, o.priority, o.error_slug,
        p.maybe_sent, o.lease, o.owner_version, c.id, c.platform, c.account, c.person, c.last_person_at, c.owner_version"""


def _first(emergency: str) -> str:
    """The first unsent row of a conversation, asked row by row: with LIMIT, it cannot become a walk over all that waits."""
    return f"""(
            SELECT e.id FROM outbox e
            WHERE e.conversation_id = o.conversation_id AND e.status = 'queued' AND (e.lane = 'emergency') = {emergency}
            ORDER BY e.id + 0 LIMIT 1)"""  # noqa: S608


CLAIMS = f"""
-- Leases at most `most` replies that are due: of every account that may send and is not passed over, or of one alone.
CREATE FUNCTION claim_replies(at timestamptz, lanes text[], held bigint[], most bigint, lasts interval, passed_over text[],
    alone text) {_CLAIMED} {_PLANS} $$
#variable_conflict use_column
BEGIN RETURN QUERY
    WITH RECURSIVE named AS (
        (SELECT o.account FROM outbox o WHERE o.status || '' = 'queued' AND o.lane <> 'emergency' ORDER BY o.account LIMIT 1)
        UNION ALL
        SELECT (
            SELECT o.account FROM outbox o
            WHERE o.status || '' = 'queued' AND o.lane <> 'emergency' AND o.account > n.account ORDER BY o.account LIMIT 1)
        FROM named n WHERE n.account IS NOT NULL
    ), free AS (
        SELECT alone AS account WHERE alone IS NOT NULL
        UNION ALL
        SELECT n.account FROM named n
        WHERE alone IS NULL AND n.account IS NOT NULL AND n.account <> ALL(passed_over) AND NOT EXISTS (
            SELECT FROM accounts a
            WHERE a.account = n.account AND (a.stopped_at IS NOT NULL OR a.paused_until > at))
    ), picked AS MATERIALIZED (
        SELECT found.* FROM free CROSS JOIN LATERAL (
            {_FOUND}
            WHERE o.account = free.account AND o.lane <> 'emergency' AND {_FREE} AND o.id = {_first("false")}
            ORDER BY o.priority, o.due_at, o.id LIMIT most FOR UPDATE OF o SKIP LOCKED
        ) found ORDER BY found.priority, found.due_at, found.id LIMIT most
    )
    {_LEASE};
END $$;

-- Leases at most `most` emergencies that are due, whatever befell their accounts.
CREATE FUNCTION claim_emergencies(at timestamptz, lanes text[], held bigint[], most bigint, lasts interval)
    {_CLAIMED} {_PLANS} $$
#variable_conflict use_column
BEGIN RETURN QUERY
    WITH picked AS MATERIALIZED (
        {_FOUND}
        WHERE o.lane = 'emergency' AND {_FREE} AND o.id = {_first("true")}
        ORDER BY o.priority, o.due_at, o.id LIMIT most FOR UPDATE OF o SKIP LOCKED
    )
    {_LEASE};
END $$;

-- What Meta took is written down, where the lease still is the one that it was sent under; which rows that were.
CREATE FUNCTION write_receipts(ids bigint[], leases bigint[], taken text[], moments timestamptz[])
    RETURNS TABLE (id bigint) {_PLANS} $$
#variable_conflict use_column
BEGIN RETURN QUERY
    UPDATE outbox o SET status = 'sent', sent_at = i.at, parts_sent = o.parts_sent + 1, maybe_sent = false,
        error_slug = NULL, error_remedy = NULL, lease_until = NULL,
        mids = CASE WHEN i.mid = ANY(o.mids) THEN o.mids ELSE o.mids || i.mid END
    FROM unnest(ids, leases, taken, moments) AS i(id, lease, mid, at)
    WHERE o.id = ANY(ARRAY[i.id]) AND o.lease = i.lease AND o.status || '' = 'queued'
    RETURNING o.id;
END $$;

-- In which lanes these conversations have more to say.
CREATE FUNCTION what_follows(conversations bigint[]) RETURNS TABLE (urgent boolean) {_PLANS} $$
#variable_conflict use_column
BEGIN RETURN QUERY
    SELECT DISTINCT o.lane = 'emergency' FROM unnest(conversations) AS i(id), LATERAL (
        SELECT e.lane FROM outbox e WHERE e.conversation_id = i.id AND e.status = 'queued' ORDER BY e.id + 0 LIMIT 10) o;
END $$;
"""  # noqa: S608

WORKER = """
-- Every index of a table is written again whenever a row's new version does not fit into its page, several times a message.
DROP INDEX events_disposition;       -- asked by nothing but counts over everything, which read the table as fast
DROP INDEX outbox_conversation;      -- outbox_thread, and the one of names, begin with the conversation too
ALTER TABLE conversations SET (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05); -- a lease stays in its page
ALTER TABLE outbox SET (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);
"""


def upgrade() -> None:
    """Create everything."""
    for section in (SENDER, CLAIMS, WORKER):
        op.execute(section)
