"""The peak: what a claim reads stays the same size, however much waits. One section a part."""

from alembic import op

revision = "0006"
down_revision = "0005"
SERVES_SINCE = "0004"  # code made for this schema, and newer, may run with the tables as they are here

SENDER = """
-- A claim reads the first rows of one index range for each account that has any, so that rows behind a ceiling, a pause or
-- a stop are never walked over. The account is the conversation's own; it never changes.
ALTER TABLE outbox ADD COLUMN account text;
UPDATE outbox o SET account = c.account FROM conversations c WHERE c.id = o.conversation_id AND o.status = 'queued';
CREATE FUNCTION outbox_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT c.account INTO NEW.account FROM conversations c WHERE c.id = NEW.conversation_id;
    RETURN NEW;
END $$;
CREATE TRIGGER outbox_account BEFORE INSERT ON outbox FOR EACH ROW WHEN (NEW.account IS NULL)
    EXECUTE FUNCTION outbox_account();
CREATE INDEX outbox_replies ON outbox (account, priority, due_at, id) WHERE status = 'queued' AND lane <> 'emergency';
CREATE INDEX outbox_emergencies ON outbox (priority, due_at, id) WHERE status = 'queued' AND lane = 'emergency';
DROP INDEX outbox_queued;
ALTER TABLE accounts ADD COLUMN granted integer NOT NULL DEFAULT 0;  -- of what was asked last, how much the ceiling let through
"""

WORKER = """
-- Every index of a table is written again whenever a row's new version does not fit into its page, several times a message.
DROP INDEX events_disposition;       -- asked by nothing but counts over everything, which read the table as fast
DROP INDEX outbox_conversation;      -- outbox_thread, and the one of names, begin with the conversation too
ALTER TABLE conversations SET (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05); -- a lease stays in its page
ALTER TABLE outbox SET (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);
"""


def upgrade() -> None:
    """Create everything."""
    for section in (SENDER, WORKER):
        op.execute(section)
