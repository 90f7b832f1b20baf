"""Every kind of webhook that Meta sends, posted to a running gateway: its dispositions, and what leaves for it.

`outcomes.json` says, for each body: the events ([kind, disposition, reason], by time), the messages that
reach people ([end of the person's id, beginning of the text]) and the hand-offs ([category, reason]).
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from bot.store.codec import Codec
from tests.conftest import fresh_database
from tests.scenario.system import PAYLOADS, System, running

EXPECTED: dict[str, Any] = json.loads(Path(__file__).with_name("outcomes.json").read_text(encoding="utf-8"))
NAMES = sorted(path.stem for path in PAYLOADS.glob("*.json") if path.stem != "index")
PAGE, IG = "104090000000001", "17841400000000001"
TABLES = "deliveries, events, conversations, outbox, handoffs, accounts"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_system(
    postgres_url: str, template_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """One running system for all payloads: each begins with empty tables."""
    codec = Codec(base64.b64encode(bytes(range(32))).decode())
    with fresh_database(postgres_url) as url:
        async with running(url, codec, tmp_path_factory.mktemp("gateway"), page=PAGE, ig=IG) as started:
            yield started


async def empty(system: System) -> None:
    """Empty every table; the worker and the sender look at them all the while, so that a deadlock is met by trying again."""
    for attempt in range(5):
        try:
            async with system.database.begin() as connection:
                await connection.execute(text(f"TRUNCATE {TABLES} RESTART IDENTITY CASCADE"))
            return
        except OperationalError:
            if attempt == 4:
                raise


async def outcome(system: System, path: Path) -> dict[str, Any]:
    """Post a body to the emptied system, and tell all that came of it."""
    await empty(system)
    system.graph.sent.clear()
    system.graph.graph.people.clear()
    status = await system.post(path.read_bytes())  # noqa: ASYNC240
    await system.settled()
    events = await system.rows("SELECT kind, disposition, reason FROM events ORDER BY at, id")
    handoffs = await system.rows("SELECT category, reason FROM handoffs ORDER BY id")
    return {
        "status": status,
        "events": [list(row) for row in events],
        "sent": [[sent.person[-4:], sent.text[:70]] for sent in system.graph.sent],
        "handoffs": [list(row) for row in handoffs],
    }


def test_there_is_one_expectation_a_payload() -> None:
    assert sorted(EXPECTED) == NAMES
    assert len(NAMES) >= 60


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", NAMES)
async def test_payload(module_system: System, name: str) -> None:
    found = await outcome(module_system, PAYLOADS / f"{name}.json")
    expected = EXPECTED[name]
    assert found["status"] == expected["status"]
    assert found["events"] == expected["events"]
    assert sorted(found["sent"]) == sorted(expected["sent"])
    assert found["handoffs"] == expected["handoffs"]
    for _, disposition, _ in found["events"]:
        assert disposition is not None
