"""The statements by which webhooks are taken in, each for a whole batch; `bot.store.inbox` says which of them, and when.

All of them are sent with others (`bot.store.together`). The conversation of somebody new is written with its due time at
once: a row that is changed costs the database as much as a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.core.messages import Channel, Edit, Event, Message, Postback, Unsend, body_to_json
from bot.policy.degree import LISTENED
from bot.store import places
from bot.store.codec import Codec
from bot.store.conversations import BODY, BUNDLE, DANGER, LIVE, NEW

DEBOUNCE_RESETS = 4

Where = tuple[str, str, str]  # platform, account, person
Key = tuple[str, str, str]  # platform, account, event key

DELIVERIES = """
    INSERT INTO deliveries (id, received_at, raw) OVERRIDING SYSTEM VALUE
    SELECT i.id, i.at, i.raw
    FROM unnest(CAST(%(ids)s AS bigint[]), CAST(%(ats)s AS timestamptz[]), CAST(%(raws)s AS bytea[])) AS i(id, at, raw)
    RETURNING id
"""
NUMBERS = "SELECT nextval('deliveries_id_seq') AS id FROM generate_series(1, %(count)s)"
CONVERSATIONS = """
    INSERT INTO conversations AS c
        (platform, account, person, last_person_at, due_at, due_priority, wake, debounce_resets)
    SELECT i.platform, i.account, i.person, i.seen, i.due, i.priority, i.wake, i.wake
    FROM unnest(CAST(%(platforms)s AS text[]), CAST(%(accounts)s AS text[]), CAST(%(persons)s AS text[]),
                CAST(%(seen)s AS timestamptz[]), CAST(%(due)s AS timestamptz[]), CAST(%(priorities)s AS smallint[]),
                CAST(%(wake)s AS smallint[])) AS i(platform, account, person, seen, due, priority, wake)
    ON CONFLICT (platform, account, person) DO UPDATE SET wake = c.wake
    RETURNING id, platform, account, person, emergency_at, emergency_short_at, last_agent_at, standby,
        owner, debounce_resets, due_at, lease_until, c.xmax = 0 AS fresh
"""
# Column of events → its PostgreSQL type, in the order of insertion.
COLUMNS = {
    "delivery_id": "bigint",
    "conversation_id": "bigint",
    "platform": "text",
    "account": "text",
    "key": "text",
    "kind": "text",
    "channel": "text",
    "mid": "text",
    "target": "text",
    "at": "timestamptz",
    "received_at": "timestamptz",
    "body": "bytea",
}
_ROWS = f"""
    INSERT INTO events ({", ".join(COLUMNS)})
    SELECT * FROM unnest({", ".join(f"CAST(%({name})s AS {kind}[])" for name, kind in COLUMNS.items())})
"""  # noqa: S608 (names of ours)
EVENTS = _ROWS + "ON CONFLICT (platform, account, key) DO NOTHING RETURNING id, platform, account, key"
# The same, and what the search finds of them: where nothing can come between the two. It fails where one was stored before.
EVENTS_FOUND = f"""
    WITH e AS ({_ROWS} RETURNING id, conversation_id, platform, account, key, at),
    s AS (
        INSERT INTO search_documents (kind, ref, conversation_id, at, tokens)
        SELECT 'event', e.id, e.conversation_id, e.at, CAST(i.tokens AS bigint[])
        FROM unnest(CAST(%(platform)s AS text[]), CAST(%(account)s AS text[]), CAST(%(key)s AS text[]),
                    CAST(%(tokens)s AS text[])) AS i(platform, account, key, tokens)
        JOIN e ON e.platform = i.platform AND e.account = i.account AND e.key = i.key
        WHERE i.tokens IS NOT NULL)
    SELECT count(*) FROM e
"""  # noqa: S608
# (conversation, mid) of what was withdrawn before it came: webhooks are not in order. Each is looked up by itself (OFFSET 0): a
# plan made while nothing had been withdrawn would read all that is about another message.
WITHDRAWN = """
    SELECT w.id AS conversation_id, w.mid AS target
    FROM unnest(CAST(%(ids)s AS bigint[]), CAST(%(mids)s AS text[])) AS w(id, mid)
    WHERE EXISTS (
        SELECT FROM events e WHERE e.target = w.mid AND e.conversation_id = w.id AND e.kind = 'unsend' OFFSET 0)
"""
# The last words of conversations, oldest first, by Meta's time: what an outage held back comes late, and together. What a
# blocked person says is ignored, and yet read with what follows.
RECENT = f"""
    SELECT id, conversation_id, at, body, {places.event("events")} FROM events
    WHERE conversation_id = ANY(%(ids)s) AND kind IN ('text', 'edit', 'quick_reply') AND at > %(since)s
      AND (disposition IS NULL OR disposition NOT IN ('emergency', 'ignored') OR reason IN ('blocked', '{LISTENED}'))
    ORDER BY at, id
"""  # noqa: S608 (names of ours)
SNOOZED = """
    SELECT conversation_id FROM handoffs
    WHERE conversation_id = ANY(%(ids)s) AND closed_at IS NULL AND snoozed_until IS NOT NULL
"""
# By id alone: a plan made while nothing was pending would read all that is.
IGNORED = """
    UPDATE events e SET disposition = coalesce(e.disposition, 'ignored'), reason = coalesce(e.reason, i.reason),
        settled_at = coalesce(e.settled_at, %(now)s)
    FROM unnest(CAST(%(ids)s AS bigint[]), CAST(%(reasons)s AS text[])) AS i(id, reason)
    WHERE e.id = i.id
"""
SEEN = """
    UPDATE conversations c SET last_person_at = greatest(c.last_person_at, i.at)
    FROM unnest(CAST(%(ids)s AS bigint[]), CAST(%(ats)s AS timestamptz[])) AS i(id, at) WHERE c.id = i.id
"""
# People wrote: the window opens, and the conversation is looked at after the debounce, which starts anew a few times.
DUE = f"""
    UPDATE conversations c SET last_person_at = greatest(c.last_person_at, i.at), wake = wake + 1,
        due_at = CASE WHEN due_at IS NULL OR due_at > %(now)s AND debounce_resets < {DEBOUNCE_RESETS}
                      OR due_priority > {LIVE} THEN %(due)s ELSE due_at END,
        due_priority = least(due_priority, CASE WHEN c.id = ANY(%(suspects)s) THEN {DANGER}
                                                WHEN introduced_at IS NULL THEN {NEW} ELSE {LIVE} END),
        debounce_resets = least(debounce_resets + 1, 32000)
    FROM unnest(CAST(%(ids)s AS bigint[]), CAST(%(ats)s AS timestamptz[])) AS i(id, at) WHERE c.id = i.id
"""  # noqa: S608
# What was caught up with: after people who write now.
AFTER_OTHERS = f"""
    UPDATE conversations SET due_priority = {BUNDLE} WHERE id = ANY(%(ids)s) AND due_priority <> {DANGER}
"""  # noqa: S608
DUE_NOW = """
    UPDATE conversations SET wake = wake + 1, due_at = least(coalesce(due_at, %(now)s), %(now)s) WHERE id = ANY(%(ids)s)
"""


@dataclass(frozen=True)
class Opening:
    """How a conversation begins, if it is new: when the person spoke, when it is due, how pressing it looks. `due` None:
    nothing is known of that yet."""

    seen: datetime | None = None
    due: datetime | None = None
    suspect: bool = False


LATER = Opening()


def openings(events: Iterable[Event], due: datetime, suspect: Callable[[str], bool]) -> dict[Where, Opening]:
    """The conversations of these events, in the one order in which they are locked.

    The due time of a new one is known where all that came are messages: nothing that was stored before can concern them.
    `suspect`: whether words show a trace of danger.
    """
    found: dict[Where, Opening] = {}
    for event in events:
        where, body = where_of(event), event.body
        before = found.get(where)
        if not isinstance(body, (Message, Postback)) or before is LATER:
            found[where] = LATER
            continue
        traced = isinstance(body, Message) and suspect(body.text)
        if before is None or before.seen is None:
            found[where] = Opening(event.at, due, traced)
        else:
            found[where] = Opening(max(before.seen, event.at), due, traced or before.suspect)
    return dict(sorted(found.items(), key=lambda item: item[0]))


def conversation_values(opened: Mapping[Where, Opening]) -> dict[str, Any]:
    """The values of CONVERSATIONS."""
    ones = list(opened.values())
    return {
        "platforms": [where[0] for where in opened],
        "accounts": [where[1] for where in opened],
        "persons": [where[2] for where in opened],
        "seen": [one.seen for one in ones],
        "due": [one.due for one in ones],
        "priorities": [LIVE if one.due is None else DANGER if one.suspect else NEW for one in ones],
        "wake": [int(one.due is not None) for one in ones],
    }


def where_of(event: Event) -> Where:
    """Where an event belongs; its person may be nobody."""
    return event.platform.value, event.account, event.person or ""


def key_of(event: Event) -> Key:
    """What makes an event the same as another."""
    return event.platform.value, event.account, event.key


@dataclass(frozen=True)
class New:
    """An event to store: the row of its webhook, its conversation if it belongs to one, when it came."""

    event: Event
    delivery: int
    conversation: int | None
    received_at: datetime


def event_values(news: Iterable[New], codec: Codec) -> dict[str, list[Any]]:
    """The values of EVENTS."""
    lines = [
        (
            new.delivery,
            new.conversation,
            new.event.platform.value,
            new.event.account,
            new.event.key,
            new.event.kind,
            new.event.channel.value,
            new.event.mid,
            getattr(new.event.body, "target", None),
            new.event.at,
            new.received_at,
            codec.seal_json(body_to_json(new.event.body), BODY, new.conversation, *key_of(new.event)),
        )
        for new in news
    ]
    return {name: list(column) for name, column in zip(COLUMNS, zip(*lines, strict=True), strict=True)}


@dataclass(frozen=True)
class Earlier:
    """What the conversations of a batch may hold already that concerns it; asked for with its events.

    `ids`: those that may hold anything at all; `wanted`: (conversation, mid) of messages that may have been withdrawn;
    `since`: when the words begin that are read together with these, None: no words may be.
    """

    ids: list[int]
    wanted: list[tuple[int, str]]
    first: datetime
    last: datetime
    since: datetime | None


def earlier(news: Sequence[New], fresh: Set[int], message_id: Mapping[Key, str], joined: timedelta) -> Earlier | None:
    """What to ask; None where nobody of these was here before. `fresh`: conversations that began with this batch;
    `joined`: how far apart words are read together."""
    spoke: dict[int, int] = {}
    withdraws = any(isinstance(new.event.body, Unsend) for new in news)
    for new in news:
        if new.conversation is not None and isinstance(new.event.body, (Message, Postback, Edit)):
            spoke[new.conversation] = spoke.get(new.conversation, 0) + 1
    ids = {
        new.conversation
        for new in news
        if new.conversation is not None
        and (withdraws or new.conversation not in fresh or spoke.get(new.conversation, 0) > 1)
    }
    if not ids:
        return None
    mine = [new for new in news if new.conversation in ids]
    ats = [new.event.at for new in mine]
    words = [new.event.at for new in mine if new.conversation in spoke]
    wanted = [
        (new.conversation, message_id[key_of(new.event)])
        for new in mine
        if new.conversation is not None and key_of(new.event) in message_id
    ]
    return Earlier(sorted(ids), wanted, min(ats), max(ats), min(words) - joined if words else None)


def plain(events: Iterable[Event]) -> bool:
    """Whether these are ordinary messages, one a person and each once: with nobody of them known from before, nothing is left
    to decide."""
    people: set[Where] = set()
    keys: set[Key] = set()
    for event in events:
        where, key = where_of(event), key_of(event)
        if event.channel is Channel.CHANGES or not isinstance(event.body, (Message, Postback)):
            return False
        if where in people or key in keys:
            return False
        people.add(where)
        keys.add(key)
    return True
