"""One PostgreSQL role for each part: what a part must do beyond its grants, it asks of these functions of the owner's.

Grants themselves stand in `bot.store.grants` and are applied after each migration.
"""

from alembic import op

revision = "0012"
down_revision = "0011"
SERVES_SINCE = "0004"  # code made for this schema, and newer, may run with the tables as they are here

_OWNERS = "SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS"

EXPIRE = f"""
-- The purge may not read accounts, change the audit or let anybody in: it only says that a time is over. Never of the last ten
-- days (the audit: ninety, a trigger sees to it), whoever asks; at most `most` rows, and how many went.
CREATE FUNCTION expire(kind text, before timestamptz, most integer) RETURNS bigint LANGUAGE plpgsql {_OWNERS} $$
DECLARE
    gone bigint;
    since CONSTANT text := CASE kind WHEN 'audit' THEN 'at' WHEN 'login_failures' THEN 'at' WHEN 'sessions' THEN 'created_at'
        WHEN 'login_links' THEN 'expires_at' WHEN 'oidc_logins' THEN 'expires_at' END;
BEGIN
    IF since IS NULL THEN
        RAISE EXCEPTION 'nothing of this kind expires' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF kind = 'audit' THEN
        PERFORM set_config('planton.audit_expires', 'on', true);
    END IF;
    EXECUTE format('DELETE FROM public.%1$I WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM public.%1$I WHERE %2$I < $1 ORDER BY %2$I LIMIT $2 FOR UPDATE SKIP LOCKED))', kind, since)
        USING least(before, now() - CASE kind WHEN 'audit' THEN interval '90 days' ELSE interval '10 days' END), most;
    GET DIAGNOSTICS gone = ROW_COUNT;
    PERFORM set_config('planton.audit_expires', 'off', true);
    RETURN gone;
END $$;
"""

# What only tells who somebody was, or let them in. Not the identity at the provider, a number without a name: by it alone
# the account of somebody whom the provider still knows is found to be closed, instead of a new one being opened.
_OWN = ("second_factors", "recovery_codes", "sessions", "login_links", "team_members", "drafts")
_NAME = "'Ancien compte n°\u00a0' || u.id"
_GOES = "\n".join(
    f"""
    DELETE FROM public.{table} t WHERE t.user_id = ANY(ids);
    GET DIAGNOSTICS n = ROW_COUNT; name := '{table}'; RETURN NEXT;"""  # noqa: S608
    for table in _OWN
)

ACCOUNTS = f"""
-- Accounts that were closed before that time and that the audit and no legal hold need any more. Whoever asks: none that was closed
-- these last ninety days, or that the audit has named since.
CREATE FUNCTION former_accounts(before timestamptz) RETURNS SETOF bigint LANGUAGE sql STABLE {_OWNERS} $$
    SELECT u.id FROM public.users u
    WHERE u.disabled_at < least(before, now() - interval '90 days') AND u.name <> {_NAME}
    AND NOT EXISTS (SELECT FROM public.audit a WHERE u.id IN (a.user_id, a.subject_id)
        AND a.at >= least(before, now() - interval '90 days'))
    AND NOT EXISTS (SELECT FROM public.legal_holds l WHERE l.lifted_at IS NULL AND (l.placed_by = u.id
        OR EXISTS (SELECT FROM public.outbox o WHERE o.conversation_id = l.conversation_id AND o.user_id = u.id)
        OR EXISTS (SELECT FROM public.notes n WHERE n.conversation_id = l.conversation_id AND n.user_id = u.id)
        OR EXISTS (SELECT FROM public.submissions s LEFT JOIN public.validations v ON v.submission_id = s.id
            WHERE s.conversation_id = l.conversation_id AND u.id IN (s.user_id, v.user_id))))
    AND NOT EXISTS (SELECT FROM public.users o WHERE lower(o.name) = lower({_NAME}))
$$;
-- Takes who they were out of at most `most` of them: the purge's role reads and writes no account. Table and rows that went.
CREATE FUNCTION forget_accounts(before timestamptz, most integer) RETURNS TABLE (name text, n bigint)
    LANGUAGE plpgsql {_OWNERS} $$
#variable_conflict use_column
DECLARE
    ids bigint[];
BEGIN
    ids := ARRAY(SELECT u.id FROM public.users u WHERE u.id IN (SELECT public.former_accounts(before))
        ORDER BY u.id LIMIT most FOR UPDATE OF u SKIP LOCKED);
    IF cardinality(ids) = 0 THEN
        RETURN;
    END IF;{_GOES}
    UPDATE public.users u SET name = {_NAME}, email = NULL, password_hash = NULL, password_at = NULL, password_temporary = false,
        preferences = '{{}}', validation_level = NULL, last_login_at = NULL
        WHERE u.id = ANY(ids);
    GET DIAGNOSTICS n = ROW_COUNT; name := 'users'; RETURN NEXT;
END $$;
"""  # noqa: S608

UNREAD = f"""
-- Open emergencies that no agent has looked at since: a count for whoever watches, who reads neither the audit nor who writes.
-- The first moment is the opening; after the last look, when a danger was told, or when its reply was given up. A look that lies
-- ahead of `asked` is none: a clock that was wrong wrote it.
CREATE FUNCTION unread_emergencies(before timestamptz, asked timestamptz)
    RETURNS TABLE (n bigint, newest bigint, since timestamptz) LANGUAGE sql STABLE {_OWNERS} $$
    SELECT count(*), max(h.id), min(u.since)
    FROM public.handoffs h
    CROSS JOIN (SELECT asked + interval '1 minute' AS at) latest
    CROSS JOIN LATERAL (SELECT greatest(CASE WHEN h.taken_at <= latest.at THEN h.taken_at END,
        CASE WHEN h.replied_at <= latest.at THEN h.replied_at END,
        (SELECT max(a.at) FROM public.audit a WHERE a.conversation_id = h.conversation_id AND a.action = 'view'
            AND a.at BETWEEN h.opened_at AND latest.at),
        (SELECT max(p.seen_at) FROM public.presence p WHERE p.conversation_id = h.conversation_id
            AND p.seen_at BETWEEN h.opened_at AND latest.at),
        (SELECT max(o.created_at) FROM public.outbox o WHERE o.conversation_id = h.conversation_id AND o.author = 'agent'
            AND o.created_at BETWEEN h.opened_at AND latest.at)) AS at) look
    CROSS JOIN LATERAL (SELECT CASE WHEN look.at IS NULL THEN h.opened_at ELSE
        (SELECT min(CASE WHEN e.received_at > look.at THEN e.received_at ELSE e.settled_at END) FROM public.events e
            LEFT JOIN public.outbox o ON o.id = e.outbox_id AND o.lane = 'emergency' AND o.status = 'failed'
            WHERE e.conversation_id = h.conversation_id AND (e.disposition = 'emergency' AND e.received_at > look.at
            OR (o.id IS NOT NULL OR e.reason = 'emergency_unsent' OR e.disposition = 'failed' AND starts_with(e.reason, 'unstorable'))
                AND e.settled_at > look.at)) END AS since) u
    WHERE h.closed_at IS NULL AND h.priority = 0 AND u.since <= before
$$;
"""

CONNECTED = f"""
-- From where a part is connected, one row a connection ("" is the database's own machine): PostgreSQL shows a session's name only
-- to who has that session's role, as the owner does.
CREATE FUNCTION connected(part text) RETURNS TABLE (address text) LANGUAGE sql STABLE {_OWNERS} $$
    SELECT coalesce(host(client_addr), '') FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'planton-' || part
$$;
"""

_SEALED = (
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
-- Whether anything sealed is stored: the first start asks, before it notes which key is the installation's.
CREATE FUNCTION sealed_anything() RETURNS boolean LANGUAGE sql STABLE {_OWNERS} $$ SELECT {_THERE} $$;
"""  # noqa: S608


def upgrade() -> None:
    """Add the functions; nobody but the owner may call them until the grants say so."""
    for section in (EXPIRE, ACCOUNTS, UNREAD, CONNECTED, SEALED):
        op.execute(section)
    for name in ("expire", "former_accounts", "forget_accounts", "unread_emergencies", "connected", "sealed_anything"):
        op.execute(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC")
