"""One clock: what lies implausibly far ahead holds nothing back; how far each machine's own is from it."""

from alembic import op

revision = "0008"
down_revision = "0007"
SERVES_SINCE = "0004"  # code made for this schema, and newer, may run with the tables as they are here

CLOCKS = """
-- Each process tells how far its machine's clock is ahead of this database's (seconds; negative: behind).
CREATE TABLE clocks (
    role text NOT NULL,
    host text NOT NULL,
    skew double precision NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (role, host)
);
"""

# What was written by a clock that was wrong lies further ahead than what it is for lasts: no lease is longer than seconds, no pause
# than an hour (`Timing` of the sender), and an emergency that was never tried is due at once, whatever stands there. The functions stay
# as they are but for these conditions.
_LEASE = "o.lease_until < clock_timestamp()"
_PAUSE = "a.paused_until > at"
_DUE = "o.due_at <= at"
STALE = {
    "claim_replies(timestamptz, text[], bigint[], bigint, interval, text[], text)": {
        _LEASE: f"{_LEASE} OR o.lease_until > clock_timestamp() + interval '5 minutes'",
        _PAUSE: f"{_PAUSE} AND a.paused_until <= at + interval '2 hours'",
    },
    "claim_emergencies(timestamptz, text[], bigint[], bigint, interval)": {
        _LEASE: f"{_LEASE} OR o.lease_until > clock_timestamp() + interval '5 minutes'",
        _DUE: f"({_DUE} OR o.attempts = 0 OR o.due_at > at + interval '2 minutes')",
    },
}


def upgrade() -> None:
    """Create everything."""
    op.execute(CLOCKS)
    for name, changes in STALE.items():
        [definition] = op.get_bind().exec_driver_sql("SELECT pg_get_functiondef(%s::regprocedure)", (name,)).one()
        for old, new in changes.items():
            before, found, after = definition.partition(old)
            assert found, f"{name} no longer says: {old}"
            definition = before + new + after
        op.get_bind().exec_driver_sql(definition.replace("%", "%%"))
