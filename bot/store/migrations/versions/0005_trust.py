"""Trust: what keeps messages, alerts and retention honest. One section a part."""

from alembic import op

revision = "0005"
down_revision = "0004"
SERVES_SINCE = "0004"  # code made for this schema, and newer, may run with the tables as they are here

RETENTION = """
-- What was erased when its time was over: counts, never words. The database numbers and chains the lines itself.
CREATE TABLE deletions (
    id bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    origin text NOT NULL CHECK (origin IN ('nightly', 'command', 'person')),
    user_id bigint REFERENCES users,
    class text NOT NULL,                    -- everyday, complaints, sensitive, emergencies, raw, audit, statistics
    way text NOT NULL CHECK (way IN ('erased', 'pseudonymised', 'trimmed')),
    days integer,                           -- the limit that applied; null: asked for, whatever the age
    conversations integer NOT NULL,
    counts jsonb NOT NULL,                  -- table → rows that went or were emptied
    previous bytea NOT NULL,
    hash bytea NOT NULL                     -- of this line and of the one before
);
CREATE FUNCTION deletions_digest(d deletions) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(d.previous || convert_to(concat_ws('|', d.id, extract(epoch FROM d.at), d.origin, coalesce(d.user_id, 0),
        d.class, d.way, coalesce(d.days, -1), d.conversations, d.counts), 'UTF8'))
$$;
CREATE FUNCTION deletions_chain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7109320);
    SELECT d.id, d.hash INTO NEW.id, NEW.previous FROM deletions d ORDER BY d.id DESC LIMIT 1;
    NEW.id := coalesce(NEW.id, 0) + 1;
    NEW.previous := coalesce(NEW.previous, sha256(''));
    NEW.hash := deletions_digest(NEW);
    RETURN NEW;
END $$;
CREATE FUNCTION deletions_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the register of deletions is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER deletions_chain BEFORE INSERT ON deletions FOR EACH ROW EXECUTE FUNCTION deletions_chain();
CREATE TRIGGER deletions_append_only BEFORE UPDATE OR DELETE ON deletions
    FOR EACH ROW EXECUTE FUNCTION deletions_append_only();
CREATE TRIGGER deletions_no_truncate BEFORE TRUNCATE ON deletions
    FOR EACH STATEMENT EXECUTE FUNCTION deletions_append_only();
ALTER TABLE deletions ENABLE ALWAYS TRIGGER deletions_chain, ENABLE ALWAYS TRIGGER deletions_append_only,
    ENABLE ALWAYS TRIGGER deletions_no_truncate;

CREATE TABLE legal_holds (                  -- conversations that nothing may erase as long as the hold stands
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    conversation_id bigint NOT NULL REFERENCES conversations ON DELETE CASCADE,
    placed_at timestamptz NOT NULL,
    placed_by bigint NOT NULL REFERENCES users,
    reason bytea NOT NULL,                  -- may name a case or a person: encrypted
    lifted_at timestamptz,
    lifted_by bigint REFERENCES users
);
CREATE UNIQUE INDEX legal_holds_standing ON legal_holds (conversation_id) WHERE lifted_at IS NULL;
CREATE INDEX legal_holds_conversation ON legal_holds (conversation_id);
-- Whatever code asks: a held conversation stays.
CREATE FUNCTION conversations_held() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM legal_holds WHERE conversation_id = OLD.id AND lifted_at IS NULL) THEN
        RAISE EXCEPTION 'conversation % is under legal hold', OLD.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER conversations_held BEFORE DELETE ON conversations FOR EACH ROW EXECUTE FUNCTION conversations_held();

ALTER TABLE conversations ADD COLUMN erased_at timestamptz; -- its words and its person are gone; the request's history stays
CREATE INDEX conversations_erased ON conversations (erased_at) WHERE erased_at IS NOT NULL;

-- Raw bodies have a life of their own, shorter than their events': the number may lead nowhere.
ALTER TABLE events DROP CONSTRAINT events_delivery_id_fkey;
ALTER TABLE events ADD COLUMN again bigint[];   -- deliveries that brought the same once more: they hold its words too
CREATE INDEX deliveries_received ON deliveries (received_at);
CREATE INDEX events_nobody ON events (received_at) WHERE conversation_id IS NULL;
-- Hours of the roll-up whose messages are gone: they are not counted anew.
ALTER TABLE volume_hours ADD COLUMN kept boolean NOT NULL DEFAULT false;

-- What a foreign key looks up when a row goes.
CREATE INDEX message_groups_sample ON message_groups (sample_id) WHERE sample_id IS NOT NULL;
CREATE INDEX submissions_handoff ON submissions (handoff_id) WHERE handoff_id IS NOT NULL;
CREATE INDEX group_members_handoff ON group_members (handoff_id) WHERE handoff_id IS NOT NULL;
CREATE INDEX group_members_outbox ON group_members (outbox_id) WHERE outbox_id IS NOT NULL;
CREATE INDEX blocks_conversation ON blocks (conversation_id);

-- The audit grows only, and old lines go when their time is over: never one of the last 90 days, whoever asks.
CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND TG_LEVEL = 'ROW' THEN
        IF current_setting('planton.audit_expires', true) = 'on' AND OLD.at < now() - interval '90 days' THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
"""

RIGHTS = """
CREATE TABLE erased_messages (               -- what was erased on a person's request, so that it does not come back
    print bigint PRIMARY KEY,                -- keyed: of a message's id, of who said what in which second, of the person
    at timestamptz NOT NULL,                 -- of the erasure
    until timestamptz NOT NULL
);
CREATE INDEX erased_messages_until ON erased_messages (until);
"""

CATCHUP = """
CREATE TABLE meta_flow (                     -- one row an account: Meta's webhooks, and how far one caught up
    account text PRIMARY KEY,                -- page id or Instagram account id
    platform text NOT NULL,
    webhook_at timestamptz,                  -- arrival of the last verified webhook
    subscription text CHECK (subscription IN ('ok', 'partial', 'lost')), -- Meta's last answer
    missing text[] NOT NULL DEFAULT '{}',    -- fields
    subscription_at timestamptz,             -- of that answer
    subscription_error text,                 -- why the newest question had none
    lost_since timestamptz,
    complete_until timestamptz,              -- every message until then is in
    walk_since timestamptz,                  -- a walk under way: reads what is newer than this
    walk_started timestamptz,
    walk_passed timestamptz,                 -- the present pass: conversations updated since then
    walk_pass_started timestamptz,
    walk_cursor text,
    walked_at timestamptz,                   -- the last walk's end
    walk_error text,                         -- why it did not reach its end
    walk_found integer NOT NULL DEFAULT 0,
    walk_wanted boolean NOT NULL DEFAULT false -- a subscription was restored
);
CREATE TABLE caught (                        -- messages that came by the Conversations API: their webhook may still come
    event_id bigint PRIMARY KEY REFERENCES events ON DELETE CASCADE,
    conversation_id bigint NOT NULL REFERENCES conversations ON DELETE CASCADE,
    at timestamptz NOT NULL,                 -- Meta's own time, whole seconds
    twin text                                -- mid of that webhook, where it differed
);
CREATE INDEX caught_conversation ON caught (conversation_id) WHERE twin IS NULL;
"""

ALERTS = """
CREATE TABLE alerts (                        -- what is wrong for the whole site; each machine keeps its own in a file
    key text PRIMARY KEY,                    -- the same as long as it is the same trouble
    grade text NOT NULL CHECK (grade IN ('critical', 'warning')),
    what text NOT NULL,                      -- French, nothing of a citizen's
    remedy text NOT NULL,
    since timestamptz NOT NULL,
    opened_at timestamptz,                   -- null: not confirmed yet
    told_at timestamptz,
    told integer NOT NULL,
    mark bigint NOT NULL,                    -- grows with more of the same
    returns integer NOT NULL,                -- how often it came back
    gone_at timestamptz,                     -- not seen since
    closed_at timestamptz
);
CREATE TABLE meta_tokens (                   -- what Meta says of each account's token; only the sender can ask
    account text PRIMARY KEY,
    asked_at timestamptz NOT NULL,           -- of the last answer
    valid boolean NOT NULL,
    expires_at timestamptz,                  -- null: never
    data_expires_at timestamptz,             -- access to data ends then, even with a token that lasts
    missing text[] NOT NULL DEFAULT '{}'     -- permissions that Planton needs
);
"""

KEYS = """
CREATE TABLE secret_uses (                   -- during a rotation: which of two secrets is still in use
    name text NOT NULL,                      -- of the setting
    place smallint NOT NULL,                 -- 1: the current one
    print text NOT NULL,                     -- 32 bits of a hash: whether it is still the same
    since timestamptz NOT NULL,
    last_at timestamptz,                     -- last used
    PRIMARY KEY (name, place)
);
CREATE TABLE page_tokens (                   -- which of its tokens a page is served with
    page_id text PRIMARY KEY,
    place smallint NOT NULL,                 -- 1: the first one given
    tokens smallint NOT NULL,                -- how many are given
    refused smallint[] NOT NULL,             -- places that Meta no longer takes
    at timestamptz NOT NULL
);

-- Sealing a text anew with another key (`planton keys rotate`) does not change what it says.
CREATE FUNCTION resealing() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(current_setting('planton.resealing', true), '') = 'on'
$$;
DROP TRIGGER search_changed ON events;
DROP TRIGGER search_changed ON outbox;
DROP TRIGGER search_changed ON notes;
DROP TRIGGER readings_withdrawn ON events;
CREATE TRIGGER search_changed AFTER UPDATE OF body ON events
    FOR EACH ROW WHEN (OLD.body IS DISTINCT FROM NEW.body AND NOT resealing()) EXECUTE FUNCTION search_changed('event');
CREATE TRIGGER search_changed AFTER UPDATE OF message ON outbox
    FOR EACH ROW WHEN (OLD.message IS DISTINCT FROM NEW.message AND NOT resealing()) EXECUTE FUNCTION search_changed('outbox');
CREATE TRIGGER search_changed AFTER UPDATE OF body ON notes
    FOR EACH ROW WHEN (OLD.body IS DISTINCT FROM NEW.body AND NOT resealing()) EXECUTE FUNCTION search_changed('note');
CREATE TRIGGER readings_withdrawn AFTER UPDATE OF body ON events
    FOR EACH ROW WHEN (OLD.body IS DISTINCT FROM NEW.body AND NOT resealing()) EXECUTE FUNCTION readings_withdrawn();
"""

DEGRADED = """
-- The first attempt in vain to have this conversation's messages understood, until one succeeds; when its person was told.
ALTER TABLE conversations ADD COLUMN engine_away_since timestamptz, ADD COLUMN engine_told_at timestamptz;
CREATE INDEX conversations_engine_away ON conversations (engine_away_since) WHERE engine_away_since IS NOT NULL;
"""


def upgrade() -> None:
    """Create everything."""
    for section in (RETENTION, RIGHTS, CATCHUP, ALERTS, KEYS, DEGRADED):
        if section.strip():
            op.execute(section)
