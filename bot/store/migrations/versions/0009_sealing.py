"""Sealed values that did not belong where they stood: which, and how often they were refused."""

from alembic import op

revision = "0009"
down_revision = "0008"
SERVES_SINCE = "0004"  # code made for this schema, and newer, may run with the tables as they are here

REFUSED = """
CREATE TABLE refused_values (
    name text NOT NULL,                      -- table and column
    place text NOT NULL,                     -- what names the row, never what it says
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    times bigint NOT NULL,
    PRIMARY KEY (name, place)
);
"""


def upgrade() -> None:
    """Create everything."""
    op.execute(REFUSED)
