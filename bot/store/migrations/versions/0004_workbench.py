"""The workbench: what each of its parts keeps. One section a part."""

from alembic import op

revision = "0004"
down_revision = "0003"

READINGS = """
CREATE TABLE reading_decisions (            -- what a trainer decided about one message, or about a group that says the same
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    user_id bigint NOT NULL REFERENCES users,
    kind text NOT NULL CHECK (kind IN ('confirmed', 'chosen', 'outside', 'nothing', 'skipped')),
    intent text,                            -- what it means; null: nothing that an example could say, or left for later
    messages integer NOT NULL,
    correction_id bigint,                   -- the example that was added with it
    undone_at timestamptz
);
CREATE INDEX reading_decisions_user ON reading_decisions (user_id, id) WHERE undone_at IS NULL;

CREATE TABLE readings (                     -- what the engine made of each message of a citizen
    event_id bigint PRIMARY KEY REFERENCES events ON DELETE CASCADE,
    also bigint[] NOT NULL DEFAULT '{}',    -- events that were read together with it
    conversation_id bigint NOT NULL REFERENCES conversations ON DELETE CASCADE,
    platform text NOT NULL,
    at timestamptz NOT NULL,                -- Meta's time of the message
    read_at timestamptz NOT NULL,
    words bytea NOT NULL,                   -- as the engine read them, encrypted
    ranking jsonb NOT NULL,                 -- [[intent, chance], …], the five best
    intent text,
    confidence real NOT NULL,
    danger real NOT NULL,
    route text,
    clarified boolean NOT NULL,
    model text NOT NULL,
    unknown smallint NOT NULL,              -- words never seen
    reasons text[] NOT NULL,                -- why it is worth a look (bot/policy/doubt.py)
    weight integer NOT NULL,                -- 0: it is not
    agent_intent text,                      -- the subject that an agent gave it, or answered to
    group_id bigint NOT NULL,               -- the event that stands for all that say the same
    bands bigint[],                         -- of that one: its keyed sketch
    decision_id bigint REFERENCES reading_decisions ON DELETE SET NULL
);
CREATE INDEX readings_conversation ON readings (conversation_id, at);
CREATE INDEX readings_waiting ON readings (group_id) WHERE decision_id IS NULL AND weight > 0;
CREATE INDEX readings_at ON readings (at);
CREATE INDEX readings_decision ON readings (decision_id) WHERE decision_id IS NOT NULL;
-- Each message writes its own: no list of pending ones that a reader has to go through.
CREATE INDEX readings_bands ON readings USING gin (bands) WITH (fastupdate = off) WHERE bands IS NOT NULL AND decision_id IS NULL;

-- What is withdrawn is forgotten; what is written anew is read anew, if at all.
CREATE FUNCTION readings_withdrawn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM readings r WHERE r.conversation_id = NEW.conversation_id AND (r.event_id = NEW.id OR NEW.id = ANY(r.also));
    RETURN NULL;
END $$;
CREATE TRIGGER readings_withdrawn AFTER UPDATE OF body ON events
    FOR EACH ROW WHEN (OLD.body IS DISTINCT FROM NEW.body) EXECUTE FUNCTION readings_withdrawn();
CREATE FUNCTION readings_edited() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM readings r USING events e
        WHERE r.conversation_id = NEW.conversation_id AND r.decision_id IS NULL
          AND e.conversation_id = NEW.conversation_id AND (e.mid = NEW.target OR e.target = NEW.target AND e.id <> NEW.id)
          AND (r.event_id = e.id OR e.id = ANY(r.also));
    RETURN NULL;
END $$;
CREATE TRIGGER readings_edited AFTER INSERT ON events
    FOR EACH ROW WHEN (NEW.kind = 'edit') EXECUTE FUNCTION readings_edited();
"""
CORRECTIONS = """
CREATE TABLE corrections (                  -- what was done to one training example; examples are public
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    user_id bigint REFERENCES users ON DELETE SET NULL,
    kind text NOT NULL CHECK (kind IN ('add', 'remove', 'move', 'edit')),
    file text NOT NULL,                     -- from the project's root
    intent text NOT NULL,
    marked text NOT NULL,                   -- the example as it stood, or as it was added, with entity marks
    to_intent text,
    to_marked text,
    before text,                            -- after which example it stood; '' for the first place
    events bigint[] NOT NULL DEFAULT '{}',  -- the messages it comes from
    undone_at timestamptz,
    undone_by bigint REFERENCES users ON DELETE SET NULL,
    CHECK ((kind = 'move') = (to_intent IS NOT NULL)),
    CHECK (kind <> 'edit' OR to_marked IS NOT NULL)
);
CREATE INDEX corrections_standing ON corrections (file, at) WHERE undone_at IS NULL;
CREATE INDEX corrections_intent ON corrections (intent, id);
CREATE INDEX corrections_to_intent ON corrections (to_intent, id) WHERE to_intent IS NOT NULL;
"""
TRAININGS = """
CREATE TABLE trainings (                    -- a candidate model: asked for, trained, compared with the one in service
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id bigint REFERENCES users ON DELETE SET NULL,
    author text NOT NULL,                   -- as the account was named then
    asked_at timestamptz NOT NULL,
    started_at timestamptz,
    ended_at timestamptz,
    state text NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'training', 'measuring', 'done', 'failed', 'stopped')),
    stage text NOT NULL DEFAULT '',
    stage_since timestamptz,
    share real NOT NULL DEFAULT 0,          -- of the stage, 0 to 1
    stages jsonb NOT NULL DEFAULT '{}',     -- seconds that each stage took
    lease_until timestamptz,                -- a killed process lets it run out
    attempts smallint NOT NULL DEFAULT 0,
    stop_asked boolean NOT NULL DEFAULT false,
    commit_id text NOT NULL DEFAULT '',     -- what git had recorded when it began
    diff text NOT NULL DEFAULT '',          -- what the files said otherwise: our own examples and replies, no citizen's words
    diff_lines integer NOT NULL DEFAULT 0,
    current_model text NOT NULL DEFAULT '', -- models/<hash>.tar.gz
    candidate text NOT NULL DEFAULT '',     -- models/candidates/<hash>.tar.gz
    unchanged boolean NOT NULL DEFAULT false,
    memory bigint NOT NULL DEFAULT 0,       -- bytes held at most at once
    what text NOT NULL DEFAULT '',          -- why it failed, and what to do, in French
    remedy text NOT NULL DEFAULT '',
    summary jsonb NOT NULL DEFAULT '{}',    -- gains, losses, p of each set
    result jsonb                            -- bot/trainer/comparison.py; citizens' messages by number, without words
);
CREATE UNIQUE INDEX trainings_queued ON trainings ((true)) WHERE state = 'queued';
CREATE INDEX trainings_candidate ON trainings (candidate, id) WHERE state = 'done';
"""
PUBLICATIONS = """
CREATE TABLE publications (                 -- each model put into service, or put back, from the console
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('publish', 'rollback')),
    model text NOT NULL,                    -- hash of the model to put into service
    previous text NOT NULL DEFAULT '',      -- hash of the one that served until then
    user_id bigint REFERENCES users,
    author text NOT NULL,                   -- the account's name, as the commit bears it
    message text NOT NULL,
    reason text NOT NULL DEFAULT '',        -- why an administrator went on although the gate was shut
    verdict jsonb NOT NULL DEFAULT '[]',    -- the gate's reasons (bot/trainer/gate.py)
    figures jsonb NOT NULL DEFAULT '{}',    -- shares of the gold sets, by set
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    step text NOT NULL DEFAULT '',          -- what is being done (bot/trainer/publishing.py)
    failure text NOT NULL DEFAULT '',
    remedy text NOT NULL DEFAULT '',
    warning text NOT NULL DEFAULT '',       -- what did not work although the model serves: a push that failed
    commit_id text NOT NULL DEFAULT '',     -- forty hex digits; empty: there was nothing to record
    undone_by bigint REFERENCES publications,
    asked_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz
);
CREATE UNIQUE INDEX publications_one ON publications ((true)) WHERE state IN ('waiting', 'running');
CREATE INDEX publications_done ON publications (finished_at) WHERE state = 'done';
CREATE TABLE reloads (                      -- with what each role decides since it last read the files
    role text NOT NULL,
    host text NOT NULL,
    at timestamptz NOT NULL,
    model text NOT NULL DEFAULT '',         -- hash of the model whose danger score it holds
    fault text NOT NULL DEFAULT '',         -- why what is there now could not be read, in French; the older policy goes on
    PRIMARY KEY (role, host)
);
"""
REPLIES = """
CREATE TABLE reply_changes (                -- who changed which reply; replies are ours and public: in clear
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    changed_at timestamptz NOT NULL,
    user_id bigint REFERENCES users,
    names text[] NOT NULL,
    moves jsonb NOT NULL,                   -- [[name, lines before, lines after], …]
    undone_at timestamptz,
    undone_by bigint REFERENCES users
);
CREATE INDEX reply_changes_names ON reply_changes USING gin (names);
"""
TALKS = """
-- The list of conversations is walked in order: the newest, and the newest of an intent or a route.
CREATE INDEX conversations_recent ON conversations (last_person_at DESC, id DESC) WHERE last_person_at IS NOT NULL;
CREATE INDEX events_intent ON events (intent, at DESC, id DESC) WHERE intent IS NOT NULL;
CREATE INDEX events_route ON events (route, at DESC, id DESC) WHERE route IS NOT NULL;

CREATE TABLE stories_made (                 -- stories and tests that trainers made of conversations
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    conversation_id bigint REFERENCES conversations ON DELETE SET NULL,
    at timestamptz NOT NULL,
    user_id bigint NOT NULL REFERENCES users,
    kind text NOT NULL CHECK (kind IN ('story', 'test')),
    name text NOT NULL,
    file text NOT NULL,
    text text NOT NULL,                     -- as it stands in the file: pseudonymised and public
    undone_at timestamptz,
    undone_by bigint REFERENCES users
);
CREATE INDEX stories_made_conversation ON stories_made (conversation_id, id);
"""

DRIFT = """
CREATE TABLE reading_days (                 -- how well each subject was read, by local day: counts only, kept when messages go
    day date NOT NULL,
    intent text NOT NULL,                   -- '': none
    n integer NOT NULL,
    clarified integer NOT NULL,
    handed_off integer NOT NULL,
    answered integer NOT NULL,
    low integer NOT NULL,                   -- read without confidence
    PRIMARY KEY (day, intent)
);
CREATE TABLE reading_days_until (day date); -- one row: the first day that is not counted yet
INSERT INTO reading_days_until VALUES (NULL);
"""


def upgrade() -> None:
    """Create everything."""
    for section in (READINGS, CORRECTIONS, TRAININGS, PUBLICATIONS, REPLIES, TALKS, DRIFT):
        if section.strip():
            op.execute(section)
