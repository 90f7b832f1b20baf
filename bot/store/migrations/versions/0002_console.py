"""The console: rights, teams, states of a hand-off, drafts, notes, validation, crisis, search, steering, audit.

One section a topic. The indexes are chosen for 100,000 conversations and 1,000,000 messages.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

ACCOUNTS = """
ALTER TABLE users
    ADD COLUMN validation_level text CHECK (validation_level IN ('service', 'cabinet')), -- how high their validation reaches
    ADD COLUMN preferences jsonb NOT NULL DEFAULT '{}',     -- theme, sound, notifications, tour seen
    ADD COLUMN password_at timestamptz,                     -- when the password was last set
    ADD COLUMN password_temporary boolean NOT NULL DEFAULT false; -- given by an administrator: the next log-in asks for another

CREATE TABLE teams (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    archived_at timestamptz
);
CREATE TABLE team_members (
    team_id bigint NOT NULL REFERENCES teams ON DELETE CASCADE,
    user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    PRIMARY KEY (team_id, user_id)
);
CREATE INDEX team_members_user ON team_members (user_id);

-- A session is half open until the second factor is shown (`factor`) or set up (`enrol`), or the password changed.
ALTER TABLE sessions
    ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    ADD COLUMN stage text NOT NULL DEFAULT 'open' CHECK (stage IN ('factor', 'enrol', 'password', 'open')),
    ADD COLUMN method text NOT NULL DEFAULT 'password' CHECK (method IN ('password', 'link', 'oidc')),
    ADD COLUMN device text,                 -- browser and system in words, for the list of one's sessions
    ADD COLUMN ended_at timestamptz,        -- ended by its owner elsewhere or by an administrator
    ADD COLUMN ended_by bigint REFERENCES users;
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE second_factors (
    user_id bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    secret bytea NOT NULL,                  -- TOTP, encrypted
    created_at timestamptz NOT NULL DEFAULT now(),
    confirmed_at timestamptz,               -- null: shown, no code given yet
    last_step bigint NOT NULL DEFAULT 0     -- of the last code taken: no code opens twice
);
CREATE TABLE recovery_codes (
    user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    code_hash bytea NOT NULL,               -- HMAC-SHA-256 with the secret key
    used_at timestamptz,
    PRIMARY KEY (user_id, code_hash)
);

CREATE TABLE oidc_identities (
    issuer text NOT NULL,
    subject text NOT NULL,
    user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at timestamptz,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX oidc_identities_user ON oidc_identities (user_id);
CREATE TABLE oidc_logins (                  -- log-ins on their way through the identity provider
    state_hash bytea PRIMARY KEY,
    value bytea NOT NULL,                   -- nonce, verifier, where to go next; encrypted
    expires_at timestamptz NOT NULL
);
"""

QUEUE = """
CREATE TABLE deadlines (                    -- until the first human reply, by priority
    priority smallint PRIMARY KEY,
    within interval NOT NULL CHECK (within > interval '0'),
    alert_before interval NOT NULL CHECK (alert_before >= interval '0'),
    updated_at timestamptz NOT NULL DEFAULT now(),
    updated_by bigint REFERENCES users
);
INSERT INTO deadlines (priority, within, alert_before) VALUES
    (0, '5 minutes', '2 minutes'), (1, '30 minutes', '10 minutes'), (2, '2 hours', '30 minutes'),
    (3, '8 hours', '1 hour'), (4, '1 day', '2 hours'), (5, '3 days', '4 hours'), (9, '3 days', '4 hours');

ALTER TABLE handoffs
    ADD COLUMN platform text,               -- of the conversation, which never changes: filters need no join
    ADD COLUMN due_at timestamptz,          -- first human reply expected by
    ADD COLUMN alerted_at timestamptz,      -- when its coming breach was told
    ADD COLUMN assignee_id bigint REFERENCES users, -- who should; conversations.agent_id says who has it
    ADD COLUMN team_id bigint REFERENCES teams,
    ADD COLUMN assigned_at timestamptz,
    ADD COLUMN assigned_by bigint REFERENCES users,
    ADD COLUMN snoozed_until timestamptz,
    ADD COLUMN snoozed_by bigint REFERENCES users,
    ADD COLUMN close_reason text,           -- a slug that the console explains
    ADD COLUMN reopened_at timestamptz,
    ADD COLUMN state text GENERATED ALWAYS AS (
        CASE WHEN closed_at IS NOT NULL THEN CASE WHEN outcome = 'spam' THEN 'spam' ELSE 'closed' END
             WHEN snoozed_until IS NOT NULL THEN 'snoozed' ELSE 'open' END) STORED;
UPDATE handoffs h SET platform = c.platform, due_at = h.opened_at + d.within, assignee_id = c.agent_id
    FROM conversations c, deadlines d WHERE c.id = h.conversation_id AND d.priority = h.priority;
UPDATE handoffs h SET platform = c.platform, due_at = h.opened_at + interval '1 day'
    FROM conversations c WHERE c.id = h.conversation_id AND h.due_at IS NULL;
ALTER TABLE handoffs ALTER COLUMN platform SET NOT NULL, ALTER COLUMN due_at SET NOT NULL;

CREATE INDEX handoffs_conversation ON handoffs (conversation_id, id);
CREATE INDEX handoffs_due ON handoffs (priority, due_at, id) WHERE closed_at IS NULL;
CREATE INDEX handoffs_category ON handoffs (category, priority, due_at, id) WHERE closed_at IS NULL;
CREATE INDEX handoffs_platform ON handoffs (platform, priority, due_at, id) WHERE closed_at IS NULL;
CREATE INDEX handoffs_assignee ON handoffs (assignee_id, priority, due_at, id) WHERE closed_at IS NULL;
CREATE INDEX handoffs_team ON handoffs (team_id, priority, due_at, id) WHERE closed_at IS NULL AND team_id IS NOT NULL;
CREATE INDEX handoffs_age ON handoffs (opened_at, id) WHERE closed_at IS NULL;
CREATE INDEX handoffs_snoozed ON handoffs (snoozed_until) WHERE closed_at IS NULL AND snoozed_until IS NOT NULL;
CREATE INDEX handoffs_breach ON handoffs (due_at)
    WHERE closed_at IS NULL AND replied_at IS NULL AND alerted_at IS NULL;
CREATE INDEX handoffs_closed ON handoffs (closed_at DESC, id DESC) WHERE closed_at IS NOT NULL;
CREATE INDEX conversations_agent ON conversations (agent_id) WHERE owner = 'agent';
"""

WORK = """
CREATE TABLE drafts (                       -- one a conversation and author; survives reload, log-out, machine
    conversation_id bigint NOT NULL REFERENCES conversations ON DELETE CASCADE,
    user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    body bytea NOT NULL,                    -- encrypted
    seen bigint NOT NULL DEFAULT 0,         -- last event of the person that the author had before them
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
);
CREATE INDEX drafts_user ON drafts (user_id, updated_at);

CREATE TABLE notes (                        -- private: never sent
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    conversation_id bigint NOT NULL REFERENCES conversations ON DELETE CASCADE,
    user_id bigint NOT NULL REFERENCES users,
    at timestamptz NOT NULL,
    body bytea NOT NULL,                    -- encrypted
    dedup text,                             -- the form's own name: a double click notes once
    UNIQUE (conversation_id, dedup)
);
CREATE INDEX notes_conversation ON notes (conversation_id, at, id);

CREATE TABLE canned_replies (               -- ours, no citizen's words: in clear
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shortcut text NOT NULL CHECK (shortcut ~ '^[a-z0-9][a-z0-9-]{0,29}$'),
    title text NOT NULL,
    body text NOT NULL,                     -- with {{variables}}
    category text,                          -- where it is offered first
    uses bigint NOT NULL DEFAULT 0,
    used_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    updated_by bigint REFERENCES users,
    archived_at timestamptz
);
CREATE UNIQUE INDEX canned_replies_shortcut ON canned_replies (shortcut) WHERE archived_at IS NULL;

CREATE TABLE blocks (                       -- people whose messages open no hand-off; emergencies are answered all the same
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    conversation_id bigint NOT NULL REFERENCES conversations ON DELETE CASCADE,
    at timestamptz NOT NULL,
    user_id bigint NOT NULL REFERENCES users,
    reason text NOT NULL,                   -- a slug that the console explains
    lifted_at timestamptz,
    lifted_by bigint REFERENCES users
);
CREATE UNIQUE INDEX blocks_standing ON blocks (conversation_id) WHERE lifted_at IS NULL;

CREATE UNLOGGED TABLE presence (            -- who has a conversation's page open, and writes; a crash may forget it
    conversation_id bigint NOT NULL,
    user_id bigint NOT NULL,
    seen_at timestamptz NOT NULL,
    writing_at timestamptz,
    PRIMARY KEY (conversation_id, user_id)
);
"""

VALIDATION = """
CREATE TABLE validation_rules (             -- by category: who has to agree, in order; none: the reply leaves at once
    category text PRIMARY KEY,
    steps text[] NOT NULL DEFAULT '{}' CHECK (steps IN ('{}', '{service}', '{cabinet}', '{service,cabinet}')),
    updated_at timestamptz NOT NULL DEFAULT now(),
    updated_by bigint REFERENCES users
);
INSERT INTO validation_rules (category)
    VALUES ('emergency'), ('urgent'), ('sensitive'), ('complaint'), ('witness'), ('request'), ('thanks'), ('none');

CREATE TABLE submissions (                  -- drafts that wait for a validator
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    conversation_id bigint NOT NULL REFERENCES conversations ON DELETE CASCADE,
    handoff_id bigint REFERENCES handoffs ON DELETE SET NULL,
    user_id bigint NOT NULL REFERENCES users, -- the author
    body bytea NOT NULL,                    -- as it would leave now, encrypted
    seen bigint NOT NULL,                   -- last event of the person that it answers
    category text NOT NULL,
    priority smallint NOT NULL,
    steps text[] NOT NULL,                  -- the rule as it stood
    step smallint NOT NULL DEFAULT 0,       -- which of them is waited for
    status text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'approved', 'refused', 'withdrawn', 'expired')),
    created_at timestamptz NOT NULL,
    decided_at timestamptz,
    raised_at timestamptz,                  -- when it was raised because the window was about to close
    outbox_id bigint REFERENCES outbox ON DELETE SET NULL,
    dedup text NOT NULL,
    UNIQUE (conversation_id, dedup)
);
CREATE UNIQUE INDEX submissions_one ON submissions (conversation_id) WHERE status = 'waiting';
CREATE INDEX submissions_list ON submissions (priority, created_at, id) WHERE status = 'waiting';
CREATE INDEX submissions_conversation ON submissions (conversation_id, id);
CREATE INDEX submissions_author ON submissions (user_id, created_at);

CREATE TABLE validations (                  -- what each validator decided
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    submission_id bigint NOT NULL REFERENCES submissions ON DELETE CASCADE,
    step smallint NOT NULL,
    user_id bigint NOT NULL REFERENCES users,
    decision text NOT NULL CHECK (decision IN ('approved', 'amended', 'refused')),
    before bytea,                           -- the text that was amended, encrypted
    word bytea,                             -- to the author, encrypted
    at timestamptz NOT NULL,
    UNIQUE (submission_id, step)
);
-- Nobody validates their own draft, whatever code asks.
CREATE FUNCTION validations_not_own() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM submissions WHERE id = NEW.submission_id AND user_id = NEW.user_id) THEN
        RAISE EXCEPTION 'nobody validates their own draft' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER validations_not_own BEFORE INSERT OR UPDATE ON validations
    FOR EACH ROW EXECUTE FUNCTION validations_not_own();
"""

CRISIS = """
CREATE TABLE crises (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message text NOT NULL,                  -- ours, in clear
    written_by bigint NOT NULL REFERENCES users,
    written_at timestamptz NOT NULL,
    validated_by bigint REFERENCES users,
    validated_at timestamptz,
    opened_at timestamptz,
    opened_by bigint REFERENCES users,
    closed_at timestamptz,
    closed_by bigint REFERENCES users,
    CHECK (validated_by <> written_by),
    CHECK (opened_at IS NULL OR validated_at IS NOT NULL)
);
CREATE UNIQUE INDEX crises_open ON crises ((true)) WHERE opened_at IS NOT NULL AND closed_at IS NULL;

CREATE TABLE likenesses (                   -- keyed sketches (MinHash) of messages: near-duplicates share bands
    event_id bigint PRIMARY KEY REFERENCES events ON DELETE CASCADE,
    conversation_id bigint NOT NULL REFERENCES conversations ON DELETE CASCADE,
    at timestamptz NOT NULL,
    bands bigint[] NOT NULL
);
CREATE INDEX likenesses_bands ON likenesses USING gin (bands);
CREATE INDEX likenesses_conversation ON likenesses (conversation_id);

CREATE TABLE message_groups (               -- people who say the same thing
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    crisis_id bigint REFERENCES crises,
    kind text NOT NULL CHECK (kind IN ('same_words', 'same_intent')),
    intent text,
    sample_id bigint REFERENCES events ON DELETE SET NULL, -- the message that stands for the group
    created_at timestamptz NOT NULL,
    reply text,                             -- ours, in clear
    reply_by bigint REFERENCES users,
    reply_at timestamptz,
    validated_by bigint REFERENCES users,
    validated_at timestamptz,
    started_at timestamptz,
    stopped_at timestamptz,
    stopped_by bigint REFERENCES users,
    done_at timestamptz,
    CHECK (validated_by <> reply_by)
);
CREATE INDEX message_groups_crisis ON message_groups (crisis_id, id);
CREATE TABLE group_members (                -- progress is the count of each status
    group_id bigint NOT NULL REFERENCES message_groups ON DELETE CASCADE,
    conversation_id bigint NOT NULL REFERENCES conversations ON DELETE CASCADE,
    handoff_id bigint REFERENCES handoffs ON DELETE SET NULL,
    seen bigint NOT NULL,                   -- last event of the person when they joined the group
    status text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'queued', 'skipped', 'removed')),
    why text,                               -- skipped, removed: a slug (window_closed, wrote_since, taken, sensitive)
    outbox_id bigint REFERENCES outbox ON DELETE SET NULL,
    PRIMARY KEY (group_id, conversation_id)
);
CREATE INDEX group_members_status ON group_members (group_id, status);
CREATE INDEX group_members_conversation ON group_members (conversation_id);
"""

SEARCH = """
CREATE TABLE search_documents (             -- keyed hashes of French stems: the words stay encrypted where they are
    kind text NOT NULL CHECK (kind IN ('event', 'outbox', 'note', 'name')),
    ref bigint NOT NULL,                    -- id of the event, the row, the note; of the conversation for a name
    conversation_id bigint NOT NULL REFERENCES conversations ON DELETE CASCADE,
    at timestamptz NOT NULL,
    tokens bigint[] NOT NULL,
    PRIMARY KEY (kind, ref)
);
CREATE INDEX search_documents_tokens ON search_documents USING gin (tokens); -- rare words
CREATE INDEX search_documents_at ON search_documents (at DESC); -- frequent words: newest first, filtered
CREATE INDEX search_documents_conversation ON search_documents (conversation_id);
"""

STEERING = """
CREATE TABLE volumes (                      -- whole hours that are over, counted once
    hour timestamptz NOT NULL,
    platform text NOT NULL,
    measure text NOT NULL,                  -- received, sent, intent, route, disposition, handoff …
    value text NOT NULL DEFAULT '',         -- which intent, route, disposition …
    n integer NOT NULL,
    PRIMARY KEY (hour, platform, measure, value)
);
CREATE TABLE satisfaction (                 -- the thumbs after closing
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    conversation_id bigint NOT NULL REFERENCES conversations ON DELETE CASCADE,
    handoff_id bigint NOT NULL UNIQUE REFERENCES handoffs ON DELETE CASCADE,
    asked_at timestamptz NOT NULL,
    answered_at timestamptz,
    answer text CHECK (answer IN ('up', 'down'))
);
CREATE INDEX satisfaction_asked ON satisfaction (asked_at);
CREATE INDEX satisfaction_waiting ON satisfaction (conversation_id) WHERE answered_at IS NULL;
CREATE INDEX events_received ON events (received_at);
CREATE INDEX outbox_created ON outbox (created_at);
CREATE INDEX handoffs_opened ON handoffs (opened_at);
"""

AUDIT = """
ALTER TABLE audit ADD COLUMN subject_id bigint; -- the account that was acted upon
CREATE INDEX audit_at ON audit (at DESC, id DESC);
CREATE INDEX audit_user ON audit (user_id, at DESC, id DESC);
CREATE INDEX audit_action ON audit (action, at DESC, id DESC);
CREATE INDEX audit_conversation ON audit (conversation_id, at DESC, id DESC) WHERE conversation_id IS NOT NULL;
CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();
"""


def upgrade() -> None:
    """Add what the console needs."""
    for part in (ACCOUNTS, QUEUE, WORK, VALIDATION, CRISIS, SEARCH, STEERING, AUDIT):
        op.execute(part)
