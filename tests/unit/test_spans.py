"""Spans: kept by the id of their trace, nested, bounded, and sent as OTLP wants them, by nobody's leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest

from bot.app import tracing
from bot.app.tracing import Exporter
from bot.core.trace import Trace, about, trace_id
from bot.settings import Settings
from bot.watch import spans
from tests.fakes.collector import collector

ID = trace_id("messenger", "1000", "m_1")


@pytest.fixture
def recorded() -> Iterator[spans.Spans]:
    spans.active = spans.Spans()
    yield spans.active
    spans.active = None


def test_off_nothing_is_kept() -> None:
    with about(Trace(ID)), spans.inside("turn") as told:
        told["x"] = 1
    assert spans.active is None


def test_spans_nest_under_the_root_of_their_message(recorded: spans.Spans) -> None:
    recorded.root(ID, "webhook", 1, 2, kind="text")
    with about(Trace(ID, None, (("conversation", 7),))):
        with spans.inside("turn", links=["cd" * 16]), spans.inside("engine", spans.CLIENT, call="turn") as told:
            told["outcome"] = "ok"
        with pytest.raises(ValueError, match="un secret"), spans.inside("finish"):
            raise ValueError("un secret")
    webhook, engine, turn, finish = recorded.take(10)
    assert webhook.parent == ""
    assert webhook.id == turn.parent == finish.parent == ID[:16]
    assert engine.parent == turn.id
    assert turn.start <= engine.start <= engine.end <= turn.end
    assert engine.attributes == {"conversation": 7, "call": "turn", "outcome": "ok"}
    assert turn.links == ("cd" * 16,)
    assert (finish.failed, finish.attributes["error.type"]) == (True, "ValueError")
    assert "secret" not in json.dumps(spans.otlp([finish], {}, "1"))


def test_what_concerns_no_message_is_no_span(recorded: spans.Spans) -> None:
    with spans.inside("turn"):
        pass
    with about(Trace("")), spans.inside("send"):
        pass
    recorded.past("", "outbox", 1, 2)
    assert recorded.take(10) == []


def test_every_process_keeps_the_same_traces() -> None:
    ids = [trace_id("messenger", "1000", str(number)) for number in range(2000)]
    tenth, half = spans.Spans(0.1), spans.Spans(0.5)
    kept = {one for one in ids if tenth.wants(one)}
    assert 140 < len(kept) < 260
    assert kept < {one for one in ids if half.wants(one)}
    assert not any(spans.Spans(0).wants(one) for one in ids)
    assert all(spans.Spans(1).wants(one) for one in ids)


def test_what_nobody_takes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "MOST", 3)
    recorded = spans.Spans()
    for number in range(5):
        recorded.past(ID, "claim", number, number)
    assert recorded.dropped == 2
    assert len(recorded.take(10)) == 3


async def test_a_collector_gets_batches_as_otlp_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "EVERY", 0.01)
    async with collector() as (url, got):
        async with tracing.tracing(Settings({"PLANTON_TRACES_URL": f"{url}/"}), "gateway"):
            assert spans.active is not None
            spans.active.root(ID, "webhook", 1_000, 2_500, kind="text", fresh=True)
            spans.active.past(ID, "store", 1_500, 2_000, tries=2)
            async with asyncio.timeout(180):
                while not got:
                    await asyncio.sleep(0.01)
            spans.active.past(ID, "late", 1, 2)  # sent on the way out
        assert spans.active is None
    (resource,) = got[0]["resourceSpans"]
    told = {one["key"]: one["value"]["stringValue"] for one in resource["resource"]["attributes"]}
    assert told["service.name"] == "planton-gateway"
    root, store = resource["scopeSpans"][0]["spans"]
    assert root == {
        "traceId": ID,
        "spanId": ID[:16],
        "name": "webhook",
        "kind": 2,
        "startTimeUnixNano": "1000",
        "endTimeUnixNano": "2500",
        "attributes": [
            {"key": "kind", "value": {"stringValue": "text"}},
            {"key": "fresh", "value": {"boolValue": True}},
        ],
    }
    assert store["parentSpanId"] == ID[:16]
    assert store["attributes"] == [{"key": "tries", "value": {"intValue": "2"}}]
    assert got[-1]["resourceSpans"][0]["scopeSpans"][0]["spans"][-1]["name"] == "late"


async def test_a_collector_that_refuses_or_is_gone_costs_nobody_anything(caplog: pytest.LogCaptureFixture) -> None:
    recorded = spans.Spans()
    async with collector(500) as (url, got):
        exporter = Exporter(url, "worker", recorded)
        recorded.past(ID, "claim", 1, 2)
        assert await exporter.send() == 1
        assert len(got) == 1
    recorded.past(ID, "claim", 1, 2)
    assert await exporter.send() == 1  # nobody listens any more
    assert await exporter.send() == 0
    await exporter.close()
    assert exporter.lost == 2
    assert len([r for r in caplog.records if "spans not sent" in r.message]) == 1  # once a minute


@pytest.mark.parametrize("value", ["2", "-1", "dix", "1e-3", ""])
def test_a_share_is_from_0_to_1(value: str) -> None:
    settings = Settings({"PLANTON_TRACES_RATIO": value})
    if value:
        with pytest.raises(Exception, match="TRACES_RATIO"):
            _ = settings.traces_ratio
    else:
        assert settings.traces_ratio == 1.0
