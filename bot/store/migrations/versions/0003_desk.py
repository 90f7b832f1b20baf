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
STEERING = ""


def upgrade() -> None:
    """Add what the topics need."""
    for part in (ACCOUNTS, QUEUE, CONVERSATION, WORK, VALIDATION, CRISIS, SEARCH, STEERING):
        if part:
            op.execute(part)
