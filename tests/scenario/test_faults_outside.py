"""Faults around us: PostgreSQL stands still, Meta misbehaves; and what is written down while things go wrong.

One system serves all tests, in the order of this file. A table of what was lost, doubled and late ends the run.
"""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from bot.core.trace import trace_id
from tests.fakes.collector import spans_of
from tests.fakes.graph import PAGE, SECRET, TOKEN, Mood, Script
from tests.scenario import leaking
from tests.scenario.faults import (
    ENGINE_STARTS,
    World,
    in_time,
    keep,
    not_ready,
    spans,
)
from tests.scenario.processes import (
    HELP,
    QUESTIONS,
    Table,
    account,
    settled,
    until,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.alone]

# PostgreSQL stands still


async def test_postgres_frozen_for_five_seconds(world: World, table: Table) -> None:
    planton, meta = world.planton, world.meta
    await planton.ready(ENGINE_STARTS)
    with planton.frozen("postgres"):
        start = time.monotonic()
        alarm = meta.write("frozen-sos", HELP)
        others = [meta.write(f"frozen{i}", QUESTIONS[i]) for i in range(10)]
        await until(lambda: meta.reached("frozen-sos"), 20, "the danger answered through the sender")
        await not_ready(planton, "database")
        await asyncio.sleep(max(0.0, start + 5 - time.monotonic()))
    back = time.monotonic()
    await meta.acknowledged([alarm, *others], in_time())
    await settled(planton, [alarm, *others], 60)
    line = await account("PostgreSQL frozen 5 s", planton, meta, [alarm, *others])
    line.seconds = time.monotonic() - back
    keep(line, table)
    assert alarm.refusals >= 1
    assert len(meta.reached("frozen-sos")) == 1
    handoffs = await planton.rows(
        "SELECT h.priority FROM handoffs h JOIN conversations c ON c.id = h.conversation_id WHERE c.person = 'frozen-sos'"
    )
    assert [row["priority"] for row in handoffs] == [0]
    await planton.ready(60)


# Meta misbehaves


async def test_the_graph_api_answers_badly_in_every_way_at_once(world: World, table: Table) -> None:
    planton, meta, graph = world.planton, world.meta, world.graph
    await planton.ready(ENGINE_STARTS)
    meta.silent.add("hang-mute")
    graph.script(
        Script(Mood.ERROR, times=2, status=500, person="500"),
        Script(Mood.ERROR, code=613, person="613"),
        Script(Mood.ERROR, code=551, subcode=1545041, person="551"),
        Script(latency=10, person="slow"),
        Script(Mood.HANG, accepted=True, person="hang-echo"),
        Script(Mood.HANG, accepted=True, person="hang-mute"),
        Script(Mood.HANG, accepted=False, person="hang-lost"),
        Script(Mood.RESET, accepted=True, person="reset-echo"),
    )
    people = ("500", "613", "551", "slow", "hang-echo", "hang-mute", "hang-lost", "reset-echo")
    start = time.monotonic()
    messages = [meta.write(person, QUESTIONS[0]) for person in people]
    await meta.acknowledged(messages, in_time())
    await asyncio.sleep(2)
    alarm = meta.write("graph-sos", HELP)  # meanwhile somebody is in danger
    assert await until(lambda: meta.reached("graph-sos"), 9, "the danger answered") < 6  # the slow one takes ten
    await settled(planton, [*messages, alarm], 60)
    line = await account("Graph: 500, 613, 551, 10 s, hang, reset", planton, meta, [*messages, alarm])
    line.seconds = time.monotonic() - start
    keep(line, table, doubled=1)
    times = {person: len(meta.reached(person)) for person in people}
    assert times == {
        "500": 1,
        "613": 1,
        "551": 0,
        "slow": 1,
        "hang-echo": 1,
        "hang-mute": 2,  # its answer was lost and no echo came: the one case in which a reply is doubled
        "hang-lost": 1,
        "reset-echo": 1,
    }
    gone = await planton.rows(
        """SELECT e.disposition, e.reason, o.status, o.error_slug, o.error_remedy
           FROM events e JOIN conversations c ON c.id = e.conversation_id JOIN outbox o ON o.id = e.outbox_id
           WHERE c.person = '551' AND e.kind = 'text'"""
    )
    assert [(row["disposition"], row["status"]) for row in gone] == [("failed", "failed")]
    assert gone[0]["error_slug"] == "person_unavailable"
    assert "plus joignable" in gone[0]["error_remedy"]


async def test_an_expired_page_token_stops_the_account_until_it_works_again(world: World, table: Table) -> None:
    planton, meta, graph = world.planton, world.meta, world.graph
    await planton.ready(ENGINE_STARTS)
    page = graph.graph.accounts[PAGE]
    token, page.token = page.token, "another-token"
    try:
        messages = [meta.write(f"token{i}", QUESTIONS[i]) for i in range(5)]
        await meta.acknowledged(messages, in_time())

        async def stopped() -> bool:
            return bool(await planton.rows("SELECT 1 FROM accounts WHERE stopped_slug = 'token'"))

        await until(stopped, 30, "the account stopped")
        state = await not_ready(planton, "meta")
        assert "doctor" in state["checks"]["meta"]["remedy"]
        report = await planton.doctor()
        told = [p for p in report["problems"] if PAGE in p["what"]]
        assert report["ok"] is False
        assert len(told) == 1
        assert "META_PAGE_TOKEN" in told[0]["remedy"]
        assert report["outbox"]["queued"] >= 5
    finally:
        page.token = token
    back = time.monotonic()
    await settled(planton, messages, 60)
    line = await account("Graph: 190, token works again", planton, meta, messages)
    line.seconds = time.monotonic() - back
    keep(line, table)
    assert line.seconds < in_time()
    assert not await planton.rows("SELECT 1 FROM accounts WHERE stopped_at IS NOT NULL")


# What is written down


async def test_one_trace_shows_a_messages_way_through_the_processes(world: World) -> None:
    planton = world.planton
    await planton.ready(ENGINE_STARTS)
    message = world.meta.write("traced", QUESTIONS[0])
    await settled(planton, [message], 60)
    trace, got = trace_id("messenger", PAGE, message.mid), spans[planton]
    wanted = {
        *(("planton-gateway", name) for name in ("webhook", "store")),
        *(("planton-worker", name) for name in ("queue", "claim", "turn", "engine", "finish")),
        *(("planton-sender", name) for name in ("outbox", "send")),
    }
    await until(lambda: wanted <= spans_of(got, trace), 60, f"all spans, not only {spans_of(got, trace)}")


async def test_no_output_log_dump_or_command_line_holds_a_secret_or_a_citizens_words(world: World) -> None:
    """Words are planted by webhooks (good, badly signed, broken), by Meta's errors, by an agent; faults went before."""
    planton = world.planton
    await planton.ready(ENGINE_STARTS)
    await leaking.plant(world)
    guarded = leaking.everyones() | planton.words | planton.secrets
    assert len(planton.secrets) >= 5
    for what, data in (await leaking.shown(planton)).items():
        leaking.check(what, data, guarded)
    leaking.check("spans", json.dumps(spans[planton], ensure_ascii=False).encode(), guarded)
    dump = leaking.dumped(planton)
    leaking.check("pg_dump", dump, guarded)
    for what, data in (await leaking.backed_up(planton)).items():
        leaking.check(what, data, guarded)
    # The check sees what it looks for: the same dump with one of the words in it.
    assert leaking.leaks(dump + leaking.WORDS["note"].encode(), guarded)


async def test_of_all_processes_the_sender_alone_has_the_page_token(world: World) -> None:
    planton = world.planton
    await planton.ready(ENGINE_STARTS)
    assert set(planton.tree()) >= {"gateway", "worker", "sender", "console", "engine"}
    assert leaking.holders(planton, TOKEN) == {"sender"}
    assert "engine" not in leaking.holders(planton, SECRET)
    assert leaking.holders(planton, SECRET) <= {"gateway", "sender"}
    for path in (p for p in planton.var.rglob("*") if p.is_file() and "postgres/" not in str(p)):
        leaking.check(str(path), path, [TOKEN, SECRET])  # no file of ours has it, so that no role can read it there
