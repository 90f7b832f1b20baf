"""The first schema: deliveries, events, conversations, outbox, hand-offs, people of the console."""

from alembic import op

revision = "0001"
down_revision = None

DDL = """
CREATE TABLE accounts (
    account text PRIMARY KEY,               -- page id or Instagram account id
    stopped_slug text,                      -- why sending stands still, until a probe works again
    stopped_remedy text,
    stopped_at timestamptz,
    paused_until timestamptz,               -- rate limit
    notice text,                            -- what Meta last told the page itself (policy enforcement)
    second bigint NOT NULL DEFAULT 0,       -- the ceiling: epoch second, and what left in it
    used integer NOT NULL DEFAULT 0
);

CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    role text NOT NULL CHECK (role IN ('agent', 'validator', 'trainer', 'administrator', 'auditor')),
    password_hash text,                     -- argon2id; null: only a one-time link opens the door (sandbox)
    created_at timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz
);

CREATE TABLE sessions (
    token_hash bytea PRIMARY KEY,           -- SHA-256 of the cookie's token
    user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    csrf text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE login_links (
    token_hash bytea PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);

CREATE TABLE login_failures (
    subject text NOT NULL,                  -- account name or address
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX login_failures_subject ON login_failures (subject, at);

CREATE TABLE conversations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    platform text NOT NULL,
    account text NOT NULL,
    person text NOT NULL,                   -- page-scoped id
    created_at timestamptz NOT NULL DEFAULT now(),
    profile bytea,                          -- name, encrypted
    profile_at timestamptz,
    -- when to look at it next
    due_at timestamptz,
    due_priority smallint NOT NULL DEFAULT 4, -- 0 danger, 4 someone writing now, 7 bundle of a night or a retry
    wake bigint NOT NULL DEFAULT 0,         -- counts what came in, so that a finishing worker sees what came meanwhile
    debounce_resets smallint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    lease bigint NOT NULL DEFAULT 0,        -- the fence
    attempts smallint NOT NULL DEFAULT 0,
    -- who speaks
    owner text NOT NULL DEFAULT 'bot' CHECK (owner IN ('bot', 'waiting', 'agent', 'inbox', 'closed')),
    owner_version integer NOT NULL DEFAULT 0,
    category text NOT NULL DEFAULT 'none',  -- of the open hand-off
    agent_id bigint REFERENCES users,
    owner_until timestamptz,                -- inbox: 24 h after that human's last message
    standby boolean NOT NULL DEFAULT false, -- another app owns the thread
    last_person_at timestamptz,             -- opens the messaging window
    last_agent_at timestamptz,
    -- what was said
    introduced_at timestamptz,              -- « je suis un assistant automatique »
    night date,                             -- the night whose message went out
    emergency_at timestamptz,               -- last full emergency reply
    emergency_kind text,                    -- of that reply: danger or distress
    emergency_short_at timestamptz,
    state bytea,                            -- dialogue state, encrypted
    UNIQUE (platform, account, person)
);
CREATE INDEX conversations_due ON conversations (due_priority, due_at) WHERE due_at IS NOT NULL;

CREATE TABLE deliveries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL,
    raw bytea NOT NULL                      -- the webhook's body, encrypted
);

CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    conversation_id bigint NOT NULL REFERENCES conversations ON DELETE CASCADE,
    lane text NOT NULL CHECK (lane IN ('emergency', 'reply', 'agent')),
    author text NOT NULL CHECK (author IN ('bot', 'night', 'emergency', 'agent', 'system')),
    user_id bigint REFERENCES users,
    message bytea NOT NULL,                 -- text and quick replies, encrypted
    tag text,
    status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'sent', 'failed', 'cancelled')),
    priority smallint NOT NULL DEFAULT 4,
    owner_version integer,                  -- null: goes out whoever owns the conversation
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    lease_until timestamptz,
    lease bigint NOT NULL DEFAULT 0,
    attempts smallint NOT NULL DEFAULT 0,
    parts_sent smallint NOT NULL DEFAULT 0,
    mids text[] NOT NULL DEFAULT '{}',      -- one a part sent
    echoes jsonb NOT NULL DEFAULT '{}',     -- part → mid, as echoes told
    maybe_sent boolean NOT NULL DEFAULT false, -- the answer to the current part was lost
    sent_at timestamptz,
    delivered_at timestamptz,
    read_at timestamptz,
    error_slug text,
    error_remedy text,
    dedup text,                             -- one row of that name in the conversation, e.g. night:2026-01-14
    UNIQUE (conversation_id, dedup)
);
CREATE INDEX outbox_queued ON outbox (lane, priority, due_at) WHERE status = 'queued';
CREATE INDEX outbox_queued_conversation ON outbox (conversation_id, id) WHERE status = 'queued';
CREATE INDEX outbox_conversation ON outbox (conversation_id, id);
CREATE INDEX outbox_mids ON outbox USING gin (mids);

CREATE TABLE handoffs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    conversation_id bigint NOT NULL REFERENCES conversations ON DELETE CASCADE,
    category text NOT NULL,
    priority smallint NOT NULL,
    intent text,
    reason text NOT NULL,
    old boolean NOT NULL DEFAULT false,     -- the danger was told over a day before it reached us
    opened_at timestamptz NOT NULL,
    raised_at timestamptz NOT NULL,         -- last time that something made it more pressing
    taken_at timestamptz,
    replied_at timestamptz,                 -- first human reply
    closed_at timestamptz,
    outcome text,
    user_id bigint REFERENCES users,
    slots bytea                             -- what is known (place, date, service …), encrypted
);
CREATE UNIQUE INDEX handoffs_open ON handoffs (conversation_id) WHERE closed_at IS NULL;
CREATE INDEX handoffs_queue ON handoffs (priority, opened_at) WHERE closed_at IS NULL;
CREATE INDEX handoffs_replied ON handoffs (replied_at) WHERE replied_at IS NOT NULL;

CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    delivery_id bigint REFERENCES deliveries ON DELETE SET NULL,
    conversation_id bigint REFERENCES conversations ON DELETE CASCADE,
    platform text NOT NULL,
    account text NOT NULL,
    key text NOT NULL,
    kind text NOT NULL,
    channel text NOT NULL,
    mid text,
    target text,                            -- mid that an edit, an unsend or a reaction is about
    at timestamptz NOT NULL,                -- Meta's timestamp
    received_at timestamptz NOT NULL,
    body bytea NOT NULL,                    -- encrypted
    disposition text CHECK (disposition IN
        ('answered', 'emergency', 'handed_off', 'to_agent', 'ignored', 'failed')),
    reason text,
    settled_at timestamptz,
    waiting text,                           -- while in flight: debounce, night, retry, echo
    intent text,
    confidence real,
    route text,
    outbox_id bigint REFERENCES outbox ON DELETE SET NULL,
    UNIQUE (platform, account, key)
);
CREATE INDEX events_pending ON events (conversation_id, at, id) WHERE disposition IS NULL;
CREATE INDEX events_conversation ON events (conversation_id, at, id);
CREATE INDEX events_outbox ON events (outbox_id) WHERE outbox_id IS NOT NULL;
CREATE INDEX events_target ON events (target) WHERE target IS NOT NULL;
CREATE INDEX events_disposition ON events (disposition);

CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    user_id bigint REFERENCES users,
    action text NOT NULL,
    conversation_id bigint,
    detail jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE facts (                         -- small facts about this installation (simulated hour, canary of the key)
    name text PRIMARY KEY,
    value jsonb NOT NULL
);
"""


def upgrade() -> None:
    """Create everything."""
    op.execute(DDL)
