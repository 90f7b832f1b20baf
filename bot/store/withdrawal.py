"""What a person withdrew is erased at once, wherever it stands: message, edits, raw bodies, readings, sketches, fields,
the evidence of an alarm.

Readings and the search's index go by triggers when the body changes (migrations 0003, 0004). What agents wrote is theirs,
quotations included: nobody can tell one from a reply (`docs/rgpd.md`). A legal hold does not keep what its author withdrew;
of a webhook that somebody else's hold keeps, the author's part is taken out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.errors import SettingsError
from bot.core.messages import Unknown, body_from_json, body_to_json
from bot.policy.fields import fields
from bot.store import alarms, places, raw_bodies
from bot.store.codec import Codec
from bot.store.db import CONSOLE, notify
from bot.store.retention import HELD_DELIVERIES

_BODY, _ENTITIES, _SLOTS, _STATE = "events.body", "events.entities", "handoffs.slots", "conversations.state"
_RAW = "deliveries.raw"

_FIND = text(f"""
    SELECT id, body, entities, delivery_id, again, {places.event("events")} FROM events
    WHERE conversation_id = :conversation AND kind <> 'unsend' AND (mid = :target OR target = :target
        OR id IN (SELECT event_id FROM caught WHERE conversation_id = :conversation AND twin = :target)
        OR mid IN (SELECT k.twin FROM caught k JOIN events o ON o.id = k.event_id
            WHERE k.conversation_id = :conversation AND o.mid = :target))
""")  # noqa: S608 (names of ours)
# How it was read tells what it said. Route and disposition stay: that it came, and what became of it.
_EMPTY = text("""
    UPDATE events SET body = i.empty, entities = NULL, intent = NULL, confidence = NULL, waiting = NULL,
        nearest = NULL, nearest_chance = NULL, question = NULL, offers = NULL,
        disposition = coalesce(disposition, 'ignored'), reason = coalesce(reason, 'unsent'),
        settled_at = coalesce(settled_at, :now)
    FROM unnest(CAST(:ids AS bigint[]), CAST(:empty AS bytea[])) AS i(number, empty) WHERE id = i.number
""")
_SKETCHES = (
    text("DELETE FROM likenesses WHERE conversation_id = :conversation"),
    text("UPDATE message_groups SET bands = '{}' WHERE sample_id = ANY(:ids) AND bands <> '{}'"),
    text("DELETE FROM deliveries WHERE id = ANY(:deliveries)"),
)
_KEPT = text(
    "SELECT id, raw FROM deliveries WHERE id = ANY(:deliveries)"  # noqa: S608 (parts of ours)
    f" AND id IN ({HELD_DELIVERIES} AND l.conversation_id <> :conversation) ORDER BY id FOR UPDATE"
)
_HANDOFFS = text(
    "SELECT id, slots FROM handoffs WHERE conversation_id = :conversation AND slots IS NOT NULL FOR UPDATE"
)


@dataclass(frozen=True)
class _Said:
    """What was withdrawn: its words, and what was found in them."""

    words: str
    values: frozenset[str]

    def told(self, value: Any) -> bool:
        """Whether a field's value may come from there."""
        if not isinstance(value, str):
            return False
        parts = {value.strip().casefold(), *(part.strip().casefold() for part in value.split(", "))}
        return any(part in self.values or (len(part) > 1 and part in self.words) for part in parts)


async def withdraw(connection: AsyncConnection, codec: Codec, conversation: int, target: str, now: datetime) -> None:
    """Erase the message whose id is `target`, with its edits, in the transaction of its withdrawal.

    The caller has locked the conversation's row. What waited to be answered is no longer answered.
    """
    rows = (await connection.execute(_FIND, {"conversation": conversation, "target": target})).all()
    if rows:
        said = _said(codec, rows)
        ids = [row.id for row in rows]
        deliveries = sorted({d for row in rows for d in (row.delivery_id, *(row.again or ())) if d is not None})
        gone = set(deliveries) - await _cut(connection, codec, conversation, deliveries)
        empty = [codec.seal_json(body_to_json(Unknown("unsent")), _BODY, row.place) for row in rows]
        await connection.execute(_EMPTY, {"empty": empty, "ids": ids, "now": now})
        for statement in _SKETCHES:
            names = {"conversation": conversation, "ids": ids, "deliveries": sorted(gone)}
            await connection.execute(statement, {n: names[n] for n in statement._bindparams})
        await alarms.forget(connection, conversation, ids)
        await _forget_fields(connection, codec, conversation, said)
        await _forget_dialogue(connection, codec, conversation, said)
    await notify(connection, CONSOLE, str(conversation))


async def _cut(connection: AsyncConnection, codec: Codec, conversation: int, deliveries: Collection[int]) -> set[int]:
    """Take this person's part out of the raw bodies that another's legal hold keeps; those that stay for it."""
    rows = (await connection.execute(_KEPT, {"conversation": conversation, "deliveries": list(deliveries)})).all()
    if not rows:
        return set()
    person = await connection.scalar(text("SELECT person FROM conversations WHERE id = :id"), {"id": conversation})
    kept = set()
    for row in rows:
        try:
            left = raw_bodies.without(codec.open(row.raw, _RAW, row.id), {str(person)})
        except SettingsError:  # nobody can tell what is in it
            kept.add(row.id)
            continue
        if left is not None:
            kept.add(row.id)
            await connection.execute(
                text("UPDATE deliveries SET raw = :raw WHERE id = :id"),
                {"id": row.id, "raw": codec.seal(left, _RAW, row.id)},
            )
    return kept


def _said(codec: Codec, rows: Collection[Any]) -> _Said:
    texts, values = [], set()
    for row in rows:
        said = codec.readable_json(row.body, _BODY, row.place)
        words = "" if said is None else getattr(body_from_json(said), "text", None) or ""
        found = codec.readable_json(row.entities, _ENTITIES, row.id)
        texts.append(words)
        values |= {str(v).casefold() for v in fields(words).values()}
        values |= {str(v).casefold() for v in found.values()} if isinstance(found, Mapping) else set()
    return _Said("\n".join(texts).casefold(), frozenset(values))


async def _forget_fields(connection: AsyncConnection, codec: Codec, conversation: int, said: _Said) -> None:
    for row in (await connection.execute(_HANDOFFS, {"conversation": conversation})).all():
        slots = codec.readable_json(row.slots, _SLOTS, conversation, row.id) or {}
        kept = {name: value for name, value in slots.items() if not said.told(value)}
        if kept != slots:
            await connection.execute(
                text("UPDATE handoffs SET slots = :slots WHERE id = :id"),
                {"id": row.id, "slots": codec.seal_json(kept, _SLOTS, conversation, row.id)},
            )


async def _forget_dialogue(connection: AsyncConnection, codec: Codec, conversation: int, said: _Said) -> None:
    sealed = await connection.scalar(text("SELECT state FROM conversations WHERE id = :id"), {"id": conversation})
    state = codec.readable_json(sealed, _STATE, conversation)
    if not isinstance(state, dict):
        return
    kept = dict(state)
    if isinstance(slots := state.get("slots"), dict):
        kept["slots"] = {name: value for name, value in slots.items() if not said.told(value)}
    if isinstance(told := state.get("told"), dict):
        kept["told"] = {n: row for n, row in told.items() if not (isinstance(row, list) and row and said.told(row[0]))}
    if isinstance(events := state.get("events"), list):
        kept["events"] = [one for one in events if not _slot_event(one, said)]
    if kept != state:
        await connection.execute(
            text("UPDATE conversations SET state = :state WHERE id = :id"),
            {"id": conversation, "state": codec.seal_json(kept, _STATE, conversation)},
        )


def _slot_event(one: Any, said: _Said) -> bool:
    return isinstance(one, list) and len(one) == 3 and one[0] == "s" and said.told(one[2])
