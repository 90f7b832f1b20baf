"""Whose words a list showed: the conversations that one line of the audit names."""

from alembic import op

revision = "0011"
down_revision = "0010"
SERVES_SINCE = "0004"  # code made for this schema, and newer, may run with the tables as they are here

AUDIT = """
ALTER TABLE audit ADD COLUMN conversations bigint[]; -- of which words, or the name, were shown in a list; else null
-- Building it reads the table once and is the one thing here that makes writers of the audit wait: it holds no line yet.
CREATE INDEX audit_conversations ON audit USING gin (conversations) WHERE conversations IS NOT NULL;
"""


def upgrade() -> None:
    """Create everything."""
    op.execute(AUDIT)
