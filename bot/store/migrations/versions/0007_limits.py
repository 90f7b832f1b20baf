"""Meta's limits: what it says of an account's use and what slows it down stand where every sender reads them."""

from alembic import op

revision = "0007"
down_revision = "0006"
SERVES_SINCE = "0004"  # code made for this schema, and newer, may run with the tables as they are here

# Without defaults, so that nothing is rewritten. `second` is an epoch second of this very database's clock from here on; an older
# sender's own second counts as stale as soon as it lies more than one ahead.
ACCOUNTS = """
ALTER TABLE accounts
    ADD COLUMN usage_percent integer,       -- of what Meta allows, as its headers last said
    ADD COLUMN usage_at timestamptz,
    ADD COLUMN slowed_to integer,           -- replies a second, over all senders, until `slowed_until`
    ADD COLUMN slowed_until timestamptz,
    ADD COLUMN trouble_slug text,           -- what Meta last refused that an operator should look at, and when
    ADD COLUMN trouble_code text,
    ADD COLUMN trouble_at timestamptz;
"""


def upgrade() -> None:
    """Add what is missing."""
    op.execute(ACCOUNTS)
