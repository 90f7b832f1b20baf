"""The desk's topics: what each of them had to add to the console's schema. One section a topic."""

from alembic import op

revision = "0003"
down_revision = "0002"

ACCOUNTS = """
-- Two accounts never differ by case alone; those that did keep their number in their name.
UPDATE users u SET name = left(u.name, 80) || ' (' || u.id || ')'
    WHERE EXISTS (SELECT 1 FROM users o WHERE lower(o.name) = lower(u.name) AND o.id < u.id);
CREATE UNIQUE INDEX users_name_folded ON users (lower(name));
ALTER TABLE users
    ADD COLUMN email text,                  -- as the identity provider knows it; ties a first log-in there to this account
    ADD COLUMN last_login_at timestamptz;
CREATE UNIQUE INDEX users_email ON users (lower(email));

-- An archived team gives its name free.
ALTER TABLE teams DROP CONSTRAINT teams_name_key;
UPDATE teams t SET name = left(t.name, 80) || ' (' || t.id || ')'
    WHERE archived_at IS NULL AND EXISTS (
        SELECT 1 FROM teams o WHERE lower(o.name) = lower(t.name) AND o.id < t.id AND o.archived_at IS NULL);
CREATE UNIQUE INDEX teams_name ON teams (lower(name)) WHERE archived_at IS NULL;

ALTER TABLE login_links
    ADD COLUMN purpose text NOT NULL DEFAULT 'login' CHECK (purpose IN ('login', 'password')); -- demo; invitation
CREATE INDEX login_links_user ON login_links (user_id);
ALTER TABLE sessions ADD COLUMN factor_at timestamptz; -- when the second factor was shown in it
ALTER TABLE second_factors
    ALTER COLUMN secret DROP NOT NULL,
    ADD COLUMN pending bytea;               -- a secret that is shown and not confirmed yet, encrypted
"""
QUEUE = """
-- Whoever closed a hand-off was its agent, not the one who has the conversation today.
UPDATE handoffs SET assignee_id = user_id WHERE closed_at IS NOT NULL AND assignee_id IS DISTINCT FROM user_id;

-- The queue's two orders, with everything that it filters by: any combination of filters reads the index alone.
DROP INDEX handoffs_queue, handoffs_open, handoffs_due, handoffs_closed;
CREATE UNIQUE INDEX handoffs_open ON handoffs (conversation_id) INCLUDE (snoozed_until) WHERE closed_at IS NULL;
CREATE INDEX handoffs_due ON handoffs (priority, due_at, id)
    INCLUDE (conversation_id, category, platform, assignee_id, team_id, opened_at, replied_at, snoozed_until)
    WHERE closed_at IS NULL;
CREATE INDEX handoffs_closed ON handoffs (closed_at DESC, id DESC)
    INCLUDE (conversation_id, category, platform, user_id, team_id, opened_at, outcome)
    WHERE closed_at IS NOT NULL;
CREATE INDEX handoffs_spam ON handoffs (closed_at DESC, id DESC) WHERE closed_at IS NOT NULL AND outcome = 'spam';
CREATE INDEX conversations_taken ON conversations (id, agent_id) WHERE owner = 'agent';
"""
CONVERSATION = """
ALTER TABLE events ADD COLUMN entities bytea;   -- what the engine found in the message (field → value), encrypted
CREATE INDEX outbox_thread ON outbox (conversation_id, created_at, id);
"""
WORK = """
ALTER TABLE canned_replies ADD COLUMN intent text; -- what it answers: offered as a suggestion when that is understood

-- A set to begin with, drawn from the assistant's own replies (facts and sources: domain.yml).
INSERT INTO canned_replies (shortcut, title, category, intent, body) VALUES
    ($$bonjour$$, $$Premier contact$$, NULL, NULL, $$Bonjour {{prénom}}, je suis un agent de la police nationale. J’ai lu votre message et je m’en occupe.$$),
    ($$precisions$$, $$Demander lieu, date et service$$, NULL, NULL, $$Pour vous aider, pouvez-vous nous dire où et quand cela s’est passé, et quel service est concerné ?$$),
    ($$urgence-17$$, $$Rappeler le 17$$, NULL, NULL, $$Personne n’est alerté en écrivant ici. En cas de danger, appelez le 17 ou le 112, ou envoyez un SMS au 114 si vous ne pouvez pas parler.$$),
    ($$service$$, $$Orienter vers un service$$, NULL, NULL, $$Bonjour {{prénom}}, le service qui peut traiter votre demande est : {{service}}. Adressez-vous à lui directement ; gardez le numéro de votre dossier, si vous en avez un.$$),
    ($$fin$$, $$Terminer l’échange$$, NULL, NULL, $$Nous terminons ici cette conversation. Vous pouvez nous écrire de nouveau à tout moment. En cas d’urgence, appelez le 17 ou le 112.$$),
    ($$igpn$$, $$Réclamation : IGPN et Défenseur des droits$$, $$complaint$$, $$reclamation_police$$, $$Bonjour {{prénom}}, nous sommes désolés de ce que vous décrivez. Vous pouvez saisir l’inspection générale de la police nationale (IGPN) : https://moncommissariat.interieur.gouv.fr/fr/demarches/la-plateforme-administrative-de-signalement-de-l-inspection-generale-de-la-police-nationale-igpn
Vous pouvez aussi saisir le Défenseur des droits : https://www.defenseurdesdroits.fr/fr/saisir
Cela ne remplace pas une plainte.$$),
    ($$plainte-refusee$$, $$Plainte refusée$$, $$complaint$$, $$reclamation_delai$$, $$Nous sommes désolés. Un commissariat ou une gendarmerie ne peut pas refuser d’enregistrer une plainte, ni imposer une main courante à la place. Vous pouvez retourner dans un autre service, ou écrire au procureur de la République, au tribunal du lieu des faits.$$),
    ($$appel-temoins$$, $$Avis de disparition, alerte enlèvement$$, $$complaint$$, NULL, $$Nous comprenons votre colère et votre inquiétude. Un appel à témoins, un avis de disparition ou une alerte enlèvement ne peut être diffusé que sur décision de la justice : cela peut expliquer l’attente.$$),
    ($$merci$$, $$Remerciements$$, $$thanks$$, $$remerciements$$, $$Bonjour {{prénom}}, merci beaucoup, votre message fait très plaisir ! Nous le transmettrons aux agents concernés.$$),
    ($$temoignage$$, $$Témoignage$$, $$witness$$, $$temoignage_info_enquete$$, $$Merci pour votre aide. Dites-nous ce que vous avez vu ou entendu, où et quand, et comment vous joindre. Gardez vos photos et vidéos. Si cela se passe en ce moment, appelez le 17, ou envoyez un SMS au 114.$$),
    ($$trafic$$, $$Point de deal$$, $$witness$$, $$signalement_trafic$$, $$Merci pour votre signalement. Dites-nous l’adresse, les jours et les heures, et ce que vous voyez, sans prendre de risque. Vous pouvez aussi signaler un point de deal sans donner votre nom, jour et nuit : https://masecurite.interieur.gouv.fr$$),
    ($$violences$$, $$Violences conjugales$$, $$sensitive$$, $$violences_conjugales$$, $$Merci d’en parler, ce n’est pas votre faute.
En danger maintenant : 17, ou SMS au 114 sans parler.
Pour en parler, jour et nuit : le 3919 (femmes), gratuit et anonyme, ou le tchat de https://arretonslesviolences.gouv.fr
Toutes les victimes : 116 006. Un enfant : 119.$$),
    ($$violences-sexuelles$$, $$Violences sexuelles$$, $$sensitive$$, $$violences_sexuelles$$, $$Merci de nous faire confiance. Ce n’est pas votre faute, et vous pouvez en parler à votre rythme.
En danger maintenant : 17, ou SMS au 114.
Des policiers répondent par tchat, jour et nuit : https://arretonslesviolences.gouv.fr
Le 3919 écoute les femmes, le 116 006 toutes les victimes, le 119 les enfants.$$),
    ($$cyberharcelement$$, $$Harcèlement en ligne$$, $$sensitive$$, $$harcelement_cyber$$, $$Ce que vous subissez est grave, et vous avez bien fait de le dire. Le 3018 aide les jeunes et leurs parents, et https://17cyber.gouv.fr répond jour et nuit. Gardez les captures d’écran et bloquez l’auteur.$$),
    ($$disparition$$, $$Disparition$$, $$urgent$$, $$disparition$$, $$Nous comprenons votre inquiétude. Appelez tout de suite le 17 (SMS au 114 si vous ne pouvez pas parler), ou allez au commissariat le plus proche avec une photo. Il n’y a aucun délai à respecter. Pour un enfant, le 116 000 vous soutient aussi.$$),
    ($$plainte$$, $$Porter plainte$$, $$request$$, $$plainte_comment$$, $$Vous pouvez porter plainte dans n’importe quel commissariat ou gendarmerie : elle doit être enregistrée, où que les faits aient eu lieu. Apportez si possible une pièce d’identité et vos preuves (photos, factures, noms des témoins).$$),
    ($$plainte-en-ligne$$, $$Plainte en ligne$$, $$request$$, $$pre_plainte_en_ligne$$, $$Vous pouvez porter plainte en ligne si l’auteur est inconnu et s’il s’agit d’un vol, d’un cambriolage, d’une dégradation ou d’une escroquerie hors Internet : https://masecurite.interieur.gouv.fr (connexion avec FranceConnect). Un agent peut vous recontacter pour la compléter.$$),
    ($$suivi-plainte$$, $$Suivi d’une plainte$$, $$request$$, $$suivi_plainte$$, $$Pour connaître les suites de votre plainte, contactez le service qui l’a prise, avec le numéro écrit sur votre récépissé. C’est le procureur de la République qui décide des suites. Pour un conseil : France Victimes, 116 006, tous les jours de 9 h à 19 h.$$),
    ($$arnaque$$, $$Arnaque en ligne$$, $$request$$, $$arnaque_cyber$$, $$Si votre carte ou votre compte est touché, faites d’abord opposition auprès de votre banque. Gardez toutes les preuves et ne payez plus. Conseils, jour et nuit : https://17cyber.gouv.fr$$);
"""
VALIDATION = """
ALTER TABLE submissions
    ADD COLUMN ended_by bigint REFERENCES users, -- who withdrew it; null: nobody in person
    ADD COLUMN ended_why text,              -- withdrawn, expired: a slug that the console explains
    ADD COLUMN told bigint NOT NULL DEFAULT 0; -- last event of the person that made it stale and was told
CREATE INDEX submissions_outbox ON submissions (outbox_id) WHERE outbox_id IS NOT NULL;
CREATE INDEX validations_user ON validations (user_id, at);
"""
CRISIS = """
-- A crisis's message goes out once a person: the outbox's own name of it (crise:<id>) sees to that.
CREATE INDEX outbox_crisis ON outbox (dedup) WHERE dedup LIKE 'crise:%';
ALTER TABLE crises ADD COLUMN dropped_at timestamptz; -- a message that was never opened and is not to be

-- One sketch a conversation: of all that waits for an agent there.
DROP INDEX likenesses_conversation;
CREATE UNIQUE INDEX likenesses_conversation ON likenesses (conversation_id);
ALTER TABLE likenesses
    ADD COLUMN held text CHECK (held IN ('sensitive', 'attachments', 'edited')), -- to be read before any group's reply
    ADD COLUMN intent text,                 -- what all of it wants, where it is sure
    ADD COLUMN asked_at timestamptz NOT NULL DEFAULT now(); -- the hand-off's, so that who waits longest leads

ALTER TABLE message_groups
    ADD COLUMN bands bigint[] NOT NULL DEFAULT '{}', -- of the message that stands for the group
    ADD COLUMN validated_level text CHECK (validated_level IN ('service', 'cabinet')),
    ADD COLUMN started_by bigint REFERENCES users,
    ADD COLUMN upto timestamptz;            -- whoever had joined by then is answered: those whom the page showed
ALTER TABLE group_members
    ADD COLUMN joined_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN at timestamptz,              -- when the status was last changed
    ADD COLUMN admitted_by bigint REFERENCES users, -- who read a message that was held and let it in
    ADD COLUMN admitted_at timestamptz,
    DROP CONSTRAINT group_members_status_check,
    ADD CONSTRAINT group_members_status_check CHECK (status IN
        ('waiting', 'held', 'queued', 'sent', 'failed', 'withdrawn', 'skipped', 'removed'));
-- Nobody waits in two groups at once, so that two replies never answer the same words.
CREATE UNIQUE INDEX group_members_waiting ON group_members (conversation_id)
    WHERE status IN ('waiting', 'held', 'queued', 'withdrawn');
CREATE INDEX group_members_queued ON group_members (outbox_id) WHERE status = 'queued';
CREATE INDEX message_groups_running ON message_groups (id)
    WHERE started_at IS NOT NULL AND stopped_at IS NULL AND done_at IS NULL;
"""
SEARCH = """
-- Each message writes its own tokens: no list of pending ones that a search has to read, or a writer to empty.
ALTER INDEX search_documents_tokens SET (fastupdate = off);

-- What goes, or is withdrawn, is no longer found. (Whoever changes a text indexes it again in the same transaction.)
CREATE FUNCTION search_forget() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM search_documents s USING gone g WHERE s.kind = TG_ARGV[0] AND s.ref = g.id;
    RETURN NULL;
END $$;
CREATE FUNCTION search_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM search_documents WHERE kind = TG_ARGV[0] AND ref = OLD.id;
    RETURN NULL;
END $$;
CREATE TRIGGER search_forget AFTER DELETE ON events REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION search_forget('event');
CREATE TRIGGER search_forget AFTER DELETE ON outbox REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION search_forget('outbox');
CREATE TRIGGER search_forget AFTER DELETE ON notes REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION search_forget('note');
CREATE TRIGGER search_changed AFTER UPDATE OF body ON events
    FOR EACH ROW WHEN (OLD.body IS DISTINCT FROM NEW.body) EXECUTE FUNCTION search_changed('event');
CREATE TRIGGER search_changed AFTER UPDATE OF message ON outbox
    FOR EACH ROW WHEN (OLD.message IS DISTINCT FROM NEW.message) EXECUTE FUNCTION search_changed('outbox');
CREATE TRIGGER search_changed AFTER UPDATE OF body ON notes
    FOR EACH ROW WHEN (OLD.body IS DISTINCT FROM NEW.body) EXECUTE FUNCTION search_changed('note');
"""
STEERING = """
CREATE TABLE volume_hours (                 -- the hours that stand in `volumes`, one unbroken range
    hour timestamptz PRIMARY KEY,
    counted_at timestamptz NOT NULL,
    again_at timestamptz                    -- when it is counted anew, for what came or was settled late; null: final
);
CREATE INDEX volume_hours_again ON volume_hours (again_at) WHERE again_at IS NOT NULL;
CREATE TABLE volume_days (                  -- the same, summed over days of UTC
    day timestamptz NOT NULL,
    platform text NOT NULL,
    measure text NOT NULL,
    value text NOT NULL DEFAULT '',
    n integer NOT NULL,
    PRIMARY KEY (day, platform, measure, value)
);
CREATE INDEX volumes_measure ON volumes (measure, hour) INCLUDE (platform, value, n);
CREATE INDEX satisfaction_answered ON satisfaction (answered_at) WHERE answered_at IS NOT NULL;
CREATE INDEX satisfaction_conversation ON satisfaction (conversation_id, id);
CREATE INDEX handoffs_taken ON handoffs (taken_at) WHERE taken_at IS NOT NULL;
CREATE INDEX handoffs_due_at ON handoffs (due_at);
CREATE INDEX handoffs_unanswered ON handoffs (priority, due_at) INCLUDE (opened_at, snoozed_until)
    WHERE closed_at IS NULL AND replied_at IS NULL;
"""
AUDIT = """
-- Also where a session asks for triggers to be left out (session_replication_role).
ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_append_only, ENABLE ALWAYS TRIGGER audit_no_truncate;
"""


def upgrade() -> None:
    """Add what the topics need."""
    for part in (ACCOUNTS, QUEUE, CONVERSATION, WORK, VALIDATION, CRISIS, SEARCH, STEERING, AUDIT):
        if part:
            op.execute(part)
