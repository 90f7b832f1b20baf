"""The outcome of a turn as one statement: the fence, replies with their search index, dispositions, readings.

All of it hangs on the fence: where another worker has the conversation, or its owner changed, no row of it is written.
The statement sees the database as it was when it began. What may have changed while it waited for the conversation's row is
read from that row itself or from rows that it updates (PostgreSQL looks at those again): a message withdrawn meanwhile keeps
its fate, and gets no reading. What cannot be told that way (hand-offs) is done by further statements in a transaction
(`Conversations.finish`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import TextClause, text

from bot.core.dialogue import Understanding
from bot.policy.search import stems
from bot.store import handoffs, outbox, rows, search
from bot.store import understanding as understandings
from bot.store.codec import Codec
from bot.store.workbench import readings

if TYPE_CHECKING:
    from bot.store.conversations import Conversation, Finish, OutgoingReply

# What a turn may set in its conversation.
_SETS = {
    "category": "text",
    "engine_away_since": "timestamptz",
    "engine_told_at": "timestamptz",
    "introduced_at": "timestamptz",
    "last_agent_at": "timestamptz",
    "night": "date",
    "owner": "text",
    "owner_until": "timestamptz",
    "owner_version": "integer",
    "state": "bytea",
}
# What came in meanwhile (wake moved) keeps the due time that the gateway gave it, if that is earlier.
_FENCE = """
    fenced AS (
        UPDATE conversations c SET {sets} {waits} lease = c.lease + 1, lease_until = NULL, attempts = least(:attempts, 32000),
            debounce_resets = CASE WHEN c.wake = CAST(:wake AS bigint) THEN 0 ELSE c.debounce_resets END,
            due_at = CASE WHEN c.wake = CAST(:wake AS bigint) THEN CAST(:next AS timestamptz)
                          ELSE least(c.due_at, coalesce(CAST(:next AS timestamptz), c.due_at)) END,
            due_priority = CASE WHEN c.wake = CAST(:wake AS bigint) THEN CAST(:priority AS smallint)
                                ELSE least(c.due_priority, CAST(:priority AS smallint)) END
        WHERE c.id = CAST(:id AS bigint) AND c.lease = CAST(:lease AS bigint) AND c.owner_version = CAST(:version AS integer)
            {alone}
        RETURNING c.id, c.platform, c.account, c.due_at)"""
_WAITS = """category = CAST(:handoff_category AS text),
            owner = CASE WHEN c.owner IN ('agent', 'inbox') THEN c.owner ELSE 'waiting' END,"""
_HAND = f""",
    opened AS ({handoffs.OPEN.format(source="fenced c")})"""
_ALONE = "AND NOT EXISTS (SELECT FROM handoffs h WHERE h.conversation_id = c.id AND h.closed_at IS NULL)"

_SAID = {
    "n": "bigint",  # from 1, in order
    "id": "bigint",
    "author": "text",
    "message": "bytea",
    "urgency": "smallint",
    "bound": "integer",
    "dedup": "text",
    "tokens": "bigint[]",
}
_SAY = """,
    said AS MATERIALIZED (
        SELECT i.* FROM fenced CROSS JOIN {rows} ORDER BY i.n),
    queued AS (
        INSERT INTO outbox (id, conversation_id, account, lane, author, message, priority, owner_version, created_at, due_at,
            dedup) OVERRIDING SYSTEM VALUE
        SELECT s.id, f.id, f.account, 'reply', s.author, s.message, s.urgency, s.bound, CAST(:now AS timestamptz),
            CAST(:now AS timestamptz), s.dedup
        FROM said s CROSS JOIN fenced f ORDER BY s.n
        ON CONFLICT (conversation_id, dedup) DO NOTHING RETURNING id),
    findable AS (
        INSERT INTO search_documents (kind, ref, conversation_id, at, tokens)
        SELECT 'outbox', s.id, CAST(:id AS bigint), CAST(:now AS timestamptz), s.tokens
        FROM said s JOIN queued q ON q.id = s.id WHERE s.tokens IS NOT NULL
        ON CONFLICT (kind, ref) DO UPDATE SET at = excluded.at, tokens = excluded.tokens)"""

_FATE = {
    "event": "bigint",
    "disposition": "text",  # NULL: it goes on waiting
    "reason": "text",
    "reply": "bigint",  # its number among what is said
    "route": "text",
    "waiting": "text",
    "intent": "text",
    "confidence": "real",
    "entities": "bytea",
    "nearest": "text",
    "nearest_chance": "real",
    "question": "text",
    "offers": "text[]",
}
_SETTLE = """,
    settled AS (
        UPDATE events e SET disposition = i.disposition,
            reason = CASE WHEN i.disposition IS NULL THEN e.reason ELSE i.reason END,
            settled_at = CASE WHEN i.disposition IS NULL THEN e.settled_at ELSE CAST(:now AS timestamptz) END,
            waiting = CASE WHEN i.disposition IS NULL THEN coalesce(i.waiting, e.waiting) END,
            outbox_id = CASE WHEN i.disposition IS NULL THEN e.outbox_id ELSE {outbox} END,
            route = coalesce(i.route, e.route), intent = coalesce(i.intent, e.intent),
            confidence = coalesce(i.confidence, e.confidence), entities = coalesce(i.entities, e.entities),
            nearest = coalesce(i.nearest, e.nearest), nearest_chance = coalesce(i.nearest_chance, e.nearest_chance),
            question = i.question, offers = i.offers
        FROM fenced CROSS JOIN {rows} {said}
        WHERE e.id = i.event AND e.disposition IS NULL
        RETURNING e.id, e.conversation_id, e.platform)"""
_OF_SAID = "LEFT JOIN (said s JOIN queued q ON q.id = s.id) ON s.n = i.reply"
_READ = """,
    read AS ({insert})"""


class Statement(NamedTuple):
    """The same statement for SQLAlchemy, and for a plain connection with the names of its parameters in order."""

    text: TextClause
    plain: str
    names: tuple[str, ...]


class Shape(NamedTuple):
    """What tells one statement from another. `sets`: columns of the conversation, sorted; `said`, `fates`, `readings`: how many
    rows; `grouped`: a reading may belong to a group; `alone`: only where no hand-off is open, else nothing is written; `opens`:
    then one is opened."""

    sets: tuple[str, ...]
    said: int
    fates: int
    readings: int
    grouped: bool
    alone: bool
    opens: bool


@lru_cache(maxsize=500)
def statement(shape: Shape) -> Statement:
    """Returns a row, when the conversation is due again, if the fence held."""
    columns = "".join(f"{name} = CAST(:set_{name} AS {_SETS[name]}), " for name in shape.sets)
    parts = [_FENCE.format(sets=columns, waits=_WAITS if shape.opens else "", alone=_ALONE if shape.alone else "")]
    if shape.opens:
        parts.append(_HAND)
    if shape.said:
        parts.append(_SAY.format(rows=rows.source("said", _SAID, shape.said)))
    if shape.fates:
        join, row = (_OF_SAID, "q.id") if shape.said else ("", "NULL")
        parts.append(_SETTLE.format(rows=rows.source("fates", _FATE, shape.fates), said=join, outbox=row))
    if shape.readings:
        parts.append(_READ.format(insert=readings.insert("settled", shape.readings, shape.grouped)))
    whole = f"WITH {''.join(parts)}\n    SELECT due_at FROM fenced"  # noqa: S608
    names: dict[str, int] = {}
    plain = re.sub(r":([a-z_0-9]+)", lambda found: f"${names.setdefault(found[1], len(names) + 1)}", whole)
    return Statement(text(whole), plain, tuple(names))


@lru_cache(maxsize=2_000)
def _hashes(codec: Codec, said: str) -> tuple[int, ...]:
    """What a text of ours is found by; the same ones are said over and over."""
    purpose = search.PURPOSES["automatic"]
    return tuple(search.fingerprint(codec, stem, purpose) for stem in sorted(stems(said)))


class Outcome:
    """What one turn writes. `notes` tells whom it concerns once it is written."""

    def __init__(self, conversation: Conversation, finish: Finish, now: datetime, codec: Codec) -> None:
        self._conversation = conversation
        self._finish = finish
        self._now = now
        self._codec = codec
        self._said = [*([] if finish.notice is None else [finish.notice]), *finish.replies]
        # What was read one by one before and together now, or belongs to a danger, is kept by a statement of its own.
        self.reads = finish.emergency is None and not any(one.events[1:] for one in finish.readings)
        self._readings = readings.rows(codec, finish.readings if self.reads else ())
        self._sets = self._columns()
        self._events = self._fates()

    def _columns(self) -> dict[str, Any]:
        finish = self._finish
        sets: dict[str, Any] = {"engine_away_since": None, **finish.sets}  # the engine answered, unless it is said
        if finish.state is not None:
            sets["state"] = self._codec.seal_json(finish.state, "conversations.state", self._conversation.id)
        if "owner" in sets:
            sets["owner_version"] = self._conversation.owner_version + 1
        return sets

    def _fates(self) -> dict[int, dict[str, Any]]:
        """Event → what becomes of it, by the columns of `_FATE`."""
        finish = self._finish
        first = len(self._said) - len(finish.replies) + 1
        fates: dict[int, dict[str, Any]] = {}
        for one in finish.settlements:
            row: dict[str, Any] = {
                "disposition": one.disposition,
                "reason": one.reason,
                "route": one.route,
                "question": one.question,
                "offers": one.offers or None,
            }
            if one.reply is not None:
                row["reply"] = first + one.reply
            for event in one.events:
                fates.setdefault(event, {"event": event, **self._read(event, one.understanding), **row})
        for why, events in finish.waiting.items():
            for event in events:
                fates.setdefault(event, {"event": event, "waiting": why})
        for event, understanding in finish.understood.items():
            fates.setdefault(event, {"event": event}).update(self._read(event, understanding))
        return fates

    def _read(self, event: int, understanding: Understanding | None) -> dict[str, Any]:
        if understanding is None:
            return {}
        row: dict[str, Any] = {"intent": understanding.intent, "confidence": understanding.confidence}
        if understanding.entities:
            sealed = self._codec.seal_json(understanding.entities, understandings.COLUMN, event)
            row["entities"] = rows.hexadecimal(sealed)
        if understanding.questions:
            row["nearest"], row["nearest_chance"] = understanding.questions[0]
        return row

    def statement(self, alone: bool) -> Statement:
        """The one that writes it."""
        grouped = any(row["bands"] is not None for row in self._readings)
        said, fates, read = (min(len(some), rows.FEW + 1) for some in (self._said, self._events, self._readings))
        opens = alone and self._finish.handoff is not None
        return statement(Shape(tuple(sorted(self._sets)), said, fates, read, grouped, alone, opens))

    def values(self, codecs: Sequence[Codec], numbers: Sequence[int], handoff: int | None) -> dict[str, Any]:
        """The statement's parameters. `codecs`: of `search.writers`; `numbers`: of the replies' rows, one each in order, and of
        the hand-off's, if one is opened (`places.numbers`)."""
        conversation, finish = self._conversation, self._finish
        values: dict[str, Any] = {
            "id": conversation.id,
            "lease": conversation.lease,
            "version": conversation.owner_version,
            "wake": conversation.wake,
            "attempts": finish.attempts,
            "next": finish.next_due,
            "priority": finish.next_priority,
            "now": self._now,
        }
        values.update((f"set_{name}", value) for name, value in self._sets.items())
        said = [self._row(n, outgoing, codecs, numbers[n - 1]) for n, outgoing in enumerate(self._said, 1)]
        values.update(rows.parameters("said", _SAID, said))
        values.update(rows.parameters("fates", _FATE, list(self._events.values())))
        values.update(readings.parameters(self._readings))
        if self.handoff is not None and handoff is not None:
            values.update(handoffs.opening(self._codec, self.handoff, handoff))
        return values

    def _row(self, number: int, outgoing: OutgoingReply, codecs: Sequence[Codec], row: int) -> dict[str, Any]:
        version = self._conversation.owner_version + (1 if "owner" in self._sets else 0)
        hashes = [one for codec in codecs for one in _hashes(codec, outgoing.reply.text)]
        return {
            "n": number,
            "id": row,
            "author": outgoing.author,
            "message": rows.hexadecimal(outbox.sealed(self._codec, outgoing.reply, self._conversation.id, row)),
            "urgency": outgoing.priority,
            "bound": version if outgoing.bound else None,
            "dedup": outgoing.dedup,
            "tokens": [*hashes, *search.facets(self._now, "automatic")] if hashes else None,
        }

    @property
    def alone(self) -> bool:
        """Whether one statement may be all there is to write."""
        finish = self._finish
        aside = self._conversation.handed or finish.emergency is not None or finish.likely or finish.thumbs
        owned = finish.handoff is not None and ("owner" in finish.sets or "category" in finish.sets)
        return self.reads and not (aside or owned)

    @property
    def handoff(self) -> handoffs.NewHandoff | None:
        """The hand-off that the turn asks for."""
        request, finish = self._finish.handoff, self._finish
        if request is None:
            return None
        slots = {**request.slots, **finish.handoff_slots}
        return handoffs.NewHandoff(
            self._conversation.id,
            request.category,
            request.reason,
            finish.handoff_intent,
            slots=slots,
            before=finish.handoff_before,
        )

    @property
    def says(self) -> int:
        """How many replies are said."""
        return len(self._said)

    @property
    def for_trainers(self) -> bool:
        """Whether a reading is worth a trainer's look."""
        return any(row["weight"] for row in self._readings)
