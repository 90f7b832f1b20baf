"""Alarms: each danger that was seen, how sure, by which detector, and the words that say so; sealed like all that people write.

Written where the hand-off is opened, in the same transaction. What agents say of them stands in `bot.store.desk.alarms`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.policy.emergency import Detection
from bot.store.codec import Codec
from bot.store.faults import Fault, fault_of, told

log = logging.getLogger(__name__)
_P = ParamSpec("_P")
_R = TypeVar("_R")

EVIDENCE = "alarms.evidence"
DETECTORS = ("lexicon", "score", "engine")
OTHER = "other"  # somebody, or an outage: no detector was asked, or it is not known which
CONFIRMED, TAKEN_BACK = "confirmed", "taken_back"
SURE, LIKELY = "sure", "likely"

_BEFORE = text("""
    SELECT nextval('alarms_id_seq') AS number, c.platform, h.category, h.intent, h.reason
    FROM conversations c LEFT JOIN handoffs h ON h.conversation_id = c.id AND h.closed_at IS NULL WHERE c.id = :id
""")
_KEEP = text("""
    INSERT INTO alarms (id, conversation_id, handoff_id, platform, events, at, kind, degree, detector, entry, evidence, stood)
    OVERRIDING SYSTEM VALUE
    VALUES (:id, :conversation, :handoff, :platform, :events, :at, :kind, :degree, :detector, :entry, :evidence,
        CASE WHEN CAST(:category AS text) <> 'emergency' THEN
            jsonb_build_object('category', CAST(:category AS text), 'intent', CAST(:intent AS text),
                'reason', CAST(:reason AS text)) END)
""")
_FORGET = text("""
    UPDATE alarms SET evidence = NULL, entry = NULL
    WHERE conversation_id = :conversation AND events && CAST(:events AS bigint[])
""")


@dataclass(frozen=True)
class Ahead:
    """What is known before the hand-off is opened. `number`: the alarm's; the rest: the hand-off that is open already."""

    number: int
    platform: str
    category: str | None
    intent: str | None
    reason: str | None


@dataclass(frozen=True)
class Alarm:
    """A danger that was seen. `degree`: sure, or likely; `evidence`: the person's own words, () where none can be told; `by`: who
    judged it."""

    id: int
    at: datetime
    kind: str
    detector: str
    entry: str | None
    evidence: tuple[str, ...]
    verdict: str | None
    verdict_at: datetime | None
    by: str | None
    degree: str = SURE


def _aside(
    step: Callable[Concatenate[AsyncConnection, _P], Awaitable[_R]],
) -> Callable[Concatenate[AsyncConnection, _P], Awaitable[_R | None]]:
    """A step of its own inside the transaction: what the database refuses of an alarm is logged and left out (None). The reply to
    the danger, and its hand-off, go on without it."""

    @wraps(step)
    async def tried(connection: AsyncConnection, /, *args: _P.args, **kwargs: _P.kwargs) -> _R | None:
        try:
            async with connection.begin_nested():
                return await step(connection, *args, **kwargs)
        except DBAPIError as error:
            if fault_of(error) not in (Fault.DEFECT, Fault.SETUP):
                raise
            log.error("an alarm is not kept: %s", told(error))
            return None

    return tried


@_aside
async def ahead(connection: AsyncConnection, conversation_id: int) -> Ahead:
    """To be asked before the hand-off of an alarm is opened or raised. None: none can be kept."""
    row = (await connection.execute(_BEFORE, {"id": conversation_id})).one()
    return Ahead(row.number, row.platform, row.category, row.intent, row.reason)


@_aside
async def keep(
    connection: AsyncConnection,
    codec: Codec,
    conversation_id: int,
    detection: Detection,
    before: Ahead | None,
    handoff_id: int | None,
    events: Collection[int],
    now: datetime,
) -> None:
    """Keep an alarm. `events`: those whose words were read; without any, its evidence is not kept: nothing would erase it."""
    if before is None:
        return
    quotes = list(detection.evidence) if events else []
    await connection.execute(
        _KEEP,
        {
            "id": before.number,
            "conversation": conversation_id,
            "handoff": handoff_id,
            "platform": before.platform,
            "events": sorted(events),
            "at": now,
            "kind": detection.kind,
            "degree": LIKELY if detection.degree == LIKELY else SURE,
            "detector": detection.by if detection.by in DETECTORS else OTHER,  # whatever it is, an alarm is kept
            "entry": detection.entry,
            "evidence": codec.seal_json(quotes, EVIDENCE, conversation_id, before.number) if quotes else None,
            "category": before.category,
            "intent": before.intent,
            "reason": before.reason,
        },
    )


async def forget(connection: AsyncConnection, conversation_id: int, events: Sequence[int]) -> None:
    """What these messages said is withdrawn: that they raised an alarm stays, their words go."""
    await connection.execute(_FORGET, {"conversation": conversation_id, "events": list(events)})


def evidence(codec: Codec, conversation_id: int, number: int, sealed: Any) -> tuple[str, ...]:
    """The quotes of an alarm; () where there are none, or no key opens them."""
    found = codec.readable_json(sealed, EVIDENCE, conversation_id, number)
    return tuple(str(quote) for quote in found) if isinstance(found, list) else ()
