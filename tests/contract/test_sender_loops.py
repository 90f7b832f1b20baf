"""The sender against a scripted Graph API over real HTTP, and the outbox in memory."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import logging
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.core.clock import FrozenClock, SystemClock
from bot.core.dialogue import QuickReply
from bot.core.emergency import Answer
from bot.core.messages import Platform
from bot.core.outbox import AGENT, EMERGENCY, REPLY, Permits
from bot.gateway import spool
from bot.meta import direct, metadata
from bot.meta.send_api import Usage
from bot.policy import emergency
from bot.sender import Sender, SenderAccount, SenderDeps, Timing, delivery
from bot.sender.answered import Answered, OtherRequest
from bot.sender.budget import Budget
from bot.sender.stamps import Stamps
from tests.fakes.graph import IG, PAGE, SECRET, TOKEN, Mood, Script, ScriptedGraph
from tests.fakes.outbox import FakeOutbox, Kept
from tests.fakes.words import FixedWords

KEY, MARK_KEY = b"secret-key", b"mark-key"
QUICK = Timing(
    first_retry=0.05,
    longest_retry=0.4,
    longest_emergency_retry=0.1,
    control_retry=0.1,
    echo_wait=0.3,
    echo_step=0.02,
    probe_every=0.15,
    poll=0.03,
    emergency_poll=0.03,
    budget_step=0.01,
    send_timeout=5.0,
    emergency_send_timeout=5.0,
    grace=1.0,
)
SILENT = replace(QUICK, send_timeout=900.0, emergency_send_timeout=900.0)  # for answers that do not come in this test
LOST = replace(QUICK, send_timeout=1.0, emergency_send_timeout=1.0)  # for answers that never come


@dataclass
class World:
    graph: ScriptedGraph
    outbox: FakeOutbox
    sender: Sender
    session: aiohttp.ClientSession

    async def until(self, condition: Callable[[], object], timeout: float = 180.0) -> None:
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            await asyncio.sleep(0.01)

    async def settled(self, *rows: Kept, timeout: float = 180.0) -> None:
        await self.until(lambda: all(kept.status != "queued" for kept in rows), timeout)

    async def emergency(self, key: str = "m1", person: str = "42", **more: Any) -> str | None:
        return await direct.send_emergency(self.session, self.sender.url, [KEY], asked(key, person, **more))


def asked(key: str = "m1", person: str = "42", age: timedelta = timedelta(), **more: Any) -> direct.Asked:
    """A danger that is `age` old by the asker's clock, and by ours."""
    at = more.pop("at", SystemClock().now() - age)
    known = {"platform": Platform.MESSENGER, "account": PAGE, "kind": "danger", **more}
    return direct.Asked(person=person, key=key, at=at, age=age, **known)


@asynccontextmanager
async def running(
    timing: Timing = QUICK,
    ceiling: int = 1000,
    latency: float = 0.0,
    concurrency: int = 64,
    token: str = TOKEN,
    answered: Path | None = None,
    words: FixedWords | None = None,
) -> AsyncIterator[World]:
    clock = SystemClock()
    outbox = FakeOutbox(clock, ceiling)

    async def echo(body: dict[str, Any]) -> None:
        message = body["entry"][0]["messaging"][0]["message"]
        mark = metadata.verify(MARK_KEY, message.get("metadata"))
        if mark is not None and mark.outbox_id is not None:
            outbox.echoes[(mark.outbox_id, mark.part)] = message["mid"]

    async with ScriptedGraph(latency=latency, on_echo=echo) as graph, aiohttp.ClientSession() as session:
        deps = SenderDeps(
            accounts=(SenderAccount(PAGE, PAGE, token, SECRET), SenderAccount(IG, PAGE, token, SECRET)),
            graph_url=graph.url,
            store=outbox,
            emergency_store=outbox,
            secret_key=KEY,
            metadata_key=MARK_KEY,
            clock=clock,
            words=words or FixedWords(),
            answered=answered,
            port=0,
            ceiling=ceiling,
            concurrency=concurrency,
            timing=timing,
        )
        sender = Sender(deps)
        await sender.start()
        try:
            yield World(graph, outbox, sender, session)
        finally:
            await sender.stop()


def error(code: int, subcode: int | None = None, **more: Any) -> Script:
    return Script(Mood.ERROR, code=code, subcode=subcode, **more)


# Ordinary sending


async def test_a_reply_leaves_with_its_mark_and_quick_replies() -> None:
    async with running() as w:
        kept = w.outbox.add("Bonjour", quick_replies=(QuickReply("Oui", "oui"),))
        await w.settled(kept)
        sent = w.graph.sent[0]
        assert kept.status == "sent"
        assert kept.mids == [sent.mid]
        assert sent.quick_replies == ("Oui",)
        mark = metadata.verify(MARK_KEY, sent.metadata)
        assert mark is not None
        assert mark.outbox_id == kept.row.id


async def test_agent_tag_and_instagram() -> None:
    async with running() as w:
        w.graph.instagram("7")
        tagged = w.outbox.add("Réponse de l'agent", tag="HUMAN_AGENT", lane=AGENT)
        insta = w.outbox.add("é" * 700, person="7", account=IG, platform=Platform.INSTAGRAM)
        await w.settled(tagged, insta)
        assert [s.tag for s in w.graph.sent if s.person == "42"] == ["HUMAN_AGENT"]
        assert [len(text.encode()) for text in w.graph.texts("7")] == [1000, 400]


async def test_long_text_goes_part_by_part_with_quick_replies_on_the_last() -> None:
    async with running() as w:
        kept = w.outbox.add("mot " * 1200, quick_replies=(QuickReply("Oui", "oui"),))
        await w.settled(kept)
        parts = [s for s in w.graph.sent if s.person == "42"]
        assert [p.quick_replies for p in parts] == [(), (), ("Oui",)]
        assert kept.mids == [p.mid for p in parts]
        assert not any(p.overlapped for p in parts)
        marks = [metadata.verify(MARK_KEY, p.metadata) for p in parts]
        assert [m.part for m in marks if m] == [0, 1, 2]


async def test_parts_already_sent_do_not_leave_again() -> None:
    async with running() as w:
        kept = w.outbox.add("a" * 1999 + " " + "b" * 10, parts_sent=1)
        await w.settled(kept)
        assert w.graph.texts("42") == ["b" * 10]


async def test_failure_between_parts_resumes_at_the_second() -> None:
    async with running() as w:
        kept = w.outbox.add("a" * 1999 + " " + "b" * 10)
        w.graph.script(Script(), error(2))
        await w.settled(kept)
        assert w.graph.texts("42") == ["a" * 1999, "b" * 10]


async def test_order_within_a_conversation_with_a_slow_first_send() -> None:
    async with running() as w:
        w.graph.script(Script(person="42", latency=1.5))
        rows = [w.outbox.add(f"n° {n}") for n in range(5)]
        other = w.outbox.add("autre", person="43")
        await w.settled(other)
        assert w.graph.texts("42") == []  # the slow one holds back its own conversation only
        await w.settled(*rows)
        assert w.graph.texts("42") == [f"n° {n}" for n in range(5)]
        assert not any(s.overlapped for s in w.graph.sent)


async def test_order_survives_a_failure_of_the_first() -> None:
    async with running() as w:
        w.graph.script(error(2, person="42", times=3))
        rows = [w.outbox.add(f"n° {n}") for n in range(3)]
        await w.settled(*rows)
        assert w.graph.texts("42") == ["n° 0", "n° 1", "n° 2"]
        assert w.graph.tried("42") == ["n° 0"] * 4 + ["n° 1", "n° 2"]


async def test_many_conversations_go_in_parallel() -> None:
    async with running(SILENT, latency=600.0) as w:
        for n in range(60):
            w.outbox.add("Bonjour", person=str(n))
        await w.until(lambda: sum(1 for call in w.graph.calls if call.text) == 60)  # and none has its answer


async def test_seen_and_typing_when_there_is_room() -> None:
    async with running() as w:
        await w.settled(w.outbox.add("Bonjour"))
        await w.until(lambda: len(w.graph.actions) >= 2)
        assert {("42", "mark_seen"), ("42", "typing_on")} <= set(w.graph.actions)
    async with running(ceiling=2) as w:
        await w.settled(w.outbox.add("un"), w.outbox.add("deux", person="43"))
        assert "43" not in {person for person, _ in w.graph.actions}


async def test_an_empty_text_fails_with_a_reason() -> None:
    async with running() as w:
        kept = w.outbox.add(" \n ")
        await w.settled(kept)
        assert (kept.status, kept.slug) == ("failed", "empty")
        assert w.graph.calls == []


# Refusals


@pytest.mark.parametrize(
    ("code", "subcode", "slug"),
    [
        (10, 2018278, "outside_window"),
        (551, 1545041, "person_unavailable"),
        (200, 1545041, "person_unavailable"),
        (100, 2018001, "no_such_user"),
        (100, 2018109, "media"),
        (100, 2534025, "bad_message"),
    ],
)
async def test_final_refusals_fail_with_a_french_reason(code: int, subcode: int | None, slug: str) -> None:
    async with running() as w:
        w.graph.script(error(code, subcode))
        kept, after = w.outbox.add("Bonjour"), w.outbox.add("Suite")
        await w.settled(kept, after)
        assert (kept.status, kept.slug) == ("failed", slug)
        assert kept.remedy
        assert "Meta" in kept.remedy or "personne" in kept.remedy
        assert after.status == "sent"  # a failed row does not hold back the next
        assert w.graph.tried("42") == ["Bonjour", "Suite"]


async def test_temporary_refusals_are_tried_again_ever_later() -> None:
    async with running(replace(QUICK, longest_retry=60)) as w:
        w.graph.script(Script(Mood.ERROR, status=503), error(1), error(1200), error(2, status=500))
        kept = w.outbox.add("Bonjour")
        await w.settled(kept)
        assert kept.status == "sent"
        calls = [call.at for call in w.graph.calls if call.text]
        gaps = [b - a for a, b in itertools.pairwise(calls)]
        assert len(gaps) == 4
        for step, (wait, gap) in enumerate(zip(kept.waits, gaps, strict=True)):
            assert wait <= 0.05 * 2**step
            assert gap >= 0.025 * 2**step
        assert w.graph.texts("42") == ["Bonjour"]


@pytest.mark.parametrize(
    ("met", "slug"), [(error(2), "temporary"), (error(10), "permission"), (error(98765), "unknown")]
)
@pytest.mark.parametrize("lane", [REPLY, EMERGENCY])
async def test_nothing_is_given_up_for_how_often_it_was_tried(met: Script, slug: str, lane: str) -> None:
    async with running(replace(QUICK, longest_odd_retry=0.4)) as w:
        w.graph.script(replace(met))
        kept = w.outbox.add("Bonjour", attempts=32_766, lane=lane)
        await w.settled(kept)
        assert (kept.status, kept.retries[0][1]) == ("sent", slug)
        assert kept.waits[0] <= (QUICK.longest_emergency_retry if lane == EMERGENCY else QUICK.longest_retry)


async def test_what_is_older_than_any_window_is_given_up() -> None:
    async with running() as w:
        now = w.outbox.clock.now()
        danger = w.outbox.add("17", created=now - timedelta(hours=24), lane=EMERGENCY)
        reply = w.outbox.add("Bonjour", person="43", created=now - timedelta(hours=24))
        agent = w.outbox.add("Bonjour", person="44", created=now - timedelta(days=6), lane=AGENT, author="agent")
        await w.settled(danger, reply, agent)
        assert [kept.status for kept in (danger, reply, agent)] == ["failed", "failed", "sent"]
        assert not w.graph.tried("42")


async def test_an_unknown_code_is_tried_ever_later_and_told(caplog: pytest.LogCaptureFixture) -> None:
    async with running(replace(QUICK, longest_retry=0.06, longest_odd_retry=60.0)) as w:
        w.graph.script(error(98765, 12, person="42", times=4), error(98765, 12, person="43"))
        reply, danger = w.outbox.add("Bonjour"), w.outbox.add("17", person="43", lane=EMERGENCY)
        await w.settled(reply, danger)
        assert (reply.status, danger.status) == ("sent", "sent")
        assert reply.waits[3] > 0.2  # longer than what passes by itself waits at most
        assert danger.waits[0] <= 0  # at once
        assert w.outbox.troubles == [(PAGE, "unknown", "98765/12")]  # once, however often
    assert [r.getMessage() for r in caplog.records if "98765/12" in r.getMessage() and r.levelno == logging.ERROR]


async def test_connection_refused_is_tried_again() -> None:
    async with running() as w:
        await w.graph._server.stop()
        kept = w.outbox.add("Bonjour")
        await w.until(lambda: len(kept.retries) >= 3)
        assert {slug for _, slug in kept.retries} == {"graph_down"}


async def test_rate_limit_pauses_the_account_as_long_as_meta_says() -> None:
    async with running() as w:
        usage = '{"1000": [{"type": "messenger", "call_count": 100, "estimated_time_to_regain_access": 2}]}'
        w.graph.script(error(613, headers={"X-Business-Use-Case-Usage": usage}))
        first = w.outbox.add("Bonjour")
        await w.until(lambda: first.retries)
        assert w.outbox.paused[PAGE] - w.outbox.clock.now() > timedelta(seconds=115)
        other = w.outbox.add("Autre", person="43")
        free = w.outbox.add("Autre page", person="44", account=IG)
        danger = w.outbox.add("Appelez le 17", person="45", lane=EMERGENCY)
        await w.settled(free, danger)
        await asyncio.sleep(0.1)
        assert other.status == "queued"
        assert w.graph.tried("43") == []


async def test_an_emergency_does_not_wait_out_a_pause() -> None:
    async with running() as w:
        w.graph.script(error(613, headers={"Retry-After": "600"}))
        danger = w.outbox.add("Appelez le 17", lane=EMERGENCY)
        await w.settled(danger)
        assert PAGE in w.outbox.paused  # replies go on waiting, as Meta asked
        assert w.graph.texts("42") == ["Appelez le 17"]


@pytest.mark.parametrize(
    "met",
    [error(code) for code in (17, 80001, 80002, 80006, 80008)]
    + [error(80006, status=429), error(98765, status=429), Script(Mood.ERROR, status=429)],
)
async def test_rate_limit_without_headers_backs_off_and_goes_on(met: Script) -> None:
    async with running() as w:
        w.graph.script(replace(met), replace(met))
        rows = [w.outbox.add(str(n)) for n in range(2)]
        await w.settled(*rows)
        assert w.graph.texts("42") == ["0", "1"]
        assert len(rows[0].retries) == 2
        assert PAGE in w.outbox.paused


async def test_the_applications_limit_pauses_all_its_accounts() -> None:
    async with running() as w:
        w.graph.script(error(341))
        kept = w.outbox.add("Bonjour")
        await w.until(lambda: IG in w.outbox.paused and PAGE in w.outbox.paused)
        assert w.outbox.paused[IG] - w.outbox.clock.now() > timedelta(seconds=20)  # minutes, ever more of them
        assert kept.status == "queued"


async def test_after_a_limit_one_message_tries_alone() -> None:
    async with running(replace(QUICK, first_retry=0.4)) as w:
        w.graph.script(error(80006, times=100))
        for n in range(30):
            w.outbox.add("Bonjour", person=str(n))
        await w.until(lambda: PAGE in w.outbox.paused)
        begun = sum(1 for call in w.graph.calls if call.text)
        for pauses in range(1, 4):
            until = w.outbox.paused[PAGE]
            await w.until(lambda until=until: w.outbox.paused[PAGE] > until)
            assert sum(1 for call in w.graph.calls if call.text) - begun <= pauses + 2  # and not thirty each time


@pytest.mark.parametrize("code", [80006, 368])
async def test_what_was_under_way_when_meta_refused_ends_no_pause_and_no_stop(code: int) -> None:
    async with running() as w:
        w.graph.script(Script(person="1", latency=2.0), error(code, person="2", headers={"Retry-After": "900"}))
        slow = w.outbox.add("Bonjour", person="1")
        await w.until(lambda: w.graph.tried("1"))
        w.outbox.add("Bonjour", person="2")
        await w.until(lambda: PAGE in (w.outbox.paused | w.outbox.stopped))
        await w.settled(slow)
        await w.until(lambda: not w.sender._held)
        if code == 368:
            assert PAGE in w.outbox.stopped
        else:
            assert w.sender._budget.gap(PAGE) == 1
            assert w.sender._accounts._streak[PAGE] == 1


async def test_a_pause_that_a_wrong_clock_began_does_not_run() -> None:
    """The machine was a day ahead until PostgreSQL's clock was read."""
    async with running() as w:
        accounts, now = w.sender._accounts, SystemClock().now()
        await accounts.pause(PAGE, now + timedelta(days=1))
        assert accounts.paused_until(PAGE) is None
        await accounts.pause(PAGE, now + timedelta(minutes=5))
        assert accounts.paused_until(PAGE) == now + timedelta(minutes=5)


async def test_what_was_answered_is_not_forgotten_by_a_clock_that_nobody_is_sure_of(tmp_path: Path) -> None:
    clock, key = FrozenClock(SystemClock().now()), (("page", "m1"), ("messenger", "42", "1.0"))

    async def send() -> str:
        return "mid1"

    async def again() -> str:
        return "mid2"

    first = Answered(clock, [b"key"], tmp_path / "answered.log")
    assert await first.run(*key, send) == "mid1"
    await first.close()
    clock.advance(hours=48)  # a restart, on a machine two days ahead
    second = Answered(clock, [b"key"], tmp_path / "answered.log")
    second.load()
    assert await second.run(*key, again) == "mid1"
    clock.advance(hours=-48)  # PostgreSQL's clock was read
    forgetting = asyncio.create_task(second.keep_forgetting())
    await asyncio.sleep(0)
    assert await second.run(*key, again) == "mid1"
    forgetting.cancel()
    await second.close()


async def test_after_a_pause_that_a_success_told_of_one_message_tries_alone() -> None:
    usage = '{"1000": [{"type": "messenger", "call_count": 5, "estimated_time_to_regain_access": 1}]}'
    async with running(replace(QUICK, longest_pause=0.3)) as w:
        w.graph.script(Script(headers={"X-Business-Use-Case-Usage": usage}))
        await w.settled(w.outbox.add("Bonjour", lane=EMERGENCY))
        await w.until(lambda: not w.sender._held)
        assert w.sender._budget.gap(PAGE) == 1
        await w.settled(w.outbox.add("Bonjour"))
        await w.until(lambda: not w.sender._held)
        assert w.sender._budget.gap(PAGE) == 0


@pytest.mark.parametrize(("code", "note"), [(190, "stop_account"), (80006, "pause_account"), (98765, "note_trouble")])
async def test_what_cannot_be_noted_about_an_account_costs_no_message(
    code: int, note: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running() as w:

        async def away(*_values: object) -> None:
            raise ConnectionError("the database is down")

        monkeypatch.setattr(w.outbox, note, away)
        w.graph.script(error(code))
        danger = w.outbox.add("17", lane=EMERGENCY)
        await w.settled(danger)
        assert (danger.status, [slug != "internal" for _, slug in danger.retries]) == ("sent", [True])


async def test_a_volume_that_meta_finds_odd_halves_the_pace_and_is_told() -> None:
    async with running(ceiling=100) as w:
        w.graph.script(error(613, 1996, headers={"Retry-After": "1"}))
        kept = w.outbox.add("Bonjour")
        await w.settled(kept)
        assert w.outbox.usage[PAGE] == (None, 50)  # of all senders
        assert w.sender._budget.gap(PAGE) == 1 / 50
        assert w.outbox.troubles == [(PAGE, "volume", "613/1996")]


async def test_a_page_blocked_for_its_conduct_is_probed_by_nobody_but_emergencies() -> None:
    async with running(replace(QUICK, blocked_emergency_retry=0.8)) as w:
        w.graph.script(error(368, person="1"))
        kept = w.outbox.add("Bonjour", person="1")
        await w.until(lambda: PAGE in w.outbox.stopped)
        await asyncio.sleep(4 * QUICK.probe_every)
        assert w.graph.tried("1") == ["Bonjour"]
        w.graph.script(error(368, person="2", times=2))
        danger = w.outbox.add("Appelez le 17", person="2", lane=EMERGENCY)
        await w.settled(danger, kept)  # one that Meta takes shows that the block is over
        assert danger.waits[0] <= QUICK.longest_emergency_retry
        assert danger.waits[1] > 0.7
        assert w.outbox.stopped == {}


async def test_waiting_for_control() -> None:
    async with running() as w:
        w.graph.graph.person_wrote("42").owner = "263902037430900"
        kept = w.outbox.add("Bonjour")
        await w.until(lambda: len(kept.retries) >= 2)
        assert kept.retries[0][1] == "other_owner"
        w.graph.graph.people["42"].owner = None
        await w.settled(kept)
        assert w.graph.texts("42") == ["Bonjour"]


async def test_an_emergency_waits_for_no_control() -> None:
    async with running(replace(QUICK, control_retry=60.0)) as w:
        w.graph.script(error(100, 2534037, times=2))
        danger = w.outbox.add("17", lane=EMERGENCY)
        await w.settled(danger)
        assert w.graph.tried("42") == ["17"] * 3


# Stops


async def test_a_dead_token_stops_the_account_once_and_a_good_one_resumes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with running() as w:
        w.graph.graph.accounts[PAGE].token = "revoked"
        rows = [w.outbox.add("Bonjour", person=str(n)) for n in range(5)]
        await w.until(lambda: PAGE in w.outbox.stopped)
        await asyncio.sleep(0.4)
        assert w.outbox.stopped[PAGE][0] == "token"
        assert "META_PAGE_TOKEN" in w.outbox.stopped[PAGE][1]
        assert len(w.graph.sent) == 0
        tried = sum(1 for call in w.graph.calls if call.text)
        assert tried <= 10  # nothing hammers a dead token
        async with w.session.get(f"{w.sender.url}/healthz") as response:
            assert await response.json() == {"ok": True, "accounts": {PAGE: "token", IG: "ok"}}
        w.graph.graph.accounts[PAGE].token = TOKEN
        await w.settled(*rows)
        assert w.outbox.stopped == {}
    alerts = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert len(alerts) == 1
    assert "Faites-le renouveler" in alerts[0]
    assert TOKEN not in caplog.text
    assert SECRET not in caplog.text


async def test_a_blocked_page_is_probed_by_one_send() -> None:
    async with running() as w:
        w.graph.script(error(10, 1893063, times=3))
        rows = [w.outbox.add("Bonjour", person="1")]
        await w.until(lambda: PAGE in w.outbox.stopped)
        rows += [w.outbox.add("Bonjour", person=str(n)) for n in range(2, 6)]
        await w.settled(*rows)
        assert w.outbox.stopped == {}
        tried = [call.person for call in w.graph.calls if call.text]
        assert len(tried) == 8  # three refused, one at a time, then the five rows


async def test_a_stop_found_by_another_sender_is_probed_too() -> None:
    async with running() as w:
        await w.outbox.stop_account(PAGE, "token", "…")
        kept = w.outbox.add("Bonjour")
        await w.settled(kept)


async def test_emergencies_are_tried_on_a_stopped_account() -> None:
    async with running(replace(QUICK, probe_every=60)) as w:
        w.graph.script(error(10, 1893063, person="1"))
        w.outbox.add("Bonjour", person="1")
        await w.until(lambda: PAGE in w.outbox.stopped)
        danger = w.outbox.add("Appelez le 17", person="2", lane=EMERGENCY)
        await w.settled(danger)
        assert w.outbox.stopped == {}  # it went through, so the account works


async def test_an_account_that_is_not_configured_stops_with_a_remedy() -> None:
    async with running() as w:
        kept = w.outbox.add("Bonjour", account="777")
        await w.until(lambda: "777" in w.outbox.stopped)
        assert w.outbox.stopped["777"][0] == "unknown_account"
        assert kept.status == "queued"


# Lost answers


async def test_lost_answer_with_an_echo_is_not_sent_again() -> None:
    async with running(LOST) as w:
        w.graph.script(Script(Mood.HANG, accepted=True))
        kept = w.outbox.add("Bonjour")
        await w.settled(kept)
        assert w.graph.texts("42") == ["Bonjour"]
        assert kept.mids == [w.graph.sent[0].mid]


async def test_lost_answer_without_an_echo_is_sent_again() -> None:
    async with running(LOST) as w:
        w.graph.script(Script(Mood.HANG), Script(Mood.RESET))
        kept = w.outbox.add("Bonjour")
        await w.settled(kept)
        assert w.graph.texts("42") == ["Bonjour"]
        assert w.graph.tried("42") == ["Bonjour"] * 3
        assert [slug for _, slug in kept.retries] == ["timeout", "timeout"]


async def test_a_late_echo_is_still_found_before_the_next_try() -> None:
    async with running() as w:
        w.graph.graph.echo_delay = 0.45  # after the wait of 0.3, while the second try is under way
        w.graph.script(Script(Mood.RESET, accepted=True), error(2, latency=0.3))
        kept = w.outbox.add("Bonjour")
        await w.settled(kept)
        assert w.graph.texts("42") == ["Bonjour"]


async def test_a_row_left_by_a_crash_is_looked_for_first() -> None:
    async with running() as w:
        kept = w.outbox.add("Bonjour", maybe_sent=True)
        w.outbox.echoes[(kept.row.id, 0)] = "m_earlier"
        lost = w.outbox.add("Autre", person="43", maybe_sent=True)
        await w.settled(kept, lost)
        assert kept.mids == ["m_earlier"]
        assert w.graph.texts("42") == []
        assert w.graph.texts("43") == ["Autre"]


# Ceiling, leases, faults


async def test_ceiling_is_kept_and_a_tenth_stays_for_emergencies() -> None:
    async with running(ceiling=20) as w:
        rows = [w.outbox.add("Bonjour", person=str(n)) for n in range(50)]
        await w.settled(*rows)
        assert max(w.outbox.used.values()) <= 18
        moments = sorted(call.at for call in w.graph.calls if call.text)
        assert moments[-1] - moments[0] > 1.0  # fifty at eighteen a second


async def test_emergencies_go_first_when_the_ceiling_is_the_limit() -> None:
    async with running(ceiling=10) as w:
        for n in range(200):
            w.outbox.add("Bonjour", person=str(n))
        await asyncio.sleep(0.2)
        dangers = [w.outbox.add("Appelez le 17", person=f"d{n}", lane=EMERGENCY) for n in range(8)]
        await w.settled(*dangers)
        order = [call.person for call in w.graph.calls if call.text]
        assert max(order.index(f"d{n}") for n in range(8)) < 100  # in their turn: after 200
        assert max(w.outbox.used.values()) <= 10


async def test_no_reply_takes_a_permit_while_an_emergency_waits_for_one() -> None:
    outbox, urgent = FakeOutbox(SystemClock()), FakeOutbox(SystemClock(), ceiling=0)
    budget = Budget(outbox, urgent, QUICK, 1000)
    emergency = asyncio.create_task(budget.take_emergency(PAGE))
    await asyncio.sleep(0.03)
    reply = asyncio.create_task(budget.take(PAGE, lambda: True))
    other = await budget.take(IG, lambda: True)  # another account is not concerned
    await asyncio.sleep(0.1)
    assert (other, emergency.done(), reply.done()) == (True, False, False)
    urgent.ceiling = 10
    await emergency
    assert await reply


@pytest.mark.parametrize("ails", ["ceiling", "broken", "hangs"])
async def test_an_emergency_waits_two_seconds_for_the_ceiling_and_no_longer(ails: str) -> None:
    outbox = FakeOutbox(SystemClock(), ceiling=0 if ails == "ceiling" else 10)
    outbox.broken, outbox.hangs = ails == "broken", ails == "hangs"
    budget = Budget(outbox, outbox, replace(QUICK, emergency_budget_wait=0.2), 1000)
    await asyncio.wait_for(budget.take_emergency(PAGE), 30)
    assert budget.unpermitted == {"ceiling" if ails == "ceiling" else "store": 1}
    assert not budget._emergencies[PAGE]  # replies go on
    await budget.close()


@pytest.mark.parametrize("first", ["echo", "permit", "second look"])
async def test_a_database_that_hangs_is_asked_once_while_an_emergency_is_in_hand(
    first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops answering when the echo of an earlier try, the permit or the lease is asked for: after that, nothing is."""
    waits = replace(QUICK, emergency_budget_wait=900.0, emergency_store_wait=900.0, echo_wait=900.0, renew_after=0.0)
    short = {"emergency_store_wait" if first == "echo" else "emergency_budget_wait": 0.2}
    async with running(replace(waits, **short)) as w:
        w.outbox.hangs = True
        if first == "second look":  # its wait is what is left of the time for the permit

            async def permitted(*_values: object) -> Permits:
                return Permits(1, 0, 1.0)

            monkeypatch.setattr(w.outbox, "take_budget", permitted)
        tried = 3 if first == "echo" else 0
        danger = w.outbox.add("17", lane=EMERGENCY, attempts=tried, maybe_sent=bool(tried))
        await w.settled(danger)
        assert w.graph.texts("42") == ["17"]


async def test_without_a_store_too() -> None:
    budget = Budget(FakeOutbox(SystemClock()), FakeOutbox(SystemClock()), replace(QUICK, emergency_budget_wait=0.2), 2)
    budget.rate = lambda account: 99  # type: ignore[method-assign]  # the second never ends
    await asyncio.wait_for(budget.take_alone(PAGE), 30)
    assert budget.unpermitted["ceiling"] == 1


async def test_emergency_is_not_delayed_by_a_thousand_rows_and_a_slow_graph() -> None:
    async with running(SILENT, latency=600.0, ceiling=40) as w:
        for n in range(1000):
            w.outbox.add("Bonjour", person=str(n))
        await w.until(lambda: sum(1 for call in w.graph.calls if call.text) >= 64)  # every place is taken
        for n in range(3):  # no reply's place becomes free
            w.outbox.add("Appelez le 17", person=f"d{n}", lane=EMERGENCY, priority=0)
        await w.until(lambda: {"d0", "d1", "d2"} <= {call.person for call in w.graph.calls})


async def test_a_row_that_waited_is_judged_again() -> None:
    async with running(replace(QUICK, renew_after=0.0), ceiling=2) as w:
        rows = [w.outbox.add("Bonjour", person=str(n)) for n in range(4)]
        await w.until(lambda: len(w.graph.sent) >= 1)
        late = [kept for kept in rows if not w.graph.tried(kept.row.person)][-1]
        late.owner_ok = False
        await w.settled(*rows)
        assert late.status == "cancelled"
        assert w.graph.texts(late.row.person) == []


async def test_what_a_danger_overtook_is_judged_again_before_more_of_it_leaves() -> None:
    async with running(replace(QUICK, renew_after=60.0)) as w:
        w.graph.script(Script(person="42", latency=3.0))
        long = w.outbox.add("a" * 1999 + " " + "b" * 10)
        await w.until(lambda: w.graph.tried("42"))
        long.owner_ok = False
        urgent = w.outbox.add("17", lane=EMERGENCY)
        await w.settled(long, urgent)
        assert long.status == "cancelled"
        assert w.graph.texts("42") == ["17", "a" * 1999]


async def test_a_danger_is_remembered_until_what_was_claimed_before_it_is_judged_again_anyway(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A claim may have seen the outbox a moment before its attempts begin, from which on the second look is counted."""
    now = time.monotonic() + 1000
    monkeypatch.setattr(delivery, "time", SimpleNamespace(monotonic=lambda: now))
    async with running() as w:
        dangers = w.sender._dangers
        await w.until(lambda: dangers._any == now)  # it listens
        now += 1000
        dangers.begins(1)
        now += QUICK.renew_after + 0.9
        assert dangers.lately(1)
        now += 0.2
        assert not dangers.lately(1)


async def test_loops_survive_a_database_outage() -> None:
    async with running() as w:
        w.outbox.broken = True
        await asyncio.sleep(0.2)
        w.outbox.broken = False
        await w.settled(w.outbox.add("Bonjour"), w.outbox.add("17", person="2", lane=EMERGENCY))


async def test_outcome_is_written_after_a_hiccup_and_not_sent_twice() -> None:
    async with running() as w:
        w.graph.script(Script(latency=0.2))
        kept = w.outbox.add("Bonjour")
        await w.until(lambda: w.graph.calls)
        w.outbox.broken = True
        await asyncio.sleep(0.25)
        w.outbox.broken = False
        await w.settled(kept)
        assert w.graph.tried("42") == ["Bonjour"]


async def test_own_fault_with_a_row_does_not_harm_the_others() -> None:
    async with running() as w:
        bad = w.outbox.add("\ud800")  # cannot be encoded
        good = w.outbox.add("Bonjour", person="43")
        await w.settled(good)
        await w.until(lambda: bad.retries)
        assert bad.slug == "internal"
        last = w.outbox.add("\ud800", person="44", attempts=20_000)
        await w.until(lambda: last.retries)
        assert last.status == "queued"


async def test_stop_lets_what_is_under_way_end_and_hands_back_the_rest() -> None:
    async with running(latency=0.3, ceiling=2) as w:
        rows = [w.outbox.add("Bonjour", person=str(n)) for n in range(5)]
        await w.until(lambda: any(call.text for call in w.graph.calls))
        await w.sender.stop()
        tried = [call.person for call in w.graph.calls if call.text]
        assert tried
        for kept in rows:
            assert kept.status == ("sent" if kept.row.person in tried else "queued")
            assert kept.leased_until is None


# Emergency replies that leave late


LATE = "Si vous êtes toujours en danger :\n\nAppelez le 17."


def waited(w: World, **age: float) -> Kept:
    at = SystemClock().now() - timedelta(**age)
    answer = Answer("danger", at, True, (emergency.URGENCE,))
    return w.outbox.add("Appelez le 17.", lane=EMERGENCY, created=at, answer=answer)


async def test_words_are_judged_again_at_each_attempt() -> None:
    """Meta is away while the message grows old: what leaves at last says so, and agents see what was said."""
    async with running() as w:
        w.graph.script(Script(Mood.ERROR, status=503, times=10_000))
        kept = waited(w)
        await w.until(lambda: kept.retries)
        w.sender._deps.clock.offset += timedelta(hours=2)  # type: ignore[attr-defined]
        await w.until(lambda: LATE in w.graph.tried("42"))
        w.graph.graph._scripts.clear()
        await w.settled(kept)
        assert w.graph.tried("42")[0] == "Appelez le 17."
        assert w.graph.texts("42") == [LATE] == [kept.row.text]


async def test_a_day_late_it_is_an_agents() -> None:
    """Of the message, however long it has been in the outbox: it was taken in late."""
    async with running() as w:
        kept = waited(w, hours=25)
        kept.row = replace(kept.row, created_at=SystemClock().now() - timedelta(hours=1))
        await w.settled(kept)
        assert (kept.status, kept.slug) == ("failed", "emergency_old")
        assert w.graph.calls == []


async def test_the_right_words_leave_although_they_cannot_be_written_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as w:
        write, tries = w.outbox.reworded, []

        async def away(row: Any) -> bool:
            tries.append(row.text)
            if len(tries) == 1:
                raise ConnectionError("the database is down")
            return await write(row)

        monkeypatch.setattr(w.outbox, "reworded", away)
        kept = waited(w, hours=2)
        await w.settled(kept)
        assert w.graph.texts("42") == [LATE] == [kept.row.text]
        assert tries == [LATE] * 2


async def test_what_may_have_left_is_not_worded_anew() -> None:
    """Its echo tells that it did: agents go on seeing what the person got."""
    async with running() as w:
        kept = w.outbox.add(
            "Appelez le 17.", lane=EMERGENCY, created=SystemClock().now() - timedelta(hours=2), maybe_sent=True
        )
        w.outbox.echoes[kept.row.id, 0] = "m_before"
        await w.settled(kept)
        assert (kept.status, kept.mids, kept.row.text) == ("sent", ["m_before"], "Appelez le 17.")
        rest = w.outbox.add(
            "a" * 1995 + " Appelez.", lane=EMERGENCY, created=SystemClock().now() - timedelta(hours=2), parts_sent=1
        )
        await w.settled(rest)
        assert w.graph.texts("42") == ["Appelez."]


# The door


async def test_door_sends_an_emergency_without_any_database() -> None:
    async with running() as w:
        w.outbox.broken = True
        mid = await w.emergency()
        assert [s.mid for s in w.graph.sent] == [mid]
        assert metadata.verify(MARK_KEY, w.graph.sent[0].metadata) == metadata.Mark(metadata.unrowed_ref("m1"))


async def test_door_sends_each_key_once(tmp_path: Path) -> None:
    file, at = tmp_path / "answered.log", SystemClock().now()
    async with running(latency=0.1, answered=file) as w:
        mids = await asyncio.gather(*(w.emergency(at=at) for _ in range(5)))
        assert len(set(mids)) == 1
        assert await w.emergency(at=at) == mids[0]
        assert w.graph.tried("42") == ["Appelez le 17."]
        assert await w.emergency(key="m2") != mids[0]
        assert await w.emergency(at=at, person="43") is None  # the key is another person's
        assert w.graph.tried("43") == []
    with file.open("ab") as torn:
        torn.write(b'{"key": "cut sh')
    async with running(answered=file) as again:
        assert await again.emergency(at=at) == mids[0]
        assert again.graph.sent == []
        assert await again.emergency(key="m3", at=at)
    assert b"42" not in b"".join(line for line in file.read_bytes().split(b'"') if line.isdigit())
    async with running(answered=file) as third:
        for key in ("m1", "m3"):
            assert await third.emergency(key=key, at=at)
        assert third.graph.sent == []


async def test_what_was_answered_is_told_by_the_sender_s_key_alone_and_leaves_the_file_in_time(tmp_path: Path) -> None:
    file, clock, sent = tmp_path / "answered.log", FrozenClock(SystemClock().now()), Counter[str]()
    key, whom = ("page", "m1"), ("messenger", "42", "1.0")

    async def send() -> str:
        sent["m"] += 1
        return f"mid{sent['m']}"

    def restarted(*keys: bytes) -> Answered:
        answered = Answered(clock, keys, file)
        answered.load()
        return answered

    first = restarted(b"old")
    assert await first.run(key, whom, send) == "mid1"
    await first.close()
    plain = [hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32] for parts in (key, whom)]
    assert not any(digest in file.read_text() for digest in plain)

    rotated = restarted(b"new", b"old")
    assert await rotated.run(key, whom, send) == "mid1"
    with pytest.raises(OtherRequest):
        await rotated.run(key, ("messenger", "43", "1.0"), send)
    other = restarted(b"new")
    assert await other.run(key, whom, send) == "mid2", "without its key, it says nothing"
    await other.close()

    clock.advance(hours=26)
    lines = file.read_bytes()
    for answered in (rotated, restarted(b"new")):  # one that goes on running, and one that starts
        file.write_bytes(lines)
        forgetting = asyncio.create_task(answered.keep_forgetting())
        await asyncio.sleep(0)
        await answered.close()
        forgetting.cancel()
        assert lines and file.read_bytes() == b""


async def test_a_disk_that_takes_nothing_keeps_nobody_from_being_answered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    async with running(answered=tmp_path / "file" / "answered.log") as w:
        assert await w.emergency()
    assert "answered emergencies not written" in caplog.text


AGES = [
    ({}, "Appelez le 17."),
    ({"kind": "distress"}, "Le 3114 vous écoute."),
    ({"french": False}, "Appelez le 17.\n\nCall 17."),
    ({"age": timedelta(hours=2)}, "Si vous êtes toujours en danger :\n\nAppelez le 17."),
    ({"script": "witness"}, "Appelez pour cette personne."),
    (
        {"script": "witness", "age": timedelta(hours=2)},
        "Si vous êtes toujours en danger :\n\nAppelez pour cette personne.",
    ),
    ({"script": "child"}, "Appelez le 17."),  # no text of its own here, as in a model of before
    ({"script": "inconnu", "kind": "distress"}, "Le 3114 vous écoute."),
]


@pytest.mark.parametrize(("more", "words"), AGES)
async def test_door_writes_the_words_itself(more: dict[str, Any], words: str) -> None:
    async with running() as w:
        assert await w.emergency(**more)
        assert w.graph.texts("42") == [words]


async def test_a_clock_that_is_wrong_keeps_no_emergency_back() -> None:
    """Neither the asker's nor ours: the smaller of both ages counts."""
    now = SystemClock().now()
    async with running() as w:
        assert await w.emergency(key="a", age=timedelta(days=3), at=now)  # the asker's runs three days ahead
        assert await w.emergency(key="b", age=timedelta(), at=now - timedelta(days=3))  # or ours does
        assert await w.emergency(key="c", age=timedelta(seconds=-5), at=now + timedelta(days=3))
        assert w.graph.texts("42") == ["Appelez le 17."] * 3
        assert await w.emergency(key="d", age=timedelta(hours=25)) is None  # both agree that it is an agent's


async def test_a_free_text_opens_nothing() -> None:
    """Whoever stole a gateway cannot have its own words said, neither as the version before asked nor beside what is asked now."""
    async with running() as w:
        old = {"platform": "messenger", "account": PAGE, "person": "42", "text": "Payez ici.", "key": "k"}
        body = json.dumps(old).encode()
        mark = "sha256=" + hmac.new(KEY, b"planton-sender\n" + body, hashlib.sha256).hexdigest()
        assert await knock(w, "/emergency", body, mark) == 403
        assert await knock(w, "/emergency", body) == 400
        fields = {**old, "kind": "danger", "at": 1.0, "age": 0, "language": "fr", "stamp": await stamp(w)}
        assert await knock(w, "/emergency", json.dumps(fields).encode()) == 200
        assert w.graph.texts("42") == ["Appelez le 17."]


async def test_what_was_overheard_opens_the_door_no_second_time() -> None:
    async with running() as w:
        w.graph.graph.person_wrote("42", name="Anne Durand")
        who = {"platform": "messenger", "account": PAGE, "person": "42"}
        body = json.dumps({**who, "stamp": await stamp(w)}).encode()
        assert [await knock(w, "/profile", body) for _ in range(2)] == [200, 409]
        late = {**who, "stamp": await stamp(w), "key": "k", "kind": "danger", "at": 1, "age": 0, "language": "fr"}
        kept = json.dumps(late).encode()
        assert await knock(w, "/profile", kept, direct.sign(KEY, "/emergency", kept)) == 403  # signed for another door
    async with running() as again:  # or another sender
        assert await knock(again, "/emergency", kept) == 409
        assert again.graph.sent == []


def test_a_stamp_lasts_a_minute_and_serves_once() -> None:
    now = [1000.0]
    stamps = Stamps(lambda: now[0])
    first, second = stamps.make(), stamps.make()
    assert [stamps.use(first), stamps.use(first)] == [True, False]
    now[0] += 61
    assert not stamps.use(second)
    assert not stamps.use(first)  # forgotten by now, and too old
    assert not Stamps().use(stamps.make())
    assert not any(stamps.use(forged) for forged in ("", "-", "--", second.replace("-", "--"), "é-é-é"))


async def test_a_sender_of_the_version_before_is_asked_as_it_knows() -> None:
    """It has no stamps, and is told the words."""
    heard = []

    async def emergency(request: web.Request) -> web.Response:
        raw = await request.read()
        mark = "sha256=" + hmac.new(KEY, b"planton-sender\n" + raw, hashlib.sha256).hexdigest()
        if request.headers[direct.SIGNATURE_HEADER] != mark:
            return web.Response(status=403)
        heard.append(json.loads(raw))
        return web.json_response({"sent": True, "mid": "m_old"})

    app = web.Application()
    app.router.add_post("/emergency", emergency)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        url, danger = str(server.make_url("")), asked()
        assert await direct.send_emergency(session, url, [b"new", KEY], danger, text="Appelez.") == "m_old"
        assert heard == [{"platform": "messenger", "account": PAGE, "person": "42", "key": "m1", "text": "Appelez."}]
        assert await direct.send_emergency(session, url, [KEY], danger) is None


async def test_any_of_the_askers_keys_opens_during_a_rotation() -> None:
    async with running() as w:
        assert await direct.send_emergency(w.session, w.sender.url, [b"not there yet", KEY], asked())
        assert await direct.send_emergency(w.session, w.sender.url, [b"a thief's"], asked("m2")) is None
        assert len(w.graph.sent) == 1


async def stamp(w: World) -> str:
    async with w.session.get(f"{w.sender.url}/stamp") as response:
        return str((await response.json())["stamp"])


async def knock(w: World, path: str, body: bytes, mark: str | None = None) -> int:
    headers = {direct.SIGNATURE_HEADER: direct.sign(KEY, path, body) if mark is None else mark}
    async with w.session.post(w.sender.url + path, data=body, headers=headers) as response:
        return response.status


async def test_a_sender_that_is_gone_keeps_nobody_from_being_answered_by_another() -> None:
    async with running() as gone:
        away = gone.sender.url
    async with running(token="revoked") as mute, running() as w:
        several = f"{away}/,{mute.sender.url},{w.sender.url}"
        mid = await direct.send_emergency(w.session, several, [KEY], asked())
        assert mid == w.graph.sent[0].mid
        assert (
            await direct.ask_name(w.session, several, [KEY], Platform.MESSENGER, PAGE, "42") is None
        )  # nobody knows it
        w.graph.graph.person_wrote("42", name="Anne Durand")
        assert await direct.ask_name(w.session, several, [KEY], Platform.MESSENGER, PAGE, "42") == "Anne Durand"
        assert [len(world.graph.sent) for world in (gone, mute, w)] == [0, 0, 1]


async def test_a_sender_that_says_nothing_keeps_nobody_from_being_answered_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is frozen: it takes the connection, and answers nothing."""
    monkeypatch.setattr(direct, "STAMP", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        async with running() as w, asyncio.timeout(180):
            several = f"http://127.0.0.1:{frozen.getsockname()[1]},{w.sender.url}"
            mid = await direct.send_emergency(w.session, several, [KEY], asked(), timeout=1800)
            assert mid == w.graph.sent[0].mid


async def test_all_senders_together_have_less_time_than_the_gateway_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first gives its stamp and then hangs: the last one's time must not begin when the gateway's is over."""
    now, given = 0.0, []

    async def hangs(*values: Any) -> dict[str, Any]:
        nonlocal now
        now += values[6]
        given.append((values[1], values[6]))
        return {}

    monkeypatch.setattr(direct, "_ask", hangs)
    monkeypatch.setattr(direct, "time", SimpleNamespace(monotonic=lambda: now))
    async with aiohttp.ClientSession() as session:
        assert await direct.send_emergency(session, "http://a,http://b,http://c", [KEY], asked()) is None
    assert [url for url, _ in given] == ["http://a", "http://b", "http://c"]
    assert min(part for _, part in given) == direct.STAMP  # for a stamp, and for a Meta that answers
    assert given[0][1] >= 5.0  # one that gave its stamp lives: to ask another while Meta is slow sends twice
    assert now < spool._SEND_TIMEOUT


async def test_door_insists_after_a_fault() -> None:
    async with running() as w:
        w.graph.script(Script(Mood.RESET), error(2))
        assert await w.emergency()
        assert w.graph.texts("42") == ["Appelez le 17."]


async def test_door_says_what_did_not_leave_and_can_be_asked_again() -> None:
    async with running() as w:
        w.graph.script(error(551))
        assert await w.emergency() is None
        assert await w.emergency()
        assert await w.emergency(account="777", key="m3") is None


async def test_door_is_locked() -> None:
    async with running() as w:
        assert await knock(w, "/emergency", b"{}", "") == 403
        assert await knock(w, "/emergency", b"{}", direct.sign(b"other", "/emergency", b"{}")) == 403
        good = {"platform": "messenger", "account": "1", "person": "2", "key": "k", "stamp": "s"}
        good |= {"kind": "danger", "language": "fr"}
        bodies = [
            b"{}",
            b"[]",
            b"no",
            *(json.dumps({**good, "at": 1, "age": age}).encode() for age in (-1, "1", True, 1e12)),
        ]
        bodies += [json.dumps({**good, "at": 10**400, "age": 1}).encode(), json.dumps({**good, "at": 1}).encode()]
        bodies += [b'{"platform": "fax", "account": "1", "person": "2", "key": "k"}']
        for body in bodies:
            assert await knock(w, "/emergency", body) == 400
        for wrong in ({"kind": "joke"}, {"language": "de"}, {"kind": ""}):
            fields = {**good, "at": 1, "age": 1, "stamp": await stamp(w), **wrong}
            assert await knock(w, "/emergency", json.dumps(fields).encode()) == 400
        assert w.graph.calls == []


async def test_door_gives_names() -> None:
    async with running() as w:
        w.graph.graph.person_wrote("42", name="Anne Durand")
        assert await direct.ask_name(w.session, w.sender.url, [KEY], Platform.MESSENGER, PAGE, "42") == "Anne Durand"
        assert await direct.ask_name(w.session, w.sender.url, [KEY], Platform.MESSENGER, PAGE, "43") is None
        assert await direct.ask_name(w.session, w.sender.url, [b"x"], Platform.MESSENGER, PAGE, "42") is None


async def test_metrics_count_rows() -> None:
    async with running() as w:
        await w.settled(w.outbox.add("Bonjour"))
        async with w.session.get(f"{w.sender.url}/metrics") as response:
            assert 'planton_sender_rows_total{lane="reply",outcome="sent"} 1' in await response.text()


def test_secrets_are_in_no_repr() -> None:
    account = SenderAccount(PAGE, PAGE, TOKEN, SECRET)
    assert TOKEN not in repr(account)
    assert SECRET not in repr(account)


# What Meta counts


def told(percent: int) -> Usage:
    return Usage(percent=percent, told=True)


async def test_replies_slow_down_before_meta_refuses_them() -> None:
    async with running(ceiling=100) as w:
        w.graph.graph.usage_headers = {"X-App-Usage": '{"call_count": 95, "total_time": 12, "total_cputime": 3}'}
        await w.settled(w.outbox.add("Bonjour"))
        rows = [w.outbox.add("Bonjour", person=str(n)) for n in range(5)]
        await w.settled(w.outbox.add("Appelez le 17", person="d", lane=EMERGENCY))
        await w.settled(*rows)
        moments = sorted(call.at for call in w.graph.calls if call.text == "Bonjour")[1:]
        assert moments[-1] - moments[0] > 1.0  # four times 100 to the power of -0.2, which is 0.4
        assert next(call.at for call in w.graph.calls if call.person == "d") < moments[-1]
        w.graph.graph.usage_headers = {"X-Page-Usage": '{"call_count": 3}'}
        await w.settled(w.outbox.add("Bonjour", person="z"))
        assert not w.sender._budget.gap(PAGE)


@pytest.mark.parametrize("asked", ["refused", "courtesy", "door", "profile"])
async def test_every_answer_tells_of_our_use(asked: str) -> None:
    much, little = ({"X-App-Usage": f'{{"call_count": {percent}}}'} for percent in (90, 1))
    async with running(ceiling=100) as w:
        if asked == "refused":
            w.graph.script(error(551, headers=much))
            await w.settled(w.outbox.add("Bonjour"))
        elif asked == "courtesy":
            w.graph.graph.usage_headers = much
            w.graph.script(Script(headers=little))
            await w.settled(w.outbox.add("Bonjour"))
        elif asked == "door":
            w.graph.graph.usage_headers = much
            assert await w.emergency()
        else:
            w.graph.graph.usage_headers = much
            w.graph.graph.person_wrote("42", name="Anne Durand")
            await direct.ask_name(w.session, w.sender.url, [KEY], Platform.MESSENGER, PAGE, "42")
        registry = w.sender._deps.metrics.registry
        account = {"account": PAGE}
        await w.until(lambda: registry.get_sample_value("planton_sender_meta_usage_ratio", account) == 0.9)
        if asked != "courtesy":  # the message's own answer said less
            assert registry.get_sample_value("planton_sender_pace_messages", account) == pytest.approx(100**0.4)
            await w.until(lambda: w.outbox.usage.get(PAGE) == (90, 6))  # the other senders too


async def test_reading_a_profile_pauses_no_message() -> None:
    """Its limit is another one, which the same header tells."""
    pages = '{"type": "pages", "call_count": 100, "estimated_time_to_regain_access": 9}'
    usage = f'{{"1": [{pages}, {{"type": "messenger", "call_count": 5}}]}}'
    async with running() as w:
        w.graph.graph.usage_headers = {"X-Business-Use-Case-Usage": usage}
        w.graph.graph.person_wrote("42", name="Anne Durand")
        assert await direct.ask_name(w.session, w.sender.url, [KEY], Platform.MESSENGER, PAGE, "42")
        assert (w.outbox.paused, w.sender._budget.gap(PAGE)) == ({}, 0)
        await w.settled(w.outbox.add("Bonjour"))
        await w.until(lambda: PAGE in w.outbox.paused)


def test_how_much_replies_slow_down() -> None:
    budget = Budget(FakeOutbox(SystemClock()), FakeOutbox(SystemClock()), QUICK, 100)
    gaps = []
    for percent in (74, 75, 80, 90, 100, 250, 72, 69):
        budget.used(PAGE, told(percent))
        gaps.append(round(budget.gap(PAGE), 3))
    assert gaps == [0, 0.01, 0.025, 0.158, 1, 1, 0.01, 0]  # at 72 %, as at 75 %, until it is calm
    budget.used(PAGE, told(80))
    budget.used(PAGE, Usage())  # an answer without the header says nothing
    assert budget.gap(PAGE) > 0
    assert not budget.gap(IG)


async def test_no_more_rows_are_claimed_than_may_soon_leave() -> None:
    async with running(ceiling=8, concurrency=64) as w:
        rows = [w.outbox.add("Bonjour", person=str(n)) for n in range(40)]
        other = w.outbox.add("Bonjour", person="insta", account=IG)
        await w.settled(other)  # its page has a ceiling of its own
        assert sum(kept.leased_until is not None for kept in rows) <= 8
        assert all(kept.status == "queued" for kept in rows[20:])


async def test_seen_and_typing_are_for_calm_hours() -> None:
    async with running() as w:
        rows = [w.outbox.add("Bonjour", person=str(n)) for n in range(60)]
        await w.settled(*rows)
        await asyncio.sleep(0.05)
        assert len(w.graph.actions) <= 30
