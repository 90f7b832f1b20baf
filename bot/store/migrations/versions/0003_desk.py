"""The desk's topics: what each of them had to add to the console's schema. One section a topic."""

from alembic import op

revision = "0003"
down_revision = "0002"

ACCOUNTS = ""
QUEUE = ""
CONVERSATION = ""
WORK = ""
VALIDATION = """
ALTER TABLE submissions
    ADD COLUMN ended_by bigint REFERENCES users, -- who withdrew it; null: nobody in person
    ADD COLUMN ended_why text;              -- withdrawn, expired: a slug that the console explains
CREATE INDEX submissions_outbox ON submissions (outbox_id) WHERE outbox_id IS NOT NULL;
CREATE INDEX validations_user ON validations (user_id, at);
"""
CRISIS = ""
SEARCH = ""
STEERING = """
CREATE TABLE volume_hours (                 -- the hours that stand in `volumes`, one unbroken range
    hour timestamptz PRIMARY KEY,
    counted_at timestamptz NOT NULL,
    again_at timestamptz                    -- when it is counted anew, for what came or was settled late; null: final
);
CREATE INDEX volume_hours_again ON volume_hours (again_at) WHERE again_at IS NOT NULL;
CREATE INDEX volumes_measure ON volumes (measure, hour) INCLUDE (platform, value, n);
CREATE INDEX satisfaction_answered ON satisfaction (answered_at) WHERE answered_at IS NOT NULL;
CREATE INDEX satisfaction_conversation ON satisfaction (conversation_id, id);
CREATE INDEX handoffs_taken ON handoffs (taken_at) WHERE taken_at IS NOT NULL;
CREATE INDEX handoffs_due_at ON handoffs (due_at);
CREATE INDEX handoffs_unanswered ON handoffs (priority, due_at) INCLUDE (opened_at, snoozed_until)
    WHERE closed_at IS NULL AND replied_at IS NULL;
"""


def upgrade() -> None:
    """Add what the topics need."""
    for part in (ACCOUNTS, QUEUE, CONVERSATION, WORK, VALIDATION, CRISIS, SEARCH, STEERING):
        if part:
            op.execute(part)
