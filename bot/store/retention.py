"""What goes when a conversation goes: the one place that knows every table where something of a person stands.

`TABLES` names each of them with what becomes of it; a test compares it with the schema, so that a new table with something
of a person is not forgotten. Everything here runs in the caller's transaction, which has locked the conversations' rows.

Callers: the purge (`bot.store.purge`), a person's right to be erased, a message that its author withdrew (`withdraw`).
"""

# ruff: noqa: S608
# (Statements are put together from our own parts; values are bound.)

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.errors import Explained
from bot.store.codec import Codec

Counts = Counter[str]  # table → rows that went or were emptied

# Where something of a citizen stands → what becomes of it when the conversation is erased.
TABLES: Mapping[str, str] = {
    "deliveries": "erased: raw bodies, those of others that came in the same webhook included",
    "events": "erased",
    "outbox": "erased",
    "handoffs": "erased; pseudonymised: without fields",
    "alarms": "erased with the messages that raised them",
    "search_documents": "erased",
    "readings": "erased",
    "likenesses": "erased",
    "caught": "erased",
    "message_groups": "the sketch of the message that stood for the group is emptied",
    "group_members": "erased",
    "drafts": "erased",
    "notes": "erased",
    "submissions": "erased; pseudonymised: without text",
    "validations": "erased; pseudonymised: without text",
    "satisfaction": "erased; pseudonymised: kept, a thumb has no words",
    "blocks": "erased",
    "presence": "erased",
    "corrections": "numbers of the messages an example came from are taken out",
    "stories_made": "no longer tells which conversation it was made of",
    "legal_holds": "erased, once lifted",
    "conversations": "erased; pseudonymised: without person, name and dialogue",
}
# The rest, with why nothing has to go there.
WITHOUT_PERSON: Mapping[str, str] = {
    "accounts": "our pages; what Meta told them",
    "alerts": "what is wrong with the service; our words, numbers of things",
    "audit": "numbers of conversations; never words (its own limit applies)",
    "canned_replies": "ours",
    "clocks": "processes; how far their machines’ clocks are apart",
    "crises": "ours",
    "deadlines": "ours",
    "deletions": "counts",
    "erased_messages": "keyed prints of what a person had erased; thirty days",
    "facts": "about the installation",
    "login_failures": "accounts of the console",
    "meta_flow": "our pages; how far one caught up",
    "meta_tokens": "our pages; when their tokens end",
    "login_links": "accounts of the console",
    "oidc_identities": "accounts of the console",
    "oidc_logins": "accounts of the console",
    "page_tokens": "our pages; which token Meta takes, never the token",
    "proposals": "models",
    "publications": "models",
    "reading_days": "counts",
    "reading_days_until": "counts",
    "reading_decisions": "what a trainer decided, by intent",
    "recovery_codes": "accounts of the console",
    "refused_values": "places of sealed values that did not belong there: numbers and ids, never words; ninety days",
    "reloads": "processes",
    "reply_changes": "ours",
    "secret_uses": "which of two secrets is still in use; 32 bits of a hash",
    "second_factors": "accounts of the console",
    "sessions": "accounts of the console",
    "team_members": "accounts of the console",
    "teams": "accounts of the console",
    "trainings": "models; messages by number",
    "users": "accounts of the console",
    "validation_rules": "ours",
    "volume_days": "counts",
    "volume_hours": "counts",
    "volumes": "counts",
    "alembic_version": "the schema",
}


class Held(Explained):
    """A legal hold stands on one of these conversations."""

    def __init__(self) -> None:
        super().__init__(
            "Cette conversation est sous conservation légale\u00a0: rien n’en a été effacé.",
            "Levez d’abord la conservation sur la page de la conversation.",
        )


@dataclass(frozen=True)
class _Part:
    """What goes: everything of these conversations, or (`before`) what is older, at most `most` events and messages."""

    ids: Sequence[int]
    events: Sequence[int]
    deliveries: Sequence[int]
    outbox: Sequence[int]
    before: datetime | None = None

    @property
    def values(self) -> dict[str, Any]:
        """For statements."""
        return {
            "ids": list(self.ids),
            "events": list(self.events),
            "deliveries": list(self.deliveries),
            "outbox": list(self.outbox),
            "before": self.before,
        }


# A held conversation keeps its raw bodies, whoever else stands in them.
HELD_DELIVERIES = """
    SELECT d.id FROM legal_holds l JOIN events e ON e.conversation_id = l.conversation_id
    CROSS JOIN LATERAL unnest(array_append(e.again, e.delivery_id)) AS d(id)
    WHERE l.lifted_at IS NULL AND d.id IS NOT NULL
"""
_STANDING = text("SELECT EXISTS (SELECT FROM legal_holds WHERE conversation_id = ANY(:ids) AND lifted_at IS NULL)")
_EVENTS = text("""
    SELECT id, delivery_id, again FROM events
    WHERE conversation_id = ANY(:ids) AND (CAST(:before AS timestamptz) IS NULL OR received_at < :before)
    ORDER BY id LIMIT :most
""")
_OUTBOX = text("""
    SELECT id FROM outbox
    WHERE conversation_id = ANY(:ids) AND (CAST(:before AS timestamptz) IS NULL OR created_at < :before)
    ORDER BY id LIMIT :most
""")
# The hours whose figures could no longer be counted from the tables keep those they have.
_KEEP_HOURS = text("""
    UPDATE volume_hours v SET kept = true,
        again_at = CASE WHEN v.hour >= (SELECT max(hour) FROM volume_hours) - interval '8 days' THEN v.again_at END
    FROM (SELECT DISTINCT date_bin('1 hour', t.at, TIMESTAMPTZ 'epoch') AS hour FROM (
        SELECT received_at AS at FROM events WHERE id = ANY(:events)
        UNION ALL SELECT created_at FROM outbox WHERE id = ANY(:outbox)
        UNION ALL SELECT m.at FROM handoffs h
            CROSS JOIN LATERAL unnest(ARRAY[h.opened_at, h.taken_at, h.replied_at, h.due_at, h.closed_at]) AS m(at)
            WHERE h.conversation_id = ANY(:ids) AND (CAST(:before AS timestamptz) IS NULL OR h.closed_at < :before)
        UNION ALL SELECT m.at FROM alarms a CROSS JOIN LATERAL unnest(ARRAY[a.at, a.verdict_at]) AS m(at)
            WHERE a.conversation_id = ANY(:ids) AND (a.events && CAST(:events AS bigint[])
                OR CAST(:before AS timestamptz) IS NULL OR a.at < :before)
        UNION ALL SELECT m.at FROM satisfaction s CROSS JOIN LATERAL unnest(ARRAY[s.asked_at, s.answered_at]) AS m(at)
            WHERE s.conversation_id = ANY(:ids) AND (CAST(:before AS timestamptz) IS NULL OR s.asked_at < :before)
    ) t WHERE t.at IS NOT NULL) gone
    WHERE v.hour = gone.hour AND NOT v.kept
""")

_OLD = "(CAST(:before AS timestamptz) IS NULL OR {column} < :before)"
_OF = "conversation_id = ANY(:ids)"
# In this order: what looks up others before what is looked up.
_MESSAGES = (
    ("deliveries", f"DELETE FROM deliveries WHERE id = ANY(:deliveries) AND id NOT IN ({HELD_DELIVERIES})"),
    (
        "corrections",
        """UPDATE corrections SET events = ARRAY(SELECT e FROM unnest(events) AS e WHERE e <> ALL(:events))
            WHERE events && CAST(:events AS bigint[])""",
    ),
    ("message_groups", "UPDATE message_groups SET bands = '{}' WHERE sample_id = ANY(:events) AND bands <> '{}'"),
    (
        "search_documents",
        """DELETE FROM search_documents WHERE kind = 'event' AND ref = ANY(:events)
            OR kind = 'outbox' AND ref = ANY(:outbox)""",
    ),
    (
        "readings",
        f"""DELETE FROM readings WHERE {_OF}
            AND (event_id = ANY(:events) OR also && CAST(:events AS bigint[]))""",
    ),
    ("alarms", f"DELETE FROM alarms WHERE {_OF} AND events && CAST(:events AS bigint[])"),
    ("caught", "DELETE FROM caught WHERE event_id = ANY(:events)"),
    ("likenesses", f"DELETE FROM likenesses WHERE {_OF} AND event_id = ANY(:events)"),
    ("events", "DELETE FROM events WHERE id = ANY(:events)"),
    ("outbox", "DELETE FROM outbox WHERE id = ANY(:outbox)"),
)
_BESIDES = (
    ("alarms", f"DELETE FROM alarms WHERE {_OF} AND {_OLD.format(column='at')}"),  # those that name no message
    ("search_documents", f"DELETE FROM search_documents WHERE {_OF} AND CAST(:before AS timestamptz) IS NULL"),
    (
        "group_members",
        f"""DELETE FROM group_members WHERE {_OF} AND {_OLD.format(column="joined_at")}
            AND (CAST(:before AS timestamptz) IS NULL OR status NOT IN ('waiting', 'held', 'queued', 'withdrawn'))""",
    ),
    ("drafts", f"DELETE FROM drafts WHERE {_OF} AND {_OLD.format(column='updated_at')}"),
    ("notes", f"DELETE FROM notes WHERE {_OF} AND {_OLD.format(column='at')}"),
    ("blocks", f"DELETE FROM blocks WHERE {_OF} AND {_OLD.format(column='lifted_at')}"),
    ("presence", f"DELETE FROM presence WHERE {_OF} AND CAST(:before AS timestamptz) IS NULL"),
    (
        "stories_made",
        f"UPDATE stories_made SET conversation_id = NULL WHERE {_OF} AND {_OLD.format(column='at')}",
    ),
    ("legal_holds", f"DELETE FROM legal_holds WHERE {_OF} AND {_OLD.format(column='lifted_at')}"),
)
_REQUESTS = (
    (
        "validations",
        f"""DELETE FROM validations WHERE submission_id IN (
            SELECT id FROM submissions WHERE {_OF} AND {_OLD.format(column="created_at")})""",
    ),
    ("submissions", f"DELETE FROM submissions WHERE {_OF} AND {_OLD.format(column='created_at')}"),
    (
        "satisfaction",
        f"""DELETE FROM satisfaction WHERE handoff_id IN (
            SELECT id FROM handoffs WHERE {_OF} AND {_OLD.format(column="closed_at")})""",
    ),
    ("handoffs", f"DELETE FROM handoffs WHERE {_OF} AND {_OLD.format(column='closed_at')}"),
)
_EMPTIED = (
    (
        "validations",
        f"""UPDATE validations SET before = NULL, word = NULL WHERE (before IS NOT NULL OR word IS NOT NULL)
            AND submission_id IN (SELECT id FROM submissions WHERE {_OF})""",
    ),
    (
        "submissions",
        """UPDATE submissions SET body = i.empty
            FROM unnest(CAST(:submissions AS bigint[]), CAST(:empty AS bytea[])) AS i(number, empty) WHERE id = i.number""",
    ),
    ("handoffs", f"UPDATE handoffs SET slots = NULL WHERE {_OF} AND slots IS NOT NULL"),
    # The new name of the person is drawn by lot: nothing leads back, with or without a key.
    (
        "conversations",
        """UPDATE conversations SET person = 'efface:' || gen_random_uuid(), profile = NULL, profile_at = :now, state = NULL,
                erased_at = :now, last_person_at = NULL, last_agent_at = NULL, introduced_at = NULL, night = NULL,
                standby = false, owner_version = owner_version + 1
            WHERE id = ANY(:ids)""",
    ),
)
# What was noted about an old danger, and a dialogue that nobody went on with.
_FORGET_OLD = """UPDATE conversations SET emergency_at = CASE WHEN emergency_at >= :before THEN emergency_at END,
        emergency_kind = CASE WHEN emergency_at >= :before THEN emergency_kind END,
        emergency_script = CASE WHEN emergency_at >= :before THEN emergency_script END,
        emergency_short_at = CASE WHEN emergency_short_at >= :before THEN emergency_short_at END,
        state = CASE WHEN last_person_at >= :before THEN state END
    WHERE id = ANY(:ids) AND (emergency_at < :before OR emergency_short_at < :before
        OR state IS NOT NULL AND last_person_at < :before)"""

_ALL = 2**31 - 1


async def erase_conversation(connection: AsyncConnection, conversation_id: int) -> Counts:
    """Erase a conversation and everything that stands of it anywhere; what went, by table.

    It asks nothing but the legal hold: whether somebody is at it is the caller's matter. Raises Held.
    """
    return await erase(connection, [conversation_id])


async def erase(connection: AsyncConnection, ids: Collection[int]) -> Counts:
    """As `erase_conversation`, for several."""
    part = await _part(connection, ids, None, _ALL)
    counts = await _run(connection, part, (*_MESSAGES, *_BESIDES, *_REQUESTS))
    counts["conversations"] = (
        await connection.execute(text("DELETE FROM conversations WHERE id = ANY(:ids)"), part.values)
    ).rowcount
    return +counts


async def pseudonymise(connection: AsyncConnection, codec: Codec, ids: Collection[int], now: datetime) -> Counts:
    """Erase words, fields, name and person; who dealt with the request, and when, stays. Raises Held."""
    part = await _part(connection, ids, None, _ALL)
    found = text(f"SELECT id, conversation_id FROM submissions WHERE {_OF} FOR UPDATE")
    rows = (await connection.execute(found, {"ids": list(ids)})).all()
    more = {
        "submissions": [row.id for row in rows],
        "empty": [codec.seal_json("", "submissions.body", row.conversation_id, row.id) for row in rows],
    }
    return +await _run(connection, part, (*_MESSAGES, *_BESIDES, *_EMPTIED), **more, now=now)


async def trim(connection: AsyncConnection, ids: Collection[int], before: datetime, most: int) -> Counts:
    """Erase what is older than `before` in conversations that go on, at most `most` events and messages. Raises Held."""
    part = await _part(connection, ids, before, most)
    return +await _run(connection, part, (*_MESSAGES, *_BESIDES, *_REQUESTS, ("conversations", _FORGET_OLD)))


async def thin(connection: AsyncConnection, ids: Collection[int], most: int) -> Counts:
    """Erase the first `most` events and messages of conversations that will go, so that no transaction is long. Raises Held."""
    part = await _part(connection, ids, None, most)
    return +await _run(connection, part, _MESSAGES)


async def _part(connection: AsyncConnection, ids: Collection[int], before: datetime | None, most: int) -> _Part:
    if await connection.scalar(_STANDING, {"ids": list(ids)}):
        raise Held
    asked = {"ids": list(ids), "before": before, "most": most}
    rows = (await connection.execute(_EVENTS, asked)).all()
    deliveries = {one for row in rows for one in (row.delivery_id, *(row.again or ())) if one is not None}
    outbox = [row.id for row in await connection.execute(_OUTBOX, asked)]
    return _Part(list(ids), [row.id for row in rows], sorted(deliveries), outbox, before)


async def _run(connection: AsyncConnection, part: _Part, steps: Sequence[tuple[str, str]], **more: Any) -> Counts:
    await connection.execute(_KEEP_HOURS, part.values)
    counts: Counts = Counter()
    for table, statement in steps:
        done = await connection.execute(text(statement), {**part.values, **more})
        counts[table] += done.rowcount
    return counts
