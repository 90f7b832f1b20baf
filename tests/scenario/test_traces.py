"""One trace and one id in the logs, from the webhook to the Send API, through the database."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from bot.core.trace import trace_id
from bot.watch import spans
from tests.fakes.graph import PAGE
from tests.scenario.system import System

WORDS = "Bonjour, comment porter plainte ?"


@pytest.fixture
def recorded() -> Iterator[spans.Spans]:
    """Every span of the system, whose parts share this process."""
    spans.active = spans.Spans()
    yield spans.active
    spans.active = None


async def mid_of(system: System, person: str) -> str:
    (row,) = await system.rows(
        "SELECT e.mid FROM events e JOIN conversations c ON c.id = e.conversation_id WHERE c.person = :person",
        person=person,
    )
    return str(row.mid)


async def test_one_trace_shows_the_whole_way(system: System, recorded: spans.Spans) -> None:
    await system.say("7401", WORDS)
    await system.settled()
    trace = trace_id("messenger", PAGE, await mid_of(system, "7401"))
    own = {span.name: span for span in recorded.take(1000) if span.trace == trace}
    assert set(own) == {"webhook", "store", "queue", "claim", "turn", "engine", "finish", "outbox", "send"}
    root = own["webhook"]
    assert (root.id, root.parent, root.kind) == (spans.root_of(trace), "", spans.SERVER)
    for name in ("store", "queue", "claim", "turn", "outbox", "send"):
        assert own[name].parent == root.id, name
    assert own["engine"].parent == own["finish"].parent == own["turn"].id
    assert own["engine"].kind == own["send"].kind == spans.CLIENT
    order = [own[name].start for name in ("webhook", "store", "claim", "turn", "engine", "finish", "send")]
    assert order == sorted(order)
    assert own["send"].attributes["result"] == "ok"
    assert own["engine"].attributes["outcome"] == "ok"
    assert own["send"].attributes["row"] == own["outbox"].attributes["row"]
    told = repr(
        [(span.name, span.attributes) for span in own.values()]
    )  # not the identifiers and times, which hold any digits
    for secret in ("7401", PAGE, "plainte", "Bonjour"):
        assert secret not in told


async def test_a_danger_has_one_trace_too_and_leaves_without_a_turn(system: System, recorded: spans.Spans) -> None:
    await system.say("7402", "au secours il me frappe")
    await system.settled()
    trace = trace_id("messenger", PAGE, await mid_of(system, "7402"))
    names = {span.name for span in recorded.take(1000) if span.trace == trace}
    assert {"webhook", "store", "outbox", "send"} <= names


async def test_logs_name_the_message_by_one_id_in_every_part(system: System, caplog: pytest.LogCaptureFixture) -> None:
    from bot.app.logs import Line  # here: what it writes is asked for while the record's task is still the current one

    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(Line("all", people=False).format(record))

    handler = Kept()
    caplog.set_level(logging.DEBUG, "planton")
    logging.getLogger("planton").addHandler(handler)
    try:
        await system.say("7403", WORDS)
        await system.settled()
    finally:
        logging.getLogger("planton").removeHandler(handler)
    trace = trace_id("messenger", PAGE, await mid_of(system, "7403"))
    own = [line for line in lines if f'"trace": "{trace}"' in line]
    for part in ("webhook accepted: text", "turn: done", "send: ok"):
        assert [line for line in own if part in line], part
    assert not [line for line in lines if "plainte" in line]
