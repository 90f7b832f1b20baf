"""Alarms: each danger that was seen, by which detector, what in the message says so, and what an agent said of it."""

from alembic import op

revision = "0013"
down_revision = "0012"
SERVES_SINCE = "0004"  # code made for this schema, and newer, may run with the tables as they are here

ALARMS = """
CREATE TABLE alarms (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    conversation_id bigint NOT NULL REFERENCES conversations ON DELETE CASCADE,
    handoff_id bigint REFERENCES handoffs ON DELETE SET NULL, -- that it opened or raised
    platform text NOT NULL,
    events bigint[] NOT NULL DEFAULT '{}',  -- whose words were read; no words of theirs, no evidence
    at timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind IN ('danger', 'distress')),
    degree text NOT NULL DEFAULT 'sure' CHECK (degree IN ('sure', 'likely')),
    detector text NOT NULL CHECK (detector IN ('lexicon', 'score', 'engine', 'other')),
    entry text,                             -- of the lexicon, that met it
    evidence bytea,                         -- short quotes of the person's words, encrypted
    stood jsonb,                            -- category, intent and reason of the open hand-off that it raised; null: it opened one
    verdict text CHECK (verdict IN ('confirmed', 'taken_back')),
    verdict_at timestamptz,
    verdict_by bigint REFERENCES users,
    CHECK ((verdict IS NULL) = (verdict_at IS NULL))
);
CREATE INDEX alarms_conversation ON alarms (conversation_id, id);
CREATE INDEX alarms_handoff ON alarms (handoff_id, id);
CREATE INDEX alarms_at ON alarms (at);
CREATE INDEX alarms_verdict ON alarms (verdict_at) WHERE verdict_at IS NOT NULL;
CREATE INDEX alarms_judges ON alarms (verdict_by) WHERE verdict_by IS NOT NULL;
"""

# Whose words the last emergency reply had; `emergency_kind` stays the kind, which versions before this read as well.
SCRIPT = "ALTER TABLE conversations ADD COLUMN emergency_script text"

_SEALED = (
    ("alarms", "evidence"),
    ("conversations", "profile"),
    ("conversations", "state"),
    ("deliveries", "raw"),
    ("drafts", "body"),
    ("events", "body"),
    ("events", "entities"),
    ("handoffs", "slots"),
    ("legal_holds", "reason"),
    ("notes", "body"),
    ("oidc_logins", "value"),
    ("outbox", "message"),
    ("readings", "words"),
    ("second_factors", "pending"),
    ("second_factors", "secret"),
    ("submissions", "body"),
    ("validations", "before"),
    ("validations", "word"),
)
_THERE = " OR ".join(f"EXISTS (SELECT FROM public.{table} WHERE {column} IS NOT NULL)" for table, column in _SEALED)  # noqa: S608

SEALED = f"""
CREATE OR REPLACE FUNCTION sealed_anything() RETURNS boolean LANGUAGE sql STABLE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$ SELECT {_THERE} $$;
"""  # noqa: S608


def upgrade() -> None:
    """Create the table, and the column; the function that asks whether anything sealed is stored knows of the table."""
    op.execute(ALARMS)
    op.execute(SCRIPT)
    op.execute(SEALED)
