"""Accounts: tokens under a keyed hash, secrets that are set up in time, publications that a second person reads."""

from alembic import op

revision = "0010"
down_revision = "0009"
SERVES_SINCE = "0004"  # code made for this schema, and newer, may run with the tables as they are here

TOKENS = """
-- Marks of tokens are keyed hashes now, and a seal binds each to its row. What the version before stored (a plain SHA-256) is found
-- by nobody any more: who was logged in logs in again, an invitation that was not followed is sent again. It stays until it is
-- purged, since that version may still serve. To take such rows over would let in whoever writes them.
ALTER TABLE sessions ADD COLUMN seal bytea;    -- HMAC of mark, user, beginning and method
ALTER TABLE login_links ADD COLUMN seal bytea; -- HMAC of mark, user, purpose and end
"""

FACTOR = """
-- Since when and in which session (sessions.id) a secret waits for its first code. NULL, from before, counts as ended.
ALTER TABLE second_factors ADD COLUMN pending_at timestamptz, ADD COLUMN pending_session bigint;
"""

CRISIS = """
ALTER TABLE crises ADD COLUMN validated_level text; -- of who agreed; NULL: none, or agreed before it was asked for
"""

PROPOSALS = """
CREATE TABLE proposals (                    -- publications that a second person reads first (bot/trainer/grave.py)
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model text NOT NULL,                    -- hash of the candidate
    previous text NOT NULL,                 -- hash of the model in service, which it was held against
    user_id bigint NOT NULL REFERENCES users, -- who asks
    message text NOT NULL,
    reason text NOT NULL DEFAULT '',        -- why an administrator went on although the gate was shut
    verdict jsonb NOT NULL DEFAULT '[]',
    figures jsonb NOT NULL DEFAULT '{}',
    touches text[] NOT NULL,                -- names of replies and files that are not as they were
    asked_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'approved', 'refused', 'withdrawn')),
    decided_by bigint REFERENCES users,
    decided_at timestamptz,
    word text NOT NULL DEFAULT '',          -- why it was refused
    CHECK ((state = 'open') = (decided_by IS NULL)),
    CHECK (state = 'withdrawn' OR decided_by <> user_id)
);
CREATE UNIQUE INDEX proposals_one ON proposals ((true)) WHERE state = 'open';
ALTER TABLE publications ADD COLUMN proposal_id bigint REFERENCES proposals;
"""


def upgrade() -> None:
    """Create everything."""
    for section in (TOKENS, FACTOR, CRISIS, PROPOSALS):
        op.execute(section)
