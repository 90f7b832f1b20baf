"""Metrics keep Prometheus's conventions, say nothing of anybody, and each is in the documentation."""

from __future__ import annotations

import itertools
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.parser import text_string_to_metric_families
from sanic import Sanic
from sanic.response import text

from bot.core.clock import SharedClock
from bot.gateway.metrics import GatewayMetrics
from bot.watch import measures
from bot.watch.console import measure
from bot.watch.sender import LANES, OK, SenderMetrics
from bot.watch.site import Queue, Site, SiteMetrics
from bot.watch.worker import WorkerMetrics

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "surveillance.md").read_text(encoding="utf-8")

# Every label, with all that it may say. An id, a name or a word would be one more value.
LABELS = {
    "outcome": {
        *("accepted", "bad_signature", "bad_payload", "too_large", "too_slow", "unavailable", "busy"),  # webhooks
        *("answered", "failed", "late", "sent", "retried"),  # emergencies, rows
        *("done", "changed", "engine_away", "engine_refused", "database_away", "error"),  # turns
        *("ok", "away", "refused"),  # engine
    },
    "platform": {"messenger", "instagram"},
    "kind": {"text"},
    "channel": {"messaging"},
    "reason": {"budget", "error", "ceiling", "store"},
    "account": {"1000"},  # a page of ours, of which there are a handful
    "call": {"turn", "understand", "explain"},
    "disposition": {"answered", "emergency", "handed_off", "to_agent", "ignored", "failed"},
    "lane": {"emergency", "reply", "agent", "door"},
    "result": {"ok"},
    "priority": {"danger", "live", "bundle"},
    "category": {"emergency", "request"},
    "state": {"ok", "paused", "stopped", "ready", "away"},
    "version": {measures.VERSION},
    "python": None,
    "le": None,
    "method": {"GET", "POST"},
    "status": {"2xx", "3xx", "4xx", "5xx"},
}
UNITS = ("seconds", "bytes", "ratio", "info")
# Plain numbers of things: the unit is what is counted.
THINGS = (
    *("conversations", "rows", "open", "unread", "accounts", "engines", "messages", "running", "in_flight"),
    *("storing", "up", "spooled_emergencies"),
)
_FOREIGN = ("process_", "python_")
_numbers = itertools.count()


async def _look() -> Site:
    one = Queue(1, 2.0)
    return Site({"danger": one, "live": one, "bundle": one}, 1, 1, {"reply": one}, 1, {"request": one}, one, {"ok": 1})


async def _engines() -> tuple[int, int]:
    return 1, 0


async def _yes() -> bool:
    return True


async def _no() -> bool:
    return False


async def told() -> str:
    """Everything that any process may tell, each counter once."""
    clock = SharedClock()
    clock.read = True
    registry = measures.registry(clock)
    gateway = GatewayMetrics(registry, lambda: 0)
    gateway.webhooks.labels("accepted").inc()
    gateway.events.labels("messenger", "text", "messaging").inc()
    gateway.untriaged.labels("budget").inc()
    gateway.emergencies.labels("sent").inc()
    WorkerMetrics(registry)
    sender = SenderMetrics(registry)
    for lane in LANES:
        sender.asked(lane, OK, 0.1)
        sender.sent(lane, 0.1, 0.2)
    sender.told("1000", 3)
    sender.watch({("reply", "sent"): 1}, 40, lambda: 0.5, lambda: 2, lambda: {"1000": 12.0}, {"ceiling": 1})
    await SiteMetrics(registry, _look, _engines, _yes).refresh()
    measure(Sanic(f"metrics_{next(_numbers)}", configure_logging=False), registry)
    return measures.written(registry).decode()


@pytest.fixture
async def families() -> list[Metric]:
    return list(text_string_to_metric_families(await told()))


def webhooks() -> dict[str, int]:
    """Each outcome of a webhook, and the status that it is answered with, as the gateway's code has them."""
    source = (ROOT / "bot" / "gateway" / "app.py").read_text(encoding="utf-8")
    return {name: int(status) for name, status in re.findall(r'(?:_answer|_Refused)\("(\w+)", (\d+)\)', source)}


def ours(families: list[Metric]) -> Iterator[Metric]:
    return (family for family in families if not family.name.startswith(_FOREIGN))


async def test_names_units_and_help(families: list[Metric]) -> None:
    assert len(list(ours(families))) > 35
    for family in ours(families):
        assert re.fullmatch(r"planton(_[a-z]+)+", family.name), family.name
        assert re.fullmatch(r"[A-Z“].{8,140}\.", family.documentation), family.name
        if family.type == "histogram":
            assert family.name.endswith("_seconds"), family.name
        elif family.type == "gauge":
            assert family.name.endswith((*UNITS, *THINGS)), family.name
        else:
            assert family.type == "counter", family.name
            assert all(one.name.endswith("_total") for one in family.samples), family.name


async def test_labels_are_kinds_and_nothing_else(families: list[Metric]) -> None:
    for family in ours(families):
        for sample in family.samples:
            for label, value in sample.labels.items():
                assert label in LABELS, (family.name, label)
                assert LABELS[label] is None or value in LABELS[label], (family.name, label, value)


def test_each_outcome_of_a_webhook_is_a_known_label_that_the_page_explains() -> None:
    assert {"accepted": 200, "too_slow": 408}.items() <= webhooks().items()
    assert set(webhooks()) <= (LABELS["outcome"] or set())
    row = next(line for line in PAGE.splitlines() if line.startswith("| `planton_gateway_webhooks_total`"))
    assert set(webhooks()) <= set(re.findall(r"`(\w+)`", row))


async def test_buckets_tell_the_promised_limits_apart(families: list[Metric]) -> None:
    """Acknowledgements under 50 ms, replies under a second: each limit is the edge of a bucket."""
    edges = {
        family.name: {float(one.labels["le"]) for one in family.samples if "le" in one.labels}
        for family in families
        if family.type == "histogram"
    }
    assert {0.005, 0.05, 5.0} <= edges["planton_gateway_acknowledge_seconds"]
    assert {0.05, 1.0, 60.0, 300.0} <= edges["planton_sender_reply_seconds"]
    assert {0.01, 0.1, 10.0} <= edges["planton_worker_engine_seconds"]
    assert all(len(some) <= 16 for some in edges.values())


async def test_promtool_finds_nothing_to_say() -> None:
    there = subprocess.run(["sh", "scripts/promtool.sh"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert there.returncode == 0, there.stderr.strip()
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=await told(), capture_output=True, text=True, check=False
    )
    said = [line for line in checked.stderr.splitlines() + checked.stdout.splitlines() if line.startswith("planton")]
    assert said == []
    assert checked.returncode == 0, checked.stderr


async def test_every_metric_is_documented_and_every_documented_one_exists(families: list[Metric]) -> None:
    real = {f.name + ("_total" if f.type == "counter" else "") for f in ours(families)}
    tables = {name for line in PAGE.splitlines() if line.startswith("| `planton_") for name in _names(line)}
    assert sorted(real - tables) == []
    assert sorted(tables - real) == []


def _names(row: str) -> list[str]:
    return re.findall(r"`(planton_\w+)`", row.split("|")[1])


@pytest.mark.parametrize(("answers", "up"), [(_no, 0), (_yes, 1)], ids=["down", "slow"])
async def test_a_site_that_cannot_be_looked_at_is_told_without_old_values(answers: Any, up: int) -> None:
    registry = CollectorRegistry()

    async def broken() -> Site:
        raise OSError

    moment = 0.0
    looks = iter((_look, broken))
    site = SiteMetrics(registry, lambda: next(looks)(), _engines, answers, lambda: moment)
    await site.refresh()
    assert registry.get_sample_value("planton_database_up") == 1
    await site.refresh()  # fresh: nothing is asked
    assert registry.get_sample_value("planton_queue_conversations", {"priority": "live"}) == 1
    moment = 100.0
    await site.refresh()
    assert registry.get_sample_value("planton_database_up") == up
    assert registry.get_sample_value("planton_queue_conversations", {"priority": "live"}) is None
    assert registry.get_sample_value("planton_engines", {"state": "ready"}) == 1


def test_metas_highest_use_within_a_minute_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 1000.0
    monkeypatch.setattr("bot.watch.sender.time.monotonic", lambda: moment)
    metrics = SenderMetrics()

    def use() -> float | None:
        return metrics.registry.get_sample_value("planton_sender_meta_usage_ratio", {"account": "1000"})

    assert use() is None  # Meta has told nothing
    metrics.told("2000", 99)
    for at, percent, highest in (
        (1000.0, 40, 0.4),
        (1010.0, 80, 0.8),
        (1020.0, 30, 0.8),
        (1069.0, 10, 0.8),
        (1071.0, 5, 0.3),
    ):
        moment = at
        metrics.told("1000", percent)
        assert use() == highest
    moment = 1200.0
    assert use() == 0


async def test_a_console_counts_its_requests_by_method_and_status_not_by_page() -> None:
    registry = CollectorRegistry()
    app: Sanic[Any, Any] = Sanic(f"metrics_{next(_numbers)}", configure_logging=False)
    measure(app, registry)
    app.add_route(lambda request, number: text("bon"), "/conversations/<number>", name="page")
    sock = socket.create_server(("127.0.0.1", 0))
    server: Any = await app.create_server(sock=sock, return_asyncio_server=True, access_log=False)
    await server.startup()
    await server.start_serving()
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    async with aiohttp.ClientSession() as client:
        for path in ("/conversations/7411", "/nulle-part"):
            async with client.get(url + path) as response:
                await response.read()
    server.close()
    await server.wait_closed()
    told = measures.written(registry).decode()
    for status in ("2xx", "4xx"):
        assert f'planton_console_request_seconds_count{{method="GET",status="{status}"}} 1.0' in told
    assert "7411" not in told
