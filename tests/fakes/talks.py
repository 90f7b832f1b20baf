"""A conversation that the assistant has had, as gateway, worker and sender leave it behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from bot.core.dialogue import Link, Reply, Understanding
from bot.core.messages import Body, Message
from bot.store import outbox, understanding
from bot.store.conversations import STATE
from bot.store.workbench import readings
from bot.store.workbench.readings import NewReading
from tests.fakes.console import RunningConsole


async def turn(
    console: RunningConsole,
    person: str,
    words: str,
    intent: str | None,
    said: str = "",
    *,
    route: str = "answer",
    confidence: float = 0.82,
    also: tuple[tuple[str, float], ...] = (),
    entities: Mapping[str, str] | None = None,
    reason: str | None = None,
    disposition: str | None = None,
    author: str = "bot",
    body: Body | None = None,
    kept: bool = True,
    at: datetime | None = None,
    links: tuple[Link, ...] = (),
) -> tuple[int, int]:
    """One turn: the person's message, what it was read as, what was said to her. Returns (conversation, event)."""
    more = {} if at is None else {"at": at}
    number = await console.event(person, body or Message(words), **more)
    event = (await console.rows("SELECT max(id) AS id FROM events WHERE conversation_id = :id", id=number))[0].id
    found = Understanding(intent, confidence, ((intent or "", confidence), *also), dict(entities or {}), danger=0.01)
    async with console.database.begin() as connection:
        row = (await connection.execute(text("SELECT at FROM events WHERE id = :id"), {"id": event})).one()
        reply = None
        if said:
            new = outbox.NewRow(number, "reply", author, Reply(said, links=links), row.at + timedelta(microseconds=500))
            reply = await outbox.add(connection, console.codec, new)
        done = disposition or {"handoff": "handed_off", "emergency": "emergency"}.get(route, "answered")
        await connection.execute(
            text("""
                UPDATE events SET intent = :intent, confidence = :confidence, route = :route, disposition = :done,
                    reason = :reason, settled_at = at, outbox_id = :reply WHERE id = :id
            """),
            {
                "intent": intent,
                "confidence": confidence,
                "route": route,
                "done": done,
                "reason": reason,
                "reply": reply,
                "id": event,
            },
        )
        await understanding.keep(connection, console.codec, [event], found)
        if kept and words:
            new_reading = NewReading((event,), row.at, words, replace(found, model="a1b2c3d4"), route)
            await readings.keep(connection, console.codec, [new_reading], row.at)
    return number, event


async def remembers(console: RunningConsole, number: int, state: Mapping[str, Any]) -> None:
    """The dialogue state that the worker left."""
    sealed = console.codec.seal_json(dict(state), STATE)
    await console.execute("UPDATE conversations SET state = :state WHERE id = :id", state=sealed, id=number)
