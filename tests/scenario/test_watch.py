"""What Prometheus reads of a system that handled messages: each part counted what it did, and named nobody."""

from __future__ import annotations

import asyncio

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bot.core import trace
from bot.core.messages import Platform
from tests.fakes.graph import PAGE
from tests.fakes.sealed import opened_json
from tests.scenario.system import System

GATEWAY = {"Authorization": "Bearer metrics"}


async def told(system: System) -> dict[str, dict[str, dict[str, float]]]:
    """Part → sample with its labels → value."""
    async with system.session.get(system.url.replace("/webhooks/meta", "/metrics"), headers=GATEWAY) as response:
        gateway = await response.text()
    async with system.session.get(f"{system.sender_url}/metrics") as response:
        sender = await response.text()
    texts = {"gateway": gateway, "sender": sender, "worker": generate_latest(system.registry).decode()}
    return {part: samples(text) for part, text in texts.items()}


def samples(text: str) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(one.labels.items()))
            found.setdefault(one.name, {})[labels] = one.value
    return found


async def looked_at(system: System) -> None:
    """Wait until a worker has looked at everybody, also where nothing was left to say."""
    async with asyncio.timeout(60):
        while await system.rows(
            "SELECT FROM conversations WHERE due_at <= :now OR lease_until > :now", now=system.clock.now()
        ):
            await asyncio.sleep(0.02)


async def test_every_part_counts_what_it_did(system: System) -> None:
    await system.say("7301", "Bonjour, comment porter plainte ?")
    await system.say("7302", "au secours il me frappe")
    await system.settled()
    await looked_at(system)
    parts = await told(system)
    gateway, worker, sender = parts["gateway"], parts["worker"], parts["sender"]

    assert gateway["planton_gateway_webhooks_total"]["outcome=accepted"] >= 2
    assert gateway["planton_gateway_dangers_total"][""] == 1
    assert gateway["planton_database_up"][""] == 1
    assert gateway["planton_engines"] == {"state=ready": 1, "state=away": 0}
    assert gateway["planton_handoffs_open"]["category=emergency"] == 1
    assert gateway["planton_emergencies_unread"][""] == 1
    assert gateway["planton_emergencies_unread_oldest_seconds"][""] > 0
    assert gateway["planton_queue_conversations"] == {"priority=danger": 0, "priority=live": 0, "priority=bundle": 0}
    assert gateway["planton_outbox_rows"] == {"lane=emergency": 0, "lane=reply": 0, "lane=agent": 0}
    assert gateway["planton_events_in_flight"][""] == 0
    assert gateway["planton_accounts"]["state=ok"] >= 1

    assert worker["planton_worker_turns_total"]["outcome=done"] >= 1
    assert worker["planton_worker_claimed_conversations_total"][""] >= 1
    assert worker["planton_worker_claim_seconds_count"][""] >= 1
    assert worker["planton_worker_wait_seconds_count"][""] >= 1
    assert worker["planton_worker_turn_seconds_count"][""] >= 1
    assert worker["planton_worker_turns_running"][""] == 0
    assert worker["planton_worker_events_total"]["disposition=answered"] == 1
    assert worker["planton_worker_engine_seconds_count"]["call=turn,outcome=ok"] >= 1

    assert sender["planton_sender_rows_total"]["lane=emergency,outcome=sent"] == 1
    assert sender["planton_sender_rows_total"]["lane=reply,outcome=sent"] == 1
    assert sender["planton_sender_sends_total"]["lane=emergency,result=ok"] == 1
    assert sender["planton_sender_send_seconds_count"]["lane=reply"] >= 1
    assert sender["planton_sender_queue_seconds_count"]["lane=reply"] == 1
    for lane in ("reply", "emergency"):
        assert sender["planton_sender_reply_seconds_count"][f"lane={lane}"] == 1
        assert 0 < sender["planton_sender_reply_seconds_sum"][f"lane={lane}"] < 60
    assert sender["planton_sender_ceiling_messages"][""] == 10_000
    assert 0 <= sender["planton_sender_ceiling_used_ratio"][""] <= 1

    labels = {label for part in parts.values() for by_labels in part.values() for label in by_labels}
    for secret in ("7301", "7302", PAGE, "m_"):
        assert not [
            label
            for label in labels - {f"account={PAGE}"}  # a page of ours may be named, of which there are a handful
            if secret in label.split("=", 1)[-1].split(",")[0]
        ]


async def test_a_reply_carries_the_id_of_the_message_that_it_answers(system: System) -> None:
    await system.say("7303", "Bonjour, comment porter plainte ?")
    await system.settled()
    async with system.database.begin() as connection:
        row = (
            await connection.exec_driver_sql(
                "SELECT e.mid, e.received_at, o.* FROM events e JOIN outbox o ON o.id = e.outbox_id"
            )
        ).one()
    kept = opened_json(system.codec, "outbox.message", row)
    assert kept["trace"] == trace.trace_id(Platform.MESSENGER.value, PAGE, row.mid)
    assert kept["since"] == row.received_at.timestamp()
