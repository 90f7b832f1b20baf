"""Webhooks that Meta did not send, or that somebody sends again, against the gateway with the real store."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.meta.signature import HEADER, sign
from tests.attack.world import dump
from tests.contract.test_gateway import SECRET, Running, Setup, item, page
from tests.fakes.console import RunningConsole

BODY = json.dumps(page(item("m_signed", "bonjour, j’ai perdu mes papiers"))).encode()
RIGHT = sign(SECRET, BODY)


@pytest.fixture
async def gateway(console: RunningConsole, tmp_path: Path) -> AsyncIterator[Running]:
    """A gateway over the database of the console."""
    async with Setup(tmp_path).run(inbox=console.inbox, store_timeout=20.0) as running:
        yield running


COUNTED = ("deliveries", "facts", "meta_flow", "events")  # how often something came is counted there


FORGED = {
    "none": None,
    "empty": "",
    "prefix alone": "sha256=",
    "another secret": sign("another", BODY),
    "no secret": sign("", BODY),
    "another body": sign(SECRET, BODY + b" "),
    "cut short": RIGHT[:-1],
    "half": RIGHT[: len(RIGHT) // 2],
    "longer": RIGHT + "0",
    "without prefix": RIGHT.removeprefix("sha256="),
    "older algorithm": "sha1=" + RIGHT.removeprefix("sha256=")[:40],
    "capitals": "sha256=" + RIGHT.removeprefix("sha256=").upper(),
    "twice": f"{RIGHT},{RIGHT}",
    "not ascii": "sha256=é" + "0" * 62,
}


async def test_what_is_forged_cut_or_replayed_changes_nothing(console: RunningConsole, gateway: Running) -> None:
    before = await dump(console)
    for name, signature in FORGED.items():
        assert (await gateway.post(BODY, signature))[0] == 403, name
    for raw in (BODY[:-1], BODY.replace(b"papiers", b"clefs__"), b"", BODY + b"\n", BODY.replace(b" ", b"")):
        assert (await gateway.post(raw, RIGHT))[0] == 403
    assert await dump(console) == before
    assert (await gateway.post(BODY, RIGHT))[0] == 200
    said = "SELECT id, key, kind, body, disposition, settled_at, outbox_id FROM events"
    once = await console.rows(said)
    assert len(once) == 1
    stored = await dump(console, COUNTED)
    for again in range(3):  # somebody caught it on its way, and Meta itself sends again what it is not sure of
        gateway.clock.advance(minutes=again)
        assert (await gateway.post(BODY, RIGHT))[0] == 200
    assert await dump(console, COUNTED) == stored
    assert await console.rows(said) == once


async def test_one_signature_among_two_headers_is_not_chosen(gateway: Running, console: RunningConsole) -> None:
    before = await dump(console)
    headers = [(HEADER, "sha256=" + "0" * 64), (HEADER, RIGHT)]
    async with gateway.client.post(gateway.url + "/webhooks/meta", data=BODY, headers=headers) as answer:
        assert answer.status == 403
    assert await dump(console) == before
