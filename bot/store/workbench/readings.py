"""What the engine made of each message of a citizen: kept by the worker, marked by agents, read by trainers.

One row for what was read as one utterance, under its first event; it goes with that event. Its words are kept encrypted, as
the engine read them. Only what is worth a look (`bot.policy.doubt`) is sketched and put beside what says the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.dialogue import Understanding
from bot.core.errors import SettingsError
from bot.policy import doubt
from bot.policy.intents import EMERGENCY
from bot.policy.likeness import ALIKE, bands
from bot.policy.normalise import normalise
from bot.store import news
from bot.store import rows as values
from bot.store.codec import Codec

WORDS = "readings.words"
BEST = 5  # intents of the ranking that are kept
TOPIC = "workbench"


@dataclass(frozen=True)
class NewReading:
    """What was read as one: its events in order, the words, and what became of it."""

    events: tuple[int, ...]
    at: datetime
    words: str
    understanding: Understanding
    route: str | None
    clarified: bool = False

    def routed(self, route: str) -> NewReading:
        """The same with another route."""
        return replace(self, route=route)


@dataclass(frozen=True)
class Confirmed:
    """A message whose meaning a trainer has told. `words`: the citizen's own; `second`: another intent that would do."""

    event: int
    words: str
    intent: str
    second: str | None = None


_COLUMNS = {
    "event": "bigint",
    "also": "bigint[]",
    "at": "timestamptz",
    "words": "bytea",
    "ranking": "jsonb",
    "intent": "text",
    "confidence": "real",
    "danger": "real",
    "route": "text",
    "clarified": "boolean",
    "model": "text",
    "unknown": "smallint",
    "reasons": "text[]",
    "weight": "integer",
    "bands": "bigint[]",
    "needed": "integer",
}
# The reading that already stands for these words, when one waits: same best intent, enough of the sketch in common.
_LEADER = """
    SELECT r.event_id FROM readings r
    CROSS JOIN LATERAL (SELECT count(*) AS n FROM unnest(r.bands) AS b WHERE b = ANY(CAST({bands} AS bigint[]))) shared
    WHERE r.bands IS NOT NULL AND r.decision_id IS NULL AND r.bands && CAST({bands} AS bigint[])
      AND r.intent IS NOT DISTINCT FROM {intent} AND r.event_id <> {event} AND shared.n >= {needed}
    ORDER BY shared.n DESC, r.event_id LIMIT 1"""


def insert(events: str, number: int, grouped: bool = True) -> str:
    """The statement that keeps so many rows (`parameters`), read at `:now`.

    `events`: where theirs are found (id, conversation_id, platform). `grouped` False: none of them may belong to a group.
    """
    leader = _LEADER.format(bands="i.bands", intent="i.intent", event="i.event", needed="i.needed")
    group, bands, join = "i.event", "NULL", ""
    if grouped:
        group, bands = "coalesce(g.event_id, i.event)", "CASE WHEN g.event_id IS NULL THEN i.bands END"
        join = f"LEFT JOIN LATERAL ({leader}) g ON i.bands IS NOT NULL"
    return f"""
        INSERT INTO readings (event_id, also, conversation_id, platform, at, read_at, words, ranking, intent, confidence,
            danger, route, clarified, model, unknown, reasons, weight, group_id, bands)
        SELECT i.event, i.also, e.conversation_id, e.platform, i.at, CAST(:now AS timestamptz), i.words, i.ranking, i.intent,
            i.confidence, i.danger, i.route, i.clarified, i.model, i.unknown, i.reasons, i.weight, {group}, {bands}
        FROM {values.source("readings", _COLUMNS, number)}
        JOIN {events} e ON e.id = i.event {join}
        ON CONFLICT (event_id) DO UPDATE SET (also, at, read_at, words, ranking, intent, confidence, danger, route, clarified,
                model, unknown, reasons, weight, group_id, bands) =
            (EXCLUDED.also, EXCLUDED.at, EXCLUDED.read_at, EXCLUDED.words, EXCLUDED.ranking, EXCLUDED.intent,
                EXCLUDED.confidence, EXCLUDED.danger, EXCLUDED.route, EXCLUDED.clarified, EXCLUDED.model, EXCLUDED.unknown,
                EXCLUDED.reasons, EXCLUDED.weight, EXCLUDED.group_id, EXCLUDED.bands)
            WHERE readings.decision_id IS NULL
    """  # noqa: S608


def parameters(found: Sequence[values.Row]) -> dict[str, Any]:
    """The values for `insert`. `found`: of `rows`."""
    return values.parameters("readings", _COLUMNS, found)


_EVENTS = """(SELECT id, conversation_id, platform FROM events
    WHERE conversation_id IS NOT NULL AND reason IS DISTINCT FROM 'unsent')"""


@cache
def _keep(number: int) -> TextClause:
    return text(insert(_EVENTS, number))


async def keep(connection: AsyncConnection, codec: Codec, readings: Sequence[NewReading], now: datetime) -> None:
    """Keep what the engine read in a turn: one statement, in the turn's own transaction.

    Read again (at night, then in the morning), the later reading stays, unless a trainer has decided about the first.
    """
    if not readings:
        return
    joined = [event for one in readings for event in one.events[1:]]
    if joined:  # read one by one before, together now
        await connection.execute(
            text("DELETE FROM readings WHERE event_id = ANY(:ids) AND decision_id IS NULL"), {"ids": joined}
        )
    found = rows(codec, readings)
    await connection.execute(_keep(min(len(found), values.FEW + 1)), {"now": now, **parameters(found)})
    if any(row["weight"] for row in found):
        await news.topic(connection, TOPIC)


def rows(codec: Codec, readings: Sequence[NewReading]) -> list[dict[str, Any]]:
    """What `insert` keeps, in JSON's types, one row for each first event."""
    return [_row(codec, one) for one in {one.events[0]: one for one in readings}.values()]


def _row(codec: Codec, one: NewReading) -> dict[str, Any]:
    found = doubt.reasons(one.understanding, one.route, one.clarified, len(one.words.split()))
    heavy = doubt.weight(found)
    # A danger is never grouped: it would be decided with others, unseen.
    alone = "danger" in found or one.route == EMERGENCY
    sketch = sketch_of(codec, one.words) if heavy and not alone else ()
    return {
        "event": one.events[0],
        "also": one.events[1:],
        "at": one.at.isoformat(),
        "words": values.hexadecimal(codec.seal(one.words.encode(), WORDS, one.events[0])),
        "ranking": one.understanding.ranking[:BEST],
        "intent": one.understanding.intent,
        "confidence": round(one.understanding.confidence, 6),
        "danger": round(one.understanding.danger, 6),
        "route": one.route,
        "clarified": one.clarified,
        "model": one.understanding.model,
        "unknown": min(one.understanding.unknown, 32_767),
        "reasons": found,
        "weight": heavy,
        "bands": sketch or None,
        "needed": needed(sketch),
    }


def literal(values: Sequence[object]) -> str:
    """Numbers or plain words as PostgreSQL writes an array."""
    return "{" + ",".join(map(str, values)) + "}"


def sketch_of(codec: Codec, words: str) -> tuple[int, ...]:
    """The keyed sketch of a text; of one that is too short to be compared, a keyed hash, equal for equal words.

    () when nothing is left of it.
    """
    found = bands(words, codec.key("readings"))
    if found:
        return found
    plain = normalise(words)
    return (codec.fingerprint("readings", plain),) if plain else ()


def needed(sketch: Sequence[int]) -> int:
    """How much two sketches must have in common to say the same."""
    return ALIKE if len(sketch) > 1 else 1


async def confirmed(connection: AsyncConnection, codec: Codec, since: datetime) -> list[Confirmed]:
    """The messages since a moment whose meaning a trainer confirmed or told, the oldest first.

    Their words are personal data: they are measured with, and never written to a file.
    """
    rows = await connection.execute(
        text("""
            SELECT r.event_id, r.words, d.intent FROM readings r JOIN reading_decisions d ON d.id = r.decision_id
            WHERE d.kind IN ('confirmed', 'chosen', 'outside') AND d.intent IS NOT NULL AND r.at >= :since
            ORDER BY r.at, r.event_id
        """),
        {"since": since},
    )
    found = []
    for row in rows:
        with contextlib.suppress(SettingsError):  # what cannot be read hides no other
            found.append(Confirmed(row.event_id, codec.open(row.words, WORDS, row.event_id).decode(), row.intent))
    return found


_OF_ALARM = text("""
    SELECT event_id, reasons FROM readings
    WHERE conversation_id = :id AND decision_id IS NULL AND (event_id = ANY(:events) OR also && CAST(:events AS bigint[]))
    ORDER BY event_id FOR UPDATE
""")
_WEIGH = text("UPDATE readings SET reasons = CAST(:reasons AS text[]), weight = :weight WHERE event_id = :event")


async def alarm_judged(connection: AsyncConnection, conversation_id: int, events: Sequence[int], false: bool) -> None:
    """An agent says that an alarm was false, or (`false` False) that it was none after all: trainers look at the readings of its
    messages, as far as the engine has read them. What a trainer has decided about stands."""
    rows = (await connection.execute(_OF_ALARM, {"id": conversation_id, "events": list(events)})).all()
    for row in rows:
        reasons = {*row.reasons, doubt.FALSE_ALARM} if false else {*row.reasons} - {doubt.FALSE_ALARM}
        found = [one for one in doubt.WEIGHTS if one in reasons]
        values = {"event": row.event_id, "reasons": literal(found), "weight": doubt.weight(found)}
        await connection.execute(_WEIGH, values)
    if rows:
        await news.topic(connection, TOPIC)


_LAST = text("""
    SELECT event_id, words, intent, reasons, weight, bands IS NULL AND group_id = event_id AS alone FROM readings
    WHERE conversation_id = :id AND decision_id IS NULL AND at <= :upto AND intent IS NOT NULL
    ORDER BY at DESC, event_id DESC LIMIT 1 FOR UPDATE
""")
_MARK = text(f"""
    UPDATE readings m SET reasons = CAST(:reasons AS text[]), weight = :weight, agent_intent = :intent,
        (group_id, bands) = (SELECT coalesce(g.event_id, m.event_id),
                CASE WHEN g.event_id IS NULL THEN CAST(:bands AS bigint[]) END
            FROM (SELECT) AS one
            LEFT JOIN LATERAL ({_LEADER.format(bands=":bands", intent="m.intent", event="m.event_id", needed=":needed")}) g ON true)
    WHERE m.event_id = :event
""")  # noqa: S608
_MARK_ONLY = text("""
    UPDATE readings SET reasons = CAST(:reasons AS text[]), weight = :weight, agent_intent = :intent WHERE event_id = :event
""")


async def mark(
    connection: AsyncConnection, codec: Codec, conversation_id: int, reason: str, intent: str | None, upto: datetime
) -> bool:
    """An agent saw it otherwise: the last reading of that conversation until `upto` becomes worth a look.

    `reason`: corrected or answered; `intent`: what the agent says that it is, or answered to. False when there is none.
    """
    row = (await connection.execute(_LAST, {"id": conversation_id, "upto": upto})).one_or_none()
    if row is None:
        return False
    found = [one for one in doubt.WEIGHTS if one == reason or one in row.reasons]
    values = {"event": row.event_id, "reasons": literal(found), "weight": doubt.weight(found), "intent": intent}
    words = None
    if not row.weight and row.alone:  # else it stands in its group already
        with contextlib.suppress(SettingsError):  # what cannot be read keeps no agent from saying what it is
            words = codec.open(row.words, WORDS, row.event_id).decode()
    if words is None:
        await connection.execute(_MARK_ONLY, values)
    else:
        sketch = sketch_of(codec, words)
        await connection.execute(_MARK, {**values, "bands": literal(sketch), "needed": needed(sketch)})
    await news.topic(connection, TOPIC)
    return True
