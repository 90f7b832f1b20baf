"""The desk's topics: what each of them had to add to the console's schema. One section a topic."""

from alembic import op

revision = "0003"
down_revision = "0002"

ACCOUNTS = ""
QUEUE = ""
CONVERSATION = ""
WORK = ""
VALIDATION = ""
CRISIS = ""
SEARCH = ""
STEERING = ""


def upgrade() -> None:
    """Add what the topics need."""
    for part in (ACCOUNTS, QUEUE, CONVERSATION, WORK, VALIDATION, CRISIS, SEARCH, STEERING):
        if part:
            op.execute(part)
