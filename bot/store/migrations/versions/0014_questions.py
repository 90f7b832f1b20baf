"""What a message asked of the catalogue of questions: the nearest one, the one that was answered, those that were offered."""

from alembic import op

revision = "0014"
down_revision = "0013"
SERVES_SINCE = "0004"  # code made for this schema, and newer, may run with the tables as they are here

# Ids of the catalogue (intent/question), no words of anybody's; they go with the event, and with its withdrawal.
EVENTS = """
ALTER TABLE events
    ADD COLUMN nearest text,                -- by meaning, whether it was answered or not
    ADD COLUMN nearest_chance real,
    ADD COLUMN question text,               -- that the reply answers
    ADD COLUMN offers text[];               -- that its buttons lead to, in order
"""


def upgrade() -> None:
    """Add the columns."""
    op.execute(EVENTS)
