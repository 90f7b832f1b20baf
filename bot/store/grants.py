"""Which PostgreSQL role may do what: a role for each part, with what its code needs and nothing else.

The owner (`planton`, or whoever owns the database) migrates and grants; every part runs under a role of its own, which owns
nothing, creates nothing and is no superuser. `bot.store.granting` applies this table after each migration,
docs/roles-postgresql.md is made of it (python -m scripts.roles --write), and a test tries every cell that is not granted.

A new table or column is nobody's until a line here names it. A grant is written as in SQL: a verb, and columns where not all of
them are meant. Whoever locks rows (FOR UPDATE) needs to be allowed to change one column of them.
"""

from __future__ import annotations

from collections.abc import Mapping

PARTS = ("gateway", "worker", "sender", "console", "trainer", "monitor", "backup")
READS_ALL = ("backup",)  # pg_dump: every table and sequence, those to come included
OWNERS: tuple[str, ...] = ()  # tables that no part uses


def role_of(part: str) -> str:
    """The name of a part's role. One server may hold several installations: its roles are the same, its grants are not."""
    return f"planton_{part}"


# What every part needs at its start: whether the schema is its own, whether DATA_KEY is the installation's.
# `clocks`: each tells how far its machine's is from PostgreSQL's, and forgets what nobody tells any more.
_STARTS = {"alembic_version": "SELECT", "clocks": "SELECT, INSERT, UPDATE (skew, at), DELETE"}
_KEYED = {
    **_STARTS,
    "facts": "SELECT, INSERT, UPDATE (value)",
    "refused_values": "SELECT, INSERT, UPDATE (last_at, times), DELETE",  # sealed values that were not in their place
}
_FOLLOWS = {"publications": "SELECT", "reloads": "SELECT, INSERT, UPDATE (at, model, fault)"}  # what is published

# Who takes in what people write, by webhooks or by catching up: the same statements (`bot.store.intake`, `bot.store.inbox`).
_WAKES = "category, debounce_resets, due_at, due_priority, last_person_at, lease, lease_until, owner, owner_version, state, wake"
_TELLS = "emergency_at, emergency_kind, emergency_script, emergency_short_at"
_TAKES_IN = {
    "alarms": (  # what was said of them is not read there
        "SELECT (conversation_id, events), "
        "INSERT (id, conversation_id, handoff_id, platform, events, at, kind, degree, detector, entry, evidence, stood), "
        "UPDATE (entry, evidence)"
    ),
    "audit": "INSERT",  # a message wakes a request that sleeps
    "caught": "SELECT",
    "conversations": (
        "SELECT (id, platform, account, person, due_at, due_priority, wake, debounce_resets, lease, lease_until, owner, "
        "owner_version, "
        "category, standby, last_person_at, last_agent_at, introduced_at, emergency_at, emergency_kind, "
        "emergency_script, emergency_short_at, "
        "state, xmax), "
        "INSERT (platform, account, person, last_person_at, due_at, due_priority, wake, debounce_resets), "
        f"UPDATE ({_WAKES}, {_TELLS}, standby)"
    ),
    "deadlines": "SELECT (priority, within)",
    "deliveries": "SELECT (id, raw), INSERT (id, received_at, raw), UPDATE (raw), DELETE",
    "erased_messages": "SELECT (print, at, until)",
    "events": (
        "SELECT (id, delivery_id, conversation_id, platform, account, key, kind, mid, target, at, received_at, body, "
        "disposition, reason, "
        "settled_at, outbox_id, entities, again), "
        "INSERT (delivery_id, conversation_id, platform, account, key, kind, channel, mid, target, at, "
        "received_at, body, disposition, "
        "reason, settled_at), "
        "UPDATE (again, body, confidence, disposition, entities, intent, kind, mid, nearest, nearest_chance, offers, outbox_id, "
        "question, reason, route, settled_at, waiting)"
    ),
    "handoffs": (
        "SELECT (id, conversation_id, category, priority, intent, reason, slots, opened_at, raised_at, taken_at, closed_at, "
        "due_at, "
        "alerted_at, snoozed_until), "
        "INSERT (id, conversation_id, platform, category, priority, intent, reason, old, opened_at, raised_at, due_at, slots), "
        "UPDATE (category, priority, intent, reason, old, slots, raised_at, due_at, alerted_at, snoozed_until)"
    ),
    "legal_holds": "SELECT (conversation_id, lifted_at)",
    "likenesses": "SELECT (event_id, conversation_id), DELETE",
    "message_groups": "SELECT (sample_id, bands), UPDATE (bands)",  # of what a person takes back, nothing stays
    "readings": "SELECT (event_id, also, conversation_id, decision_id), DELETE",
    "search_documents": "SELECT (kind, ref, at, tokens), INSERT (kind, ref, conversation_id, at, tokens), UPDATE (at, tokens), "
    "DELETE",
}
# An emergency's reply is written where its message is taken in; the words of others are not read there.
_OUTBOX_EDGE = (
    "SELECT (id, conversation_id, lane, author, status, priority, owner_version, due_at, lease_until, mids, echoes, sent_at, "
    "delivered_at, read_at, dedup, account), "
    "INSERT (id, conversation_id, lane, author, user_id, message, priority, owner_version, created_at, due_at, dedup, account), "
    "UPDATE (delivered_at, echoes, error_slug, owner_version, read_at, status)"
)

GATEWAY: Mapping[str, str] = {
    **_KEYED,
    **_FOLLOWS,
    **_TAKES_IN,
    "accounts": "SELECT (account, stopped_at, paused_until), INSERT (account, notice), UPDATE (notice)",
    "meta_flow": "SELECT (account, platform, webhook_at), INSERT (account, platform, webhook_at), UPDATE (webhook_at)",
    "outbox": _OUTBOX_EDGE,
    "secret_uses": "SELECT, INSERT, UPDATE (print, since, last_at), DELETE",
}
SENDER: Mapping[str, str] = {
    **_KEYED,
    **_FOLLOWS,
    **_TAKES_IN,
    "accounts": "SELECT, INSERT, UPDATE",
    "caught": "SELECT, INSERT, UPDATE (twin), DELETE",
    "meta_flow": "SELECT, INSERT, UPDATE",
    "meta_tokens": "SELECT, INSERT, UPDATE, DELETE",
    "outbox": (
        "SELECT, INSERT, UPDATE (message, status, due_at, lease, lease_until, attempts, parts_sent, mids, echoes, maybe_sent, "
        "sent_at, "
        "delivered_at, read_at, error_slug, error_remedy, owner_version, account)"
    ),
    "page_tokens": "SELECT, INSERT, UPDATE, DELETE",
    "secret_uses": "SELECT, INSERT, UPDATE (print, since, last_at), DELETE",
}
WORKER: Mapping[str, str] = {
    **_KEYED,
    **_FOLLOWS,
    "alarms": "SELECT, INSERT, UPDATE (entry, evidence), DELETE",
    "accounts": "SELECT, INSERT, UPDATE (notice)",
    "audit": "INSERT",
    "blocks": "SELECT, DELETE",
    "caught": "SELECT, DELETE",
    "conversations": (
        "SELECT, UPDATE (account, attempts, category, created_at, debounce_resets, due_at, due_priority, emergency_at, "
        "emergency_kind, emergency_script, "
        "emergency_short_at, engine_away_since, engine_told_at, erased_at, introduced_at, last_agent_at, last_person_at, lease, "
        "lease_until, night, owner, owner_until, owner_version, person, profile, profile_at, standby, state, wake, agent_id), "
        "DELETE"
    ),
    "corrections": "SELECT (id, events), UPDATE (events)",
    "crises": "SELECT",
    "deadlines": "SELECT",
    "deletions": "SELECT, INSERT",
    "deliveries": "SELECT, UPDATE (raw), DELETE",
    "drafts": "SELECT, DELETE",
    "erased_messages": "SELECT, UPDATE (until), DELETE",
    "events": (
        "SELECT, UPDATE (body, channel, confidence, disposition, entities, intent, nearest, nearest_chance, offers, outbox_id, "
        "question, reason, route, settled_at, target, waiting, conversation_id), DELETE"
    ),
    "group_members": "SELECT, DELETE",
    "handoffs": (
        "SELECT, INSERT, UPDATE (category, priority, intent, reason, slots, raised_at, due_at, alerted_at, snoozed_until), DELETE"
    ),
    "legal_holds": "SELECT, DELETE",
    "likenesses": "SELECT, INSERT, UPDATE, DELETE",
    "message_groups": "SELECT, UPDATE (bands, sample_id)",
    "notes": "SELECT, UPDATE (body), DELETE",
    "outbox": (
        "SELECT, INSERT, UPDATE (message, status, error_slug, error_remedy, due_at, priority, lease_until, owner_version, "
        "dedup), DELETE"
    ),
    "presence": "SELECT, DELETE",
    "reading_days": "SELECT, INSERT, UPDATE, DELETE",
    "reading_days_until": "SELECT, INSERT, UPDATE, DELETE",
    "readings": "SELECT, INSERT, UPDATE, DELETE",
    "satisfaction": "SELECT, INSERT, UPDATE (answer, answered_at), DELETE",
    "search_documents": "SELECT, INSERT, UPDATE, DELETE",
    "stories_made": "SELECT, UPDATE (conversation_id)",
    "submissions": "SELECT, UPDATE (body), DELETE",
    "validations": "SELECT, UPDATE (before, word), DELETE",
    "volume_days": "SELECT, INSERT, UPDATE, DELETE",
    "volume_hours": "SELECT, INSERT, UPDATE, DELETE",
    "volumes": "SELECT, INSERT, UPDATE, DELETE",
}
CONSOLE: Mapping[str, str] = {
    **_KEYED,
    **_FOLLOWS,
    "accounts": "SELECT",
    "alarms": "SELECT, INSERT, UPDATE (verdict, verdict_at, verdict_by)",
    "alerts": "SELECT",
    "audit": "SELECT, INSERT",
    "blocks": "SELECT, INSERT, UPDATE (lifted_at, lifted_by)",
    "canned_replies": "SELECT, INSERT, UPDATE, DELETE",
    "caught": "SELECT",
    "conversations": (
        "SELECT, UPDATE (agent_id, category, due_at, due_priority, emergency_at, emergency_kind, emergency_script, "
        "emergency_short_at, last_agent_at, owner, owner_until, owner_version, state, wake)"
    ),
    "corrections": "SELECT, INSERT, UPDATE",
    "crises": "SELECT, INSERT, UPDATE",  # as a whole: LOCK TABLE asks for it
    "deadlines": "SELECT, INSERT, UPDATE",
    "deletions": "SELECT",
    "drafts": "SELECT, INSERT, UPDATE, DELETE",
    "events": "SELECT, UPDATE (disposition, reason, settled_at, waiting)",
    "group_members": "SELECT, INSERT, UPDATE, DELETE",
    "handoffs": "SELECT, INSERT, UPDATE",
    "legal_holds": "SELECT, INSERT, UPDATE (lifted_at, lifted_by)",
    "likenesses": "SELECT, INSERT, UPDATE, DELETE",
    "login_failures": "SELECT, INSERT, DELETE",
    "login_links": "SELECT, INSERT, UPDATE, DELETE",
    "message_groups": "SELECT, INSERT, UPDATE",
    "meta_flow": "SELECT",
    "meta_tokens": "SELECT",
    "notes": "SELECT, INSERT",
    "oidc_identities": "SELECT, INSERT, UPDATE, DELETE",
    "oidc_logins": "SELECT, INSERT, DELETE",
    "outbox": "SELECT, INSERT, UPDATE (dedup, error_slug, error_remedy, owner_version, status)",
    "presence": "SELECT, INSERT, UPDATE, DELETE",
    "proposals": "SELECT, INSERT, UPDATE",
    "publications": "SELECT, INSERT, UPDATE",
    "reading_days": "SELECT",
    "reading_days_until": "SELECT",
    "reading_decisions": "SELECT, INSERT, UPDATE",
    "readings": "SELECT, UPDATE",
    "recovery_codes": "SELECT, INSERT, UPDATE, DELETE",
    "reply_changes": "SELECT, INSERT, UPDATE",
    "satisfaction": "SELECT, INSERT, UPDATE (answer, answered_at)",
    "search_documents": "SELECT, INSERT, UPDATE, DELETE",
    "second_factors": "SELECT, INSERT, UPDATE, DELETE",
    "sessions": "SELECT, INSERT, UPDATE, DELETE",
    "stories_made": "SELECT, INSERT, UPDATE",
    "submissions": "SELECT, INSERT, UPDATE",
    "team_members": "SELECT, INSERT, DELETE",
    "teams": "SELECT, INSERT, UPDATE",
    "trainings": "SELECT, INSERT, UPDATE",
    "users": "SELECT, INSERT, UPDATE",
    "validation_rules": "SELECT, INSERT, UPDATE",
    "validations": "SELECT, INSERT",
    "volume_days": "SELECT",
    "volume_hours": "SELECT",
    "volumes": "SELECT",
}
TRAINER: Mapping[str, str] = {
    **_KEYED,
    "audit": "INSERT",
    "proposals": "SELECT (id, user_id, decided_by, model, previous, state)",  # whoever publishes decides on none
    "publications": (
        "SELECT, UPDATE (commit_id, failure, finished_at, previous, remedy, started_at, state, step, undone_by, warning)"
    ),
    "reading_decisions": "SELECT (id, at, kind, intent, undone_at)",  # confirmed messages, against which a candidate is measured
    "readings": "SELECT (event_id, words, decision_id, read_at, at)",
    "reloads": "SELECT",
    "trainings": "SELECT, UPDATE",
}
MONITOR: Mapping[str, str] = {
    **_STARTS,
    "accounts": "SELECT",
    "refused_values": "SELECT",
    "alerts": "SELECT, INSERT, UPDATE, DELETE",
    "conversations": "SELECT (id, platform, account, due_at, due_priority, lease_until, created_at, engine_away_since)",
    "events": "SELECT (id, conversation_id, platform, kind, at, received_at, disposition, reason, waiting, outbox_id)",
    "meta_flow": "SELECT",
    "meta_tokens": "SELECT",
    "outbox": "SELECT (id, conversation_id, lane, status, due_at, created_at, sent_at, lease_until, error_slug, error_remedy, "
    "author)",
    "page_tokens": "SELECT",
    "publications": "SELECT (id, state, failure, remedy, finished_at)",
    "reloads": "SELECT",
    "secret_uses": "SELECT",
    "volume_hours": "SELECT",
    "volumes": "SELECT",
}

TABLES: Mapping[str, Mapping[str, str]] = {
    "gateway": GATEWAY,
    "worker": WORKER,
    "sender": SENDER,
    "console": CONSOLE,
    "trainer": TRAINER,
    "monitor": MONITOR,
}
# Sequences that code asks for a number; identity columns take theirs without any right.
SEQUENCES: Mapping[str, tuple[str, ...]] = {
    "alarms_id_seq": ("gateway", "worker", "sender", "console"),
    "deliveries_id_seq": ("gateway", "sender"),
    "handoffs_id_seq": ("gateway", "worker", "sender", "console"),
    "legal_holds_id_seq": ("console",),
    "notes_id_seq": ("console",),
    "outbox_id_seq": ("gateway", "worker", "sender", "console"),
    "submissions_id_seq": ("console",),
}
# Of a function that is not named here, only the owner knows. Those of triggers ask nobody.
FUNCTIONS: Mapping[str, tuple[str, ...]] = {
    "claim_emergencies": ("sender",),
    "claim_replies": ("sender",),
    "connected": ("monitor",),
    "deletions_digest": ("worker", "console"),
    "expire": ("worker",),
    "forget_accounts": ("worker",),
    "sealed_anything": ("gateway", "worker", "sender", "console", "trainer"),
    "resealing": ("gateway", "worker", "sender", "console"),  # asked by triggers
    "unread_emergencies": ("gateway", "monitor"),
    "what_follows": ("sender",),
    "write_receipts": ("sender",),
}
